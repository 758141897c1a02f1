"""Sensitivity to a point source, with the cuts that are best for it."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE
from pyirf.binning import bin_center, create_histogram_table
from pyirf.cuts import calculate_percentile_cut, evaluate_binned_cut
from pyirf.sensitivity import estimate_background, relative_sensitivity

from ...io.particles import plural
from ...plotting.style import PALETTE, draw_binned, finish_binned, make_logarithmic, new_binned_axes
from ..quantities.direction import separation_angle
from ..report.reference_curves import draw_references
from ..statistics.cuts import Cuts
from .weighting import OBS_TIME, SOURCE_SPECTRUM, Ring, Spectra

__all__ = [
    "MIN_EVENTS",
    "Sensitivity",
    "describe_conditions",
    "draw_sensitivity",
    "passes_cuts",
    "sensitivity",
]

#: What detects the source: a significance (Li & Ma, ApJ 272 (1983) 317, formula 17), gammas, and
#: gammas as a part of the background.
MIN_SIGNIFICANCE, MIN_GAMMAS, MIN_OF_BACKGROUND = 5, 10, 0.05

#: Area of the source's region by that of the regions without it.
ALPHA = 0.2

#: Fractions of the gammas whose cuts on gammaness are tried, and that for which the cut on the
#: angle is made.
EFFICIENCIES = np.round(np.arange(0.1, 0.96, 0.05), 2)
FIRST_EFFICIENCY = 0.7

#: The cut on the angle contains 68 % of the gammas, within these limits.
THETA_LIMITS = (0.02, 0.4) * u.deg

#: Simulated gammas, and simulated background, that must be left in a bin: what chance leaves of
#: fewer would decide what cut is best.
MIN_EVENTS = 10


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity to a point source by reconstructed energy, with the cuts that are best for it.

    Attributes
    ----------
    table : astropy.table.QTable
        One row a bin: ``reco_energy_low``, ``reco_energy_high``, ``reco_energy_center``,
        ``gammaness_cut``, ``gamma_efficiency`` (of that cut), ``theta_cut`` (deg), ``n_events``
        (simulated gammas after the cuts), ``n_background`` (simulated, in the ring),
        ``expected_gamma``, ``expected_background`` (expected in 50 h within the angle of
        the cut, of the source and beside it), ``relative_sensitivity`` (to the
        source's flux), ``flux_sensitivity`` (E² dN/dE, TeV/(cm² s)) and ``_error`` of it: from the
        scatter of simulated showers, propagated. NaN in bins with too few events. ``meta``: the
        conditions of a detection, the limits of the cut on the angle and the ring.
    cuts : Cuts
        Those of the table.
    ring : Ring
        Where the background is counted.
    """

    table: QTable
    cuts: Cuts
    ring: Ring

    @property
    def is_known(self) -> np.ndarray:
        """Which bins have a sensitivity, shape (n_bins,)."""
        return np.isfinite(self.table["relative_sensitivity"])

    @property
    def best(self) -> float | None:
        """The smallest detected flux as a part of the source's, None if no bin has one."""
        known = self.table["relative_sensitivity"][self.is_known]
        return float(np.min(known)) if len(known) else None


def sensitivity(
    gammas: QTable, background: QTable, energy_bins: u.Quantity, ring: Ring
) -> Sensitivity:
    """Sensitivity by reconstructed energy, with the best cut on gammaness in each bin.

    The cut on the angle contains 68 % of the gammas that a first cut on gammaness leaves. Then,
    in each bin, that cut on gammaness is taken which gives the best sensitivity of those that leave
    10 simulated gammas and 10 of the background in the ring. The sensitivity is pyirf's: the flux
    that is detected in 50 h with 5 σ (Li & Ma), 10 gammas and 5 % of the background at least.

    Parameters
    ----------
    gammas, background : astropy.table.QTable
        From `weighted_gammas`, `weighted_background`.
    energy_bins : astropy.units.Quantity
        Edges in reconstructed energy, shape (n_bins + 1,).
    ring : Ring

    Returns
    -------
    Sensitivity
    """
    table = _best(gammas, background, energy_bins, ring)
    table.meta["ring_deg"] = [float(ring.low.to_value(u.deg)), float(ring.high.to_value(u.deg))]
    cuts = Cuts(energy_bins, np.asarray(table["gammaness_cut"]), table["theta_cut"])
    return Sensitivity(table, cuts, ring)


