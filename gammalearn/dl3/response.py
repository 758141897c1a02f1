"""Instrument responses: the tables of a file as they are, and what GADF calls each of them."""

from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from ..errors import InputFileError
from ..io.files import open_fits
from ..io.finding import check_file

__all__ = ["Response", "read_response"]

#: GADF's classes (HDUCLAS4) that gammapy reads, and the types that they are of.
TYPES = {
    "aeff_2d": "aeff",
    "edisp_2d": "edisp",
    "psf_table": "psf",
    "psf_3gauss": "psf",
    "psf_king": "psf",
    "bkg_2d": "bkg",
    "bkg_3d": "bkg",
    "rad_max_2d": "rad_max",
}

#: Without these there is no flux.
NEEDED = {"aeff": "effective area", "edisp": "energy dispersion"}


@dataclass(frozen=True)
class Response:
    """The response that is attached to each observation.

    Attributes
    ----------
    hdus : tuple of astropy.io.fits.BinTableHDU
    classes : dict of str to (str, str)
        Type in GADF → its class and the name of its table.
    """

    hdus: tuple[fits.BinTableHDU, ...]
    classes: dict[str, tuple[str, str]]


def read_response(path: Path) -> Response:
    """Read a response, as ctapipe-compute-irf and others write it.

    Of several tables of a type the first counts: ctapipe writes the effective areas for protons
    and electrons after that for gammas.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Response

    Raises
    ------
    InputFileError
        If the file is damaged, or has no response.
    """
    check_file(path)
    classes: dict[str, tuple[str, str]] = {}
    kept = []
    with open_fits(path, "the instrument response") as hdus:
        for hdu in hdus[1:]:
            kind = str(hdu.header.get("HDUCLAS4", "")).strip().lower()
            if TYPES.get(kind, "") in ("", *classes):
                continue
            classes[TYPES[kind]] = kind, hdu.name
            kept.append(fits.BinTableHDU(hdu.data, hdu.header, name=hdu.name))
    missing = [words for name, words in NEEDED.items() if name not in classes]
    if missing:
        raise InputFileError(
            f"'{path}' has no {' and no '.join(missing)} in the format of GADF; give the file that "
            "ctapipe-compute-irf has written."
        )
    return Response(tuple(kept), classes)
