"""As many threads as other programs leave cores free."""

import multiprocessing
import os
import time

import pytest

from gammalearn.machine.free_cores import (
    INTERVAL,
    CoreSeconds,
    ThreadsOnFreeCores,
    read_core_seconds,
    threads_are_chosen_by_user,
    used_by_others,
)


@pytest.fixture(autouse=True)
def nobody_has_chosen(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


class Machine:
    """Some cores, and a clock that stands until time passes."""

    def __init__(self, n_cores):
        self.threads, self.done = n_cores, CoreSeconds(1000.0, 30.0, 0.0)

    def set_threads(self, number):
        self.threads = number

    def passes(self, seconds, others, own=1.0):
        """Time in which others use so many cores, and our threads so many."""
        self.done = CoreSeconds(
            self.done.all_programs + seconds * (others + own),
            self.done.own + seconds * own,
            self.done.clock + seconds,
        )

    def follow(self):
        return ThreadsOnFreeCores(
            lambda: self.threads, self.set_threads, lambda: self.done.clock, lambda: self.done
        )


def test_what_others_use_is_all_without_our_own():
    # In 2 s, cores worked for 3.5 s, of which 1.5 s for us.
    before, now = CoreSeconds(100.0, 10.0, 5.0), CoreSeconds(103.5, 11.5, 7.0)
    assert used_by_others(before, now) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("n_cores", "others", "threads"),
    [(2, 0.0, 2), (2, 0.2, 2), (2, 0.7, 1), (2, 1.0, 1), (2, 2.0, 1), (16, 3.1, 13), (16, 15.9, 1)],
)
def test_a_thread_for_each_free_core_and_one_at_least(n_cores, others, threads):
    machine = Machine(n_cores)
    follow = machine.follow()
    machine.passes(2 * INTERVAL, others)
    follow()
    assert machine.threads == threads


def test_more_threads_only_after_a_second_look():
    machine = Machine(4)
    follow = machine.follow()
    seen = []
    for others in (3.0, 0.0, 3.0, 0.0, 0.0):
        machine.passes(2 * INTERVAL, others)
        follow()
        seen.append(machine.threads)
    assert seen == [1, 1, 1, 1, 4]


def test_no_look_before_its_time():
    machine = Machine(2)
    follow = machine.follow()
    machine.passes(INTERVAL / 2, 1.0)
    follow()
    assert machine.threads == 2


def test_the_end_gives_all_threads_back():
    machine = Machine(2)
    follow = machine.follow()
    machine.passes(1.0, 1.0)
    follow()
    assert machine.threads == 1
    follow.close()
    assert machine.threads == 2
    machine.passes(1.0, 1.0)
    follow()
    assert machine.threads == 2


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_user_sets_is_kept(name, monkeypatch):
    monkeypatch.setenv(name, "2")
    assert threads_are_chosen_by_user()
    machine = Machine(2)
    follow = machine.follow()
    machine.passes(1.0, 1.0)
    follow()
    assert machine.threads == 2


def test_what_the_user_changes_in_the_meantime_is_kept():
    machine = Machine(8)
    follow = machine.follow()
    machine.threads = 3
    for _ in range(3):
        machine.passes(1.0, 7.0)
        follow()
    follow.close()
    assert machine.threads == 3


def _count_for_ever():
    while True:
        pass


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen here")
def test_the_system_counts_a_busy_neighbour():
    """On one core: a neighbour that counts takes what we leave, and what we do is not counted."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        neighbour = multiprocessing.get_context("fork").Process(target=_count_for_ever)
        neighbour.start()
        try:
            before = read_core_seconds()
            time.sleep(1)
            assert used_by_others(before, read_core_seconds()) > 0.5
        finally:
            neighbour.kill()
            neighbour.join()
    finally:
        os.sched_setaffinity(0, allowed)
