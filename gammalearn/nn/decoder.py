"""Decoder: from the embedding of an image back to its pixels."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..camera import PixelGrid, pixel_patches
from .encoders.transformer import Places
from .image_head import pixel_positions

__all__ = ["PatchDecoder"]


class FinePlaces(Places):
    """Places with shorter waves: a shower is much narrower than the camera."""

    WAVE_NUMBER = 10.0


class PatchDecoder(nn.Module):
    """Values of each pixel, from the embedding of its image and the place of its patch.

    All that it knows of an image is the embedding, so it takes any encoder. It is small: what is
    learned is the encoder's::

        embedding ─► norm ─┬─ scale ─► × ─┐
        place of a patch ──┼──────────────┴─► + ─► GELU ─► + ─► values of the patch's pixels
                           └─ shift ──────────┘         └ layer ┘

    Parameters
    ----------
    grid : PixelGrid
        The camera's pixels.
    embedding : int
        Features of an image.
    n_values : int
        Numbers to decode for each pixel.
    width : int
        Features of a patch.
    """

    order: Tensor

    def __init__(self, grid: PixelGrid, embedding: int, n_values: int, width: int = 128):
        super().__init__()
        patches = pixel_patches(grid)
        self.n_values, self.n_places = n_values, patches.n_places
        positions = pixel_positions(grid)
        counts = np.bincount(patches.number)
        centres = [np.bincount(patches.number, axis) / counts for axis in positions.T]
        self.places = FinePlaces(np.column_stack(centres), width)
        self.norm = nn.LayerNorm(embedding)
        self.scale_and_shift = nn.Linear(embedding, 2 * width)
        self.layer = nn.Linear(width, width)
        self.values = nn.Linear(width, n_values * patches.n_places)
        # At the start all pixels are dark.
        nn.init.zeros_(self.values.weight)
        nn.init.zeros_(self.values.bias)
        order = torch.from_numpy(patches.number * patches.n_places + patches.place)
        self.register_buffer("order", order, persistent=False)

    def forward(self, embedding: Tensor) -> Tensor:  # (n_images, embedding)
        known = self.scale_and_shift(self.norm(embedding)).unsqueeze(1)
        scale, shift = known.tensor_split(2, dim=2)
        x = F.gelu(self.places() * (1 + scale) + shift)  # (n_images, n_patches, width)
        x = x + F.gelu(self.layer(x))
        values = self.values(x).unflatten(2, (self.n_values, self.n_places))
        of_places = values.transpose(1, 2).flatten(2)  # (n_images, n_values, patches × places)
        return of_places.index_select(2, self.order)  # (n_images, n_values, n_pixels)
