"""Losses of the tasks over the events of a batch that each learns from."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..tasks import Task
from ..tasks.balancing import Losses

__all__ = ["masked_losses", "sum_of"]


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
