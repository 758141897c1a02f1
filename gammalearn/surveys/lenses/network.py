"""The network: residual blocks on the cut-out, and on what has another colour than its middle.

::

    cut-out ─┬─► in units of the noise ──────────────┐
             └─► less its galaxy, by its colour ─────┤
                   └─► turned by 180 degrees ────────┴─► blocks at three scales ─► lens or not
    E(B-V) ─────────────────────────────────────────────────────────────────────────┘
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...settings.surveys import LensExperiment, LensNetwork
from ..galaxies.network import GROUPS, OfCutouts
from ..galaxies.photometry import apertures
from ..galaxies.views import VIEWS, Images
from .colours import MIDDLE, bluest, reference_of_colours
from .tasks import TASK

__all__ = ["LensEncoder", "LensFinder", "build_network"]

#: Standard deviations of a pixel at which brightness turns from linear to logarithmic.
SOFTENING = 3.0


class _Block(nn.Module):
    """A residual block (He et al. 2016)."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(GROUPS, n_out),
            nn.GELU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, n_out),
        )
        # It begins as its short cut.
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]  # has one
        self.short_cut: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.short_cut = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(n_in, n_out, 1))

    def forward(self, features: Tensor) -> Tensor:
        return functional.gelu(self.short_cut(features) + self.layers(features))


class LensEncoder(nn.Module):
    """Features of each cut-out.

    Parameters
    ----------
    noise : sequence of float
        Standard deviation of a pixel of the sky in each band, as it is in the training.
    n_pixels : int
    reference, blue : int
        The band that is subtracted from the others, and that where arcs are brightest.
    settings : LensNetwork
    """

    noise: Tensor
    middle: Tensor

    def __init__(
        self,
        noise: Sequence[float],
        n_pixels: int,
        reference: int,
        blue: int,
        settings: LensNetwork,
    ):
        super().__init__()
        n_bands, width = len(noise), settings.width
        self.reference = reference
        self.others = [band for band in range(n_bands) if band != reference]
        self.blue = self.others.index(blue)
        deviation = torch.tensor(list(noise), dtype=torch.float32)[:, None, None]
        self.register_buffer("noise", deviation)
        middle = torch.from_numpy(apertures(n_pixels, [MIDDLE])[0])
        self.register_buffer("middle", middle, persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(2 * n_bands, width, 5, stride=2, padding=2, bias=False),
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
        )
        blocks, n_in = [], width
        for scale in (1, 2, 4):
            for number in range(settings.blocks):
                stride = 2 if scale > 1 and number == 0 else 1
                blocks.append(_Block(n_in, scale * width, stride))
                n_in = scale * width
        self.blocks = nn.Sequential(*blocks)
        self.n_features = 2 * n_in

    def forward(self, images: Images) -> Tensor:
        """Features, shape (n, n_features)."""
        flux = images.flux
        left = self._other_colours(flux)
        # Images of a source are on both sides of a lens, too far apart for small filters.
        other_side = left[:, [self.blue]].flip((2, 3))
        bright = torch.cat([flux / self.noise, left, other_side], dim=1) / SOFTENING
        # As asinh, and several times as fast.
        features = self.blocks(self.stem(bright.sign() * torch.log1p(bright.abs())))
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)

    def _other_colours(self, flux: Tensor) -> Tensor:
        """What is left where the galaxy has the colour of its middle, in units of the noise."""
        light = (flux * self.middle).sum((2, 3), keepdim=True)
        whole = light[:, [self.reference]]
        # Galaxies that are darker than this have no colour.
        error = self.noise[self.reference] * self.middle.square().sum().sqrt()
        part = light[:, self.others] / torch.maximum(whole, error)
        left = flux[:, self.others] - part * flux[:, [self.reference]]
        return left / self.noise[self.others]


class LensFinder(OfCutouts):
    """Encoder, and the logit of a lens.

    Parameters
    ----------
    noise : sequence of float
        Standard deviation of a pixel of the sky in each band.
    n_pixels : int
    reference, blue : int
        The band that is subtracted from the others, and that where arcs are brightest.
    settings : LensNetwork
    """

    def __init__(
        self,
        noise: Sequence[float],
        n_pixels: int,
        reference: int,
        blue: int,
        settings: LensNetwork,
    ):
        super().__init__()
        encoder = LensEncoder(noise, n_pixels, reference, blue, settings)
        self.encoders = nn.ModuleDict({VIEWS: encoder})
        self.to_embedding = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(encoder.n_features + 1, 2 * settings.width),
            nn.GELU(),
        )
        self.heads = nn.ModuleDict({TASK: nn.Linear(2 * settings.width, 1)})

    def embed(self, images: Images) -> Tensor:
        """Embedding of each cut-out, shape (n, n_features)."""
        seen = self.encoders[VIEWS](images)
        # About as wide as the others.
        return self.to_embedding(torch.cat([seen, 10 * images.dust[:, None]], dim=1))

    def outputs(self, embedding: Tensor) -> dict[str, Tensor]:
        """The logit, shape (n, 1)."""
        return {TASK: self.heads[TASK](embedding)}


def build_network(experiment: LensExperiment, seen: Mapping[str, Any]) -> LensFinder:
    """An untrained network.

    Parameters
    ----------
    experiment : LensExperiment
    seen : mapping of str to object
        ``bands``, ``noise`` of each, and ``n_pixels``.
    """
    bands = seen["bands"]
    return LensFinder(
        seen["noise"],
        seen["n_pixels"],
        reference_of_colours(bands),
        bluest(bands),
        experiment.network,
    )
