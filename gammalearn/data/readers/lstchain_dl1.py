"""Reader of lstchain DL1 HDF5 files, simulated or of LST-1."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import tables
from astropy.table import Table
from ctapipe.containers import EventType
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from ...errors import EmptySelectionError, InputFileError
from ...io.data_model import check_is_table
from ...io.files import open_hdf5, reading
from ...io.lstchain_tables import CALIBRATIONS, IMAGES, PARAMETERS, RUNS, TIMES
from ...io.particles import CALIBRATION, particle_names
from .bad_pixels import BrokenPixels, without_broken, without_dropped
from .chunks import TableChunks
from .faults import Fault
from .lstchain_parameters import CTAPIPE_PARAMETERS, ctapipe_names, focal_lengths
from .parameters import MissingParameters
from .reader import (
    INSTEAD,
    KEYS,
    TRUTH_UNITS,
    check_pixels,
    check_shape,
    described,
    directions,
    event_keys,
    match_rows,
    spectral_indices,
    without_calibration,
)

__all__ = ["LstchainDL1Reader"]

log = logging.getLogger(__name__)

PIXEL_COLUMNS = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}

#: Truth by lstchain's names, angles in rad, all else in our units.
TRUTH = {
    "true_energy": "mc_energy",
    "true_alt": "mc_alt",
    "true_az": "mc_az",
    "true_core_x": "mc_core_x",
    "true_core_y": "mc_core_y",
    "true_h_first_int": "mc_h_first_int",
    "true_x_max": "mc_x_max",
}

#: Columns of the truth that tell showers apart; files of simulations have all of them.
IDENTITY = ("mc_energy", "mc_alt", "mc_az", "mc_core_x", "mc_core_y", "mc_type")


class LstchainDL1Reader:
    """One lstchain DL1 file; see :class:`gammalearn.data.readers.reader.Reader`.

    All telescopes stand in one table. Events are those that have an image. Files of several
    pointings or productions repeat obs_id and event_id: there, images of another truth are of
    another event, and so are those of another pointing where a telescope had two images otherwise.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputFileError
        If the file cannot be read.
    EmptySelectionError
        If it holds no events.
    """

    format = "lstchain DL1"

    #: There is no ctapipe file of it: `write_ctapipe` makes tables for DL2 when they are needed.
    dl1_path = None

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        self._compute = MissingParameters(self, self._file)
        try:
            with reading(self.path, "the table of contents"):
                self._check_kind()
        except Exception:
            self.close()
            raise

    @staticmethod
    def is_format_of(file: tables.File) -> bool:
        """Whether an HDF5 file is one of lstchain's."""
        return PARAMETERS in file

    def write_ctapipe(self, target: Path, images: bool) -> None:
        """Write a ctapipe file with all that it has a place for, but nothing reconstructed.

        Parameters
        ----------
        target : Path
            Is replaced where it exists.
        images : bool
            Write the images too.

        Raises
        ------
        InputFileError
            If moving telescopes lack the times of their events, or several events have the same
            ids.
        """
        # It takes ctapipe's writers, which reading does without.
        from .lstchain_to_ctapipe import write_ctapipe

        write_ctapipe(self, self._file, target, images)

    def _check_kind(self) -> None:
        for node in (PARAMETERS, IMAGES):
            check_is_table(self._file, self.path, node)
        if self.n_rows == 0:
            raise EmptySelectionError(f"'{self.path}' holds no events; leave it out.")

    @cached_property
    def n_rows(self) -> int:
        """Rows that both tables have: one of them is longer where a job was killed."""
        return min(self._lengths)

    @property
    def _lengths(self) -> tuple[int, int]:
        """Rows of parameters and of images."""
        n_parameters = int(self._file.get_node(PARAMETERS).nrows)
        n_images = int(self._file.get_node(IMAGES).nrows) if self.has_pixels else n_parameters
        return n_parameters, n_images

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def has_pixels(self) -> bool:
        """Whether images have pixels here, not parameters alone."""
        with reading(self.path, IMAGES):
            return IMAGES in self._file

    @cached_property
    def subarray(self) -> SubarrayDescription:
        """The telescopes, their positions and cameras."""
        with reading(self.path, "the description of the telescopes"):
            return described(self._file)

    @cached_property
    def _parameters(self) -> Table:
        with reading(self.path, PARAMETERS):
            table = read_table(self._file, PARAMETERS)
            simulated = RUNS in self._file or set(IDENTITY) & set(table.colnames)
        needed = [*KEYS, "tel_id", "alt_tel", "az_tel"]
        needed += {"event_type", "calibration_id"}.intersection(table.colnames)
        check_shape(self.path, PARAMETERS, table, needed)
        if simulated:
            needed = [*IDENTITY, *set(TRUTH.values()).intersection(table.colnames)]
            check_shape(self.path, PARAMETERS, table, needed)
        return table

    @cached_property
    def event_of_row(self) -> np.ndarray:
        """Row of ``events`` for each row of the table of parameters, shape (n_parameters,)."""
        table = self._parameters
        identity = [name for name in IDENTITY if name in table.colnames]
        event = _numbered([table[name] for name in (*KEYS, *identity)])
        pointing = _numbered([table["alt_tel"], table["az_tel"]])
        image = _numbered([event, table["tel_id"]])
        # A telescope has one image of an event: several of different pointings are of as many.
        first, turned = (
            np.bincount(event[np.unique(rows, return_index=True)[1]], minlength=event.max() + 1)
            for rows in (image, _numbered([image, pointing]))
        )
        event = _numbered([event, np.where((turned > first)[event], pointing, 0)])
        order = np.argsort(np.argsort(np.unique(event, return_index=True)[1]))
        return order[event]

    @cached_property
    def events(self) -> Table:
        """The events, in the order of their first images."""
        table = self._parameters
        table = table[np.unique(self.event_of_row, return_index=True)[1]]
        events = Table({name: np.asarray(table[name], dtype=np.int64) for name in KEYS})
        has_type = "event_type" in table.colnames
        events["event_type"] = (
            np.asarray(table["event_type"], dtype=np.int64)
            if has_type
            else np.full(len(table), EventType.UNKNOWN.value)
        )
        events["particle"] = np.full(len(table), "", dtype="U16")
        if "mc_type" in table.colnames:
            events["particle"] = particle_names(table["mc_type"])
        for name in TRUTH_UNITS:
            if TRUTH[name] not in table.colnames:
                events[name] = np.nan
                continue
            values = np.asarray(table[TRUTH[name]], dtype=np.float64)
            events[name] = np.rad2deg(values) if name in ("true_alt", "true_az") else values
        events["spectral_index"] = np.nan
        with reading(self.path, RUNS):
            if RUNS in self._file:
                runs = read_table(self._file, RUNS)
                events["spectral_index"] = spectral_indices(runs, events["obs_id"])
        return without_calibration(events)

    def faults(self, tel_ids: Sequence[int]) -> list[Fault]:
        """That a table is shorter than the other, if so; see :class:`Reader`."""
        n_parameters, n_images = self._lengths
        if n_parameters == n_images:
            return []
        what = f"{n_images} images do not go with {n_parameters} rows of parameters"
        cut = self.event_of_row[self.n_rows :]
        # Not all versions of lstchain repeat the keys beside the images.
        if set(KEYS) <= set(self._file.get_node(IMAGES).colnames):
            with reading(self.path, IMAGES):
                columns = {name: self._file.get_node(IMAGES).col(name) for name in KEYS}
            keys, known = event_keys(columns), event_keys(self._parameters)
            if np.any(keys[: self.n_rows] != known[: self.n_rows]):
                raise InputFileError(f"'{self.path}': {what}, and are of other events.")
            lost = np.unique(keys[self.n_rows :], axis=0)
            if n_images > n_parameters:
                cut = np.flatnonzero(match_rows(event_keys(self.events), lost) >= 0)
        return [Fault(what, np.unique(cut), incomplete=True)]

    def is_shower(self) -> np.ndarray:
        """Which events are showers, not calibration; shape (n_events,) of bool."""
        return np.asarray(self.events["particle"]) != CALIBRATION

    @cached_property
    def _rows(self) -> dict[int, np.ndarray]:
        """Rows of the tables by telescope."""
        tel_id = np.asarray(self._parameters["tel_id"])[: self.n_rows]
        return {int(t): np.flatnonzero(tel_id == t) for t in np.unique(tel_id)}

    def telescope_triggers(self) -> Table:
        """The images: obs_id, event_id, tel_id; no others are known of."""
        return self._parameters[[*KEYS, "tel_id"]][: self.n_rows]

    def telescopes_with_images(self) -> list[int]:
        """Ids of the telescopes that have an image."""
        unknown = sorted(set(self._rows) - set(self.subarray.tel))
        if unknown:
            raise InputFileError(
                f"'{self.path}' has images of telescope {unknown[0]}, which it does not describe."
            )
        return sorted(self._rows)

    def n_samples(self, tel_id: int) -> int:
        """None: lstchain writes no waveforms into DL1."""
        return 0

    def n_images(self, tel_id: int) -> int:
        """Number of images of a telescope."""
        return len(self._rows[tel_id])

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope; parameters go by lstchain's names or ctapipe's.

        What lstchain has no parameters for is computed if ctapipe has it, and left out if not.
        """
        if self.has_pixels:
            n_pixels = self.subarray.tel[tel_id].camera.geometry.n_pixels
            with reading(self.path, IMAGES):
                table = self._file.get_node(IMAGES)
                check_pixels(self.path, table, PIXEL_COLUMNS.values(), n_pixels)
        rows = self._rows[tel_id]
        table = self._parameters[rows]
        images = Table({name: np.asarray(table[name], dtype=np.int64) for name in KEYS})
        images["event"] = self.event_of_row[rows]
        alt, az = (
            np.rad2deg(np.asarray(table[name], dtype=np.float64)) for name in ("alt_tel", "az_tel")
        )
        images["pointing_alt"], images["pointing_az"] = directions(alt, az)
        lacking = [name for name in parameters if name not in images.colnames]
        there = set(lacking) & set(table.colnames)
        check_shape(self.path, PARAMETERS, table, sorted(there))
        for name in there:
            images[name] = np.asarray(table[name], dtype=np.float64)
        lengths = focal_lengths(self.subarray.tel[tel_id].optics)
        for name in set(lacking) & set(ctapipe_names(table.colnames)):
            values = CTAPIPE_PARAMETERS[name].values(table, lengths)
            images[name] = np.asarray(values, dtype=np.float64)
        lacking = [name for name in lacking if name not in images.colnames]
        for name, values in self._compute(tel_id, lacking).items():
            images[name] = values
        return images

    def times(self, tel_id: int) -> np.ndarray:
        """When the images of a telescope were taken (s since 1970, UTC), NaN where it is not
        known."""
        table = self._parameters[self._rows[tel_id]]
        for name in (name for name in TIMES if name in table.colnames):
            check_shape(self.path, PARAMETERS, table, [name])
            times = np.asarray(table[name], dtype=np.float64)
            # One that was not recorded is 0.
            if np.any(times > 0):
                return np.where(times > 0, times, np.nan)
        return np.full(len(table), np.nan)

    def parameter_names(self) -> list[str]:
        """Names of the image parameters, lstchain's and ctapipe's that are made of them."""
        names = [name for name in self._parameters.colnames if name not in (*KEYS, "tel_id")]
        return list(dict.fromkeys([*names, *ctapipe_names(names)]))

    @cached_property
    def _chunks(self) -> tuple[TableChunks, dict]:
        table = self._file.get_node(IMAGES)
        return TableChunks(table), get_column_transforms(get_column_attrs(table))

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the pixels of some images hold; charges of unusable and dropped pixels are NaN."""
        if not self.has_pixels:
            raise InputFileError(f"'{self.path}' holds no DL1 images; {INSTEAD['charge']}.")
        rows = self._rows[tel_id][np.asarray(rows)]
        with reading(self.path, IMAGES):
            chunks, transforms = self._chunks
            data = chunks.read(rows)
        # Not all versions of lstchain repeat the keys beside the images.
        held = data.dtype.names or ()
        source = data if set(KEYS) <= set(held) else self._parameters[rows]
        pixels = {name: np.asarray(source[name]).astype(np.int64) for name in KEYS}
        for name in names:
            column = PIXEL_COLUMNS[name]
            if column not in held:
                raise InputFileError(
                    f"'{self.path}' has no {column} of telescope {tel_id}; {INSTEAD[name]}."
                )
            transform = transforms.get(column)
            pixels[name] = transform.inverse(data[column]) if transform else data[column]
        if "charge" in names:
            is_rounded = transforms.get(PIXEL_COLUMNS["charge"]) is not None
            charge = without_dropped(pixels["charge"], is_rounded)
            pixels["charge"] = without_broken(charge, self._broken_pixels, rows)
        return pixels

    @cached_property
    def _broken_pixels(self) -> BrokenPixels | None:
        """Unusable pixels of the calibration of each image, None where the file has none."""
        if CALIBRATIONS not in self._file or "calibration_id" not in self._parameters.colnames:
            return None
        with reading(self.path, CALIBRATIONS):
            table = self._file.get_node(CALIBRATIONS)
            if "unusable_pixels" not in table.colnames or table.nrows == 0:
                return None
            masks = table.col("unusable_pixels").astype(bool)
        # A pixel of either gain: which of them a charge is of, files do not say.
        masks = masks.reshape(len(masks), -1, masks.shape[-1]).any(axis=1)
        number = np.asarray(self._parameters["calibration_id"], dtype=np.int64)
        if np.any((number < 0) | (number >= len(masks))):
            log.warning(
                "'%s': images refer to a calibration that is not among the %d of %s; no pixel "
                "counts as broken.",
                self.path,
                len(masks),
                CALIBRATIONS,
            )
            return None
        return BrokenPixels(masks, number) if masks.any() else None


def _numbered(columns: Sequence) -> np.ndarray:
    """A number for each row, the same for rows that are alike in all columns; shape (n_rows,)."""
    values = [np.unique(np.asarray(column), return_inverse=True)[1] for column in columns]
    rows = np.column_stack([number.reshape(-1) for number in values])
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
