"""Distance of the reconstructed from the true impact point."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE

from ..report.pictures import (
    PALETTE,
    TRUE_ENERGY,
    count_events,
    draw_binned,
    finish_binned,
    make_logarithmic,
    new_binned_axes,
    say_empty,
)
from ..statistics.binning import events_of_bins

__all__ = [
    "draw_impact_resolution",
    "has_impact",
    "impact_distance",
    "impact_resolution",
    "overall_impact_resolution",
    "select_impact",
]

#: Columns of the impact point, which not all files have.
COLUMNS = ("reco_core_x", "reco_core_y", "true_core_x", "true_core_y")

#: Labelled distances within a decade: resolutions rarely span one.
ROUND_DISTANCES = (1.0, 2.0, 3.0, 5.0)


def has_impact(events: QTable) -> bool:
    """Whether the events have a reconstructed and a true impact point."""
    return set(COLUMNS) <= set(events.colnames)


def select_impact(events: QTable) -> QTable:
    """The events whose reconstructed and true impact point are known."""
    return events[np.all([np.isfinite(events[name]) for name in COLUMNS], axis=0)]


def impact_distance(events: QTable) -> u.Quantity:
    """Distance on the ground between true and reconstructed impact point.

    Parameters
    ----------
    events : astropy.table.QTable
        With ``true_core_x``, ``true_core_y``, ``reco_core_x``, ``reco_core_y``.

    Returns
    -------
    distance : astropy.units.Quantity
        Shape (n_events,), m.
    """
    steps = [events[f"reco_core_{axis}"] - events[f"true_core_{axis}"] for axis in "xy"]
    return np.hypot(*steps).to(u.m)


def impact_resolution(events: QTable, energy_bins: u.Quantity) -> QTable:
    """Distances that contain 68 % of the events, by true energy.

    Parameters
    ----------
    events : astropy.table.QTable
        From `select_impact`, with ``true_energy``.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``n_events``,
        ``impact_resolution_68`` (m), NaN in empty bins.
    """
    table, bins = events_of_bins(events, TRUE_ENERGY, events["true_energy"], energy_bins)
    overall = [overall_impact_resolution(inside)["impact_resolution_68"] for inside in bins]
    table["impact_resolution_68"] = overall * u.m
    return table


def overall_impact_resolution(events: QTable) -> dict[str, float]:
    """The distance (m) that contains 68 % of all events together; NaN without any."""
    distance = impact_distance(events).to_value(u.m)
    value = float(np.quantile(distance, ONE_SIGMA_QUANTILE)) if len(distance) else np.nan
    return {"impact_resolution_68": value}


def draw_impact_resolution(resolution: QTable, particle: str) -> Figure:
    """Picture of a table from `impact_resolution`."""
    figure, axes = new_binned_axes(resolution, particle)
    n_events = int(np.sum(resolution["n_events"]))
    axes.set_title(f"Impact resolution, {count_events(n_events, particle)}")
    axes.set_ylabel("distance between true and reconstructed (m)")
    if n_events == 0:
        say_empty(axes, "no events in this range")
        return figure
    draw_binned(
        axes, resolution, "impact_resolution_68", "68 % containment, no cuts", PALETTE[0], "o"
    )
    make_logarithmic(axes, "y", ROUND_DISTANCES)
    finish_binned(axes, resolution)
    return figure
