"""Proxy A-distance."""

import numpy as np
import pytest

from gammalearn.tasks.adaptation import proxy_a_distance


def test_two_halves_of_one_set_have_no_distance():
    """Its error is that of a share: 4 √(ε (1 − ε) / 2n), here 0.045."""
    events = np.random.default_rng(1).normal(size=(2000, 10))
    assert abs(proxy_a_distance(events[:1000], events[1000:])) < 3 * 4 * np.sqrt(0.25 / 2000)


def test_sets_that_are_far_apart():
    random = np.random.default_rng(2)
    assert proxy_a_distance(random.normal(size=(100, 4)), random.normal(9, size=(80, 4))) == 2


def test_normal_distributions_side_by_side():
    """One standard deviation apart: the best classifier is wrong for Φ(−1/2) = 30.85 %."""
    random = np.random.default_rng(3)
    a, b = random.normal(0, 1, (4000, 1)), random.normal(1, 1, (4000, 1))
    assert proxy_a_distance(a, b) == pytest.approx(2 * (1 - 2 * 0.3085), abs=0.06)


def test_numbers_of_events_do_not_count():
    random = np.random.default_rng(4)
    assert abs(proxy_a_distance(random.normal(size=(5000, 3)), random.normal(size=(500, 3)))) < 0.2


def test_too_few_events_have_none():
    assert np.isnan(proxy_a_distance(np.zeros((19, 2)), np.zeros((500, 2))))
