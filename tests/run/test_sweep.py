"""Sweeps: which runs there are, what is done of them, and what comes out."""

import json
import re
import shlex
import subprocess

import numpy as np
import pytest
import yaml
from astropy.table import QTable

from gammalearn.cli import main, make_parsers
from gammalearn.cli.words import with_command, with_values
from gammalearn.errors import SettingsError, SweepError
from gammalearn.run import sweep as sweeps
from gammalearn.run.sweep import Sweep, in_words, run_all, slurm_script, summarise
from gammalearn.settings.reading import load_experiment, override

GRID = ["training.learning_rate=1e-3,3e-4", "network.widths=[2, 2],[4, 4]"]


@pytest.fixture
def settings(tmp_path):
    """A settings file."""
    path = tmp_path / "my.yaml"
    path.write_text("training: {epochs: 3, seed: 7}\n")
    return path


@pytest.fixture
def pretended(monkeypatch):
    """Runs that were asked for; each leaves a figure of its learning rate and seed behind, and all
    of a learning rate that is too large fail."""
    asked = []

    def run(settings, run, folder):
        asked.append(run.name)
        if run.experiment.training.learning_rate > 0.5:
            return "the loss diverges"
        leave(run, folder, run.experiment.training.learning_rate * 1000 + run.seed)
        return None

    monkeypatch.setattr(sweeps, "_run", run)
    return asked


def leave(run, folder, resolution):
    """What a finished run leaves."""
    output = folder / run.name
    output.mkdir(parents=True)
    (output / "settings.yaml").write_text(run.experiment.to_yaml())
    metrics = {"energy_resolution": resolution, "auc": None, "n_events": 5, "signal": "gamma"}
    (output / "metrics.json").write_text(json.dumps(metrics))
    (output / "report.html").write_text("")


# -- which runs ------------------------------------------------------------------------------------


def test_all_combinations_with_each_seed(settings):
    runs = Sweep(settings, GRID, n_seeds=2).runs
    assert len(runs) == 2 * 2 * 2
    made = [
        (run.experiment.training.learning_rate, run.experiment.network.widths, run.seed)
        for run in runs
    ]
    assert made[:3] == [(1e-3, [2, 2], 7), (1e-3, [2, 2], 8), (1e-3, [4, 4], 7)]
    assert made[-1] == (3e-4, [4, 4], 8)
    assert all(run.experiment.training.seed == run.seed for run in runs)
    assert all(run.experiment.training.epochs == 3 for run in runs)
    assert runs[0].name == "training.learning_rate=1e-3_network.widths=2-2_seed=7"
    assert len({run.name for run in runs}) == 8


def test_names_keep_signs_and_tell_values_apart(settings):
    """What a file's name cannot have is left out, and what is then the same is numbered."""
    cuts = "data.cuts.image=hillas_intensity > 50,hillas_intensity < 50,hillas_width > 0"
    runs = Sweep(settings, ["training.learning_rate=1,2", cuts]).runs
    assert [run.name.split("image=")[1] for run in runs[:3]] == [
        "hillas-intensity-50-1_seed=7", "hillas-intensity-50-2_seed=7", "hillas-width-0_seed=7"
    ]  # fmt: skip
    steep, _ = Sweep(settings, ["data.weights.spectral_index=-2.6,-2.0"]).runs
    assert steep.name == "data.weights.spectral_index=-2.6_seed=7"


def test_the_command_line_of_a_run_gives_its_settings(settings):
    """What another process is told is what this one has resolved."""
    for run in Sweep(settings, GRID, 2, ["data.grouping=mono"]).runs:
        assert override(load_experiment(settings), run.assignments) == run.experiment


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (["training.learning_rate"], "expected a.b=VALUE,VALUE"),
        (["training.learning_rate="], "expected a.b=VALUE,VALUE"),
        (["training.learning_rate=[1"], "expected a.b=VALUE,VALUE"),
        (["training.learning_rat=1e-3"], "did you mean 'learning_rate'"),
        (["training.epochs=1,two"], "training.epochs"),
        (["training.epochs=1", "training.epochs=2"], "each setting once"),
        (["training.seed=1,2"], "seeds by --seeds"),
        (["training.epochs=1,1"], "a value twice"),
    ],
)
def test_grids_that_are_none(settings, grid, words):
    with pytest.raises(SettingsError, match=words):
        Sweep(settings, grid)


# -- what is done ----------------------------------------------------------------------------------


