"""Settings of a survey are read to their own model, by the key ``survey``."""

import pytest

from gammalearn.errors import SettingsError
from gammalearn.settings.reading import load_any_experiment, load_experiment, override
from gammalearn.settings.surveys import SupernovaExperiment


def test_yaml_and_python(tmp_path):
    (tmp_path / "a.yaml").write_text("survey: supernovae\ntasks: [type_ia]\n")
    (tmp_path / "a.py").write_text(
        "from gammalearn.settings.surveys import SupernovaExperiment\n"
        "experiment = SupernovaExperiment(tasks=['type_ia'])\n"
    )
    for name in ("a.yaml", "a.py"):
        experiment = load_any_experiment(tmp_path / name)
        assert isinstance(experiment, SupernovaExperiment)
        assert list(experiment.tasks) == ["type_ia"]


def test_resolved_settings_are_read_again(tmp_path):
    before = SupernovaExperiment(training={"epochs": 3})
    (tmp_path / "a.yaml").write_text(before.to_yaml())
    assert load_any_experiment(tmp_path / "a.yaml") == before


def test_settings_are_changed(tmp_path):
    changed = override(SupernovaExperiment(), ["training.epochs=3", "tasks=[type_ia, contrast]"])
    assert changed.training.epochs == 3
    assert list(changed.tasks) == ["type_ia", "contrast"]


def test_commands_for_telescopes_refuse_it(tmp_path):
    (tmp_path / "a.yaml").write_text("survey: supernovae\n")
    with pytest.raises(SettingsError, match="is of the survey 'supernovae'"):
        load_experiment(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    "text, words",
    [
        (
            "survey: galaxies\n",
            "survey: expected supernovae or redshifts or lenses",
        ),
        ("survey: supernovae\ndata: {trian: a.h5}\n", "did you mean 'train'"),
        ("survey: supernovae\ntasks: [energy]\n", "no such task: energy"),
        ("survey: supernovae\ntasks: [supernova_type]\n", "expected type_ia"),
        ("survey: supernovae\ndata: {mask_fraction: 0}\n", "hides none"),
        ("survey: supernovae\nnetwork: {heads: 5}\n", "no multiple of heads=5"),
        ("survey: supernovae\ntraining: {initial: lst4-mono}\n", "is for networks of telescopes"),
        ("survey: redshifts\ndata: {mask_fraction: 0.1}\n", "mask_fraction"),
        ("survey: redshifts\nnetwork: {width: 6}\n", "multiple of 4"),
        ("survey: redshifts\ntraining: {initial: lst4-mono}\n", "is for networks of telescopes"),
        ("survey: lenses\ntraining: {initial: lst4-mono}\n", "is for networks of telescopes"),
        ("survey: lenses\nnetwork: {width: 6}\n", "multiple of 4"),
        ("survey: lenses\nevaluation: {false_positive_rates: [1]}\n", "between 0 and 1, got 1"),
        ("survey: lenses\nevaluation: {false_positive_rates: []}\n", "expected some"),
        ("survey: supernovae\nsimulation: [{output: a.h5, fractions: {Ix: 1}}]\n", "got Ix"),
    ],
)
def test_mistakes_are_told(tmp_path, text, words):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        load_any_experiment(tmp_path / "a.yaml")
