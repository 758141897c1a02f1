"""Channels: what each pixel carries into the network."""

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["image_channels", "pixel_columns"]

#: Peak times enter in units of this time, the scale of an image's time gradient.
TIME_SCALE_NS = 10.0


def pixel_columns(channels: Sequence[str]) -> list[str]:
    """What must be read of each pixel to make the channels."""
    return list(dict.fromkeys(["charge", *channels]))


def image_channels(
    pixels: Mapping[str, np.ndarray], channels: Sequence[str], charge_scale: str
) -> np.ndarray:
    """The channels of images.

    Parameters
    ----------
    pixels : mapping of str to ndarray, shape (n_images, n_pixels)
        ``charge`` (p.e.), ``peak_time`` (ns), ``cleaning_mask`` (bool), as far as the channels
        need them. A pixel with a charge or time that is not finite is missing: it
        enters as one without light.
    channels : sequence of str
        Of ``charge``, ``peak_time``, ``cleaning_mask``.
    charge_scale : {"linear", "asinh"}

    Returns
    -------
    ndarray of float32, shape (n_images, n_channels, n_pixels)
        Peak time is relative to the image's own, the mean weighted with the positive charges
        squared (so that the light counts, not the noise), in units of 10 ns; 0 in an image
        without positive charge.
    """
    charge = np.nan_to_num(pixels["charge"].astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    made = []
    for channel in channels:
        if channel == "charge":
            made.append(np.arcsinh(charge) if charge_scale == "asinh" else charge)
        elif channel == "peak_time":
            time = pixels["peak_time"].astype(np.float32)
            # In double precision, where no charge is too large to be squared.
            light = np.clip(charge, 0, None).astype(np.float64)
            weight = np.where(np.isfinite(time), light**2, 0)
            total = weight.sum(axis=1, keepdims=True)
            time = np.where(np.isfinite(time), time, 0)
            mean = (weight * time).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1)
            # An image without light has no time of its own to be relative to.
            seen = np.isfinite(pixels["charge"]) & np.isfinite(pixels["peak_time"]) & (total > 0)
            made.append(np.where(seen, (time - mean) / TIME_SCALE_NS, 0))
        elif channel == "cleaning_mask":
            made.append(pixels["cleaning_mask"])
        else:
            raise ValueError(f"channel must be charge, peak_time or cleaning_mask, got {channel!r}")
    return np.stack(made, axis=1).astype(np.float32)
