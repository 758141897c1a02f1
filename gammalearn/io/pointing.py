"""Where telescopes point: by observation in simulations, by time in observations.

Runs of a simulation have times of their own, which overlap or leave gaps where several are in one
file: to interpolate between them leads to places where nothing ever pointed.
"""

from collections.abc import Callable

import numpy as np
import tables
from astropy.table import Column, Table
from astropy.time import Time
from ctapipe.containers import CoordinateFrameType
from ctapipe.io import read_table

from .ctapipe_tables import FIXED_POINTING, MONITORED_POINTING, OBSERVATION, RUNS, of_telescope

__all__ = ["by_observation", "by_time", "monitored_path"]


def monitored_path(file: tables.File, tel_id: int) -> str | None:
    """The table of a telescope's pointing against time, None where there is none."""
    paths = (of_telescope(group, tel_id) for group in MONITORED_POINTING)
    return next((path for path in paths if path in file), None)


def by_time(monitored: Table, time: Time) -> tuple[np.ndarray, np.ndarray]:
    """Altitude and azimuth (deg), interpolated in time; NaN where none is known.

    Parameters
    ----------
    monitored : Table
        time, altitude and azimuth; reports that are not finite are left out.
    time : Time, shape (n,)
    """
    when, alt, az = (
        monitored["time"].unix_tai,
        _degrees(monitored["altitude"]),
        _degrees(monitored["azimuth"]),
    )
    order = np.argsort(when, kind="stable")
    order = order[np.isfinite(alt[order]) & np.isfinite(az[order])]
    if len(order) == 0:
        return np.full(len(time), np.nan), np.full(len(time), np.nan)
    # Unwrapped, so that a crossing of north is not a turn around the sky.
    az = np.unwrap(az[order], period=360)
    return tuple(np.interp(time.unix_tai, when[order], angle) for angle in (alt[order], az))


def by_observation(
    file: tables.File, tel_id: int, obs_id: np.ndarray, read: Callable[..., Table] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Altitude and azimuth (deg) of a telescope in some observations, and whether there is any.

    Parameters
    ----------
    file : tables.File
    tel_id : int
    obs_id : ndarray of int, shape (n,)
    read : callable, optional
        Reads a table of the file, by its path and the names of the columns that it must have.

    Returns
    -------
    alt, az : ndarray, shape (n,)
        Of the telescope's own table by observation; where the file has none, as before data model
        6.0, that of all its reports, if they agree; then that of the observation block or of the
        simulation's settings. NaN where none is known.
    listed : ndarray of bool, shape (n,)
        Whether the file has the observation where it keeps the pointing.
    """
    read = read or (lambda path, *_: read_table(file, path))
    fixed = of_telescope(FIXED_POINTING, tel_id)
    if fixed in file:
        names = "telescope_pointing_altitude", "telescope_pointing_azimuth"
        table = read(fixed, "obs_id", *names)
        alt, az = _of(obs_id, table["obs_id"], *(_degrees(table[name]) for name in names))
        return alt, az, np.isin(obs_id, np.asarray(table["obs_id"], dtype=np.int64))
    alt, az = np.full((2, len(obs_id)), np.nan)
    if FIXED_POINTING in file:
        return alt, az, np.zeros(len(obs_id), dtype=bool)
    monitored = monitored_path(file, tel_id)
    if monitored is not None:
        table = read(monitored, "altitude", "azimuth")
        reports = np.column_stack([_degrees(table[name]) for name in ("altitude", "azimuth")])
        if len(np.unique(reports, axis=0)) == 1:
            alt[:], az[:] = reports[0]
            return alt, az, np.ones(len(obs_id), dtype=bool)
    for path, pointings in ((OBSERVATION, _of_blocks), (RUNS, _of_settings)):
        unknown = ~(np.isfinite(alt) & np.isfinite(az))
        if path in file and np.any(unknown):
            alt[unknown], az[unknown] = _of(obs_id[unknown], *pointings(read))
    return alt, az, np.isfinite(alt) & np.isfinite(az)


def _of(
    wanted: np.ndarray, obs_id: np.ndarray, alt: np.ndarray, az: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Those of the wanted observations, NaN where there is none."""
    rows = {int(number): row for row, number in enumerate(obs_id)}
    numbers, where = np.unique(wanted, return_inverse=True)
    # The last row, which −1 finds, stands for those that are not there.
    found = np.array([rows.get(int(number), -1) for number in numbers], dtype=np.int64)[where]
    return tuple(np.append(angle, np.nan)[found] for angle in (alt, az))


def _of_blocks(read: Callable[..., Table]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations and their altitude and azimuth (deg), where they are said in that frame."""
    names = "subarray_pointing_lat", "subarray_pointing_lon"
    table = read(OBSERVATION, "obs_id", "subarray_pointing_frame", *names)
    table = table[np.asarray(table["subarray_pointing_frame"]) == CoordinateFrameType.ALTAZ.value]
    alt, az = (_degrees(table[name]) for name in names)
    return np.asarray(table["obs_id"]), alt, az


def _of_settings(read: Callable[..., Table]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations and their altitude and azimuth (deg), where simulations had one pointing."""
    lowest, highest = ([f"{end}_{angle}" for angle in ("alt", "az")] for end in ("min", "max"))
    table = read(RUNS, "obs_id", *lowest, *highest)
    pairs = zip(lowest, highest, strict=True)
    table = table[np.all([table[low] == table[high] for low, high in pairs], axis=0)]
    alt, az = (_degrees(table[name]) for name in lowest)
    return np.asarray(table["obs_id"]), alt, az


def _degrees(column: Column) -> np.ndarray:
    """Angles of a table's column, in double precision."""
    if column.ndim != 1:
        raise ValueError(f"several angles in a row of {column.name}")
    return column.quantity.astype(np.float64).to_value("deg")
