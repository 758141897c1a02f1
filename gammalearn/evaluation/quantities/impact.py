"""Impact: where the shower's axis meets the ground, and how far that is from the true point."""

from collections.abc import Mapping

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE

from ...io.particles import plural
from ...plotting.style import (
    PALETTE,
    ROUND_NUMBERS,
    TRUE_ENERGY,
    count_events,
    draw_binned,
    finish_binned,
    make_logarithmic,
    new_binned_axes,
    say_empty,
)
from ...settings import EvaluationSettings
from ..report.page import ReportMetric
from ..report.results import Findings, Result
from ..statistics.binning import events_of_bins
from ..statistics.cuts import Cuts, say_cuts
from ..statistics.differences import Statistic
from ..statistics.resampling import repeated_quantiles
from ..statistics.spread import containment
from .base import BY_TRUE_ENERGY, Quantity

__all__ = [
    "Impact",
    "core_distance",
    "draw_impact_resolution",
    "core_error",
    "impact_resolution",
]


class Impact(Quantity):
    """Impact point, which stands in the table of the direction."""

    name = "impact"
    table_of = "direction"
    columns = {"reco_core_x": ("core_x", u.m), "reco_core_y": ("core_y", u.m)}
    optional = {
        "core_x_uncertainty": ("core_uncert_x", u.m),
        "core_y_uncertainty": ("core_uncert_y", u.m),
    }
    truth = {"true_core_x": u.m, "true_core_y": u.m}
    statistics = (Statistic("impact_resolution_68", "Impact resolution", "m", "ratio"),)
    uncertainty = ("core_x_uncertainty", "core_y_uncertainty")
    results = ("impact_resolution",)

    def error(self, events: QTable) -> np.ndarray:
        """Distance on the ground (m), shape (n_events,)."""
        return core_error(events).to_value(u.m)

    def measure(self, events: QTable) -> dict[str, float]:
        (distance,) = containment(self.error(events), [ONE_SIGMA_QUANTILE])
        return {"impact_resolution_68": distance}

    def remeasure(self, events: QTable, repeats: np.ndarray) -> np.ndarray:
        return repeated_quantiles(self.error(events), repeats, (ONE_SIGMA_QUANTILE,))

    def find(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        selected = self.select(events, signal)
        resolution = self.with_errors(impact_resolution, selected, signal, settings)
        result = Result(
            "impact_resolution",
            draw_impact_resolution(resolution, signal),
            f"Distance around the true impact point that contains 68 % of the {plural(signal)}"
            f"{BY_TRUE_ENERGY}{say_cuts(None, 'gammaness')}",
            resolution,
        )
        return Findings(self.measure(selected), [result])

    def describe(self, metrics: Mapping[str, object]) -> list[ReportMetric]:
        return [
            ReportMetric(
                "Impact resolution, 68 %",
                metrics["impact_resolution_68"],
                "m",
                f"Distance that contains 68 % of all {plural(str(metrics['signal']))} with a "
                "reconstructed impact point.",
            )
        ]

    def pulls(self, events: QTable) -> np.ndarray:
        """Errors along both axes of the ground in units of the predicted ones."""
        pulls = np.column_stack(
            [
                (events[f"reco_core_{axis}"] - events[f"true_core_{axis}"])
                / events[f"core_{axis}_uncertainty"]
                for axis in "xy"
            ]
        )
        return u.Quantity(pulls).to_value(u.one)


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


def core_error(events: QTable) -> u.Quantity:
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
        From `Impact.select`, with ``true_energy``.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``n_events``,
        ``impact_resolution_68`` (m), NaN in empty bins.
    """
    table, bins = events_of_bins(events, TRUE_ENERGY, events["true_energy"], energy_bins)
    overall = [Impact().measure(inside)["impact_resolution_68"] for inside in bins]
    table["impact_resolution_68"] = overall * u.m
    return table


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
    make_logarithmic(axes, "y", ROUND_NUMBERS)
    finish_binned(axes, resolution)
    return figure
