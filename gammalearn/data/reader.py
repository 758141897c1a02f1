"""What a reader is: one file's instrument, events and images, whatever its format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import astropy.units as u
import numpy as np
from astropy.table import Table
from ctapipe.containers import EventType
from ctapipe.instrument import SubarrayDescription

__all__ = [
    "INSTEAD",
    "KEYS",
    "SHOWERS",
    "TRUTH_UNITS",
    "Reader",
    "are_showers",
    "event_keys",
    "match_rows",
    "spectral_indices",
]

#: Columns that tell events apart within a file.
KEYS = ("obs_id", "event_id")

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

#: Types of events that are showers, not calibration.
SHOWERS = (EventType.SUBARRAY, EventType.LONG_EVENT, EventType.UNKNOWN)

#: What to do where a file lacks what pixels hold.
INSTEAD = {
    "charge": "make the file anew with images",
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
        converted to; None where there is none.
    subarray : SubarrayDescription
        The telescopes, their positions and cameras, with equivalent focal lengths.
    events : Table
        All triggered events: obs_id, event_id, event_type, particle (empty where there is no
        truth), the truth of :data:`TRUTH_UNITS` and spectral_index, the exponent of the power law
        that energies were simulated with (NaN where there is none).
    """

    format: str
    path: Path
    dl1_path: Path | None

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

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The images of a telescope, in the order of the file, without their pixels.

        Columns obs_id, event_id, pointing_alt, pointing_az (deg) and those of the image
        parameters that the file has, or that can be computed.
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
            Of ``charge`` (p.e.), ``peak_time`` (ns), ``cleaning_mask`` (bool).

        Returns
        -------
        dict of str to ndarray, shape (n, n_pixels)
            Also ``obs_id`` and ``event_id``, shape (n,).
        """

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> "Reader": ...

    def __exit__(self, *_) -> None: ...


def are_showers(events: Table) -> np.ndarray:
    """Which events are showers, by their ``event_type``; shape (n_events,) of bool."""
    return np.isin(events["event_type"], [kind.value for kind in SHOWERS])


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


def event_keys(table) -> np.ndarray:
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
