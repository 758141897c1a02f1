"""Augmentation: the images of an epoch as other conditions would have them."""

from collections.abc import Mapping

import numpy as np

from ...settings import AugmentationSettings

__all__ = ["augment", "chances", "kept_images", "varies_pixels"]

#: Tells the numbers that decide on whole images from all others of the seed and epoch.
OF_TELESCOPES = 0x7E1E


def varies_pixels(settings: AugmentationSettings) -> bool:
    """Whether pixels change, not only events.

    Parameters
    ----------
    settings : gammalearn.settings.AugmentationSettings
    """
    return any((settings.gain_jitter, settings.nsb, settings.pixel_dropout, settings.time_jitter))


def augment(
    pixels: Mapping[str, np.ndarray],
    images: np.ndarray,
    settings: AugmentationSettings,
    seed: int,
    epoch: int,
) -> dict[str, np.ndarray]:
    """Vary images at random, each in its own way in each epoch.

    What becomes of an image depends on the seed, the epoch and the image alone, not on those that
    are read with it.

    Parameters
    ----------
    pixels : mapping of str to ndarray, shape (n_images, n_pixels)
        ``charge`` (p.e.), and if they are needed ``peak_time`` (ns) and ``waveform``, shape
        (n_images, n_pixels, n_samples), which has the gain of its pixel; others stay as they are.
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
    waveform = None
    if "waveform" in pixels and settings.gain_jitter:
        waveform = varied["waveform"] = np.array(pixels["waveform"], dtype=np.float32)
    n_pixels = charge.shape[1]
    for row, image in enumerate(images):
        rng = np.random.default_rng([seed, epoch, int(image)])
        # All are drawn in one order, whatever is needed: times do not decide on charges.
        if settings.gain_jitter:
            jitter = rng.standard_normal(n_pixels, np.float32)
            gain = np.asarray(1 + settings.gain_jitter * jitter)
            charge[row] *= gain
            if waveform is not None:
                waveform[row] *= gain[:, np.newaxis]
        if settings.nsb:
            charge[row] += rng.poisson(settings.nsb, n_pixels) - np.float32(settings.nsb)
        if settings.pixel_dropout:
            charge[row, rng.random(n_pixels) < settings.pixel_dropout] = np.nan
        if settings.time_jitter and time is not None:
            time[row] += settings.time_jitter * rng.standard_normal(n_pixels, np.float32)
    if time is not None:
        time[np.isnan(charge)] = np.nan
    return varied


def chances(n_images: int, seed: int, epoch: int) -> np.ndarray:
    """A random number between 0 and 1 for each image of an index, the same for all processes.

    Returns
    -------
    ndarray of float32, shape (n_images,)
    """
    return np.random.default_rng([OF_TELESCOPES, seed, epoch]).random(n_images, np.float32)


def kept_images(
    chance: np.ndarray, multiplicity: np.ndarray, dropout: float, minimum: int
) -> np.ndarray:
    """Which images of events stay when telescopes drop out.

    Parameters
    ----------
    chance : ndarray, shape (n_images,)
        Of :func:`chances`, the images of one event after those of the other; each stays if its own
        is not below ``dropout``.
    multiplicity : ndarray of int, shape (n_events,)
    dropout : float
        Probability of each image to be dropped.
    minimum : int
        Images of an event that stay at the least, those of the largest chances; all of fewer.

    Returns
    -------
    ndarray of bool, shape (n_images,)
    """
    event = np.repeat(np.arange(len(multiplicity)), multiplicity)
    before = np.repeat(np.cumsum(multiplicity) - multiplicity, multiplicity)
    rank = np.empty(len(chance), dtype=np.int64)
    rank[np.lexsort((-chance, event))] = np.arange(len(chance)) - before
    return (chance >= dropout) | (rank < minimum)
