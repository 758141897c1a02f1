"""The command line, as a user meets it: runs to the end, or one sentence and exit code 2."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tables
import torch
import yaml
from astropy.table import QTable
from ctapipe.io import TableLoader

from gammalearn import __version__
from gammalearn.checkpoint import export
from gammalearn.cli import main
from gammalearn.cli.words import with_command
from gammalearn.errors import OutputError
from gammalearn.run import experiment
from gammalearn.run.folder import check_folder, opened_folder
from gammalearn.settings import SimulationSettings
from gammalearn.settings.reading import load_experiment
from gammalearn.simulation.record import write_record
from gammalearn.training.module import ReconstructionModule

# Those of `stereo`, which is made before, are drawn.
pytestmark = pytest.mark.usefixtures("blank_pictures")

#: A network that trains in a moment.
SMALL = [
    "training.schedule=constant",
    "network.encoder=conv4",
    "network.widths=[2, 4, 4, 4]",
    "network.embedding=8",
    "network.head=8",
    "training.batch_size=2",
    "training.epochs=2",
    "training.accelerator=cpu",
]


@pytest.fixture(scope="session")
def dl1(data_dir):
    """Path of a ctapipe DL1 file by its short name."""
    return lambda name: str(data_dir / "dl1_ctapipe" / f"{name}.dl1.h5")


@pytest.fixture(scope="session")
def real_files(dl1):
    """Two cameras, several arrays, gammas and protons."""
    names = ("gamma_diffuse_run10_6.0.0", "gamma_lsts_run7_7.0.0", "proton_run1_6.0.2")
    return [dl1(name) for name in names]


def gammalearn(*arguments, settings=()):
    """Run the command line in this process; returns its exit status."""
    words = [str(word) for word in arguments]
    for assignment in settings:
        words += ["--set", assignment]
    return main([*words, "-q"])


@pytest.fixture(scope="session")
def experiments(pytestconfig):
    return pytestconfig.rootpath / "experiment_settings"


@pytest.fixture(scope="session")
def run(experiments, real_files):
    """Run a shipped experiment on the real files, with a small network."""

    def run(output, *flags, name="lst_stereo", train=None, test=None, settings=()):
        return gammalearn(
            experiments / f"{name}.py",
            "--output",
            output,
            *flags,
            settings=[
                *SMALL,
                f"data.train={json.dumps(train or real_files)}",
                f"data.test={json.dumps(test or train or real_files)}",
                *settings,
            ],
        )

    return run


@pytest.fixture(scope="session")
def stereo(run, tmp_path_factory):
    """Results of lst_stereo.py."""
    output = tmp_path_factory.mktemp("runs") / "stereo"
    assert run(output) == 0
    return output


# What a run makes


def test_a_run_makes_everything(stereo, real_files):
    names = {path.relative_to(stereo).as_posix() for path in stereo.rglob("*") if path.is_file()}
    expected = {
        "settings.yaml",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "learning_curves.png",
        "metrics.json",
        "report.html",
        *(f"dl2/{path.split('/')[-1].replace('.dl1.', '.dl2.')}" for path in real_files),
        *(
            f"evaluation/migration_matrix_{quantity}.{kind}"
            for quantity in ("energy", "altitude", "azimuth")
            for kind in ("png", "ecsv")
        ),
    }
    assert expected <= names
    assert not [name for name in names if name.endswith(".part")]
    assert any(name.startswith("tensorboard/events.out.tfevents") for name in names)
    settings = yaml.safe_load((stereo / "settings.yaml").read_text())
    assert settings["data"]["train"] == real_files
    assert settings["training"]["epochs"] == 2


def test_the_report_says_how_few_events_there_are(stereo):
    metrics = json.loads((stereo / "metrics.json").read_text())
    assert metrics["n_events_gamma"] == 6
    assert metrics["n_events_proton"] == 4
    page = (stereo / "report.html").read_text()
    assert "few" in page
    assert "data:image/png;base64," in page


def test_dl2_opens_with_ctapipe_beside_its_dl1(stereo, real_files):
    for path in real_files:
        name = path.split("/")[-1].replace(".dl1.", ".dl2.")
        with TableLoader(path) as dl1, TableLoader(stereo / "dl2" / name) as dl2:
            before = dl1.read_telescope_events(dl1_parameters=True)
            after = dl2.read_telescope_events(dl1_parameters=True, dl2=True)
        for column in ("obs_id", "event_id", "tel_id", "true_energy", "hillas_intensity"):
            np.testing.assert_array_equal(before[column], after[column])
        assert "GammaLearn_energy" in after.colnames


@pytest.mark.parametrize(
    ("name", "train", "settings"),
    [
        ("lst_mono", None, []),
        ("lst_separation", None, []),
        ("lst_stereo", "proton_run202_prod5", []),
        ("lst_stereo", "protons_prod5_merged", ["data.telescopes=null"]),
        ("lst_mono", "protons_prod5_merged", ["data.telescopes=null"]),
    ],
)
def test_other_experiments_and_files(run, dl1, tmp_path, name, train, settings):
    output = tmp_path / "out"
    train = [dl1(train)] if train else None
    few = ["training.epochs=1", "training.batch_size=1"]
    assert run(output, name=name, train=train, settings=[*few, *settings]) == 0
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["n_particle_type_reconstructed"] > 0
    if name != "lst_separation":
        assert (output / "evaluation" / "migration_matrix_energy.png").exists()
    assert metrics["level"] == ("subarray" if name == "lst_stereo" else "telescope")


def test_an_interrupted_run_goes_on(run, stereo, tmp_path, monkeypatch, capsys):
    """And ends with the results of the run of the same seed that nothing interrupted."""
    output = tmp_path / "out"

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # The first epoch is done when the user presses Ctrl-C in the second.
        patch.setattr(
            "gammalearn.training.module.ReconstructionModule.on_train_epoch_start",
            lambda self: interrupt() if self.current_epoch == 1 else None,
        )
        assert run(output) == 130
    assert f"go on with --resume --output {output}" in capsys.readouterr().err
    assert not (output / "metrics.json").exists()
    assert run(output, "--resume") == 0
    assert (output / "metrics.json").read_bytes() == (stereo / "metrics.json").read_bytes()


@pytest.mark.slow
def test_a_finished_run_can_be_trained_longer(run, stereo, tmp_path):
    output = tmp_path / "out"
    assert run(output, settings=["training.epochs=1"]) == 0
    assert run(output, "--resume", settings=["training.epochs=2"]) == 0
    assert (output / "metrics.json").read_bytes() == (stereo / "metrics.json").read_bytes()


def test_fast_dev_run_tries_everything_once(run, tmp_path):
    assert run(tmp_path / "out", "--fast-dev-run", settings=["training.epochs=1000"]) == 0
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("tasks", [None, "tasks=[energy, direction]"])
def test_tasks_by_default_or_by_name_take_settings(real_files, tmp_path, tasks):
    settings = tmp_path / "small.yaml"
    settings.write_text(yaml.safe_dump({"data": {"train": real_files, "test": real_files}}))
    output = tmp_path / "out"
    words = [*SMALL, *([tasks] if tasks else []), "tasks.energy.uncertainty=true"]
    assert gammalearn(settings, "-o", output, "--fast-dev-run", settings=words) == 0
    made = yaml.safe_load((output / "settings.yaml").read_text())["tasks"]
    learnt = {name: task["uncertainty"] for name, task in made.items()}
    others = ["direction"] if tasks else ["particle_type", "direction", "impact"]
    assert learnt == {"energy": True} | dict.fromkeys(others, False)
    with TableLoader(next((output / "dl2").iterdir())) as loader:
        assert "GammaLearn_energy_uncert" in loader.read_subarray_events(dl2=True).colnames


def test_dl2_of_one_batch_is_not_taken_for_done(run, real_files, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(output, "--fast-dev-run") == 0
    checkpoint = next((output / "checkpoints").glob("*.ckpt"))
    assert gammalearn("predict", checkpoint, *real_files, "-o", output / "dl2") == 2
    assert "exists, and was not made of all of" in capsys.readouterr().err


def test_overwrite_replaces_results_and_nothing_else(run, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(output, settings=["training.epochs=1", "tasks=[energy]"]) == 0
    assert (output / "evaluation" / "migration_matrix_energy.png").exists()
    assert run(output, "--overwrite", settings=["training.epochs=1", "tasks=[particle_type]"]) == 0
    assert not (output / "evaluation" / "migration_matrix_energy.png").exists()
    (output / "thesis.tex").write_text("years of work")
    assert run(output, "--overwrite") == 2
    assert "thesis.tex" in capsys.readouterr().err
    assert (output / "metrics.json").exists()


# The other commands


def test_lr_range(experiments, real_files, tmp_path, capsys, refused):
    output = tmp_path / "range"
    data = [f"data.train={json.dumps(real_files)}", "training.schedule=one_cycle"]
    command = ["lr-range", experiments / "lst_stereo.py", "-o", output, "--lowest", "1e-5"]
    assert gammalearn(*command, "--steps", "30", settings=[*SMALL, *data]) == 0
    assert "lr_range.png" in capsys.readouterr().out
    names = {path.name for path in output.iterdir()}
    assert names == {"lr_range.png", "lr_range.ecsv", "settings.yaml"}
    table = QTable.read(output / "lr_range.ecsv")
    assert 10 < len(table) <= 30 and table["learning_rate"][0] == 1e-5
    assert gammalearn(*command, settings=[*SMALL, *data]) == 2
    assert "exists" in capsys.readouterr().err
    command[3] = tmp_path / "out"
    refused(gammalearn(*command, "--highest", "1e-6", settings=[*SMALL, *data]), "increasing step")


def test_predict_gives_the_dl2_of_the_run(stereo, real_files, tmp_path):
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    assert gammalearn("predict", checkpoint, *real_files, "-o", tmp_path / "dl2") == 0
    for name in sorted(path.name for path in (stereo / "dl2").iterdir()):
        tables_ = []
        for folder in (stereo / "dl2", tmp_path / "dl2"):
            with tables.open_file(folder / name) as file:
                tables_.append(file.root.dl2.event.subarray.energy.GammaLearn[:].tobytes())
        assert tables_[0] == tables_[1]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "dl2").iterdir()}
    again = ["predict", checkpoint, *real_files, "-o", tmp_path / "dl2"]
    assert gammalearn(*again) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "they are not made anew"
    assert gammalearn(*again, "--overwrite") == 0
    assert all(path.stat().st_mtime_ns > time for path, time in before.items())


def test_predict_in_parts(stereo, real_files, tmp_path, capsys):
    """Each input is in one part, in whatever order they come; a part may have none."""
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    capsys.readouterr()
    parts = []
    for number, files in enumerate((real_files, real_files[::-1]), 1):
        assert (
            gammalearn("predict", checkpoint, *files, "-o", tmp_path, "--shard", f"{number}/2") == 0
        )
        parts.append([Path(line).name for line in capsys.readouterr().out.split()])
    names = sorted(path.name for path in (stereo / "dl2").iterdir())
    assert parts == [names[::2], names[1::2]]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert gammalearn("predict", checkpoint, *real_files, "-o", tmp_path, "--shard", "4/4") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1/0", "1", "-1/3", "a/b", "1/2/3"])
def test_a_part_that_is_none(stereo, real_files, tmp_path, shard, capsys):
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    with pytest.raises(SystemExit) as raised:
        gammalearn("predict", checkpoint, *real_files, "-o", tmp_path / "out", f"--shard={shard}")
    assert raised.value.code == 2
    assert f"expected I/N with I from 1 to N, such as 1/8, got {shard}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dl2_of_another_origin_is_not_taken_for_done(stereo, real_files, dl1, tmp_path, capsys):
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    other = tmp_path / Path(real_files[1]).name
    shutil.copy(dl1("proton_run1_7.0.0"), other)
    assert gammalearn("predict", checkpoint, real_files[1], "-o", tmp_path / "dl2") == 0
    capsys.readouterr()
    longer = tmp_path / "longer.ckpt"
    torch.save(torch.load(checkpoint, weights_only=True) | {"epoch": 99}, longer)
    for arguments in ((longer, real_files[1]), (checkpoint, other)):
        assert gammalearn("predict", *arguments, "-o", tmp_path / "dl2") == 2
        assert "exists, and was not made of" in capsys.readouterr().err


@pytest.mark.slow
def test_predict_that_is_killed(stereo, real_files, tmp_path):
    """Only whole files have their names, and the rerun does what is missing."""
    checkpoint, output = stereo / "checkpoints" / "best.ckpt", tmp_path / "dl2"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "predict", checkpoint, *real_files, "-o", output, "-q"]
    )
    assert killed.returncode == -signal.SIGKILL
    whole = sorted((stereo / "dl2").iterdir())
    (done,) = output.glob("*.dl2.h5")
    before = done.stat().st_mtime_ns
    assert gammalearn("predict", checkpoint, *real_files, "-o", output) == 0
    assert sorted(path.name for path in output.iterdir()) == [path.name for path in whole]
    assert done.stat().st_mtime_ns == before
    for path in whole:
        with tables.open_file(path) as one, tables.open_file(output / path.name) as other:
            node = "/dl2/event/subarray/energy/GammaLearn"
            assert one.get_node(node)[:].tobytes() == other.get_node(node)[:].tobytes()


#: A prediction that is killed while it writes its second file.
KILLED = """
import os, signal, sys
from gammalearn.cli import main
from gammalearn.dl2 import writer

