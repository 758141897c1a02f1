"""A training that is cut off in the middle of an epoch goes on as if nothing had happened.

"As if nothing" means bit for bit on one machine, with as many threads: weights, their average,
optimiser, schedule, learning curves and the choice of the best epoch.
"""

import os
import resource
import signal
import subprocess
import sys

import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only

from gammalearn.errors import CheckpointError, OutputError
from gammalearn.training import load_checkpoint
from gammalearn.training.callbacks import stopping
from gammalearn.training.callbacks.checkpointing import WholeFiles
from gammalearn.training.callbacks.stopping import Stopped, StopSignals
from gammalearn.training.module import ReconstructionModule

#: All that has a state, with a checkpoint after each step: five batches and three steps an epoch.
EVERYTHING = {
    "data": {"telescopes": None, "grouping": "stereo", "augmentation": {"rotations": True}},
    "network": {"dropout": 0.3, "keypoints": 2},
    "training": {
        "epochs": 3,
        "batch_size": 1,
        "accumulation": 2,
        "balancing": "uncertainty",
        "schedule": "cosine",
        "weight_averaging": 0.9,
        "gradient_clipping": 1.0,
        "early_stopping": 2,
        "checkpoint_minutes": 1e-9,
    },
}


def everything(**training):
    return {**EVERYTHING, "training": {**EVERYTHING["training"], **training}}


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    """The run that nothing cuts off."""
    run = train(tmp_path_factory.mktemp("whole"), **EVERYTHING)
    assert run.summary.trained_on.training_events == 5
    return run


@pytest.fixture
def at(monkeypatch):
    """Function that has something done in the step of an epoch and a batch, counted from 1."""

    def set_up(epoch, batch, action):
        original = ReconstructionModule.training_step

        def training_step(self, events, number):
            if (self.current_epoch + 1, number + 1) == (epoch, batch):
                action()
            return original(self, events, number)

        monkeypatch.setattr(ReconstructionModule, "training_step", training_step)

    return set_up


def send(number):
    return lambda: os.kill(os.getpid(), number)


class PowerCut(Exception):
    pass


def power_cut():
    raise PowerCut


def place(run):
    """Complete epochs, and batches of the next one that are done."""
    state = run.state()
    return load_checkpoint(run.last).epoch, state["EventDataModule"]["batch"]


# -- killed ----------------------------------------------------------------------------------------

#: Imports where they do not cost the processes that read.
SCRIPT = """
if __name__ == "__main__":
    import os, signal, sys
    from pathlib import Path
    import torch
    from gammalearn.data import EventIndex
    from gammalearn.settings import Experiment
    from gammalearn.tasks import build_tasks
    from gammalearn.training import fit
    from gammalearn.training.module import ReconstructionModule

    original = ReconstructionModule.training_step

    def training_step(self, batch, number):
        if (self.current_epoch, number) == (1, 3):
            end()
        return original(self, batch, number)

    torch.set_num_threads(1)
    ReconstructionModule.training_step = training_step
    how, folder, settings, *files = sys.argv[1:]
    if how == "killed":
        end = lambda: os.kill(os.getpid(), signal.SIGKILL)
    else:
        # As SLURM's scancel does: all processes of the job.
        end = lambda: os.killpg(0, signal.SIGTERM)
    experiment = Experiment.model_validate_json(settings)
    index = EventIndex.build([Path(file) for file in files], experiment.data)
    fit(experiment, index, build_tasks(experiment.tasks), Path(folder), progress=False)
"""


@pytest.fixture
def in_another_process(files, tmp_path):
    """Function that trains in another process, which is ended in its second epoch."""

    def train(how, experiment):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        return subprocess.run(
            [sys.executable, script, how, tmp_path / "run", experiment.model_dump_json(), *files],
            capture_output=True,
            text=True,
            timeout=300,
            start_new_session=True,
        )

    return train


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_killed(
    train, run_in, experiment, in_another_process, whole, tmp_path, workers, assert_same_run
):
    """In the second epoch's fourth batch, half of a step; the second was the last that is saved."""
    settings = EVERYTHING
    if workers:
        # The validation would start as many processes again, which takes the longest here.
        settings = everything(early_stopping=None)
        settings["data"] = {**settings["data"], "validation_fraction": 0.0}
        whole = train(tmp_path / "whole", **settings)
        settings["training"]["workers"] = workers
    done = in_another_process("killed", experiment(**settings))
    assert done.returncode == -signal.SIGKILL, done.stderr
    cut = run_in(tmp_path / "run")
    assert place(cut) == (1, 2)
    assert_same_run(train(tmp_path / "run", resume=True, **settings), whole)


