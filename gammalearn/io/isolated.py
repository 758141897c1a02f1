"""Reading files in processes that may die of it.

Some damage to an HDF5 file is no error to the HDF5 library but a crash, which ends the process.
What opens a file for the first time is therefore done by a child: it may die, and the name of the
file is left.
"""

import ctypes
import gc
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ..errors import GammaLearnError, InputFileError

__all__ = ["isolated", "read_isolated"]

#: A fork takes some 20 ms, a process that begins anew seconds, to import what it needs. A child
#: does not touch what its parent has open: it opens files itself.
CONTEXT = get_context("fork") if sys.platform == "linux" else get_context("spawn")

#: Of Linux's ``prctl``: the signal that a process gets when its parent ends.
PR_SET_PDEATHSIG = 1


def isolated(
    function: Callable[[Path], Any], paths: Sequence[Path], processes: int = 1
) -> Generator[Any, None, None]:
    """Results of a function of files, each called in a child process, which begins at once.

    Parameters
    ----------
    function : callable
        Called with a path; it and its result travel between processes.
    paths : sequence of Path
    processes : int
        Children at a time; each takes one file after the other, until it cannot read one.

    Returns
    -------
    iterator
        What the function returned, in the order of the paths; or, as an answer too, the
        GammaLearnError that it raised, and an InputFileError where the child died.
    """
    answers = _answers(function, paths, processes)
    # As far as to where the children are at work.
    next(answers)
    return answers


def _answers(
    function: Callable[[Path], Any], paths: Sequence[Path], processes: int
) -> Generator[Any, None, None]:
    """None when the children have begun, then their answers."""
    waiting = list(enumerate(paths))[::-1]
    working: dict[Connection, tuple[Any, int]] = {}
    answers: dict[int, Any] = {}
    try:
        while waiting and len(working) < max(processes, 1):
            _give(waiting, working, *_start(function))
        yield None
        for number in range(len(paths)):
            while number not in answers:
                ready = wait(list(working))
                for connection in [waited for waited in working if waited in ready]:
                    child, done = working.pop(connection)
                    try:
                        succeeded, answers[done] = connection.recv()
                    except EOFError:
                        child.join()
                        connection.close()
                        answers[done] = _death(paths[done], child.exitcode)
                        if waiting:
                            _give(waiting, working, *_start(function))
                        continue
                    if not succeeded:
                        raise answers[done]
                    # A library that has stumbled over damage may stumble over the next file too.
                    failed = isinstance(answers[done], GammaLearnError)
                    if waiting and not failed:
                        _give(waiting, working, child, connection)
                        continue
                    _end(child, connection)
                    if waiting:
                        _give(waiting, working, *_start(function))
            yield answers.pop(number)
    finally:
        for connection, (child, _) in working.items():
            child.kill()
            child.join()
            connection.close()


def read_isolated(function: Callable[[Path], Any], path: Path) -> Any:
    """The result of a function of one file, called in a child process.

    Raises
    ------
    GammaLearnError
        What the function raised, or an InputFileError where the child died.
    """
    (answer,) = isolated(function, [path])
    if isinstance(answer, GammaLearnError):
        raise answer
    return answer


def _start(function: Callable[[Path], Any]) -> tuple[Any, Connection]:
    ours, theirs = CONTEXT.Pipe()
    child = CONTEXT.Process(target=_serve, args=(function, theirs, ours), daemon=True)
    with warnings.catch_warnings():
        # Newer Pythons warn of locks that other threads may hold; the child takes none of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    # The child's alone: its end is then known at once.
    theirs.close()
    return child, ours


def _give(
    waiting: list[tuple[int, Path]],
    working: dict[Connection, tuple[Any, int]],
    child: BaseProcess,
    connection: Connection,
) -> None:
    number, path = waiting.pop()
    working[connection] = child, number
    # To one that has died meanwhile: its end is noticed next.
    with suppress(BrokenPipeError):
        connection.send(path)


def _end(child: BaseProcess, connection: Connection) -> None:
    with suppress(BrokenPipeError):
        connection.send(None)
    child.join()
    connection.close()


def _serve(function: Callable[[Path], Any], connection: Connection, other_end: Connection) -> None:
    """What a child does: answer until nobody asks."""
    # What the parent had open and no longer needs is not closed here, in the midst of reading.
    gc.freeze()
    # Its copy, or it would never know that its parent is no more.
    other_end.close()
    # Ctrl-C and SLURM's signal before the time limit go to all processes; the parent decides.
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        # No child goes on writing where its parent was killed.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        if path is None:
            return
        try:
            answer = True, function(path)
        except GammaLearnError as error:
            if error.__cause__ is not None:
                # What it was caused by does not travel.
                error.add_note(traceback.format_exc())
            answer = True, error
        except BaseException as error:
            error.add_note(traceback.format_exc())
            answer = False, error
        try:
            connection.send(answer)
        except BrokenPipeError:
            return
        # It may be large; the next is made without it in memory.
        del answer


def _death(path: Path, exit_code: int) -> InputFileError:
    if exit_code == -signal.SIGKILL:
        return InputFileError(
            f"The process that read '{path}' was killed, perhaps for want of memory; set fewer "
            "training.workers, or leave the file out."
        )
    return InputFileError(
        f"'{path}' is damaged, so that the library that reads it crashes (exit status "
        f"{exit_code}); make or copy the file again, or leave it out."
    )
