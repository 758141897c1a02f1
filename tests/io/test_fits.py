"""FITS files whose headers claim what cannot be."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gammalearn.errors import InputFileError
from gammalearn.io.files import open_fits


@pytest.fixture
def path(tmp_path):
    """A picture, and two tables."""
    path = tmp_path / "file.fits"
    tables = [fits.BinTableHDU(Table({"a": np.arange(n), "b": np.ones(n)})) for n in (3, 2000)]
    fits.HDUList([fits.PrimaryHDU(np.zeros((30, 50))), *tables]).writeto(path)
    return path


def claim(path, name, value, hdu):
    """Another value in a header, with all else where it was."""
    content = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        place = hdus[hdu].fileinfo()["hdrLoc"]
    place = content.index(f"{name:8}=".encode(), place)
    content[place : place + 80] = f"{name:8}= {value:>20}".ljust(80).encode()
    path.write_bytes(content)


def test_all_hdus_are_there(path):
    with open_fits(path, "the tables") as hdus:
        assert [len(hdu.data) for hdu in hdus] == [30, 3, 2000]
        assert Table(hdus[2].data)["a"].sum() == 1999 * 1000


@pytest.mark.parametrize("name", ["NAXIS", "TFIELDS"])
@pytest.mark.parametrize("hdu", [1, 2])
@pytest.mark.parametrize("value", [2**31 - 1, 1000, -1])
def test_counts_that_cannot_be_are_refused_at_once(path, name, hdu, value):
    """astropy would count to 2**31."""
    claim(path, name, value, hdu)
    with (
        pytest.raises(InputFileError, match=f"{name} = {value}, and 999 is the most"),
        open_fits(path, "the tables"),
    ):
        pass


def test_a_size_that_cannot_be_is_damage(path):
    claim(path, "NAXIS2", 2**40, 2)
    with (
        pytest.raises(InputFileError, match="is damaged"),
        open_fits(path, "the tables") as hdus,
    ):
        len(hdus[2].data)


@pytest.mark.parametrize("content", [b"", b"no FITS at all", b"SIMPLE  =" + b" " * 10_000])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "file.fits"
    path.write_bytes(content)
    with (
        pytest.raises(InputFileError, match="is damaged: the tables cannot be read"),
        open_fits(path, "the tables") as hdus,
    ):
        hdus[1]
