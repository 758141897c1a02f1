"""Step log: what TensorBoard shows of single steps."""

import time
from typing import TYPE_CHECKING

import lightning
from lightning.pytorch.utilities.types import STEP_OUTPUT

from ...data import Batch

if TYPE_CHECKING:
    from ..module import ReconstructionModule

__all__ = ["StepLog"]


class StepLog(lightning.Callback):
    """Sends step size, length of the gradient, weights of the tasks and events/s to TensorBoard.

    They stay out of the learning curves, which are the same whenever a training is repeated.

    Attributes
    ----------
    events_per_s : float or None
        Of all processes, from the files on, over the last steps.
    """

    #: Steps between two points.
    EVERY = 10

    def __init__(self) -> None:
        self.events_per_s: float | None = None

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        # The validation between two epochs does not count.
        self._begin(trainer)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        # No epoch starts where one is gone on with.
        self._begin(trainer)

    def _begin(self, trainer: lightning.Trainer) -> None:
        self._since, self._n_events, self._step = time.monotonic(), 0, trainer.global_step

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: "ReconstructionModule",  # type: ignore[override]  # it is always ours
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        self._n_events += batch.n_events
        step = trainer.global_step
        if step == self._step or (step - 1) % self.EVERY:
            return
        seconds = time.monotonic() - self._since
        self.events_per_s = trainer.world_size * self._n_events / max(seconds, 1e-9)
        weights = {
            **pl_module.balancing.weights(),
            **pl_module.adaptation_strengths(batch_idx),
        }
        trainer.logger.log_metrics(  # type: ignore[union-attr]  # fit gives it one
            {
                "step/learning_rate": pl_module.step_size,
                "step/gradient_norm": pl_module.gradient_norm,
                "step/events_per_s": self.events_per_s,
                **{f"weight/{name}": float(weight) for name, weight in weights.items()},
            },
            step,
        )
        self._begin(trainer)
