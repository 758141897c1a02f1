"""Conditioning: the state of sky and camera modulates image features.

The noise and the missing pixels are seen in the pixels; where the telescope points is told.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..image.noise import BELOW_ONE_SIGMA

__all__ = ["ImageConditioning", "bad_pixel_fraction", "light_of_shower", "noise_level"]

#: Smallest noise (p.e.) that is told from none.
LEAST_NOISE = 0.05

#: Light is what exceeds the median of the pixels by so many times the noise.
LIGHT = 4.0

#: What the network is told of the pointing: see `gammalearn.data.CameraImages`.
OF_POINTING = 3

#: Hidden features between the conditions and the modulation.
HIDDEN = 32


def _in_photoelectrons(charge: Tensor, scale: str) -> Tensor:
    """Charges (p.e.) from values of the channel, see ``data.charge_scale``."""
    if scale == "asinh":
        return torch.sinh(charge)
    if scale == "log":
        return torch.sign(charge) * torch.expm1(charge.abs())
    return torch.sign(charge) * charge.square() if scale == "sqrt" else charge


def noise_level(charge: Tensor, scale: str = "linear") -> Tensor:
    """Noise of the dark pixels of images, in p.e.

    It is the distance between the median of the charges and the quantile that is one standard
    deviation below the mean of a normal distribution. Light of a shower is above the median and is
    in few pixels, so it does not need to be cleaned away. Missing pixels, whose charge is exactly
    0, are left out.

    Parameters
    ----------
    charge : Tensor, shape (n_images, n_pixels)
        Values of the channel ``charge``.
    scale : str
        ``data.charge_scale``. Quantiles do not depend on it, so they are converted, not the pixels.

    Returns
    -------
    Tensor, shape (n_images,)
        0 for images without pixels.
    """
    return torch.subtract(*_median_and_below(charge, scale))


def _median_and_below(charge: Tensor, scale: str) -> list[Tensor]:
    """Median of the charges (p.e.) of images and the quantile one standard deviation below."""
    present = charge != 0
    count = present.sum(dim=1, keepdim=True)
    # Missing pixels come last.
    values = torch.where(present, charge, torch.inf).sort(dim=1).values
    quantiles = []
    for share in (0.5, BELOW_ONE_SIGMA):
        place = share * (count - 1).clamp(min=0).to(charge.dtype)
        low = place.floor().to(torch.int64)
        high = torch.minimum(low + 1, (count - 1).clamp(min=0))
        below, above = values.gather(1, low), values.gather(1, high)
        value = _in_photoelectrons(below + (place - low) * (above - below), scale)
        quantiles.append(torch.where(count > 0, value, 0).squeeze(1))
    return quantiles


def light_of_shower(charge: Tensor, scale: str = "linear") -> Tensor:
    """Which pixels hold light of a shower: those that are bright against the noise of their image.

    Parameters
    ----------
    charge : Tensor, shape (n_images, n_pixels)
        Values of the channel ``charge``.
    scale : str
        ``data.charge_scale``.

    Returns
    -------
    Tensor of bool, shape (n_images, n_pixels)
        Whether the charge exceeds the median by four times the `noise_level`.
    """
    median, below = _median_and_below(charge, scale)
    threshold = median + LIGHT * (median - below).clamp(min=LEAST_NOISE)
    return _in_photoelectrons(charge, scale) > threshold.unsqueeze(1)


def bad_pixel_fraction(charge: Tensor) -> Tensor:
    """Share of the pixels of images that are missing: those whose charge is exactly 0.

    Parameters
    ----------
    charge : Tensor, shape (n_images, n_pixels)

    Returns
    -------
    Tensor, shape (n_images,)
    """
    return (charge == 0).to(charge.dtype).mean(dim=1)


class ImageConditioning(nn.Module):
    """Features scaled and shifted by the state of sky and camera (FiLM).

    The scale and shift of each feature are a small network's output for the conditions (Perez et
    al. 2018). They are 1 and 0 at the start, so a network begins as it would without conditions.

    Parameters
    ----------
    conditions : sequence of str
        ``nsb``, ``bad_pixels``, see `noise_level` and `bad_pixel_fraction`; ``pointing``.
    features : int
        Features of an image.
    channel : int, optional
        Which channel of the images is the charge; the pointing alone needs none.
    charge_scale : str
        ``data.charge_scale``.
    """

    def __init__(
        self,
        conditions: Sequence[str],
        features: int,
        channel: int | None = None,
        charge_scale: str = "linear",
    ) -> None:
        super().__init__()
        self.conditions, self.channel, self.charge_scale = list(conditions), channel, charge_scale
        n_values = sum(OF_POINTING if name == "pointing" else 1 for name in self.conditions)
        last = nn.Linear(HIDDEN, 2 * features)
        self.modulation = nn.Sequential(nn.Linear(n_values, HIDDEN), nn.GELU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    @torch.no_grad()
    def values(
        self, pixels: Tensor | None, sky: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """The conditions of images, shape (n_images, n_values).

        The noise enters as the logarithm of p.e., the missing pixels as percent.

        Parameters
        ----------
        pixels : Tensor, shape (n_images, n_channels, n_pixels), optional
            Not needed for the pointing.
        sky : Tensor, shape (n_images, 3), optional
            Needed for the pointing, see `gammalearn.data.CameraImages`.
        noise : Tensor, shape (n_images,), optional
            By interleaved pedestals, in p.e.; where it is NaN, that of the image's dark pixels is
            used.
        """
        found = []
        for name in self.conditions:
            if name == "pointing":
                if sky is None:
                    raise ValueError("These images do not tell where their telescopes point.")
                found.append(sky.float())
                continue
            if pixels is None or self.channel is None:
                raise ValueError(f"The condition {name} is seen in the charges of the pixels.")
            charge = pixels[:, self.channel].float()
            if name == "nsb":
                level = noise_level(charge, self.charge_scale)
                if noise is not None:
                    level = torch.where(noise.isfinite(), noise.to(level.dtype), level)
                found.append(torch.log(level.clamp(min=LEAST_NOISE))[:, None])
            else:
                found.append(100 * bad_pixel_fraction(charge)[:, None])
        return torch.cat(found, dim=1)

    def forward(
        self,
        features: Tensor,
        pixels: Tensor | None,
        sky: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Modulated features.

        Parameters
        ----------
        features : Tensor, shape (n_images, n_features)
        pixels, sky, noise : Tensor, optional
            See `values`.
        """
        scale, shift = self.modulation(self.values(pixels, sky, noise)).tensor_split(2, dim=1)
        return features * (1 + scale) + shift
