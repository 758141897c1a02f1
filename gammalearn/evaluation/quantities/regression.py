"""Quantities that are one number, judged by the difference from its truth."""

from collections.abc import Mapping
from typing import ClassVar

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure

from ...io.particles import plural
from ...plotting.style import (
    PALETTE,
    TRUE_ENERGY,
    count_events,
    draw_binned,
    finish_binned,
    new_binned_axes,
    say_empty,
)
from ...settings import EvaluationSettings
from ..report.page import ReportMetric
from ..report.results import Findings, Result
from ..statistics.binning import events_of_bins
from ..statistics.cuts import Cuts, say_cuts
from ..statistics.differences import Statistic
from .base import BY_TRUE_ENERGY, Quantity

__all__ = ["Regression"]


class Regression(Quantity):
    """A number with its truth. All that is said of it follows from its names and its unit."""

    column: ClassVar[str]
    """Its column in DL2 files, behind the algorithm's name, and in the simulated truth, behind
    ``true_``; metrics and tables carry it in their names."""

    unit: ClassVar[u.UnitBase]

    unit_in_words: ClassVar[str]
    """The unit as it stands in pictures and in the report."""

    called: ClassVar[str]
    """What it is called in captions."""

    short: ClassVar[str]
    """The same in one word."""

    def __init__(self) -> None:
        bias, resolution = f"{self.column}_bias", f"{self.column}_resolution"
        self.groups = (self.name,)
        self.columns = {f"reco_{self.column}": (self.column, self.unit)}
        self.truth = {f"true_{self.column}": self.unit}
        self.statistics = (
            Statistic(bias, f"Bias of the {self.words}", self.unit_in_words, "difference"),
            Statistic(resolution, f"Resolution of the {self.words}", self.unit_in_words, "ratio"),
        )
        self.results = (resolution,)

    def error(self, events: QTable) -> np.ndarray:
        """Reconstructed less true value, shape (n_events,)."""
        difference = events[f"reco_{self.column}"] - events[f"true_{self.column}"]
        return difference.to_value(self.unit)

    def resolution(self, events: QTable, energy_bins: u.Quantity) -> QTable:
        """Bias and resolution by true energy.

        The bias is the median of the error, reconstructed less true, and the resolution half of
        its central 68 %, (Q84 − Q16)/2.

        Parameters
        ----------
        events : astropy.table.QTable
            From `select`, with ``true_energy``.
        energy_bins : astropy.units.Quantity
            Edges in true energy, shape (n_bins + 1,).

        Returns
        -------
        resolution : astropy.table.QTable
            One row a bin: ``true_energy_low``, ``true_energy_high``, ``n_events``, and ``_bias``
            and ``_resolution`` behind the column's name, with its unit. NaN in empty bins; the
            resolution of a single event is NaN too.
        """
        table, bins = events_of_bins(events, TRUE_ENERGY, events["true_energy"], energy_bins)
        overall = [self.measure(inside) for inside in bins]
        for statistic in self.statistics:
            table[statistic.name] = [values[statistic.name] for values in overall] * self.unit
        return table

    def draw(self, resolution: QTable, particle: str) -> Figure:
        """Picture of a table from `resolution`."""
        figure, axes = new_binned_axes(resolution, particle)
        n_events = int(np.sum(resolution["n_events"]))
        axes.set_title(f"{self.words.capitalize()}, {count_events(n_events, particle)}")
        axes.set_ylabel(f"reconstructed less true ({self.unit_in_words})")
        axes.axhline(0, color="0.35", linewidth=1)
        if n_events == 0:
            say_empty(axes, "no events in the energy range")
            return figure
        bias, width = (statistic.name for statistic in self.statistics)
        draw_binned(axes, resolution, width, "(Q84 − Q16) / 2, no cuts", PALETTE[0], "o")
        draw_binned(axes, resolution, bias, "bias: median, no cuts", PALETTE[1], "s")
        finish_binned(axes, resolution)
        return figure

    def find(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        selected = self.select(events, signal)
        resolution = self.with_errors(self.resolution, selected, signal, settings)
        result = Result(
            self.results[0],
            self.draw(resolution, signal),
            f"Bias and resolution of the {self.called} of {plural(signal)}"
            f"{BY_TRUE_ENERGY}{say_cuts(None, 'gammaness')}",
            resolution,
        )
        return Findings(self.measure(selected), [result])

    def describe(self, metrics: Mapping[str, object]) -> list[ReportMetric]:
        signals = plural(str(metrics["signal"]))
        bias, width = self.statistics
        return [
            ReportMetric(
                bias.title,
                metrics[bias.name],
                bias.unit,
                f"Median of reconstructed less true {self.short} of all {signals} with both.",
            ),
            ReportMetric(
                width.title,
                metrics[width.name],
                width.unit,
                f"Half of the central 68 % of the same difference of the same {signals}.",
            ),
        ]
