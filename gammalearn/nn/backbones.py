"""Encoders: from the pixels of one camera type to features that describe an image.

Every encoder maps (n_images, n_channels, n_pixels) to (n_images, embedding). The last feature
map is flattened, not averaged: where the light is in the camera is what direction is made of.
Between the first layer and the last, features lie where the backend wants them.
"""

from typing import Any

import numpy as np
from torch import Tensor, nn

from ..camera import PixelGrid
from ..errors import SettingsError
from ..settings.own_modules import find_class
from .attention import PointwiseConv, image_attention
from .backends import chosen_backend
from .convnext import ConvNeXt
from .image_head import ImageHead, pooled_sky
from .indexed import IndexedAveragePool, IndexedConv
from .layout import PixelsToCells, PixelsToRow
from .normalisation import IndexedBatchNorm
from .transformer import PixelTransformer

__all__ = ["GammaPhysNet", "PlainConvNet", "PreActivationBlock", "build_backbone"]

#: Features of each stage, and blocks a stage, of the encoders that settings name.
PRESETS: dict[str, tuple[tuple[int, ...], int]] = {
    "conv4": ((16, 32, 64, 128), 1),
    "conv5": ((16, 32, 32, 64, 128), 1),
    "gammaphysnet_light": ((8, 16, 32), 2),
    "gammaphysnet": ((16, 32, 64), 3),
    "gammaphysnet_deep": ((16, 32, 64), 6),
    "convnext": ((32, 64), 3),
    "transformer": ((64,), 4),
}


def _layout(grid: PixelGrid, backend: str) -> nn.Module:
    """From images to where the layers of the backend have their features."""
    layouts = {"native": PixelsToRow, "dense": PixelsToCells}
    return layouts[backend](grid) if backend in layouts else nn.Identity()


class PlainConvNet(nn.Sequential):
    """Layers of convolution, batch normalisation, ReLU and average pooling.

    The networks of the first GammaLearn results, with four or five layers::

        pixels ─► [conv 7 ─► norm ─► ReLU ─► mean of 7, stride 2] × layers ─► flat ─► embedding

    Parameters
    ----------
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    channels : sequence of int
        Features of each layer.
    embedding : int
        Features of the output.
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
        channels,
        embedding: int,
        keypoints: int = 0,
        sky: np.ndarray | None = None,
        backend: str = "auto",
    ):
        backend = chosen_backend(backend, grid, max(channels))
        layers = [_layout(grid, backend)]
        for out_channels in channels:
            pool = IndexedAveragePool(grid, backend=backend)
            layers += [
                IndexedConv(in_channels, out_channels, grid, bias=False, backend=backend),
                IndexedBatchNorm(out_channels, grid, relu=True),
                pool,
            ]
            in_channels, grid = out_channels, pool.out_grid
        sky = pooled_sky(sky, len(channels))
        super().__init__(*layers, ImageHead(in_channels, grid, embedding, keypoints, sky))


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
    ):
        super().__init__()
        options = {"bias": False, "backend": backend}
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
    channels : sequence of int
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
        channels=PRESETS["gammaphysnet"][0],
        blocks: int = 3,
        attention: str = "dual",
        keypoints: int = 0,
        sky: np.ndarray | None = None,
        backend: str = "auto",
    ):
        backend = chosen_backend(backend, grid, max(channels))
        width = channels[0]
        layers = [
            _layout(grid, backend),
            IndexedConv(in_channels, width, grid, bias=False, backend=backend),
        ]
        for stage, out_channels in enumerate(channels):
            for number in range(blocks):
                stride = 2 if stage > 0 and number == 0 else 1
                block = PreActivationBlock(width, out_channels, grid, stride, backend)
                layers.append(block)
                width, grid = out_channels, block.out_grid
            layers.append(image_attention(attention, width, grid))
        super().__init__(
            *layers,
            IndexedBatchNorm(width, grid, relu=True),
            ImageHead(width, grid, embedding, keypoints, pooled_sky(sky, len(channels) - 1)),
        )


def build_backbone(
    settings, grid: PixelGrid, in_channels: int, sky: np.ndarray | None = None
) -> nn.Module:
    """The encoder that the settings ask for.

    Parameters
    ----------
    settings : gammalearn.settings.NetworkSettings
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    sky : ndarray, shape (3, 2), optional
        Where pixels look, for an estimate of the direction, which needs ``settings.keypoints``.

    Raises
    ------
    SettingsError
        If a class of the user's own is no encoder.
    UnnamedModuleError
        If the user has not named its module.
    """
    if ":" in settings.backbone:
        return _own_encoder(settings, grid, in_channels)
    usual_channels, usual_blocks = PRESETS[settings.backbone]
    channels = tuple(settings.channels or usual_channels)
    blocks = settings.blocks or usual_blocks
    options: dict[str, Any] = {
        "keypoints": settings.keypoints,
        "sky": sky,
        "backend": settings.backend,
    }
    if settings.backbone in ("conv4", "conv5"):
        return PlainConvNet(grid, in_channels, channels, settings.embedding, **options)
    if settings.backbone == "convnext":
        return ConvNeXt(grid, in_channels, settings.embedding, channels, blocks, **options)
    if settings.backbone == "transformer":
        (width,) = channels
        return PixelTransformer(grid, in_channels, settings.embedding, width, blocks, **options)
    return GammaPhysNet(
        grid, in_channels, settings.embedding, channels, blocks, settings.attention, **options
    )


def _own_encoder(settings, grid: PixelGrid, in_channels: int) -> nn.Module:
    """A class of the user's own, called with the grid, the channels of images and the features."""
    encoder = find_class(settings.backbone)
    if not issubclass(encoder, nn.Module):
        raise SettingsError(
            f"network.backbone={settings.backbone!r}: an encoder is a torch.nn.Module, and this "
            "class is none."
        )
    return encoder(grid, in_channels, settings.embedding)
