"""Channels: what each pixel carries into the network."""

from collections.abc import Mapping

import numpy as np

from ...image.cleaning import uses_mask, uses_time
from ...settings import DataSettings

__all__ = ["image_channels", "pixel_columns", "without_impossible"]

#: Peak times enter in units of this time, the scale of an image's time gradient.
TIME_SCALE_NS = 10.0

#: Charges (p.e.) and times (ns) beyond these, of either sign, are no measurement: the brightest
#: pixels saturate at some 1e5 p.e., and readouts last for less than a microsecond.
LARGEST = {"charge": 1e7, "peak_time": 1e6, "waveform": 1e7}

#: Channels made of the pixels' times.
TIMES = ("peak_time", "absolute_peak_time")


def pixel_columns(settings: DataSettings) -> list[str]:
    """What must be read of each pixel to make the channels.

    Parameters
    ----------
    settings : gammalearn.settings.DataSettings
    """
    columns = ["charge"]
    cleaned = uses_mask(settings) and settings.cleaning.method != "file"
    if set(TIMES) & set(settings.channels) or (cleaned and uses_time(settings.cleaning.method)):
        columns.append("peak_time")
    if uses_mask(settings) and not cleaned:
        columns.append("cleaning_mask")
    if settings.input == "waveforms":
        columns.append("waveform")
    return columns


def without_impossible(
    pixels: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Pixels whose impossible values are missing (NaN), and how many those are.

    One value of 1e30 p.e. would decide what a network learns from a whole batch.

    Parameters
    ----------
    pixels : mapping of str to ndarray, shape (n_images, n_pixels)
        ``charge`` (p.e.), ``peak_time`` (ns) and ``waveform`` (p.e. per sample, with one axis
        more), as far as they are there, and others.

    Returns
    -------
    pixels : dict of str to ndarray
    counts : dict of str to int
        Of the infinite and the larger ones than :data:`LARGEST`, where there are any.
    """
    found, counts = dict(pixels), {}
    for name, largest in LARGEST.items():
        if name in pixels:
            impossible = np.abs(pixels[name]) > largest
            if impossible.any():
                counts[name] = int(impossible.sum())
                found[name] = np.where(impossible, np.nan, pixels[name])
    return found, counts


def image_channels(pixels: Mapping[str, np.ndarray], settings: DataSettings) -> np.ndarray:
    """The channels of images.

    Parameters
    ----------
    pixels : mapping of str to ndarray, shape (n_images, n_pixels)
        ``charge`` (p.e.), ``peak_time`` (ns), ``cleaning_mask`` (bool), as far as the channels
        need them. A pixel with a charge or time that is not finite is missing: it
        enters as one without light.
    settings : gammalearn.settings.DataSettings
        Its ``channels``, ``charge_scale``, ``peak_time_threshold``, ``cleaning.applied_to``.

    Returns
    -------
    ndarray of float32, shape (n_images, n_channels, n_pixels)
        The image's own time is the mean weighted with the positive charges squared (so that the
        light counts, not the noise) of the pixels whose time counts: those that have a charge and
        a time, that the mask leaves where it is applied to times, and whose charge is not below the
        threshold. ``peak_time`` is relative to it, ``absolute_peak_time`` is not, both in units of
        10 ns; pixels whose time does not count have the image's own. In an image without positive
        charge the relative times are 0, as is its own.
        ``has_charge`` is 0 for pixels without a finite charge, so that the network can tell a
        missing pixel from a dark one.
    """
    charge = pixels["charge"].astype(np.float32)
    has_charge = np.isfinite(charge)
    if not has_charge.all():
        charge[~has_charge] = 0
    applied_to = settings.cleaning.applied_to
    if "charge" in applied_to:
        charge *= pixels["cleaning_mask"]
    if set(TIMES) & set(settings.channels):
        time = pixels["peak_time"].astype(np.float32)
        counts = has_charge & np.isfinite(time)
        if "peak_time" in applied_to:
            counts &= pixels["cleaning_mask"]
        if settings.peak_time_threshold is not None:
            counts &= charge >= settings.peak_time_threshold
        relative, own = _relative_times(time, charge, counts)
    out = np.empty((len(charge), len(settings.channels), charge.shape[1]), dtype=np.float32)
    for number, channel in enumerate(settings.channels):
        if channel == "charge":
            _scale(charge, settings.charge_scale, out[:, number])
        elif channel == "cleaning_mask":
            out[:, number] = pixels["cleaning_mask"]
        elif channel == "has_charge":
            out[:, number] = has_charge
        elif channel == "peak_time":
            np.divide(relative, TIME_SCALE_NS, out=out[:, number])
        else:
            np.divide(np.where(counts, time, own), TIME_SCALE_NS, out=out[:, number])
    return out


def _scale(charge: np.ndarray, scale: str, out: np.ndarray) -> None:
    """Charges as they enter."""
    if scale == "asinh":
        np.arcsinh(charge, out=out)
    elif scale == "log":
        np.log1p(np.abs(charge), out=out)
        np.copysign(out, charge, out=out)
    elif scale == "sqrt":
        np.sqrt(np.abs(charge), out=out)
        np.copysign(out, charge, out=out)
    else:
        out[:] = charge


def _relative_times(
    time: np.ndarray, charge: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Peak times (ns) relative to their image's own where they count and 0 elsewhere, and that."""
    light = np.maximum(charge, 0)
    if not counts.all():
        time = np.where(counts, time, 0)
        light[~counts] = 0
    # Relative to the brightest pixel: no charge is then too large to be squared, and what is
    # averaged are small differences of times.
    brightest = light.argmax(axis=1)[:, None]
    largest = np.take_along_axis(light, brightest, axis=1)
    has_light = largest > 0
    own = np.take_along_axis(time, brightest, axis=1)
    relative = time - own
    light /= np.where(has_light, largest, 1)
    light *= light
    total = light.sum(axis=1, keepdims=True)
    light *= relative
    later = light.sum(axis=1, keepdims=True) / np.where(has_light, total, 1)
    relative -= later
    # An image without light has no time of its own to be relative to.
    relative *= has_light
    if not counts.all():
        relative[~counts] = 0
    return relative, (own + later) * has_light
