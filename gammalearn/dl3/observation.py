"""An observation as DL3 has it, made of what DL2 files say of it."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation
from astropy.table import QTable, Table, vstack

from ..errors import DataError, EmptySelectionError
from ..io.observed.target import Target
from .dead_time import dead_fraction_by_intervals
from .good_times import in_order, intersect, is_within, taking_data
from .observed import ObservedPart
from .pointing import LARGEST_DEVIATION, PointingReports, TrackedPointing
from .selection import EventSelection
from .sky import to_icrs

__all__ = ["Observation", "make_observation"]

log = logging.getLogger(__name__)

#: More than this part of the events out of order: the clock is not to be trusted.
MOST_OUT_OF_ORDER = 0.01

#: Less than this part of the pointing near one place in the sky: nothing was tracked.
LEAST_TRACKED = 0.5


@dataclass(frozen=True)
class Observation:
    """What one file of DL3 holds beside the response.

    Attributes
    ----------
    obs_id : int
    events : QTable
        Selected events in the order of time: ``event_id``, ``seconds`` since the epoch, ``ra``,
        ``dec``, ``alt``, ``az`` (deg), ``energy`` (TeV), ``gammaness``, ``multiplicity``.
    good_times : ndarray, shape (n, 2)
        Start and end of good time intervals, in seconds since the epoch.
    run : tuple of float
        Start and end of the run.
    dead_fraction : float
        Part of the good times in which the readout was busy.
    pointing : TrackedPointing
    location : EarthLocation
        Of the array.
    telescopes : tuple of (str, str)
        Names of the telescopes, and their types.
    target : Target, optional
        What was observed.
    left_out : dict of str to int
        Why showers were left out before the cuts, and how many.
    """

    obs_id: int
    events: QTable
    good_times: np.ndarray
    run: tuple[float, float]
    dead_fraction: float
    pointing: TrackedPointing
    location: EarthLocation
    telescopes: tuple[tuple[str, str], ...]
    target: Target | None
    left_out: dict[str, int]

    @property
    def ontime(self) -> float:
        """Sum of the good times (s)."""
        return float(np.sum(np.diff(self.good_times, axis=1)))


def make_observation(
    parts: Sequence[ObservedPart], selection: EventSelection, site: EarthLocation | None = None
) -> Observation:
    """The observation that files have parts of.

    Parameters
    ----------
    parts : sequence of ObservedPart
        Of one obs_id.
    selection : EventSelection
    site : EarthLocation, optional
        Where the array is, in place of what the files say.

    Returns
    -------
    Observation

    Raises
    ------
    DataError
        If events are in several files, or times, pointing or the place of the array are missing or
        contradict each other.
    """
    obs_id = parts[0].obs_id
    _check_alike(parts)
    location = site or parts[0].location
    if location is None:
        raise DataError(
            f"'{parts[0].path}' does not tell where the array is; give its longitude, latitude and "
            "height with --site."
        )
    left_out = Counter[str]()
    for part in parts:
        left_out.update(part.left_out)
    triggers = vstack([part.triggers for part in parts], metadata_conflicts="silent")
    triggers.sort("event_id")
    triggers, untimely = _with_times(triggers, parts)
    run = _run(parts)
    seconds = np.asarray(triggers["seconds"])
    outside = np.zeros(len(seconds), dtype=bool)
    if run is not None:
        outside = (seconds < run[0]) | (seconds > run[1])
    seconds = seconds[~outside]
    if len(seconds) < 2:
        raise EmptySelectionError(
            f"Observation {obs_id} has fewer than two events with a time in its run, too few to "
            "describe it; leave it out."
        )
    data_taking, run = taking_data(seconds, run)
    pointing = _pointing(parts, location, run)
    good_times = intersect(data_taking, pointing.covered)

    events = vstack([part.events for part in parts], metadata_conflicts="silent")
    row = np.searchsorted(triggers["event_id"], events["event_id"])
    row = np.minimum(row, len(triggers) - 1)
    timed = np.asarray(triggers["event_id"])[row] == np.asarray(events["event_id"])
    times = np.where(timed, np.asarray(triggers["seconds"])[row], np.nan)
    in_run = timed & (times >= run[0]) & (times <= run[1])
    good = in_run & is_within(times, good_times)
    left_out["time missing or not in order"] += int(np.sum(~timed))
    left_out["outside of the run"] += int(np.sum(timed & ~in_run))
    left_out["telescopes not on the target"] += int(np.sum(in_run & ~good))
    if untimely:
        log.info("Observation %d: %d event(s) have no time in order.", obs_id, untimely)
    return Observation(
        obs_id=obs_id,
        events=_selected(events[good], times[good], selection, location),
        good_times=good_times,
        run=run,
        dead_fraction=_dead_fraction(parts, seconds, data_taking, run),
        pointing=pointing,
        location=location,
        telescopes=parts[0].telescopes,
        target=parts[0].target,
        left_out={why: number for why, number in left_out.items() if number},
    )


def _check_alike(parts: Sequence[ObservedPart]) -> None:
    """Refuse files that have the same event, or that are of different arrays."""
    first = parts[0]
    seen: dict[int, ObservedPart] = {}
    for part in parts:
        ids = np.asarray(part.triggers["event_id"]).tolist()
        both = [number for number in ids if number in seen]
        if both:
            raise DataError(
                f"'{seen[both[0]].path}' and '{part.path}' both have event {both[0]} of "
                f"observation {part.obs_id}; give each event once."
            )
        seen.update(dict.fromkeys(ids, part))
        if part.telescopes != first.telescopes:
            raise DataError(
                f"'{first.path}' and '{part.path}' are of observation {part.obs_id}, but have "
                "different telescopes; give the files of one array."
            )


def _with_times(triggers: Table, parts: Sequence[ObservedPart]) -> tuple[Table, int]:
    """The events whose times are in order, and how many others there are."""
    known = np.isfinite(triggers["seconds"])
    if not np.any(known):
        raise DataError(
            f"'{parts[0].path}' has no times of its events in observation {parts[0].obs_id}, and "
            "the sky cannot be found without them; give files with the times of the events."
        )
    ordered = in_order(np.asarray(triggers["seconds"]))
    n_wrong = int(np.sum(known & ~ordered))
    if n_wrong > MOST_OUT_OF_ORDER * np.sum(known):
        raise DataError(
            f"The clock of observation {parts[0].obs_id} jumps: the times of {n_wrong} of "
            f"{np.sum(known)} events in '{parts[0].path}' contradict the order of the events; "
            "repair the times."
        )
    return triggers[ordered], int(np.sum(~ordered))


def _run(parts: Sequence[ObservedPart]) -> tuple[float, float] | None:
    """Start and end, if all files tell them."""
    runs = [part.run for part in parts if part.run is not None]
    if len(runs) < len(parts):
        return None
    return min(start for start, _ in runs), max(stop for _, stop in runs)


def _pointing(
    parts: Sequence[ObservedPart], location: EarthLocation, run: tuple[float, float]
) -> TrackedPointing:
    obs_id, path = parts[0].obs_id, parts[0].path
    reports = PointingReports.joined([part.reports for part in parts]).between(*run)
    if len(reports.seconds) == 0:
        raise DataError(
            f"'{path}' does not tell where the telescopes pointed in observation {obs_id}; give "
            "files with the pointing of the telescopes against time."
        )
    pointing = TrackedPointing.of(reports, location)
    if pointing.fraction < LEAST_TRACKED or len(pointing.covered) == 0:
        raise DataError(
            f"The telescopes do not follow one place in the sky in observation {obs_id} of "
            f"'{path}' ({100 * pointing.fraction:.0f} % of the pointing is within "
            f"{LARGEST_DEVIATION:g} deg of one place); DL3 is made of tracked observations."
        )
    return pointing


def _dead_fraction(
    parts: Sequence[ObservedPart],
    seconds: np.ndarray,
    data_taking: np.ndarray,
    run: tuple[float, float],
) -> float:
    """Part of the time of data taking in which the readout was busy."""
    told = [part.dead_fraction for part in parts if part.dead_fraction is not None]
    if len(told) == len(parts):
        # Of the whole run, in which each file counts its own events.
        duration = float(np.sum(np.diff(data_taking, axis=1)))
        return float(np.clip(sum(told) * (run[1] - run[0]) / duration, 0.0, 1.0))
    intervals = [part.intervals for part in parts if part.intervals is not None]
    steps = np.concatenate(intervals) if intervals else _steps(seconds, data_taking)
    found = dead_fraction_by_intervals(steps)
    if found is None:
        log.warning(
            "Observation %d has too few events to find the dead time; it is taken as 0.",
            parts[0].obs_id,
        )
        return 0.0
    return found


def _steps(seconds: np.ndarray, data_taking: np.ndarray) -> np.ndarray:
    """Times between events without those over pauses."""
    inside = [seconds[(seconds >= start) & (seconds <= stop)] for start, stop in data_taking]
    return np.concatenate([np.diff(some) for some in inside]) if inside else np.zeros(0)


def _selected(
    events: QTable, times: np.ndarray, selection: EventSelection, location: EarthLocation
) -> QTable:
    passed = selection.passes(events)
    events, times = events[passed], times[passed]
    order = np.argsort(times, kind="stable")
    events, times = events[order], times[order]
    alt, az = (events[f"reco_{angle}"].to_value(u.deg) for angle in ("alt", "az"))
    sky = to_icrs(alt, az, times, location)
    return QTable(
        {
            "event_id": np.asarray(events["event_id"], dtype=np.int64),
            "seconds": times,
            "ra": sky.ra.to(u.deg),
            "dec": sky.dec.to(u.deg),
            "alt": alt * u.deg,
            "az": az % 360 * u.deg,
            "energy": events["reco_energy"].to(u.TeV),
            "gammaness": np.asarray(events["gammaness"], dtype=np.float64),
            "multiplicity": np.asarray(events["multiplicity"], dtype=np.int16),
        }
    )
