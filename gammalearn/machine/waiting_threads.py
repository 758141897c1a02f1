"""Threads that wait for each other without taking a core from whoever else could use it."""

import os
from collections.abc import MutableMapping

__all__ = ["wait_without_spinning"]

#: How libraries of OpenMP let a thread wait, by their variables: GNU's, which torch's wheels bring,
#: and LLVM's and Intel's of other builds. A thread of GNU's looks 300 000 times for its next task
#: before it sleeps, some milliseconds: on a machine where another process wants a core, the
#: threads that have work wait for those that have none. 1000 times is what it does by itself where
#: one process has more threads than there are cores. The other two libraries count milliseconds.
SPINNING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}

#: Where the user has set one of these, they have decided.
DECIDED_BY = {*SPINNING, "OMP_WAIT_POLICY"}


def wait_without_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have threads that wait sleep soon, unless the user has said how they are to wait.

    A library reads its variables where it is loaded, so that this comes before torch is imported.
    Processes that are started take it over.

    Parameters
    ----------
    environment : mutable mapping of str to str
        Variables of this process and of those that it starts.
    """
    if not DECIDED_BY & set(environment):
        environment.update(SPINNING)
