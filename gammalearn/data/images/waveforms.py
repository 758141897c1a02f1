"""Samples: what the waveform of each pixel carries into the network."""

from collections.abc import Mapping

import numpy as np

from ...settings import DataSettings

__all__ = ["image_samples"]


def image_samples(pixels: Mapping[str, np.ndarray], settings: DataSettings) -> np.ndarray:
    """The samples of images, as many for all cameras.

    Parameters
    ----------
    pixels : mapping of str to ndarray
        ``waveform`` (p.e. per sample), shape (n_images, n_pixels, any), ``charge`` (p.e.), shape
        (n_images, n_pixels), and ``cleaning_mask`` where that is applied to charges. A pixel with a
        charge that is not finite is missing, as is a sample: both enter as no light.
    settings : gammalearn.settings.DataSettings
        Its ``samples``, ``cleaning.applied_to``.

    Returns
    -------
    ndarray of float32, shape (n_images, n_samples, n_pixels)
        From the first sample of the readout on; zeros follow a shorter one, later samples of a
        longer one are left out.
    """
    waveform = pixels["waveform"][:, :, : settings.samples]
    seen = np.isfinite(pixels["charge"])
    if "charge" in settings.cleaning.applied_to:
        seen &= pixels["cleaning_mask"]
    n_images, n_pixels, n_samples = waveform.shape
    out = np.zeros((n_images, settings.samples, n_pixels), dtype=np.float32)
    out[:, :n_samples] = waveform.transpose(0, 2, 1)
    if not seen.all():
        out *= seen[:, np.newaxis]
    if not np.isfinite(waveform).all():
        np.nan_to_num(out, copy=False, posinf=0.0, neginf=0.0)
    return out
