"""What can be said of events without a simulated truth: how their reconstruction is distributed."""

import astropy.units as u
import numpy as np
from astropy.coordinates import angular_separation
from astropy.table import QTable
from matplotlib.figure import Figure

from ...settings import EvaluationSettings
from ..report.pictures import PALETTE, count_events, make_logarithmic, say_empty
from ..report.results import Findings, Result
from .binning import energy_edges, offset_edges
from .separation import draw_gammaness, gammaness_histogram

__all__ = ["distribution", "evaluate_observed"]


def distribution(values: u.Quantity, edges: u.Quantity, name: str) -> QTable:
    """Numbers of events in bins of a quantity.

    Parameters
    ----------
    values : astropy.units.Quantity
        Shape (n_events,).
    edges : astropy.units.Quantity
        Shape (n_bins + 1,).
    name : str
        Of the quantity.

    Returns
    -------
    table : astropy.table.QTable
        One row a bin: ``NAME_low``, ``NAME_high``, ``n_events``. ``meta``: ``n_out_of_range``.
    """
    table = QTable({f"{name}_low": edges[:-1], f"{name}_high": edges[1:]})
    table["n_events"] = np.histogram(values.to_value(edges.unit), edges.value)[0]
    table.meta["n_out_of_range"] = len(values) - int(table["n_events"].sum())
    return table


def evaluate_observed(events: QTable, settings: EvaluationSettings) -> Findings:
    """Distributions of energy, offset from the pointing and gammaness, of what there is.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`, without truth.
    settings : EvaluationSettings
    """
    results = []
    algorithms = events.meta["algorithms"]
    if "energy" in algorithms:
        energy = events["reco_energy"][events["energy_is_valid"]]
        edges = energy_edges(settings.energy_range, settings.bins_per_decade)
        table = distribution(energy, edges, "reco_energy")
        caption = "Reconstructed energies"
        results.append(_result(table, "reco_energy", "reconstructed energy (TeV)", caption))
    if "direction" in algorithms:
        selected = events[events["direction_is_valid"]]
        offset = angular_separation(
            *(selected[name] for name in ("reco_az", "reco_alt", "pointing_az", "pointing_alt"))
        ).to(u.deg)
        offset = offset[np.isfinite(offset)]
        if len(offset):
            table = distribution(offset, offset_edges(offset), "reco_offset")
            caption = "Angles of the reconstructed directions to the pointing"
            results.append(_result(table, "reco_offset", "angle to the pointing (deg)", caption))
    if "particle_type" in algorithms:
        histogram = gammaness_histogram(events[events["particle_type_is_valid"]])
        caption = "Gammaness of the events. Errors: 68 % binomial intervals."
        results.append(Result("gammaness", draw_gammaness(histogram), caption, histogram))
    return Findings({}, results)


def _result(table: QTable, name: str, label: str, caption: str) -> Result:
    number, outside = int(table["n_events"].sum()), table.meta["n_out_of_range"]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True)
    axes.set_title(f"{caption}, {count_events(number, 'event')}")
    axes.set_xlabel(label)
    axes.set_ylabel("events in a bin")
    low, high = table[f"{name}_low"].value, table[f"{name}_high"].value
    if name.endswith("energy"):
        make_logarithmic(axes, "x")
    axes.set_xlim(low[0], high[-1])
    if number == 0:
        say_empty(axes, "no events in this range")
    axes.stairs(table["n_events"], np.append(low, high[-1]), fill=True, color=PALETTE[0], alpha=0.5)
    left_out = f"; {count_events(outside, 'event')} lie outside" if outside else ""
    return Result(name, figure, f"{caption}{left_out}.", table)
