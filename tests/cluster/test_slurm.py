"""Trainings under a real SLURM: what stops them leaves the result as it is.

As root, once: ``apt-get install slurm-wlm munge``; then ``make cluster``. A SLURM with a controller
and two nodes is started for the tests on this machine, as the user who runs them. They take some
minutes, as a time limit is counted in minutes.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

FILES = ("gamma_lsts_run7_7.0.0", "proton_run202_prod5")

#: Of a training of eight epochs, with four steps each, and a checkpoint after each step.
EXPERIMENT = """
from gammalearn.settings import Experiment

FILES = {files}

experiment = Experiment(
    imports=["patience"],
    data={{"train": FILES, "test": FILES, "telescopes": ["LST"]}},
    network={{"encoder": "conv4", "widths": [4] * 4, "embedding": 16, "head": 16}},
    tasks=["patient_energy"],
    training={{
        "epochs": 8,
        "batch_size": 1,
        "accelerator": "cpu",
        "workers": 1,
        "schedule": "constant",
        "checkpoint_minutes": 1e-9,
    }},
)
"""

SIMULATED = """
from gammalearn.settings import Experiment, SimulationSettings

FILE = SimulationSettings(
    particle="gamma", array="lst4", n_showers=20, energy=["500 GeV", "3 TeV"], output="gamma.dl1.h5"
)

