"""Batch: events with ragged images, as the network takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

__all__ = ["Batch", "CameraImages"]


@dataclass
class CameraImages:
    """The images of one camera type in a batch.

    Attributes
    ----------
    pixels : Tensor of float32, shape (n_images, n_values, n_pixels)
        The channels of each pixel and, with ``data.input="waveforms"``, the samples after them.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event in the batch.
    position : Tensor of float32, shape (n_images, 3)
        Telescope's position relative to the event's ground reference, in m: in the plane
        perpendicular to the event's pointing along fov_lon and fov_lat, and along the pointing, see
        `gammalearn.camera.to_plane`.
    pointing : Tensor of float32, shape (n_images, 2)
        Telescope's pointing relative to the event's, as (fov_lon, fov_lat) in deg.
    tel_id : Tensor of int64, shape (n_images,), optional
        Telescope's id, which only a fusion of fixed telescopes asks for.
    scalars : Tensor of float32, shape (n_images, n_scalars), optional
        Of `gammalearn.data.images.descriptors`, NaN where an image has none.
    vectors : Tensor of float32, shape (n_images, n_vectors, 2), optional
        Of `gammalearn.data.images.descriptors`, along fov_lon and fov_lat, NaN where an image has
        none.
    sky : Tensor of float32, shape (n_images, 3), optional
        Where in the sky the telescope points: the logarithm of the air mass 1/cos(zenith), and
        sin(zenith) along North and East. A network that knows the pointing asks for it.
    noise : Tensor of float32, shape (n_images,), optional
        Noise of the night sky by interleaved pedestals, in p.e., NaN where there are none.
    """

    pixels: Tensor
    event: Tensor
    position: Tensor
    pointing: Tensor
    tel_id: Tensor | None = None
    scalars: Tensor | None = None
    vectors: Tensor | None = None
    sky: Tensor | None = None
    noise: Tensor | None = None

    @classmethod
    def dark(
        cls,
        event: Tensor,
        shape: tuple[int, int],
        n_scalars: int | None = None,
        n_vectors: int = 0,
        tel_id: int | None = None,
        with_sky: bool = False,
    ) -> "CameraImages":
        """Images without light at the middle of the array, to see what becomes of their shapes.

        Parameters
        ----------
        event : Tensor of int64, shape (n_images,)
            Row of each image's event.
        shape : tuple of int
            Values of each pixel, and pixels.
        n_scalars : int, optional
            Scalars of the descriptors; by default there are no descriptors.
        n_vectors : int
            Vectors of the descriptors.
        tel_id : int, optional
            Telescope of all images.
        with_sky : bool
            Whether the telescopes tell where they point, which is the zenith.
        """
        n_images = len(event)
        return cls(
            torch.zeros(n_images, *shape),
            event,
            torch.zeros(n_images, 3),
            torch.zeros(n_images, 2),
            None if tel_id is None else torch.full((n_images,), tel_id),
            None if n_scalars is None else torch.zeros(n_images, n_scalars),
            None if n_scalars is None else torch.zeros(n_images, n_vectors, 2),
            torch.zeros(n_images, 3) if with_sky else None,
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> "CameraImages":
        """Images whose tensors are what a function makes of these."""
        tensors = {name: t for name, t in vars(self).items() if t is not None}
        return CameraImages(**{name: function(t) for name, t in tensors.items()})

    def followed_by(self, others: "CameraImages", n_events: int) -> "CameraImages":
        """These images and those of the same camera in another batch.

        Parameters
        ----------
        others : CameraImages
        n_events : int
            Number of events of this batch, after which those of the other one come.
        """
        others = replace(others, event=others.event + n_events)
        tensors = {name: t for name, t in vars(self).items() if t is not None}
        return CameraImages(
            **{name: torch.cat([t, getattr(others, name)]) for name, t in tensors.items()}
        )

    def to(self, *args: Any, **kwargs: Any) -> "CameraImages":
        """All tensors on another device."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> "CameraImages":
        """All tensors in page-locked memory."""
        return self.map(lambda tensor: tensor.pin_memory())


@dataclass
class Batch:
    """Some events: images by camera type, targets by task.

    Attributes
    ----------
    images : dict of str to CameraImages
        By the camera's name; no entry where there are no images of it.
    index : Tensor of int64, shape (n_events,)
        Row of each event in the event index.
    targets : dict of str to Tensor of float32, shape (n_events, n_targets)
        By task, NaN where there is nothing to learn.
    weights : dict of str to Tensor of float32, shape (n_events,)
        By task, how much each event counts; 1 where a task is not there.
    labelled : Tensor of bool, shape (n_events,), optional
        Which events may be learned from with their truth; by default all. The others have rows of
        an index of their own, and no targets but NaN.
    """

    images: dict[str, CameraImages]
    index: Tensor
    targets: dict[str, Tensor]
    weights: dict[str, Tensor] = field(default_factory=dict)
    labelled: Tensor | None = None

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.index)

    @property
    def n_labelled(self) -> int:
        """Number of events that may be learned from with their truth."""
        return self.n_events if self.labelled is None else int(self.labelled.sum())

    def unlabelled(self) -> "Batch":
        """The same events without targets and weights."""
        return Batch(
            self.images, self.index, {}, {}, torch.zeros_like(self.index, dtype=torch.bool)
        )

    def followed_by(self, unlabelled: "Batch") -> "Batch":
        """These events and, after them, those of another batch without their truth.

        Parameters
        ----------
        unlabelled : Batch
            Of the same cameras. Its targets and weights are not used.
        """
        images = dict(self.images)
        for name, others in unlabelled.images.items():
            if name in images:
                images[name] = images[name].followed_by(others, self.n_events)
            else:
                images[name] = replace(others, event=others.event + self.n_events)
        n = unlabelled.n_events
        return Batch(
            images,
            torch.cat([self.index, unlabelled.index]),
            {
                name: torch.cat([target, target.new_full((n, target.shape[1]), torch.nan)])
                for name, target in self.targets.items()
            },
            {name: torch.cat([w, w.new_ones(n)]) for name, w in self.weights.items()},
            torch.arange(self.n_events + n) < self.n_events,
        )

    def with_cameras(self, n_pixels: Mapping[str, int]) -> "Batch":
        """The batch with an entry for each of some cameras, in their order.

        Parameters
        ----------
        n_pixels : mapping of str to int
            By the camera's name. The entry of one that there are no images of has none.
        """
        some = next(iter(self.images.values()))
        n_values = some.pixels.shape[1]
        none = some.map(lambda tensor: tensor[:0])
        images = {
            name: self.images.get(name)
            or replace(none, pixels=some.pixels.new_empty(0, n_values, n))
            for name, n in n_pixels.items()
        }
        return replace(self, images=images)

    def _map(self, function: Callable[[Any], Any]) -> "Batch":
        return Batch(
            {name: function(images) for name, images in self.images.items()},
            function(self.index),
            {name: function(target) for name, target in self.targets.items()},
            {name: function(weights) for name, weights in self.weights.items()},
            None if self.labelled is None else function(self.labelled),
        )

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """The batch on another device."""
        return self._map(lambda part: part.to(*args, **kwargs))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, for fast copies to a GPU."""
        return self._map(lambda part: part.pin_memory())
