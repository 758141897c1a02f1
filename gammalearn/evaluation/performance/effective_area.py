"""Effective area: on how much ground a shower is seen, and reconstructed, and selected."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.binning import create_histogram_table

from ...plotting.style import (
    PALETTE,
    count_events,
    draw_binned,
    finish_binned,
    make_logarithmic,
    new_binned_axes,
    say_empty,
)
from .production import Production, thrown_density

__all__ = ["draw_effective_area", "effective_area"]

MARKERS = "osD^"


def effective_area(
    stages: Mapping[str, QTable], productions: Sequence[Production], energy_bins: u.Quantity
) -> QTable:
    """Effective area by true energy, after each stage of a selection.

    The area is the number of events that are left, divided by the simulated showers per area: for
    one production n_left / n_simulated · π r² (as in pyirf). Of a diffuse production it is the mean
    over the cone of directions.

    Parameters
    ----------
    stages : mapping of str to astropy.table.QTable
        Name of a stage → the events that are left there, with ``true_energy``; the first holds
        the others.
    productions : sequence of Production
        What the events were drawn from.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    area : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``true_energy_center``,
        ``n_simulated`` (expected of the power law), ``n_events`` (of the first stage) and, for each
        stage, ``n_STAGE``, ``effective_area_STAGE`` (m²) and its 68 % binomial (Wilson) interval
        ``_low`` and ``_high``. NaN where no showers were simulated.
    """
    density = thrown_density(productions, energy_bins)
    simulated = sum(
        u.Quantity(p.showers.calculate_n_showers_per_energy(energy_bins)).value for p in productions
    )
    thrown = np.asarray(simulated) > 0
    table = QTable()
    table["true_energy_low"], table["true_energy_high"] = energy_bins[:-1], energy_bins[1:]
    table["true_energy_center"] = (energy_bins[:-1] + energy_bins[1:]) / 2
    table["n_simulated"] = np.asarray(simulated, dtype=float)
    table["n_events"] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        # The area that one event in a bin stands for.
        per_event = np.where(thrown, 1 / density, np.nan / density.unit)
    for name, events in stages.items():
        n_left = np.asarray(create_histogram_table(events, energy_bins, "true_energy")["n"])
        table[f"n_{name}"] = n_left
        table[f"effective_area_{name}"] = n_left * per_event
        # A few more than expected may have been drawn.
        number = np.maximum(np.rint(simulated).astype(int), n_left)
        interval = np.full((2, len(n_left)), np.nan)
        if thrown.any():
            interval[:, thrown] = binom_conf_interval(
                n_left[thrown], np.maximum(number, 1)[thrown], interval="wilson"
            )
        for end, fraction in zip(("low", "high"), interval, strict=True):
            table[f"effective_area_{name}_{end}"] = fraction * number * per_event
    table["n_events"] = table[f"n_{next(iter(stages))}"]
    return table


def draw_effective_area(area: QTable, particle: str, labels: Mapping[str, str]) -> Figure:
    """Picture of a table from `effective_area`; ``labels`` say what the stages are."""
    figure, axes = new_binned_axes(area, particle)
    n_events = int(np.sum(area["n_events"]))
    axes.set_title(f"Effective area, {count_events(n_events, particle)}")
    axes.set_ylabel("effective area (m²)")
    if n_events == 0:
        say_empty(axes, "no events in the energy range")
        return figure
    for number, (stage, label) in enumerate(labels.items()):
        shown = area.copy()
        # What is nowhere on a logarithmic axis.
        column = f"effective_area_{stage}"
        shown[column][area[f"n_{stage}"] == 0] = np.nan
        shown["n_events"] = area[f"n_{stage}"]
        draw_binned(axes, shown, column, label, PALETTE[number], MARKERS[number])
    make_logarithmic(axes, "y")
    finish_binned(axes, area)
    return figure
