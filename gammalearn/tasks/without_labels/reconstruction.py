"""Reconstruction: the network is shown some patches of an image and says what is in the others."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from ...data import Batch, CameraImages
from ...settings import TaskSettings
from .base import Embedded, ImageNetwork, Losses, SeenImages, WithoutLabels, mean_of_events
from .masks import PatchMasks

__all__ = ["ReconstructionTask", "decoded_channels", "image_errors"]

#: Pixels with light that an image must have for them to count as much as all dark pixels.
FEWEST_LIGHT = 7


def decoded_channels(channels: Sequence[str]) -> list[int]:
    """Which channels are reconstructed: the charge and, if there is one, a peak time.

    Parameters
    ----------
    channels : sequence of str
        ``data.channels``.
    """
    times = [name for name in ("peak_time", "absolute_peak_time") if name in channels]
    return [channels.index(name) for name in ["charge", *times[:1]]]


def image_errors(decoded: Tensor, truth: Tensor, counted: Tensor, light: Tensor) -> Tensor:
    """How far reconstructed images are from the images, as what is learned.

    It is the mean error of the pixels with light and that of the dark pixels, each counted half, so
    that the few pixels of a shower are not lost among those of the night sky. The error of a charge
    is the smooth absolute difference (Huber's, with the quadratic part up to 1) in the scale of the
    channel. The times of pixels with light, whose error is that of the channel, are added.

    Parameters
    ----------
    decoded, truth : Tensor, shape (n_images, n_values, n_pixels)
        Charge and, if there is one, time.
    counted : Tensor of bool, shape (n_images, n_pixels)
        Pixels that count; others have no part in it.
    light : Tensor of bool, shape (n_images, n_pixels)
        Pixels with light of the shower.

    Returns
    -------
    Tensor, shape (n_images,)
    """
    errors = smooth_l1_loss(decoded, truth, reduction="none")
    bright, dark = counted & light, counted & ~light
    n_bright = bright.sum(dim=1).clamp(min=FEWEST_LIGHT)
    n_dark = dark.sum(dim=1).clamp(min=1)
    of_light = (errors * bright.unsqueeze(1)).sum(dim=2) / n_bright.unsqueeze(1)
    of_dark = (errors[:, 0] * dark).sum(dim=1) / n_dark
    return (of_light[:, 0] + of_dark) / 2 + of_light[:, 1:].sum(dim=1)


class ReconstructionTask(WithoutLabels):
    """Masked auto-encoder on the pixels of a camera (He et al. 2022).

    Some patches of an image are hidden: their pixels have no light, as missing pixels. From the
    embedding of such an image a decoder says what charge and time each pixel has, see
    `gammalearn.nn.decoder.PatchDecoder`. Only hidden pixels count, and never missing ones.
    """

    name = "reconstruction"
    options = ("masked",)

    def __init__(self, settings: TaskSettings, images: SeenImages):
        super().__init__(settings, images)
        self.masks = PatchMasks(images.cameras, settings.masked)
        self.channels, self.light = decoded_channels(images.channels), images.light

    def losses(self, network: ImageNetwork, batch: Batch, seen: Embedded) -> Losses:
        hidden = self.masks.random(batch.images)
        decoded = network.decoded(batch.images, hidden)
        return self._of_events(batch.images, batch.n_events, decoded, hidden)

    def steady_losses(self, network: ImageNetwork, batch: Batch, seen: Embedded) -> Losses:
        score = self.score(network, batch.images, batch.n_events)
        return score, torch.ones_like(score, dtype=torch.bool)

    def score(
        self, network: ImageNetwork, images: Mapping[str, CameraImages], n_events: int
    ) -> Tensor:
        """Anomaly score of events: the error of the reconstruction, mean over the images.

        Each pixel is hidden once, by one of several masks that are the same for all images, so that
        the score of an event is always the same.

        Parameters
        ----------
        network : ImageNetwork
        images : mapping of str to CameraImages
        n_events : int

        Returns
        -------
        Tensor, shape (n_events,)
        """
        parts: dict[str, Tensor] = {}
        for number in range(self.masks.n_steady):
            hidden = self.masks.steady(images, number)
            for name, decoded in network.decoded(images, hidden).items():
                shown = hidden[name].unsqueeze(1)
                parts[name] = torch.where(shown, decoded, parts.get(name, decoded))
        everywhere = {
            name: torch.ones_like(self._charge(camera), dtype=torch.bool)
            for name, camera in images.items()
        }
        return self._of_events(images, n_events, parts, everywhere)[0]

    def _charge(self, camera: CameraImages) -> Tensor:
        return camera.pixels[:, self.channels[0]]

    def _of_events(
        self,
        images: Mapping[str, CameraImages],
        n_events: int,
        decoded: Mapping[str, Tensor],
        hidden: Mapping[str, Tensor],
    ) -> Losses:
        """Error of each event, mean over its images."""
        errors = []
        for name, camera in images.items():
            charge = self._charge(camera).float()
            truth = camera.pixels[:, self.channels].float()
            # The charge of a missing pixel is exactly 0.
            counted = hidden[name] & (charge != 0)
            errors.append(image_errors(decoded[name].float(), truth, counted, self.light(charge)))
        event = torch.cat([camera.event for camera in images.values()])
        losses = mean_of_events(torch.cat(errors), event, n_events)
        return losses, torch.bincount(event, minlength=n_events) > 0
