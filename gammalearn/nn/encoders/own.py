"""Encoders of the user's own."""

from torch import nn

from ...camera import PixelGrid
from ...errors import SettingsError
from ...settings.own_modules import find_class

__all__ = ["own_encoder"]


def own_encoder(name: str, grid: PixelGrid, in_channels: int, embedding: int) -> nn.Module:
    """An encoder of a class that is not of this package.

    Parameters
    ----------
    name : str
        ``module:Class``.
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    embedding : int
        Features of the output.

    Raises
    ------
    SettingsError
        If the class is no encoder.
    UnnamedModuleError
        If the user has not named its module.
    """
    own = find_class(name)
    if not issubclass(own, nn.Module):
        raise SettingsError(
            f"network.encoder={name!r}: an encoder is a torch.nn.Module, and this class is none."
        )
    return own(grid, in_channels, embedding)
