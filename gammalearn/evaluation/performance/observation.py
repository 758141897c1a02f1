"""What an observation can expect: effective area, and sensitivity with the best cuts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ...plotting.style import FEW_IN_BIN, count_events
from ...settings import EvaluationSettings
from ..event_table import EventTable
from ..events.reading import UNKNOWN
from ..report.page import ReportMetric
from ..report.results import Findings, Result
from ..statistics.binning import energy_edges
from ..statistics.cuts import NO_CUTS, Cuts
from ..statistics.separation import POSITIVE
from ..statistics.working_points import gammaness_threshold
from .effective_area import draw_effective_area, effective_area
from .production import Node, Productions, read_productions
from .sensitivity import (
    MIN_EVENTS,
    Sensitivity,
    describe_conditions,
    draw_sensitivity,
    passes_cuts,
    sensitivity,
)
from .weighting import (
    background_particles,
    choose_ring,
    describe_spectra,
    weighted_background,
    weighted_gammas,
    why_no_sensitivity,
)

__all__ = ["RESULTS", "Performance", "describe_performance", "evaluate_performance"]

#: Names of the tables and pictures that there may be.
RESULTS = (
    "effective_area",
    "sensitivity",
    "by_pointing",
    "effective_area_by_pointing",
    "sensitivity_by_pointing",
)

#: Fraction of the gammas that the effective area after a cut on gammaness keeps.
EFFICIENCY = 0.7


@dataclass
class Performance(Findings):
    """What is found of effective area and sensitivity."""

    sensitivity: Sensitivity | None = None
    """With the best cuts; None if no energy bin has one."""

    def gammaness_cuts(self, events: QTable, signal: str) -> Cuts | None:
        """The cuts of the sensitivity if those on gammaness apply to the signal's events.

        Parameters
        ----------
        events : astropy.table.QTable
            Those that `evaluate_performance` was given. Cuts for the mean of telescopes do not
            apply to single ones.
        signal : str
        """
        if self.sensitivity is None or signal != POSITIVE or EventTable.of(events).is_of_images:
            return None
        return self.sensitivity.cuts


def evaluate_performance(
    paths: Sequence[Path],
    events: QTable,
    signal: str,
    settings: EvaluationSettings,
    node: Node | None = None,
) -> Performance:
    """Effective area of the signal and sensitivity to a point source, as far as they can be had.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The DL2 files.
    events : astropy.table.QTable
        Theirs, from `read_events`.
    signal : str
        The particle to judge by.
    settings : EvaluationSettings
    node : Node, optional
        The pointing of the events, if the files have others too.
    """
    if EventTable.of(events).is_of_images:
        # Only where it is needed: ctapipe's combination of telescopes takes seconds to load.
        from ..events.combination import combine_telescopes

        events = combine_telescopes(events)
    productions = read_productions(paths, events, node)
    found = _sensitivity(events, productions, settings)
    cuts = found.sensitivity.cuts if found.sensitivity else None
    area = _effective_area(events, signal, productions, settings, cuts)
    not_counted = productions.lacking.get(UNKNOWN) if area.results else None
    warnings = [f"{not_counted}."] if not_counted else []
    warnings += [*productions.warnings, *area.warnings, *found.warnings]
    return Performance(
        {**area.metrics, **found.metrics},
        [*area.results, *found.results],
        warnings,
        sensitivity=found.sensitivity,
    )


def _effective_area(
    events: QTable,
    signal: str,
    productions: Productions,
    settings: EvaluationSettings,
    cuts: Cuts | None,
) -> Findings:
    mine = [production for production in productions.known if production.particle == signal]
    triggered = events[np.asarray(events["particle"] == signal)]
    if not mine or signal in productions.lacking:
        why = productions.lacking.get(signal)
        warnings = [f"There is no effective area: {why}."] if why else []
        return Findings({"n_simulated_signal": None}, warnings=warnings)
    valid = np.ones(len(triggered), dtype=bool)
    algorithms = EventTable.of(events).algorithms
    for quantity in algorithms:
        valid &= np.asarray(triggered[f"{quantity}_is_valid"])
    stages = {"triggered": triggered, "reconstructed": triggered[valid]}
    labels = {"triggered": "all triggered", "reconstructed": "reconstructed"}
    if signal == POSITIVE and "particle_type" in algorithms:
        gammaness = np.asarray(triggered["gammaness"], dtype=float)
        threshold = gammaness_threshold(gammaness[valid], EFFICIENCY)
        stages["separated"] = triggered[valid & (gammaness >= threshold)]
        labels["separated"] = f"{EFFICIENCY:.0%} of them, by gammaness"
        if cuts is not None:
            stages["selected"] = triggered[valid & passes_cuts(triggered, cuts)]
            labels["selected"] = "by the cuts of the sensitivity"
    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    area = effective_area(stages, mine, edges)
    area.meta["particle"] = signal
    if cuts is not None and "selected" in stages:
        _leave_out_without_cuts(area, stages["reconstructed"], cuts, edges)
    number = int(sum(production.showers.n_showers for production in mine))
    return Findings(
        {"n_simulated_signal": number},
        [
            Result(
                "effective_area",
                draw_effective_area(area, signal, labels),
                f"Effective area by true energy, of {count_events(number, signal)} simulated "
                f"{'within a cone' if any(p.is_diffuse for p in mine) else 'from one direction'}; "
                f"hollow points stand for fewer than {FEW_IN_BIN} events. Errors: 68 % binomial "
                f"intervals.{NO_CUTS if 'selected' in stages else ''}",
                area,
            )
        ],
    )


def _leave_out_without_cuts(
    area: QTable, reconstructed: QTable, cuts: Cuts, edges: u.Quantity
) -> None:
    """Leave no area by the cuts in bins where there are too few cuts: nothing is known there."""
    unknown = cuts.lacking(reconstructed, edges)
    for end in ("", "_low", "_high"):
        area[f"effective_area_selected{end}"][unknown] = np.nan


def describe_performance(metrics: Mapping[str, object]) -> list[ReportMetric]:
    """The rows of the report on the metrics of `evaluate_performance`."""
    return [
        ReportMetric(
            "Sensitivity",
            metrics["best_relative_sensitivity"],
            "Crab",
            "Flux of a point source that is detected in 50 h, where it is best, as a part of the "
            "Crab Nebula's.",
        )
    ]


def _sensitivity(
    events: QTable, productions: Productions, settings: EvaluationSettings
) -> Performance:
    nothing: dict[str, object] = {"best_relative_sensitivity": None}
    if "particle_type" not in EventTable.of(events).algorithms:
        # That there is no particle type is said where it is evaluated.
        return Performance(nothing)
    why = why_no_sensitivity(events, productions.known, productions.lacking)
    if why:
        return Performance(nothing, warnings=[f"There is no sensitivity: {why}."])
    gammas = weighted_gammas(events, productions.known)
    background = weighted_background(events, productions.known)
    ring = choose_ring(events[np.asarray(events["particle"] == POSITIVE)], productions.known)
    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    found = sensitivity(gammas, background, edges, ring)
    between = f"{ring.low.value:.2g} and {ring.high.value:.2g} deg from the pointing"
    if not found.is_known.any():
        n_background = int(ring.holds(background).sum())
        return Performance(
            nothing,
            warnings=[
                f"There is no sensitivity: no energy bin has {MIN_EVENTS} gammas and "
                f"{MIN_EVENTS} background events left by cuts, of {len(gammas)} reconstructed "
                f"gammas and {n_background} background events between {between}; simulate more."
            ],
        )
    spectra = describe_spectra(background_particles(events, productions.known))
    found.table.meta |= spectra.to_meta()
    return Performance(
        {"best_relative_sensitivity": found.best},
        [
            Result(
                "sensitivity",
                draw_sensitivity(found.table, settings.references),
                f"{describe_conditions(spectra)} Background is counted between {between}. "
                "Errors: scatter of the simulated showers. Bins with fewer than "
                f"{MIN_EVENTS} gammas or background events after cuts have none. Published curves "
                "are of five bins a decade.",
                found.table,
            )
        ],
        sensitivity=found,
    )