experiment = Experiment(
    simulation=[FILE],
    data={"train": [FILE.output], "test": [FILE.output]},
    network={"encoder": "conv4", "widths": [4] * 4, "embedding": 16, "head": 16},
    tasks=["energy"],
    training={"epochs": 1, "accelerator": "cpu"},
)
"""

#: As in docs/cluster, where the command stands for itself.
SCRIPT = """#!/bin/bash
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" {command}
"""


def command(*words) -> str:
    return " ".join([sys.executable, "-m", "gammalearn", *map(str, words)])


@pytest.fixture(scope="module")
def folder(cluster, data_dir):
    """Where jobs run, with the experiments."""
    files = [str(data_dir / "dl1_ctapipe" / f"{name}.dl1.h5") for name in FILES]
    (cluster.folder / "experiment.py").write_text(EXPERIMENT.format(files=files))
    (cluster.folder / "simulated.py").write_text(SIMULATED)
    shutil.copy(Path(__file__).with_name("patience.py"), cluster.folder)
    return cluster.folder


@pytest.fixture
def train(cluster, folder, options):
    """Function that queues a training, by default on one node; returns the number of its job."""

    def submit(output, *words, pause=0, settings="experiment.py", **flags):
        script = SCRIPT.format(command=command(settings, "-o", output, *words))
        flags = {"nodes": 1, "cpus-per-task": 2, "output": f"{output}.log", **flags}
        given = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        return cluster.submit(script, *options, *given, PAUSE=pause)

    return submit


@pytest.fixture(scope="module")
def whole(cluster, folder, options):
    """The figures of the training that nothing stops."""
    script = SCRIPT.format(command=command("experiment.py", "-o", "whole"))
    flags = ("--nodes=1", "--cpus-per-task=2", "--output=whole.log")
    cluster.wait(cluster.submit(script, *options, *flags))
    return figures(folder / "whole")


def figures(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def history(run: Path) -> dict:
    """Learning curves: points (epoch, value) by name."""
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return next(part["history"] for part in state["callbacks"].values() if "history" in part)


def has_failed(cluster, *jobs: str) -> bool:
    return any(cluster.job(job)["JobState"] == "FAILED" for job in jobs)


def has_learnt(cluster, job: str, run: Path) -> None:
    """Wait until a training has made some steps, and is at it."""
    last = run / "checkpoints" / "last.ckpt"
    cluster.until(
        lambda: last.exists() or cluster.job(job)["JobState"] == "FAILED", f"job {job} learns"
    )
    time.sleep(3)
    assert cluster.job(job)["JobState"] == "RUNNING"
    assert not (run / "metrics.json").exists()


def said(run: Path) -> str:
    """What a job has printed, without a traceback or what is said of workers that died."""
    # The bar of a process that was killed ends within a character.
    text = run.with_name(f"{run.name}.log").read_text(encoding="utf-8", errors="replace")
    assert "Traceback" not in text and "DataLoader worker" not in text, text
    return text


def test_the_time_limit_puts_a_training_back_into_the_queue(cluster, folder, train, whole):
    """The signal comes in the second minute of three: SLURM looks each half minute."""
    job = train("limited", pause=3.5, time=3, signal="USR1@60")
    assert int(cluster.wait(job)["Restarts"]) >= 1
    assert "its job is queued again and goes on by itself" in said(folder / "limited")
    assert figures(folder / "limited") == whole


def test_a_job_that_is_requeued_by_hand_goes_on(cluster, folder, train, whole):
    job = train("requeued", pause=1)
    has_learnt(cluster, job, folder / "requeued")
    cluster.call("scontrol", "requeue", job)
    assert int(cluster.wait(job)["Restarts"]) == 1
    said(folder / "requeued")
    assert figures(folder / "requeued") == whole


def test_scancel_ends_with_a_checkpoint(cluster, folder, train, whole):
    job = train("cancelled", pause=1)
    has_learnt(cluster, job, folder / "cancelled")
    cluster.call("scancel", job)
    cluster.wait(job, "CANCELLED")
    assert "go on with --resume" in said(folder / "cancelled")
    cluster.wait(train("cancelled", "--resume"))
    assert figures(folder / "cancelled") == whole


def test_a_training_goes_on_elsewhere_when_its_node_fails(cluster, folder, train, whole):
    job = train("failed", pause=1)
    has_learnt(cluster, job, folder / "failed")
    node = cluster.job(job)["NodeList"]
    cluster.fail(node, job)
    try:
        ended = cluster.wait(job)
    finally:
        cluster.start_node(node)
    assert int(ended["Restarts"]) == 1 and ended["NodeList"] != node
    assert figures(folder / "failed") == whole


def test_two_nodes_have_the_loss_curves_of_one_process(cluster, folder, train):
    """Each step has two events, of which each process has one."""
    two = ("--set", "training.nodes=2", "--set", "training.devices=1")
    one = ("--set", "training.batch_size=2")
    jobs = [train("two_nodes", *two, nodes=2), train("one_process", *one)]
    nodes = [cluster.wait(job)["NumNodes"] for job in jobs]
    assert nodes == ["2", "1"]
    of_two, of_one = (history(folder / name) for name in ("two_nodes", "one_process"))
    assert of_one.keys() == of_two.keys()
    for name, points in of_one.items():
        np.testing.assert_allclose(of_two[name], points, rtol=1e-4, atol=1e-4, err_msg=name)
    (_, first), *_, (_, last) = of_one["train/loss"]
    assert abs(last - first) > 0.01, "something was learnt"


def test_an_array_of_jobs_runs_a_sweep_on_cold_caches(cluster, folder, tmp_path):
    """Four jobs that start together compile what numba compiles, and index the same files."""
    words = ["sweep", "experiment.py", "-o", "sweep", "--set", "training.epochs=1"]
    words += ["--grid", "training.learning_rate=1e-3,3e-4", "--seeds", "2"]
    srun = ("srun", "--ntasks=1", "bash", "-c")
    script = cluster.call(*srun, command(*words, "--slurm"))
    assert "#SBATCH --array=0-3" in script
    caches = {name: tmp_path / name for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    job = cluster.submit(script, "--time=60", **caches)
    cluster.until(lambda: not cluster.call("squeue", "-h", "-j", job), f"jobs of {job} end")
    for task in range(4):
        cluster.wait(f"{job}_{task}")
    assert "4 of 4 runs" in cluster.call(*srun, command(*words, "--summary"))
    assert any(caches["XDG_CACHE_HOME"].rglob("*")) and any(caches["NUMBA_CACHE_DIR"].rglob("*"))


def test_two_jobs_make_one_simulated_file(cluster, folder, train):
    """The second one waits for the first, and neither has the file of half a simulation."""
    jobs = [train(name, settings="simulated.py") for name in ("first", "second")]
    made = folder / "gamma.dl1.h5"
    cluster.until(
        lambda: made.exists() or "FAILED" in [cluster.job(job)["JobState"] for job in jobs], made
    )
    number = made.stat().st_ino
    for job in jobs:
        cluster.wait(job)
    assert made.stat().st_ino == number, "it was not made again"
    assert figures(folder / "first") == figures(folder / "second")
