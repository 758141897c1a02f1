"""Batch: some objects of a survey, as the training takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from torch import Tensor

__all__ = ["Batch", "Views"]


class Views(Protocol):
    """What a network sees of the objects of a batch."""

    event: Tensor

    def to(self, *args: Any, **kwargs: Any) -> Self: ...

    def pin_memory(self) -> Self: ...


@dataclass
class Batch:
    """Some objects.

    Attributes
    ----------
    images : dict of str to Views
        By their kind.
    index : Tensor of int64, shape (n_events,)
        Row of each object in the catalogue.
    targets : dict of str to Tensor of float32, shape (n_events, n_targets)
        By task, NaN where there is nothing to learn.
    weights : dict of str to Tensor
        None.
    labelled : None
        Objects without a truth have no target for it.
    """

    images: dict[str, Any]
    index: Tensor
    targets: dict[str, Tensor]
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    labelled: None = None

    @property
    def n_events(self) -> int:
        """Number of objects."""
        return len(self.index)

    @property
    def n_labelled(self) -> int:
        """Number of objects that the loss is of: all."""
        return self.n_events

    def with_cameras(self, _n_pixels: Mapping[str, int]) -> "Batch":
        """The same: all batches have the same views."""
        return self

    def _map(self, function: Callable[[Any], Any]) -> "Batch":
        return Batch(
            {name: function(views) for name, views in self.images.items()},
            function(self.index),
            {name: function(target) for name, target in self.targets.items()},
        )

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """The batch on another device."""
        return self._map(lambda part: part.to(*args, **kwargs))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, for fast copies to a GPU."""
        return self._map(lambda part: part.pin_memory())
