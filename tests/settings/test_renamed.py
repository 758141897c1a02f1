"""Settings under earlier names: read as those of today, with one warning that says the new name."""

import logging

import pytest
import yaml

from gammalearn.api.given import settings_of
from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.errors import OutputError, SettingsError
from gammalearn.models import find_checkpoint, read_card, registry
from gammalearn.run.folder import check_folder
from gammalearn.run.sweep import Sweep
from gammalearn.settings import AugmentationSettings, Experiment, NetworkSettings, base
from gammalearn.settings.all_mistakes import read_past_mistakes
from gammalearn.settings.reading import load_experiment, load_simulation, override

GAMMAS = {"output": "gamma.dl1.h5", "particle": "gamma", "n_showers": 5, "energy": [0.05, 5]}

BEFORE = {
    "simulation": [{**GAMMAS, "index": -2.5}],
    "data": {"augmentation": {"turns": True}},
    "network": {"backbone": "conv4", "channels": [2, 4, 4, 4]},
}

NOW = {
    "simulation": [{**GAMMAS, "spectral_index": -2.5}],
    "data": {"augmentation": {"rotations": True}},
    "network": {"encoder": "conv4", "widths": [2, 4, 4, 4]},
}

#: New names by the earlier ones.
RENAMED = {
    "network.backbone": "network.encoder",
    "network.channels": "network.widths",
    "data.augmentation.turns": "data.augmentation.rotations",
    "simulation.index": "simulation.spectral_index",
}


@pytest.fixture(autouse=True)
def as_in_a_new_process():
    base._warn.cache_clear()


@pytest.fixture
def write(tmp_path):
    def write(values, name="e.yaml"):
        path = tmp_path / name
        path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def warnings(caplog):
    """Warnings since the last call."""
    caplog.set_level(logging.WARNING, "gammalearn")

    def warnings():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return warnings


def told(*names):
    """The warnings of earlier names."""
    return {
        f"The setting {old} has a new name, {RENAMED[old]}; change it in your settings."
        for old in names
    }


def test_yaml_and_python_files(write, warnings):
    expected = Experiment.model_validate(NOW)
    assert load_experiment(write(BEFORE)) == expected
    found = warnings()
    assert set(found) == told(*RENAMED) and len(found) == len(RENAMED)
    python = f"from gammalearn.settings import Experiment\nexperiment = Experiment(**{BEFORE!r})\n"
    assert load_experiment(write(python, "e.py")) == expected
    assert warnings() == [], "once in a process"


def test_classes_of_sections(warnings):
    assert NetworkSettings(backbone="conv5").encoder == "conv5"
    assert AugmentationSettings(turns=True).rotations
    assert set(warnings()) == told("network.backbone", "data.augmentation.turns")


def test_dumped_settings_have_the_new_names_alone(warnings):
    dumped = Experiment.model_validate(BEFORE).to_yaml()
    warnings()
    assert Experiment.model_validate(yaml.safe_load(dumped)) == Experiment.model_validate(NOW)
    assert warnings() == []


def test_a_simulation_of_its_own(write, warnings):
    assert load_simulation(write({**GAMMAS, "index": -2.5})).spectral_index == -2.5
    assert set(warnings()) == told("simulation.index")


def test_assignments(warnings):
    experiment = Experiment(simulation=[GAMMAS])
    changed = override(
        experiment,
        [
            "network.backbone=conv4",
            "network.channels=[2, 4, 4, 4]",
            "data.augmentation.turns=true",
            "simulation.0.index=-2.5",
        ],
    )
    assert changed == Experiment.model_validate(NOW)
    assert set(warnings()) == told(*RENAMED)
    assert override(experiment, ["network={channels: [4]}"]).network.widths == [4]


