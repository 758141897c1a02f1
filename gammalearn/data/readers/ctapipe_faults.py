"""What tables of a ctapipe DL1 file lack, or have too much.

Events, their telescopes' triggers, their images, the parameters of these and the simulated showers
are in tables of their own, of which each can end too early or name what others do not have.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import tables
from astropy.table import Table

from ...io.ctapipe_tables import of_telescope
from .faults import Fault
from .reader import TRUTH_UNITS, event_keys, match_rows

if TYPE_CHECKING:
    from .ctapipe_dl1 import ImageRows

__all__ = ["faults_of_images", "faults_of_showers", "unknown_telescopes"]

#: Ids of unknown telescopes that are named.
FEW = 5


def faults_of_showers(
    events: Table, is_shower: np.ndarray, shower: Table, place: str
) -> list[Fault]:
    """What the table of simulated showers lacks, or has twice.

    Parameters
    ----------
    events : Table
        All triggered events, as ``Reader.events`` has them.
    is_shower : ndarray of bool, shape (n_events,)
        Which of them are showers, not calibration.
    shower : Table
        The showers, with obs_id and event_id.
    place : str
        Where that table is, for words.
    """
    unknown = [name for name in TRUTH_UNITS if name not in shower.colnames]
    faults = [Fault(f"{place} has no column {name}: it is not known") for name in unknown]
    unique, count = np.unique(event_keys(shower), axis=0, return_counts=True)
    repeated = match_rows(event_keys(events), unique[count > 1])
    lacking = np.asarray(events["particle"]) == ""
    what = {
        f"events without a row in {place}": np.flatnonzero(lacking & is_shower),
        f"events with several rows in {place}": np.flatnonzero(repeated >= 0),
    }
    return faults + [
        Fault(f"{len(rows)} of {len(events)} {words}", rows, incomplete=True)
        for words, rows in what.items()
        if len(rows)
    ]


def unknown_telescopes(
    file: tables.File, group: str, triggers: Table, known: Iterable[int]
) -> list[Fault]:
    """Triggers and images of telescopes that the layout lacks.

    Parameters
    ----------
    file : tables.File
    group : str
        Of the tables of images, or of their parameters.
    triggers : Table
        Of the telescopes, with tel_id.
    known : iterable of int
        Ids of the telescopes of the layout.
    """
    known = [int(tel_id) for tel_id in known]
    paths = {of_telescope(group, tel_id) for tel_id in known}
    faults = [
        Fault(
            f"{table.nrows} rows of {table._v_pathname} are of no telescope of the layout and are "
            "left out"
        )
        for table in file.iter_nodes(group, "Table")
        if table.nrows and table._v_pathname not in paths
    ]
    tel_id = np.asarray(triggers["tel_id"])
    unknown = tel_id[~np.isin(tel_id, known)]
    if len(unknown):
        ids = ", ".join(map(str, np.unique(unknown)[:FEW]))
        faults.append(
            Fault(
                f"{len(unknown)} triggers are of telescopes that the layout lacks ({ids}) and are "
                "left out"
            )
        )
    return faults


def faults_of_images(
    tel_id: int, events: Table, triggers: np.ndarray, images: "ImageRows", bare: np.ndarray
) -> list[Fault]:
    """Images without a trigger or without parameters, and triggers without an image.

    Parameters
    ----------
    tel_id : int
    events : Table
        All triggered events.
    triggers : ndarray of int64, shape (n_triggers, 2)
        obs_id and event_id of the telescope's triggers.
    images : ImageRows
        What its images belong to.
    bare : ndarray of bool, shape (n_images,)
        Which of them have no row of parameters.
    """
    keys, faults = event_keys(events), []
    stray = images.event < 0
    if np.any(stray):
        lost = np.unique(images.keys[stray], axis=0)
        what = f"{np.sum(stray)} of {len(stray)} images of telescope {tel_id} belong to no trigger"
        faults.append(Fault(what, np.flatnonzero(match_rows(keys, lost) >= 0)))
    dark = np.setdiff1d(np.arange(len(triggers)), images.trigger)
    if len(dark):
        what = f"{len(dark)} of {len(triggers)} triggers of telescope {tel_id} have no image"
        rows = match_rows(triggers, keys)[dark]
        faults.append(Fault(what, np.unique(rows[rows >= 0]), incomplete=True))
    if np.any(bare):
        what = (
            f"{np.sum(bare)} of {len(bare)} images of telescope {tel_id} have no row of parameters"
        )
        rows = images.event[bare]
        faults.append(Fault(what, np.unique(rows[rows >= 0]), incomplete=True))
    return faults