def test_what_is_finished_is_not_done_again(settings, tmp_path, pretended, capsys):
    sweep = Sweep(settings, ["training.learning_rate=1e-3,3e-4"], n_seeds=2)
    folder = tmp_path / "sweep"
    leave(sweep.runs[1], folder, 1.0)
    assert run_all(sweep, folder) == {}
    names = [run.name for run in sweep.runs]
    assert pretended == [names[0], names[2], names[3]]
    assert f"[2/4] {names[1]}: was finished before" in capsys.readouterr().out
    assert run_all(sweep, folder) == {} and len(pretended) == 3


def test_a_run_that_fails_does_not_stop_the_others(settings, tmp_path, pretended):
    sweep = Sweep(settings, ["training.learning_rate=1.0,1e-3"], n_seeds=2)
    failed = run_all(sweep, tmp_path / "sweep", progress=False)
    assert list(failed) == [run.name for run in sweep.runs[:2]] and len(pretended) == 4
    with pytest.raises(SweepError, match=r"2 of 4 runs have failed, .*: the loss diverges"):
        sweeps.refuse_failures(sweep, failed)


def test_results_of_other_settings_are_no_results(settings, tmp_path, pretended):
    folder = tmp_path / "sweep"
    grid = ["training.learning_rate=1e-3"]
    run_all(Sweep(settings, grid), folder, progress=False)
    other = Sweep(settings, grid, assignments=["network.blocks=2"])
    (why,) = run_all(other, folder, progress=False).values()
    assert "network.blocks was None and is now 2" in why and len(pretended) == 1


# -- what comes out --------------------------------------------------------------------------------


def test_mean_and_spread_by_hand(settings, tmp_path, pretended):
    sweep = Sweep(settings, ["training.learning_rate=1e-3,3e-3"], n_seeds=3)
    for run in sweep.runs[:4]:
        pretended.clear()
        sweeps._run(settings, run, tmp_path)
    table = summarise(sweep, tmp_path)
    assert table.colnames == [
        "training.learning_rate", "n_runs", "energy_resolution_mean", "energy_resolution_std"
    ]  # fmt: skip
    assert list(table["n_runs"]) == [3, 1]
    # 1 and 3 of the learning rates, and the seeds 7, 8, 9.
    np.testing.assert_allclose(table["energy_resolution_mean"], [9, 10])
    np.testing.assert_allclose(table["energy_resolution_std"], [1, np.nan])
    words = in_words(table)
    assert "9 ± 1" in words and "1e-3" in words and "±" not in words.splitlines()[-1]


def test_the_table_has_the_values_as_they_are(settings, tmp_path, pretended):
    cuts = ["hillas_intensity > 50", "hillas_intensity < 50"]
    sweep = Sweep(settings, [f"data.cuts.image={','.join(cuts)}", "network.widths=[2, 2]"])
    for run in sweep.runs:
        leave(run, tmp_path, 1.0)
    table = summarise(sweep, tmp_path)
    assert list(table["data.cuts.image"]) == cuts
    assert list(table["network.widths"]) == ["[2, 2]"] * 2


def test_cli(settings, tmp_path, pretended, capsys):
    folder = tmp_path / "sweep"
    command = ["sweep", settings, "--grid", "training.learning_rate=1.0,1e-3", "-o", folder]
    command = [str(word) for word in command]
    assert main([*command, "--summary"]) == 2
    assert "No run of the sweep is finished" in capsys.readouterr().err
    assert main([*command, "--seeds", "2"]) == 2
    said = capsys.readouterr()
    assert "2 of 4 runs have failed" in said.err and "8.5 ± 0.71" in said.out
    table = QTable.read(folder / "sweep.ecsv")
    assert list(table["n_runs"]) == [0, 2]
    assert main([*command, "--seeds", "2", "--summary"]) == 0
    assert main([*command, "--seeds", "2", "--index", "4"]) == 2
    assert "runs 0 to 3" in capsys.readouterr().err
    assert main([*command, "--seeds", "2", "--index", "3"]) == 0, "finished before"


# -- real runs -------------------------------------------------------------------------------------