def test_told_to_end_with_all_of_its_processes(experiment, in_another_process, run_in, tmp_path):
    """The processes that read leave it to the training, which saves what it has learnt."""
    settings = everything(checkpoint_minutes=1440, early_stopping=None, workers=1)
    settings["data"] = {**settings["data"], "validation_fraction": 0.0}
    done = in_another_process("told to end", experiment(**settings))
    assert done.stderr.strip().endswith("Stopped"), done.stderr
    assert "DataLoader worker" not in done.stderr
    assert place(run_in(tmp_path / "run")) == (1, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "epoch", "batch"),
    [("constant", 2, 5), ("one_cycle", 2, 5), ("step", 3, 1), ("plateau", 3, 1)],
)
def test_cut_off_with_other_schedules(
    train, tmp_path, at, monkeypatch, schedule, epoch, batch, assert_same_run
):
    """Within an epoch where the rate changes with each step, else where the epoch changes it."""
    settings = everything(schedule=schedule, decay_epochs=1, optimizer="sgd", early_stopping=None)
    whole = train(tmp_path / "whole", **settings)
    at(epoch, batch, power_cut)
    with pytest.raises(PowerCut):
        train(tmp_path / "cut", **settings)
    monkeypatch.undo()
    assert_same_run(train(tmp_path / "cut", resume=True, **settings), whole)


@pytest.mark.slow
@pytest.mark.parametrize("balancing", ["dwa", "gradnorm", "pcgrad"])
def test_cut_off_with_other_balancings(
    train, tmp_path, at, monkeypatch, balancing, assert_same_run
):
    """In the fourth epoch, when dynamic weights have come from those before."""
    settings = everything(balancing=balancing, epochs=4, early_stopping=None)
    whole = train(tmp_path / "whole", **settings)
    at(4, 4, power_cut)
    with pytest.raises(PowerCut):
        train(tmp_path / "cut", **settings)
    monkeypatch.undo()
    assert_same_run(train(tmp_path / "cut", resume=True, **settings), whole)


# -- told to stop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_step(
    train, run_in, whole, tmp_path, at, monkeypatch, number, assert_same_run
):
    """Here in the first of the two batches of a step, with no checkpoint for a day."""
    settings = everything(checkpoint_minutes=1440)
    before = signal.getsignal(number)
    at(2, 3, send(number))
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(tmp_path, **settings)
    assert stopped.value.status == 128 + number
    assert signal.getsignal(number) is before
    run = run_in(tmp_path)
    assert place(run) == (1, 4)
    monkeypatch.undo()
    assert_same_run(train(tmp_path, resume=True, **settings), whole)


def test_the_second_signal_does_not_wait(
    train, run_in, whole, tmp_path, at, monkeypatch, assert_same_run
):
    def impatient():
        send(signal.SIGINT)()
        send(signal.SIGINT)()

    at(2, 4, impatient)
    with pytest.raises(Stopped):
        train(tmp_path, **EVERYTHING)
    run = run_in(tmp_path)
    assert place(run) == (1, 2)
    monkeypatch.undo()
    assert_same_run(train(tmp_path, resume=True, **EVERYTHING), whole)


def test_a_signal_in_the_validation(train, run_in, whole, tmp_path, monkeypatch, assert_same_run):
    """Stops at once: what is saved goes on with the training before, and validates again."""
    original = ReconstructionModule.validation_step

    def validation_step(self, *args):
        if self.current_epoch == 1:
            send(signal.SIGINT)()
        return original(self, *args)

    monkeypatch.setattr(ReconstructionModule, "validation_step", validation_step)
    with pytest.raises(Stopped):
        train(tmp_path, **EVERYTHING)
    run = run_in(tmp_path)
    assert place(run) == (1, 4)
    monkeypatch.undo()
    assert_same_run(train(tmp_path, resume=True, **EVERYTHING), whole)


@pytest.mark.parametrize("array", [False, True])
def test_before_its_time_limit_a_job_is_queued_again(
    train, run_in, whole, tmp_path, at, slurm, monkeypatch, array
):
    if array:
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
    at(2, 3, send(signal.SIGUSR1))
    with pytest.raises(Stopped, match="queued again"):
        train(tmp_path / "run", **EVERYTHING)
    assert slurm.read_text() == ("requeue 4700_11\n" if array else "requeue 4711\n")
    run = run_in(tmp_path / "run")
    assert place(run) == (1, 4)


def test_what_slurm_sends_to_a_job_that_it_queues_again_changes_nothing(
    train, run_in, whole, tmp_path, at, slurm, monkeypatch
):
    """SIGTERM, more than once, as soon as it was asked: the training is being taken down then."""

    def requeue():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        return True

    monkeypatch.setattr(stopping, "_requeue", requeue)
    at(2, 3, send(signal.SIGUSR1))
    with pytest.raises(Stopped, match="queued again"):
        train(tmp_path / "run", **EVERYTHING)
    assert place(run_in(tmp_path / "run")) == (1, 4)


