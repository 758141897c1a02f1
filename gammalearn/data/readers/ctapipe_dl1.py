"""Reader of ctapipe DL1 HDF5 files."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from astropy.table import Table
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from ...errors import EmptySelectionError, InputFileError
from ...io.ctapipe_tables import (
    IMAGES,
    PARAMETERS,
    RUNS,
    SHOWER,
    SIMULATION,
    TEL_TRIGGER,
    TRIGGER,
    of_telescope,
)
from ...io.data_model import check_is_readable
from ...io.files import open_hdf5, reading
from ...io.particles import CALIBRATION, particle_names
from ...io.pointing import by_observation, by_time, monitored_path
from .bad_pixels import BrokenPixels, CalibrationRecord, without_broken, without_dropped
from .chunks import TableChunks
from .ctapipe_faults import faults_of_images, faults_of_showers, unknown_telescopes
from .faults import Fault
from .parameters import MissingParameters
from .reader import (
    INSTEAD,
    KEYS,
    TRUTH_UNITS,
    WHOLE,
    check_pixels,
    check_shape,
    described,
    directions,
    event_keys,
    match_rows,
    spectral_indices,
    without_calibration,
)
from .waveforms import CtapipeWaveforms

__all__ = ["CtapipeDL1Reader", "ImageRows"]

#: What must be known of a simulated shower; files of other software may lack the rest.
NEEDED = ("true_energy", "true_alt", "true_az", "true_core_x", "true_core_y")

#: Names that the reader gives to what pixels hold, and the file's own.
PIXEL_COLUMNS = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}


class CtapipeDL1Reader:
    """One ctapipe DL1 file; see :class:`gammalearn.data.readers.reader.Reader`.

    Parameters
    ----------
    path : Path
    dl1_path : Path, optional
        The DL1 file where that is made of ``path``, which errors name.

    Raises
    ------
    InputFileError
        If the file cannot be read, is not ctapipe DL1, or holds neither images nor their
        parameters.
    EmptySelectionError
        If it holds no events.
    """

    format = "ctapipe DL1"

    def __init__(self, path: Path, dl1_path: Path | None = None) -> None:
        # What is wrong with a file is wrong with the one that it was made from.
        self.path = Path(path)
        self.dl1_path = Path(dl1_path or path)
        self._file = open_hdf5(self.dl1_path)
        self._compute = MissingParameters(self, self._file)
        # How the images of each telescope are stored: finding out takes longer than reading some.
        self._tables: dict[int, tuple[TableChunks, dict]] = {}
        self._broken: dict[int, BrokenPixels | None] = {}
        self._rows: dict[int, ImageRows] = {}
        self._waveforms = CtapipeWaveforms(self.path, self._file)
        try:
            with self._reading("the table of contents"):
                self._check_kind()
        except Exception:
            self.close()
            raise

    def _check_kind(self) -> None:
        file = self._file
        check_is_readable(file, self.path, "DL1")
        if TRIGGER not in file or file.get_node(TRIGGER).nrows == 0:
            raise EmptySelectionError(f"'{self.path}' holds no events; leave it out.")
        if IMAGES not in file and PARAMETERS not in file:
            raise InputFileError(
                f"'{self.path}' holds no DL1 images, nor their parameters; make it again with "
                "ctapipe-process --write-images --write-parameters."
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reading(self, what: str) -> AbstractContextManager[None]:
        return reading(self.path, what)

    def _read(self, path: str, *needed: str) -> Table:
        """A table of the file; ``needed`` are the columns that it must have.

        Identifiers among them are whole numbers.
        """
        with self._reading(path):
            table = read_table(self._file, path)
        self._check_columns(path, table.colnames, needed)
        check_shape(self.path, path, table, [name for name in needed if name in WHOLE])
        return table

    def _has(self, path: str) -> bool:
        """Whether there is such a table; to look for one is to read its attributes."""
        with self._reading(path):
            return path in self._file

    def _check_columns(self, path: str, columns: Sequence[str], needed: Iterable[str]) -> None:
        missing = [name for name in needed if name not in columns]
        if missing:
            raise InputFileError(f"'{self.path}': {path} has no column {', '.join(missing)}.")

    @cached_property
    def subarray(self) -> SubarrayDescription:
        """The telescopes, their positions and cameras."""
        with self._reading("the description of the telescopes"):
            return described(self._file)

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
        unique, count = np.unique(keys, axis=0, return_counts=True)
        if len(unique) < len(keys):
            obs_id, event_id = unique[count > 1][0]
            raise InputFileError(
                f"'{self.path}' has {np.sum(count > 1)} obs_id and event_id with several events "
                f"(event {event_id} of observation {obs_id} first), which ctapipe's tables cannot "
                "tell apart; give the files that it was merged of, each by itself."
            )
        if not self._has(SHOWER):
            if self._has(SIMULATION):
                # A damaged group looks like an empty one.
                raise InputFileError(
                    f"'{self.path}' is damaged: it is of simulated events, but has no {SHOWER}."
                )
            return without_calibration(events)
        shower = self._read(SHOWER)
        there = [name for name in TRUTH_UNITS if name in {*NEEDED, *shower.colnames}]
        check_shape(self.path, SHOWER, shower, [*KEYS, *there, "true_shower_primary_id"])
        row = match_rows(keys, event_keys(shower))
        known = row >= 0
        with self._reading(SHOWER):
            for name in there:
                column, unit = shower[name], TRUTH_UNITS[name]
                values = column.quantity.to_value(unit) if column.unit else np.asarray(column)
                events[name][known] = values[row[known]]
        if self._has(RUNS):
            with self._reading(RUNS):
                runs = self._read(RUNS)
                events["spectral_index"] = spectral_indices(runs, events["obs_id"])
        events["particle"][known] = particle_names(shower["true_shower_primary_id"])[row[known]]
        return without_calibration(events)

    def faults(self, tel_ids: Sequence[int]) -> list[Fault]:
        """What tables lack, or have too much; see `gammalearn.data.readers.reader.Reader`."""
        faults = []
        if self._has(SHOWER):
            shower = self._read(SHOWER, *KEYS)
            faults += faults_of_showers(self.events, self.is_shower(), shower, SHOWER)
        triggers, telescopes = self._tel_trigger, self.subarray.tel
        group = IMAGES if self.has_pixels else PARAMETERS
        with self._reading(group):
            faults += unknown_telescopes(self._file, group, triggers, telescopes)
        with_images = self.telescopes_with_images()
        for tel_id in sorted(tel_ids):
            triggers = self._trigger_keys[self._trigger_rows(tel_id)]
            if tel_id in with_images:
                images, bare = self._image_rows(tel_id), self._without_parameters(tel_id)
                faults += faults_of_images(tel_id, self.events, triggers, images, bare)
            elif len(triggers):
                faults.append(
                    Fault(f"telescope {tel_id} has {len(triggers)} triggers and no image")
                )
        return faults

    def is_shower(self) -> np.ndarray:
        """Which events are showers, not calibration; shape (n_events,) of bool."""
        return np.asarray(self.events["particle"]) != CALIBRATION

    def telescope_triggers(self) -> Table:
        """All triggers of telescopes, with images or without: obs_id, event_id, tel_id."""
        return self._tel_trigger[[*KEYS, "tel_id"]]

    @cached_property
    def has_pixels(self) -> bool:
        """Whether images have pixels here, not parameters alone."""
        return self._has(IMAGES)

    def _of_images(self, tel_id: int) -> str:
        """The table with a row for each image of a telescope."""
        return of_telescope(IMAGES if self.has_pixels else PARAMETERS, tel_id)

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

    def n_samples(self, tel_id: int) -> int:
        """Samples of the waveforms of a telescope with images; 0 where there are none."""
        n_pixels = self.subarray.tel[tel_id].camera.geometry.n_pixels
        return self._waveforms.n_samples(tel_id, self.n_images(tel_id), n_pixels)

    @cached_property
    def _tel_trigger(self) -> Table:
        return self._read(TEL_TRIGGER, *KEYS, "tel_id", "time")

    def _image_rows(self, tel_id: int) -> "ImageRows":
        """What the images of a telescope belong to."""
        if tel_id not in self._rows:
            path = self._of_images(tel_id)
            keys = self._trigger_keys[self._trigger_rows(tel_id)]
            trigger = np.arange(len(keys))
            with self._reading(path):
                table = self._file.get_node(path)
                # One row an image in both, most often; reading the keys from the image table
                # would decompress every image.
                if len(keys) != table.nrows:
                    of_triggers = keys
                    keys = np.column_stack([table.col(name).astype(np.int64) for name in KEYS])
                    trigger = match_rows(keys, of_triggers)
            event = match_rows(keys, event_keys(self.events))
            self._rows[tel_id] = ImageRows(keys, trigger, np.where(trigger >= 0, event, -1))
        return self._rows[tel_id]

    @cached_property
    def _trigger_keys(self) -> np.ndarray:
        return event_keys(self._tel_trigger)

    def _trigger_rows(self, tel_id: int) -> np.ndarray:
        return np.flatnonzero(np.asarray(self._tel_trigger["tel_id"]) == tel_id)

    def _without_parameters(self, tel_id: int) -> np.ndarray:
        """Which images of a telescope have no row of parameters, though the file has parameters."""
        keys = self._image_rows(tel_id).keys
        path = of_telescope(PARAMETERS, tel_id)
        if not self.has_pixels or not self._has(PARAMETERS):
            return np.zeros(len(keys), dtype=bool)
        if not self._has(path):
            return np.ones(len(keys), dtype=bool)
        with self._reading(path):
            if self._file.get_node(path).nrows == len(keys):
                return np.zeros(len(keys), dtype=bool)
        return match_rows(keys, event_keys(self._read(path, *KEYS))) < 0

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope, in the order of the file, without their pixels.

        Parameters
        ----------
        tel_id : int
        parameters : sequence of str
            DL1 image parameters to add, in the file's units. Those that the file lacks are
            computed from its images if ctapipe has such a parameter, and left out if not.

        Returns
        -------
        Table
            Columns event, obs_id, event_id, pointing_alt, pointing_az (deg) and parameters.
        """
        self._check_pixels(tel_id)
        rows = self._image_rows(tel_id)
        keys = rows.keys
        images = Table({"event": rows.event, "obs_id": keys[:, 0], "event_id": keys[:, 1]})
        alt, az = np.full((2, len(images)), np.nan)
        triggered = rows.trigger >= 0
        if np.any(triggered):
            triggers = self._tel_trigger[self._trigger_rows(tel_id)[rows.trigger[triggered]]]
            alt[triggered], az[triggered] = self._pointing(tel_id, triggers)
        images["pointing_alt"], images["pointing_az"] = directions(alt, az)

        path = of_telescope(PARAMETERS, tel_id)
        known = [name for name in parameters if name in self.parameter_names()]
        for name in known:
            images[name] = np.full(len(images), np.nan)
        if known and self._has(path):
            values = self._read(path, *KEYS)
            there = set(known) & set(values.colnames)
            check_shape(self.path, path, values, sorted(there))
            row = match_rows(keys, event_keys(values))
            for name in there:
                images[name][row >= 0] = np.asarray(values[name], dtype=np.float64)[row[row >= 0]]
        lacking = [name for name in parameters if name not in known]
        for name, values in self._compute(tel_id, lacking).items():
            images[name] = values
        return images

    def times(self, tel_id: int) -> np.ndarray:
        """When the images of a telescope were taken (s, TAI), NaN where it is not known."""
        trigger = self._image_rows(tel_id).trigger
        times = np.full(len(trigger), np.nan)
        known = trigger >= 0
        with self._reading(TEL_TRIGGER):
            triggers = self._tel_trigger["time"][self._trigger_rows(tel_id)[trigger[known]]]
            times[known] = triggers.unix_tai if len(triggers) else []
        return times

    def _check_pixels(self, tel_id: int) -> None:
        if self.has_pixels:
            path = of_telescope(IMAGES, tel_id)
            n_pixels = self.subarray.tel[tel_id].camera.geometry.n_pixels
            with self._reading(path):
                table = self._file.get_node(path)
                check_pixels(self.path, table, PIXEL_COLUMNS.values(), n_pixels)

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
        with self._reading(f"the pointing of telescope {tel_id}"):
            monitored = monitored_path(self._file, tel_id)
            is_simulated = SIMULATION in self._file
        if monitored and not is_simulated:
            table = self._read(monitored, "time", "altitude", "azimuth")
            with self._reading(monitored):
                alt, az = by_time(table, triggers["time"])
            if not np.all(np.isfinite(alt)):
                raise InputFileError(f"'{self.path}': {monitored} holds no pointing.")
            return alt, az
        obs_id = np.asarray(triggers["obs_id"], dtype=np.int64)
        with self._reading(f"the pointing of telescope {tel_id}"):
            alt, az, listed = by_observation(self._file, tel_id, obs_id, self._read)
        if not np.all(listed):
            raise InputFileError(
                f"'{self.path}' has no pointing of telescope {tel_id} for observation "
                f"{obs_id[~listed][0]}."
            )
        return alt, az

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the pixels of some images hold.

        Parameters
        ----------
        tel_id : int
        rows : ndarray of int, shape (n,)
            Rows of :meth:`images`, in increasing order.
        names : sequence of str
            Of ``charge`` (p.e.), ``peak_time`` (ns), ``cleaning_mask`` (bool), ``waveform`` (p.e.
            per sample).

        Returns
        -------
        dict of str to ndarray, shape (n, n_pixels), of waveforms (n, n_pixels, n_samples)
            Also ``obs_id`` and ``event_id``, shape (n,). Charges of pixels that the file's
            calibration flags as outliers, or that data-volume reduction has dropped, are NaN.
        """
        path = of_telescope(IMAGES, tel_id)
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
            if name == "waveform":
                pixels[name] = self._waveforms.read(tel_id, rows, pixels)
                continue
            column = PIXEL_COLUMNS[name]
            if column not in table.colnames:
                raise InputFileError(
                    f"'{self.path}' has no {column} of telescope {tel_id}; {INSTEAD[name]}."
                )
            transform = transforms.get(column)
            pixels[name] = transform.inverse(data[column]) if transform else data[column]
        if "charge" in names:
            is_rounded = transforms.get(PIXEL_COLUMNS["charge"]) is not None
            charge = without_dropped(pixels["charge"], is_rounded)
            pixels["charge"] = without_broken(charge, self._broken_pixels(tel_id), rows)
        return pixels

    def _broken_pixels(self, tel_id: int) -> BrokenPixels | None:
        """Pixels that the calibration in the file flags, None where it has none."""
        if tel_id not in self._broken:
            self._broken[tel_id] = self._read_broken_pixels(tel_id)
        return self._broken[tel_id]

    def _read_broken_pixels(self, tel_id: int) -> BrokenPixels | None:
        with self._reading(f"the calibration of telescope {tel_id}"):
            record = CalibrationRecord.read(self._file, tel_id, simulated=SHOWER in self._file)
        times = self._tel_trigger["time"][self._trigger_rows(tel_id)]
        if record is None or len(times) == 0:
            return None
        # Images without a trigger are of no event, and nobody asks for their pixels.
        trigger = np.maximum(self._image_rows(tel_id).trigger, 0)
        with self._reading(TEL_TRIGGER):
            return BrokenPixels(record.masks, record.number_at(times[trigger]))


class ImageRows(NamedTuple):
    """What the images of a telescope belong to, in the order of the file."""

    keys: np.ndarray
    """obs_id and event_id, shape (n_images, 2)."""

    trigger: np.ndarray
    """Row among the telescope's triggers, −1 where an image has none; shape (n_images,)."""

    event: np.ndarray
    """Row in the events, −1 where an image has none or no trigger; shape (n_images,)."""
