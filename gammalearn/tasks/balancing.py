"""Balancing: how the losses of the tasks are added up.

A balancing takes, for each task, its mean loss in the batch and the number of events that the
mean is of. A task of no event in the batch adds nothing and moves nothing.

Those that change their weights as they go do so in training only. In validation the weights are
those of the settings: epochs are compared by the same measure.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "Balancing",
    "DynamicWeightAverage",
    "FixedBalancing",
    "GradNorm",
    "GradientSurgery",
    "UncertaintyBalancing",
    "build_balancing",
    "gradient_products",
]

#: Of each task, its mean loss and the number of events that the mean is of.
Losses = Mapping[str, tuple[Tensor, int]]


class Balancing(nn.Module):
    """General form: a weighted sum of the losses.

    Parameters
    ----------
    initial : mapping of str to float
        Weight of each task in the settings.

    Attributes
    ----------
    needs_gradients : bool
        Whether `see_gradients` has to be called before each sum.
    """

    needs_gradients = False

    def __init__(self, initial: Mapping[str, float]):
        super().__init__()
        self.initial = dict(initial)

    def weights(self) -> Mapping[str, float | Tensor]:
        """Weight of each task in training, as it is now, without a gradient."""
        return self.initial

    def forward(self, losses: Losses) -> Tensor:
        weights = self.weights() if self.training else self.initial
        # Images may have no outputs of their own, and then no losses.
        return sum((weights[name] * loss for name, (loss, _) in losses.items()), torch.zeros(()))

    def see_gradients(self, products: Tensor, losses: Losses) -> Tensor:
        """Learn how the tasks' gradients stand to each other in this batch.

        Parameters
        ----------
        products : Tensor, shape (n_tasks, n_tasks)
            Inner products of the gradients, see `gradient_products`.
        losses : mapping of str to (Tensor, int)
            In the same order.

        Returns
        -------
        Tensor
            Zero, to be added to the total: its gradient teaches the balancing's own parameters.
        """
        return products.new_zeros(())

    def see_epoch(self, losses: Mapping[str, float]) -> None:
        """Learn the mean losses of an epoch that is complete, NaN where there was no event."""


class FixedBalancing(Balancing):
    """Sum of the losses with the weights of the settings."""


class UncertaintyBalancing(Balancing):
    """Weights learnt as the tasks' uncertainties (Kendall, Gal & Cipolla 2018, eq. 7).

    The total is the sum of exp(−s) · loss + s/2 over the tasks with events, with one learnt
    s = log σ² a task, which starts at −log(weight).
    """

    def __init__(self, initial: Mapping[str, float]):
        super().__init__(initial)
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(-torch.log(torch.tensor(w))) for name, w in initial.items()}
        )

    def weights(self) -> Mapping[str, float | Tensor]:
        return {name: torch.exp(-s.detach()) for name, s in self.log_variance.items()}

    def forward(self, losses: Losses) -> Tensor:
        if not self.training:
            return super().forward(losses)
        # Times 0 rather than left out, so that every parameter has a gradient.
        return sum(
            (torch.exp(-self.log_variance[name]) * loss + self.log_variance[name] / 2) * (count > 0)
            for name, (loss, count) in losses.items()
        )


class DynamicWeightAverage(Balancing):
    """More weight for tasks whose loss falls more slowly (Liu, Johns & Davison 2019, eq. 7).

    The settings' weights are multiplied with λ_k = K exp(r_k / T) / Σ exp(r_i / T), where r_k is
    the loss of task k in the last epoch over that in the epoch before. In the first two epochs, and
    for a task that had no event or no positive loss in one of them, r_k = 1.
    """

    #: T, which makes weights more alike.
    TEMPERATURE = 2.0

    def __init__(self, initial: Mapping[str, float]):
        super().__init__(initial)
        #: Losses of the last epoch and of the one before, 0 where there was none.
        self.last_losses: Tensor
        self.register_buffer("last_losses", torch.zeros(2, len(initial)))

    def weights(self) -> Mapping[str, float | Tensor]:
        rate = _ratio(*self.last_losses)
        shares = torch.softmax(rate / self.TEMPERATURE, dim=0) * len(rate)
        return {
            name: weight * share
            for (name, weight), share in zip(self.initial.items(), shares, strict=True)
        }

    def see_epoch(self, losses: Mapping[str, float]) -> None:
        last = self.last_losses.new_tensor([losses[name] for name in self.initial])
        self.last_losses = torch.stack([last.nan_to_num(0, 0, 0), self.last_losses[0]])


def _ratio(losses: Tensor, before: Tensor) -> Tensor:
    """Losses over those before; 1 where one of them is not positive, which has no rate."""
    return torch.where((losses > 0) & (before > 0), losses / before, 1)


class GradNorm(Balancing):
    """Weights learnt so that all tasks train at like rates (Chen et al. 2018, algorithm 1).

    The lengths of the weighted losses' gradients shall stand to each other as r^α, where r is the
    task's loss over its first one: longer for those that have learnt less. How far they are from
    that is the loss of the weights (eq. 2), here of lengths and r^α relative to their means, so
    that there are weights without any. The weights are a softmax, which keeps their sum and their
    sign, for which the paper scales them after each step. The gradients are those of all weights of
    the network that tasks share.
    """

    needs_gradients = True

    #: α, how strongly tasks that have learnt less are pulled along.
    STRENGTH = 1.5

    def __init__(self, initial: Mapping[str, float]):
        super().__init__(initial)
        self.log_weights = nn.Parameter(torch.log(torch.tensor(list(initial.values()))))
        #: Loss of each task when it was first seen, 0 before.
        self.first_losses: Tensor
        self.register_buffer("first_losses", torch.zeros(len(initial)))

    def _weights(self) -> Tensor:
        return torch.softmax(self.log_weights, dim=0) * sum(self.initial.values())

    def weights(self) -> Mapping[str, float | Tensor]:
        return dict(zip(self.initial, self._weights().detach().unbind(), strict=True))

    def see_gradients(self, products: Tensor, losses: Losses) -> Tensor:
        values = torch.stack([loss.detach() for loss, _ in losses.values()]).float()
        lengths = products.diagonal().sqrt()
        seen = torch.tensor([count > 0 for _, count in losses.values()], device=values.device)
        new = seen & (self.first_losses == 0) & torch.isfinite(values)
        self.first_losses = torch.where(new, values, self.first_losses)
        # A gradient of nothing has nothing to say on the others.
        seen = seen & (lengths != 0)
        if not seen.any():
            return self._weights().sum() * 0
        weighted = (self._weights() * lengths)[seen]
        wanted = _ratio(values, self.first_losses)[seen] ** self.STRENGTH
        apart = (weighted / weighted.mean().detach() - wanted / wanted.mean()).abs().sum()
        return apart - apart.detach()


class GradientSurgery(Balancing):
    """PCGrad: no task's gradient undoes what another one wants (Yu et al. 2020, algorithm 1).

    Where the gradients of two tasks point against each other, each is projected onto the normal
    plane of the other. The sum of the projected gradients is a weighted sum of the gradients
    themselves, whose weights follow from their inner products: one weight a task and step, the
    setting's times 1 where nothing conflicts and more else. The heads, which no other task shares,
    go with the weight of their task. In accumulated batches each is looked at by itself.
    """

    needs_gradients = True

    def __init__(self, initial: Mapping[str, float]):
        super().__init__(initial)
        self.factors: Tensor
        self.register_buffer("factors", torch.ones(len(initial)))
        self.batches_seen: Tensor
        #: The order of the projections is drawn from it, the same in all processes.
        self.register_buffer("batches_seen", torch.tensor(0))

    def weights(self) -> Mapping[str, float | Tensor]:
        return {
            name: weight * factor
            for (name, weight), factor in zip(self.initial.items(), self.factors, strict=True)
        }

    def see_gradients(self, products: Tensor, losses: Losses) -> Tensor:
        weights = products.new_tensor([self.initial[name] for name in losses])
        weighted = (products * weights[:, None] * weights).double().cpu()
        random = torch.Generator().manual_seed(int(self.batches_seen))
        self.batches_seen = self.batches_seen + 1
        if torch.isfinite(weighted).all():
            self.factors = projected_sum(weighted, random).to(self.factors)
        # Where it is not finite the step is left out.
        return products.sum() * 0


def projected_sum(products: Tensor, random: torch.Generator) -> Tensor:
    """What each gradient counts in the sum of those that PCGrad has projected.

    Parameters
    ----------
    products : Tensor, shape (n_tasks, n_tasks)
        Inner products of the gradients.
    random : torch.Generator
        Draws the order of the projections.

    Returns
    -------
    Tensor, shape (n_tasks,)
    """
    n_tasks = len(products)
    # Row i has the projected gradient i in terms of the gradients.
    terms = torch.eye(n_tasks, dtype=products.dtype)
    for i in range(n_tasks):
        for j in torch.randperm(n_tasks, generator=random).tolist():
            product = terms[i] @ products[:, j]
            if i != j and product < 0:
                terms[i, j] -= product / products[j, j]
    return terms.sum(dim=0)


def gradient_products(
    losses: Sequence[Tensor],
    parameters: Sequence[nn.Parameter],
    mean: Callable[[Tensor], Tensor] = lambda values: values,
) -> Tensor:
    """Inner products of the gradients of losses by the parameters that they share.

    Shared are the parameters that two losses or more depend on.

    Parameters
    ----------
    losses : sequence of Tensor
        Whose graph stays for another gradient. One that depends on nothing has a gradient of 0.
    parameters : sequence of torch.nn.Parameter
        All that are learnt.
    mean : callable
        Mean of a tensor over the processes that train together.

    Returns
    -------
    Tensor of float32, shape (n_losses, n_losses)
    """
    gradients, reached = [], []
    for loss in losses:
        parts: Sequence[Tensor | None] = [None] * len(parameters)
        if loss.requires_grad:
            parts = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        reached.append([part is not None for part in parts])
        filled = [
            torch.zeros_like(parameter) if part is None else part
            for part, parameter in zip(parts, parameters, strict=True)
        ]
        gradients.append(torch.cat([part.flatten().float() for part in filled]))
    of_losses = mean(torch.stack(gradients))
    # In other processes there may be images of a camera that is not here.
    depends = mean(torch.tensor(reached, dtype=torch.float32, device=of_losses.device)) > 0
    sizes = torch.tensor([p.numel() for p in parameters], device=of_losses.device)
    shared = (depends.sum(dim=0) > 1).repeat_interleave(sizes)
    of_losses = of_losses * shared
    return of_losses @ of_losses.T


BALANCINGS = {
    "fixed": FixedBalancing,
    "uncertainty": UncertaintyBalancing,
    "dwa": DynamicWeightAverage,
    "gradnorm": GradNorm,
    "pcgrad": GradientSurgery,
}


def build_balancing(kind: str, weights: Mapping[str, float]) -> Balancing:
    """The balancing called ``kind``, see ``training.balancing``, which starts at the weights."""
    return BALANCINGS[kind](weights)