@pytest.mark.parametrize(
    "values",
    [
        {"network": {"backbone": "conv4", "encoder": "conv4"}},
        {"network": {"widths": [4], "channels": [8]}},
        {"data": {"augmentation": {"turns": True, "rotations": True}}},
        {"simulation": [{**GAMMAS, "index": -2, "spectral_index": -2}]},
    ],
)
def test_two_names_of_one_setting_are_refused(values, write, warnings):
    with pytest.raises(SettingsError, match="two names of one setting; leave out") as raised:
        load_experiment(write(values))
    assert ";" not in str(raised.value).partition("leave out")[2], "one sentence"
    reading = read_past_mistakes(write(values))
    assert [str(error) for error in reading.errors] == [str(raised.value)]


def test_two_names_of_one_setting_are_refused_on_the_command_line(write):
    path = write({})
    one, other = "network.channels=[4]", "network.widths=[8]"
    sentence = "network.widths and network.channels are two names of one setting; leave out"
    for assignments in ([one, other], [other, one]):
        with pytest.raises(SettingsError, match=sentence):
            override(Experiment(), assignments)
        (error,) = read_past_mistakes(path, assignments=assignments).errors
        assert sentence in str(error)
    with pytest.raises(SettingsError, match=sentence):
        Sweep(path, [f"{one},[8]"], assignments=[other])


def test_check_tells_all_mistakes_beside_earlier_names(write, warnings):
    path = write(
        {"network": {"backbone": "conv6", "embedding": 9}, "data": {"augmentation": {"turns": 7}}}
    )
    errors = [str(e) for e in read_past_mistakes(path, assignments=["network.channels=4"]).errors]
    for words in (
        "network.encoder: Input should be",
        "network.embedding: Input should be a multiple of 8",
        "data.augmentation.rotations: Input should be a valid boolean",
        "network.widths: Input should be a valid list",
    ):
        assert sum(words in error for error in errors) == 1, errors
    assert len(errors) == 4
    assert set(warnings()) == told(*list(RENAMED)[:3])


def test_a_sweep(write, warnings):
    runs = Sweep(write({}), ["network.channels=[4],[8]"]).runs
    assert [run.experiment.network.widths for run in runs] == [[4], [8]]
    assert set(warnings()) == told("network.channels")


def test_settings_of_a_notebook(warnings):
    changed = settings_of(NetworkSettings, NetworkSettings(widths=[4]), {"channels": [8]}, "f")
    assert changed.widths == [8]
    assert set(warnings()) == told("network.channels")


def test_a_run_of_before_can_be_resumed(write, tmp_path, warnings):
    experiment = Experiment.model_validate(NOW)
    before = yaml.safe_load(experiment.to_yaml())
    for section, old, new in (
        (before["network"], "backbone", "encoder"),
        (before["network"], "channels", "widths"),
        (before["data"]["augmentation"], "turns", "rotations"),
        (before["simulation"][0], "index", "spectral_index"),
    ):
        section[old] = section.pop(new)
    write(before, "settings.yaml")
    check_folder(tmp_path, resume=True, experiment=experiment)
    assert warnings() == []
    other = override(experiment, ["network.widths=[2, 4, 4, 8]"])
    with pytest.raises(OutputError, match=r"network\.widths was \[2, 4, 4, 4\] and is now"):
        check_folder(tmp_path, resume=True, experiment=other)


@pytest.mark.parametrize("name", ["lst4-stereo", "lst4-mono"])
def test_checkpoints_of_before_are_read_without_a_warning(name, warnings):
    assert b"backbone: conv5" in find_checkpoint(name).read_bytes()
    network = load_checkpoint(name).experiment.network
    assert network.encoder == "conv5"
    assert warnings() == []


def test_model_cards_of_before_are_read_without_a_warning(tmp_path, warnings):
    text = registry.places("lst4-stereo")[1].read_text(encoding="utf-8")
    before = tmp_path / "card.yaml"
    before.write_text(text.replace("spectral_index:", "index:"), encoding="utf-8")
    simulation = read_card(before).events.simulation
    assert [made.spectral_index for made in simulation] == [-2, -1.5, -1.5, -2]
    assert warnings() == []
