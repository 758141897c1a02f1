"""Lightning module: the masked multitask loss, validation, the optimiser."""

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Self

import lightning
import torch
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch import Tensor, nn
from torch.optim import Optimizer

from ..checkpoint.trained import KEY
from ..data import Batch, EventRotations
from ..errors import CheckpointError, SettingsError
from ..nn.network import Estimates, ReconstructionNetwork
from ..nn.normalisation import kept_statistics, synchronise
from ..settings import TrainingSettings
from ..tasks import Task
from ..tasks.adaptation import Adaptation, EventSet, class_probabilities
from ..tasks.balancing import Losses, build_balancing, gradient_products
from ..tasks.without_labels import WithoutLabels
from .embeddings import SeenEmbeddings, distance_figures
from .epoch_figures import EpochMean, SeenEvents
from .losses import losses_without_labels, masked_losses, sum_of
from .optimisation import PLANNED, build_optimizer, build_schedule
from .trainer import compile_encoders

__all__ = ["ReconstructionModule"]

log = logging.getLogger(__name__)

#: So many steps in a row without a finite gradient end the training. Half precision has to find the
#: scale of its gradients first, halving it in each such step.
DIVERGED_STEPS = {"16-mixed": 20}
DIVERGED_STEPS_BY_DEFAULT = 3


def _gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def _copy(sources: list[Tensor], targets: list[Tensor]) -> None:
    if sources:
        torch._foreach_copy_(targets, sources)


