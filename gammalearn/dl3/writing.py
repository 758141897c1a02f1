"""Writing of DL3: a FITS file for each observation, and the two tables of contents of a folder.

Event lists, good time intervals and tables of contents are written by gammapy, in the format of
GADF (gamma-astro-data-formats.readthedocs.io). Responses are copied as they are.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table

from .. import __version__
from ..errors import MissingPackageError
from ..io.files import open_fits, reading
from ..io.observed.earth_rotation import offline
from ..io.writing import whole_file
from .observation import Observation
from .response import TYPES, Response
from .sky import EPOCH, time_of

__all__ = ["dl3_name", "needs_gammapy", "write_index", "write_observation"]

#: What the names of our files of DL3 look like.
PATTERN = "dl3_*.fits.gz"

HDU_INDEX, OBS_INDEX = "hdu-index.fits.gz", "obs-index.fits.gz"

CREATOR = f"gammalearn {__version__}"

GADF = {
    "HDUCLASS": "GADF",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
    "HDUVERS": "0.3",
}


def dl3_name(obs_id: int) -> str:
    """Name of the file of an observation."""
    return f"dl3_{obs_id:05d}.fits.gz"


def needs_gammapy() -> Any:
    """gammapy's module of observations.

    Raises
    ------
    MissingPackageError
        If gammapy is not installed.
    """
    try:
        return importlib.import_module("gammapy.data")
    except ImportError as error:
        raise MissingPackageError(
            "DL3 is written by gammapy, which is not installed or cannot be imported; install it "
            'with pip install gammapy "regions<0.12".'
        ) from error


def write_observation(observation: Observation, response: Response, path: Path) -> None:
    """Write the file of an observation.

    Parameters
    ----------
    observation : Observation
    response : Response
    path : Path
        Ends in ``.fits`` or ``.fits.gz``. What is there is replaced.

    Raises
    ------
    MissingPackageError
        If gammapy is not installed.
    OutputError
        If it cannot be written.
    """
    data = needs_gammapy()
    primary = fits.PrimaryHDU()
    primary.header["CREATOR"] = CREATOR
    # Whatever gammapy computes of times.
    with offline():
        gti = data.GTI.create(*time_of(observation.good_times.T), reference_time=EPOCH)
        hdus = [
            primary,
            _event_hdu(observation, data),
            gti.to_table_hdu(),
            _pointing_hdu(observation),
        ]
    hdus[2].header.update({**GADF, "HDUCLAS1": "GTI", **_time_header()})
    with whole_file(path) as part:
        fits.HDUList([*hdus, *response.hdus]).writeto(part)


def _time_header() -> dict[str, Any]:
    return {
        "MJDREFI": int(EPOCH.mjd),
        "MJDREFF": 0.0,
        "TIMEUNIT": "s",
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
    }


def _place_header(observation: Observation) -> dict[str, Any]:
    place = observation.location.geodetic
    return {
        "GEOLON": place.lon.deg,
        "GEOLAT": place.lat.deg,
        "ALTITUDE": place.height.to_value(u.m),
    }


def _card(text: str) -> str:
    """Text as a header of FITS can have it, in ASCII and short."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)[:60]


def _event_header(observation: Observation) -> dict[str, Any]:
    start, stop = observation.run
    centre = observation.pointing.centre
    begin, end = time_of(np.array([start, stop])).utc.isot
    target = observation.target
    of_target = {}
    if target is not None:
        of_target = {"OBJECT": _card(target.name), "RA_OBJ": target.ra, "DEC_OBJ": target.dec}
    types = sorted({kind for _, kind in observation.telescopes})
    return {
        **GADF,
        "HDUCLAS1": "EVENTS",
        "OBS_ID": observation.obs_id,
        "TSTART": start,
        "TSTOP": stop,
        **_time_header(),
        "ONTIME": observation.ontime,
        "LIVETIME": observation.ontime * (1 - observation.dead_fraction),
        "DEADC": 1 - observation.dead_fraction,
        "DATE-OBS": begin.partition("T")[0],
        "TIME-OBS": begin.partition("T")[2],
        "DATE-END": end.partition("T")[0],
        "TIME-END": end.partition("T")[2],
        "OBS_MODE": "POINTING",
        "RA_PNT": centre.ra.deg,
        "DEC_PNT": centre.dec.deg,
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "ORIGIN": "GammaLearn",
        "TELESCOP": "CTAO",
        "INSTRUME": _card(",".join(types)),
        "N_TELS": len(observation.telescopes),
        "TELLIST": _card(",".join(name for name, _ in observation.telescopes)),
        "CREATOR": CREATOR,
        **of_target,
        **_place_header(observation),
    }


