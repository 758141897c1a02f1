"""What a DL2 file of observed events says of each of its observations.

The reconstructed events are read as for an evaluation. Here are the times of all events, the
pointing, the run and the place of the array besides.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.coordinates import EarthLocation
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from ctapipe.io import TableLoader, read_table

from ..errors import DataError, InputFileError
from ..evaluation.event_table import SUBARRAY, TELESCOPE, EventTable
from ..evaluation.events.combination import combine_telescopes
from ..evaluation.events.contents import find_contents
from ..evaluation.events.loading import SUBARRAY_KEYS, TELESCOPE_KEYS, align
from ..evaluation.events.reading import read_events
from ..io.ctapipe_tables import OBSERVATION, TRIGGER
from ..io.data_model import check_is_table
from ..io.files import open_hdf5, reading
from ..io.isolated import read_isolated
from ..io.lstchain_tables import DL2_EVENTS, TIMES
from ..io.observed.dead_time import dead_time_fraction
from ..io.observed.target import Target, read_target
from .pointing import PointingReports
from .reports import reports_of_array, reports_of_images
from .selection import EventSelection
from .sky import seconds_of

__all__ = ["ObservedPart", "read_observed"]

log = logging.getLogger(__name__)

#: Where LST-1 is: files of lstchain need not tell it. ctapipe_io_lst has the same place.
LST1 = EarthLocation.from_geodetic(
    lon=-17.89149701 * u.deg, lat=28.76152611 * u.deg, height=2199.883 * u.m
)

#: Observatories have existed since; earlier times stand for unknown ones.
FIRST_TIME = Time("1980-01-01", scale="utc")

#: What an event list has of each event.
NEEDED = ("energy", "direction", "particle_type")


@dataclass(frozen=True)
class ObservedPart:
    """An observation as far as one DL2 file has it.

    Attributes
    ----------
    path : Path
    obs_id : int
    events : QTable
        Reconstructed showers that meet the criteria of the cuts: ``event_id``, ``reco_energy``,
        ``reco_alt``, ``reco_az``, ``gammaness``, ``multiplicity``.
    triggers : Table
        All events, calibration included: ``event_id`` and ``seconds`` since the epoch, NaN where
        the file has none.
    reports : PointingReports
        Perhaps none.
    run : tuple of float, optional
        Start and end, in seconds since the epoch.
    dead_fraction : float, optional
        Part of the time in which the readout was busy, if the file tells it.
    intervals : ndarray, optional
        Times (s) since the trigger before, also of triggers that are not in the file.
    location : EarthLocation, optional
        Of the array.
    telescopes : tuple of str
        Names of the telescopes and their types.
    target : Target, optional
    left_out : mapping of str to int
        Why showers are not among the events, and how many.
    """

    path: Path
    obs_id: int
    events: QTable
    triggers: Table
    reports: PointingReports
    run: tuple[float, float] | None
    dead_fraction: float | None
    intervals: np.ndarray | None
    location: EarthLocation | None
    telescopes: tuple[tuple[str, str], ...]
    target: Target | None
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Surroundings:
    """What a file has beside the reconstructed events."""

    triggers: Table
    reports: dict[int, PointingReports]
    runs: dict[int, tuple[float, float]]
    dead_fractions: dict[int, float]
    since_last: Table | None
    location: EarthLocation | None
    telescopes: tuple[tuple[str, str], ...]
    target: Target | None
    criteria: Table


def read_observed(
    path: Path, algorithm: str | None, selection: EventSelection
) -> list[ObservedPart]:
    """The observations of a DL2 file.

    Parameters
    ----------
    path : Path
        In ctapipe's data model or lstchain's layout.
    algorithm : str, optional
        Name of the algorithm, or several separated by commas where each quantity has its own. Not
        needed if the file has one.
    selection : EventSelection

    Returns
    -------
    list of ObservedPart

    Raises
    ------
    InputFileError
        If the file is damaged, or has events twice.
    EvaluationError
        If the algorithm is not there or not unique.
    DataError
        If the events are simulated, or a quantity is missing.
    """
    wanted = None if algorithm is None else [name.strip() for name in algorithm.split(",")]
    around = read_isolated(partial(_read, wanted=wanted, selection=selection), path)
    events = read_events([path], algorithm, observed=True)
    about = EventTable.of(events)
    _check(path, about, selection)
    for note in about.notes:
        log.info("%s", note)
    known = np.all([np.asarray(events[f"{name}_is_valid"]) for name in NEEDED], axis=0)
    meets = _meet_criteria(events, around.criteria, about.level, path)
    left_out = {"not reconstructed": ~known, "quality criteria": known & ~meets}
    obs_id = np.asarray(events["obs_id"])
    kept = events[known & meets]
    if about.level == TELESCOPE and len(np.unique(kept["tel_id"])) > 1:
        kept = combine_telescopes(kept)
    kept = kept[
        "obs_id", "event_id", "reco_energy", "reco_alt", "reco_az", "gammaness", "multiplicity"
    ]
    return [
        _part(path, int(number), around, kept, {
            why: int(np.sum(rows & (obs_id == number))) for why, rows in left_out.items()
        })
        for number in np.unique(np.asarray(around.triggers["obs_id"]))
    ]  # fmt: skip


def _part(
    path: Path, obs_id: int, around: _Surroundings, events: QTable, left_out: dict[str, int]
) -> ObservedPart:
    since_last = around.since_last
    return ObservedPart(
        path=path,
        obs_id=obs_id,
        events=events[np.asarray(events["obs_id"]) == obs_id],
        triggers=around.triggers[np.asarray(around.triggers["obs_id"]) == obs_id],
        reports=around.reports.get(obs_id, PointingReports.none()),
        run=around.runs.get(obs_id),
        dead_fraction=around.dead_fractions.get(obs_id),
        intervals=None
        if since_last is None
        else np.asarray(since_last["seconds"])[np.asarray(since_last["obs_id"]) == obs_id],
        location=around.location,
        telescopes=around.telescopes,
        target=around.target,
        left_out=left_out,
    )


def _check(path: Path, about: EventTable, selection: EventSelection) -> None:
    if about.simulated:
        raise DataError(
            f"'{path}' is of simulated events, and DL3 is made of observations; give DL2 files of "
            "observed events."
        )
    missing = [name.replace("_", " ") for name in NEEDED if name not in about.algorithms]
    if missing:
        raise DataError(
            f"'{path}' has no {' and no '.join(missing)}, which the event list needs; use a "
            "reconstruction of energy, direction and particle type."
        )
    ours, theirs = about.algorithms["particle_type"], selection.classifier
    # The cuts of docs/irf/lst4.yaml have the name of our column behind that of the algorithm.
    if theirs and theirs.removesuffix("_particle_type") != ours:
        raise DataError(
            f"The cuts are for the gammaness by {theirs}, and '{path}' has that by {ours}; give "
            "the cuts of this reconstruction, or name another one with --algorithm."
        )


def _meet_criteria(events: QTable, criteria: Table, level: str, path: Path) -> np.ndarray:
    if len(events) == 0 or len(criteria) == 0:
        return np.ones(len(events), dtype=bool)
    return np.ma.filled(align(criteria, events, level, path)["meets"], False).astype(bool)


def _read(path: Path, wanted: list[str] | None, selection: EventSelection) -> _Surroundings:
    with open_hdf5(path) as file, reading(path, "its times and its pointing"):
        check_is_table(file, path, DL2_EVENTS)
        level = find_contents(file, path, wanted, observed=True).level
        if DL2_EVENTS in file:
            return _read_lstchain(file, path, selection)
        return _read_ctapipe(file, path, level, selection)


def _read_ctapipe(
    file: tables.File, path: Path, level: str, selection: EventSelection
) -> _Surroundings:
    trigger = read_table(file, TRIGGER)
    triggers = Table({name: np.asarray(trigger[name], dtype=np.int64) for name in SUBARRAY_KEYS})
    _refuse_repeated(triggers, SUBARRAY_KEYS, path)
    time = trigger["time"]
    triggers["seconds"] = (
        _seconds(time) if isinstance(time, Time) else np.full(len(triggers), np.nan)
    )
    subarray = SubarrayDescription.from_hdf(file, FocalLengthKind.EQUIVALENT)
    runs = _runs(file)
    return _Surroundings(
        triggers=triggers,
        reports=reports_of_array(file, path, list(subarray.tel), triggers),
        runs=runs,
        dead_fractions=dead_time_fraction(file),
        since_last=None,
        location=_location(subarray),
        telescopes=_telescopes(subarray),
        target=read_target(file),
        criteria=_criteria(file, path, level, selection),
    )


def _read_lstchain(file: tables.File, path: Path, selection: EventSelection) -> _Surroundings:
    rows = read_table(file, DL2_EVENTS)
    images = Table({name: np.asarray(rows[name], dtype=np.int64) for name in TELESCOPE_KEYS})
    _refuse_repeated(images, TELESCOPE_KEYS, path)
    seconds = np.full(len(rows), np.nan)
    for name in TIMES:
        if name in rows.colnames:
            seconds = _seconds(Time(_known_times(rows[name]), format="unix", scale="utc"))
            break
    images["seconds"] = seconds
    _, first = np.unique(images[SUBARRAY_KEYS].as_array(), return_index=True)
    since_last = None
    if "delta_t" in rows.colnames:
        since_last = Table({"obs_id": images["obs_id"], "seconds": np.asarray(rows["delta_t"])})
    subarray = SubarrayDescription.from_hdf(file, FocalLengthKind.EQUIVALENT)
    location = _location(subarray)
    if selection.criteria:
        raise DataError(
            f"The cuts have criteria on columns of ctapipe, and '{path}' is in lstchain's layout; "
            "reconstruct with --format ctapipe, or give cuts without quality criteria."
        )
    return _Surroundings(
        triggers=images[np.sort(first)]["obs_id", "event_id", "seconds"],
        reports=reports_of_images(images, rows),
        runs={},
        dead_fractions={},
        since_last=since_last,
        location=LST1 if location is None else location,
        telescopes=_telescopes(subarray),
        target=None,
        criteria=Table(),
    )


def _known_times(unix: np.ndarray) -> np.ndarray:
    """Seconds since 1970, NaN where they are no times of observations."""
    known = np.asarray(unix, dtype=np.float64)
    return np.where(np.isfinite(known) & (known > FIRST_TIME.unix), known, np.nan)


def _seconds(time: Time) -> np.ndarray:
    """Seconds since the epoch, NaN where a time is not known."""
    seconds = np.ma.filled(np.ma.asarray(seconds_of(time)), np.nan)
    return np.where(seconds > seconds_of(FIRST_TIME), seconds, np.nan)


def _refuse_repeated(table: Table, names: list[str], path: Path) -> None:
    ids, count = np.unique(table[names].as_array(), return_counts=True)
    if len(ids) < len(table):
        first = ids[count > 1][0]
        raise InputFileError(
            f"'{path}' has {len(table) - len(ids)} event(s) more than once, the first one is event "
            f"{first['event_id']} of observation {first['obs_id']}; make the file again without "
            "repeated events."
        )


def _runs(file: tables.File) -> dict[int, tuple[float, float]]:
    """Start and end of each observation, if the file tells both."""
    if OBSERVATION not in file:
        return {}
    blocks = read_table(file, OBSERVATION)
    if not {"actual_start_time", "actual_duration"} <= set(blocks.colnames):
        return {}
    if not isinstance(blocks["actual_start_time"], Time):
        return {}
    starts = np.atleast_1d(_seconds(blocks["actual_start_time"]))
    durations = blocks["actual_duration"].quantity.to_value(u.s)
    return {
        int(obs_id): (float(start), float(start + duration))
        for obs_id, start, duration in zip(blocks["obs_id"], starts, durations, strict=True)
        if np.isfinite(start) and np.isfinite(duration) and duration > 0
    }


def _location(subarray: SubarrayDescription) -> EarthLocation | None:
    """Where the array is; None if it is at the place that stands for an unknown one."""
    place = subarray.reference_location
    if place is None or (place.lon.deg == 0 and place.lat.deg == 0):
        return None
    return place


def _telescopes(subarray: SubarrayDescription) -> tuple[tuple[str, str], ...]:
    return tuple((f"{tel.name}_{tel_id}", str(tel.type)) for tel_id, tel in subarray.tel.items())


def _criteria(file: tables.File, path: Path, level: str, selection: EventSelection) -> Table:
    """Which events meet the criteria of the cuts; an empty table if there are none."""
    if not selection.criteria:
        return Table()
    loader = TableLoader(h5file=file, focal_length_choice="EQUIVALENT")
    if level == SUBARRAY:
        table = loader.read_subarray_events(dl2=True, simulated=False, observation_info=False)
        keys = SUBARRAY_KEYS
    else:
        table = loader.read_telescope_events(
            dl2=True, simulated=False, observation_info=False, dl1_images=False,
            dl1_parameters=False, dl1_muons=False, true_images=False, true_parameters=False,
            instrument=False, pointing=False,
        )  # fmt: skip
        keys = TELESCOPE_KEYS
    meets = table[keys]
    meets["meets"] = selection.meets_criteria(table, path)
    return Table(meets)
