"""Energy: the relative error, of which bias and resolution are taken."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks import energy_bias_resolution

from ...io.particles import plural
from ...plotting.style import (
    PALETTE,
    count_events,
    draw_after_cuts,
    draw_binned,
    finish_binned,
    new_binned_axes,
    say_empty,
)
from ...settings import EvaluationSettings
from ..report.page import ReportMetric
from ..report.reference_curves import draw_references
from ..report.results import Findings, Result
from ..statistics.binning import energy_edges
from ..statistics.cuts import Cuts, add_after_cuts, say_cuts
from ..statistics.differences import Statistic, bootstrap_errors
from ..statistics.distribution import distribution, show_distribution
from ..statistics.migration import MigrationAxis, evaluate_migration
from .base import BY_TRUE_ENERGY, Quantity, warn_of_empty_bins, warn_of_few

__all__ = ["Energy", "draw_energy_resolution", "energy_resolution", "overall_energy_resolution"]


class Energy(Quantity):
    """Energy of the primary particle."""

    name = "energy"
    is_main = True
    groups = ("energy",)
    columns = {"reco_energy": ("energy", u.TeV)}
    optional = {"energy_uncertainty": ("energy_uncert", u.TeV)}
    truth = {"true_energy": u.TeV}
    lstchain = {"energy": ("reco_energy", u.TeV)}
    ctapipe_property = "ENERGY"
    is_logarithmic = True
    statistics = (
        Statistic("energy_bias", "Energy bias", "", "difference"),
        Statistic("energy_resolution", "Energy resolution", "", "ratio"),
    )
    migrations = (
        MigrationAxis("energy", "Energies", "true_energy", "reco_energy", is_logarithmic=True),
    )
    uncertainty = ("energy_uncertainty",)
    results = ("migration_matrix_energy", "energy_resolution", "reco_energy")

    def error(self, events: QTable) -> np.ndarray:
        """E_reco/E_true − 1, shape (n_events,)."""
        return (events["reco_energy"] / events["true_energy"]).to_value(u.one) - 1

    def metrics(self, events: QTable) -> list[str]:
        return [*super().metrics(events), "energy_migration_out_of_range"]

    def find(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        edges = energy_edges(settings.energy_range, settings.bins_per_decade)
        selected = self.select(events, signal)
        migration = evaluate_migration(selected, self.migrations[0], edges, signal)
        resolution = self._measure(selected, edges)
        add_after_cuts(resolution, selected, cuts, edges, lambda kept: self._measure(kept, edges))
        resolution.meta["particle"] = signal
        metrics = {
            **self.measure(selected),
            "energy_migration_out_of_range": migration.n_out_of_range,
        }
        picture = draw_energy_resolution(resolution, signal, settings.references)
        caption = (
            f"Bias and resolution of the energy of {plural(signal)}{BY_TRUE_ENERGY}"
            f"{say_cuts(cuts, 'gammaness')}"
        )
        results = [migration.result, Result("energy_resolution", picture, caption, resolution)]
        warnings = warn_of_few(selected, signal, "energy")
        warnings += warn_of_empty_bins(resolution, events, signal, "energy")
        return Findings(metrics, results, warnings)

    def _measure(self, events: QTable, edges: u.Quantity) -> QTable:
        """Bias and resolution with their errors."""
        table = energy_resolution(events, edges)
        errors = bootstrap_errors(events, self, edges)
        table["bias_error"] = errors["energy_bias"]
        table["resolution_error"] = errors["energy_resolution"]
        return table

    def describe(self, metrics: Mapping[str, object]) -> list[ReportMetric]:
        signals = plural(str(metrics["signal"]))
        return [
            ReportMetric(
                "Energy bias",
                metrics["energy_bias"],
                "",
                f"Median of E_reco/E_true − 1 of all {signals} with a reconstructed energy.",
            ),
            ReportMetric(
                "Energy resolution",
                metrics["energy_resolution"],
                "",
                f"Half of the central 68 % of E_reco/E_true − 1 of the same {signals}.",
            ),
        ]

    def observe(self, events: QTable, settings: EvaluationSettings) -> list[Result]:
        energy = events["reco_energy"][events["energy_is_valid"]]
        edges = energy_edges(settings.energy_range, settings.bins_per_decade)
        table = distribution(energy, edges, "reco_energy")
        caption = "Reconstructed energies"
        return [show_distribution(table, "reco_energy", "reconstructed energy (TeV)", caption)]

    def pulls(self, events: QTable) -> np.ndarray:
        """Errors of the energy in units of the predicted one: ln(E_reco/E_true) / (σ_E/E_reco).

        The relative uncertainty is that of the logarithm, in which errors of energies are
        symmetric.
        """
        relative = (events["energy_uncertainty"] / events["reco_energy"]).to_value(u.one)
        error = np.log((events["reco_energy"] / events["true_energy"]).to_value(u.one))
        return (error / relative)[:, None]

    def has_pull(self, events: QTable) -> np.ndarray:
        """Energies that are not positive have none, as they have no logarithm."""
        return ~np.asarray(events["reco_energy"].value <= 0)

    def warn_of_lost_pulls(self, reconstructed: QTable, signal: str) -> list[str]:
        number = int(np.sum(self.is_uncertain(reconstructed) & ~self.has_pull(reconstructed)))
        if number == 0:
            return []
        verb, pronoun, be = ("has", "it", "is") if number == 1 else ("have", "they", "are")
        return [
            f"{count_events(number, signal)} with a predicted uncertainty {verb} a reconstructed "
            f"energy that is not positive: it has no logarithm, and {pronoun} {be} left out of "
            "pulls and coverage."
        ]


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
    return Energy().measure(events)


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
