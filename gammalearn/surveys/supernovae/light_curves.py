"""Light curves of a batch, each supernova with one or more versions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .curves import Nights

__all__ = ["LightCurves"]


@dataclass
class LightCurves:
    """Light curves by nights, as long as the longest.

    Attributes
    ----------
    event : Tensor of int64, shape (n_curves,)
        Row of each curve's object in the batch.
    time : Tensor of float32, shape (n_curves, n_nights)
    is_night : Tensor of bool, shape (n_curves, n_nights)
        False beyond the end of a light curve.
    flux, error : Tensor of float32, shape (n_curves, n_nights, n_bands)
    observed, hidden : Tensor of bool, shape (n_curves, n_nights, n_bands)
        What was observed, and what of it the network is not to see.
    context : Tensor of float32, shape (n_curves, n_context)
    """

    event: Tensor
    time: Tensor
    is_night: Tensor
    flux: Tensor
    error: Tensor
    observed: Tensor
    hidden: Tensor
    context: Tensor

    @classmethod
    def of(
        cls,
        nights: Sequence[Nights],
        event: np.ndarray,
        mask_fraction: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> "LightCurves":
        """Light curves of one batch.

        Parameters
        ----------
        nights : sequence of Nights
        event : ndarray of int, shape (n_curves,)
        mask_fraction : float
            Fraction of the observations to hide, half of them as whole nights.
        rng : numpy.random.Generator, optional
        """
        length = max(len(curve.time) for curve in nights)
        n_bands = nights[0].flux.shape[1]
        shape = len(nights), length, n_bands
        time, is_night = np.zeros(shape[:2], np.float32), np.zeros(shape[:2], bool)
        flux, error = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        observed = np.zeros(shape, bool)
        for number, curve in enumerate(nights):
            part = number, slice(len(curve.time))
            time[part], is_night[part] = curve.time, True
            flux[part], error[part], observed[part] = curve.flux, curve.error, curve.observed
        hidden = np.zeros(shape, bool)
        if rng is not None and mask_fraction:
            hidden = rng.random(shape) < mask_fraction / 2
            hidden |= (rng.random(shape[:2]) < mask_fraction / 2)[..., None]
        return cls(
            torch.from_numpy(np.asarray(event, dtype=np.int64)),
            torch.from_numpy(time),
            torch.from_numpy(is_night),
            torch.from_numpy(flux),
            torch.from_numpy(error),
            torch.from_numpy(observed),
            torch.from_numpy(hidden & observed),
            torch.from_numpy(np.stack([curve.context for curve in nights])),
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> "LightCurves":
        """Light curves whose tensors are what a function makes of these."""
        return LightCurves(**{name: function(tensor) for name, tensor in vars(self).items()})

    def to(self, *args: Any, **kwargs: Any) -> "LightCurves":
        """All tensors on another device."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> "LightCurves":
        """All tensors in page-locked memory."""
        return self.map(lambda tensor: tensor.pin_memory())