def _best(gammas: QTable, background: QTable, energy_bins: u.Quantity, ring: Ring) -> QTable:
    """The table of the sensitivity with the best cut in each bin."""
    n_bins = len(energy_bins) - 1
    best = _empty(energy_bins)
    if len(gammas) == 0 or len(background) == 0:
        return best
    theta_cuts = _cut_on_angle(gammas, energy_bins)
    near = _pass(gammas, "theta", theta_cuts, operator.le)
    in_ring = ring.holds(background)
    trials = calculate_percentile_cut(
        gammas["gh_score"],
        gammas["reco_energy"],
        energy_bins,
        fill_value=np.inf,
        percentile=100 * (1 - EFFICIENCIES),
        min_events=MIN_EVENTS,
    )
    for number, efficiency in enumerate(EFFICIENCIES):
        cut = trials.copy()
        cut["cut"] = trials["cut"][:, number]
        kept, kept_background = (
            table[
                also
                & evaluate_binned_cut(table["gh_score"], table["reco_energy"], cut, operator.ge)
            ]
            for table, also in ((gammas, near), (background, in_ring))
        )
        found = _with_cuts(kept, kept_background, energy_bins, theta_cuts, ring)
        relative = found["relative_sensitivity"]
        # NaN, of too few events, is never better; a first value always is.
        better = np.isfinite(relative) & ~(relative >= best["relative_sensitivity"])
        found["gammaness_cut"], found["gamma_efficiency"] = cut["cut"], np.full(n_bins, efficiency)
        found["theta_cut"] = theta_cuts["cut"]
        for name in set(best.colnames) & set(found.colnames):
            best[name][better] = found[name][better]
    return best


def _pass(
    events: QTable, name: str, cuts: QTable, comparison: Callable[..., np.ndarray]
) -> np.ndarray:
    return evaluate_binned_cut(events[name], events["reco_energy"], cuts, comparison)


def _empty(energy_bins: u.Quantity) -> QTable:
    n_bins = len(energy_bins) - 1
    table = QTable()
    table["reco_energy_low"], table["reco_energy_high"] = energy_bins[:-1], energy_bins[1:]
    table["reco_energy_center"] = bin_center(energy_bins)
    table["gammaness_cut"] = table["gamma_efficiency"] = np.full(n_bins, np.nan)
    table["theta_cut"] = np.full(n_bins, np.nan) * u.deg
    table["n_events"] = table["n_background"] = np.zeros(n_bins, dtype=int)
    for name in ("expected_gamma", "expected_background", "relative_sensitivity"):
        table[name] = np.full(n_bins, np.nan)
    for name in ("flux_sensitivity", "flux_sensitivity_error"):
        table[name] = np.full(n_bins, np.nan) * u.TeV / (u.cm**2 * u.s)
    table.meta |= {
        "obs_time_h": float(OBS_TIME.to_value(u.h)),
        "min_significance": MIN_SIGNIFICANCE,
        "min_gammas": MIN_GAMMAS,
        "min_gammas_by_background": MIN_OF_BACKGROUND,
        "alpha": ALPHA,
        "theta_containment": float(ONE_SIGMA_QUANTILE),
        "theta_limits_deg": THETA_LIMITS.to_value(u.deg).tolist(),
        "min_simulated_events": MIN_EVENTS,
    }
    return table


def _cut_on_angle(gammas: QTable, energy_bins: u.Quantity) -> QTable:
    limits = {"min_events": MIN_EVENTS}
    first = calculate_percentile_cut(
        gammas["gh_score"],
        gammas["reco_energy"],
        energy_bins,
        fill_value=-np.inf,
        percentile=100 * (1 - FIRST_EFFICIENCY),
        **limits,
    )
    kept = _pass(gammas, "gh_score", first, operator.ge)
    return calculate_percentile_cut(
        gammas["theta"][kept],
        gammas["reco_energy"][kept],
        energy_bins,
        fill_value=THETA_LIMITS[1],
        min_value=THETA_LIMITS[0],
        max_value=THETA_LIMITS[1],
        percentile=100 * ONE_SIGMA_QUANTILE,
        **limits,
    )


def _with_cuts(
    gammas: QTable, background: QTable, energy_bins: u.Quantity, theta_cuts: QTable, ring: Ring
) -> QTable:
    """The sensitivity of what cuts have left, NaN in bins where that is too little."""
    signal = create_histogram_table(gammas, energy_bins, "reco_energy")
    in_ring = create_histogram_table(background, energy_bins, "reco_energy")
    beside = estimate_background(background, energy_bins, theta_cuts, ALPHA, ring.low, ring.high)
    n_signal, n_off = (u.Quantity(t["n_weighted"]).value for t in (signal, beside))
    table = QTable()
    table["n_events"], table["n_background"] = signal["n"], in_ring["n"]
    table["expected_gamma"], table["expected_background"] = n_signal, ALPHA * n_off

    enough = (signal["n"] >= MIN_EVENTS) & (in_ring["n"] >= MIN_EVENTS)
    scale = np.divide(n_off, in_ring["n_weighted"], out=np.zeros(len(n_off)), where=enough)
    errors = _scatter(gammas, energy_bins), _scatter(background, energy_bins) * scale
    relative, relative_error = np.full((2, len(n_signal)), np.nan)
    if enough.any():
        relative[enough] = _relative(n_signal[enough], n_off[enough])
        relative_error[enough] = _propagated(
            n_signal[enough], n_off[enough], errors[0][enough], errors[1][enough]
        )
    centre = bin_center(energy_bins)
    source = (centre**2 * SOURCE_SPECTRUM(centre)).to(u.TeV / (u.cm**2 * u.s))
    table["relative_sensitivity"] = relative
    table["flux_sensitivity"] = relative * source
    table["flux_sensitivity_error"] = relative_error * source
    return table


