"""Augmentation: the images of an epoch as other conditions would have them."""

from collections.abc import Mapping

import numpy as np

__all__ = ["augment"]


def augment(
    pixels: Mapping[str, np.ndarray], images: np.ndarray, settings, seed: int, epoch: int
) -> dict[str, np.ndarray]:
    """Vary images at random, each in its own way in each epoch.

    What becomes of an image depends on the seed, the epoch and the image alone, not on those that
    are read with it.

    Parameters
    ----------
    pixels : mapping of str to ndarray, shape (n_images, n_pixels)
        ``charge`` (p.e.), and ``peak_time`` (ns) if it is needed; others stay as they are.
    images : ndarray of int, shape (n_images,)
        Rows of the images in the index.
    settings : gammalearn.settings.AugmentationSettings
    seed, epoch : int

    Returns
    -------
    dict of str to ndarray
        As ``pixels``; a pixel that is dropped has no finite charge nor time.
    """
    varied = dict(pixels)
    charge = varied["charge"] = np.array(pixels["charge"], dtype=np.float32)
    time = None
    if "peak_time" in pixels:
        time = varied["peak_time"] = np.array(pixels["peak_time"], dtype=np.float32)
    n_pixels = charge.shape[1]
    for row, image in enumerate(images):
        rng = np.random.default_rng([seed, epoch, int(image)])
        # All are drawn in one order, whatever is needed: times do not decide on charges.
        if settings.gain_jitter:
            charge[row] *= 1 + settings.gain_jitter * rng.standard_normal(n_pixels, np.float32)
        if settings.nsb:
            charge[row] += rng.poisson(settings.nsb, n_pixels) - np.float32(settings.nsb)
        if settings.pixel_dropout:
            charge[row, rng.random(n_pixels) < settings.pixel_dropout] = np.nan
        if settings.time_jitter and time is not None:
            time[row] += settings.time_jitter * rng.standard_normal(n_pixels, np.float32)
    if time is not None:
        time[np.isnan(charge)] = np.nan
    return varied
