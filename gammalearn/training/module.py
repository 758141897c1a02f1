"""Lightning module: the masked multitask loss, validation, the optimiser."""

from collections.abc import Mapping

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ..data import Batch, EventTurns
from ..errors import SettingsError
from ..tasks import Task
from ..tasks.balancing import build_balancing
from .checkpoint import KEY

__all__ = ["ReconstructionModule", "masked_losses"]


def masked_losses(
    tasks: Mapping[str, Task],
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, tuple[Tensor, int]]:
    """Mean loss of each task over the events that it learns from, and their number.

    An event whose target is NaN is left out. Where none is left the loss is 0, with a gradient
    of 0, so that every parameter takes part in every step. Weights, where a task has them, multiply
    the losses of its events; their mean is 1 over all training events, not over these, so that the
    mean of all batches' gradients is that of the weighted mean.
    """
    losses = {}
    for name, task in tasks.items():
        learnt = ~torch.isnan(targets[name]).any(dim=1)
        count = int(learnt.sum())
        loss = task.loss(outputs[name][learnt], targets[name][learnt])
        if weights and name in weights:
            loss = loss * weights[name][learnt]
        losses[name] = (loss.sum() / max(count, 1), count)
    return losses


class _SeenEvents(Metric):
    """A task's figures over all events of a validation, of all processes."""

    full_state_update = False

    def __init__(self, task: Task):
        super().__init__()
        self.task = task
        self.add_state("output", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, target: Tensor) -> None:
        learnt = ~torch.isnan(target).any(dim=1)
        self.output.append(output[learnt].float())
        self.target.append(target[learnt])

    def compute(self) -> dict[str, float]:
        return self.task.metrics(dim_zero_cat(self.output), dim_zero_cat(self.target))


class ReconstructionModule(lightning.LightningModule):
    """Trains a network on the tasks.

    Parameters
    ----------
    network : ReconstructionNetwork
    tasks : mapping of str to Task
    settings : gammalearn.settings.TrainingSettings
    turns : EventTurns, optional
        Turns the training events.
    description : dict
        Goes into the checkpoint beside the weights, see
        :func:`gammalearn.training.checkpoint.describe`.
    """

    def __init__(
        self,
        network: nn.Module,
        tasks: Mapping[str, Task],
        settings,
        description: dict,
        turns: EventTurns | None = None,
    ):
        super().__init__()
        self.turns = turns
        self.network = network
        self.tasks = dict(tasks)
        self.settings = settings
        self.description = description
        self.balancing = build_balancing(
            settings.balancing, {name: task.weight for name, task in tasks.items()}
        )
        self.seen = nn.ModuleDict({name: _SeenEvents(task) for name, task in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.network(batch.images, batch.n_events)

    def on_fit_start(self):
        # Here and not where it was built: what is compiled does not travel between processes.
        if self.settings.compile:
            # What cannot be compiled is run as it is.
            torch._dynamo.config.suppress_errors = True
            for encoder in self.network.encoders.values():
                # Batches have as many events, but not as many images, as others.
                encoder.compile(dynamic=True)

    def on_train_batch_start(self, batch: Batch, _) -> None:
        # Dropout must not depend on what ran before this step: a resumed run is the same run.
        torch.manual_seed(
            (self.settings.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank
        )

    def _losses(self, batch: Batch, outputs, stage: str) -> Tensor:
        losses = masked_losses(self.tasks, outputs, batch.targets, batch.weights)
        total = self.balancing(losses)
        # All tasks, also those of no event here: processes must log the same names.
        for name, (loss, count) in losses.items():
            self._log(f"{stage}/{name}", loss, count)
        self._log(f"{stage}/loss", total, batch.n_events, prog_bar=True)
        return total

    def _log(self, name, value, batch_size, **options):
        """The mean over the epoch's events, of all processes; NaN where there are none."""
        self.log(
            name,
            value,
            batch_size=batch_size,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            **options,
        )

    def training_step(self, batch: Batch, _) -> Tensor:
        if self.turns is not None:
            batch = self.turns(batch, self.tasks)
        return self._losses(batch, self(batch), "train")

    def on_train_epoch_end(self):
        # Before the checkpoints are written: those of the epoch before stay as they are.
        if not torch.isfinite(self.trainer.callback_metrics["train/loss"]):
            raise SettingsError(
                f"The training loss of epoch {self.current_epoch + 1} is not a finite number; "
                f"lower training.learning_rate ({self.settings.learning_rate:g})."
            )

    def validation_step(self, batch: Batch, _) -> None:
        outputs = self(batch)
        self._losses(batch, outputs, "validation")
        for name, seen in self.seen.items():
            seen.update(outputs[name], batch.targets[name])

    def on_validation_epoch_end(self):
        for seen in self.seen.values():
            for metric, value in seen.compute().items():
                # The same in all processes; the mean of them is what Lightning wants to see.
                self.log(f"validation/{metric}", value, sync_dist=True)
            seen.reset()

    def configure_optimizers(self):
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        if settings.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=self.trainer.estimated_stepping_batches
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint):
        checkpoint[KEY] = self.description