def _relative(n_signal: np.ndarray, n_off: np.ndarray) -> np.ndarray:
    """The part of the source's flux that is detected."""
    return relative_sensitivity(
        n_on=n_signal + ALPHA * n_off,
        n_off=n_off,
        alpha=ALPHA,
        min_significance=MIN_SIGNIFICANCE,
        min_signal_events=MIN_GAMMAS,
        min_excess_over_background=MIN_OF_BACKGROUND,
    )


def _scatter(events: QTable, energy_bins: u.Quantity) -> np.ndarray:
    """Standard deviation of the weighted number in each bin: √Σ (Σ w)², inner sums of a shower."""
    edges = energy_bins.to_value(u.TeV)
    place = np.digitize(events["reco_energy"].to_value(u.TeV), edges) - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    keys = np.column_stack([place[inside], np.asarray(events["shower"])[inside]])
    of_shower, number = np.unique(keys, axis=0, return_inverse=True)
    weights = np.bincount(number.reshape(-1), events["weight"][inside], len(of_shower))
    return np.sqrt(np.bincount(of_shower[:, 0].astype(int), weights**2, len(edges) - 1))


def _propagated(
    n_signal: np.ndarray, n_off: np.ndarray, signal_error: np.ndarray, off_error: np.ndarray
) -> np.ndarray:
    """Error of the relative sensitivity, by steps of an error to both sides."""
    squares = np.zeros(len(n_signal))
    for signal_step, off_step in ((signal_error, 0), (0, off_error)):
        # The scatter of some events is never more than what they sum to.
        ends = [
            _relative(n_signal + sign * 0.5 * signal_step, n_off + sign * 0.5 * off_step)
            for sign in (1, -1)
        ]
        squares += (ends[0] - ends[1]) ** 2
    return np.sqrt(squares)


def passes_cuts(events: QTable, cuts: Cuts) -> np.ndarray:
    """Which events pass the cuts on gammaness and angle; none does at an energy without cuts."""
    return cuts.pass_gammaness(events) & (separation_angle(events) <= cuts.theta_at(events))


def describe_conditions(spectra: Spectra) -> str:
    """What detects a source of which spectrum over what background, in words."""
    low, high = THETA_LIMITS.to_value(u.deg)
    published = {"gamma": spectra.source, **spectra.background}
    weighted = "; ".join(f"{plural(name)}: {spectrum}" for name, spectrum in published.items())
    return (
        f"Flux of a point source that is detected in {OBS_TIME.to_value(u.h):g} h with "
        f"{MIN_SIGNIFICANCE:g} σ (Li & Ma, α = {ALPHA:g}), {MIN_GAMMAS} gammas and "
        f"{100 * MIN_OF_BACKGROUND:g} % of the background, with the best cut on gammaness in each "
        "bin, found with the same events. The cut on the angle contains "
        f"{100 * ONE_SIGMA_QUANTILE:.0f} % of the gammas and lies between {low:g} and {high:g} "
        f"deg. Spectra that events are weighted to: {weighted}. Missing in the background: "
        f"{', '.join(spectra.missing)}."
    )


def draw_sensitivity(table: QTable, references: Sequence[str] = ()) -> Figure:
    """Picture of the table of a `Sensitivity`, with fractions of the source's flux.

    ``references`` are the names of published curves to draw, see `draw_references`.
    """
    figure, axes = new_binned_axes(
        table, "gamma", along="reco_energy", label="reconstructed energy (TeV)"
    )
    axes.set_title(f"Sensitivity to a point source, {OBS_TIME.to_value(u.h):g} h")
    axes.set_ylabel("E² dN/dE (TeV cm⁻² s⁻¹)")
    low, high = table["reco_energy_low"][0], table["reco_energy_high"][-1]
    energy = u.Quantity(np.geomspace(low, high, 100))
    flux = u.TeV / (u.cm**2 * u.s)
    source = (energy**2 * SOURCE_SPECTRUM(energy)).to_value(flux)
    for fraction, dashes in ((1, (0, (5, 2))), (0.1, (0, (3, 2))), (0.01, (0, (1, 2)))):
        axes.plot(
            energy.to_value(u.TeV),
            fraction * source,
            color="0.45",
            linewidth=1.2,
            linestyle=dashes,
            zorder=1,
            label=f"{fraction:.0%} of the Crab Nebula",
        )
    # In a colour, as the fractions of the source are dashed too.
    draw_references(axes, references, "flux_sensitivity", flux, PALETTE[1])
    draw_binned(
        axes, table, "flux_sensitivity", "5 σ with 10 gammas", PALETTE[0], "o", along="reco_energy"
    )
    make_logarithmic(axes, "y")
    finish_binned(axes, table)
    return figure
