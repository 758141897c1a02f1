"""The baseline, as a user meets it: results as of a run, or one sentence and exit code 2."""

import json

import numpy as np
import pytest
import yaml
from ctapipe.io import TableLoader, read_table

from gammalearn.baseline import boosting
from gammalearn.cli import main

pytestmark = pytest.mark.usefixtures("blank_pictures", "few_trees")


@pytest.fixture
def few_trees(monkeypatch):
    """A baseline that learns in a moment."""
    monkeypatch.setitem(boosting.COMMON, "max_iter", 5)
    monkeypatch.setattr(boosting, "ParameterGrid", lambda _: [{"max_leaf_nodes": 4}])


@pytest.fixture
def files(simulated_files):
    return simulated_files


@pytest.fixture
def baseline(pytestconfig, files):
    """Run the baseline of a shipped experiment on the simulated files; returns the exit status."""

    def baseline(output, *flags, name="lst_stereo", train=files, test=files, settings=()):
        words = ["baseline", str(pytestconfig.rootpath / "experiment_settings" / f"{name}.py")]
        data = {"train": train, "test": test}
        for assignment in (
            *(f"data.{part}={json.dumps([str(p) for p in paths])}" for part, paths in data.items()),
            *settings,
        ):
            words += ["--set", assignment]
        return main([*words, "-o", str(output), *flags, "-q"])

    return baseline


def valid_geometry(path, name="HillasBoosting"):
    """Which rows of the DL2 file have a direction."""
    table = read_table(path, f"/dl2/event/subarray/geometry/{name}")
    return np.asarray(table[f"{name}_is_valid"])


def test_results_are_those_of_a_run(baseline, files, tmp_path, capsys):
    output = tmp_path / "out"
    assert baseline(output) == 0
    assert "energy: energy resolution" in capsys.readouterr().out
    names = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    assert {"report.html", "metrics.json", "settings.yaml", "dl2/gamma.dl2.h5"} <= names
    assert "evaluation/energy_resolution.ecsv" in names
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "Boosted trees" in page and "Selection of the test events" in page
    assert yaml.safe_load((output / "settings.yaml").read_text())["output"]["algorithm"] == (
        "HillasBoosting"
    )
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["algorithm_direction"] == metrics["algorithm_energy"] == "HillasBoosting"
    assert metrics["n_energy_reconstructed_signal"] > 10
    assert metrics["angular_resolution_68"] < 1
    valid = valid_geometry(output / "dl2" / "gamma.dl2.h5")
    with TableLoader(output / "dl2" / "gamma.dl2.h5") as loader:
        events = loader.read_subarray_events()
    assert 10 < valid.sum() <= len(events) == len(valid)
    for name in ("energy", "alt", "az", "core_x", "core_y", "h_max", "prediction"):
        assert np.isfinite(events[f"HillasBoosting_{name}"][valid]).all(), name
    assert baseline(output) == 2
    assert "--overwrite" in capsys.readouterr().err
    # The folder stands in a comparison as any run's does.
    comparison = tmp_path / "comparison"
    words = [output, output, "--labels", "a", "b", "-o", comparison, "-q"]
    assert main(["compare", *map(str, words)]) == 0
    assert (comparison / "compare.html").exists()


def test_single_telescopes(baseline, tmp_path):
    output = tmp_path / "out"
    assert baseline(output, name="lst_mono") == 0
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["level"] == "telescope"
    assert metrics["angular_resolution_68"] < 1.5
    with TableLoader(output / "dl2" / "gamma.dl2.h5") as loader:
        images = loader.read_telescope_events()
    valid = images["HillasBoosting_tel_is_valid"]
    assert np.isfinite(images["HillasBoosting_tel_energy"][valid]).all()
    assert np.isfinite(images["HillasBoosting_tel_alt"][valid]).all()


def test_only_what_the_experiment_asks_for(baseline, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "metrics.json").touch()
    settings = ["tasks=[energy, depth_of_maximum]", "output.algorithm=Trees"]
    assert baseline(output, "--overwrite", settings=settings) == 0
    with TableLoader(output / "dl2" / "gamma.dl2.h5") as loader:
        names = loader.read_subarray_events().colnames
    assert "Trees_energy" in names
    assert not {"Trees_alt", "Trees_prediction", "Trees_core_x"} & set(names)


def test_a_file_without_a_selected_event(baseline, files, tmp_path):
    output = tmp_path / "out"
    gammas = ["data.cuts.event=[obs_id == 1]", "tasks=[energy, direction]"]
    assert baseline(output, settings=gammas) == 0
    assert valid_geometry(output / "dl2" / "gamma.dl2.h5").any()
    assert not valid_geometry(output / "dl2" / "proton.dl2.h5").any()


@pytest.mark.parametrize(
    ("train", "settings", "words"),
    [
        (slice(1, 2), [], "no event to learn direction from (it holds "),
        (slice(0, 1), [], "one kind of particle only ("),
        (slice(0, 2), ["data.events_per_particle=5"], "shower(s) to learn the disp from; 3"),
        (slice(0, 2), ["tasks=[depth_of_maximum]"], "the baseline does particle_type, energy"),
    ],
    ids=["no gammas", "no protons", "too few", "another quantity"],
)
def test_what_cannot_be_learnt_is_refused(
    baseline, files, tmp_path, capsys, train, settings, words
):
    output = tmp_path / "out"
    assert baseline(output, train=files[train], settings=settings) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not output.exists()
