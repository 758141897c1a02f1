"""Faults: what is wrong with some events or images of a file that can be read otherwise.

They are named, with their number, in the log, in the report and by ``gammalearn info``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.table import Table

from ...errors import InputFileError
from .reader import Reader

__all__ = ["Fault", "faults_of", "refuse_incomplete", "repeated_images"]


@dataclass(frozen=True)
class Fault:
    """One kind of fault of a file.

    Attributes
    ----------
    what : str
        Words that tell what is wrong, and with how many events, images or rows.
    events : ndarray of int
        Rows of ``Reader.events`` that cannot be used because of it.
    incomplete : bool
        A table ends too early, as in the file of a job that was killed: the file is refused, unless
        its other events are asked for (``data.on_error="skip"``).
    """

    what: str
    events: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    incomplete: bool = False


def faults_of(reader: Reader, tel_ids: Sequence[int], images: Mapping[int, Table]) -> list[Fault]:
    """All faults of a file.

    Parameters
    ----------
    reader : Reader
    tel_ids : sequence of int
        The telescopes that count, also those without images.
    images : mapping of int to Table
        What ``reader.images`` gives, by telescope.
    """
    faults = [*reader.faults(tel_ids), *_of_truth(reader.events, reader.is_shower())]
    for tel_id, table in images.items():
        faults += _of_images(tel_id, table)
    return faults


def refuse_incomplete(path: Path, faults: Sequence[Fault]) -> None:
    """Refuse a file that is not whole.

    Raises
    ------
    InputFileError
        If any of the faults is that a table ends too early.
    """
    incomplete = [fault.what for fault in faults if fault.incomplete]
    if incomplete:
        raise InputFileError(
            f"'{path}' is incomplete, like the file of a job that was killed: "
            f"{'; '.join(incomplete)}. Make the file again, or leave out these events with "
            "--set data.on_error=skip."
        )


def repeated_images(event: np.ndarray) -> np.ndarray:
    """Which images of one telescope are of an event that it has an earlier image of.

    Parameters
    ----------
    event : ndarray of int, shape (n_images,)
        Row of each image's event, −1 where it has none.

    Returns
    -------
    ndarray of bool, shape (n_images,)
    """
    repeated = np.ones(len(event), dtype=bool)
    repeated[np.unique(event, return_index=True)[1]] = False
    return repeated & (np.asarray(event) >= 0)


def _of_truth(events: Table, shower: np.ndarray) -> list[Fault]:
    """Values that no simulated shower has."""
    simulated = shower & (np.asarray(events["particle"]) != "")
    energy, alt, az = (np.asarray(events[f"true_{name}"]) for name in ("energy", "alt", "az"))
    core = np.asarray(events["true_core_x"]) + np.asarray(events["true_core_y"])
    wrong = {
        "a true energy that is not positive and finite": ~((energy > 0) & np.isfinite(energy)),
        "a true direction that is none": ~((np.abs(alt) <= 90) & np.isfinite(az)),
        "a true core that is not finite": ~np.isfinite(core),
    }
    found = {what: np.flatnonzero(simulated & rows) for what, rows in wrong.items()}
    return [Fault(_have(rows, "event", what), rows) for what, rows in found.items() if len(rows)]


def _of_images(tel_id: int, images: Table) -> list[Fault]:
    event, alt = (np.asarray(images[name]) for name in ("event", "pointing_alt"))
    known = event >= 0
    wrong = {
        f"a pointing of telescope {tel_id} that is no direction": known & np.isnan(alt),
        f"a pointing of telescope {tel_id} that is not above the horizon": known & (alt <= 0),
    }
    found = {what: event[rows] for what, rows in wrong.items()}
    faults = [Fault(_have(rows, "image", what), rows) for what, rows in found.items() if len(rows)]
    repeated = np.flatnonzero(repeated_images(event))
    if len(repeated):
        what = f"the event of an earlier image of telescope {tel_id}; the earlier one counts"
        faults.append(Fault(_have(repeated, "image", what)))
    return faults


def _have(rows: np.ndarray, name: str, what: str) -> str:
    return f"{len(rows)} {name}{' has' if len(rows) == 1 else 's have'} {what}"