add = writer._add_dl2

def kill_second(part, *others):
    add(part, *others)
    if any(not name.startswith(".") for name in os.listdir(part.parent)):
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()

writer._add_dl2 = kill_second
main(sys.argv[1:])
"""


def test_evaluate_gives_the_metrics_of_the_run(stereo, tmp_path):
    files = sorted((stereo / "dl2").iterdir(), key=lambda path: path.name)
    assert gammalearn("evaluate", *files, "-o", tmp_path / "out") == 0
    again = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert again == json.loads((stereo / "metrics.json").read_text())


def test_evaluate_of_no_files_says_what_can_be_done(tmp_path, refused):
    """There is no setting DL2 that could be set."""
    nothing = f"{tmp_path}/*.dl2.h5"
    status = gammalearn("evaluate", nothing, "-o", tmp_path / "out")
    refused(status, f"no file matches '{nothing}'", "with `gammalearn predict`, or name others.\n")


def test_energies_of_an_evaluation_have_units(stereo, tmp_path, refused):
    files = f"{stereo}/dl2/*.h5"
    made = {}
    for name, energies in (("text", "[50 GeV, 5000000 MeV]"), ("numbers", "[0.05, 5]")):
        assert (
            gammalearn(
                "evaluate",
                files,
                "-o",
                tmp_path / name,
                settings=[f"evaluation.energy_range={energies}"],
            )
            == 0
        )
        made[name] = (tmp_path / name / "metrics.json").read_bytes()
        table = QTable.read(tmp_path / name / "evaluation" / "energy_resolution.ecsv")
        edges = [*table["true_energy_low"].to_value("TeV"), *table["true_energy_high"][-1:].value]
        np.testing.assert_allclose(edges[:1] + edges[-1:], [0.05, 5])
    assert made["text"] == made["numbers"]
    for energies, words in (("[50 m, 5 TeV]", "a unit like it"), ("[5 TeV, 50 GeV]", "increasing")):
        settings = [f"evaluation.energy_range={energies}"]
        status = gammalearn("evaluate", files, "-o", tmp_path / "out", settings=settings)
        refused(status, "evaluation.energy_range", words)


def test_evaluate_takes_globs_and_each_file_once(stereo, tmp_path):
    inputs = [f"{stereo}/dl2/*.h5", next((stereo / "dl2").iterdir())]
    assert gammalearn("evaluate", *inputs, "-o", tmp_path / "out") == 0
    again = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert again == json.loads((stereo / "metrics.json").read_text())


def test_info(stereo, dl1, capsys):
    assert gammalearn("info", dl1("proton_run202_prod5")) == 0
    text = capsys.readouterr().out
    for words in ("v7.1.0", "4 telescopes", "15 telescopes", "1764 pixels", "30 images"):
        assert words in text
    assert "6 events, 0.0762 to 8.5 TeV" in text
    assert gammalearn("info", stereo / "checkpoints" / "best.ckpt") == 0
    text = capsys.readouterr().out
    for words in ("particle_type, energy, direction, impact", "conv4", "stereo", "1855 pixels"):
        assert words in text
    assert gammalearn("info", *(stereo / "dl2").iterdir()) == 0
    assert "DL2 subarray energy" in capsys.readouterr().out


def test_info_on_several_files_is_a_table(dl1, capsys):
    assert gammalearn("info", dl1("proton_run202_prod5"), dl1("gamma_lsts_run7_7.0.0")) == 0
    assert "Can be learned" in capsys.readouterr().out


def test_show(dl1, tmp_path, capsys):
    picture = tmp_path / "event.png"
    assert gammalearn("show", dl1("proton_run201_prod5"), "--event", "8615", "-o", picture) == 0
    assert picture.exists() and capsys.readouterr().out == f"{picture}\n"
    assert gammalearn("show", dl1("proton_run201_prod5"), "--event", "8615", "-o", picture) == 2


def test_info_counts_telescopes_of_one_name_apart(dl1, capsys):
    assert gammalearn("info", dl1("gamma_diffuse_run10_6.0.0")) == 0
    text = capsys.readouterr().out
    assert re.search(r"LSTN-design 2-4 +3 telescopes, 1855 pixels", text)
    assert re.search(r"LSTN-design 1 +1 telescope, 1855 pixels", text)


def test_help_and_version(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for words in ("predict", "evaluate", "simulate", "info", "examples:"):
        assert words in text
    for flags, words in (
        (["--version"], __version__),
        (["run", "--help"], "--fast-dev-run"),
        (["simulate", "--help"], "default: lst4"),
    ):
        with pytest.raises(SystemExit) as raised:
            main(flags)
        assert raised.value.code == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["e.py"], ["run", "e.py"]),
        (["run", "e.py"], ["run", "e.py"]),
        (["-q", "e.py"], ["run", "-q", "e.py"]),
        (["-v", "info", "a.h5"], ["info", "-v", "a.h5"]),
        (["--set", "a=1", "e.py"], ["run", "--set", "a=1", "e.py"]),
        (["e.py", "--output", "predict"], ["run", "e.py", "--output", "predict"]),
        (["--version"], ["--version"]),
        ([], []),
    ],
)
def test_settings_are_short_for_run_settings(arguments, expected):
    assert with_command(arguments, {"run", "predict", "evaluate", "info"}) == expected


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("trian", "run"), ("evalute", "evaluate"), ("lr_range", "lr-range"), ("Predict", "predict")],
)
def test_a_misspelt_command_names_the_nearest(word, nearest, capsys):
    assert main([word, "e.py", "-o", "out"]) == 2
    error = capsys.readouterr().err
    assert f"no command '{word}': did you mean '{nearest}'?" in error
    assert error.count("\n") == 1


def test_what_is_like_no_command_is_told_them_all(capsys):
    assert main(["xyzzy"]) == 2
    error = capsys.readouterr().err
    assert "did you mean" not in error and "lr-range, models, observe, predict" in error


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "gammalearn", "info", "nothing.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "gammalearn: The file 'nothing.h5' does not exist.\n"


# Simulation

#: The least that has to be said.
SIMULATE = ["simulate", "--particle", "gamma", "--n-showers", "5", "--energy", "50GeV", "5TeV"]


@pytest.fixture
def simulations(monkeypatch, dl1):
    """Settings and options of the simulations that were asked for, made by copying a real file."""
    asked = []

    def simulate(settings, processes=1, overwrite=False, progress=True):
        asked.append((settings, processes, overwrite))
        path = Path(settings.output)
        path.parent.mkdir(parents=True, exist_ok=True)
        source = "proton_run1_6.0.2" if settings.particle == "proton" else "gamma_lsts_run7_7.0.0"
        part = path.with_suffix(".part")
        shutil.copyfile(dl1(source), part)
        with tables.open_file(part, "a") as file:
            write_record(file, settings)
        part.replace(path)
        return path

    monkeypatch.setattr("gammalearn.simulation.production.simulate", simulate)
    return asked


def test_simulate(simulations, tmp_path, capsys):
    path = tmp_path / "gamma.dl1.h5"
    options = "--array lst1 --spectral-index -2.5 --viewcone 2deg --scatter 0.3km --reuse 5 "
    options += "--zenith 30deg --azimuth -90deg --min-telescopes 1 --seed 7 --run 8 "
    options += "-j 2 --overwrite"
    assert gammalearn(*SIMULATE, *options.split(), "-o", path) == 0
    assert capsys.readouterr().out == f"{path}\n"
    ((settings, processes, overwrite),) = simulations
    assert settings == SimulationSettings(
        output=path,
        particle="gamma",
        array="lst1",
        n_showers=5,
        energy=(0.05, 5),
        spectral_index=-2.5,
        viewcone=2,
        scatter=300,
        reuse=5,
        zenith=30,
        azimuth=-90,
        min_telescopes=1,
        seed=7,
        run=8,
    )
    assert (processes, overwrite) == (2, True)


def test_simulate_has_the_defaults_of_the_settings(simulations, tmp_path):
    path = tmp_path / "gamma.dl1.h5"
    assert gammalearn(*SIMULATE, "-o", path) == 0
    ((settings, processes, overwrite),) = simulations
    assert settings == SimulationSettings(
        output=path, particle="gamma", n_showers=5, energy=(0.05, 5)
    )
    assert processes >= 1
    assert not overwrite


def test_simulate_takes_the_earlier_option(simulations, tmp_path, capsys):
    path = tmp_path / "gamma.dl1.h5"
    assert gammalearn(*SIMULATE, "-o", path, "--index", "-2.5") == 0
    ((settings, _, _),) = simulations
    assert settings.spectral_index == -2.5
    assert gammalearn(*SIMULATE, "-o", path, "--index", "-2", "--spectral-index", "-2") == 2
    assert "leave out simulation.index" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        gammalearn("simulate", "--help")
    assert "--index" not in capsys.readouterr().out


def test_an_interrupted_simulation_leaves_nothing(monkeypatch, tmp_path, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gammalearn.simulation.production.simulate", interrupt)
    assert gammalearn(*SIMULATE, "-o", tmp_path / "gamma.dl1.h5") == 130
    assert capsys.readouterr().err == "gammalearn: interrupted; no file was written.\n"


@pytest.fixture
def bare_machine(experiments, tmp_path, monkeypatch):
    """Run a shipped experiment, with a small network, where there is no data."""
    monkeypatch.chdir(tmp_path)

    def run(*flags, settings=()):
        small = [*SMALL, "training.epochs=1", *settings]
        return gammalearn(experiments / "lst_stereo.py", "-o", "out", *flags, settings=small)

    return run


def test_a_run_on_a_bare_machine_simulates_first(bare_machine, simulations, tmp_path, refused):
    names = [
        f"data/{part}/{particle}.dl1.h5"
        for part in ("train", "test")
        for particle in ("gamma", "proton")
    ]
    assert bare_machine("--fast-dev-run") == 0
    assert [settings.output for settings, *_ in simulations] == names
    assert (tmp_path / "out" / "report.html").exists()
    settings = load_experiment(tmp_path / "out" / "settings.yaml")
    assert settings.simulation == [settings for settings, *_ in simulations]
    # A later run keeps them, and does not take them for others.
    shutil.rmtree("out")
    status = bare_machine(settings=["simulation.0.energy=[30 GeV, 1 TeV]"])
    refused(status, "data/train/gamma.dl1.h5", "energy was [0.03, 5.0] and is now [0.03, 1.0]")
    assert len(simulations) == 4


def test_simulated_showers_are_learnt_from_end_to_end(bare_machine, tmp_path):
    few = [
        setting
        for n, n_showers in enumerate([6, 30])
        for setting in (
            f"simulation.{n}.n_showers={n_showers}",
            f"simulation.{n}.scatter=150 m",
            f"simulation.{n}.energy=[300 GeV, 1 TeV]",
        )
    ]
    # Learnt from and tested on the same two files: two are quicker to simulate than four.
    assert bare_machine(settings=[*few, "data.test=data/train/*.dl1.h5"]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["n_events_gamma"] > 0
    assert metrics["n_events_proton"] > 0


def test_a_wrong_output_or_machine_is_refused_before_the_simulation(bare_machine, simulations):
    Path("out").mkdir()
    assert bare_machine() == 2
    Path("out").rmdir()
    assert bare_machine(settings=["training.accelerator=abacus"]) == 2
    assert bare_machine(settings=["tasks=[enrgy]"]) == 2
    assert bare_machine(settings=["data.test=nowhere/*.h5"]) == 2
    assert simulations == []


def test_an_interrupted_run_says_how_to_go_on(bare_machine, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gammalearn.simulation.production.simulate", interrupt)
    assert bare_machine() == 130
    error = capsys.readouterr().err
    assert "data/train/gamma.dl1.h5" in error
    assert "run the same again" in error


# Bad input: one clear sentence, exit code 2, nothing written


@pytest.fixture
def refused(tmp_path, capsys):
    """Check that a command was refused with a sentence that says these words."""

    def check(status, *words, output=tmp_path / "out"):
        error = capsys.readouterr().err
        assert status == 2, error
        assert error.startswith("gammalearn: ")
        assert error.count("\n") == 1, error
        assert "Traceback" not in error
        for word in words:
            assert str(word) in error
        assert not output.exists()

    return check


def test_missing_file(run, tmp_path, refused):
    for where in ("train", "test"):
        status = run(tmp_path / "out", **{where: ["nowhere/gamma.dl1.h5"]})
        refused(status, "data.", "nowhere/gamma.dl1.h5", "does not exist")


def test_no_match(run, tmp_path, refused):
    status = run(tmp_path / "out", train=[f"{tmp_path}/*.dl1.h5"])
    refused(status, "data.train", "no file matches", "gammalearn simulate")


def test_directory(run, data_dir, tmp_path, refused):
    status = run(tmp_path / "out", train=[str(data_dir)])
    refused(status, "data.train", "is a directory")


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.9])
def test_truncated_file(run, dl1, tmp_path, refused, fraction):
    data = Path(dl1("gamma_lsts_run7_7.0.0")).read_bytes()
    part = tmp_path / "part.dl1.h5"
    part.write_bytes(data[: int(fraction * len(data))])
    status = run(tmp_path / "out", train=[str(part)])
    refused(status, "part.dl1.h5", "truncated")


def test_text_file(run, tmp_path, refused):
    path = tmp_path / "text.dl1.h5"
    path.write_text("not HDF5")
    refused(run(tmp_path / "out", train=[str(path)]), "text.dl1.h5", "HDF5")


def test_file_of_a_newer_ctapipe(run, dl1, tmp_path, refused):
    path = tmp_path / "new.dl1.h5"
    shutil.copy(dl1("gamma_lsts_run7_7.0.0"), path)
    path.chmod(0o644)
    with tables.open_file(path, "a") as file:
        geometry = file.root.configuration.instrument.telescope.camera.geometry_0
        geometry.attrs["TAB_VER"] = "99.0"
    refused(run(tmp_path / "out", train=[str(path)]), "new.dl1.h5", "newer ctapipe")
    refused(gammalearn("info", path), "new.dl1.h5", "newer ctapipe")
    # Where the file says who made it, that is what has to be installed.
    with tables.open_file(path, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        file.root._v_attrs["CTA ACTIVITY SOFTWARE NAME"] = "ctapipe"
        file.root._v_attrs["CTA ACTIVITY SOFTWARE VERSION"] = "99.1.0"
    refused(gammalearn("info", path), "made by ctapipe 99.1.0", "install ctapipe 99.1.0 or newer")


def rewritten(source, path, change):
    """A copy of a file after ``change(file)`` has been at it."""
    shutil.copy(source, path)
    path.chmod(0o644)
    with tables.open_file(path, "a") as file:
        change(file)
    return path


def test_file_of_a_newer_data_model(run, dl1, tmp_path, refused):
    """Whose tables have moved, or have other columns."""

    def move(file):
        file.root._v_attrs["CTA PRODUCT DATA MODEL VERSION"] = "v10.0.0"
        file.root.dl1.event.subarray.trigger._f_rename("triggers")

    def rename(file):
        file.root._v_attrs["CTA PRODUCT DATA MODEL VERSION"] = "v10.0.0"
        layout = file.root.configuration.instrument.subarray.layout
        layout._f_rename("telescopes")

    for change in (move, rename):
        path = rewritten(dl1("gamma_lsts_run7_7.0.0"), tmp_path / "new.dl1.h5", change)
        told = "new.dl1.h5", "newer ctapipe", "v10.0.0", "install"
        refused(run(tmp_path / "out", train=[str(path)]), *told)
        refused(gammalearn("info", path), *told)


def test_damaged_file_is_not_called_newer(dl1, tmp_path, capsys):
    def rename(file):
        file.root.configuration.instrument.subarray.layout._f_rename("telescopes")

    path = rewritten(dl1("gamma_lsts_run7_7.0.0"), tmp_path / "x.dl1.h5", rename)
    assert gammalearn("info", path) == 2
    told = capsys.readouterr().err
    assert "is damaged" in told and "newer" not in told


def test_file_of_an_old_ctapipe(run, data_dir, tmp_path, refused):
    path = data_dir / "dl1_old" / "aict_cta_protons.dl1.h5"
    told = str(path), "holds image parameters only", "data model v1.0.0", "make it again"
    refused(run(tmp_path / "out", train=[str(path)]), *told)
    refused(gammalearn("info", path), *told)


def test_file_of_service_tables_alone(run, dl1, tmp_path, refused):
    def remove(file):
        file.remove_node("/dl1/event", recursive=True)
        file.create_group("/dl1/service", "statistics", createparents=True)

    path = rewritten(dl1("gamma_lsts_run7_7.0.0"), tmp_path / "service.dl1.h5", remove)
    refused(run(tmp_path / "out", train=[str(path)]), "service.dl1.h5", "holds no events")
    refused(gammalearn("info", path), "service.dl1.h5", "holds no events")


def test_data_frame_of_pandas(tmp_path, refused):
    """As `DataFrame.to_hdf` lays it out: a group with axes and blocks."""
    for command, level in (("info", "dl1"), ("info", "dl2"), ("evaluate", "dl2")):
        path = tmp_path / f"{command}_{level}.h5"
        with tables.open_file(path, "w") as file:
            where = f"/{level}/event/telescope/parameters/LST_LSTCam"
            for name in ("axis0", "axis1", "block0_items", "block0_values"):
                file.create_array(where, name, np.arange(3), createparents=True)
            file.get_node(where)._v_attrs["pandas_type"] = "frame"
        more = ["-o", tmp_path / "out"] if command == "evaluate" else []
        refused(gammalearn(command, path, *more), path.name, "written by pandas", "lstchain")


def test_file_without_images(run, dl1, tmp_path, refused):
    status = run(tmp_path / "out", train=[dl1("proton_run202_prod5.params_only")])
    refused(status, "params_only", "no DL1 images", "--write-images")


def test_file_without_events(run, dl1, tmp_path, refused):
    path = tmp_path / "empty.dl1.h5"
    shutil.copy(dl1("gamma_lsts_run7_7.0.0"), path)
    path.chmod(0o644)
    with tables.open_file(path, "a") as file:
        for table in list(file.walk_nodes("/dl1/event", "Table")):
            table.remove_rows()
        for table in list(file.walk_nodes("/simulation/event", "Table")):
            table.remove_rows()
    refused(run(tmp_path / "out", train=[str(path)]), "empty.dl1.h5", "no events")


@pytest.mark.parametrize("selector", [99, "SST", "LSTCam"])
def test_telescopes_not_in_the_file(run, tmp_path, refused, selector):
    status = run(tmp_path / "out", settings=[f"data.telescopes=[{selector}]"])
    refused(status, "data.telescopes", selector, "gamma_diffuse_run10_6.0.0", "LSTN-design")


@pytest.mark.parametrize("cut", ["image=hillas_intensity > 1e9", "event=true_energy > 1000"])
def test_cut_that_removes_every_event(run, tmp_path, refused, cut):
    status = run(tmp_path / "out", settings=[f"data.cuts.{cut}"])
    refused(status, "leaves no event", cut.split("=")[1], "data.cuts")


def test_cut_that_cannot_be_evaluated(run, tmp_path, refused):
    status = run(tmp_path / "out", settings=["data.cuts.image=hillas_intensty > 50"])
    refused(status, "hillas_intensty", "did you mean hillas_intensity")
    status = run(tmp_path / "out", settings=["data.cuts.image=intensity > 50"])
    refused(status, "'intensity'", "did you mean hillas_intensity or ")


def test_a_telescope_without_slot(run, dl1, tmp_path, refused):
    """In training files, and in test files of an array of which others have triggered."""
    few = ["training.batch_size=1", "data.telescopes=null", "network.fusion=concatenation"]
    files = {"train": [dl1("gamma_diffuse_run10_6.0.0")], "test": [dl1("proton_run1_6.0.2")]}
    for slots, name, missing in (
        ([2, 3, 6, 7, 9, 10, 12], "gamma_diffuse_run10_6.0.0", 13),
        ([2, 3, 6, 7, 9, 10, 12, 13, 1, 4], "proton_run1_6.0.2", 8),
    ):
        status = run(tmp_path / "out", **files, settings=[*few, f"network.telescopes={slots}"])
        refused(status, name, f"telescope {missing}, which has no slot", "data.telescopes")


def test_unknown_task(run, tmp_path, refused):
    status = run(tmp_path / "out", settings=["tasks=[energy, directoin]"])
    refused(status, "tasks.directoin", "did you mean 'direction'?")


def test_output_folder_that_exists(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert run(tmp_path / "out") == 2
    assert "exists" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_output_that_is_a_file(run, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert run(tmp_path / "out") == 2
    assert "is a file" in capsys.readouterr().err


def test_dl2_where_it_cannot_be_is_refused_before_anything_is_read(
    stereo, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    (tmp_path / "text.dl1.h5").write_text("not read")
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    predict = ["predict", checkpoint, tmp_path / "text.dl1.h5", "-o"]
    for output in ("file", "file/dl2"):
        assert gammalearn(*predict, tmp_path / output) == 2
        assert "file' is a file; give another folder" in capsys.readouterr().err
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert gammalearn(*predict, tmp_path / "new" / "dl2") == 2
    assert f"as you may not write to '{tmp_path}'" in capsys.readouterr().err


def test_wrong_setting(run, tmp_path, refused):
    status = run(tmp_path / "out", settings=["training.epochs=some"])
    refused(status, "training.epochs", "valid integer")


def test_settings_file_that_does_not_exist(tmp_path, refused):
    refused(gammalearn("nothing.py", "--output", tmp_path / "out"), "nothing.py", "does not exist")


def test_nothing_to_resume(run, tmp_path, refused):
    refused(run(tmp_path / "out", "--resume"), "no run to resume")


def test_resume_with_other_settings(run, stereo, capsys):
    before = sorted(stereo.rglob("*"))
    assert run(stereo, "--resume", settings=["network.embedding=16"]) == 2
    assert "network.embedding was 8 and is now 16" in capsys.readouterr().err
    assert sorted(stereo.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"network: [8,", b"\xff\xfe", b"network"])
def test_resume_with_damaged_settings(run, tmp_path, capsys, content):
    (tmp_path / "settings.yaml").write_bytes(content)
    assert run(tmp_path, "--resume") == 2
    assert f"settings.yaml of '{tmp_path}' is damaged" in capsys.readouterr().err


def test_another_camera_than_the_network_knows(run, stereo, dl1, tmp_path, refused):
    """A network of LSTs does not read a FlashCam, though the file has LSTs too."""
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    for name in ("aux_traces_2029", "gamma_with_obslevel_particles"):
        status = gammalearn("predict", checkpoint, dl1(name), "-o", tmp_path / "out")
        refused(status, name, "data.telescopes")
    status = run(
        tmp_path / "out", test=[dl1("proton_run202_prod5")], settings=["data.telescopes=null"]
    )
    refused(status, "proton_run202_prod5", "FlashCam", "not trained on")


@pytest.mark.parametrize("kind", ["missing", "directory", "text", "truncated", "hdf5", "names"])
def test_bad_checkpoint(stereo, dl1, tmp_path, refused, kind):
    path = tmp_path / "bad.ckpt"
    if kind == "directory":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "truncated":
        data = (stereo / "checkpoints" / "best.ckpt").read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif kind == "hdf5":
        shutil.copy(dl1("gamma_lsts_run7_7.0.0"), path)
    elif kind == "names":
        # In the table of contents at the end, whose names torch says are UTF-8.
        data = bytearray((stereo / "checkpoints" / "best.ckpt").read_bytes())
        entry = data.rindex(b"PK\x01\x02")
        data[entry + 46] = 0xFF
        path.write_bytes(data)
    status = gammalearn("predict", path, dl1("gamma_lsts_run7_7.0.0"), "-o", tmp_path / "out")
    refused(status, "bad.ckpt")
    if kind != "missing":
        refused(gammalearn("info", path), "bad.ckpt")


def test_evaluate_refuses_what_is_not_dl2(dl1, tmp_path, refused):
    for path, words in (
        ("nothing.dl2.h5", "does not exist"),
        (tmp_path, "directory"),
        (dl1("gamma_lsts_run7_7.0.0"), "DL2"),
    ):
        refused(gammalearn("evaluate", path, "-o", tmp_path / "out"), words)


def test_a_network_is_exported_beside_its_checkpoint(stereo, tmp_path, monkeypatch, capsys):
    written = []

    def export_onnx(trained, path, overwrite):
        written.append((path, trained.epoch, overwrite))
        return path

    monkeypatch.setattr(export, "export_onnx", export_onnx)
    checkpoint = shutil.copy(stereo / "checkpoints" / "last.ckpt", tmp_path)
    assert main(["export", str(checkpoint)]) == 0
    assert main(["export", str(checkpoint), "-o", str(tmp_path / "net.onnx"), "--overwrite"]) == 0
    assert written == [(tmp_path / "last.onnx", 2, False), (tmp_path / "net.onnx", 2, True)]
    assert str(tmp_path / "last.onnx") in capsys.readouterr().out


def test_two_inputs_of_one_name(stereo, dl1, tmp_path, refused):
    copy = tmp_path / "gamma_lsts_run7_7.0.0.dl1.h5"
    shutil.copy(dl1("gamma_lsts_run7_7.0.0"), copy)
    checkpoint = stereo / "checkpoints" / "best.ckpt"
    inputs = [dl1("gamma_lsts_run7_7.0.0"), copy]
    status = gammalearn("predict", checkpoint, *inputs, "-o", tmp_path / "out")
    refused(status, "would both become gamma_lsts_run7_7.0.0.dl2.h5")


@pytest.mark.parametrize("setting", ["accelerator=tpu", "devices=[7]", "accelerator=abacus"])
def test_a_machine_that_is_not_there(run, tmp_path, refused, setting):
    refused(run(tmp_path / "out", settings=[f"training.{setting}"]), "training", "machine")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("training.devices=999", "training.devices=999 is more than the"),
        ("training.nodes=2", "training.nodes=2 needs processes on each node"),
        (
            "training.early_stopping=3 data.validation_fraction=0",
            "training.early_stopping follows the validation loss",
        ),
        (
            "training.schedule=plateau data.validation_fraction=0.01 data.events_per_particle=1",
            "data.validation_fraction=0.01 leaves none of 2 events",
        ),
        ('tasks={"energy":{"particles":["electron"]}}', "No task (energy) has a training event"),
        ("data.grouping=mono data.min_multiplicity=2", "min_multiplicity=2 leaves no event"),
        ("data.telescopes=[1] data.min_multiplicity=2", "data.min_multiplicity"),
    ],
)
def test_settings_that_cannot_work(run, tmp_path, refused, settings, words):
    refused(run(tmp_path / "out", settings=settings.split()), words)


def test_a_batch_of_more_events_than_there_are_is_one_batch(
    experiments, real_files, tmp_path, capsys
):
    output, words = tmp_path / "out", []
    data = [f"data.{part}={json.dumps(real_files)}" for part in ("train", "test")]
    for setting in (*SMALL, *data, "training.batch_size=64", "training.epochs=1"):
        words += ["--set", setting]
    assert main([str(experiments / "lst_stereo.py"), "-o", str(output), *words]) == 0
    said = capsys.readouterr().err
    assert said.count("batch_size=64 is more than the 3 training events: one batch has them") == 1
    state = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 1


def test_a_schedule_that_is_done_says_how_to_learn_more(run, tmp_path, capsys):
    """The name that it gives to begin with can be used."""
    output, settings = tmp_path / "out", ["training.schedule=one_cycle", "training.epochs=1"]
    assert run(output, settings=settings) == 0
    capsys.readouterr()
    settings[-1] = "training.epochs=2"
    assert run(output, "--resume", settings=settings) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "planned for 1 epochs, not for 2" in error
    (initial,) = re.findall(r"training\.initial='([^']+)'", error)
    assert run(tmp_path / "more", settings=[*settings, f"training.initial={initial}"]) == 0


def test_another_network_to_begin_with(run, stereo, tmp_path, refused):
    settings = [f"training.initial={stereo / 'checkpoints' / 'best.ckpt'}"]
    status = run(tmp_path / "out", settings=[*settings, "training.frozen=[encoder]"])
    refused(status, "training.frozen: the network has no part 'encoder'")
    status = run(tmp_path / "out", settings=[*settings, "network.embedding=16"])
    refused(status, "training.initial: nothing of", "fits this network")
    refused(
        run(tmp_path / "out", settings=["training.initial=no.ckpt"]), "'no.ckpt' does not exist"
    )
    assert run(tmp_path / "out", settings=[*settings, "training.frozen=[encoders]"]) == 0
    assert "trained before" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_that_is_told_to_end(run, tmp_path, slurm, monkeypatch, capsys):
    """SIGTERM ends with what to do and the status that shells expect; a job of SLURM that starts
    again goes on by itself."""
    original = ReconstructionModule.training_step

    def training_step(self, batch, number):
        if (self.current_epoch, number) == (1, 0):
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(ReconstructionModule, "training_step", training_step)
        assert run(tmp_path / "out") == 128 + signal.SIGTERM
    assert f"interrupted; go on with --resume --output {tmp_path}" in capsys.readouterr().err
    before = (tmp_path / "out" / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_JOB_ID", "4712")
        for count in ("0", "1"):
            patch.setenv("SLURM_RESTART_COUNT", count)
            assert run(tmp_path / "out") == 2, "another job does not go on unasked"
            assert "exists" in capsys.readouterr().err
    assert (tmp_path / "out" / "checkpoints" / "best.ckpt").stat().st_mtime_ns == before
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run(tmp_path / "out") == 0
    assert (tmp_path / "out" / "report.html").exists()


def test_a_job_that_starts_again_replaces_what_it_was_to_replace(
    run, stereo, tmp_path, slurm, monkeypatch
):
    """It is preempted before it opens the folder of an earlier job, and again in its training."""
    output = shutil.copytree(stereo, tmp_path / "out")
    (output / "slurm_job.txt").write_text("4700_1\n")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
    of_the_earlier = (stereo / "checkpoints" / "last.ckpt").read_bytes()

    def preempted(stage):
        with monkeypatch.context() as patch:
            patch.setattr(experiment, stage, lambda *_, **__: os.kill(os.getpid(), signal.SIGUSR1))
            settings = ["training.epochs=1", "training.seed=7"]
            assert run(output, "--overwrite", settings=settings) == 128 + signal.SIGUSR1
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        last = output / "checkpoints" / "last.ckpt"
        return last.read_bytes() if last.exists() else None

    assert preempted("index_training") == of_the_earlier
    made = preempted("reconstruct")
    assert made != of_the_earlier
    assert (output / "slurm_job.txt").read_text() == "4700_11\n"
    assert preempted("reconstruct") == made, "its own it goes on with"


@pytest.mark.parametrize("stage", ["index_training", "reconstruct"])
def test_a_job_is_queued_again_whatever_it_does(run, tmp_path, slurm, monkeypatch, capsys, stage):
    """Before anything is learnt, and when all is; it then does what is missing."""
    original = getattr(experiment, stage)

    def late(*arguments):
        os.kill(os.getpid(), signal.SIGUSR1)
        return original(*arguments)

    before = signal.getsignal(signal.SIGUSR1)
    with monkeypatch.context() as patch:
        patch.setattr(experiment, stage, late)
        assert run(tmp_path / "out", settings=["training.epochs=1"]) == 128 + signal.SIGUSR1
    assert "its job is queued again and goes on by itself" in capsys.readouterr().err
    assert slurm.read_text() == "requeue 4711\n"
    assert signal.getsignal(signal.SIGUSR1) is before
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run(tmp_path / "out", settings=["training.epochs=1"]) == 0
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--energy -1TeV 5TeV", "energy: expected two increasing energies"),
        ("--energy 5TeV 50GeV", "got 5 and 0.05 TeV"),
        ("--energy 50m 5TeV", "energy.0: expected a number (TeV) or a unit like it"),
        ("--particle muon", "particle: Input should be 'gamma', 'electron', 'proton' or 'helium'"),
        ("--n-showers some", "n_showers: Input should be a valid integer"),
        ("--n-showers -5", "n_showers: Input should be greater than or equal to 1"),
        ("--viewcone 2m", "viewcone: expected a number (deg)"),
        ("--viewcone 1deg --offset 1deg", "offset"),
        ("--zenith 80deg", "zenith: Input should be less than or equal to 70"),
        ("--scatter -300m", "scatter: Input should be greater than 0"),
        ("-o gamma.fits", "output: expected a name that ends in .h5"),
    ],
)
def test_impossible_simulations(simulations, tmp_path, refused, options, words):
    output = tmp_path / "out"
    status = gammalearn(*SIMULATE, "-o", output / "gamma.dl1.h5", *options.split())
    refused(status, "gammalearn simulate", words)
    assert simulations == []


@pytest.mark.parametrize("options", ["-j 0", "-j -2", "-j many", "--energy 1TeV", "--reuse"])
def test_options_without_what_they_need(simulations, tmp_path, options, capsys):
    with pytest.raises(SystemExit) as raised:
        gammalearn(*SIMULATE, "-o", tmp_path / "gamma.dl1.h5", *options.split())
    assert raised.value.code == 2
    assert f"argument {options.split()[0]}" in capsys.readouterr().err


def test_what_a_killed_run_leaves_is_replaced(tmp_path):
    """Parts of results, with the names that they are written under; nothing of anybody else."""
    parts = [".settings.part.yaml", ".settings.yaml.lock", ".metrics.part.json"]
    for name in [*parts, ".report.part.html", ".lock"]:
        (tmp_path / name).write_text("half")
    check_folder(tmp_path, overwrite=True)
    with opened_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    (tmp_path / ".mine.part.json").write_text("precious")
    with pytest.raises(OutputError, match=r"other things than results of GammaLearn \(\.mine"):
        check_folder(tmp_path, overwrite=True)
