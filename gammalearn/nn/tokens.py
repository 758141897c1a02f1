"""Tokens: what is known of each image, as features that attention sees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Descriptors", "Tokens", "perpendicular"]


def perpendicular(vector: Tensor) -> Tensor:
    """Vectors of shape (n, 2) turned by 90 degrees."""
    return torch.stack([-vector[..., 1], vector[..., 0]], dim=-1)


@dataclass
class Descriptors:
    """Descriptors of images, 0 where they are missing.

    Attributes
    ----------
    scalars : Tensor, shape (n_images, n_scalars)
    vectors : dict of str to Tensor, shape (n_images, 2)
    missing : Tensor, shape (n_images, n_scalars + n_vectors)
        1 where a descriptor is missing, 0 elsewhere.
    """

    scalars: Tensor
    vectors: dict[str, Tensor]
    missing: Tensor

    @classmethod
    def of(cls, scalars: Tensor, vectors: Tensor, names: Sequence[str]) -> "Descriptors":
        """Descriptors of images with NaN where they are missing, as in a batch."""
        missing = torch.cat([scalars.isnan(), vectors.isnan().any(dim=2)], dim=1)
        vectors = vectors.nan_to_num(0.0)
        return cls(
            scalars.nan_to_num(0.0),
            {name: vectors[:, number] for number, name in enumerate(names)},
            missing.to(scalars.dtype),
        )

    def known(self, name: str) -> Tensor:
        """1 for images that have a vector and 0 for others, shape (n_images,)."""
        place = self.scalars.shape[1] + list(self.vectors).index(name)
        return 1 - self.missing[:, place]

    def plain(self) -> Tensor:
        """All descriptors side by side, the axis by what its two ends have in common."""
        parts = [self.scalars, self.missing]
        for name, vector in self.vectors.items():
            parts.append(_double_angle(vector) if name == "axis" else vector)
        return torch.cat(parts, dim=1)

    def invariant(self) -> Tensor:
        """What does not change when the images are turned, nor when their axes change sign."""
        parts = [self.scalars, self.missing]
        axis = self.vectors["axis"]
        for name, vector in self.vectors.items():
            if name != "axis":
                sides = dot(vector, axis), dot(vector, perpendicular(axis))
                parts.append(torch.stack([side.abs() for side in sides], dim=1))
        along = [
            dot(self.vectors[n], axis)
            for n in ("skewness", "time_slope", "centroid")
            if n in self.vectors
        ]
        pairs = [a * b for number, a in enumerate(along) for b in along[:number]]
        return torch.cat([*parts, *(pair.unsqueeze(1) for pair in pairs)], dim=1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of vectors of shape (n, 2)."""
    return (a * b).sum(dim=-1)


def _double_angle(axis: Tensor) -> Tensor:
    """Cosine and sine of twice the angle of an axis, whose sign means nothing."""
    x, y = axis.unbind(dim=1)
    return torch.stack([x * x - y * y, 2 * x * y], dim=1)


@dataclass
class Tokens:
    """What is known of each image of a batch, of all cameras.

    Attributes
    ----------
    features : Tensor, shape (n_images, embedding)
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    position : Tensor, shape (n_images, 2)
        The telescope's, in the plane perpendicular to the pointing, in 100 m.
    pointing : Tensor, shape (n_images, 2)
        The telescope's, relative to the event's, in deg.
    descriptors : Descriptors or None
    sky : Tensor, shape (n_images, N_SKY), or None
        Place in the sky and precision that the keypoints give, relative to the event's pointing.
    images : Tensor, shape (n_images, embedding), or None
        What encoders see, where it is not among the features.
    encoded : Tensor, shape (n_images, embedding), or None
        What encoders see, in any case.
    """

    features: Tensor
    event: Tensor
    position: Tensor
    pointing: Tensor
    descriptors: Descriptors | None
    sky: Tensor | None
    images: Tensor | None = None
    encoded: Tensor | None = None

    def described(self) -> Descriptors:
        """The descriptors, for a part of the network that needs them.

        Raises
        ------
        ValueError
            If the images have none.
        """
        if self.descriptors is None:
            raise ValueError("The images have no descriptors.")
        return self.descriptors

    def float(self) -> "Tokens":
        """The same in single precision at least."""
        return replace(
            self,
            features=_single(self.features),
            sky=None if self.sky is None else _single(self.sky),
            images=None if self.images is None else _single(self.images),
        )


def _single(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
