"""What a task without labels is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from ...camera import CameraType
from ...data import Batch, CameraImages
from ...settings import TaskSettings

__all__ = ["Embedded", "ImageNetwork", "SeenImages", "WithoutLabels", "mean_of_events"]

# Loss of each event, shape (n_events,), and which events have one.
Losses = tuple[Tensor, Tensor]


class Embedded(Protocol):
    """What a network has made of a batch, see `gammalearn.nn.network.Estimates`."""

    embedding: Tensor
    seen: Tensor
    event: Tensor


class ImageNetwork(Protocol):
    """What tasks without labels ask of a network."""

    def estimates(
        self, images: Mapping[str, CameraImages], n_events: int
    ) -> Embedded: ...  # pragma: no cover

    def decoded(
        self, images: Mapping[str, CameraImages], hidden: Mapping[str, Tensor]
    ) -> dict[str, Tensor]: ...  # pragma: no cover


@dataclass(frozen=True)
class SeenImages:
    """What the images are that a network sees.

    Attributes
    ----------
    cameras : sequence of CameraType
    channels : sequence of str
        ``data.channels``.
    n_features : int
        Features of the embedding.
    light : callable
        Which pixels hold light of a shower, from the channel ``charge`` of shape
        (n_images, n_pixels) to bool of the same shape.
    """

    cameras: Sequence[CameraType]
    channels: Sequence[str]
    n_features: int
    light: Callable[[Tensor], Tensor]


class WithoutLabels(nn.Module, ABC):
    """A loss of events that needs no truth.

    Parameters
    ----------
    settings : gammalearn.settings.TaskSettings
    images : SeenImages
    """

    name: ClassVar[str]
    """Name in the settings."""

    options: ClassVar[tuple[str, ...]] = ()
    """Settings it knows beside weight, which all do."""

    uses_embedding: ClassVar[bool] = False
    """Whether it learns from what the network says of the whole images."""

    def __init__(self, settings: TaskSettings, images: SeenImages):
        super().__init__()
        self.weight = settings.weight

    @abstractmethod
    def losses(self, network: ImageNetwork, batch: Batch, seen: Embedded) -> Losses:
        """Loss of each event in the training, with random choices.

        Parameters
        ----------
        network : ImageNetwork
        batch : Batch
            Its targets are not used.
        seen : Embedded
            What the network says of the whole images.
        """

    @abstractmethod
    def steady_losses(self, network: ImageNetwork, batch: Batch, seen: Embedded) -> Losses:
        """Loss of each event in the validation, whose choices are the same in each epoch."""


def mean_of_events(values: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of the values of each event's images, 0 for events without any, shape (n_events,).

    Parameters
    ----------
    values : Tensor, shape (n_images,)
    event : Tensor of int64, shape (n_images,)
    n_events : int
    """
    total = values.new_zeros(n_events).index_add(0, event, values)
    return total / torch.bincount(event, minlength=n_events).clamp(min=1)
