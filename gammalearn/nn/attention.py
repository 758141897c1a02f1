"""Attention within an image: which features and which pixels matter."""

from torch import Tensor, nn
from torch.nn import functional as F

from ..camera import PixelGrid
from . import native
from .layout import on_cells, on_row, pixel_mean, row_shape

__all__ = [
    "DualAttention",
    "PointwiseConv",
    "SpatialAttention",
    "SqueezeExcitation",
    "image_attention",
]


class PointwiseConv(nn.Conv1d):
    """Convolution of each pixel alone, wherever the features lie.

    A bias fills empty cells too: what comes next has to make them zero again.

    Parameters
    ----------
    in_channels, out_channels : int
    bias : bool
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        if on_cells(features):
            return F.conv2d(features, self.weight.unsqueeze(-1), self.bias)
        return super().forward(features)


class SqueezeExcitation(nn.Module):
    """Weighs the channels of an image by what its pixels hold on average (Hu et al. 2018).

    Parameters
    ----------
    channels : int
        Number of channels.
    grid : gammalearn.camera.PixelGrid
        The grid of the pixels.
    ratio : int
        Channels for each hidden feature.
    """

    def __init__(self, channels: int, grid: PixelGrid, ratio: int = 4) -> None:
        super().__init__()
        self.n_pixels, self.row = grid.n_pixels, row_shape(grid)
        hidden = max(1, channels // ratio)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )

    def weights(self, x: Tensor) -> Tensor:
        """One number a channel, shape (n_images, channels)."""
        return self.gate(pixel_mean(x, self.n_pixels, self.row))

    def forward(self, x: Tensor) -> Tensor:  # (n_images, channels, n_pixels), or on cells
        return x * self.weights(x).unflatten(1, (-1, *(1,) * (x.ndim - 2)))


class SpatialAttention(nn.Sequential):
    """Weighs the pixels of an image by what each holds, 1 + spatial (Sun et al. 2020).

    The spatial map is one number a pixel, from two 1 x 1 convolutions and a sigmoid; the one
    that is added keeps the pixels it finds dull.

    Parameters
    ----------
    channels : int
        Number of channels.
    """

    def __init__(self, channels: int) -> None:
        hidden = max(1, channels // 2)
        super().__init__(
            PointwiseConv(channels, hidden),
            nn.ReLU(inplace=True),
            PointwiseConv(hidden, 1),
            nn.Sigmoid(),
        )

    def weights(self, x: Tensor) -> Tensor:
        """One number a pixel, shape (n_images, 1, n_pixels), or on cells."""
        return 1 + super().forward(x)

    def forward(self, x: Tensor) -> Tensor:  # (n_images, channels, n_pixels), or on cells
        return x * self.weights(x)


class DualAttention(nn.Module):
    """Channel attention times spatial attention, (1 + spatial) · channel (Sun et al. 2020).

    Parameters
    ----------
    channels : int
        Number of channels.
    grid : gammalearn.camera.PixelGrid
        The grid of the pixels.
    ratio : int
        Channels for each hidden feature of the channel attention.
    """

    def __init__(self, channels: int, grid: PixelGrid, ratio: int = 4) -> None:
        super().__init__()
        self.channel = SqueezeExcitation(channels, grid, ratio)
        self.spatial = SpatialAttention(channels)

    def forward(self, x: Tensor) -> Tensor:  # (n_images, channels, n_pixels), or on cells
        of_pixel = self.spatial.weights(x)
        if not on_row(x, self.channel.row) or not native.takes(x, of_pixel):
            return of_pixel * self.channel(x)
        row = x.flatten(2).transpose(1, 2)
        row = native.weigh(row, of_pixel.flatten(1), self.channel.weights(x))
        return row.transpose(1, 2).unflatten(2, self.channel.row)


def image_attention(kind: str, channels: int, grid: PixelGrid) -> nn.Module:
    """The attention called ``kind``: ``dual``, ``spatial``, ``squeeze_excitation`` or ``none``."""
    if kind == "dual":
        return DualAttention(channels, grid)
    if kind == "squeeze_excitation":
        return SqueezeExcitation(channels, grid)
    if kind == "spatial":
        return SpatialAttention(channels)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"attention must be dual, spatial, squeeze_excitation or none, got {kind!r}")
