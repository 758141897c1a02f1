"""Views: the cut-outs of a batch, as the network takes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["VIEWS", "Images", "turned"]

#: What the views of an object are called.
VIEWS = "cutouts"


@dataclass
class Images:
    """Cut-outs and the reddening in front of them.

    Attributes
    ----------
    event : Tensor of int64, shape (n,)
        Row of each cut-out's object in the batch.
    flux : Tensor of float32, shape (n, n_bands, n_pixels, n_pixels)
    dust : Tensor of float32, shape (n,)
        E(B-V) of the Milky Way, mag.
    """

    event: Tensor
    flux: Tensor
    dust: Tensor

    @classmethod
    def of(cls, flux: np.ndarray, dust: np.ndarray) -> "Images":
        """One cut-out of each object."""
        return cls(
            torch.arange(len(flux)),
            torch.from_numpy(np.ascontiguousarray(flux, dtype=np.float32)),
            torch.from_numpy(np.asarray(dust, dtype=np.float32)),
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> "Images":
        """Images whose tensors are what a function makes of these."""
        return Images(function(self.event), function(self.flux), function(self.dust))

    def to(self, *args: Any, **kwargs: Any) -> "Images":
        """All tensors on another device."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> "Images":
        """All tensors in page-locked memory."""
        return self.map(lambda tensor: tensor.pin_memory())


def turned(flux: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each cut-out turned by a multiple of 90 degrees, and half of them mirrored.

    Parameters
    ----------
    flux : ndarray, shape (n, n_bands, n_pixels, n_pixels)
    rng : numpy.random.Generator
    """
    found = np.empty_like(flux)
    for number, (turns, mirrored) in enumerate(rng.integers((4, 2), size=(len(flux), 2))):
        one = np.rot90(flux[number], turns, axes=(1, 2))
        found[number] = one[:, :, ::-1] if mirrored else one
    return found