class ReconstructionModule(lightning.LightningModule):
    """Trains a network on the tasks.

    Parameters
    ----------
    network : ReconstructionNetwork
    tasks : mapping of str to Task
    settings : gammalearn.settings.TrainingSettings
    rotations : EventRotations, optional
        Turns the training events.
    description : dict
        Goes into the checkpoint beside the weights, see
        :func:`gammalearn.checkpoint.trained.describe`.
    frozen : sequence of torch.nn.Module
        Parts of the network that stay as they are, statistics of batch normalisations included.
    image_losses : float
        What the losses of each image's own estimates count beside those of its event. Those of
        earlier estimates of the geometry count as ``settings.image_losses``, also of lone images.
    adaptations : mapping of str to Adaptation, optional
        To the unlabelled events, where there are some; none where they are only watched.
    unlabelled_statistics : bool
        Whether unlabelled events count in the statistics of batch normalisations.
    without_labels : mapping of str to WithoutLabels, optional
        Tasks that need no truth.
    """

    def __init__(
        self,
        network: ReconstructionNetwork,
        tasks: Mapping[str, Task],
        settings: TrainingSettings,
        description: dict,
        rotations: EventRotations | None = None,
        frozen: Sequence[nn.Module] = (),
        image_losses: float = 0.0,
        adaptations: Mapping[str, Adaptation] | None = None,
        unlabelled_statistics: bool = False,
        without_labels: Mapping[str, WithoutLabels] | None = None,
    ) -> None:
        super().__init__()
        self.unlabelled_statistics = unlabelled_statistics
        self.frozen = list(frozen)
        self.image_losses = image_losses
        self.rotations = rotations
        self.network = network
        self.tasks = dict(tasks)
        self.settings = settings
        self.description = description
        self.balancing = build_balancing(
            settings.balancing, {name: task.weight for name, task in tasks.items()}
        )
        #: Whether there are unlabelled events, and the validation compares embeddings.
        self.with_unlabelled = adaptations is not None
        # These, and the next two, are there twice: registered, and by their types.
        self._adaptations = dict(adaptations or {})
        self.adaptations = nn.ModuleDict(self._adaptations)
        self._without_labels = dict(without_labels or {})
        self.without_labels = nn.ModuleDict(self._without_labels)
        self._seen = {name: SeenEvents(task) for name, task in tasks.items()}
        self.seen = nn.ModuleDict(self._seen)
        self.seen_embeddings = SeenEmbeddings()
        # Not Lightning's means of what is logged: those are not saved in the middle of an epoch,
        # and round the number of events of several processes.
        averaged = [
            f"{stage}/{name}"
            for stage in ("train", "validation")
            for name in ("loss", *tasks, *self._without_labels)
        ]
        averaged += [f"train/{name}" for name in self._adaptations]
        self._means = {name: EpochMean(nan_strategy="disable") for name in averaged}
        self.means = nn.ModuleDict(self._means)
        self.in_several_processes = False
        #: Steps left out since the training began, and since the last that was not.
        self.skipped, self.skipped_in_a_row = 0, 0
        #: Of the whole training, where its schedule depends on them.
        self.planned_steps: int | None = None
        #: Of the last step: its size, and the length of the network's gradient before clipping.
        self.step_size, self.gradient_norm = math.nan, math.nan

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.network(batch.images, batch.n_events)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def on_fit_start(self) -> None:
        # Here and not where it was built: what is compiled does not travel between processes.
        if self.settings.compile:
            compile_encoders(self.network, self.balancing.needs_gradients)

    def on_train_start(self) -> None:
        self.in_several_processes = self.trainer.world_size > 1
        if self.in_several_processes:
            synchronise(self.network)
        self._images_of_step = torch.zeros(len(self.network.encoders), dtype=torch.int64)
        saved = self.network.state_dict(keep_vars=True).values()
        self._statistics = [v for v in saved if not isinstance(v, nn.Parameter)]
        self._statistics_before = [v.clone() for v in self._statistics]

    def on_train_epoch_start(self) -> None:
        # Those of the epoch before, where it is gone on with after its end.
        for mean in self._means.values():
            mean.reset()

    def on_train_epoch_end(self) -> None:
        sums = self._epoch_sums()
        losses = {name: sums[f"train/{name}"] for name in self.tasks}
        self.balancing.see_epoch(
            {name: total / n if n else math.nan for name, (total, n) in losses.items()}
        )

    def on_train_batch_start(self, batch: Batch, number: int) -> None:
        # Dropout must not depend on what ran before this step: a resumed run is the same run.
        step = self.current_epoch * self.trainer.num_training_batches + number
        torch.manual_seed((self.settings.seed * 1_000_003 + step) * 1_009 + self.global_rank)

    def _losses(
        self, batch: Batch, outputs: Mapping[str, Tensor], event: Tensor | None = None
    ) -> tuple[Losses, Losses, float]:
        """Mean loss and number of events of each task, twice, and the weight of their total.

        Several processes together do the step that one would do with all their events: the first
        losses are such that their mean over the processes, which is that of the gradients, is the
        mean over all events, whose number is beside. The second ones are of this process.
        """
        losses = masked_losses(self.tasks, outputs, batch.targets, batch.weights, event)
        n_events, n_processes = batch.n_labelled, self.trainer.world_size
        if n_processes == 1:
            return losses, losses, n_events
        mine = torch.tensor([count for _, count in losses.values()] + [n_events])
        counts = self.trainer.strategy.reduce(mine.to(self.device), reduce_op="sum").tolist()
        shared = {
            name: (loss * (count * n_processes / max(of_all, 1)), of_all)
            for (name, (loss, count)), of_all in zip(losses.items(), counts, strict=False)
        }
        return shared, losses, counts[-1] / n_processes

    def _mean_over_processes(self, values: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(values, reduce_op="mean")

    def _see_gradients(self, losses: Losses) -> Tensor:
        """Show the balancing the gradients of the tasks; what it wants to learn from them."""
        products = gradient_products(
            [loss for loss, _ in losses.values()],
            [p for p in self.network.parameters() if p.requires_grad],
            self._mean_over_processes,
        )
        values = torch.stack([loss.detach() for loss, _ in losses.values()])
        values = self._mean_over_processes(values)
        of_all = {
            name: (value, count)
            for (name, (_, count)), value in zip(losses.items(), values, strict=True)
        }
        return self.balancing.see_gradients(products, of_all)

    def _log_mean(self, name: str, loss: Tensor, weight: float | Tensor) -> None:
        """The mean over the epoch's events, of all processes; NaN where there are none."""
        self._means[name].update(loss, weight)
        is_total = name.endswith("/loss")
        self.log(name, self._means[name], on_step=False, on_epoch=True, prog_bar=is_total)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        if self.rotations is not None:
            batch = self.rotations(batch, self.tasks)
        if self.in_several_processes:
            # Each layer takes part in each step of each process.
            batch = batch.with_cameras(self.network.n_pixels)
            self._images_of_step += torch.tensor(
                [len(images.event) for images in batch.images.values()]
            )
        with kept_statistics(self.network) if self._without_labels else nullcontext():
            found = self._estimates(batch)
            without_labels = self._learn_without_labels(batch, found)
        shared, losses, n_events = self._losses(batch, found.events)
        beside = []
        if self.image_losses:
            beside.append(self._losses(batch, found.images, found.event)[0])
        if self.settings.image_losses:
            beside += [self._losses(batch, earlier)[0] for earlier in found.earlier]
        to_learn: Tensor | float = 0.0
        if self.balancing.needs_gradients:
            to_learn = self._see_gradients(sum_of(shared, beside, self.settings.image_losses))
        total = self.balancing(shared)
        if not self.tasks:
            total, without_labels = total + without_labels, 0.0
        # All tasks, also those of no event here: processes must log the same names.
        for name, (loss, count) in {"loss": (total, n_events), **losses}.items():
            loss, is_finite = loss.detach(), torch.isfinite(loss.detach())
            self._log_mean(f"train/{name}", torch.where(is_finite, loss, 0), count * is_finite)
        for more in beside:
            total = total + self.settings.image_losses * self.balancing(more)
        total = total + to_learn + without_labels + self._adapt(batch, found, number)
        # A total that is not finite makes the whole gradient NaN, in all processes.
        return total * (total.detach() - total.detach() + 1) * self._to_mean(number)

    def _estimates(self, batch: Batch) -> Estimates:
        """What the network says of the images of a training step."""
        counted = None if self.unlabelled_statistics else batch.labelled
        # What is reconstructed from images in part learns nothing from the whole ones. Several
        # processes wait for the gradient of each weight.
        learns = bool(self.tasks) or any(t.uses_embedding for t in self._without_labels.values())
        with torch.set_grad_enabled(learns or self.in_several_processes):
            return self.network.estimates(batch.images, batch.n_events, counted)

    def _learn_without_labels(self, batch: Batch, found: Estimates) -> Tensor | float:
        """What the tasks without labels add to the loss."""
        total: Tensor | float = 0.0
        for loss in losses_without_labels(self._without_labels, self.network, batch, found):
            is_finite = torch.isfinite(loss.mean.detach())
            mean = torch.where(is_finite, loss.mean.detach(), 0)
            self._log_mean(f"train/{loss.name}", mean, loss.count * is_finite)
            total = total + loss.weight * self._share_of_process(loss.count) * loss.mean
        if self._without_labels and not self.tasks and found.embedding.requires_grad:
            total = total + 0 * found.embedding.sum()
        return total

    def _share_of_process(self, count: int) -> float:
        """What makes the mean over the processes of a loss the mean over all their events."""
        n_processes = self.trainer.world_size
        if n_processes == 1:
            return 1.0
        mine = torch.tensor(count, dtype=torch.float64, device=self.device)
        of_all = float(self.trainer.strategy.reduce(mine, reduce_op="sum"))
        return count * n_processes / max(of_all, 1.0)

    def adaptation_strengths(self, number: int) -> dict[str, float]:
        """The weight of each adaptation in a batch of this epoch."""
        done = self.current_epoch + number / self.trainer.num_training_batches
        return {
            name: adaptation.strength(done, self.settings.epochs)
            for name, adaptation in self._adaptations.items()
        }

    def _event_set(self, batch: Batch, found: Estimates) -> EventSet:
        """The events of a batch as adaptations compare them."""
        classes = class_probabilities(found.events, self.tasks, batch.n_events)
        return EventSet(found.embedding.float(), classes, found.events, batch.targets)

    def _adapt(self, batch: Batch, found: Estimates, number: int) -> Tensor | float:
        """What the adaptations add to the loss, for batches with unlabelled events."""
        total = 0.0
        if not self.adaptations:
            return total
        strengths = self.adaptation_strengths(number)
        with torch.autocast(self.device.type, enabled=False):
            events = self._event_set(batch, found)
            sets = events.of(batch.labelled), events.of(~batch.labelled)
            for name, adaptation in self._adaptations.items():
                added, loss = adaptation(*sets, strengths[name])
                total = total + added
                is_finite = torch.isfinite(loss.detach())
                n_unlabelled = len(sets[1]) * is_finite
                self._log_mean(
                    f"train/{name}", torch.where(is_finite, loss.detach(), 0), n_unlabelled
                )
        return total

    def _to_mean(self, number: int) -> float:
        """What makes the sum over the batches of a step their mean: Lightning divides it by the
        accumulation, of which the last step of an epoch may have fewer."""
        most = self.trainer.accumulate_grad_batches
        return most / min(most, self.trainer.num_training_batches - number // most * most)

    def _leave_unseen_cameras(self) -> None:
        """Leave encoders alone that no process has had an image for, as one process does: moments
        and weight decay would go on with a gradient of zero."""
        of_all = self.trainer.strategy.reduce(
            self._images_of_step.to(self.device), reduce_op="sum"
        ).tolist()
        for encoder, n_images in zip(self.network.encoders.values(), of_all, strict=True):
            if not n_images:
                encoder.zero_grad(set_to_none=True)
        self._images_of_step.zero_()

    # -- steps that are left out -------------------------------------------------------------------

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradient; without a finite one, the step leaves all as it was before."""
        if self.in_several_processes:
            self._leave_unseen_cameras()
        self.step_size = optimizer.param_groups[0]["lr"]
        length = nn.utils.get_total_norm(_gradients(self.network))
        self.gradient_norm = float(length)
        own = _gradients(self.balancing)
        if torch.isfinite(torch.stack([length, *(part.sum() for part in own)])).all():
            self.skipped_in_a_row = 0
            _copy(self._statistics, self._statistics_before)
            longest = self.settings.gradient_clipping
            if longest is not None:
                nn.utils.clip_grads_with_norm_(self.network.parameters(), longest, length)
            return
        self.skipped += 1
        self.skipped_in_a_row += 1
        # Optimisers leave alone what has no gradient.
        optimizer.zero_grad(set_to_none=True)
        # The forward pass has changed those of the batch normalisations.
        _copy(self._statistics_before, self._statistics)
        log.warning(
            "A step of epoch %d is left out, as its loss or gradient is not a finite number "
            "(%d in all).",
            self.current_epoch + 1,
            self.skipped,
        )

    @property
    def has_diverged(self) -> bool:
        """Whether too many steps in a row were left out."""
        most = DIVERGED_STEPS.get(self.settings.precision, DIVERGED_STEPS_BY_DEFAULT)
        return self.skipped_in_a_row >= most

    def refuse_divergence(self) -> None:
        """Raise a SettingsError where too many steps in a row were left out."""
        if self.has_diverged:
            raise SettingsError(
                f"The training has stopped in epoch {self.current_epoch + 1}, as its loss or "
                f"gradient was not a finite number in {self.skipped_in_a_row} steps in a row; "
                f"last.ckpt is from before them: start again with a training.learning_rate below "
                f"{self.settings.learning_rate:g}, or with training.gradient_clipping."
            )

    def validation_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        found = self.network.estimates(batch.images, batch.n_events)
        outputs = found.events
        if self.with_unlabelled:
            labelled = batch.labelled
            if labelled is None:
                labelled = torch.ones_like(batch.index, dtype=torch.bool)
            self.seen_embeddings.update(self._event_set(batch, found), labelled, batch.index)
        without_labels = self._validate_without_labels(batch, found)
        if not batch.n_labelled:
            return outputs
        shared, losses, n_events = self._losses(batch, outputs)
        total = self.balancing(shared)
        if not self.tasks:
            total = total + without_labels
        for name, (loss, count) in {"loss": (total, n_events), **losses}.items():
            self._log_mean(f"validation/{name}", loss, count)
        for name, seen in self._seen.items():
            seen.update(outputs[name], batch.targets[name])
        return outputs

    def _validate_without_labels(self, batch: Batch, found: Estimates) -> Tensor | float:
        """The weighted sum of the losses without labels."""
        total: Tensor | float = 0.0
        for loss in losses_without_labels(self._without_labels, self.network, batch, found):
            self._log_mean(f"validation/{loss.name}", loss.mean, loss.count)
            total = total + loss.weight * loss.mean
        return total

    def on_validation_epoch_end(self) -> None:
        sums = self._epoch_sums()
        # Quantities decide on the best epoch, if there are some.
        losses = [sums[f"validation/{name}"] for name in self.tasks or self._without_labels]
        logarithms = [math.log(max(total / n, 1e-12)) for total, n in losses if n]
        measure = sum(logarithms) / max(len(logarithms), 1)
        # The same in all processes, as are the figures below.
        self.log("validation/measure", measure, sync_dist=True)
        for seen in self._seen.values():
            for metric, value in seen.compute().items():
                # The mean of them is what Lightning wants to see.
                self.log(f"validation/{metric}", value, sync_dist=True)
            seen.reset()
        if self.with_unlabelled:
            adaptations = self._adaptations.values()
            for metric, value in distance_figures(self.seen_embeddings, adaptations).items():
                self.log(f"validation/{metric}", value, sync_dist=True)
            self.seen_embeddings.reset()

    def configure_optimizers(  # type: ignore[override]  # Lightning takes such lists too
        self,
    ) -> Optimizer | tuple[list[Optimizer], list[LRSchedulerConfigType]]:
        learnt = [p for p in self.network.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": learnt}]
        if adaptations := list(self.adaptations.parameters()):
            groups.append({"params": adaptations})
        if without_labels := list(self.without_labels.parameters()):
            groups.append({"params": without_labels})
        if balancing := list(self.balancing.parameters()):
            # Their zero means nothing that a decay should pull to.
            groups.append({"params": balancing, "weight_decay": 0.0})
        optimizer = build_optimizer(self.settings, groups)
        if self.settings.schedule == "constant":
            return optimizer
        n_steps = int(self.trainer.estimated_stepping_batches)
        n_batches = int(self.trainer.num_training_batches)
        if self.settings.schedule in PLANNED:
            # The epochs are the same; how many steps they have is known in the processes only.
            if self.planned_steps not in (None, n_steps):
                raise CheckpointError(
                    f"The run cannot be resumed: training.schedule='{self.settings.schedule}' was "
                    f"planned for {self.planned_steps} steps, not for {n_steps}; set "
                    "training.devices and training.nodes as they were, or start again."
                )
            self.planned_steps = n_steps
        return [optimizer], [build_schedule(self.settings, optimizer, n_steps, n_batches)]

    # -- checkpoints -------------------------------------------------------------------------------

    def _epoch_sums(self) -> dict[str, list[float]]:
        """Total and weight of each mean over the epoch, of all processes."""
        return {
            name: self.trainer.strategy.reduce(
                torch.stack([mean.mean_value, mean.weight]), reduce_op="sum"
            ).tolist()
            for name, mean in self._means.items()
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = {
            **self.description,
            "epoch_sums": self._epoch_sums(),
            "skipped_steps": self.skipped,
            "skipped_steps_in_a_row": self.skipped_in_a_row,
            "planned_steps": self.planned_steps,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ours = checkpoint[KEY]
        self.skipped = ours["skipped_steps"]
        self.skipped_in_a_row = ours["skipped_steps_in_a_row"]
        self.planned_steps = ours.get("planned_steps")
        # They are of all processes.
        if self.trainer.is_global_zero:
            for name, (total, weight) in ours["epoch_sums"].items():
                self.means[name].mean_value = torch.tensor(total)
                self.means[name].weight = torch.tensor(weight)
