"""Balancing: how the losses of the tasks are added up.

A balancing takes, for each task, its mean loss in the batch and the number of events that the
mean is of. A task of no event in the batch adds nothing and moves nothing.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["FixedBalancing", "UncertaintyBalancing", "build_balancing"]


class FixedBalancing(nn.Module):
    """Sum of the losses with the weights of the settings.

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each task.
    """

    def __init__(self, weights: Mapping[str, float]):
        super().__init__()
        self.weights = dict(weights)

    def forward(self, losses: Mapping[str, tuple[Tensor, int]]) -> Tensor:
        return sum(self.weights[name] * loss for name, (loss, _) in losses.items())


class UncertaintyBalancing(nn.Module):
    """Weights learnt as the tasks' uncertainties (Kendall, Gal & Cipolla 2018, eq. 7).

    The total is the sum of exp(−s) · loss + s/2 over the tasks with events, with one learnt
    s = log σ² a task, which starts at −log(weight).

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each task at the start.
    """

    def __init__(self, weights: Mapping[str, float]):
        super().__init__()
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(-torch.log(torch.tensor(w))) for name, w in weights.items()}
        )

    def forward(self, losses: Mapping[str, tuple[Tensor, int]]) -> Tensor:
        # Times 0 rather than left out, so that every parameter has a gradient.
        return sum(
            (torch.exp(-self.log_variance[name]) * loss + self.log_variance[name] / 2) * (count > 0)
            for name, (loss, count) in losses.items()
        )


def build_balancing(kind: str, weights: Mapping[str, float]) -> nn.Module:
    """The balancing called ``kind``: ``fixed`` or ``uncertainty``."""
    return {"fixed": FixedBalancing, "uncertainty": UncertaintyBalancing}[kind](weights)
