"""Particle type: how well gammas are told from other particles by their gammaness."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure

from ...plotting.style import (
    FEW_IN_BIN,
    PALETTE,
    count_events,
    draw_binned,
    finish_binned,
    new_binned_axes,
    say_empty,
)
from ...settings import EvaluationSettings
from ..report.page import ReportMetric, ReportSection
from ..report.results import Findings, Result
from ..statistics.binning import energy_edges
from ..statistics.by_particle import metric_names, present_particles
from ..statistics.cuts import Cuts
from ..statistics.differences import (
    MIN_SHOWERS,
    N_RESAMPLES,
    N_RESAMPLES_OF_CURVE,
    Statistic,
    differences,
    differences_by_energy,
)
from ..statistics.resampling import repeated_area_under_curve, repeated_fraction_left
from ..statistics.roc_curves import BANDS_PER_DECADE, roc_curves_by_energy
from ..statistics.separation import (
    POSITIVE,
    area_under_curve,
    draw_gammaness,
    draw_roc_curve,
    draw_roc_curves_by_energy,
    gammaness_histogram,
    mean_gammaness,
    roc_curve,
)
from ..statistics.side_by_side import draw_roc_curves, with_labels
from ..statistics.working_points import (
    EFFICIENCIES,
    confusion_matrix,
    draw_confusion_matrix,
    draw_working_points,
    working_points,
)
from .base import FEW_EVENTS, Quantity

__all__ = ["ParticleType", "area_by_energy", "draw_area_by_energy", "overall_area"]

#: Fraction of the gammas that is kept where it is told what is left of the others.
EFFICIENCY = 0.8


class ParticleType(Quantity):
    """Whether the particle is a gamma: its gammaness."""

    name = "particle_type"
    is_main = True
    # The group was called `classification` before data model 7.2.
    groups = ("particle_type", "classification")
    columns = {"gammaness": ("prediction", u.one)}
    lstchain = {"prediction": ("gammaness", None)}
    ctapipe_property = "PARTICLE_TYPE"
    statistics = (
        Statistic("auc", "Area under the ROC curve", "", "ratio of 1 − x"),
        Statistic("others_left", f"Others left with {EFFICIENCY:.0%} of the gammas", "", "ratio"),
    )
    n_kinds = 2
    of_signal = False
    undefined = (
        "The events in common are not both of gammas and of other particles: separation (ROC "
        "curve, AUC) is undefined."
    )
    results = (
        "roc_curve",
        "roc_curves_by_energy",
        "auc_by_energy",
        "gammaness",
        "working_points",
        "confusion_matrix",
    )
    comparisons = ("roc_curves",)

    def measure(self, events: QTable) -> dict[str, float]:
        (point,) = working_points(events, [EFFICIENCY])
        return {**area_under_curve(events), "others_left": float(point["efficiency_other"])}

    def remeasure(self, events: QTable, repeats: np.ndarray) -> np.ndarray:
        is_gamma = np.asarray(events["particle"] == POSITIVE)
        sample = np.asarray(events["gammaness"]), is_gamma, repeats
        return np.column_stack(
            [repeated_area_under_curve(*sample), repeated_fraction_left(*sample, EFFICIENCY)]
        )

    def kinds(self, events: QTable) -> np.ndarray:
        """Gammas, and others."""
        return (np.asarray(events["particle"]) == POSITIVE).astype(int)

    def bins_per_decade(self, settings: EvaluationSettings) -> int:
        return BANDS_PER_DECADE

    def metrics(self, events: QTable) -> list[str]:
        means = metric_names("gammaness_mean", present_particles(events))
        return ["auc", "auc_uncertainty", *means.values()]

    def find(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        selected = events[self.is_known(events)]
        curve, area = roc_curve(selected), overall_area(selected)
        points = working_points(selected)
        results = [
            Result(
                "roc_curve",
                draw_roc_curve(curve, area),
                "Fraction of the gammas against that of the other particles above a threshold of "
                "the gammaness; the band is the 68 % binomial interval of the gammas' fraction.",
                curve,
            ),
            *self._by_energy_and_gammaness(selected, settings),
            *self._at_thresholds(selected, points),
        ]
        means = metric_names("gammaness_mean", present_particles(events))
        metrics = {**area, **{key: mean_gammaness(selected, name) for name, key in means.items()}}
        n_gamma, n_other = curve.meta["n_gamma"], curve.meta["n_other"]
        sections = [_describe_points(points)]
        return Findings(metrics, results, _warn_of_few(n_gamma, n_other), sections)

    def _by_energy_and_gammaness(
        self, selected: QTable, settings: EvaluationSettings
    ) -> list[Result]:
        """The separation by true energy, and what it rests on."""
        bands = energy_edges(settings.energy_range, self.bins_per_decade(settings))
        by_band = roc_curves_by_energy([[selected]], bands)
        # What relates several reconstructions.
        by_band.remove_columns([n for n in ("reconstruction", "ratio") if n in by_band.colnames])
        edges = energy_edges(settings.energy_range, settings.bins_per_decade)
        by_energy, histogram = area_by_energy(selected, edges), gammaness_histogram(selected)
        return [
            Result(
                "roc_curves_by_energy",
                draw_roc_curves_by_energy(by_band),
                "The same by true energy, of half decades with at least "
                f"{MIN_SHOWERS} gammas and {MIN_SHOWERS} other particles.",
                by_band,
            ),
            Result(
                "gammaness",
                draw_gammaness(histogram),
                "Gammaness of each kind of particle, as fractions of its events. Errors: 68 % "
                "binomial intervals.",
                histogram,
            ),
            Result(
                "auc_by_energy",
                draw_area_by_energy(by_energy),
                "Area under the ROC curve of the gammas and other particles of a true energy; "
                f"hollow points stand for fewer than {FEW_IN_BIN} events, or showers of a kind. "
                "Errors: bootstrap over showers.",
                by_energy,
            ),
        ]

    def _at_thresholds(self, selected: QTable, points: QTable) -> list[Result]:
        """What thresholds of the gammaness keep."""
        matrix = confusion_matrix(selected)
        return [
            Result(
                "working_points",
                draw_working_points(selected),
                "What a threshold of the gammaness keeps, and the gammas' share in it. The table "
                "has those thresholds that keep 50 to 95 % of the gammas.",
                points,
            ),
            Result(
                "confusion_matrix",
                draw_confusion_matrix(matrix),
                "What events of each particle (rows) are taken for; intervals are in the table.",
                matrix,
            ),
        ]

    def describe(self, metrics: Mapping[str, object]) -> list[ReportMetric]:
        error = metrics["auc_uncertainty"]
        return [
            ReportMetric(
                "Area under the ROC curve",
                metrics["auc"],
                "",
                "Chance that a gamma has a higher gammaness than another particle"
                + (
                    "."
                    if error is None
                    else f"; standard error {error:.2g} (bootstrap over showers)."
                ),
            )
        ]

    def observe(self, events: QTable, settings: EvaluationSettings) -> list[Result]:
        histogram = gammaness_histogram(events[self.is_known(events)])
        caption = "Gammaness of the events. Errors: 68 % binomial intervals."
        return [Result("gammaness", draw_gammaness(histogram), caption, histogram)]

    def compare(
        self, common: Sequence[Sequence[QTable]], labels: Sequence[str], edges: u.Quantity
    ) -> list[Result]:
        curves = roc_curves_by_energy(common, edges)
        return [
            Result(
                "roc_curves",
                draw_roc_curves(curves, labels),
                "Fraction of the gammas against that of the other particles above a threshold of "
                "the gammaness, by true energy, with its 68 % binomial interval; below, the ratio "
                f"to {labels[0]}.",
                with_labels(curves, labels) if len(curves) else None,
            )
        ]


def _warn_of_few(n_gamma: int, n_other: int) -> list[str]:
    """A sentence if there are no events of a kind, or so few that chance decides."""
    if n_gamma == 0 or n_other == 0:
        lacking = "gammas" if n_gamma == 0 else "particles other than gammas"
        return [
            f"There are no {lacking} with a reconstructed particle type: separation (ROC curve, "
            "AUC) is undefined."
        ]
    if min(n_gamma, n_other) < FEW_EVENTS:
        return [
            f"The separation rests on {count_events(n_gamma, 'gamma')} and "
            f"{n_other} of other particles: below {FEW_EVENTS} events of a kind it is dominated "
            "by chance."
        ]
    return []


def _describe_points(points: QTable) -> ReportSection:
    columns = ("threshold", "efficiency_other", "purity", "quality")
    return ReportSection(
        title="Working points",
        text="Thresholds of the gammaness that keep such a fraction of the gammas: what they keep "
        "of the other particles, the gammas' share in what is kept (in the mixture of these "
        "events), and the gammas' efficiency by the root of the others'.",
        heading=["Gammas kept", "Threshold", "Others kept", "Purity", "Quality"],
        table={
            f"{efficiency:.0%}": [float(point[name]) for name in columns]
            for efficiency, point in zip(EFFICIENCIES, points, strict=True)
        },
    )


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
    found = differences_by_energy([[events]], ParticleType(), energy_bins, N_RESAMPLES_OF_CURVE)
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
    found = differences([[events]], ParticleType(), N_RESAMPLES)
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
