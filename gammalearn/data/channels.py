"""Channels: what each pixel carries into the network."""

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["image_channels", "pixel_columns"]

#: Peak times enter in units of this time, the scale of an image's time gradient.
TIME_SCALE_NS = 10.0


def pixel_columns(channels: Sequence[str]) -> list[str]:
    """What must be read of each pixel to make the channels."""
    columns = dict.fromkeys(["charge", *channels])
    columns.pop("has_charge", None)  # told by the charge
    return list(columns)


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
        Of ``charge``, ``peak_time``, ``cleaning_mask`` and ``has_charge``: 1, but 0 for pixels
        without a finite charge, so that the network can tell a missing pixel from a dark one.
    charge_scale : {"linear", "asinh"}

    Returns
    -------
    ndarray of float32, shape (n_images, n_channels, n_pixels)
        Peak time is relative to the image's own, the mean weighted with the positive charges
        squared (so that the light counts, not the noise), in units of 10 ns; 0 in an image
        without positive charge.
    """
    charge = pixels["charge"].astype(np.float32)
    has_charge = np.isfinite(charge)
    if not has_charge.all():
        charge[~has_charge] = 0
    out = np.empty((len(charge), len(channels), charge.shape[1]), dtype=np.float32)
    for number, channel in enumerate(channels):
        if channel == "charge":
            if charge_scale == "asinh":
                np.arcsinh(charge, out=out[:, number])
            else:
                out[:, number] = charge
        elif channel == "peak_time":
            out[:, number] = _relative_time(pixels["peak_time"], charge, has_charge)
        elif channel == "cleaning_mask":
            out[:, number] = pixels["cleaning_mask"]
        elif channel == "has_charge":
            out[:, number] = has_charge
        else:
            raise ValueError(
                f"channel must be charge, peak_time, cleaning_mask or has_charge, got {channel!r}"
            )
    return out


def _relative_time(time: np.ndarray, charge: np.ndarray, has_charge: np.ndarray) -> np.ndarray:
    """Peak times relative to their image's own, 0 where there is none."""
    time = time.astype(np.float32)
    seen = has_charge & np.isfinite(time)
    light = np.maximum(charge, 0)
    if not seen.all():
        time[~seen] = 0
        light[~seen] = 0
    # Relative to the brightest pixel: no charge is then too large to be squared, and what is
    # averaged are small differences of times.
    brightest = light.argmax(axis=1)[:, None]
    largest = np.take_along_axis(light, brightest, axis=1)
    time -= np.take_along_axis(time, brightest, axis=1)
    has_light = largest > 0
    light /= np.where(has_light, largest, 1)
    light *= light
    total = light.sum(axis=1, keepdims=True)
    light *= time
    time -= light.sum(axis=1, keepdims=True) / np.where(has_light, total, 1)
    time /= TIME_SCALE_NS
    # An image without light has no time of its own to be relative to.
    time *= has_light
    if not seen.all():
        time[~seen] = 0
    return time
