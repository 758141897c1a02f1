"""Bias and resolution of the reconstructed energy."""

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks import energy_bias_resolution
from pyirf.benchmarks.energy_bias_resolution import inter_quantile_distance

from ..report.pictures import (
    PALETTE,
    count_events,
    draw_after_cuts,
    draw_binned,
    finish_binned,
    new_binned_axes,
    say_empty,
)
from ..report.reference_curves import draw_references

__all__ = ["draw_energy_resolution", "energy_resolution", "overall_energy_resolution"]


def energy_resolution(events: QTable, energy_bins: u.Quantity) -> QTable:
    """Energy bias and resolution by true energy, as pyirf defines them.

    With the relative error ε = E_reco/E_true − 1 of the events of a bin, the bias is its median
    and the resolution half of its central 68 %, (Q84 − Q16)/2, which is the standard deviation
    if ε is Gaussian.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``true_energy`` and ``reco_energy``.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``true_energy_center``,
        ``n_events``, ``bias``, ``resolution``. NaN in empty bins; the resolution of a single
        event is NaN too, as it has no spread.
    """
    resolution = energy_bias_resolution(events, energy_bins, energy_type="true")
    resolution["resolution"][resolution["n_events"] < 2] = np.nan
    return resolution


def overall_energy_resolution(events: QTable) -> dict[str, float]:
    """Bias and resolution, defined as in `energy_resolution`, of all events together.

    Returns
    -------
    overall : dict
        ``energy_bias`` and ``energy_resolution``, relative; NaN without events.
    """
    error = (events["reco_energy"] / events["true_energy"]).to_value(u.one) - 1
    return {
        "energy_bias": float(np.median(error)) if len(error) else np.nan,
        "energy_resolution": float(inter_quantile_distance(error)) if len(error) > 1 else np.nan,
    }


def draw_energy_resolution(
    resolution: QTable, particle: str, references: Sequence[str] = ()
) -> Figure:
    """Picture of a table from `energy_resolution`, with the named reference curves."""
    figure, axes = new_binned_axes(resolution, particle)
    n_events = int(np.sum(resolution["n_events"]))
    axes.set_title(f"Energy bias and resolution, {count_events(n_events, particle)}")
    axes.set_ylabel("relative to the true energy")
    axes.axhline(0, color="0.35", linewidth=1)
    if n_events == 0:
        say_empty(axes, "no events in the energy range")
        return figure
    draw_binned(axes, resolution, "resolution", "(Q84 − Q16) / 2, no cuts", PALETTE[0], "o")
    draw_after_cuts(axes, resolution, "resolution", "(Q84 − Q16) / 2", PALETTE[2])
    draw_binned(axes, resolution, "bias", "bias: median, no cuts", PALETTE[1], "s")
    draw_references(axes, references, "energy_resolution")
    finish_binned(axes, resolution)
    return figure
