"""The experiment that is written for a user's files goes with them: it is checked and runs."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tables

from gammalearn.cli import main
from gammalearn.inspection.draft import FileSurvey, choose, draft_text
from gammalearn.settings.reading import load_experiment

pytestmark = pytest.mark.usefixtures("blank_pictures")


def init(*arguments):
    return main(["init", *map(str, arguments), "-q"])


def survey(path="gamma.h5", particle="gamma", n_events=1000, multiplicity=4, **others):
    """A file of events with so many images of LSTs, one with 10 p.e. and others with 100 p.e."""
    n_images = n_events * multiplicity
    intensity = np.full(n_images, 100.0)
    intensity[::multiplicity] = 10
    values = {
        "selectors": frozenset({"LST", "LST_LST_LSTCam"}),
        "types": {"LST_LST_LSTCam": "LST"},
        "rotations": frozenset({0.0, 60.0}),
        "particles": np.full(n_events, particle),
        "energies": (0.05, 5.0),
        "pointings": (70.0, 70.0),
        "event": np.repeat(np.arange(n_events), multiplicity),
        "telescope": np.full(n_images, "LST_LST_LSTCam"),
        "intensity": intensity,
        "has_intensity": True,
        "has_parameters": True,
        "has_peak_time": True,
    }
    return FileSurvey(Path(path), "ctapipe DL1", **(values | others))


def experiment_of(draft, tmp_path):
    path = tmp_path / "made.py"
    path.write_text(draft_text(draft, path))
    return load_experiment(path)


# The files


def test_an_experiment_of_simulated_files_is_checked_and_trains(
    simulated_files, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert init(*simulated_files) == 0
    experiment = load_experiment("experiment.py")
    assert experiment.data.grouping == "stereo" and experiment.data.min_multiplicity == 2
    assert experiment.data.telescopes == ["LST"]
    assert set(experiment.tasks) == {"particle_type", "energy", "direction", "impact"}
    assert main(["check", "experiment.py"]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    fast = ["--fast-dev-run", "-q", "--set", "training.epochs=1", "--set", "network.embedding=8"]
    assert main(["experiment.py", *fast, "-o", "out"]) == 0
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("names", "grouping", "telescopes"),
    [
        # One array has MSTs too, the other has not.
        (["gamma_lsts_run7_7.0.0", "proton_run1_6.0.2"], "stereo", ["LST"]),
        (["proton_run202_prod5"], "stereo", ["LST", "MST"]),
        (["gamma_with_obslevel_particles"], "mono", ["MST"]),
    ],
)
def test_an_experiment_of_real_files_is_checked(dl1, tmp_path, names, grouping, telescopes):
    path = tmp_path / "my.py"
    assert init(*map(dl1, names), "-o", path) == 0
    data = load_experiment(path).data
    assert data.grouping == grouping and data.telescopes == telescopes
    assert main(["check", str(path), "-q"]) == 0


def test_files_of_lstchain(data_dir, tmp_path):
    path = tmp_path / "my.py"
    files = sorted((data_dir / "dl1_lstchain").glob("*_4tel.h5"))
    assert init(*files, "-o", path) == 0
    assert main(["check", str(path), "-q"]) == 0


def test_without_files_the_showers_are_simulated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert init() == 0
    experiment = load_experiment("experiment.py")
    assert [made.output for made in experiment.simulation][:1] == ["data/train/gamma.dl1.h5"]
    assert main(["check", "experiment.py", "-q"]) == 0


def test_a_written_file_is_formatted(dl1, tmp_path):
    assert init(dl1("gamma_lsts_run7_7.0.0"), "-o", tmp_path / "my.py") == 0
    assert init("-o", tmp_path / "simulated.py") == 0
    command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "100", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# What goes with what


def test_stereo_needs_showers_with_several_images(tmp_path):
    for multiplicity, grouping in ((1, "mono"), (4, "stereo")):
        # Where the one image is dim, all images are taken.
        draft = choose([survey(multiplicity=multiplicity)])
        assert experiment_of(draft, tmp_path).data.grouping == grouping
        assert draft.selection.light == (multiplicity > 1)


def test_events_are_counted_after_the_cuts():
    """Of three images one is dim: two are left, and stereo; of two images one is left."""
    for multiplicity, light in ((3, True), (2, False)):
        draft = choose([survey(multiplicity=multiplicity)])
        assert draft.selection.stereo and draft.selection.light == light
        assert draft.events == {"gamma": 1000}


def test_cuts_need_image_parameters(tmp_path):
    draft = choose([survey(has_intensity=False, has_parameters=False)])
    experiment = experiment_of(draft, tmp_path)
    assert experiment.data.cuts.image == []
    assert experiment.network.parameters == [] and not experiment.network.geometry


def test_times_are_used_where_all_files_have_them(tmp_path):
    draft = choose([survey("a.h5"), survey("b.h5", has_peak_time=False)])
    assert experiment_of(draft, tmp_path).data.channels == ["charge"]


def test_tasks_go_with_the_particles(tmp_path):
    gammas, protons = survey("g.h5"), survey("p.h5", "proton")
    both = experiment_of(choose([gammas, protons]), tmp_path).tasks
    assert set(both) == {"particle_type", "energy", "direction", "impact"}
    only = experiment_of(choose([gammas]), tmp_path).tasks
    assert set(only) == {"energy", "direction", "impact"}
    of_protons = experiment_of(choose([protons]), tmp_path).tasks
    assert {tuple(task.particles) for task in of_protons.values()} == {("proton",)}


def test_many_more_protons_have_the_weight_of_the_gammas(tmp_path):
    files = [survey("g.h5"), survey("p.h5", "proton", n_events=5000)]
    assert experiment_of(choose(files), tmp_path).data.weights.balance_particles
    assert not experiment_of(choose(files[:1]), tmp_path).data.weights.balance_particles


def test_some_files_of_each_kind_are_kept_for_the_test():
    files = [survey(f"{name}_{n}.h5", name) for name in ("gamma", "proton") for n in range(5)]
    draft = choose(files)
    assert [path.name for path in draft.test] == ["gamma_4.h5", "proton_4.h5"]
    assert len(draft.train) == 8 and not set(draft.train) & set(draft.test)


def test_files_called_test_are_the_test():
    names = ("a/train/g.h5", "a/test/g.h5", "a/latest/g.h5", "a/p_test_1.h5")
    draft = choose([survey(name) for name in names])
    assert [str(path) for path in draft.test] == ["a/test/g.h5", "a/p_test_1.h5"]


def test_a_single_file_is_trained_and_tested_on_with_a_warning(tmp_path):
    draft = choose([survey()])
    assert draft.train == draft.test == draft.tested_on_training
    assert "WARNING: some test files are training files" in draft_text(draft, tmp_path / "a.py")


def test_few_events_are_used_more_often():
    few, many = (choose([survey(n_events=n)]) for n in (100, 50_000))
    assert few.epochs > many.epochs and few.batch_size < many.batch_size
    assert many.averages and not few.averages


def test_telescopes_that_cannot_be_learned_from_are_left_out(tmp_path):
    both = {
        "selectors": frozenset({"LST", "LST_LST_LSTCam", "SST", "SST_SST_Odd"}),
        "types": {"LST_LST_LSTCam": "LST", "SST_SST_Odd": "SST"},
        "not_learnable": {"SST_SST_Odd": "pixels are of several sizes"},
    }
    draft = choose([survey(**both)])
    assert draft.telescopes == ["LST"]
    assert "# Not used: SST_SST_Odd: pixels are of several sizes" in draft_text(draft, tmp_path)


# Odd and bad input


def test_names_in_files_are_no_code(tmp_path):
    """Of a telescope, a reason and a file, with what ends a comment or a text."""
    odd = 'x"\nimport os; os.mkdir("hacked")\r#\u2028"""\\'
    types = {"LST_LST_LSTCam": odd, "other": "MST"}
    draft = choose(
        [
            survey(
                f"{odd}.h5",
                selectors=frozenset({odd}),
                types=types,
                not_learnable={"other": odd},
            )
        ]
    )
    path = tmp_path / "made.py"
    path.write_text(draft_text(draft, tmp_path / f"{odd}.py"))
    experiment = runpy.run_path(str(path))["experiment"]
    assert experiment.data.telescopes == [odd] and experiment.data.train == [f"{odd}.h5"]
    assert not Path("hacked").exists()


