"""Interleaved pedestals: the noise of the night sky at the time of each image.

Observed files have events between the showers that were triggered by no light. All their pixels are
dark, whatever showers there are. They are never learned from nor reconstructed.
"""

import numpy as np
from astropy.table import Table
from ctapipe.containers import EventType

from ...image.noise import noise_level
from .reader import Reader

__all__ = ["PEDESTAL_NOISE", "pedestal_noise"]

#: Column of the image table of an index: the noise (p.e.) by the pedestals, NaN without any.
PEDESTAL_NOISE = "pedestal_noise"

#: Pedestals that are averaged: the noise of a single one is known to some percent only.
PEDESTALS_A_POINT = 20

#: Images read at a time.
ROWS_AT_A_TIME = 500


def pedestal_noise(reader: Reader, tel_id: int, images: Table) -> np.ndarray:
    """Noise of the night sky in the images of a telescope, by the pedestals of its observation.

    The noise of each pedestal is `gammalearn.image.noise.noise_level`. Twenty pedestals that follow
    each other are averaged, and the means are interpolated in time; before the first and after the
    last mean, it is the nearest. In a file without times it is the mean of all pedestals of the
    observation.

    Parameters
    ----------
    reader : Reader
    tel_id : int
    images : Table
        From ``reader.images(tel_id)``: all images of the telescope.

    Returns
    -------
    ndarray, shape (n_images,)
        In p.e.; NaN where the observation has no pedestal of the telescope.
    """
    found = np.full(len(images), np.nan)
    event = np.asarray(images["event"])
    kind = np.asarray(reader.events["event_type"])[event]
    is_pedestal = (event >= 0) & (kind == EventType.SKY_PEDESTAL.value)
    if not (is_pedestal.any() and reader.has_pixels):
        return found
    noise = np.full(len(images), np.nan)
    noise[is_pedestal] = _noise(reader, tel_id, np.flatnonzero(is_pedestal))
    time, obs_id = reader.times(tel_id), np.asarray(images["obs_id"])
    for observation in np.unique(obs_id[np.isfinite(noise)]):
        mine = obs_id == observation
        pedestal = mine & np.isfinite(noise)
        found[mine] = _at(time[mine], time[pedestal], noise[pedestal])
    return found


def _noise(reader: Reader, tel_id: int, rows: np.ndarray) -> np.ndarray:
    """Noise (p.e.) of some images."""
    starts = range(0, len(rows), ROWS_AT_A_TIME)
    parts = (rows[start : start + ROWS_AT_A_TIME] for start in starts)
    charges = (reader.pixels(tel_id, part, ["charge"])["charge"] for part in parts)
    return np.concatenate([noise_level(charge) for charge in charges])


def _at(when: np.ndarray, time: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Noise at some times, from that of the pedestals at theirs."""
    known = np.isfinite(time)
    if not known.any():
        return np.full(len(when), noise.mean())
    order = np.argsort(time[known], kind="stable")
    groups = np.array_split(order, max(len(order) // PEDESTALS_A_POINT, 1))
    times = [time[known][group].mean() for group in groups]
    means = [noise[known][group].mean() for group in groups]
    return np.where(np.isfinite(when), np.interp(when, times, means), noise.mean())
