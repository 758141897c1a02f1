"""Where the array pointed, from the tables of a DL2 file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tables
from astropy.coordinates import angular_separation
from astropy.table import Table
from ctapipe.io import read_table

from ..errors import DataError
from ..io.pointing import by_observation, by_time, monitored_path
from .pointing import LARGEST_DEVIATION, PointingReports
from .sky import seconds_of, time_of

__all__ = ["reports_of_array", "reports_of_images"]


def reports_of_array(
    file: tables.File, path: Path, tel_ids: Sequence[int], triggers: Table
) -> dict[int, PointingReports]:
    """The mean pointing of the telescopes of a file in ctapipe's data model.

    Parameters
    ----------
    file : tables.File
    path : Path
        For errors.
    tel_ids : sequence of int
        Telescopes of the array.
    triggers : Table
        ``obs_id`` and ``seconds`` of all events.

    Returns
    -------
    dict of int to PointingReports
        By obs_id. Observations without any report are missing.

    Raises
    ------
    DataError
        If the telescopes look apart.
    """
    reported = [
        read_table(file, monitored)
        for tel_id in tel_ids
        if (monitored := monitored_path(file, tel_id)) is not None
    ]
    reported = [table for table in reported if len(table)]
    if not reported:
        return _fixed(file, tel_ids, triggers)
    seconds = np.unique(seconds_of(reported[0]["time"]))
    seconds = seconds[np.isfinite(seconds)]
    pointings = np.array([by_time(table, time_of(seconds)) for table in reported])
    alt, az = _mean(pointings, path)
    reports = PointingReports(seconds, alt, az)
    found = {}
    for obs_id in np.unique(triggers["obs_id"]):
        times = triggers["seconds"][triggers["obs_id"] == obs_id]
        if np.any(np.isfinite(times)):
            mine = reports.between(np.nanmin(times), np.nanmax(times))
            if len(mine.seconds):
                found[int(obs_id)] = mine
    return found


def _mean(pointings: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean direction (deg) of telescopes, shape (n_telescopes, 2, n); NaN is left out."""
    alt, az = np.radians(pointings[:, 0]), np.radians(pointings[:, 1])
    x, y, z = (
        np.nanmean(values, axis=0)
        for values in (np.cos(alt) * np.cos(az), np.cos(alt) * np.sin(az), np.sin(alt))
    )
    mean_alt, mean_az = np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)
    apart = np.degrees(np.nanmax(angular_separation(az, alt, mean_az, mean_alt), initial=0.0))
    if apart > LARGEST_DEVIATION:
        raise DataError(
            f"The telescopes of '{path}' point up to {apart:.2f} deg away from their mean "
            "direction; DL3 is made of telescopes that point to the same place."
        )
    return np.degrees(mean_alt), np.degrees(mean_az) % 360


def _fixed(
    file: tables.File, tel_ids: Sequence[int], triggers: Table
) -> dict[int, PointingReports]:
    """A pointing for the whole observation, which holds at its first and at its last event."""
    found = {}
    obs_ids = np.unique(np.asarray(triggers["obs_id"]))
    for tel_id in tel_ids:
        alts, azs, _ = by_observation(file, tel_id, obs_ids)
        for obs_id, alt, az in zip(obs_ids, alts, azs, strict=True):
            times = triggers["seconds"][triggers["obs_id"] == obs_id]
            times = np.asarray(times)[np.isfinite(times)]
            if np.isfinite(alt) and np.isfinite(az) and len(times) and int(obs_id) not in found:
                ends = np.unique([times.min(), times.max()])
                found[int(obs_id)] = PointingReports(
                    ends, np.full(len(ends), alt), np.full(len(ends), az)
                )
    return found


def reports_of_images(images: Table, rows: Table) -> dict[int, PointingReports]:
    """The pointing that lstchain writes beside each image.

    Parameters
    ----------
    images : Table
        ``obs_id`` and ``seconds`` of the images.
    rows : Table
        The same images, with ``alt_tel`` and ``az_tel`` (rad).

    Returns
    -------
    dict of int to PointingReports
        By obs_id.
    """
    alt, az = (
        np.degrees(np.ma.filled(np.ma.asarray(rows[name]).astype(np.float64), np.nan))
        for name in ("alt_tel", "az_tel")
    )
    seconds = np.asarray(images["seconds"])
    known = np.isfinite(seconds) & np.isfinite(alt) & np.isfinite(az)
    found = {}
    for obs_id in np.unique(images["obs_id"][known]):
        mine = known & (np.asarray(images["obs_id"]) == obs_id)
        # Not all of thousands a second: the telescopes move slowly.
        step = np.unique(np.floor(seconds[mine]), return_index=True)[1]
        last = np.argmax(seconds[mine])
        chosen = np.unique(np.append(step, last))
        one = PointingReports(seconds[mine][chosen], alt[mine][chosen], az[mine][chosen])
        found[int(obs_id)] = PointingReports.joined([one])
    return found
