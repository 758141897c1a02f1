"""The study: what its contenders have in common, and which of them are trained."""

import json
import sys

import numpy as np
import pytest
from ctapipe.io import TableLoader

from gammalearn.baseline import PARAMETERS
from gammalearn.baseline.features import impact_of_images
from gammalearn.camera import CameraType
from gammalearn.checkpoint.trained import build_network
from gammalearn.data import EventIndex
from gammalearn.errors import SettingsError
from gammalearn.settings import DataSettings
from gammalearn.settings.reading import load_experiment, read_simulation
from gammalearn.simulation import simulate
from gammalearn.simulation.telescopes import telescope_model
from gammalearn.tasks import build_tasks


@pytest.fixture(scope="module")
def study(pytestconfig):
    """The script, to import from."""
    folder = str(pytestconfig.rootpath / "benchmarks")
    sys.path.insert(0, folder)
    yield __import__("study")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def experiments(study):
    return {name: load_experiment(study.FOLDER / f"{name}.py") for name in study.CONTENDERS}


class Finished:
    """A process that has ended."""

    def __init__(self, status):
        self.status = status

    def wait(self, timeout=None):
        return self.status


@pytest.fixture
def started(study, monkeypatch):
    """Commands that were asked for; each leaves what a run does."""
    asked = []

    def start(command):
        asked.append(command)
        training = study.Training(
            command[1].split("/")[-1].removesuffix(".py"), study.Path(command[3])
        )
        leave(training)
        return Finished(0)

    monkeypatch.setattr(study, "start", start)
    monkeypatch.setattr(study, "make_missing", lambda *_: None)
    return asked


def leave(training, complete=True):
    """What a run leaves."""
    training.output.mkdir(parents=True, exist_ok=True)
    (training.output / "settings.yaml").write_text(training.experiment.to_yaml())
    if complete:
        (training.output / "report.html").write_text("")


# -- settings --------------------------------------------------------------------------------------


def test_every_settings_file_is_a_contender_and_says_what_it_is(study):
    shared = {"study_events", "study_network"}
    assert {path.stem for path in study.FOLDER.glob("*.py")} - shared == set(study.CONTENDERS)
    descriptions = [training.description for training in study.main_trainings(study.Path("runs"))]
    assert len(set(descriptions)) == len(study.CONTENDERS)


def test_contenders_differ_in_what_they_see_alone(study, experiments):
    stereo = experiments["lst4_stereo"]
    for name, experiment in experiments.items():
        assert experiment.data.test == stereo.data.test
        assert experiment.data.train == stereo.data.train
        assert experiment.data.cuts == stereo.data.cuts
        assert experiment.simulation == stereo.simulation
        if name != study.TRUE_GEOMETRY:
            assert experiment.tasks == stereo.tasks
        if name != "lst4_stereo_longer":
            assert experiment.training == stereo.training
        assert experiment.data.min_multiplicity == (1 if experiment.data.grouping == "mono" else 2)
    assert experiments["baseline"].data == stereo.data


def test_their_networks_can_be_built_for_the_cameras_of_the_lsts(study, experiments):
    model = telescope_model("LST")
    geometry = model.description.camera.geometry
    camera = CameraType.from_geometry(geometry, model.description.optics.equivalent_focal_length)
    for name, experiment in experiments.items():
        if name not in (study.BASELINE, study.TRUE_GEOMETRY):
            network = build_network(experiment, [camera], build_tasks(experiment.tasks))
            assert sum(weights.numel() for weights in network.parameters()) > 1000


def test_another_size_has_other_files_and_more_epochs(study, monkeypatch):
    settings = study.FOLDER / "lst4_stereo.py"
    small = load_experiment(settings)
    monkeypatch.setenv("GAMMALEARN_STUDY", "full")
    full = load_experiment(settings)
    assert study.study_size() == "full"
    assert not set(small.data.train) & set(full.data.train)
    assert full.simulation[0].n_showers == 8 * small.simulation[0].n_showers
    assert full.training.epochs > small.training.epochs
    monkeypatch.setenv("GAMMALEARN_STUDY", "huge")
    with pytest.raises(SettingsError, match="GAMMALEARN_STUDY=huge: the sizes are small, full"):
        study.study_size()
    assert study.main(["page"]) == 2


