"""Stopping: when a training ends before its last epoch."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import callbacks

from ..processes import is_first_process

__all__ = [
    "EarlyStopping",
    "StopSignals",
    "Stopped",
    "requeued_at_time_limit",
    "slurm_job",
    "was_requeued",
]

log = logging.getLogger(__name__)

#: What SLURM is asked to send before the time limit of a job, as Lightning's documentation has it.
REQUEUE_SIGNAL = signal.SIGUSR1


class Stopped(KeyboardInterrupt):
    """The training was told to stop, by Ctrl-C or another signal.

    Attributes
    ----------
    status : int
        Exit status: as shells have it, 128 and the signal's number.
    """

    def __init__(self, status: int, *words: str) -> None:
        super().__init__(*words)
        self.status = status


class StopSignals:
    """Signals to stop, which wait until a checkpoint can be written.

    Ctrl-C, SIGTERM and, in a job of SLURM, the signal before its time limit, after which the job is
    queued again. While nothing is learnt, and when it comes again, a signal stops at once. While
    the training is being taken down, Ctrl-C alone still counts: SLURM sends more than one signal to
    a job that it puts back into the queue.

    Attributes
    ----------
    received : int or None
        The signal that waits.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._stopping = False

    def listen(self, trainer: Trainer) -> None:
        """Take the place of Lightning's handlers, which it removes at the end of the training."""
        self.received = None
        self._stopping = False
        self._trainer = trainer
        numbers = [signal.SIGINT, signal.SIGTERM]
        if SLURMEnvironment.detect():
            numbers.append(REQUEUE_SIGNAL)
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping and number != signal.SIGINT:
            return
        again = self.received is not None
        self.received = number
        if again or not self._trainer.training:
            raise self.stop()

    def stop(self) -> Stopped:
        """The exception that ends the training; its job is queued again where it was asked to."""
        self._stopping = True
        return _stopped(self.received or signal.SIGINT)


@contextmanager
def requeued_at_time_limit() -> Iterator[None]:
    """Have a job of SLURM stop and be queued again before its time limit, whatever it does.

    At once where it does not train; in a training `StopSignals` takes over.
    """
    if not (SLURMEnvironment.detect() and threading.current_thread() is threading.main_thread()):
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise _stopped(number)

    before = signal.signal(REQUEUE_SIGNAL, stop)
    try:
        yield
    finally:
        signal.signal(REQUEUE_SIGNAL, before)


def _stopped(number: int) -> Stopped:
    """The exception that a signal ends with; the first process has the job queued again."""
    if number != REQUEUE_SIGNAL:
        return Stopped(128 + number)
    if not is_first_process():
        # Of a failure, srun --kill-on-bad-exit would end the first process at its request.
        return Stopped(0)
    words = ["; its job is queued again and goes on by itself"] if _requeue() else []
    return Stopped(128 + number, *words)


def _requeue() -> bool:
    """Have SLURM queue this job again."""
    job = slurm_job() or ""
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or error
        log.warning("The job %s cannot be queued again (scontrol: %s).", job, str(why).strip())
        return False
    return True


def slurm_job() -> str | None:
    """This job, as SLURM's commands call it, also when it starts again; None outside of SLURM."""
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def was_requeued() -> bool:
    """Whether this is a job of SLURM that it has started before."""
    return SLURMEnvironment.detect() and int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0


class EarlyStopping(callbacks.EarlyStopping):
    """Ends the training after some epochs without a lower validation loss.

    Parameters
    ----------
    epochs : int
        So many.
    """

    def __init__(self, epochs: int) -> None:
        # A loss that is not finite is no lower one; there is a guard of its own against it.
        super().__init__("validation/loss", patience=epochs, check_finite=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # What had ended before it was resumed has still ended.
        if self.wait_count >= self.patience:
            trainer.should_stop = True
