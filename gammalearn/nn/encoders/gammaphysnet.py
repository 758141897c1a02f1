"""GammaPhysNet: residual blocks with attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...camera import PixelGrid
from ..attention import PointwiseConv, image_attention
from ..backends import chosen_backend
from ..image_head import ImageHead, pooled_sky
from ..indexed import IndexedAveragePool, IndexedConv
from ..layout import layout_for
from ..normalisation import IndexedBatchNorm
from .registry import encoder

__all__ = ["GammaPhysNet", "PreActivationBlock"]


class PreActivationBlock(nn.Module):
    """Residual block with normalisation and ReLU before each convolution (He et al. 2016).

    ::

        x ─┬─ norm ─ ReLU ─ conv (stride) ─ norm ─ ReLU ─ conv ─ + ─►
           └──────── identity, or mean (stride) ─ 1 × 1 conv ────┘

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    grid : PixelGrid
        Pixels of the input.
    stride : int
        Stride of the first convolution; the output has ``out_grid``'s pixels.
    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        How the layers are computed, see `gammalearn.nn.backends`.
    """

    #: Layers that are nowhere used but by the next, which for_inference folds.
    FOLLOWS = (("conv1", "norm2"),)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        grid: PixelGrid,
        stride: int = 1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": False, "backend": backend}
        self.norm1 = IndexedBatchNorm(in_channels, grid, relu=True)
        self.conv1 = IndexedConv(in_channels, out_channels, grid, stride=stride, **options)
        self.out_grid = self.conv1.out_grid
        self.norm2 = IndexedBatchNorm(out_channels, self.out_grid, relu=True)
        self.conv2 = IndexedConv(out_channels, out_channels, self.out_grid, **options)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(IndexedAveragePool(grid, stride=stride, backend=backend))
        if stride > 1 or in_channels != out_channels:
            self.shortcut.append(PointwiseConv(in_channels, out_channels, bias=False))

    def forward(self, x: Tensor) -> Tensor:  # (n_images, in_channels, n_pixels), or on cells
        y, x = self.norm1.and_input(x)
        y = self.norm2(self.conv1(y))
        return self.conv2(
            y, plus=self.shortcut(x)
        )  # (n_images, out_channels, out_grid.n_pixels), or on cells


@encoder("gammaphysnet", widths=(16, 32, 64), blocks=3, settings=("attention",))
@encoder("gammaphysnet_light", widths=(8, 16, 32), blocks=2, settings=("attention",))
@encoder("gammaphysnet_deep", widths=(16, 32, 64), blocks=6, settings=("attention",))
class GammaPhysNet(nn.Sequential):
    """Residual encoder with attention (Jacquemont et al., VISAPP 2021).

    ::

        pixels ─► conv ─► stage 16 ─► stage 32, stride 2 ─► stage 64, stride 2
                          └ blocks ─ attention ┘             ─► norm ─► ReLU ─► flat ─► embedding

    Parameters
    ----------
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    embedding : int
        Features of the output.
    widths : sequence of int
        Features of each stage; each but the first halves the grid.
    blocks : int
        Residual blocks a stage.
    attention : {"dual", "spatial", "squeeze_excitation", "none"}
        Attention after each stage.
    keypoints : int
        Keypoints of the image head beside the flattened map, see `gammalearn.nn.image_head`.
    sky : ndarray, shape (3, 2), optional
        Where pixels look, `gammalearn.camera.CameraType.sky_of_cells`: with keypoints, the output
        ends with an estimate of the direction.
    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        How the layers are computed, see `gammalearn.nn.backends`.
    """

    def __init__(
        self,
        grid: PixelGrid,
        in_channels: int,
        embedding: int,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 3,
        attention: str = "dual",
        keypoints: int = 0,
        sky: np.ndarray | None = None,
        backend: str = "auto",
    ) -> None:
        backend = chosen_backend(backend, grid, max(widths))
        width = widths[0]
        layers = [
            layout_for(backend, grid),
            IndexedConv(in_channels, width, grid, bias=False, backend=backend),
        ]
        for stage, out_channels in enumerate(widths):
            for number in range(blocks):
                stride = 2 if stage > 0 and number == 0 else 1
                block = PreActivationBlock(width, out_channels, grid, stride, backend)
                layers.append(block)
                width, grid = out_channels, block.out_grid
            layers.append(image_attention(attention, width, grid))
        super().__init__(
            *layers,
            IndexedBatchNorm(width, grid, relu=True),
            ImageHead(width, grid, embedding, keypoints, pooled_sky(sky, len(widths) - 1)),
        )
