"""Splits: whole showers, a share of each particle, the same for everyone."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data import split_by_shower

PARTICLES = ["gamma", "proton", "electron", ""]


def events_of(showers):
    obs_id, shower_id, particle = zip(*showers, strict=True) if showers else ((), (), ())
    return Table(
        {
            "obs_id": np.array(obs_id, dtype=np.int64),
            "shower_id": np.array(shower_id, dtype=np.int64),
            # A shower has one primary.
            "particle": np.array([PARTICLES[p] for p in particle], dtype="U16"),
        }
    )


@st.composite
def events(draw):
    obs_ids = st.integers(1, 3)
    shower_ids = st.integers(0, 20)
    primaries = draw(st.dictionaries(st.tuples(obs_ids, shower_ids), st.integers(0, 3)))
    keys = sorted(primaries)
    rows = draw(st.lists(st.sampled_from(keys), max_size=60)) if keys else []
    return events_of([(*key, primaries[key]) for key in rows])


fractions = st.floats(0, 1, exclude_max=True)
seeds = st.integers(0, 2**32)


def showers(table):
    return set(zip(table["obs_id"], table["shower_id"], table["particle"], strict=True))


@given(events(), fractions, seeds)
def test_divides_the_events_without_tearing_a_shower(table, fraction, seed):
    training, validation = split_by_shower(table, fraction, seed)
    assert np.all(np.diff(training) > 0) and np.all(np.diff(validation) > 0)
    assert sorted([*training, *validation]) == list(range(len(table)))
    assert not showers(table[training]) & showers(table[validation])


@given(events(), fractions, seeds)
def test_each_particle_has_its_share(table, fraction, seed):
    _, validation = split_by_shower(table, fraction, seed)
    for particle in set(table["particle"]):
        n_showers = len(showers(table[table["particle"] == particle]))
        mine = table[validation][table["particle"][validation] == particle]
        n_validation = len(showers(mine))
        if fraction == 0 or n_showers == 1:
            assert n_validation == 0
        else:
            assert 1 <= n_validation <= n_showers - 1
            nearest = np.clip(fraction * n_showers, 1, n_showers - 1)
            assert abs(n_validation - nearest) <= 0.5


@given(events(), fractions, seeds, st.randoms())
def test_does_not_depend_on_the_order_of_the_rows(table, fraction, seed, random):
    order = list(range(len(table)))
    random.shuffle(order)
    _, validation = split_by_shower(table, fraction, seed)
    _, shuffled = split_by_shower(table[order], fraction, seed)
    assert sorted(np.array(order, dtype=int)[shuffled]) == list(validation)


def test_does_not_depend_on_other_particles():
    both = events_of([(1, i, i % 2) for i in range(100)])
    gammas = both[both["particle"] == "gamma"]
    assert showers(gammas[split_by_shower(gammas, 0.3, 5)[1]]) == {
        key for key in showers(both[split_by_shower(both, 0.3, 5)[1]]) if key[2] == "gamma"
    }


def test_is_the_same_in_every_run():
    """The order comes from a hash, not from a generator or Python's own salted hashes."""
    table = events_of([(1, i, 0) for i in range(12)])
    assert split_by_shower(table, 0.25, 1)[1].tolist() == [3, 5, 6]


def test_another_seed_divides_otherwise():
    table = events_of([(1, i, 0) for i in range(1000)])
    first, second = (split_by_shower(table, 0.2, seed)[1] for seed in (1, 2))
    assert len(first) == len(second) == 200
    # Independent choices share 40 ± 5.7.
    assert len(np.intersect1d(first, second)) == pytest.approx(40, abs=30)


def test_chooses_evenly():
    """How often a shower is chosen depends neither on its number nor on its run."""
    table = events_of([(run, i, 0) for run in (1, 2) for i in range(20)])
    counts = np.zeros(len(table))
    for seed in range(400):
        counts[split_by_shower(table, 0.25, seed)[1]] += 1
    # 100 ± 8.7 each
    assert counts.sum() == 400 * 10
    assert np.all(abs(counts - 100) < 45)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_only_shower_is_learnt_from(fraction):
    training, validation = split_by_shower(events_of([(1, 4, 0)] * 3), fraction, 1)
    assert training.tolist() == [0, 1, 2] and validation.tolist() == []


def test_no_events():
    training, validation = split_by_shower(events_of([]), 0.2, 1)
    assert training.tolist() == validation.tolist() == []
