"""Range test of the step size: how the loss goes while the step size grows (Smith 2017)."""

import warnings
from collections.abc import Mapping, Sequence

import lightning
import numpy as np
from astropy.table import QTable
from lightning.pytorch.callbacks import TQDMProgressBar
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from ..data import Batch, EventIndex
from ..errors import SettingsError
from ..settings import Experiment
from ..tasks import Task
from .fit import EventDataModule
from .module import ReconstructionModule
from .preparation import prepare
from .quiet import silence
from .trainer import interruptible, make_trainer

__all__ = ["draw_range_test", "range_test", "smoothed", "suggest_learning_rate"]

#: What the mean of the losses keeps of itself at each step.
SMOOTHING = 0.95

#: First steps that say little, as their mean is of few losses.
FIRST_STEPS = 10


class _Steps(lightning.Callback):
    """Sets the size of each step, keeps the loss before it, and stops when that has risen.

    Parameters
    ----------
    sizes : ndarray, shape (n_steps,)
    """

    def __init__(self, sizes: np.ndarray) -> None:
        self.sizes, self._of_step = sizes, 0.0
        self.losses: list[float] = []

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        (optimizer,) = trainer.optimizers
        for group in optimizer.param_groups:
            group["lr"] = self.sizes[trainer.global_step]

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: ReconstructionModule,  # type: ignore[override]  # it is always ours
        outputs: Mapping[str, Tensor],  # type: ignore[override]  # of our module
        batch: Batch,
        batch_idx: int,
    ) -> None:
        # Each batch of a step is divided by their number.
        self._of_step += float(outputs["loss"])
        if trainer.global_step == len(self.losses):
            return
        self.losses.append(self._of_step)
        self._of_step = 0.0
        means = smoothed(self.losses)
        # Up by as much as a loss of nothing was below the first one.
        has_risen = means[-1] > means.min() + abs(means[0]) and len(means) > FIRST_STEPS
        # Half precision leaves out its first steps, while it looks for its scale.
        trainer.should_stop = bool(has_risen or pl_module.has_diverged or np.isnan(means[-1]))


def range_test(
    experiment: Experiment,
    index: EventIndex,
    tasks: dict[str, Task],
    n_processes: int = 1,
    lowest: float = 1e-6,
    highest: float = 1.0,
    n_steps: int = 200,
    progress: bool = True,
) -> QTable:
    """Train with a step size that grows from step to step, until the loss has doubled.

    On one device, whose steps have the events of the steps of all processes.

    Parameters
    ----------
    experiment : Experiment
        All but the size of the steps and its schedule is as in a training.
    index : EventIndex
    tasks : dict of str to Task
    n_processes : int
        That would train together.
    lowest, highest : float
        Smallest and largest step size.
    n_steps : int
        Steps between them, at equal ratios.
    progress : bool
        Show a progress bar.

    Returns
    -------
    QTable
        A row a step: ``learning_rate``, ``loss`` before the step, and ``mean_loss``, of the steps
        so far with weights that fall by 5 % a step. ``meta["suggestion"]`` is the step size that
        `suggest_learning_rate` takes from it, None for none.

    Raises
    ------
    SettingsError
        If the step sizes are not in order.
    """
    if not 0 < lowest < highest or n_steps < 2:
        raise SettingsError(
            f"A range test needs two increasing step sizes and two steps or more, got {lowest:g} "
            f"to {highest:g} in {n_steps} steps."
        )
    devices = experiment.training.devices
    settings = experiment.training.model_copy(
        update={
            "schedule": "constant",
            "accumulation": experiment.training.accumulation * n_processes,
            # The first one of those that are named.
            "devices": devices[:1] if isinstance(devices, list) else 1,
            "nodes": 1,
        }
    )
    experiment = experiment.model_copy(update={"training": settings})
    prepared = prepare(experiment, index, tasks, progress=progress)
    steps = _Steps(np.geomspace(lowest, highest, n_steps))
    trainer = make_trainer(
        settings,
        max_steps=n_steps,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        callbacks=[steps, *([TQDMProgressBar()] if progress else [])],
        enable_progress_bar=progress,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings(), interruptible():
        silence()
        trainer.fit(
            prepared.module,
            datamodule=EventDataModule(prepared.training, prepared.validation, settings),
        )
    table = QTable({"learning_rate": steps.sizes[: len(steps.losses)], "loss": steps.losses})
    table["mean_loss"] = smoothed(steps.losses)
    table.meta["suggestion"] = suggest_learning_rate(table["learning_rate"], table["mean_loss"])
    return table


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """Mean of the values so far, older ones weighing less from value to value.

    Parameters
    ----------
    losses : sequence of float

    Returns
    -------
    ndarray, of the same shape
    """
    means, total, weight = [], 0.0, 0.0
    for loss in losses:
        total = SMOOTHING * total + loss
        weight = SMOOTHING * weight + 1
        means.append(total / weight)
    return np.array(means)


def suggest_learning_rate(sizes: np.ndarray, means: ArrayLike) -> float | None:
    """The step size at which the loss falls fastest over the size's logarithm.

    Parameters
    ----------
    sizes, means : sequence of float, shape (n_steps,)
        Step sizes at equal ratios, and mean losses.

    Returns
    -------
    float or None
        None where the loss does not fall.
    """
    means = np.asarray(means, dtype=float)
    until = int(np.nanargmin(means)) + 1 if np.isfinite(means).any() else 0
    if until < FIRST_STEPS + 2:
        return None
    slopes = np.gradient(means[FIRST_STEPS:until], np.log(sizes[FIRST_STEPS:until]))
    steepest = int(np.argmin(slopes))
    return float(sizes[FIRST_STEPS + steepest]) if slopes[steepest] < 0 else None


def draw_range_test(table: QTable) -> Figure:
    """Draw the loss against the step size, and the suggestion.

    Parameters
    ----------
    table : QTable
        From `range_test`.
    """
    figure = Figure(figsize=(6.0, 4.2), layout="constrained", dpi=120)
    axes = figure.add_subplot()
    axes.plot(table["learning_rate"], table["loss"], color="0.75", linewidth=0.8, label="each step")
    axes.plot(table["learning_rate"], table["mean_loss"], color="#0072B2", label="mean")
    suggestion = table.meta["suggestion"]
    if suggestion is not None:
        label = f"steepest: {suggestion:.2g}"
        axes.axvline(suggestion, color="#D55E00", linestyle="--", label=label)
    finite = table["mean_loss"][np.isfinite(table["mean_loss"])]
    if len(finite):
        # What diverges at the end would hide all before it.
        least, first = finite.min(), finite[0]
        axes.set_ylim(least - 0.2 * abs(first - least), least + 1.6 * max(first - least, 1e-9))
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
