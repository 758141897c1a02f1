"""SNANA's FITS format: objects in a HEAD file, all light curves in a PHOT file beside it."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from ...errors import InputFileError
from ...io.files import open_fits, reading
from ...io.finding import check_file
from ..catalogue import WAVELENGTH, Catalogue
from .snana_text import CONFIRMED_TYPES

__all__ = ["is_snana_head", "read_snana_fits"]

#: Bytes of a table for each byte of a file, compressed ones included, and bytes of any.
MOST_COMPRESSED, ALWAYS_ALLOWED = 100, 2**26

#: What SNANA writes between the light curves of two objects.
SEPARATOR = -777.0

#: Types of the models, by what SIM_TYPE_INDEX says.
MODEL_TYPES = CONFIRMED_TYPES


def is_snana_head(path: Path) -> bool:
    """Whether the name is that of a HEAD file."""
    return "_HEAD.FITS" in path.name.upper()


def read_snana_fits(head: Path) -> Catalogue:
    """The objects of a HEAD file, whose PHOT file is beside it.

    Raises
    ------
    InputFileError
        If one of them is missing or damaged, or they do not belong together.
    """
    head = Path(head)
    name = head.name.replace("_HEAD.FITS", "_PHOT.FITS").replace("_head.fits", "_phot.fits")
    photometry = head.with_name(name)
    if not photometry.is_file():
        raise InputFileError(
            f"'{head}' needs the light curves in '{photometry}', which is missing; put it there."
        )
    objects, observed = (
        _table(head, ("SNID", "PTROBS_MIN", "PTROBS_MAX")),
        _table(photometry, ("MJD", "FLUXCAL", "FLUXCALERR")),
    )
    with reading(photometry, "the light curves"):
        # Counted from 1, the last one included.
        first = np.asarray(objects["PTROBS_MIN"], dtype=int) - 1
        number = np.asarray(objects["PTROBS_MAX"], dtype=int) - first
        if (first < 0).any() or (number < 0).any() or (first + number > len(observed)).any():
            raise InputFileError(
                f"'{head}' and '{photometry}' do not belong together: there are {len(observed)} "
                f"observations, and an object has some up to {int((first + number).max())}."
            )
        start = np.cumsum(number) - number
        taken = np.arange(number.sum()) + np.repeat(first - start, number)
        observed = observed[taken]
        letters = np.array([_text(b)[-1:] for b in observed[_band_column(observed)]], dtype=str)
        is_real = np.asarray(observed["MJD"]) != SEPARATOR
        names = sorted(set(letters[is_real]), key=lambda b: (WAVELENGTH.get(b, np.inf), b))
        of = np.repeat(np.arange(len(objects)), number)[is_real]
        place = {band: k for k, band in enumerate(names)}
        return Catalogue.build(
            _objects(objects),
            names,
            of,
            np.asarray(observed["MJD"], dtype=float)[is_real],
            np.array([place[band] for band in letters[is_real]], dtype=int),
            np.asarray(observed["FLUXCAL"], dtype=float)[is_real],
            np.asarray(observed["FLUXCALERR"], dtype=float)[is_real],
            survey=str(objects.meta.get("SURVEY", "")).strip(),
        )


def _table(path: Path, needed: tuple[str, ...]) -> Table:
    check_file(path)
    allowed = max(ALWAYS_ALLOWED, MOST_COMPRESSED * path.stat().st_size)
    with open_fits(path, "the table") as file:
        header = file[1].header
        if header["NAXIS1"] * header["NAXIS2"] > allowed:
            raise InputFileError(f"'{path}' says that it is larger than it can be; leave it out.")
        table = Table(file[1].data)
        table.meta.update(SURVEY=file[0].header.get("SURVEY", ""))
    for name in needed:
        if name not in table.colnames:
            raise InputFileError(f"'{path}' is no table of SNANA: it has no column {name}.")
    return table


def _band_column(observed: Table) -> str:
    return "BAND" if "BAND" in observed.colnames else "FLT"


def _text(value: object) -> str:
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()


def _objects(table: Table) -> Table:
    """The columns of a catalogue; -9 is SNANA's for none."""

    def column(*names: str, unknown: float = np.nan) -> np.ndarray:
        for name in names:
            if name in table.colnames:
                values = np.asarray(table[name], dtype=float)
                return np.where(values == -9, unknown, values)
        return np.full(len(table), unknown)

    confirmed = column("SNTYPE", unknown=-9).astype(int)
    model = column("SIM_TYPE_INDEX", "SIM_GENTYPE", unknown=-9).astype(int)
    kinds = [_kind(m, c) for m, c in zip(model, confirmed, strict=True)]
    if "SIM_TYPE_NAME" in table.colnames:
        kinds = [_text(name).removeprefix("SN") for name in table["SIM_TYPE_NAME"]]
    host = column("HOSTGAL_PHOTOZ")
    return Table(
        {
            "object_id": [_text(name) for name in table["SNID"]],
            "ra": column("RA"),
            "dec": column("DEC", "DECL"),
            "ebv": column("MWEBV", unknown=0.0),
            "host_redshift": np.where(host >= 0, host, np.nan),
            "host_redshift_error": np.where(host >= 0, column("HOSTGAL_PHOTOZ_ERR"), np.nan),
            "confirmed": confirmed > 0,
            "type": np.array(kinds, dtype=str),
            "redshift": column("SIM_REDSHIFT_CMB", "SIM_REDSHIFT"),
        }
    )


def _kind(model: int, confirmed: int) -> str:
    return MODEL_TYPES.get(model) or CONFIRMED_TYPES.get(confirmed, "")
