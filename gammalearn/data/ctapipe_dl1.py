"""Reader of ctapipe DL1 HDF5 files."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from ctapipe.containers import EventType
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from ctapipe.io import read_table
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from ..errors import InputFileError
from ..particles import particle_names
from .files import open_hdf5

__all__ = ["CtapipeDL1Reader", "match_rows"]

log = logging.getLogger(__name__)

TRIGGER = "/dl1/event/subarray/trigger"
TEL_TRIGGER = "/dl1/event/telescope/trigger"
IMAGES = "/dl1/event/telescope/images"
PARAMETERS = "/dl1/event/telescope/parameters"
SHOWER = "/simulation/event/subarray/shower"
FIXED_POINTING = "/configuration/telescope/pointing"
#: Pointing against time, by data model: 7.2 and later, 5.0 and earlier.
MONITORED_POINTING = ("/dl0/monitoring/telescope/pointing", "/dl1/monitoring/telescope/pointing")

#: Columns of the truth and their units here.
TRUTH_UNITS = {
    "true_energy": u.TeV,
    "true_alt": u.deg,
    "true_az": u.deg,
    "true_core_x": u.m,
    "true_core_y": u.m,
    "true_h_first_int": u.m,
    "true_x_max": u.g / u.cm**2,
}

#: Names that the reader gives to what pixels hold, and the file's own.
PIXEL_COLUMNS = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}


def match_rows(wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """For each wanted key the row of ``keys`` that holds it, −1 where none does.

    Parameters
    ----------
    wanted : ndarray of int, shape (n, k)
    keys : ndarray of int, shape (m, k)
        All different.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    _, number = np.unique(np.concatenate([wanted, keys]), axis=0, return_inverse=True)
    number = number.reshape(-1)
    row = np.full(number.max(initial=-1) + 1, -1, dtype=np.int64)
    row[number[len(wanted) :]] = np.arange(len(keys))
    return row[number[: len(wanted)]]


