"""Reader of lstchain DL1 HDF5 files, simulated or of LST-1."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tables
from astropy.table import Table
from ctapipe.containers import EventType
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from ctapipe.io import read_table
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from ..errors import EmptySelectionError, InputFileError
from ..files import open_hdf5, reading
from ..particles import particle_names
from .broken import BrokenPixels, without_broken
from .chunks import TableChunks
from .lstchain_parameters import CTAPIPE_PARAMETERS, ctapipe_names, focal_lengths
from .parameters import MissingParameters
from .reader import INSTEAD, KEYS, TRUTH_UNITS, are_showers, event_keys, spectral_indices

__all__ = ["LstchainDL1Reader"]

log = logging.getLogger(__name__)

IMAGES = "/dl1/event/telescope/image/LST_LSTCam"
SIMULATION = "/simulation/run_config"
PARAMETERS = "/dl1/event/telescope/parameters/LST_LSTCam"

#: Calibrations of a run of LST-1; images say which of them is theirs.
CALIBRATION = "/dl1/event/telescope/monitoring/calibration"

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


class LstchainDL1Reader:
    """One lstchain DL1 file; see :class:`gammalearn.data.reader.Reader`.

    All telescopes stand in one table. Events are those that have an image.

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

    #: There is no ctapipe file of it: tables for DL2 are made when they are needed.
    dl1_path = None

    def __init__(self, path: Path):
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

    def _check_kind(self):
        n_parameters = self._file.get_node(PARAMETERS).nrows
        n_images = self._file.get_node(IMAGES).nrows if self.has_pixels else n_parameters
        if n_images != n_parameters:
            raise InputFileError(
                f"'{self.path}': {n_images} images do not go with {n_parameters} rows of "
                "parameters."
            )
        if n_images == 0:
            raise EmptySelectionError(f"'{self.path}' holds no events; leave it out.")

    def close(self):
        """Close the file."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
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
            return SubarrayDescription.from_hdf(
                self._file, focal_length_choice=FocalLengthKind.EQUIVALENT
            )

    @cached_property
    def _parameters(self) -> Table:
        with reading(self.path, PARAMETERS):
            table = read_table(self._file, PARAMETERS)
        needed = [*KEYS, "tel_id", "alt_tel", "az_tel"]
        missing = [name for name in needed if name not in table.colnames]
        if missing:
            raise InputFileError(f"'{self.path}': {PARAMETERS} has no column {', '.join(missing)}.")
        return table

    @cached_property
    def events(self) -> Table:
        """The events, in the order of their first images."""
        table = self._parameters
        _, first = np.unique(event_keys(table), axis=0, return_index=True)
        table = table[np.sort(first)]
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
        with reading(self.path, SIMULATION):
            if SIMULATION in self._file:
                runs = read_table(self._file, SIMULATION)
                events["spectral_index"] = spectral_indices(runs, events["obs_id"])
        return events

    def is_shower(self) -> np.ndarray:
        """Which events are showers, not calibration; shape (n_events,) of bool."""
        return are_showers(self.events)

    @cached_property
    def _rows(self) -> dict[int, np.ndarray]:
        """Rows of the tables by telescope."""
        tel_id = np.asarray(self._parameters["tel_id"])
        return {int(t): np.flatnonzero(tel_id == t) for t in np.unique(tel_id)}

    def telescope_triggers(self) -> Table:
        """The images: obs_id, event_id, tel_id; no others are known of."""
        return self._parameters[[*KEYS, "tel_id"]]

    def telescopes_with_images(self) -> list[int]:
        """Ids of the telescopes that have an image."""
        unknown = sorted(set(self._rows) - set(self.subarray.tel))
        if unknown:
            raise InputFileError(
                f"'{self.path}' has images of telescope {unknown[0]}, which it does not describe."
            )
        return sorted(self._rows)

    def n_images(self, tel_id: int) -> int:
        """Number of images of a telescope."""
        return len(self._rows[tel_id])

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope; parameters go by lstchain's names or ctapipe's.

        What lstchain has no parameters for is computed if ctapipe can, and left out if not.
        """
        table = self._parameters[self._rows[tel_id]]
        images = Table({name: np.asarray(table[name], dtype=np.int64) for name in KEYS})
        alt, az = (
            np.rad2deg(np.asarray(table[name], dtype=np.float64)) for name in ("alt_tel", "az_tel")
        )
        if not np.all(np.isfinite(alt) & np.isfinite(az)):
            raise InputFileError(
                f"'{self.path}': the pointing of telescope {tel_id} is not finite."
            )
        # π/2 in single precision lies beyond the zenith.
        images["pointing_alt"], images["pointing_az"] = np.clip(alt, -90, 90), az % 360
        lacking = [name for name in parameters if name not in images.colnames]
        for name in set(lacking) & set(table.colnames):
            images[name] = np.asarray(table[name], dtype=np.float64)
        lengths = focal_lengths(self.subarray.tel[tel_id].optics)
        for name in set(lacking) & set(ctapipe_names(table.colnames)):
            values = CTAPIPE_PARAMETERS[name].values(table, lengths)
            images[name] = np.asarray(values, dtype=np.float64)
        lacking = [name for name in lacking if name not in images.colnames]
        for name, values in self._compute(tel_id, lacking).items():
            images[name] = values
        return images

    def parameter_names(self) -> list[str]:
        """Names of the image parameters, lstchain's and ctapipe's that are made of them."""
        names = [name for name in self._parameters.colnames if name not in (*KEYS, "tel_id")]
        return list(dict.fromkeys([*names, *ctapipe_names(names)]))

    @cached_property
    def _chunks(self) -> tuple[TableChunks, dict]:
        table = self._file.get_node(IMAGES)
        return TableChunks(table), get_column_transforms(get_column_attrs(table))

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the pixels of some images hold; charges of unusable pixels are NaN."""
        if not self.has_pixels:
            raise InputFileError(f"'{self.path}' holds no DL1 images; {INSTEAD['charge']}.")
        rows = self._rows[tel_id][np.asarray(rows)]
        with reading(self.path, IMAGES):
            chunks, transforms = self._chunks
            data = chunks.read(rows)
        # Not all versions of lstchain repeat the keys beside the images.
        source = data if set(KEYS) <= set(data.dtype.names) else self._parameters[rows]
        pixels = {name: np.asarray(source[name]).astype(np.int64) for name in KEYS}
        for name in names:
            column = PIXEL_COLUMNS[name]
            if column not in data.dtype.names:
                raise InputFileError(
                    f"'{self.path}' has no {column} of telescope {tel_id}; {INSTEAD[name]}."
                )
            transform = transforms.get(column)
            pixels[name] = transform.inverse(data[column]) if transform else data[column]
        if "charge" in names:
            pixels["charge"] = without_broken(pixels["charge"], self._broken_pixels, rows)
        return pixels

    @cached_property
    def _broken_pixels(self) -> BrokenPixels | None:
        """Unusable pixels of the calibration of each image, None where the file has none."""
        if CALIBRATION not in self._file or "calibration_id" not in self._parameters.colnames:
            return None
        with reading(self.path, CALIBRATION):
            table = self._file.get_node(CALIBRATION)
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
                CALIBRATION,
            )
            return None
        return BrokenPixels(masks, number) if masks.any() else None
