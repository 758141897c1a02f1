"""The network: photometry within masks that it finds itself, and the shape of the galaxy.

::

    cut-outs ─► convolutions ─► masks ─┐
        │            │                 ▼
        └────────────┼────────► fluxes within masks and circles ─► colours ─┐
                     └► more convolutions ─► shape ─────────────────────────┼─► density
    E(B-V) ─────────────────────────────────────────────────────────────────┘
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...settings.surveys import CutoutNetwork, RedshiftExperiment
from ..galaxies.network import GROUPS, OfCutouts
from ..galaxies.photometry import apertures
from ..galaxies.views import VIEWS, Images
from .density import N_BINS
from .tasks import TASK

__all__ = ["CutoutEncoder", "RedshiftNetwork", "build_network"]

#: Radii (pixels) of the circles, and those that the masks begin with.
CIRCLES, BEGINNING = (2.0, 4.0, 7.0, 12.0), (1.5, 3.0, 5.0, 8.0)

#: Sharpness of the masks' edges, in pixels.
EDGE = 1.5

#: Part of each band's noise in a pixel at which brightness turns from linear to logarithmic.
SOFTENING = 3.0


def _block(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, n_out), nn.GELU()
    )


class CutoutEncoder(nn.Module):
    """Numbers of each cut-out: colours within masks and circles, and shape.

    Parameters
    ----------
    noise : sequence of float
        Standard deviation of a pixel of the sky in each band, as it is in the training.
    n_pixels : int
    settings : CutoutNetwork
    """

    noise: Tensor
    circles: Tensor
    beginning: Tensor

    def __init__(self, noise: Sequence[float], n_pixels: int, settings: CutoutNetwork):
        super().__init__()
        n_bands, width = len(noise), settings.width
        self.register_buffer("noise", torch.tensor(list(noise), dtype=torch.float32))
        half = n_pixels // 2
        circles = apertures(half, [radius / 2 for radius in CIRCLES])
        self.register_buffer("circles", torch.from_numpy(circles), persistent=False)
        place = np.arange(half) - (half - 1) / 2
        distance = 2 * np.hypot(*np.meshgrid(place, place))
        radii = np.resize(BEGINNING, settings.masks)[:, None, None]
        begin = torch.from_numpy(((radii - distance) / EDGE).astype(np.float32))
        self.register_buffer("beginning", begin.clamp(-6, 6), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(n_bands, width, 5, stride=2, padding=2, bias=False),
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            _block(width, width),
        )
        self.to_masks = nn.Conv2d(width, settings.masks, 3, padding=1)
        nn.init.zeros_(self.to_masks.weight)
        nn.init.zeros_(self.to_masks.bias)  # type: ignore[arg-type]  # has one
        self.shape = nn.Sequential(
            nn.AvgPool2d(2),
            _block(width, 2 * width),
            _block(2 * width, 2 * width),
            nn.AvgPool2d(2),
            _block(2 * width, 4 * width),
            _block(4 * width, 4 * width),
        )
        self.n_features = (settings.masks + len(CIRCLES)) * (2 * n_bands - 1) + 8 * width

    def forward(self, images: Images) -> Tensor:
        """Features, shape (n, n_features)."""
        noise = self.noise[:, None, None]
        bright = images.flux / (SOFTENING * noise)
        # As asinh, and several times as fast.
        features = self.stem(bright.sign() * torch.log1p(bright.abs()))
        masks = torch.sigmoid(self.to_masks(features) + self.beginning)
        circles = self.circles.expand(len(masks), -1, -1, -1)
        colours = self._colours(images.flux, torch.cat([masks, circles], dim=1))
        shape = self.shape(features)
        middle = shape[:, :, 3:-3, 3:-3].mean((2, 3)) if shape.shape[-1] > 6 else shape.mean((2, 3))
        return torch.cat([colours, shape.mean((2, 3)), middle], dim=1)

    def _colours(self, flux: Tensor, masks: Tensor) -> Tensor:
        """Colours and brightness within masks, asinh magnitudes (Lupton et al. 1999)."""
        # Sums of four pixels, of which a mask has one number.
        summed = 4 * functional.avg_pool2d(flux, 2)
        within = torch.einsum("nbyx,nkyx->nkb", summed, masks).float()
        size = 2 * masks.float().square().sum((2, 3)).sqrt()
        error = size[:, :, None] * self.noise
        brightness = torch.asinh(within / (2 * error)) + torch.log(error / self.noise.mean())
        colours = brightness[:, :, 1:] - brightness[:, :, :-1]
        return torch.cat([colours.flatten(1), brightness.flatten(1) / 2 - 3], dim=1)


class RedshiftNetwork(OfCutouts):
    """Encoder, and the density of the redshift.

    Parameters
    ----------
    noise : sequence of float
        Standard deviation of a pixel of the sky in each band.
    n_pixels : int
    n_outputs : mapping of str to int
        Bins of the density, by task.
    settings : CutoutNetwork
    """

    smooth: Tensor

    def __init__(
        self,
        noise: Sequence[float],
        n_pixels: int,
        n_outputs: Mapping[str, int],
        settings: CutoutNetwork,
    ):
        super().__init__()
        encoder = CutoutEncoder(noise, n_pixels, settings)
        self.encoders = nn.ModuleDict({VIEWS: encoder})
        self.to_embedding = nn.Sequential(
            nn.Linear(encoder.n_features + 1, 2 * settings.embedding),
            nn.LayerNorm(2 * settings.embedding),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(2 * settings.embedding, settings.embedding),
            nn.GELU(),
        )
        self.heads = nn.ModuleDict(
            {name: nn.Linear(settings.embedding, number) for name, number in n_outputs.items()}
        )
        # Neighbouring bins have like densities, which few objects need not teach.
        place = torch.arange(-6, 7)
        kernel = torch.exp(-0.5 * (place / settings.smoothing) ** 2)
        self.register_buffer("smooth", (kernel / kernel.sum())[None, None], persistent=False)

    def outputs(self, embedding: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, head in self.heads.items():
            raw = functional.pad(head(embedding)[:, None], (6, 6), mode="replicate")
            found[name] = functional.conv1d(raw, self.smooth.to(raw.dtype))[:, 0]
        return found

    def embed(self, images: Images) -> Tensor:
        """Embedding of each cut-out, shape (n, n_features)."""
        seen = self.encoders[VIEWS](images)
        # About as wide as the others.
        return self.to_embedding(torch.cat([seen, 10 * images.dust[:, None]], dim=1))


def build_network(experiment: RedshiftExperiment, seen: Mapping[str, Any]) -> RedshiftNetwork:
    """An untrained network.

    Parameters
    ----------
    experiment : RedshiftExperiment
    seen : mapping of str to object
        ``noise`` of each band, and ``n_pixels``.
    """
    outputs = {TASK: N_BINS}
    return RedshiftNetwork(seen["noise"], seen["n_pixels"], outputs, experiment.network)