class CtapipeDL1Reader:
    """One ctapipe DL1 file: instrument, events, images.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputFileError
        If the file cannot be read, is not ctapipe DL1, or holds no images.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            if TRIGGER not in self._file or "/configuration/instrument/subarray" not in self._file:
                raise InputFileError(
                    f"'{self.path}' is not a ctapipe DL1 file: it has no {TRIGGER} table."
                )
            if IMAGES not in self._file:
                raise InputFileError(
                    f"'{self.path}' holds no DL1 images (image parameters only); make it anew "
                    "with ctapipe-process --write-images."
                )
        except InputFileError:
            self.close()
            raise

    def close(self):
        """Close the file."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, path: str) -> Table:
        try:
            return read_table(self._file, path)
        except (tables.HDF5ExtError, OSError) as error:
            raise InputFileError(f"'{self.path}' is damaged: {path} cannot be read.") from error

    @cached_property
    def subarray(self) -> SubarrayDescription:
        """The telescopes, their positions and cameras."""
        # The focal length only enters the identity of a camera, where the equivalent one is
        # taken; files without the effective one are therefore no trouble.
        return SubarrayDescription.from_hdf(
            self._file, focal_length_choice=FocalLengthKind.EQUIVALENT
        )

    @cached_property
    def events(self) -> Table:
        """All triggered events.

        Columns obs_id, event_id, event_type, particle (empty where there is no truth) and the
        truth of :data:`TRUTH_UNITS` (NaN where there is none).
        """
        trigger = self._read(TRIGGER)
        events = Table(
            {
                "obs_id": np.asarray(trigger["obs_id"], dtype=np.int64),
                "event_id": np.asarray(trigger["event_id"], dtype=np.int64),
                "event_type": np.asarray(trigger["event_type"], dtype=np.int64),
                "particle": np.full(len(trigger), "", dtype="U16"),
                **{name: np.full(len(trigger), np.nan) for name in TRUTH_UNITS},
            }
        )
        keys = _keys(events)
        if len(np.unique(keys, axis=0)) < len(keys):
            raise InputFileError(f"'{self.path}' has several events with one obs_id and event_id.")
        if SHOWER not in self._file:
            return events
        shower = self._read(SHOWER)
        row = match_rows(keys, _keys(shower))
        known = row >= 0
        for name, unit in TRUTH_UNITS.items():
            if name in shower.colnames:
                column = shower[name]
                values = column.quantity.to_value(unit) if column.unit else np.asarray(column)
                events[name][known] = values[row[known]]
        events["particle"][known] = particle_names(shower["true_shower_primary_id"])[row[known]]
        return events

    def is_shower(self) -> np.ndarray:
        """Which events are showers, not calibration; shape (n_events,) of bool."""
        showers = [EventType.SUBARRAY.value, EventType.UNKNOWN.value]
        return np.isin(self.events["event_type"], showers)

    def telescopes_with_images(self) -> list[int]:
        """Ids of the telescopes that have an image."""
        return [
            tel_id
            for tel_id in sorted(map(int, self.subarray.tel))
            if f"{IMAGES}/tel_{tel_id:03d}" in self._file
            and self._file.get_node(f"{IMAGES}/tel_{tel_id:03d}").nrows > 0
        ]

    @cached_property
    def _tel_trigger(self) -> Table | None:
        return self._read(TEL_TRIGGER) if TEL_TRIGGER in self._file else None

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope, in the order of the file, without their pixels.

        Parameters
        ----------
        tel_id : int
        parameters : sequence of str
            DL1 image parameters to add, in the file's units; those the file lacks are left out.

        Returns
        -------
        Table
            Columns obs_id, event_id, pointing_alt, pointing_az (deg) and parameters.
        """
        table = self._file.get_node(f"{IMAGES}/tel_{tel_id:03d}")
        keys, time = None, None
        if self._tel_trigger is not None:
            mine = self._tel_trigger[self._tel_trigger["tel_id"] == tel_id]
            # One row an image in both; reading the keys from the image table would
            # decompress every image.
            if len(mine) == table.nrows:
                keys, time = _keys(mine), mine["time"]
        if keys is None:
            keys = np.column_stack(
                [table.col("obs_id").astype(np.int64), table.col("event_id").astype(np.int64)]
            )
        images = Table({"obs_id": keys[:, 0], "event_id": keys[:, 1]})
        images["pointing_alt"], images["pointing_az"] = self._pointing(tel_id, keys[:, 0], time)

        path = f"{PARAMETERS}/tel_{tel_id:03d}"
        if parameters and path in self._file:
            values = self._read(path)
            row = match_rows(keys, _keys(values))
            for name in parameters:
                if name in values.colnames:
                    column = np.asarray(values[name], dtype=np.float64)
                    images[name] = np.where(row >= 0, column[row], np.nan)
        return images

    def parameter_names(self) -> list[str]:
        """Names of the image parameters in the file."""
        for table in self._file.iter_nodes(PARAMETERS) if PARAMETERS in self._file else ():
            return [n for n in table.colnames if n not in {"obs_id", "event_id", "tel_id"}]
        return []

    def _pointing(self, tel_id, obs_id, time):
        """Altitude and azimuth (deg) of the telescope for each image."""
        path = f"{FIXED_POINTING}/tel_{tel_id:03d}"
        if path in self._file:
            table = self._read(path)
            row = match_rows(obs_id[:, None], np.asarray(table["obs_id"], dtype=np.int64)[:, None])
            if np.any(row < 0):
                raise InputFileError(
                    f"'{self.path}' has no pointing of telescope {tel_id} for observation "
                    f"{obs_id[row < 0][0]}."
                )
            alt = table["telescope_pointing_altitude"].quantity.to_value(u.deg)[row]
            az = table["telescope_pointing_azimuth"].quantity.to_value(u.deg)[row]
            return alt, az
        for group in MONITORED_POINTING:
            path = f"{group}/tel_{tel_id:03d}"
            if path in self._file and time is not None:
                table = self._read(path)
                when, seconds = table["time"].unix_tai, time.unix_tai
                alt = table["altitude"].quantity.to_value(u.deg)
                # Unwrapped, so that a crossing of north is not a turn around the sky.
                az = np.rad2deg(np.unwrap(table["azimuth"].quantity.to_value(u.rad)))
                return np.interp(seconds, when, alt), np.interp(seconds, when, az)
        raise InputFileError(f"'{self.path}' has no pointing of telescope {tel_id}.")

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the pixels of some images hold.

        Parameters
        ----------
        tel_id : int
        rows : ndarray of int, shape (n,)
            Rows of :meth:`images`, best in increasing order.
        names : sequence of str
            Of ``charge`` (p.e.), ``peak_time`` (ns), ``cleaning_mask`` (bool).

        Returns
        -------
        dict of str to ndarray, shape (n, n_pixels)
            Also ``obs_id`` and ``event_id``, shape (n,).
        """
        table = self._file.get_node(f"{IMAGES}/tel_{tel_id:03d}")
        try:
            data = table.read_coordinates(rows)
        except (tables.HDF5ExtError, OSError) as error:
            raise InputFileError(
                f"'{self.path}' is damaged: images of telescope {tel_id} cannot be read."
            ) from error
        transforms = get_column_transforms(get_column_attrs(table))
        pixels = {"obs_id": data["obs_id"], "event_id": data["event_id"]}
        for name in names:
            column = PIXEL_COLUMNS[name]
            if column not in table.colnames:
                raise InputFileError(
                    f"'{self.path}' has no {column} of telescope {tel_id}; "
                    f"leave '{name}' out of data.channels."
                )
            transform = transforms.get(column)
            pixels[name] = transform.inverse(data[column]) if transform else data[column]
        return pixels


def _keys(table: Table) -> np.ndarray:
    """Columns obs_id and event_id, shape (n, 2) of int64."""
    return np.column_stack(
        [
            np.asarray(table["obs_id"]).astype(np.int64),
            np.asarray(table["event_id"]).astype(np.int64),
        ]
    )
