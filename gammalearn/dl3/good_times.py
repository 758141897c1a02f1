"""Good time intervals: when the array took data, with its telescopes on the target."""

import bisect

import numpy as np

__all__ = ["in_order", "intersect", "is_within", "taking_data"]

#: A pause is longer than so many mean times between triggers: by chance, one in 10²¹ is.
UNLIKELY = 50.0

#: And at least so long (s).
SHORTEST_PAUSE = 1.0


def in_order(seconds: np.ndarray) -> np.ndarray:
    """Which events have a time after those of all events before them.

    If the clock jumps, the times of some events contradict those of others. The longest series
    without contradiction is kept, which leaves out as few events as possible.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        Times in the order that the array numbered the events in; NaN is never in order.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    kept = np.isfinite(seconds)
    known = np.flatnonzero(kept)
    values = seconds[known].tolist()
    if np.all(np.diff(values) > 0):
        return kept
    # The last value of the best series of each length, which event that is, and who is before it.
    ends: list[float] = []
    last: list[int] = []
    before = np.full(len(values), -1)
    for event, value in enumerate(values):
        length = bisect.bisect_left(ends, value)
        before[event] = last[length - 1] if length else -1
        ends[length : length + 1] = [value]
        last[length : length + 1] = [event]
    kept[:] = False
    event = last[-1]
    while event >= 0:
        kept[known[event]] = True
        event = int(before[event])
    return kept


def taking_data(
    seconds: np.ndarray, run: tuple[float, float] | None
) -> tuple[np.ndarray, tuple[float, float]]:
    """When data were taken, by the triggers: a long time without any is a pause.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        Times of all triggers, in order.
    run : tuple of float, optional
        Start and end of the run. Without it, half a mean time between triggers is added before the
        first and after the last trigger.

    Returns
    -------
    intervals : ndarray, shape (n_intervals, 2)
    run : tuple of float
        Start and end.
    """
    steps = np.diff(seconds)
    # The median is not moved by pauses; that of an exponential is ln 2 of its mean.
    mean = float(np.median(steps)) / np.log(2) if len(steps) else SHORTEST_PAUSE
    if run is None:
        run = float(seconds[0]) - mean / 2, float(seconds[-1]) + mean / 2
    longest = max(UNLIKELY * mean, SHORTEST_PAUSE)
    edges = np.concatenate([[run[0]], seconds, [run[1]]])
    pauses = np.flatnonzero(np.diff(edges) > longest)
    starts = np.append(run[0], edges[pauses + 1])
    stops = np.append(edges[pauses], run[1])
    filled = stops > starts
    return np.column_stack([starts[filled], stops[filled]]), run


def intersect(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The times that are in both of two sets of intervals.

    Parameters
    ----------
    ours, theirs : ndarray, shape (n, 2)
        Start and end, in order and apart.

    Returns
    -------
    ndarray, shape (m, 2)
    """
    starts = np.maximum(ours[:, None, 0], theirs[None, :, 0]).ravel()
    stops = np.minimum(ours[:, None, 1], theirs[None, :, 1]).ravel()
    filled = stops > starts
    return np.column_stack([starts[filled], stops[filled]])


def is_within(seconds: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """Which times are in one of the intervals; both ends belong to it.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
    intervals : ndarray, shape (m, 2)
        In order and apart.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if len(intervals) == 0:
        return np.zeros(len(seconds), dtype=bool)
    row = np.searchsorted(intervals[:, 0], seconds, side="right") - 1
    return (row >= 0) & (seconds <= intervals[np.maximum(row, 0), 1])
