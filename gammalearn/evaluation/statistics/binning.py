"""Bins of the axes that results are given along."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.ticker import MaxNLocator

__all__ = ["angle_edges", "energy_edges", "events_of_bins", "offset_edges"]

#: Most bins of an axis that is chosen from the data.
MAX_ANGLE_BINS = 40

#: Width of bins in the offset from the pointing, and how many of them at the most.
OFFSET_WIDTH_DEG, MAX_OFFSET_BINS = 0.5, 10

#: Widths of angular bins, times a power of ten (deg).
ROUND_WIDTHS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]

#: Empty space at both ends of an angular axis, as a fraction of what it covers.
MARGIN = 0.05

#: The narrowest angular axis: a point source reconstructed exactly has no width of its own.
MIN_ANGLE_SPAN = 0.1 * u.deg

#: Fraction of the reconstructed angles, at each end, that may stray off an axis ...
STRAY_FRACTION = 0.005

#: ... where covering them would make it longer than this many times.
MAX_STRETCH = 2.0


def energy_edges(energy_range: tuple[float, float], bins_per_decade: int) -> u.Quantity:
    """Edges of logarithmic energy bins that begin and end at the given energies.

    Parameters
    ----------
    energy_range : tuple of float
        First and last edge (TeV).
    bins_per_decade : int
        Bins a decade; rounded to a whole number of bins over the range.

    Returns
    -------
    edges : astropy.units.Quantity
        Shape (n_bins + 1,), TeV.
    """
    low, high = energy_range
    n_bins = max(1, round(np.log10(high / low) * bins_per_decade))
    return np.geomspace(low, high, n_bins + 1) * u.TeV


def offset_edges(offset: u.Quantity) -> u.Quantity:
    """Edges of bins in the offset from the pointing, of half a degree (or more, ten bins at most).

    Parameters
    ----------
    offset : astropy.units.Quantity
        Shape (n_events,), one event at least.

    Returns
    -------
    edges : astropy.units.Quantity
        Shape (n_bins + 1,), from 0 to beyond the last offset, deg.
    """
    highest = float(offset.max().to_value(u.deg))
    width = OFFSET_WIDTH_DEG * max(1, np.ceil(highest / OFFSET_WIDTH_DEG / MAX_OFFSET_BINS))
    return np.arange(0, np.floor(highest / width) + 2) * width * u.deg


def angle_edges(true: u.Quantity, reco: u.Quantity) -> u.Quantity:
    """Edges of equal angular bins, at round values, that cover the data.

    The axis covers all true and reconstructed angles, unless a few stray ones (up to 0.5 % at
    each end) would stretch it to more than twice its length: these then fall off it, as else
    all others would share a few bins.

    Parameters
    ----------
    true, reco : astropy.units.Quantity
        True and reconstructed angles, shape (n_events,).

    Returns
    -------
    edges : astropy.units.Quantity
        Shape (n_bins + 1,), at most 40 bins, deg; NaN of shape (2,) without events.
    """
    true, reco = true.to_value(u.deg), reco.to_value(u.deg)
    if len(true) == 0:
        return np.full(2, np.nan) * u.deg

    low, high = min(true.min(), reco.min()), max(true.max(), reco.max())
    core_low, core_high = np.quantile(reco, [STRAY_FRACTION, 1 - STRAY_FRACTION])
    core_low, core_high = min(true.min(), core_low), max(true.max(), core_high)
    if high - low > MAX_STRETCH * (core_high - core_low) > 0:
        low, high = core_low, core_high

    narrow = MIN_ANGLE_SPAN.to_value(u.deg) - (high - low)
    margin = max(MARGIN * (high - low), narrow / 2)
    # The ends are rounded outwards, which may take a bin more.
    locator = MaxNLocator(nbins=MAX_ANGLE_BINS - 1, steps=ROUND_WIDTHS)
    return locator.tick_values(low - margin, high + margin) * u.deg


def events_of_bins(
    events: QTable, name: str, values: u.Quantity | np.ndarray, edges: u.Quantity | np.ndarray
) -> tuple[QTable, list[QTable]]:
    """The events of each bin of a quantity, and a table to be filled with what they give.

    Parameters
    ----------
    events : astropy.table.QTable
    name : str
        Of the quantity.
    values : astropy.units.Quantity or ndarray
        Of each event, shape (n_events,).
    edges : astropy.units.Quantity or ndarray
        Shape (n_bins + 1,).

    Returns
    -------
    table : astropy.table.QTable
        One row a bin: ``NAME_low``, ``NAME_high``, ``n_events``.
    bins : list of astropy.table.QTable
        From the lower edge on, without the upper one.
    """
    place = np.digitize(values, edges) - 1
    bins = [events[place == number] for number in range(len(edges) - 1)]
    table = QTable({f"{name}_low": edges[:-1], f"{name}_high": edges[1:]})
    table["n_events"] = [len(inside) for inside in bins]
    return table, bins
