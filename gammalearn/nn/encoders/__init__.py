"""Encoders: from the pixels of one camera type to features that describe an image.

Every encoder maps (n_images, n_channels, n_pixels) to (n_images, embedding). The last feature
map is flattened, not averaged: where the light is in the camera is what direction is made of.
Between the first layer and the last, features lie where the backend wants them.

Each file of this folder registers its encoders by name: a new encoder is one new file here and its
name in ``gammalearn/settings/network.py``.
"""

import importlib
import pkgutil

import numpy as np
from torch import nn

from ...camera import PixelGrid
from ...settings import NetworkSettings
from ..temporal import TemporalConvolution, WaveformEncoder
from .own import own_encoder
from .registry import ENCODERS, NamedEncoder

__all__ = ["available_encoders", "build_encoder"]


def available_encoders() -> dict[str, NamedEncoder]:
    """All encoders by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(ENCODERS)


def build_encoder(
    settings: NetworkSettings,
    grid: PixelGrid,
    in_channels: int,
    sky: np.ndarray | None = None,
    n_samples: int = 0,
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
    n_samples : int
        Samples of each pixel that follow its channels, for a temporal convolution; 0 for none.

    Raises
    ------
    SettingsError
        If a class of the user's own is no encoder.
    UnnamedModuleError
        If the user has not named its module.
    """
    if n_samples:
        more = settings.temporal_channels
        encoder = build_encoder(settings, grid, in_channels + more, sky)
        return WaveformEncoder(encoder, TemporalConvolution(n_samples, more), in_channels)
    if ":" in settings.encoder:
        return own_encoder(settings.encoder, grid, in_channels, settings.embedding)
    chosen = available_encoders()[settings.encoder]
    options = {name: getattr(settings, name) for name in chosen.settings}
    if chosen.blocks is not None:
        options["blocks"] = settings.blocks or chosen.blocks
    return chosen.make(
        grid,
        in_channels,
        settings.embedding,
        settings.widths or chosen.widths,
        keypoints=settings.keypoints,
        sky=sky,
        backend=settings.backend,
        **options,
    )
