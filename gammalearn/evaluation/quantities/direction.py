"""Separation of the reconstructed from the true direction."""

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.coordinates import angular_separation
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks import angular_resolution as pyirf_angular_resolution
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE

from ..report.pictures import (
    PALETTE,
    TRUE_ENERGY,
    count_events,
    draw_after_cuts,
    draw_binned,
    finish_binned,
    make_logarithmic,
    new_binned_axes,
    say_empty,
)
from ..report.reference_curves import draw_references
from ..statistics.binning import events_of_bins

__all__ = [
    "CONTAINMENTS",
    "angular_resolution",
    "angular_resolution_along",
    "draw_angular_resolution",
    "overall_angular_resolution",
    "separation_angle",
]

#: Name of a column or metric → contained fraction of the events.
CONTAINMENTS = {
    "angular_resolution_68": ONE_SIGMA_QUANTILE,
    "angular_resolution_95": 0.95,
}

#: Labelled angles within a decade: resolutions rarely span one.
ROUND_ANGLES = (1.0, 2.0, 3.0, 5.0)


def separation_angle(events: QTable) -> u.Quantity:
    """Great-circle angle between true and reconstructed direction.

    Parameters
    ----------
    events : astropy.table.QTable
        With ``true_alt``, ``true_az``, ``reco_alt``, ``reco_az``.

    Returns
    -------
    theta : astropy.units.Quantity
        Shape (n_events,), deg.
    """
    return angular_separation(
        events["true_az"], events["true_alt"], events["reco_az"], events["reco_alt"]
    ).to(u.deg)


def angular_resolution(events: QTable, energy_bins: u.Quantity) -> QTable:
    """Angles that contain 68 % and 95 % of the events, by true energy, as pyirf defines them.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``true_energy`` and the directions of `separation_angle`.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``true_energy_center``,
        ``n_events``, ``angular_resolution_68``, ``angular_resolution_95`` (deg), NaN in empty
        bins.
    """
    table = QTable({"true_energy": events["true_energy"], "theta": separation_angle(events)})
    quantiles = list(CONTAINMENTS.values())
    return pyirf_angular_resolution(table, energy_bins, energy_type="true", quantile=quantiles)


def angular_resolution_along(
    events: QTable, name: str, values: np.ndarray, edges: np.ndarray
) -> QTable:
    """Angles that contain 68 % and 95 % of the events, in bins of any quantity.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with the directions of `separation_angle`.
    name : str
        Of the quantity.
    values : numpy.ndarray or astropy.units.Quantity
        Of each event, shape (n_events,).
    edges : numpy.ndarray or astropy.units.Quantity
        Shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``NAME_low``, ``NAME_high``, ``n_events``, ``angular_resolution_68``,
        ``angular_resolution_95`` (deg), NaN in empty bins.
    """
    table, bins = events_of_bins(events, name, values, edges)
    for containment in CONTAINMENTS:
        angles = [overall_angular_resolution(inside)[containment] for inside in bins]
        table[containment] = angles * u.deg
    return table


def overall_angular_resolution(events: QTable) -> dict[str, float]:
    """Containments (deg), as in `angular_resolution`, of all events together; NaN without any."""
    theta = separation_angle(events).to_value(u.deg)
    return {
        name: float(np.quantile(theta, fraction)) if len(theta) else np.nan
        for name, fraction in CONTAINMENTS.items()
    }


def draw_angular_resolution(
    resolution: QTable,
    particle: str,
    references: Sequence[str] = (),
    along: str = TRUE_ENERGY,
    label: str | None = None,
) -> Figure:
    """Picture of a table from `angular_resolution`, with the named reference curves (68 %), or of
    one from `angular_resolution_along`, with the name of the quantity and a label for it."""
    figure, axes = new_binned_axes(resolution, particle, along, label)
    n_events = int(np.sum(resolution["n_events"]))
    axes.set_title(f"Angular resolution, {count_events(n_events, particle)}")
    axes.set_ylabel("angle between true and reconstructed (deg)")
    if n_events == 0:
        say_empty(axes, "no events in this range")
        return figure
    draw_binned(
        axes,
        resolution,
        "angular_resolution_95",
        "95 % containment, no cuts",
        PALETTE[4],
        "s",
        along,
    )
    draw_binned(
        axes,
        resolution,
        "angular_resolution_68",
        "68 % containment, no cuts",
        PALETTE[0],
        "o",
        along,
    )
    draw_after_cuts(axes, resolution, "angular_resolution_68", "68 %", PALETTE[2])
    draw_references(axes, references, "angular_resolution_68")
    make_logarithmic(axes, "y", ROUND_ANGLES)
    finish_binned(axes, resolution)
    return figure
