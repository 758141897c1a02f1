"""Figures of an epoch, of all processes."""

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric
from torchmetrics.utilities import dim_zero_cat

from ..tasks import Task

__all__ = ["EpochMean", "SeenEvents"]


class SeenEvents(Metric):
    """A task's figures over all events of a validation, of all processes."""

    full_state_update = False
    output: list[Tensor]
    target: list[Tensor]

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.add_state("output", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, target: Tensor) -> None:
        learnt = ~torch.isnan(target).any(dim=1)
        self.output.append(output[learnt].float())
        self.target.append(target[learnt])

    def values(self) -> tuple[Tensor, Tensor]:
        """Targets and outputs of this process's events, on the CPU."""
        return dim_zero_cat(self.target).cpu(), dim_zero_cat(self.output).cpu()

    def compute(self) -> dict[str, float]:
        return self.task.metrics(dim_zero_cat(self.output), dim_zero_cat(self.target))


class EpochMean(MeanMetric):
    """Mean over an epoch's events, of all processes; NaN if a value is.

    torchmetrics' own leaves out the weights where it does not look for NaN.
    """

    mean_value: Tensor
    weight: Tensor

    def update(self, value: float | Tensor, weight: float | Tensor | None = None) -> None:
        """Add the mean of some events, and their number."""
        number = 1.0 if weight is None else weight
        self.mean_value += value * number
        self.weight += number
