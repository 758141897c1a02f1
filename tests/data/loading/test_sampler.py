"""The order of events: each once an epoch, whoever reads them, and how well they are shuffled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data.loading.sampler import EventOrder


def order(multiplicity, file=None, telescopes=4, batch_size=4, **options):
    multiplicity = np.asarray(multiplicity)
    file = np.zeros(len(multiplicity), dtype=int) if file is None else np.asarray(file)
    return EventOrder(
        multiplicity, file, np.full(file.max() + 1, telescopes), batch_size, **options
    )


def sequence(plan):
    return np.concatenate(plan.batches).tolist()


events = st.lists(st.integers(1, 5), min_size=1, max_size=60)


@given(
    multiplicity=events,
    n_files=st.integers(1, 3),
    world_size=st.integers(1, 4),
    batch_size=st.integers(1, 9),
    window=st.integers(1, 150),
    seed=st.none() | st.integers(0, 3),
)
def test_each_event_once_on_one_rank(multiplicity, n_files, world_size, batch_size, window, seed):
    n_events = len(multiplicity)
    file = np.sort(np.arange(n_events) % n_files)
    plans = []
    for rank in range(world_size):
        made = order(multiplicity, file, batch_size=batch_size, window=window, seed=seed,
                     rank=rank, world_size=world_size)  # fmt: skip
        made.set_epoch(2)
        plans.append(made.plan())
        assert len(plans[-1].batches) == len(made)
    seen = [item for plan in plans for item in sequence(plan)]
    if n_events >= world_size:
        assert sorted(seen) == list(range(n_events))
    else:
        assert set(seen) == set(range(n_events)) and len(seen) == world_size
    sizes = [[len(batch) for batch in plan.batches] for plan in plans]
    assert len({len(of_rank) for of_rank in sizes}) == 1, "none waits for another"
    for of_rank in sizes:
        assert min(of_rank) >= 1 and max(of_rank) <= min(of_rank) + 1
        uneven = batch_size == 1 and n_events % world_size > 0
        assert max(of_rank) <= batch_size + uneven
    for plan in plans:
        assert sorted(np.concatenate(plan.blocks)) == sorted(sequence(plan))
        for block in plan.blocks:
            assert np.all(np.diff(block) >= 1) and len(set(file[block])) == 1
            if world_size == 1 or seed is None:
                assert np.all(np.diff(block) == 1)


@given(
    n_events=st.integers(60, 300),
    world_size=st.sampled_from([2, 4, 8, 16]),
    batch_size=st.integers(1, 9),
    window=st.integers(1, 1000),
)
def test_several_processes_do_together_what_one_does(n_events, world_size, batch_size, window):
    """The same events in each step, as many in each process as in the others or one fewer."""
    multiplicity = 1 + np.arange(n_events) % 3
    options = {"window": window, "seed": 3}
    one = order(multiplicity, batch_size=batch_size * world_size, **options).plan().batches
    several = [
        order(
            multiplicity, batch_size=batch_size, rank=rank, world_size=world_size, **options
        ).plan().batches
        for rank in range(world_size)
    ]  # fmt: skip
    if batch_size == 1 and n_events % world_size:
        return  # some batches are of two events then
    for number, batch in enumerate(one):
        parts = [batches[number] for batches in several]
        assert sorted(np.concatenate(parts)) == sorted(batch)
        assert max(map(len, parts)) <= min(map(len, parts)) + 1


def test_any_number_of_processes_does_what_one_does_within_the_window():
    one = order([1] * 100, batch_size=15, seed=1).plan().batches
    three = [
        order([1] * 100, batch_size=5, seed=1, rank=r, world_size=3).plan().batches
        for r in range(3)
    ]
    for number, batch in enumerate(one):
        together = np.concatenate([batches[number] for batches in three])
        assert sorted(together) == sorted(batch)


def test_each_process_reads_its_own_blocks():
    """But for those that two lanes share, when there is more than the window holds."""
    n_events = 20_000
    plans = [
        order([2] * n_events, batch_size=8, seed=1, window=4096, rank=rank, world_size=4).plan()
        for rank in range(4)
    ]
    n_blocks = sum(len(plan.blocks) for plan in plans)
    alone = len(order([2] * n_events, batch_size=32, seed=1, window=4096).plan().blocks)
    assert n_blocks <= alone + 16


@given(multiplicity=events, window=st.integers(1, 100))
def test_no_more_images_wait_than_the_window_holds(multiplicity, window):
    """Beside those of the block that was read last."""
    multiplicity = np.array(multiplicity)
    made = order(multiplicity, batch_size=1, window=window, seed=1)
    plan = made.plan()
    block_of = np.empty(len(multiplicity), dtype=int)
    for number, block in enumerate(plan.blocks):
        block_of[block] = number
    sizes = np.array([multiplicity[block].sum() for block in plan.blocks])
    n_read = waiting = 0
    for (item,) in plan.batches:
        while n_read <= block_of[item]:
            waiting += sizes[n_read]
            n_read += 1
        assert waiting <= window + sizes.max() + multiplicity.max()
        waiting -= multiplicity[item]
    assert waiting == 0


def test_in_order_unless_shuffled():
    made = order([1] * 13)
    assert sequence(made.plan()) == list(range(13))
    assert [len(batch) for batch in made.plan().batches] == [3, 3, 3, 4]


def test_the_seed_and_the_epoch_make_the_order():
    def made(seed, epoch, window):
        one = order([2] * 500, seed=seed, window=window)
        one.set_epoch(epoch)
        return sequence(one.plan())

    for window in (200, 5000):
        assert made(1, 0, window) == made(1, 0, window)
        different = [made(1, 0, window), made(1, 1, window), made(7, 0, window), list(range(1000))]
        assert len(set(map(tuple, different))) == 4


def test_blocks_hold_some_rows_of_each_telescope():
    plan = order([2] * 1000, telescopes=4, window=10**6, seed=1).plan()
    assert sorted({len(block) for block in plan.blocks}) == [1000 % 128, 128]


def test_many_telescopes_do_not_make_a_window_of_one_block():
    plan = order([10] * 3000, telescopes=60, window=1600, seed=1).plan()
    assert {len(block) for block in plan.blocks} == {5}


@pytest.mark.parametrize("window", [2048, 10**6])
def test_quality_of_the_shuffle(window):
    """Neighbours in the file are as far apart as in a full shuffle, as far as the window goes.

    Ten events in a row are of one shower (its reuses). In a batch of 64 of 20 000 events, a full
    shuffle has 64 · 63 / 2 · 9 / 19 999 = 0.9 pairs of one shower.
    """
    n_events, size = 20_000, 64
    made = order([1] * n_events, telescopes=1, batch_size=size, window=window, seed=1)
    plan = made.plan()
    pairs = np.mean([
        sum(n * (n - 1) / 2 for n in np.unique(batch // 10, return_counts=True)[1])
        for batch in plan.batches
    ])  # fmt: skip
    expected = size * (size - 1) / 2 * 9 / n_events
    if window > n_events:
        assert pairs == pytest.approx(expected, rel=0.15)
    else:
        # Drawn from the window that was read before with equal chances, each batch would have as
        # many as in a full shuffle of the window's events; in fact those of the blocks that were
        # just read have greater ones.
        assert 0.85 < pairs / (expected * n_events / window) < 1.6
    # The place in the file and the place in the epoch have nothing to do with each other.
    correlation = np.corrcoef(sequence(plan), np.arange(n_events))[0, 1]
    assert abs(correlation) < (0.02 if window > n_events else 0.2)
