"""Events of lstchain's DL2 files by ctapipe's names: a table of images with truth and results."""

import astropy.units as u
import tables
from astropy.table import Table
from ctapipe.io import read_table

from ...io.lstchain_tables import DL2_EVENTS
from ..quantities import QUANTITIES

__all__ = ["algorithm", "is_simulated", "load", "reconstructed"]

#: Names in ctapipe's files, and lstchain's with the unit of what stands there.
COLUMNS = {
    "obs_id": ("obs_id", None),
    "event_id": ("event_id", None),
    "tel_id": ("tel_id", None),
    "event_type": ("event_type", None),
    "true_energy": ("mc_energy", u.TeV),
    "true_alt": ("mc_alt", u.rad),
    "true_az": ("mc_az", u.rad),
    "true_h_first_int": ("mc_h_first_int", u.m),
    "true_shower_primary_id": ("mc_type", None),
    "telescope_pointing_altitude": ("alt_tel", u.rad),
    "telescope_pointing_azimuth": ("az_tel", u.rad),
    "hillas_intensity": ("intensity", None),
    "hillas_length": ("length", u.deg),
    "hillas_width": ("width", u.deg),
}


def algorithm(h5file: tables.File) -> str:
    """Who reconstructed the events: files of GammaLearn say so, and lstchain's name nobody."""
    return "GammaLearn" if "GAMMALEARN VERSION" in h5file.root._v_attrs else "lstchain"


def reconstructed(h5file: tables.File) -> list[str]:
    """Quantities of the events."""
    names = set(h5file.get_node(DL2_EVENTS).colnames)
    return [
        name
        for name, quantity in QUANTITIES.items()
        if quantity.lstchain and {theirs for theirs, _ in quantity.lstchain.values()} <= names
    ]


def is_simulated(h5file: tables.File) -> bool:
    """Whether the events have a truth."""
    return "mc_energy" in h5file.get_node(DL2_EVENTS).colnames


def load(h5file: tables.File, prefix: str) -> Table:
    """The events, of which every row is an image.

    Parameters
    ----------
    h5file : tables.File
    prefix : str
        What names of results begin with.

    Returns
    -------
    astropy.table.Table
        Columns of ctapipe's names, as far as the file has them.
    """
    found = read_table(h5file, DL2_EVENTS)
    columns = dict(COLUMNS)
    for quantity in QUANTITIES.values():
        columns |= {f"{prefix}_{name}": column for name, column in quantity.lstchain.items()}
    loaded = Table()
    for name, (theirs, unit) in columns.items():
        if theirs in found.colnames:
            loaded[name] = found[theirs]
            # Files of lstchain need not say.
            loaded[name].unit = unit
    return loaded
