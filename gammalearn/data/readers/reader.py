"""What a reader is: one file's instrument, events and images, whatever its format."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from numpy.typing import ArrayLike

from ...errors import InputFileError
from ...io.particles import CALIBRATION, are_showers

if TYPE_CHECKING:
    from .faults import Fault

__all__ = [
    "INSTEAD",
    "KEYS",
    "TRUTH_UNITS",
    "Reader",
    "azimuth",
    "check_pixels",
    "check_shape",
    "described",
    "directions",
    "event_keys",
    "match_rows",
    "spectral_indices",
    "without_calibration",
]

#: Columns that tell events apart within a file.
KEYS = ("obs_id", "event_id")

#: Columns that hold whole numbers, whatever the type.
WHOLE = {*KEYS, "tel_id", "event_type", "true_shower_primary_id", "mc_type"}

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

#: What rounding to single precision may add to an angle (deg).
ROUNDING = 1e-4

#: What to do where a file lacks what pixels hold.
INSTEAD = {
    "charge": "make the file again with images",
    "peak_time": "leave peak times out of data.channels",
    "cleaning_mask": "let ctapipe clean the images, with data.cleaning.method",
}


class Reader(Protocol):
    """One file: instrument, events, images.

    Attributes
    ----------
    format : str
        What files of this kind are called.
    path : Path
        The file, as it was given.
    dl1_path : Path or None
        The ctapipe DL1 file that a DL2 file is made from: the file itself, or what it was
        converted to; None where there is none, see `gammalearn.data.readers.formats.OTHER_HDF5`.
    subarray : SubarrayDescription
        The telescopes, their positions and cameras, with equivalent focal lengths.
    events : Table
        All triggered events: obs_id, event_id, event_type, particle (empty where there is no
        truth, ``calibration`` where it is no shower), the truth of :data:`TRUTH_UNITS` and
        spectral_index, the exponent of the power law that energies were simulated with (NaN where
        there is none).
    """

    @property
    def format(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def dl1_path(self) -> Path | None: ...

    @property
    def has_pixels(self) -> bool:
        """Whether images have pixels here, not parameters alone."""

    @property
    def subarray(self) -> SubarrayDescription: ...

    @property
    def events(self) -> Table: ...

    def is_shower(self) -> np.ndarray:
        """Which events are showers, not calibration; shape (n_events,) of bool."""

    def telescope_triggers(self) -> Table:
        """All triggers of telescopes, with images or without: obs_id, event_id, tel_id."""

    def telescopes_with_images(self) -> list[int]:
        """Ids of the telescopes that have an image."""

    def n_images(self, tel_id: int) -> int:
        """Number of images of a telescope."""

    def n_samples(self, tel_id: int) -> int:
        """Samples of the waveforms of a telescope with images; 0 where there are none."""

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope, in the order of the file, without their pixels.

        Columns event (row of ``events``, −1 where an image belongs to none), obs_id, event_id,
        pointing_alt, pointing_az (deg, NaN where it is not known) and those of the image
        parameters that the file has, or that can be computed.
        """

    def times(self, tel_id: int) -> np.ndarray:
        """When the images of a telescope were taken, in the order of :meth:`images`.

        In s since some time that is the same for all, NaN where it is not known, shape (n_images,).
        """

    def faults(self, tel_ids: Sequence[int]) -> "list[Fault]":
        """What is wrong with tables, as far as it does not make the file unusable.

        :func:`gammalearn.data.readers.faults.faults_of` finds what events and images themselves
        tell.

        Parameters
        ----------
        tel_ids : sequence of int
            The telescopes that count.
        """

    def parameter_names(self) -> list[str]:
        """Names of the image parameters in the file."""

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
            Also ``obs_id`` and ``event_id``, shape (n,).
        """

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> "Reader": ...

    def __exit__(self, *_: object) -> None: ...


def without_calibration(events: Table) -> Table:
    """The events; those that are no showers lose their truth, and are named calibration.

    Parameters
    ----------
    events : Table
        With event_type, particle and the truth of :data:`TRUTH_UNITS`; it is changed.
    """
    calibration = ~are_showers(events["event_type"], events["true_energy"])
    events["particle"][calibration] = CALIBRATION
    for name in TRUTH_UNITS:
        events[name][calibration] = np.nan
    return events


def azimuth(angle: ArrayLike) -> np.ndarray:
    """Azimuth (deg) from 0 to 360, without 360 itself; shape (n,) as the angle."""
    angle = np.asarray(angle, dtype=np.float64) % 360
    # The remainder of a tiny negative number is rounded to 360.
    return np.where(angle == 360, 0.0, angle)


def directions(alt: np.ndarray, az: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Altitude and azimuth (deg) in their ranges, NaN where they are no direction; shapes (n,)."""
    alt, az = (np.asarray(angle, dtype=np.float64) for angle in (alt, az))
    known = np.isfinite(az) & (np.abs(alt) < 90 + ROUNDING)
    # π/2 in single precision lies beyond the zenith, where azimuth is turned around.
    return np.where(known, np.clip(alt, -90, 90), np.nan), azimuth(np.where(known, az, np.nan))


