"""As many threads as other programs leave cores free.

The threads of a layer wait for the slowest of them. One that shares its core with another program
slows all the others down: beside one busy program on two cores, two threads are three times slower
than one.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

__all__ = [
    "CoreSeconds",
    "ThreadsOnFreeCores",
    "read_core_seconds",
    "threads_are_chosen_by_user",
    "used_by_others",
]

log = logging.getLogger(__name__)

#: The user's own choice of the number of threads, which nothing here changes.
CHOSEN_BY = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

#: Seconds between two looks at the machine.
INTERVAL = 0.5

#: Share of a core that others may use without a thread less: the system always does something.
NEGLIGIBLE = 0.25


def threads_are_chosen_by_user(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a variable of OpenMP or MKL sets the number of threads."""
    return any(environment.get(name) for name in CHOSEN_BY)


@dataclass(frozen=True)
class CoreSeconds:
    """What the cores that we may use have done until now.

    Attributes
    ----------
    all_programs, own : float
        Seconds in which they worked for any program, and for this process.
    clock : float
        Time (s).
    """

    all_programs: float
    own: float
    clock: float


def read_core_seconds() -> CoreSeconds:
    """What the operating system counts."""
    process = psutil.Process()
    cores = psutil.cpu_times(percpu=True)
    # Not every system lets a process be kept to some of its cores.
    affinity = getattr(process, "cpu_affinity", None)
    ours = [cores[number] for number in affinity() if number < len(cores)] if affinity else cores
    own = process.cpu_times()
    return CoreSeconds(
        sum(core.user + core.nice + core.system for core in ours),
        own.user + own.system,
        time.monotonic(),
    )


def used_by_others(before: CoreSeconds, now: CoreSeconds) -> float:
    """Mean number of cores on which other programs worked."""
    own = now.own - before.own
    return max(0.0, now.all_programs - before.all_programs - own) / (now.clock - before.clock)


class ThreadsOnFreeCores:
    """Keeps the number of threads at that of the cores that others leave free.

    Nothing changes if the user has set ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS``, or changes the
    number of threads in the meantime. Fewer threads are used at once, more only after a second
    look.

    Parameters
    ----------
    get_threads : callable
        Number of threads, such as ``torch.get_num_threads``.
    set_threads : callable
        Change it, such as ``torch.set_num_threads``.
    clock : callable
        Time (s).
    read : callable
        What the cores have done until now, `CoreSeconds`.
    """

    def __init__(
        self,
        get_threads: Callable[[], int],
        set_threads: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[], CoreSeconds] = read_core_seconds,
    ):
        self._get, self._set, self._clock, self._read = get_threads, set_threads, clock, read
        self._most = self._threads = get_threads()
        self._follows = self._most > 1 and not threads_are_chosen_by_user()
        self._more_were_free = False
        if self._follows:
            self._last = read()

    def __call__(self) -> None:
        """Look at the machine if the last look is long ago; to be called at each step."""
        if not self._follows or self._clock() - self._last.clock < INTERVAL:
            return
        before, self._last = self._last, self._read()
        if self._get() != self._threads:
            self._follows = False  # somebody else has decided
            return
        free = self._most - used_by_others(before, self._last)
        wanted = max(1, math.floor(free + NEGLIGIBLE))
        is_sure, self._more_were_free = self._more_were_free, wanted > self._threads
        if wanted < self._threads or (wanted > self._threads and is_sure):
            log.debug("%.1f of %d cores are free: %d threads", free, self._most, wanted)
            self._set(wanted)
            self._threads = wanted

    def close(self) -> None:
        """Use as many threads as at the beginning."""
        if self._follows and self._get() == self._threads != self._most:
            self._set(self._most)
        self._follows = False
