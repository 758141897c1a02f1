"""Where showers lie: in the field of view and on the ground."""

import astropy.units as u
import numpy as np
from astropy.coordinates import angular_separation
from astropy.table import QTable

__all__ = ["core_distance", "pointing_offset"]


def pointing_offset(events: QTable, which: str = "true") -> u.Quantity:
    """Angle between the direction of events and the pointing.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`.
    which : str
        ``true`` or ``reco``, of the direction.

    Returns
    -------
    offset : astropy.units.Quantity
        Shape (n_events,), deg; NaN where the pointing is not known.
    """
    return angular_separation(
        events[f"{which}_az"], events[f"{which}_alt"], events["pointing_az"], events["pointing_alt"]
    ).to(u.deg)


def core_distance(events: QTable) -> u.Quantity:
    """Distance on the ground between the true core and the centre of the array.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`.

    Returns
    -------
    distance : astropy.units.Quantity
        Shape (n_events,), m; NaN where the files do not tell the core.
    """
    if "true_core_x" not in events.colnames:
        return np.full(len(events), np.nan) * u.m
    return np.hypot(events["true_core_x"], events["true_core_y"]).to(u.m)
