"""Encoders: from the pixels of one camera type to features that describe an image.

Every encoder maps (n_images, n_channels, n_pixels) to (n_images, embedding). The last feature
map is flattened, not averaged: where the light is in the camera is what direction is made of.
"""

from torch import Tensor, nn

from ..camera import PixelGrid
from .attention import image_attention
from .indexed import IndexedAveragePool, IndexedConv

__all__ = ["GammaPhysNet", "PlainConvNet", "PreActivationBlock", "build_backbone"]

GAMMAPHYSNET_CHANNELS = (16, 32, 64)
PLAIN_CHANNELS = {"conv4": (16, 32, 64, 128), "conv5": (16, 32, 32, 64, 128)}


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
    """

    def __init__(self, grid: PixelGrid, in_channels: int, channels, embedding: int):
        layers = []
        for out_channels in channels:
            pool = IndexedAveragePool(grid)
            layers += [
                IndexedConv(in_channels, out_channels, grid, bias=False),
                nn.BatchNorm1d(out_channels),
                nn.ReLU(),
                pool,
            ]
            in_channels, grid = out_channels, pool.out_grid
        super().__init__(*layers, nn.Flatten(), nn.Linear(in_channels * grid.n_pixels, embedding))


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
    """

    def __init__(self, in_channels: int, out_channels: int, grid: PixelGrid, stride: int = 1):
        super().__init__()
        self.norm1 = nn.BatchNorm1d(in_channels)
        self.conv1 = IndexedConv(in_channels, out_channels, grid, stride=stride, bias=False)
        self.out_grid = self.conv1.out_grid
        self.norm2 = nn.BatchNorm1d(out_channels)
        self.conv2 = IndexedConv(out_channels, out_channels, self.out_grid, bias=False)
        self.relu = nn.ReLU()
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        else:
            pool = IndexedAveragePool(grid, stride=stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv1d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:  # (n_images, in_channels, n_pixels)
        y = self.conv1(self.relu(self.norm1(x)))
        y = self.conv2(self.relu(self.norm2(y)))
        return y + self.shortcut(x)  # (n_images, out_channels, out_grid.n_pixels)


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
    attention : {"dual", "squeeze_excitation", "none"}
        Attention after each stage.
    """

    def __init__(
        self,
        grid: PixelGrid,
        in_channels: int,
        embedding: int,
        channels=GAMMAPHYSNET_CHANNELS,
        blocks: int = 3,
        attention: str = "dual",
    ):
        layers = [IndexedConv(in_channels, channels[0], grid, bias=False)]
        width = channels[0]
        for stage, out_channels in enumerate(channels):
            for number in range(blocks):
                stride = 2 if stage > 0 and number == 0 else 1
                block = PreActivationBlock(width, out_channels, grid, stride)
                layers.append(block)
                width, grid = out_channels, block.out_grid
            layers.append(image_attention(attention, width))
        super().__init__(
            *layers,
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(width * grid.n_pixels, embedding),
        )


def build_backbone(settings, grid: PixelGrid, in_channels: int) -> nn.Module:
    """The encoder that the settings ask for.

    Parameters
    ----------
    settings : gammalearn.settings.NetworkSettings
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    """
    if settings.backbone in PLAIN_CHANNELS:
        channels = settings.channels or PLAIN_CHANNELS[settings.backbone]
        return PlainConvNet(grid, in_channels, channels, settings.embedding)
    return GammaPhysNet(
        grid,
        in_channels,
        settings.embedding,
        channels=settings.channels or GAMMAPHYSNET_CHANNELS,
        blocks=settings.blocks,
        attention=settings.attention,
    )
