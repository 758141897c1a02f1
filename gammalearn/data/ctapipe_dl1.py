"""Reader of ctapipe DL1 HDF5 files."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from ctapipe.io import read_table
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from ..errors import EmptySelectionError, InputFileError
from ..files import open_hdf5, reading
from ..particles import particle_names
from .broken import BrokenPixels, CalibrationRecord, without_broken
from .chunks import TableChunks
from .parameters import MissingParameters
from .reader import (
    INSTEAD,
    KEYS,
    TRUTH_UNITS,
    are_showers,
    event_keys,
    match_rows,
    spectral_indices,
)

__all__ = ["CtapipeDL1Reader"]

TRIGGER = "/dl1/event/subarray/trigger"
TEL_TRIGGER = "/dl1/event/telescope/trigger"
IMAGES = "/dl1/event/telescope/images"
PARAMETERS = "/dl1/event/telescope/parameters"
SIMULATION = "/configuration/simulation/run"
SHOWER = "/simulation/event/subarray/shower"
FIXED_POINTING = "/configuration/telescope/pointing"
#: Pointing against time, by data model: 7.2 and later, 5.0 and earlier.
MONITORED_POINTING = ("/dl0/monitoring/telescope/pointing", "/dl1/monitoring/telescope/pointing")

#: Names that the reader gives to what pixels hold, and the file's own.
PIXEL_COLUMNS = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}


class CtapipeDL1Reader:
    """One ctapipe DL1 file; see :class:`gammalearn.data.reader.Reader`.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputFileError
        If the file cannot be read, is not ctapipe DL1, or holds neither images nor their
        parameters.
    EmptySelectionError
        If it holds no events.
    """

    format = "ctapipe DL1"

    def __init__(self, path: Path):
        self.path = self.dl1_path = Path(path)
        self._file = open_hdf5(self.path)
        self._compute = MissingParameters(self, self._file)
        # How the images of each telescope are stored: finding out takes longer than reading some.
        self._tables: dict[int, tuple[TableChunks, dict]] = {}
        self._broken: dict[int, BrokenPixels | None] = {}
        try:
            with self._reading("the table of contents"):
                self._check_kind()
        except Exception:
            self.close()
            raise

    def _check_kind(self):
        file = self._file
        if "/configuration/instrument/subarray" not in file:
            raise InputFileError(
                f"'{self.path}' is not a ctapipe DL1 file: it describes no subarray."
            )
        if "/dl1" in file and TRIGGER not in file:
            raise InputFileError(
                f"'{self.path}' is not a ctapipe DL1 file: it has no {TRIGGER} table."
            )
        # Where nothing triggered, ctapipe writes no tables of events at all.
        if "/dl1" not in file or file.get_node(TRIGGER).nrows == 0:
            raise EmptySelectionError(f"'{self.path}' holds no events; leave it out.")
        if IMAGES not in file and PARAMETERS not in file:
            raise InputFileError(
                f"'{self.path}' holds no DL1 images, nor their parameters; make it anew with "
                "ctapipe-process --write-images --write-parameters."
            )

    def close(self):
        """Close the file."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _reading(self, what: str):
        return reading(self.path, what)

    def _read(self, path: str, *needed: str) -> Table:
        """A table of the file; ``needed`` are the columns that it must have."""
        with self._reading(path):
            table = read_table(self._file, path)
        self._check_columns(path, table.colnames, needed)
        return table

    def _has(self, path: str) -> bool:
        """Whether there is such a table; to look for one is to read its attributes."""
        with self._reading(path):
            return path in self._file

    def _check_columns(self, path, columns, needed):
        missing = [name for name in needed if name not in columns]
        if missing:
            raise InputFileError(f"'{self.path}': {path} has no column {', '.join(missing)}.")

    @cached_property
    def subarray(self) -> SubarrayDescription:
        """The telescopes, their positions and cameras."""
        # The focal length only enters the identity of a camera, where the equivalent one is
        # taken; files without the effective one are therefore no trouble.
        with self._reading("the description of the telescopes"):
            return SubarrayDescription.from_hdf(
                self._file, focal_length_choice=FocalLengthKind.EQUIVALENT
            )

    @cached_property
    def events(self) -> Table:
        """All triggered events.

        Columns obs_id, event_id, event_type, particle (empty where there is no truth), the truth of
        :data:`TRUTH_UNITS` and spectral_index (NaN where there is none).
        """
        trigger = self._read(TRIGGER, *KEYS, "event_type")
        events = Table(
            {
                "obs_id": np.asarray(trigger["obs_id"], dtype=np.int64),
                "event_id": np.asarray(trigger["event_id"], dtype=np.int64),
                "event_type": np.asarray(trigger["event_type"], dtype=np.int64),
                "particle": np.full(len(trigger), "", dtype="U16"),
                **{name: np.full(len(trigger), np.nan) for name in TRUTH_UNITS},
                "spectral_index": np.full(len(trigger), np.nan),
            }
        )
        keys = event_keys(events)
        if len(np.unique(keys, axis=0)) < len(keys):
            raise InputFileError(f"'{self.path}' has several events with one obs_id and event_id.")
        if not self._has(SHOWER):
            if self._has("/simulation"):
                # A damaged group looks like an empty one.
                raise InputFileError(
                    f"'{self.path}' is damaged: it is of simulated events, but has no {SHOWER}."
                )
            return events
        shower = self._read(SHOWER, *KEYS, "true_shower_primary_id")
        row = match_rows(keys, event_keys(shower))
        known = row >= 0
        with self._reading(SHOWER):
            for name, unit in TRUTH_UNITS.items():
                if name in shower.colnames:
                    column = shower[name]
                    values = column.quantity.to_value(unit) if column.unit else np.asarray(column)
                    events[name][known] = values[row[known]]
        if self._has(SIMULATION):
            events["spectral_index"] = spectral_indices(self._read(SIMULATION), events["obs_id"])
        events["particle"][known] = particle_names(shower["true_shower_primary_id"])[row[known]]
        return events

    def is_shower(self) -> np.ndarray:
        """Which events are showers, not calibration; shape (n_events,) of bool."""
        return are_showers(self.events)

    def telescope_triggers(self) -> Table:
        """All triggers of telescopes, with images or without: obs_id, event_id, tel_id."""
        return self._tel_trigger[[*KEYS, "tel_id"]]

    @cached_property
    def has_pixels(self) -> bool:
        """Whether images have pixels here, not parameters alone."""
        return self._has(IMAGES)

    def _of_images(self, tel_id: int) -> str:
        """The table with a row for each image of a telescope."""
        return f"{IMAGES if self.has_pixels else PARAMETERS}/tel_{tel_id:03d}"

    def telescopes_with_images(self) -> list[int]:
        """Ids of the telescopes that have an image."""
        with self._reading(IMAGES):
            paths = {int(tel_id): self._of_images(tel_id) for tel_id in self.subarray.tel}
            return [
                tel_id
                for tel_id, path in sorted(paths.items())
                if path in self._file and self._file.get_node(path).nrows > 0
            ]

    def n_images(self, tel_id: int) -> int:
        """Number of images of a telescope."""
        path = self._of_images(tel_id)
        with self._reading(path):
            return int(self._file.get_node(path).nrows)

    @cached_property
    def _tel_trigger(self) -> Table:
        return self._read(TEL_TRIGGER, *KEYS, "tel_id", "time")

    def _image_triggers(self, tel_id: int) -> Table:
        """The trigger of each image of a telescope, with columns obs_id, event_id and time."""
        path = self._of_images(tel_id)
        triggers = self._tel_trigger[self._tel_trigger["tel_id"] == tel_id]
        with self._reading(path):
            table = self._file.get_node(path)
            # One row an image in both, most often; reading the keys from the image table
            # would decompress every image.
            if len(triggers) == table.nrows:
                return triggers
            keys = np.column_stack([table.col(name).astype(np.int64) for name in KEYS])
        row = match_rows(keys, event_keys(triggers))
        if np.any(row < 0):
            raise InputFileError(
                f"'{self.path}': {np.sum(row < 0)} images of telescope {tel_id} belong to no "
                "trigger."
            )
        return triggers[row]

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope, in the order of the file, without their pixels.

        Parameters
        ----------
        tel_id : int
        parameters : sequence of str
            DL1 image parameters to add, in the file's units. Those that the file lacks are
            computed if ctapipe can, which takes milliseconds an image, and left out if not.

        Returns
        -------
        Table
            Columns obs_id, event_id, pointing_alt, pointing_az (deg) and parameters.
        """
        triggers = self._image_triggers(tel_id)
        keys = event_keys(triggers)
        images = Table({"obs_id": keys[:, 0], "event_id": keys[:, 1]})
        alt, az = self._pointing(tel_id, triggers)
        if not np.all(np.isfinite(alt) & np.isfinite(az)):
            raise InputFileError(
                f"'{self.path}': the pointing of telescope {tel_id} is not finite."
            )
        # π/2 in single precision lies beyond the zenith, where azimuth is turned around.
        images["pointing_alt"], images["pointing_az"] = np.clip(alt, -90, 90), az % 360

        path = f"{PARAMETERS}/tel_{tel_id:03d}"
        known = [name for name in parameters if name in self.parameter_names()]
        for name in known:
            images[name] = np.full(len(images), np.nan)
        if known and self._has(path):
            values = self._read(path, *KEYS)
            row = match_rows(keys, event_keys(values))
            for name in set(known) & set(values.colnames):
                images[name][row >= 0] = np.asarray(values[name], dtype=np.float64)[row[row >= 0]]
        lacking = [name for name in parameters if name not in known]
        for name, values in self._compute(tel_id, lacking).items():
            images[name] = values
        return images

    def parameter_names(self) -> list[str]:
        """Names of the image parameters in the file."""
        return self._parameter_names

    @cached_property
    def _parameter_names(self) -> list[str]:
        if not self._has(PARAMETERS):
            return []
        with self._reading(PARAMETERS):
            names = {
                name: None
                for table in self._file.iter_nodes(PARAMETERS)
                for name in table.colnames
                if name not in {*KEYS, "tel_id"}
            }
        return list(names)

    def _pointing(self, tel_id: int, triggers: Table) -> tuple[np.ndarray, np.ndarray]:
        """Altitude and azimuth (deg) of the telescope at each of its triggers."""
        for group in MONITORED_POINTING:
            path = f"{group}/tel_{tel_id:03d}"
            if self._has(path):
                return self._monitored_pointing(path, triggers["time"])
        path = f"{FIXED_POINTING}/tel_{tel_id:03d}"
        if not self._has(path):
            raise InputFileError(f"'{self.path}' has no pointing of telescope {tel_id}.")
        names = "telescope_pointing_altitude", "telescope_pointing_azimuth"
        table = self._read(path, "obs_id", *names)
        obs_id, known = (np.asarray(t["obs_id"], dtype=np.int64) for t in (triggers, table))
        row = match_rows(obs_id[:, None], known[:, None])
        if np.any(row < 0):
            raise InputFileError(
                f"'{self.path}' has no pointing of telescope {tel_id} for observation "
                f"{obs_id[row < 0][0]}."
            )
        with self._reading(path):
            return tuple(_degrees(table[name])[row] for name in names)

    def _monitored_pointing(self, path: str, time) -> tuple[np.ndarray, np.ndarray]:
        """Altitude and azimuth (deg), interpolated in time."""
        table = self._read(path, "time", "altitude", "azimuth")
        with self._reading(path):
            when = table["time"].unix_tai
            alt, az = _degrees(table["altitude"]), _degrees(table["azimuth"])
        order = np.argsort(when, kind="stable")
        order = order[np.isfinite(alt[order]) & np.isfinite(az[order])]
        if len(order) == 0:
            raise InputFileError(f"'{self.path}': {path} holds no pointing.")
        # Unwrapped, so that a crossing of north is not a turn around the sky.
        az = np.unwrap(az[order], period=360)
        return tuple(np.interp(time.unix_tai, when[order], angle) for angle in (alt[order], az))

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the pixels of some images hold.

        Parameters
        ----------
        tel_id : int
        rows : ndarray of int, shape (n,)
            Rows of :meth:`images`, in increasing order.
        names : sequence of str
            Of ``charge`` (p.e.), ``peak_time`` (ns), ``cleaning_mask`` (bool).

        Returns
        -------
        dict of str to ndarray, shape (n, n_pixels)
            Also ``obs_id`` and ``event_id``, shape (n,). Charges of pixels that the file's
            calibration flags as outliers are NaN.
        """
        path = f"{IMAGES}/tel_{tel_id:03d}"
        if not self.has_pixels:
            raise InputFileError(f"'{self.path}' holds no DL1 images; {INSTEAD['charge']}.")
        with self._reading(path):
            table = self._file.get_node(path)
            self._check_columns(path, table.colnames, KEYS)
            if tel_id not in self._tables:
                transforms = get_column_transforms(get_column_attrs(table))
                self._tables[tel_id] = TableChunks(table), transforms
            chunks, transforms = self._tables[tel_id]
            data = chunks.read(np.asarray(rows))
        pixels = {name: data[name] for name in KEYS}
        for name in names:
            column = PIXEL_COLUMNS[name]
            if column not in table.colnames:
                raise InputFileError(
                    f"'{self.path}' has no {column} of telescope {tel_id}; {INSTEAD[name]}."
                )
            transform = transforms.get(column)
            pixels[name] = transform.inverse(data[column]) if transform else data[column]
        if "charge" in names:
            pixels["charge"] = without_broken(pixels["charge"], self._broken_pixels(tel_id), rows)
        return pixels

    def _broken_pixels(self, tel_id: int) -> BrokenPixels | None:
        """Pixels that the calibration in the file flags, None where it has none."""
        if tel_id not in self._broken:
            self._broken[tel_id] = self._read_broken_pixels(tel_id)
        return self._broken[tel_id]

    def _read_broken_pixels(self, tel_id: int) -> BrokenPixels | None:
        with self._reading(f"the calibration of telescope {tel_id}"):
            record = CalibrationRecord.read(self._file, tel_id, simulated=SHOWER in self._file)
        if record is None:
            return None
        return BrokenPixels(record.masks, record.number_at(self._image_triggers(tel_id)["time"]))


def _degrees(column) -> np.ndarray:
    """Angles of a table's column, in double precision."""
    return column.quantity.astype(np.float64).to_value(u.deg)
