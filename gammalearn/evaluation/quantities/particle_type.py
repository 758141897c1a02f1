"""The area under the ROC curve with its error, in bins of true energy and of all events."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure

from ..report.pictures import (
    PALETTE,
    count_events,
    draw_binned,
    finish_binned,
    new_binned_axes,
    say_empty,
)
from ..statistics.differences import (
    N_RESAMPLES,
    N_RESAMPLES_OF_CURVE,
    differences,
    differences_by_energy,
)
from ..statistics.separation import POSITIVE

__all__ = ["area_by_energy", "draw_area_by_energy", "overall_area"]


def area_by_energy(events: QTable, energy_bins: u.Quantity) -> QTable:
    """Area under the ROC curve of the events of each bin.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events from `read_events`.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    table : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``n_events``, ``n_gamma``,
        ``n_other``, ``auc`` (NaN unless there are gammas and others) and ``auc_error``, of a
        bootstrap over showers (NaN below 10 of a kind).
    """
    found = differences_by_energy([[events]], "particle_type", energy_bins, N_RESAMPLES_OF_CURVE)
    found = found[found["statistic"] == "auc"]
    is_gamma = np.asarray(events["particle"] == POSITIVE, dtype=bool).reshape(len(events))
    energy, edges = events["true_energy"].to_value(u.TeV), energy_bins.to_value(u.TeV)
    table = QTable(found["true_energy_low", "true_energy_high", "n_events"])
    table["n_gamma"] = np.histogram(energy[is_gamma], edges)[0]
    table["n_other"] = np.histogram(energy[~is_gamma], edges)[0]
    table["auc"], table["auc_error"] = found["value"], found["error"]
    return table


def overall_area(events: QTable) -> dict[str, float]:
    """Area under the ROC curve, with its error as in `area_by_energy`, of all events together.

    Returns
    -------
    overall : dict
        ``auc`` and ``auc_uncertainty``; NaN as in `area_by_energy`. The error of a perfect
        separation (or of its reverse) is NaN too: all resamples of it are alike.
    """
    found = differences([[events]], "particle_type", N_RESAMPLES)
    (found,) = found[found["statistic"] == "auc"]
    area, error = float(found["value"]), float(found["error"])
    return {"auc": area, "auc_uncertainty": error if error > 0 else np.nan}


def draw_area_by_energy(table: QTable) -> Figure:
    """Picture of a table from `area_by_energy`."""
    n_events = int(np.sum(table["n_events"]))
    figure, axes = new_binned_axes(table, "event", label="true energy (TeV)")
    axes.set_title(f"Gamma separation by energy, {count_events(n_events, 'event')}")
    axes.set_ylabel("area under the ROC curve")
    if not np.any(np.isfinite(table["auc"])):
        say_empty(axes, "no energy has both gammas and other particles")
        return figure
    axes.axhline(0.5, color="0.35", linewidth=1, linestyle="--")
    draw_binned(axes, table, "auc", "AUC", PALETTE[0], "o")
    finish_binned(axes, table)
    return figure
