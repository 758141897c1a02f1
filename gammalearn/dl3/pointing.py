"""Where the array points during a run: reports of the drives, and the place in the sky."""

from dataclasses import dataclass

import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord

from .sky import to_icrs

__all__ = ["LARGEST_DEVIATION", "PointingReports", "TrackedPointing"]

#: Longest time (s) between two reports that is still covered by them.
LONGEST_STEP = 60.0

#: Largest angle (deg) between the pointing and the place that is followed.
LARGEST_DEVIATION = 0.1


@dataclass(frozen=True)
class PointingReports:
    """What the drives report, in the order of time.

    Attributes
    ----------
    seconds : ndarray, shape (n,)
        Since the epoch.
    alt, az : ndarray, shape (n,)
        In deg.
    """

    seconds: np.ndarray
    alt: np.ndarray
    az: np.ndarray

    @classmethod
    def none(cls) -> "PointingReports":
        """No reports."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))

    def between(self, start: float, stop: float) -> "PointingReports":
        """The reports of a time, with one more before and after it if they are near."""
        first = max(int(np.searchsorted(self.seconds, start, side="right")) - 1, 0)
        last = min(int(np.searchsorted(self.seconds, stop)) + 1, len(self.seconds))
        near = (self.seconds > start - LONGEST_STEP) & (self.seconds < stop + LONGEST_STEP)
        rows = np.arange(first, last)
        rows = rows[near[rows]]
        return PointingReports(self.seconds[rows], self.alt[rows], self.az[rows])

    @classmethod
    def joined(cls, reports: "list[PointingReports]") -> "PointingReports":
        """The reports of several files; of equal times the first counts."""
        seconds = np.concatenate([some.seconds for some in reports])
        first = np.unique(seconds, return_index=True)[1]
        return cls(
            seconds[first],
            np.concatenate([some.alt for some in reports])[first],
            np.concatenate([some.az for some in reports])[first],
        )


@dataclass(frozen=True)
class TrackedPointing:
    """The place in the sky that the telescopes follow, and when they do.

    Attributes
    ----------
    centre : SkyCoord
        In ICRS.
    covered : ndarray, shape (n, 2)
        Start and end (s) of the times in which reports say that the telescopes point there.
    reports : PointingReports
    sky : SkyCoord, shape (n_reports,)
        The reports in ICRS.
    fraction : float
        Part of the reports that are near the centre.
    """

    centre: SkyCoord
    covered: np.ndarray
    reports: PointingReports
    sky: SkyCoord
    fraction: float

    @classmethod
    def of(cls, reports: PointingReports, location: EarthLocation) -> "TrackedPointing":
        """The pointing of a run.

        Parameters
        ----------
        reports : PointingReports
            At least one.
        location : EarthLocation
            Of the array.
        """
        sky = to_icrs(reports.alt, reports.az, reports.seconds, location)
        # The median, which does not feel slews before and after.
        middle = sky.cartesian.xyz.value
        centre = _direction(np.median(middle, axis=1))
        near = sky.separation(centre).deg <= LARGEST_DEVIATION
        if np.any(near):
            centre = _direction(middle[:, near].mean(axis=1))
        steps = np.diff(reports.seconds)
        good = near[:-1] & near[1:] & (steps <= LONGEST_STEP)
        covered = np.column_stack([reports.seconds[:-1][good], reports.seconds[1:][good]])
        if len(reports.seconds) == 1 and near[0]:
            covered = reports.seconds + np.array([[-LONGEST_STEP, LONGEST_STEP]])
        return cls(centre, _merged(covered), reports, sky, float(np.mean(near)))


def _direction(vector: np.ndarray) -> SkyCoord:
    x, y, z = vector
    ra, dec = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
    return SkyCoord(ra, dec, unit="deg", frame="icrs")


def _merged(intervals: np.ndarray) -> np.ndarray:
    """Intervals of which those that touch are one."""
    if len(intervals) == 0:
        return intervals
    apart = np.flatnonzero(intervals[1:, 0] > intervals[:-1, 1])
    starts = intervals[np.append(0, apart + 1), 0]
    stops = intervals[np.append(apart, len(intervals) - 1), 1]
    return np.column_stack([starts, stops])
