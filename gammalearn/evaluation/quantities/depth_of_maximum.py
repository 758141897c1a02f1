"""Bias and resolution of the reconstructed depth of the shower's maximum."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks.energy_bias_resolution import inter_quantile_distance

from ..report.pictures import (
    PALETTE,
    TRUE_ENERGY,
    count_events,
    draw_binned,
    finish_binned,
    new_binned_axes,
    say_empty,
)
from ..statistics.binning import events_of_bins

__all__ = [
    "depth_error",
    "depth_resolution",
    "draw_depth_resolution",
    "has_depth",
    "overall_depth_resolution",
    "select_depth",
]

#: Columns of the depth of maximum, which not all files have.
COLUMNS = ("reco_x_max", "true_x_max")

GRAMMAGE = u.g / u.cm**2


def has_depth(events: QTable) -> bool:
    """Whether the events have a reconstructed and a true depth of maximum."""
    return set(COLUMNS) <= set(events.colnames)


def select_depth(events: QTable) -> QTable:
    """The events whose reconstructed and true depth are known."""
    return events[np.all([np.isfinite(events[name]) for name in COLUMNS], axis=0)]


def depth_error(events: QTable) -> np.ndarray:
    """Reconstructed less true depth (g/cm²), shape (n_events,)."""
    return (events["reco_x_max"] - events["true_x_max"]).to_value(GRAMMAGE)


def depth_resolution(events: QTable, energy_bins: u.Quantity) -> QTable:
    """Bias and resolution of the depth by true energy.

    The bias is the median of the error, reconstructed less true, and the resolution half of its
    central 68 %, (Q84 − Q16)/2.

    Parameters
    ----------
    events : astropy.table.QTable
        From `select_depth`, with ``true_energy``.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``n_events``, ``x_max_bias`` and
        ``x_max_resolution`` (g/cm²). NaN in empty bins; the resolution of a single event is NaN
        too.
    """
    table, bins = events_of_bins(events, TRUE_ENERGY, events["true_energy"], energy_bins)
    overall = [overall_depth_resolution(inside) for inside in bins]
    for name in ("x_max_bias", "x_max_resolution"):
        table[name] = [values[name] for values in overall] * GRAMMAGE
    return table


def overall_depth_resolution(events: QTable) -> dict[str, float]:
    """Bias and resolution (g/cm²), as in `depth_resolution`, of all events together."""
    error = depth_error(events)
    return {
        "x_max_bias": float(np.median(error)) if len(error) else np.nan,
        "x_max_resolution": float(inter_quantile_distance(error)) if len(error) > 1 else np.nan,
    }


def draw_depth_resolution(resolution: QTable, particle: str) -> Figure:
    """Picture of a table from `depth_resolution`."""
    figure, axes = new_binned_axes(resolution, particle)
    n_events = int(np.sum(resolution["n_events"]))
    axes.set_title(f"Depth of maximum, {count_events(n_events, particle)}")
    axes.set_ylabel("reconstructed less true (g/cm²)")
    axes.axhline(0, color="0.35", linewidth=1)
    if n_events == 0:
        say_empty(axes, "no events in the energy range")
        return figure
    draw_binned(axes, resolution, "x_max_resolution", "(Q84 − Q16) / 2, no cuts", PALETTE[0], "o")
    draw_binned(axes, resolution, "x_max_bias", "bias: median, no cuts", PALETTE[1], "s")
    finish_binned(axes, resolution)
    return figure
