"""Event classes of a run: limits from the validation, in the checkpoint and all DL2 files."""

from pathlib import Path

import numpy as np
import pytest
import tables
import yaml
from ctapipe.io import TableLoader
from matplotlib.figure import Figure

from gammalearn.checkpoint.slim import slim
from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.cli import main
from gammalearn.evaluation import read_events


@pytest.fixture(scope="module")
def settings(simulated_files, tmp_path_factory):
    files = [str(path) for path in simulated_files]
    values = {
        "data": {
            **{"train": files, "test": files, "telescopes": ["LST"], "grouping": "mono"},
            **{"validation_fraction": 0.5},
        },
        "network": {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 8},
        "tasks": {
            "particle_type": {},
            "energy": {},
            "direction": {"uncertainty": True, "event_classes": [0.5]},
        },
        "training": {"epochs": 1, "accelerator": "cpu"},
    }
    path = tmp_path_factory.mktemp("classes") / "my.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def output(settings):
    folder = settings.parent / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda _, path, **__: Path(path).write_bytes(b""))
        assert main(["-q", "run", str(settings), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(output):
    return load_checkpoint(output / "checkpoints" / "best.ckpt")


def test_each_event_has_the_class_of_its_predicted_error(output, trained):
    for path in (output / "dl2").iterdir():
        with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
            events = loader.read_telescope_events(dl2=True, dl1_parameters=False)
        known = np.isfinite(events["GammaLearn_tel_alt"])
        found = np.asarray(events["GammaLearn_tel_event_class"])
        assert np.issubdtype(found.dtype, np.integer)
        assert np.all(found[~known] == -1) and set(found[known]) <= {0, 1}
        log_energy = np.log10(events["GammaLearn_tel_energy"][known])
        bin_of = np.digitize(log_energy, trained.event_classes.energy_edges)
        limit = np.array(trained.event_classes.limits)[bin_of, 0]
        error = np.asarray(events["GammaLearn_tel_ang_distance_uncert"])[known]
        np.testing.assert_array_equal(found[known] == 1, error <= limit)


def test_files_of_all_particles_tell_the_same_limits(output, trained):
    told = []
    for path in (output / "dl2").iterdir():
        with tables.open_file(path) as file:
            told.append(yaml.safe_load(file.root._v_attrs["GAMMALEARN EVENT CLASSES"]))
    assert len(told) == 2 and told[0] == told[1] == trained.event_classes.to_dict()


def test_the_report_shows_the_resolution_of_each_class(output):
    assert (output / "evaluation" / "angular_resolution_by_class.png").exists()
    events = read_events(sorted((output / "dl2").iterdir()))
    assert {0, 1} <= set(events["event_class"].value)
    assert "event class" in (output / "report.html").read_text(encoding="utf-8")


def test_a_network_to_share_keeps_its_classes(trained, tmp_path):
    again = load_checkpoint(slim(trained, tmp_path / "slim.ckpt"))
    assert again.event_classes == trained.event_classes


def test_info_tells_them(output, capsys):
    assert main(["info", str(output / "checkpoints" / "best.ckpt")]) == 0
    assert "2 by the predicted error of the direction, quantiles 0.5" in capsys.readouterr().out


def test_too_few_gammas_are_found_before_the_training(settings, tmp_path, capsys):
    words = ["--set", "data.events_per_particle=20", "--output", str(tmp_path / "run")]
    assert main(["run", str(settings), *words]) == 2
    error = capsys.readouterr().err
    assert "tasks.direction.event_classes needs 20 gammas in the validation" in error
    assert not (tmp_path / "run").exists()


def test_no_validation_gives_no_classes(settings, capsys):
    assert main(["check", str(settings), "--set", "data.validation_fraction=0"]) == 2
    assert "tasks.direction.event_classes takes the limits" in capsys.readouterr().err
