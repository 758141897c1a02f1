"""What a network's result of an event comes from: pixels, telescopes.

Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv 1703.01365) share the difference between
the result and that of the same event without light among the pixels: they add up to it. Occlusion
(Zeiler & Fergus 2014, arXiv 1311.2901) makes a few pixels dark at a time, or leaves a telescope
out, and looks at what changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ..camera import CameraType
from ..data import CameraImages
from .attribution import AT_A_TIME, shares_of_inputs

__all__ = ["Explanation", "Score", "dark_patches", "integrated_gradients"]

Score = Callable[[dict[str, Tensor]], Tensor]
Images = dict[str, CameraImages]


@dataclass(frozen=True)
class Explanation:
    """What a result of an event comes from.

    Attributes
    ----------
    task : str
    explained_as : str
        The number that is explained, in words.
    value : float
        That number.
    without_light : float
        The same with all pixels dark. Image parameters and telescopes stay as they are.
    tel_ids : tuple of int
        Telescopes of the images.
    cameras : tuple of str
        Camera of each image.
    charge : tuple of ndarray, shape (n_pixels,)
        First channel of each image, as the network sees it.
    gradients : tuple of ndarray, shape (n_channels, n_pixels)
        Integrated gradients of each image, in the unit of the number.
    patches : tuple of ndarray, shape (n_pixels,)
        By how much the number is larger with a pixel and its neighbours than without their light;
        NaN for pixels that were not tried.
    telescopes : ndarray, shape (n_images,)
        By how much the number is larger with the image than without it; NaN where it was not tried.
    """

    task: str
    explained_as: str
    value: float
    without_light: float
    tel_ids: tuple[int, ...]
    cameras: tuple[str, ...]
    charge: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray, ...]
    patches: tuple[np.ndarray, ...]
    telescopes: np.ndarray

    @property
    def unexplained(self) -> float:
        """What the integrated gradients miss of the difference that they share among pixels."""
        return self.value - self.without_light - float(sum(part.sum() for part in self.gradients))


def integrated_gradients(
    network: nn.Module, images: Images, score: Score, steps: int
) -> dict[str, np.ndarray]:
    """Integrated gradients of one event, from dark pixels to its own.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    images : dict of str to CameraImages
        Of one event, by camera.
    score : callable
        From the outputs by task to a number for each event.
    steps : int
        Points of the integral, see `shares_of_inputs`.

    Returns
    -------
    dict of str to ndarray, shape (n_images, n_channels, n_pixels)
        By camera.
    """

    def of_copies(pixels: list[Tensor]) -> Tensor:
        n_copies = len(pixels[0])
        copies = _copies(images, n_copies)
        for camera, lit in zip(copies.values(), pixels, strict=True):
            camera.pixels = lit.flatten(0, 1)
        return score(network(copies, n_copies))

    shares = shares_of_inputs(of_copies, [camera.pixels for camera in images.values()], steps)
    return dict(zip(images, shares, strict=True))


@torch.no_grad()
def dark_patches(
    network: nn.Module,
    images: Images,
    score: Score,
    cameras: Mapping[str, CameraType],
    brightest: int,
) -> dict[str, np.ndarray]:
    """By how much the result changes without the light of a pixel and of its neighbours.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    images : dict of str to CameraImages
        Of one event, by camera.
    score : callable
        From the outputs by task to a number for each event.
    cameras : mapping of str to CameraType
    brightest : int
        How many pixels of each image are tried, those with the largest first channel.

    Returns
    -------
    dict of str to ndarray, shape (n_images, n_pixels)
        By camera, the result of the whole event minus that of the event without the patch; NaN for
        pixels that are not tried.
    """
    whole = score(network(images, 1))
    changes = {}
    for name, camera in images.items():
        neighbours = torch.from_numpy(cameras[name].grid.neighbours())
        n_images, _, n_pixels = camera.pixels.shape
        changes[name] = np.full((n_images, n_pixels), np.nan, dtype=np.float32)
        for image in range(n_images):
            order = torch.argsort(camera.pixels[image, 0], descending=True)[:brightest]
            for tried in order.split(AT_A_TIME):
                copies = _copies(images, len(tried))
                mine = copies[name].pixels.unflatten(0, (len(tried), n_images))
                for row, pixel in enumerate(tried):
                    patch = neighbours[:, pixel]
                    mine[row, image][:, patch[patch >= 0]] = 0
                copies[name] = replace(copies[name], pixels=mine.flatten(0, 1))
                without = score(network(copies, len(tried)))
                changes[name][image, tried.numpy()] = (whole - without).numpy()
    return changes


def _copies(images: Images, n_copies: int) -> Images:
    """An event so many times, one copy after the other."""
    copies = {}
    for name, camera in images.items():
        repeated = camera.map(lambda t: t.repeat(n_copies, *[1] * (t.ndim - 1)))
        event = torch.arange(n_copies).repeat_interleave(len(camera.event))
        copies[name] = replace(repeated, event=event)
    return copies
