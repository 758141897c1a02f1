"""Finding and opening files, and making them by one process alone."""

import fcntl
import fnmatch
import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ctapipe
import tables

from .distrust import distrust_files
from .errors import GammaLearnError, InputFileError
from .plain_pickle import NotPlainError

__all__ = ["exclusive", "find_files", "is_meant", "open_hdf5", "reading", "reason", "sha256"]


# Before any file is opened: all that open one import this.
distrust_files()

#: What to do where there are no events to learn from or to reconstruct.
MAKE_DL1 = (
    "put ctapipe DL1 files (charge and peak time images) there, which `gammalearn simulate` makes"
)


def find_files(patterns: Sequence[str], setting: str, remedy: str = MAKE_DL1) -> list[Path]:
    """The files that names and globs stand for, each once, globs in sorted order.

    A file of several names (``a/b.h5`` and ``./a/b.h5``, links) goes by the first.

    Parameters
    ----------
    patterns : sequence of str
        File names or globs.
    setting : str
        Where they were given, for the error.
    remedy : str
        What to do where nothing matches a glob.

    Raises
    ------
    InputFileError
        If none is given, one does not exist, is a directory, or matches nothing.
    """
    if not patterns:
        raise InputFileError(
            f"{setting} is empty; give one or more DL1 files, e.g. "
            f"--set {setting}='[\"path/to/*.dl1.h5\"]'."
        )
    found: dict[Path, Path] = {}
    for pattern in patterns:
        path = Path(os.path.expanduser(pattern))
        if path.is_dir():
            raise InputFileError(
                f"{setting}: '{pattern}' is a directory; give its files, e.g. '{pattern}/*.h5'."
            )
        if path.exists():
            found.setdefault(path.resolve(), path)
            continue
        if not glob.has_magic(pattern):
            raise InputFileError(f"{setting}: the file '{pattern}' does not exist.")
        matches = [
            p for p in map(Path, sorted(glob.glob(str(path), recursive=True))) if p.is_file()
        ]
        if not matches:
            raise InputFileError(
                f"{setting}: no file matches '{pattern}' in '{Path.cwd()}'; {remedy}, or set "
                f"{setting} to your own."
            )
        for match in matches:
            found.setdefault(match.resolve(), match)
    return list(found.values())


def is_meant(path: str | Path, pattern: str) -> bool:
    """Whether a name or glob stands for a file, which need not exist yet."""
    name, wanted = (Path(os.path.abspath(os.path.expanduser(p))).parts for p in (path, pattern))
    return _parts_match(name, wanted)


def _parts_match(name: Sequence[str], wanted: Sequence[str]) -> bool:
    if not name or not wanted:
        return not name and not wanted
    first, *rest = wanted
    if first == "**":
        # Any number of folders, none included.
        return any(_parts_match(name[n:], rest) for n in range(len(name)))
    return (name[0] == first or fnmatch.fnmatchcase(name[0], first)) and _parts_match(
        name[1:], rest
    )


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


def reason(error: OSError | tables.HDF5ExtError) -> str:
    """Why a file could not be written, in words for an error."""
    if isinstance(error, tables.HDF5ExtError):
        # HDF5 keeps to itself what the system said, and a trace may stand before its own words.
        return f"{str(error).splitlines()[-1].rstrip('.')} (is the disk full?)"
    return str(error)


def open_hdf5(path: Path) -> tables.File:
    """Open an HDF5 file for reading.

    Raises
    ------
    InputFileError
        If it is missing, a directory, not HDF5, or truncated.
    """
    path = Path(path)
    if path.is_dir():
        raise InputFileError(f"'{path}' is a directory; give a file.")
    if not path.exists():
        raise InputFileError(f"The file '{path}' does not exist.")
    if not path.is_file():
        raise InputFileError(f"'{path}' is no regular file, but a pipe or a device; give a file.")
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
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def reading(path: Path, what: str):
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
        For any error but those of ours.
    """
    try:
        yield
    except GammaLearnError:
        raise
    except NotPlainError as error:
        raise InputFileError(
            f"'{path}' holds {error}, not a plain value; nothing that a file brings along is run. "
            "Leave the file out."
        ) from error
    except Exception as error:
        raise InputFileError(
            f"'{path}' is damaged, or made by a newer ctapipe than the {ctapipe.__version__} "
            f"installed here: {what} cannot be read."
        ) from error
