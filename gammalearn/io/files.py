"""Opening files, and making them by one process alone."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tables

from ..errors import GammaLearnError, InputFileError
from .data_model import Newer, newer_than_installed
from .distrust import distrust_files
from .finding import check_file
from .plain_pickle import NotPlainError

__all__ = ["exclusive", "open_hdf5", "reading", "sha256"]


# Before any file is opened: all that open one import this.
distrust_files()


def sha256(path: Path) -> str:
    """Checksum of a file's content, as ``sha256sum`` prints it; read piece by piece.

    Raises
    ------
    InputFileError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputFileError(f"'{path}' cannot be read: {error.strerror}.") from error


def open_hdf5(path: Path) -> tables.File:
    """Open an HDF5 file for reading.

    Raises
    ------
    InputFileError
        If it is missing, a directory, not HDF5, or truncated.
    """
    check_file(path)
    try:
        return tables.open_file(path, mode="r")
    except GammaLearnError:
        raise
    except Exception as error:  # damage takes many forms
        raise InputFileError(
            f"'{path}' cannot be read as HDF5: it is truncated, corrupted or of another format."
        ) from error


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Only one process at a time is here with the same folder; the others wait."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    lock = os.open(folder / ".lock", flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Blame a file for what goes wrong while it is read.

    Whatever the damage, HDF5, PyTables or ctapipe stumble over it in their own ways.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What is read, for the error.

    Raises
    ------
    InputFileError
        For any error but those of ours. A file of a newer ctapipe than the installed one is called
        that, any other damaged.
    """
    try:
        yield
    except GammaLearnError:
        raise
    except NotPlainError as error:
        raise InputFileError(
            f"'{path}' holds {error}, not a plain value; code in a file never runs. "
            "Leave the file out."
        ) from error
    except Exception as error:
        newer = _newer_than_installed(path)
        raise InputFileError(
            f"'{path}' {newer.words}: {what} cannot be read; install {newer.remedy}."
            if newer
            else f"'{path}' is damaged: {what} cannot be read."
        ) from error


def _newer_than_installed(path: Path) -> Newer | None:
    """See :func:`newer_than_installed`; None where the file says nothing that can be read."""
    with suppress(Exception), open_hdf5(path) as file:
        return newer_than_installed(file)
    return None
