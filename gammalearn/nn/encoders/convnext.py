"""ConvNeXt on the pixels of a camera."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from ...camera import PixelGrid
from ..image_head import ImageHead, pooled_sky
from ..indexed import IndexedConv
from ..normalisation import IndexedBatchNorm
from .registry import encoder

__all__ = ["ConvNeXt", "ConvNeXtBlock"]


class ConvNeXtBlock(nn.Module):
    """A wide convolution of each channel by itself, then a small network at each pixel.

    Normalised over the batch: over its channels, as in the original, a dark pixel would be as loud
    as one of the shower.

    ::

        x ─┬─ depthwise conv 37 ─ norm ─ 1 × 1, four times wider ─ GELU ─ 1 × 1 ─ + ─►
           └──────────────────────────────────────────────────────────────────────┘

    Parameters
    ----------
    channels : int
    grid : PixelGrid
    backend : {"auto", "gather", "dense", "native"}
        How the convolution is computed, see `gammalearn.nn.backends`.
    """

    #: Layers that are nowhere used but by the next, which for_inference folds.
    FOLLOWS = (("conv", "norm"),)

    #: Reach of the convolution, as far as that of the original's 7 x 7 pixels.
    RADIUS = 3

    #: How much wider the small network is.
    EXPANSION = 4

    def __init__(self, channels: int, grid: PixelGrid, backend: str = "auto") -> None:
        super().__init__()
        self.conv = IndexedConv(
            channels, channels, grid, radius=self.RADIUS, groups=channels, backend=backend
        )
        self.norm = IndexedBatchNorm(channels, grid)
        self.at_each_pixel = nn.Sequential(
            nn.Linear(channels, self.EXPANSION * channels),
            nn.GELU(),
            nn.Linear(self.EXPANSION * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:  # (n_images, channels, n_pixels)
        y = self.norm(self.conv(x)).transpose(1, 2)  # (n_images, n_pixels, channels)
        return x + self.at_each_pixel(y).transpose(1, 2)


@encoder("convnext", widths=(32, 64), blocks=3)
class ConvNeXt(nn.Sequential):
    """Encoder of few, wide convolutions (Liu et al., CVPR 2022, without its scale of layers and
    with normalisation over the batch).

    ::

        pixels ─► conv 7, stride 2 ─► norm ─► stage 32 ─► norm ─► conv 7, stride 2 ─► stage 64
                                              └ blocks ┘              ─► norm ─► flat ─► embedding

    Features lie on pixels throughout.

    Parameters
    ----------
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    embedding : int
        Features of the output.
    widths : sequence of int
        Features of each stage; each halves the grid.
    blocks : int
        Blocks a stage.
    keypoints : int
        Keypoints of the image head beside the flattened map, see `gammalearn.nn.image_head`.
    sky : ndarray, shape (3, 2), optional
        Where pixels look, `gammalearn.camera.CameraType.sky_of_cells`: with keypoints, the output
        ends with an estimate of the direction.
    backend : {"auto", "gather", "dense", "native"}
        How convolutions are computed, see `gammalearn.nn.backends`.
    """

    def __init__(
        self,
        grid: PixelGrid,
        in_channels: int,
        embedding: int,
        widths: Sequence[int] = (32, 64),
        blocks: int = 3,
        keypoints: int = 0,
        sky: np.ndarray | None = None,
        backend: str = "auto",
    ) -> None:
        layers: list[nn.Module] = []
        width = in_channels
        for stage, out_channels in enumerate(widths):
            # The image is halved as it is, and normalised after.
            if stage:
                layers.append(IndexedBatchNorm(width, grid))
            halve = IndexedConv(width, out_channels, grid, stride=2, backend=backend)
            layers.append(halve)
            width, grid = out_channels, halve.out_grid
            if not stage:
                layers.append(IndexedBatchNorm(width, grid))
            layers += [ConvNeXtBlock(width, grid, backend) for _ in range(blocks)]
        super().__init__(
            *layers,
            IndexedBatchNorm(width, grid),
            ImageHead(width, grid, embedding, keypoints, pooled_sky(sky, len(widths))),
        )
