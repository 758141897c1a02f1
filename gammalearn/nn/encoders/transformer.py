"""A transformer on the pixels of a camera."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...camera import PixelGrid
from ..image_head import ImageHead, pixel_positions, pooled_sky
from ..indexed import IndexedConv
from ..normalisation import IndexedBatchNorm
from .registry import encoder

__all__ = ["PixelTransformer", "TransformerBlock"]


class Places(nn.Module):
    """What is added to each patch for its place in the camera: learnt waves over the camera.

    Made of positions, not of a list of patches: it has the same parameters for any camera.

    Parameters
    ----------
    positions : ndarray, shape (n_patches, 2)
        In units of the camera's radius.
    width : int
        Features of a patch.
    """

    #: Standard deviation of the first wave numbers: some radians from the centre to the edge.
    WAVE_NUMBER = 4.0

    def __init__(self, positions: np.ndarray, width: int) -> None:
        super().__init__()
        places = torch.tensor(positions).to(torch.get_default_dtype())
        self.register_buffer("positions", places, persistent=False)
        self.waves = nn.Linear(2, width)
        self.mix = nn.Linear(width, width)
        nn.init.normal_(self.waves.weight, std=self.WAVE_NUMBER)

    def forward(self) -> Tensor:
        return self.mix(torch.sin(self.waves(self.positions)))  # (n_patches, width)


class PatchNorm(IndexedBatchNorm):
    """Normalisation over the batch, as `IndexedBatchNorm`.

    Over the features of each patch, as in the original, a dark one would be as loud as one of the
    shower.
    """

    def forward(self, x: Tensor) -> Tensor:  # (n_images, n_patches, width)
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class TransformerBlock(nn.Module):
    """Patches look at each other, then each goes through a small network (Vaswani et al. 2017).

    Normalisation comes first, which needs no warm-up::

        x ─┬─ norm ─ attention ─ + ─┬─ norm ─ wider ─ GELU ─ back ─ + ─►
           └─────────────────────┘  └────────────────────────────┘

    Parameters
    ----------
    width : int
        Features of a patch, a multiple of the number of heads.
    grid : PixelGrid
        The grid of the patches.
    """

    N_HEADS = 4

    #: How much wider the small network is.
    EXPANSION = 2

    def __init__(self, width: int, grid: PixelGrid) -> None:
        super().__init__()
        self.norm1 = PatchNorm(width, grid)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = PatchNorm(width, grid)
        self.wider = nn.Linear(width, self.EXPANSION * width)
        self.back = nn.Linear(self.EXPANSION * width, width)

    def attention(self, x: Tensor) -> Tensor:
        heads = self.query_key_value(x).unflatten(2, (3, self.N_HEADS, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (n_images, N_HEADS, n_patches, …)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.project(seen.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:  # (n_images, n_patches, width)
        x = x + self.attention(self.norm1(x))
        return x + self.back(F.gelu(self.wider(self.norm2(x))))


@encoder("transformer", widths=(64,), blocks=4)
class PixelTransformer(nn.Module):
    """Encoder that cuts the camera into patches, which look at each other.

    A patch is made by two convolutions of a pixel and its neighbours (flowers of 7), each with
    stride 2, rather than one of a large kernel: so transformers learn better (Xiao et al. 2021).
    There are some 120 patches in a camera of 1855 pixels::

        pixels ─► conv 7, stride 2 ─► GELU ─► conv 7, stride 2 ─► + places ─► blocks
                                                               ─► norm ─► flat ─► embedding

    Parameters
    ----------
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    embedding : int
        Features of the output.
    widths : sequence of one int
        Features of a patch, a multiple of 8.
    blocks : int
        Number of blocks.
    keypoints : int
        Keypoints of the image head beside the flattened map, see `gammalearn.nn.image_head`.
    sky : ndarray, shape (3, 2), optional
        Where pixels look, `gammalearn.camera.CameraType.sky_of_cells`: with keypoints, the output
        ends with an estimate of the direction.
    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        How convolutions are computed, see `gammalearn.nn.backends`.
    """

    def __init__(
        self,
        grid: PixelGrid,
        in_channels: int,
        embedding: int,
        widths: Sequence[int] = (64,),
        blocks: int = 4,
        keypoints: int = 0,
        sky: np.ndarray | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        (width,) = widths
        first = IndexedConv(in_channels, width // 2, grid, stride=2, backend=backend)
        second = IndexedConv(width // 2, width, first.out_grid, stride=2, backend=backend)
        grid = second.out_grid
        self.patches = nn.Sequential(first, nn.GELU(), second)
        self.places = Places(pixel_positions(grid), width)
        self.blocks = nn.Sequential(*[TransformerBlock(width, grid) for _ in range(blocks)])
        self.norm = PatchNorm(width, grid)
        self.readout = ImageHead(width, grid, embedding, keypoints, pooled_sky(sky, 2))

    def forward(self, images: Tensor) -> Tensor:  # (n_images, in_channels, n_pixels)
        patches = self.patches(images).transpose(1, 2)  # (n_images, n_patches, width)
        patches = self.norm(self.blocks(patches + self.places()))
        return self.readout(patches.transpose(1, 2))  # (n_images, embedding)
