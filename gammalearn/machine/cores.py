"""Processor cores: how many there are for us, and how many processes that is enough for."""

import os

from ..errors import SettingsError

__all__ = ["check_workers", "usable_cores"]

#: Workers for each core, and on machines of few cores in all: more would only wait for each other.
MOST_PER_CORE, ALWAYS_ALLOWED = 4, 16


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    # Not every system lets a process be kept to some of its cores.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """Refuse more processes that load data than this machine has any use for.

    Parameters
    ----------
    workers : int
        Setting ``training.workers``.

    Raises
    ------
    SettingsError
        If there are too many.
    """
    most = max(MOST_PER_CORE * usable_cores(), ALWAYS_ALLOWED)
    if workers > most:
        raise SettingsError(
            f"training.workers={workers} is more than {usable_cores()} processor "
            f"core(s) can use; set at most {most}."
        )
