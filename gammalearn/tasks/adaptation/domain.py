"""Domain: the network hides from a classifier where an event comes from (DANN)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ...settings import TaskSettings
from ..base import Task
from .base import Adaptation, EventSet

__all__ = ["DomainTask", "reverse_gradient"]

#: Hidden features of the classifier.
HIDDEN = 128


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """The same values; their gradient is −``strength`` times that of the result.

    Parameters
    ----------
    x : Tensor
    strength : float
        λ of Ganin & Lempitsky (2015), eq. 10.
    """
    return _Reversal.apply(x, strength)


class DomainTask(Adaptation):
    """Gradient reversal against a classifier of domains (Ganin & Lempitsky 2015).

    The classifier tells unlabelled events from training events by their features, and learns with
    its full gradient. The network gets the opposite gradient, times the weight. The loss is the
    mean cross entropy of each domain's events, averaged over the two domains: it is log 2 if the
    classifier cannot tell them apart.
    """

    name = "domain"
    options = ("conditional",)

    def __init__(self, settings: TaskSettings, n_features: int, tasks: Mapping[str, Task]):
        super().__init__(settings, n_features, tasks)
        last = nn.Linear(HIDDEN, 1)
        self.classifier = nn.Sequential(
            nn.LayerNorm(self.n_features),
            nn.Linear(self.n_features, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            last,
        )
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def logits(self, events: EventSet, strength: float = 0.0) -> Tensor:
        """Logarithm of the odds that events are unlabelled ones, shape (n_events,)."""
        return self.classifier(reverse_gradient(self.features(events), strength)).squeeze(1)

    def forward(
        self, labelled: EventSet, unlabelled: EventSet, strength: float
    ) -> tuple[Tensor, Tensor]:
        known, unknown = (
            binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))
            for logits, truth in (
                (self.logits(labelled, strength), 0.0),
                (self.logits(unlabelled, strength), 1.0),
            )
        )
        loss = (known + unknown) / 2
        return loss, loss

    def metrics(self, labelled: EventSet, unlabelled: EventSet) -> dict[str, float]:
        """Mean share of each domain's events that the classifier knows; 0.5 if it knows nothing."""
        known = (self.logits(labelled) <= 0), (self.logits(unlabelled) > 0)
        return {"domain_accuracy": float(sum(k.float().mean() for k in known) / 2)}
