"""Good times and dead time, compared with what random events were made with."""

import numpy as np
import pytest

from gammalearn.dl3.dead_time import dead_fraction_by_intervals
from gammalearn.dl3.good_times import in_order, intersect, is_within, taking_data


@pytest.mark.parametrize(("rate", "dead_time"), [(8000.0, 7e-6), (3000.0, 1e-4), (50.0, 0.0)])
def test_dead_time_of_a_readout(rate, dead_time):
    """A non-paralysable readout is busy for λτ / (1 + λτ) of the time."""
    random = np.random.default_rng(0)
    arrivals = np.cumsum(random.exponential(1 / rate, 50_000))
    recorded, last = [], -np.inf
    for time in arrivals:
        if time - last >= dead_time:
            recorded.append(time)
            last = time
    expected = rate * dead_time / (1 + rate * dead_time)
    assert dead_fraction_by_intervals(np.diff(recorded)) == pytest.approx(expected, abs=2e-3)


def test_few_events_do_not_tell_a_dead_time():
    assert dead_fraction_by_intervals(np.ones(5)) is None


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        ([1, 2, 3], [1, 1, 1]),
        ([1, 9, 2, 3], [1, 0, 1, 1]),
        ([5, 1, 2, 3], [0, 1, 1, 1]),
        ([1, 2, 2, 3], [1, 0, 1, 1]),
        ([1, np.nan, 2], [1, 0, 1]),
        ([1, 2, 100, 101, 3, 4, 5], [1, 1, 0, 0, 1, 1, 1]),
    ],
)
def test_the_longest_series_in_order_is_kept(seconds, kept):
    found = in_order(np.array(seconds, dtype=float))
    assert found.sum() == np.sum(kept)
    if seconds != [1, 2, 2, 3]:
        assert found.tolist() == [bool(one) for one in kept]
    assert np.all(np.diff(np.array(seconds)[found]) > 0)


def test_chance_makes_no_pause():
    random = np.random.default_rng(1)
    seconds = np.cumsum(random.exponential(0.5, 20_000))
    intervals, run = taking_data(seconds, None)
    assert len(intervals) == 1
    assert run[1] - run[0] == pytest.approx(20_000 * 0.5, rel=0.03)


def test_intervals_in_common():
    ours, theirs = np.array([[0.0, 4], [6, 9]]), np.array([[1.0, 2], [3, 7]])
    common = intersect(ours, theirs)
    assert common.tolist() == [[1, 2], [3, 4], [6, 7]]
    assert is_within(np.array([0.5, 1, 2, 2.5, 6.5, 8]), common).tolist() == [0, 1, 1, 0, 1, 0]
