"""Losses without labels: what the tasks that need no truth add to a training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..data import Batch
from ..nn.network import Estimates, ReconstructionNetwork
from ..nn.normalisation import borrowed_statistics
from ..tasks.without_labels import WithoutLabels

__all__ = ["LossWithoutLabels", "losses_without_labels"]


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
