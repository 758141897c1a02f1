"""Temporal convolution: channels of each pixel made of the samples of its waveform.

::

    samples ─► [conv along time ─► ReLU] × 2 ─► a weight for each sample ─► asinh ─► channels ─┐
    channels of the image ─────────────────────────────────────────────────────────────────────┴─►

The same weights for all pixels. There are no biases: a pixel without samples, such as a missing
one, gives zeros, as in every other channel, and up to the last step twice the light gives twice the
value, as a charge is the sum of samples. asinh then brings it to the scale of charges.
"""

import torch
from torch import Tensor, nn

__all__ = ["TemporalConvolution", "WaveformEncoder"]

#: Features along time, and samples that each convolution sees.
FEATURES, TAPS = 4, 5

#: Samples of the readout for each one of the features: pulses are as long as several samples.
STRIDE = 2


class TemporalConvolution(nn.Module):
    """From samples (n_images, n_samples, n_pixels) to (n_images, out_channels, n_pixels).

    Parameters
    ----------
    n_samples : int
    out_channels : int
    """

    def __init__(self, n_samples: int, out_channels: int) -> None:
        super().__init__()
        self.n_samples = n_samples
        padding = (TAPS // 2, 0)
        self.filters = nn.Sequential(
            nn.Conv2d(1, FEATURES, (TAPS, 1), padding=padding, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(FEATURES, FEATURES, (TAPS, 1), (STRIDE, 1), padding, bias=False),
            nn.ReLU(inplace=True),
        )
        n_times = -(-n_samples // STRIDE)
        self.project = nn.Conv1d(FEATURES * n_times, out_channels, 1, bias=False)

    def forward(self, samples: Tensor) -> Tensor:
        features = self.filters(samples.unsqueeze(1))  # (n_images, FEATURES, n_times, n_pixels)
        return torch.asinh(self.project(features.flatten(1, 2)))


class WaveformEncoder(nn.Module):
    """An encoder behind a temporal convolution.

    Parameters
    ----------
    encoder : nn.Module
        Of the channels of the image and, after them, those of the temporal convolution.
    temporal : TemporalConvolution
    n_channels : int
        Channels of the image, after which the samples come.
    """

    def __init__(self, encoder: nn.Module, temporal: TemporalConvolution, n_channels: int) -> None:
        super().__init__()
        self.encoder, self.temporal, self.n_channels = encoder, temporal, n_channels

    def forward(self, pixels: Tensor) -> Tensor:
        n_values = self.n_channels + self.temporal.n_samples
        if pixels.shape[1] != n_values:
            raise ValueError(
                f"The network expects {self.n_channels} channels and {self.temporal.n_samples} "
                f"samples of each pixel, got {pixels.shape[1]} values."
            )
        channels, samples = pixels[:, : self.n_channels], pixels[:, self.n_channels :]
        return self.encoder(torch.cat([channels, self.temporal(samples)], dim=1))