def test_nothing_is_overwritten(dl1, tmp_path, capsys):
    path = tmp_path / "my.py"
    path.write_text("mine")
    assert init(dl1("gamma_lsts_run7_7.0.0"), "-o", path) == 2
    assert "exists; give another name with -o, or --overwrite" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert init(dl1("gamma_lsts_run7_7.0.0"), "-o", path, "--overwrite") == 0
    assert "experiment = Experiment(" in path.read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my.yaml", "must end in .py"),
        ("nowhere/my.py", "does not exist"),
        ("folder.py", "is a directory"),
    ],
)
def test_a_place_that_cannot_be(dl1, tmp_path, name, words, capsys):
    (tmp_path / "folder.py").mkdir()
    assert init(dl1("gamma_lsts_run7_7.0.0"), "-o", tmp_path / name) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aux_traces_2029", "The files hold muons"),
        ("proton_run202_prod5.params_only", "holds no DL1 images"),
        ("nothing", "does not exist"),
    ],
)
def test_files_that_cannot_be_learned_from(dl1, tmp_path, name, words, capsys):
    assert init(dl1(name), "-o", tmp_path / "my.py") == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file(dl1, tmp_path, capsys):
    damaged = tmp_path / "damaged.h5"
    shutil.copy(dl1("gamma_lsts_run7_7.0.0"), damaged)
    damaged.write_bytes(damaged.read_bytes()[:50_000])
    assert init(damaged, "-o", tmp_path / "my.py") == 2
    assert "damaged.h5" in capsys.readouterr().err and not (tmp_path / "my.py").exists()


def test_observed_events_are_reconstructed_not_learned_from(dl1, tmp_path, capsys):
    observed = tmp_path / "observed.h5"
    shutil.copy(dl1("gamma_lsts_run7_7.0.0"), observed)
    with tables.open_file(observed, "a") as file:
        file.remove_node("/simulation", recursive=True)
    assert init(observed, "-o", tmp_path / "my.py") == 2
    error = capsys.readouterr().err
    assert "holds no simulated showers" in error and "gammalearn predict" in error
