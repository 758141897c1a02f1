"""SNANA's text format (Kessler et al. 2009): one file for each object, keys and a table.

Keys that begin with ``SIM_`` are truth, as is the column ``SIM_MAG``, which is not read.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table

from ...errors import InputFileError
from ...io.files import reading
from ..catalogue import WAVELENGTH, Catalogue

__all__ = ["CONFIRMED_TYPES", "read_snana_text"]

#: Bytes of a file: a light curve has some tens of thousands.
MOST_BYTES = 2**24

#: What SNTYPE says of an object with a spectrum; others have -9 (Kessler et al. 2010).
CONFIRMED_TYPES = {
    1: "Ia", 120: "Ia", 2: "II", 20: "II", 21: "IIn", 22: "IIP", 23: "IIL", 3: "Ibc", 32: "Ib",
    33: "Ic",
}  # fmt: skip

KEY = re.compile(r"^([A-Za-z_][\w-]*):\s*(.*)$")
MODEL = re.compile(r"SN Type\s*=\s*([^,]+?)\s*,")


def read_snana_text(paths: Sequence[Path]) -> Catalogue:
    """The objects of SNANA's text files.

    Parameters
    ----------
    paths : sequence of Path

    Raises
    ------
    InputFileError
        If a file is missing, damaged or has no object.
    """
    rows, observations, of = [], [], []
    for number, path in enumerate(paths):
        row, observed = _read(Path(path))
        rows.append(row)
        observations += observed
        of += [number] * len(observed)
    names = sorted({band for _, band, _, _ in observations}, key=_by_wavelength)
    place = {name: number for number, name in enumerate(names)}
    numbers = np.array([(t, f, e) for t, _, f, e in observations], dtype=float).reshape(-1, 3)
    survey = rows[0].pop("survey")
    for row in rows[1:]:
        row.pop("survey")
    return Catalogue.build(
        Table(rows=rows),
        names,
        np.array(of, dtype=int),
        numbers[:, 0],
        np.array([place[band] for _, band, _, _ in observations], dtype=int),
        numbers[:, 1],
        numbers[:, 2],
        survey=survey,
    )


def _by_wavelength(band: str) -> tuple[float, str]:
    return WAVELENGTH.get(band, np.inf), band


def _read(path: Path) -> tuple[dict, list[tuple[float, str, float, float]]]:
    """Columns of an object, and its observations: time, band, flux, error."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputFileError(f"'{path}' is too large for the light curve of one object.")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputFileError(f"'{path}' cannot be read: {error.strerror}.") from error
    keys: dict[str, str] = {}
    lines = []
    for line in text.splitlines():
        match = KEY.match(line.strip())
        if not match:
            continue
        if match[1] == "OBS":
            lines.append(match[2].split())
        else:
            keys.setdefault(match[1], match[2])
    if "SNID" not in keys or "VARLIST" not in keys:
        raise InputFileError(
            f"'{path}' is no light curve of SNANA: it has no SNID or no VARLIST; leave it out."
        )
    with reading(path, "the light curve"):
        return _columns(keys), _observations(keys["VARLIST"].split(), lines)


def _observations(
    names: list[str], lines: list[list[str]]
) -> list[tuple[float, str, float, float]]:
    band = names.index("BAND" if "BAND" in names else "FLT")
    time, flux, error = (names.index(name) for name in ("MJD", "FLUXCAL", "FLUXCALERR"))
    return [(float(v[time]), v[band][-1], float(v[flux]), float(v[error])) for v in lines]


def _first(text: str | None, missing: float = np.nan) -> float:
    """The number that a value begins with; -9 is SNANA's for none."""
    value = float(text.split()[0]) if text and text.split() else missing
    return missing if value == -9 else value


def _columns(keys: dict[str, str]) -> dict:
    confirmed = int(_first(keys.get("SNTYPE"), -9))
    simulated = MODEL.search(keys.get("SIM_COMMENT", ""))
    kind = simulated[1] if simulated else CONFIRMED_TYPES.get(confirmed, "")
    host = next(
        (keys[name] for name in ("HOST_GALAXY_PHOTO-Z", "HOSTGAL_PHOTOZ") if name in keys), ""
    )
    known = _first(host) >= 0
    error = host.split("+-")
    return {
        "object_id": keys["SNID"].split()[0],
        "ra": _first(keys.get("RA")),
        "dec": _first(keys.get("DECL", keys.get("DEC"))),
        "ebv": _first(keys.get("MWEBV"), 0.0),
        "host_redshift": _first(host) if known else np.nan,
        "host_redshift_error": _first(error[1]) if known and len(error) > 1 else np.nan,
        "confirmed": confirmed > 0,
        "type": kind,
        "redshift": _first(keys.get("SIM_REDSHIFT", keys.get("SIM_REDSHIFT_CMB"))),
        "survey": keys.get("SURVEY", "").strip(),
    }
