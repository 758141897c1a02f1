"""Opening files, and making them by one process alone."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import tables

from ..errors import GammaLearnError, InputFileError
from .data_model import Newer, newer_than_installed
from .distrust import distrust_files
from .finding import check_file
from .plain_pickle import NotPlainError

if TYPE_CHECKING:
    # Slow to import, for those that read no FITS.
    from astropy.io.fits import HDUList, Header

__all__ = ["exclusive", "open_fits", "open_hdf5", "reading", "sha256"]

#: Most axes and most columns that the FITS standard (4.0, 4.4.1 and 7.3.1) allows. astropy makes
#: one after the other, however many a header claims.
MOST = 999

#: Bytes of a block, which header and data of each HDU fill up, and most bytes of data that are
#: passed over to find the next HDU.
BLOCK, MOST_BYTES = 2880, 2**34


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


@contextmanager
def open_fits(path: Path, what: str) -> Iterator["HDUList"]:
    """The HDUs of a file, read into memory as they are asked for.

    Parameters
    ----------
    path : Path
    what : str
        What is read from it, for an error.

    Raises
    ------
    InputFileError
        If the file is missing, damaged, or claims more axes or columns than there can be.
    """
    from astropy.io import fits

    with reading(path, what):
        _check_headers(path)
        with fits.open(path, memmap=False) as hdus:
            yield hdus


def _check_headers(path: Path) -> None:
    """Refuse counts that would keep astropy busy for hours."""
    from astropy.io import fits
    from astropy.utils.data import get_readable_fileobj

    # What cannot be followed ends the look: astropy says what is wrong there.
    with (
        suppress(EOFError, OSError, KeyError, ValueError, fits.VerifyError),
        get_readable_fileobj(str(path), encoding="binary") as file,
    ):
        while True:
            header = fits.Header.fromfile(file)
            for name in ("NAXIS", "TFIELDS"):
                _check_count(path, name, header.get(name, 0))
            file.seek(-(-_bytes_of_data(header) // BLOCK) * BLOCK, 1)


def _check_count(path: Path, name: str, count: object) -> None:
    if not (isinstance(count, int) and 0 <= count <= MOST):
        raise InputFileError(
            f"'{path}' is damaged: the header of an HDU has {name} = {count}, and {MOST} is the "
            "most that there can be; get another copy of it."
        )


def _bytes_of_data(header: "Header") -> int:
    """Bytes after a header (FITS standard 4.0, 4.4.1.1 and equation 2).

    Raises
    ------
    ValueError
        If they are negative, or too many to be passed over.
    """
    axes = [int(header[f"NAXIS{i}"]) for i in range(1, int(header["NAXIS"]) + 1)]
    values = int(header.get("PCOUNT", 0)) + (prod(axes) if axes else 0)
    size = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1)) * values
    if not 0 <= size <= MOST_BYTES:
        raise ValueError(f"{size} bytes of data")
    return size