def check_shape(path: Path, table: str, columns: Table, names: Sequence[str]) -> None:
    """Refuse columns that are not one number a row, identifiers that are not whole numbers.

    Parameters
    ----------
    path : Path
        The file, for the error.
    table : str
        Where the columns stand, for the error.
    columns : Table
    names : sequence of str
        Of the columns; others do not matter.

    Raises
    ------
    InputFileError
        If one is missing, has several values a row, or holds no numbers.
    """
    missing = [name for name in names if name not in columns.colnames]
    if missing:
        raise InputFileError(f"'{path}': {table} has no column {', '.join(missing)}.")
    for name in names:
        column = columns[name]
        if column.ndim != 1 or getattr(column, "dtype", np.dtype("O")).kind not in "biuf":
            raise InputFileError(
                f"'{path}': the column {name} of {table} must hold one number in each row, but "
                f"holds values of shape {column.shape[1:]} and type {column.dtype}."
            )
        if name in WHOLE and column.dtype.kind == "f" and np.any(np.asarray(column) % 1 != 0):
            raise InputFileError(
                f"'{path}': the column {name} of {table} holds numbers that are not whole."
            )


def described(file: tables.File) -> SubarrayDescription:
    """The telescopes of a file as ctapipe describes them, with equivalent focal lengths.

    The focal length only enters the identity of a camera, where the equivalent one is taken; files
    without the effective one are therefore no trouble.

    Raises
    ------
    Exception
        Of any kind, as ctapipe stumbles over damage, and where the shape of a pulse is no numbers,
        over which it would stumble as it writes.
    """
    subarray = SubarrayDescription.from_hdf(file, focal_length_choice=FocalLengthKind.EQUIVALENT)
    for camera in subarray.camera_types:
        if np.asarray(camera.readout.reference_pulse_shape).dtype.kind not in "iuf":
            raise ValueError(f"the shape of a pulse of {camera.name} is no numbers")
    return subarray


def check_pixels(path: Path, table: tables.Table, names: Iterable[str], n_pixels: int) -> None:
    """Refuse images that do not have a number for each pixel of their camera.

    Parameters
    ----------
    path : Path
        The file, for the error.
    table : tables.Table
        Of images.
    names : iterable of str
        Columns of pixels; those that are missing do not matter.
    n_pixels : int
        Of the camera, as it is described.

    Raises
    ------
    InputFileError
        If one has another shape, or holds no numbers.
    """
    expected = dict.fromkeys(names, (n_pixels,)) | dict.fromkeys((*KEYS, "tel_id"), ())
    for name, shape in expected.items():
        if name not in table.colnames:
            continue
        column = table.dtype[name]
        if column.shape != shape or column.base.kind not in "biuf":
            raise InputFileError(
                f"'{path}': the column {name} of {table._v_pathname} holds values of shape "
                f"{column.shape} and type {column.base}, but must hold numbers of shape "
                f"{shape}, because the camera has {n_pixels} pixels."
            )


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


def event_keys(table: Table | Mapping[str, np.ndarray]) -> np.ndarray:
    """What tells the events of a file apart.

    Parameters
    ----------
    table : Table or mapping
        With obs_id and event_id.

    Returns
    -------
    ndarray of int64, shape (n, 2)
    """
    return np.column_stack([np.asarray(table[name]).astype(np.int64) for name in KEYS])


def spectral_indices(runs: Table, obs_id: np.ndarray) -> np.ndarray:
    """The exponent of the energies' power law for events of some runs, NaN where it is not known.

    Parameters
    ----------
    runs : Table
        The simulations' settings, obs_id and spectral_index among them.
    obs_id : ndarray of int, shape (n_events,)
    """
    if not {"obs_id", "spectral_index"} <= set(runs.colnames):
        return np.full(len(obs_id), np.nan)
    known = np.asarray(runs["obs_id"], dtype=np.int64)
    row = match_rows(np.asarray(obs_id, dtype=np.int64)[:, None], known[:, None])
    return np.where(row >= 0, np.asarray(runs["spectral_index"], dtype=np.float64)[row], np.nan)