# -- runs ------------------------------------------------------------------------------------------


def test_what_is_complete_is_not_repeated_and_what_was_cut_off_goes_on(
    study, started, tmp_path, capsys
):
    names = ["lst4_stereo", "lst4_mono", "baseline"]
    trainings = study.main_trainings(tmp_path / "runs", names)
    leave(trainings[0])
    leave(trainings[1], complete=False)
    assert study.run_study(trainings) == {}
    assert "lst4_stereo is complete and is not repeated" in capsys.readouterr().out
    mono, baseline = started
    assert mono[0] == "run" and mono[-1] == "--resume"
    assert baseline[0] == "baseline" and "--resume" not in baseline
    record = json.loads((tmp_path / "runs" / "lst4_mono.json").read_text())
    assert record["hours"] >= 0 and record["machine"] and "--resume" not in record["command"]
    assert study.run_study(trainings) == {} and len(started) == 2


def test_time_before_an_interruption_counts(study, started, tmp_path):
    (training,) = study.main_trainings(tmp_path, ["lst4_stereo"])
    leave(training, complete=False)
    training.note(hours=1.5)
    study.train(training)
    assert training.record["hours"] >= 1.5


def test_a_run_of_other_settings_or_one_that_fails_does_not_stop_the_others(
    study, started, tmp_path, monkeypatch
):
    trainings = study.main_trainings(tmp_path, ["lst4_stereo", "lst4_mono", "lst1_mono"])
    leave(study.Training("lst4_stereo", trainings[0].output, ("training.seed=7",)))
    start = study.start
    monkeypatch.setattr(
        study, "start", lambda words: Finished(3) if "lst4_mono" in words[1] else start(words)
    )
    failed = study.run_study(trainings)
    assert "training.seed was 7 and is now 1" in failed["lst4_stereo"]
    assert "status 3" in failed["lst4_mono"]
    assert trainings[2].state == "complete"


def test_the_learning_curve_has_parts_of_the_events(study, started, tmp_path, monkeypatch):
    monkeypatch.setattr(study.Training, "n_gammas", lambda _: 1600)
    trainings = study.main_trainings(tmp_path, ["lst4_stereo", "conv4_stereo"])
    assert study.run_study(trainings, learning_curve=True) == {}
    sets = [command[-1] for command in started[2:]]
    assert sets == [f"data.events_per_particle={n}" for n in (100, 200, 400, 800)]
    assert study.curve_training(trainings[0], 16).state == "complete"


def test_an_interruption_ends_with_the_run(study, started, tmp_path, monkeypatch):
    class Interrupted(Finished):
        def wait(self, timeout=None):
            if timeout is not None:
                raise KeyboardInterrupt
            return 130

    monkeypatch.setattr(study, "start", lambda _: Interrupted(130))
    words = ["run", "--runs", str(tmp_path), "--contenders", "lst4_stereo"]
    assert study.main(words) == 130
    assert "hours" in json.loads((tmp_path / "lst4_stereo.json").read_text())


def test_the_true_geometry_is_that_of_the_shower(study, tmp_path):
    settings = {"particle": "gamma", "n_showers": 6, "reuse": 4, "energy": [0.5, 2], "seed": 4}
    path = tmp_path / "gamma.dl1.h5"
    simulate(read_simulation({**settings, "output": str(path)}, "test"), 1, progress=False)
    index = EventIndex.build(
        [path], DataSettings(train=[path], test=[path], channels=[]), parameters=PARAMETERS
    )
    geometry = study.true_geometry(index)
    of_images = geometry[np.asarray(index.images["event"])]
    with TableLoader(path, dl1_images=False, true_parameters=False, simulated=True) as loader:
        truth = loader.read_telescope_events()
    rows = {tuple(row[name] for name in ("obs_id", "event_id", "tel_id")): row for row in truth}
    distance = impact_of_images(index.images, of_images)
    assert len(distance) > 10
    for image, found in zip(index.images, distance, strict=True):
        event = index.events[image["event"]]
        row = rows[event["obs_id"], event["event_id"], image["tel_id"]]
        assert found == pytest.approx(row["true_impact_distance"], abs=0.05)
    assert np.isfinite(geometry["h_max"]).any()
