"""Attention within an image: which features and which pixels matter."""

from torch import Tensor, nn

__all__ = ["DualAttention", "SqueezeExcitation", "image_attention"]


class SqueezeExcitation(nn.Module):
    """Weighs the channels of an image by what its pixels hold on average (Hu et al. 2018).

    Parameters
    ----------
    channels : int
        Number of channels.
    ratio : int
        Channels for each hidden feature.
    """

    def __init__(self, channels: int, ratio: int = 4):
        super().__init__()
        hidden = max(1, channels // ratio)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:  # (n_images, channels, n_pixels)
        return x * self.gate(x.mean(dim=2)).unsqueeze(2)


class DualAttention(nn.Module):
    """Channel attention times spatial attention, (1 + spatial) · channel (Sun et al. 2020).

    The spatial map is one number a pixel, from two 1 x 1 convolutions and a sigmoid; the one
    that is added keeps the pixels it finds dull.

    Parameters
    ----------
    channels : int
        Number of channels.
    ratio : int
        Channels for each hidden feature of the channel attention.
    """

    def __init__(self, channels: int, ratio: int = 4):
        super().__init__()
        self.channel = SqueezeExcitation(channels, ratio)
        self.spatial = nn.Sequential(
            nn.Conv1d(channels, max(1, channels // 2), 1),
            nn.ReLU(),
            nn.Conv1d(max(1, channels // 2), 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:  # (n_images, channels, n_pixels)
        return (1 + self.spatial(x)) * self.channel(x)


def image_attention(kind: str, channels: int) -> nn.Module:
    """The attention called ``kind``: ``dual``, ``squeeze_excitation`` or ``none``."""
    if kind == "dual":
        return DualAttention(channels)
    if kind == "squeeze_excitation":
        return SqueezeExcitation(channels)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"attention must be dual, squeeze_excitation or none, got {kind!r}")
