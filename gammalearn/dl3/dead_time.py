"""Dead time of a run by the times between its triggers."""

import numpy as np

__all__ = ["dead_fraction_by_intervals"]

#: Fewer intervals do not tell a dead time.
FEWEST = 100


def dead_fraction_by_intervals(intervals: np.ndarray) -> float | None:
    """The part of the time in which the readout was busy.

    After each recorded event, the readout is busy for a time τ, then the next event comes after an
    exponential time of mean 1/λ. The intervals are thus exponential above τ: the shortest interval
    estimates τ, the mean estimates τ + 1/λ. The dead part is λτ / (1 + λτ), which is τ over the
    mean. This is the estimate of ``get_effective_time`` in lstchain (``lstchain.reco.utils``). The
    shortest of n intervals exceeds τ by 1/(nλ) on average, which is subtracted here.

    Parameters
    ----------
    intervals : ndarray, shape (n,)
        Times (s) between an event and the one before it, pauses excluded. All events count,
        calibration events too.

    Returns
    -------
    float or None
        Between 0 and 1; None if there are too few intervals.
    """
    intervals = intervals[np.isfinite(intervals) & (intervals > 0)]
    if len(intervals) < FEWEST:
        return None
    shortest, mean = float(np.min(intervals)), float(np.mean(intervals))
    dead_time = shortest - (mean - shortest) / (len(intervals) - 1)
    return float(np.clip(dead_time / mean, 0.0, 1.0))
