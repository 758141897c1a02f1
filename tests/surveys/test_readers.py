"""SNANA's text and FITS files, and what they say of an object."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gammalearn.errors import InputFileError
from gammalearn.surveys.readers import read_objects

TEXT = """\
SURVEY: DES
SNID:   5440
SNTYPE:  -9
FILTERS: griz
RA:      36.750000  deg
DECL:    -4.500000  deg
MWEBV:   0.0283    MW E(B-V)
HOST_GALAXY_PHOTO-Z:   0.3555  +- 0.0212

SIM_COMMENT:  SN Type = II , MODEL = SDSS-013376
SIM_REDSHIFT:  0.3617
NOBS: 2
VARLIST:  MJD  FLT FIELD   FLUXCAL   FLUXCALERR   SNR    MAG     MAGERR  SIM_MAG
OBS:  56274.188  g NULL   4.794e-01   3.586e+00   0.13   99.000    5.000   98.990
OBS:  56274.195  r NULL  -3.739e+00   2.731e+00  -1.37   99.000    5.000   99.004
END:
"""


def test_text(tmp_path):
    (tmp_path / "DES_SN005440.DAT").write_text(TEXT)
    found = read_objects([tmp_path / "DES_SN005440.DAT"])
    (row,) = found.objects
    assert (row["object_id"], row["type"], row["confirmed"]) == ("5440", "II", False)
    assert (row["ra"], row["dec"], row["ebv"]) == (36.75, -4.5, 0.0283)
    assert (row["host_redshift"], row["host_redshift_error"]) == (0.3555, 0.0212)
    assert row["redshift"] == 0.3617
    assert (found.survey, found.bands) == ("DES", ("g", "r"))
    assert found.time.tolist() == [56274.188, 56274.195]
    np.testing.assert_allclose(found.flux, [0.4794, -3.739])
    np.testing.assert_allclose(found.flux_error, [3.586, 2.731])


def test_a_confirmed_object_without_photometric_redshift(tmp_path):
    text = TEXT.replace("SNTYPE:  -9", "SNTYPE:  1").replace("0.3555  +- 0.0212", "-9.0 +- 9.0")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("SIM"))
    (tmp_path / "a.DAT").write_text(text)
    (row,) = read_objects([tmp_path / "a.DAT"]).objects
    assert (row["type"], row["confirmed"]) == ("Ia", True)
    assert np.isnan([row["host_redshift"], row["host_redshift_error"], row["redshift"]]).all()


@pytest.mark.parametrize(
    "text, words",
    [
        ("SNID: 3\n", "is no light curve of SNANA"),
        (TEXT.replace("4.794e-01", "much"), "is damaged"),
        (TEXT.replace("FLUXCAL ", "FLUX "), "is damaged"),
    ],
)
def test_damaged_text_is_refused(tmp_path, text, words):
    (tmp_path / "a.DAT").write_text(text)
    with pytest.raises(InputFileError, match=words):
        read_objects([tmp_path / "a.DAT"])


@pytest.fixture
def head(tmp_path):
    """Two objects of SNANA's simulation, with a separator after each light curve."""
    head = Table(
        {
            "SNID": ["17", "18"], "RA": [1.0, 2.0], "DEC": [3.0, 4.0], "MWEBV": [0.01, 0.02],
            "SNTYPE": [1, -9], "HOSTGAL_PHOTOZ": [0.3, -9.0], "HOSTGAL_PHOTOZ_ERR": [0.02, -9.0],
            "SIM_TYPE_INDEX": [1, 2], "SIM_REDSHIFT_CMB": [0.31, 0.5],
            "PTROBS_MIN": [1, 4], "PTROBS_MAX": [2, 6],
        }
    )  # fmt: skip
    phot = Table(
        {
            "MJD": [10.0, 11.0, -777.0, 20.0, 21.0, 22.0, -777.0],
            "BAND": ["r", "g", "-", "g", "g", "LSST-z", "-"],
            "FLUXCAL": [1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 0.0],
            "FLUXCALERR": [0.1, 0.2, 0.0, 0.3, 0.4, 0.5, 0.0],
        }
    )
    head.write(tmp_path / "SIM_HEAD.FITS")
    phot.write(tmp_path / "SIM_PHOT.FITS")
    with fits.open(tmp_path / "SIM_HEAD.FITS", mode="update") as file:
        file[0].header["SURVEY"] = "LSST"
    return tmp_path / "SIM_HEAD.FITS"


def test_fits(head):
    found = read_objects([head, head.with_name("SIM_PHOT.FITS")])
    assert list(found.objects["object_id"]) == ["17", "18"]
    assert list(found.objects["type"]) == ["Ia", "II"]
    assert list(found.objects["confirmed"]) == [True, False]
    np.testing.assert_array_equal(found.objects["host_redshift"], [0.3, np.nan])
    assert (found.survey, found.bands) == ("LSST", ("g", "r", "z"))
    assert found.start.tolist() == [0, 2, 5]
    assert found.time.tolist() == [10, 11, 20, 21, 22]
    assert found.band.tolist() == [1, 0, 0, 0, 2]
    assert found.flux.tolist() == [1, 2, 3, 4, 5]


def test_fits_without_light_curves_is_refused(head):
    head.with_name("SIM_PHOT.FITS").unlink()
    with pytest.raises(InputFileError, match="which is missing"):
        read_objects([head])


def test_fits_of_more_axes_than_can_be_is_refused(head):
    """astropy would be busy with them for hours."""
    photometry = head.with_name("SIM_PHOT.FITS")
    content = photometry.read_bytes()
    place = content.index(b"NAXIS   =", 2880)
    card = b"NAXIS   =           2147483647".ljust(80)
    photometry.write_bytes(content[:place] + card + content[place + 80 :])
    with pytest.raises(InputFileError, match="NAXIS = 2147483647, and 999 is the most"):
        read_objects([head])


def test_fits_of_another_survey_beside_is_refused(head):
    with fits.open(head, mode="update") as file:
        file[1].data["PTROBS_MAX"][1] = 600
    with pytest.raises(InputFileError, match="do not belong together"):
        read_objects([head])


@pytest.mark.filterwarnings("ignore:.*:astropy.io.fits.verify.VerifyWarning")
def test_fits_cut_off_is_refused(head):
    content = head.with_name("SIM_PHOT.FITS").read_bytes()
    head.with_name("SIM_PHOT.FITS").write_bytes(content[:3000])
    with pytest.raises(InputFileError, match="SIM_PHOT.FITS"):
        read_objects([head])


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(InputFileError, match="holds no objects of a survey"):
        read_objects([tmp_path / "a.csv"])