def _event_hdu(observation: Observation, data: Any) -> fits.BinTableHDU:
    from gammapy.data.metadata import EventListMetaData
    from gammapy.utils.metadata import CreatorMetaData

    events = observation.events
    table = Table(
        {
            "EVENT_ID": events["event_id"],
            "TIME": time_of(events["seconds"]),
            "RA": events["ra"],
            "DEC": events["dec"],
            "ENERGY": events["energy"],
            "ALT": events["alt"],
            "AZ": events["az"],
            "GAMMANESS": events["gammaness"],
            "MULTIP": events["multiplicity"],
        },
        meta=_event_header(observation),
    )
    meta = EventListMetaData(creation=CreatorMetaData(creator=CREATOR))
    return data.EventList(table, meta).to_table_hdu()


def _pointing_hdu(observation: Observation) -> fits.BinTableHDU:
    """Where the array pointed, against time (GADF's table POINTING)."""
    pointing = observation.pointing
    table = Table(
        {
            "TIME": pointing.reports.seconds * u.s,
            "RA_PNT": pointing.sky.ra.to(u.deg),
            "DEC_PNT": pointing.sky.dec.to(u.deg),
            "ALT_PNT": pointing.reports.alt * u.deg,
            "AZ_PNT": pointing.reports.az % 360 * u.deg,
        }
    )
    hdu = fits.BinTableHDU(table, name="POINTING")
    header = {**GADF, "HDUCLAS1": "POINTING", "OBS_ID": observation.obs_id}
    hdu.header.update({**header, **_time_header(), **_place_header(observation)})
    return hdu


def write_index(folder: Path) -> list[Path]:
    """Write the tables of contents of all files of DL3 in a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of Path
        The files of DL3, in the order of their names.

    Raises
    ------
    MissingPackageError
        If gammapy is not installed.
    InputFileError
        If a file of DL3 is damaged.
    OutputError
        If a table cannot be written.
    """
    data = needs_gammapy()
    paths = sorted(folder.glob(PATTERN))
    rows: list[dict[str, object]] = []
    place: dict[str, object] = {}
    for path in paths:
        with open_fits(path, "its table of contents") as hdus:
            rows += _index_rows(hdus, path)
            header = hdus["EVENTS"].header
            place = {name: header[name] for name in ("GEOLON", "GEOLAT", "ALTITUDE")}
    meta = {**GADF, "HDUCLAS1": "INDEX"}
    hdu_index = data.HDUIndexTable(rows=rows, meta={**meta, "HDUCLAS2": "HDU"})
    with reading(paths[0], "its header"):
        obs_index = data.data_store.DataStoreMaker(paths).make_obs_table()
    # Where the files were while this was written.
    obs_index.remove_columns(["EVENTS_FILENAME", "IRF_FILENAME"])
    obs_index.meta.update(place)
    for name, table in ((HDU_INDEX, hdu_index), (OBS_INDEX, obs_index)):
        with whole_file(folder / name) as part:
            table.write(part, format="fits")
    return paths


def _index_rows(hdus: fits.HDUList, path: Path) -> Iterator[dict[str, object]]:
    obs_id = int(hdus["EVENTS"].header["OBS_ID"])
    for hdu in hdus[1:]:
        kind = str(hdu.header.get("HDUCLAS4", hdu.header["HDUCLAS1"])).strip().lower()
        yield {
            "OBS_ID": obs_id,
            "HDU_TYPE": TYPES.get(kind, kind),
            "HDU_CLASS": kind,
            "FILE_DIR": ".",
            "FILE_NAME": path.name,
            "HDU_NAME": hdu.name,
        }
