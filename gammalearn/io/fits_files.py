"""FITS files, opened only where their headers can be believed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path

from astropy.io import fits
from astropy.utils.data import get_readable_fileobj

from ..errors import InputFileError
from .files import reading

__all__ = ["open_fits"]

#: Most axes and most columns that the FITS standard (4.0, 4.4.1 and 7.3.1) allows. astropy makes
#: one after the other, however many a header claims.
MOST = 999

#: Bytes of a block, which header and data of each HDU fill up, and most bytes of data that are
#: passed over to find the next HDU.
BLOCK, MOST_BYTES = 2880, 2**34


@contextmanager
def open_fits(path: Path, what: str) -> Iterator[fits.HDUList]:
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
    with reading(path, what):
        _check_headers(path)
        with fits.open(path, memmap=False) as hdus:
            yield hdus


def _check_headers(path: Path) -> None:
    """Refuse counts that would keep astropy busy for hours."""
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


def _bytes_of_data(header: fits.Header) -> int:
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