@pytest.fixture
def real(data_dir, tmp_path):
    """Settings of a network that trains in a moment."""
    path = tmp_path / "real.yaml"
    file = str(data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5")
    network = {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 8}
    data = {"train": file, "test": file, "telescopes": ["LST"], "grouping": "mono"}
    training = {"epochs": 1, "accelerator": "cpu"}
    path.write_text(
        yaml.safe_dump(
            {"data": data, "network": network, "tasks": ["energy"], "training": training}
        )
    )
    return path


@pytest.mark.slow
def test_real_runs(real, tmp_path, capsys):
    """In processes of their own, and in this one what the array's job would do."""
    folder = tmp_path / "sweep"
    command = ["sweep", str(real), "--grid", "data.telescopes=LST,SST", "-o", str(folder)]
    assert main(command) == 2
    said = capsys.readouterr()
    assert "data.telescopes: no telescope 'SST'" in said.err
    assert "data.telescopes=LST_seed=1: done in" in said.out
    metrics = json.loads((folder / "data.telescopes=LST_seed=1" / "metrics.json").read_text())
    table = QTable.read(folder / "sweep.ecsv")
    assert table["energy_resolution_mean"][0] == metrics["energy_resolution"]
    assert "multiply-adds" in (folder / "data.telescopes=LST_seed=1.log").read_text()

    other = [*command[:-1], str(tmp_path / "array")]
    assert main([*other, "--index", "0", "-q"]) == 0
    again = tmp_path / "array" / "data.telescopes=LST_seed=1" / "metrics.json"
    assert json.loads(again.read_text()) == metrics


# -- clusters --------------------------------------------------------------------------------------


def commands(script):
    """The command lines of GammaLearn in a script, as they are for one job."""
    script = re.sub(r"\\\n", " ", script)
    for line in script.splitlines():
        # A process that fails leaves no others that wait for it; and since SLURM 22.05, srun has
        # one core where it is not told again how many.
        if line.startswith('srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" '):
            words = shlex.split(re.sub(r"\$\w+", "3", line))
            yield words[[word.endswith("gammalearn") for word in words].index(True) + 1 :]


def parsed(words):
    parser, names = make_parsers()
    return parser.parse_args(with_values(with_command(words, names)))


def bash_accepts(path):
    return subprocess.run(["bash", "-n", path], capture_output=True, text=True).returncode == 0


def directives(script):
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", script, re.MULTILINE))


def test_scripts_for_clusters(pytestconfig):
    folder = pytestconfig.rootpath / "docs" / "cluster"
    scripts = sorted(folder.glob("*.sbatch"))
    assert [path.name for path in scripts] == [
        "array.sbatch", "one_gpu.sbatch", "several_gpus.sbatch"
    ]  # fmt: skip
    for path in scripts:
        assert bash_accepts(path), path
        script = path.read_text()
        (words,) = commands(script)
        arguments = parsed(words)
        experiment = pytestconfig.rootpath / arguments.settings
        asked = directives(script)
        if path.name == "array.sbatch":
            sweep = Sweep(experiment, arguments.grid, arguments.seeds, arguments.set)
            assert asked["array"] == f"0-{len(sweep.runs) - 1}" and arguments.index == 3
            training = sweep.runs[0].experiment.training
        else:
            training = override(load_experiment(experiment), arguments.set).training
        assert int(asked["nodes"]) == training.nodes
        assert int(asked["ntasks-per-node"]) == int(asked["gpus-per-node"]) == training.devices
        assert int(asked["cpus-per-task"]) > training.workers
        assert asked["signal"] == "USR1@120" and "requeue" in asked
        # What the job has said before it was queued again stays.
        assert asked["open-mode"] == "append" and "\n##SBATCH --account=" in script


@pytest.mark.parametrize("devices", ["auto", "-1"])
def test_all_devices_are_one_where_none_is_known(settings, tmp_path, devices):
    script = slurm_script(Sweep(settings, GRID, 1, [f"training.devices={devices}"]), tmp_path)
    asked = directives(script)
    assert asked["ntasks-per-node"] == asked["gpus-per-node"] == "1"


def test_a_sweep_on_cpus_asks_for_no_gpu(settings, tmp_path):
    sets = ["training.accelerator=cpu", "training.devices=2"]
    asked = directives(slurm_script(Sweep(settings, GRID, 1, sets), tmp_path))
    assert asked["ntasks-per-node"] == "2" and "gpus-per-node" not in asked


def test_the_script_of_a_sweep_does_its_runs(settings, tmp_path):
    sweep = Sweep(settings, GRID, 3, ["training.devices=2", "data.cuts.image=hillas_width > 0"])
    script = slurm_script(sweep, tmp_path / "my sweep")
    path = tmp_path / "script.sh"
    path.write_text(script)
    assert bash_accepts(path)
    asked = directives(script)
    assert asked["array"] == "0-11" and asked["ntasks-per-node"] == asked["gpus-per-node"] == "2"
    assert asked["open-mode"] == "append"
    (words,) = commands(script)
    arguments = parsed(words)
    assert arguments.index == 3 and arguments.output == str(tmp_path / "my sweep")
    same = Sweep(arguments.settings, arguments.grid, arguments.seeds, arguments.set)
    assert same.runs == sweep.runs
