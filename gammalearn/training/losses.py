"""Losses of the tasks over the events of a batch that each learns from, with labels and without."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Batch
from ..nn.network import Estimates, ReconstructionNetwork
from ..nn.normalisation import borrowed_statistics
from ..tasks import Task
from ..tasks.balancing import Losses
from ..tasks.without_labels import WithoutLabels

__all__ = ["LossWithoutLabels", "losses_without_labels", "masked_losses", "sum_of"]


def masked_losses(
    tasks: Mapping[str, Task],
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weights: Mapping[str, Tensor] | None = None,
    event: Tensor | None = None,
) -> dict[str, tuple[Tensor, int]]:
    """Mean loss of each task with outputs over the events that it learns from, and their number.

    Where outputs are of images, ``event`` has the row of each one's event: the loss of an event is
    then the mean over its images.

    An event whose target is NaN is left out. Where none is left the loss is 0, with a gradient
    of 0, so that every parameter takes part in every step. Weights, where a task has them, multiply
    the losses of its events; their mean is 1 over all training events, not over these, so that the
    mean of all batches' gradients is that of the weighted mean.
    """
    losses = {}
    for name in outputs:
        task = tasks[name]
        learnt = ~torch.isnan(targets[name]).any(dim=1)
        count = int(learnt.sum())
        rows = torch.arange(len(learnt), device=learnt.device) if event is None else event
        kept = learnt[rows]
        rows = rows[kept]
        loss = task.loss(outputs[name][kept], targets[name][rows])
        if weights and name in weights:
            loss = loss * weights[name][rows]
        if event is not None:
            loss = loss / torch.bincount(event, minlength=len(learnt))[rows]
        losses[name] = (loss.sum() / max(count, 1), count)
    return losses


def sum_of(losses: Losses, others: Sequence[Losses], factor: float) -> Losses:
    """Losses of each task and ``factor`` times those of the others that have it."""
    return {
        name: (loss + factor * sum(more[name][0] for more in others if name in more), count)
        for name, (loss, count) in losses.items()
    }


@dataclass(frozen=True)
class LossWithoutLabels:
    """The loss of one task in a batch.

    Attributes
    ----------
    name : str
        Of the task.
    weight : float
        Of the task.
    mean : Tensor, shape ()
        Over the events that have a loss.
    count : int
        Their number.
    """

    name: str
    weight: float
    mean: Tensor
    count: int


def losses_without_labels(
    tasks: Mapping[str, WithoutLabels],
    network: ReconstructionNetwork,
    batch: Batch,
    found: Estimates,
) -> Iterator[LossWithoutLabels]:
    """The loss of each task, of labelled and unlabelled events together.

    Images that are shown in part or turned are normalised as the whole images before them, whose
    statistics alone the network has when it is used.

    Parameters
    ----------
    tasks : mapping of str to WithoutLabels
    network : ReconstructionNetwork
    batch : Batch
    found : Estimates
        What the network says of the whole images.
    """
    for name, task in tasks.items():
        with borrowed_statistics(network):
            of_task = task.losses if network.training else task.steady_losses
            losses, known = of_task(network, batch, found)
        count = int(known.sum())
        mean = (losses * known).sum() / max(count, 1)
        yield LossWithoutLabels(name, task.weight, mean, count)