def test_only_the_first_process_fails_before_a_time_limit(slurm, monkeypatch):
    """srun --kill-on-bad-exit ends all when one fails: the first must have its time to ask."""
    signals = StopSignals()
    signals.received = signal.SIGUSR1
    statuses = []
    for rank in (1, 0):
        monkeypatch.setattr(rank_zero_only, "rank", rank)
        statuses.append(signals.stop().status)
        assert slurm.exists() == (rank == 0)
    assert statuses == [0, 128 + signal.SIGUSR1]


# -- checkpoints -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """Function that lets no file grow beyond some bytes; the operating system refuses the rest."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def set_up(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))

    yield set_up
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, small_disk):
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"weights": torch.zeros(1000)}, path)
    before = path.read_bytes()
    small_disk(100_000)
    with pytest.raises(OutputError, match=r"last\.ckpt' cannot be written .* one before is kept"):
        WholeFiles().save_checkpoint({"weights": torch.zeros(1_000_000)}, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_disk_that_is_full_in_a_training(
    train, run_in, whole, tmp_path, at, small_disk, monkeypatch, assert_same_run
):
    at(2, 3, lambda: small_disk(whole.last.stat().st_size // 2))
    with pytest.raises(OutputError, match="go on with --resume"):
        train(tmp_path, **EVERYTHING)
    small_disk(resource.RLIM_INFINITY)
    run = run_in(tmp_path)
    assert place(run) == (1, 2)
    monkeypatch.undo()
    assert_same_run(train(tmp_path, resume=True, **EVERYTHING), whole)


def test_what_a_killed_process_left_is_removed(train, tmp_path):
    left = tmp_path / "checkpoints" / "best.ckpt.part"
    left.parent.mkdir()
    left.write_bytes(b"half of one")
    train(tmp_path, training={"epochs": 1})
    assert not left.exists()


def test_checkpoints_are_as_often_as_asked(train, tmp_path, monkeypatch):
    """None within short epochs: best and last after each of the two."""
    written = []
    save = WholeFiles.save_checkpoint

    def counted(self, checkpoint, path, storage_options=None):
        written.append(os.path.basename(path))
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(WholeFiles, "save_checkpoint", counted)
    train(tmp_path, data={"validation_fraction": 0.0}, training={"checkpoint_minutes": 60})
    assert written == ["best.ckpt", "last.ckpt"] * 2


def test_another_number_of_processes_cannot_go_on_within_an_epoch(
    train, whole, tmp_path, at, monkeypatch
):
    """Its batches would be others; with another batch size here, which is the same to it."""
    at(2, 3, send(signal.SIGINT))
    with pytest.raises(Stopped):
        train(tmp_path, **EVERYTHING)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="within an epoch of 5 batches, which now has 3"):
        train(tmp_path, resume=True, **everything(batch_size=2))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_a_planned_schedule_keeps_its_number_of_steps(train, tmp_path, at, monkeypatch, schedule):
    """After whole epochs, whose steps are others on other devices: here by the batch size, which
    is the same to it."""
    settings = everything(schedule=schedule)
    at(2, 1, power_cut)
    with pytest.raises(PowerCut):
        train(tmp_path, **settings)
    monkeypatch.undo()
    planned = rf"schedule='{schedule}' was planned for 9 steps, not for 6; set training\.devices"
    with pytest.raises(CheckpointError, match=planned):
        train(tmp_path, resume=True, **everything(schedule=schedule, batch_size=2))


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_other_schedules_go_on_with_other_steps(train, tmp_path, at, monkeypatch, schedule):
    at(2, 1, power_cut)
    with pytest.raises(PowerCut):
        train(tmp_path, **everything(schedule=schedule))
    monkeypatch.undo()
    run = train(tmp_path, resume=True, **everything(schedule=schedule, batch_size=2))
    assert run.state()["global_step"] == 3 + 2 * 2


def test_a_training_that_ended_early_has_ended(train, tmp_path, monkeypatch):
    log = ReconstructionModule.log

    def best_in_the_first(self, name, value, **options):
        if name in ("validation/loss", "validation/measure"):
            value = torch.tensor(float(self.current_epoch))
        log(self, name, value, **options)

    monkeypatch.setattr(ReconstructionModule, "log", best_in_the_first)
    settings = {"training": {"epochs": 9, "early_stopping": 2}}
    run = train(tmp_path, **settings)
    assert load_checkpoint(run.last).epoch == 3, "two after the best"
    assert load_checkpoint(run.checkpoint).epoch == 1
    before = run.last.read_bytes()
    assert train(tmp_path, resume=True, **settings).last.read_bytes() == before
