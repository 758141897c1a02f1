"""Files that have their name only when they are complete, and that one process writes at a time."""

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError

__all__ = [
    "CANNOT_GROW",
    "claimed",
    "make_folder",
    "names_beside",
    "reason",
    "whole_file",
    "write_whole",
]

#: What the operating system says where a file cannot grow.
CANNOT_GROW = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: Seconds that a process waits for another one to end which writes the same. A process that was
#: killed may take a moment to be gone.
PATIENCE = 5.0


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they are there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output folder '{path}' cannot be made ({error.strerror}); give another one."
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file beside ``path``; when it is complete and on the disk, it gets that name.

    Parameters
    ----------
    path : pathlib.Path
        The file to write; what it held before is replaced at once.

    Yields
    ------
    pathlib.Path
        The name to write to, in the same folder and with the same suffix.

    Raises
    ------
    OutputError
        If it cannot be written, or another process is writing it.
    """
    path = Path(path)
    part, lock = names_beside(path)
    try:
        with claimed(lock, path):
            # What a process that was killed has left. Not all libraries replace it.
            part.unlink(missing_ok=True)
            try:
                yield part
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                os.replace(part, path)
            finally:
                with suppress(OSError):
                    part.unlink()
    except _of_writing() as error:
        raise OutputError(f"The file '{path}' cannot be written ({reason(error)}).") from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let a function write a file, as with :func:`whole_file`.

    Parameters
    ----------
    path : pathlib.Path
    write : callable
        Gets the path to write to.

    Raises
    ------
    OutputError
        If it cannot be written, or another process is writing it.
    """
    with whole_file(path) as part:
        write(part)


def names_beside(path: Path) -> tuple[Path, Path]:
    """What is beside a file while it is written: its part, and the lock that claims it."""
    # The suffix stays last, as libraries choose the format by it.
    return path.with_name(f".{path.stem}.part{path.suffix}"), path.with_name(f".{path.name}.lock")


def _of_writing() -> tuple[type[Exception], ...]:
    """What is raised where a file cannot be written."""
    # It is slow to import. Where nobody has done so, it raises nothing.
    tables = sys.modules.get("tables")
    return (OSError, tables.HDF5ExtError) if tables else (OSError,)


def reason(error: Exception) -> str:
    """Why a file could not be written, in words for an error.

    Parameters
    ----------
    error : OSError or tables.HDF5ExtError
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # HDF5 keeps to itself what the system said, and a trace may stand before its own words.
    return f"{str(error).splitlines()[-1].rstrip('.')} (is the disk full?)"


@contextmanager
def claimed(lock: Path, what: Path) -> Iterator[None]:
    """No other process is here with the same lock.

    Parameters
    ----------
    lock : pathlib.Path
        A file, in a folder that exists. It is removed at the end.
    what : pathlib.Path
        What is written, for the error.

    Raises
    ------
    OutputError
        If another process holds the lock, or it cannot be made.
    """
    descriptor = _lock(lock, what)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _lock(lock: Path, what: Path) -> int:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError as error:
            raise OutputError(
                f"'{what}' cannot be written, as the folder '{lock.parent}' does not exist; make "
                "it, or give another place."
            ) from error
        except OSError as error:
            raise OutputError(f"'{what}' cannot be written ({error.strerror}).") from error
        try:
            # Of this process alone: those that it forks do not hold it beyond its end.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            is_ours = False
        except OSError:
            return descriptor  # A file system that knows no locks.
        else:
            # Who held it before may have removed it between the two calls.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), lock.stat()):
                    return descriptor
            is_ours = True
        os.close(descriptor)
        if is_ours:
            continue
        if time.monotonic() > end:
            raise OutputError(
                f"Another process is writing '{what}'; wait for its end, or give another output."
            )
        time.sleep(0.1)
