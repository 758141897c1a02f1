"""How results of different origin differ on identical events, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import QTable, vstack
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE
from pyirf.benchmarks.energy_bias_resolution import NORM_LOWER_SIGMA, NORM_UPPER_SIGMA

from ..quantities.depth_of_maximum import depth_error, overall_depth_resolution
from ..quantities.direction import CONTAINMENTS, overall_angular_resolution, separation_angle
from ..quantities.energy import overall_energy_resolution
from ..quantities.impact import impact_distance, overall_impact_resolution
from .resampling import (
    bootstrap,
    repeated_area_under_curve,
    repeated_fraction_left,
    repeated_quantiles,
)
from .separation import POSITIVE, area_under_curve, roc_curve
from .working_points import working_points

__all__ = [
    "BANDS_PER_DECADE",
    "MIN_SHOWERS",
    "N_RESAMPLES",
    "N_RESAMPLES_OF_CURVE",
    "STATISTICS",
    "Statistic",
    "bootstrap_errors",
    "bootstrap_errors_along",
    "differences",
    "differences_by_energy",
    "roc_curves_by_energy",
]

#: Resamples of the bootstrap: n make its errors good to 1/√(2n), 3 % for differences and 5 % for
#: the error bars of a single curve.
N_RESAMPLES, N_RESAMPLES_OF_CURVE = 500, 200

#: Showers (of each kind, for a separation) below which no error is given.
MIN_SHOWERS = 10

MEDIAN = 0.5

#: Bands of a separation: half decades, as each needs many events of two kinds.
BANDS_PER_DECADE = 2

#: Fraction of the gammas that is kept where it is told what is left of the others.
EFFICIENCY = 0.8

#: Fractions of other particles at which ROC curves are compared.
N_ROC_POINTS = 201


@dataclass(frozen=True)
class Statistic:
    """A number that says how good a reconstruction is."""

    name: str
    title: str
    unit: str
    relation: str
    """How it is set against the reference's: ``ratio``, ``difference``, or ``ratio of 1 − x``
    for what is best at 1."""

    def relate(self, value, reference):
        """The value relative to the reference's; less is better, in its amount for a difference."""
        if self.relation == "difference":
            return value - reference
        if self.relation == "ratio of 1 − x":
            value, reference = 1 - value, 1 - reference
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(reference == 0, np.nan, value / reference)

    def error_of_relation(self, value, reference, value_error, reference_error):
        """Error of `relate`, in first order, where the errors of both are independent."""
        if self.relation == "difference":
            return np.hypot(value_error, reference_error)
        ratio = self.relate(value, reference)
        if self.relation == "ratio of 1 − x":
            reference = 1 - reference
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.hypot(value_error, ratio * reference_error) / np.abs(reference)


#: Quantity → its statistics, in the order of the arrays below.
STATISTICS = {
    "energy": (
        Statistic("energy_bias", "Energy bias", "", "difference"),
        Statistic("energy_resolution", "Energy resolution", "", "ratio"),
    ),
    "direction": (
        Statistic("angular_resolution_68", "Angular resolution, 68 %", "deg", "ratio"),
        Statistic("angular_resolution_95", "Angular resolution, 95 %", "deg", "ratio"),
    ),
    "impact": (Statistic("impact_resolution_68", "Impact resolution", "m", "ratio"),),
    "depth_of_maximum": (
        Statistic("x_max_bias", "Bias of the depth of maximum", "g/cm²", "difference"),
        Statistic("x_max_resolution", "Resolution of the depth of maximum", "g/cm²", "ratio"),
    ),
    "particle_type": (
        Statistic("auc", "Area under the ROC curve", "", "ratio of 1 − x"),
        Statistic("others_left", f"Others left with {EFFICIENCY:.0%} of the gammas", "", "ratio"),
    ),
}


def _measure(events: QTable, quantity: str) -> list[float]:
    measured = {
        "energy": overall_energy_resolution,
        "direction": overall_angular_resolution,
        "impact": overall_impact_resolution,
        "depth_of_maximum": overall_depth_resolution,
        "particle_type": _separation,
    }[quantity](events)
    return [measured[statistic.name] for statistic in STATISTICS[quantity]]


def _remeasure(events: QTable, quantity: str, repeats: np.ndarray) -> np.ndarray:
    """As `_measure`, of events repeated so often; shape (n_resamples, n_statistics)."""
    if quantity in ("energy", "depth_of_maximum"):
        if quantity == "energy":
            error = (events["reco_energy"] / events["true_energy"]).to_value(u.one) - 1
        else:
            error = depth_error(events)
        fractions = (MEDIAN, NORM_LOWER_SIGMA, NORM_UPPER_SIGMA)
        median, low, high = repeated_quantiles(error, repeats, fractions).T
        return np.column_stack([median, (high - low) / 2])
    if quantity == "direction":
        theta = separation_angle(events).to_value(u.deg)
        return repeated_quantiles(theta, repeats, tuple(CONTAINMENTS.values()))
    if quantity == "impact":
        distance = impact_distance(events).to_value(u.m)
        return repeated_quantiles(distance, repeats, (ONE_SIGMA_QUANTILE,))
    is_gamma = np.asarray(events["particle"] == POSITIVE)
    sample = np.asarray(events["gammaness"]), is_gamma, repeats
    return np.column_stack(
        [repeated_area_under_curve(*sample), repeated_fraction_left(*sample, EFFICIENCY)]
    )


def _separation(events: QTable) -> dict[str, float]:
    (point,) = working_points(events, [EFFICIENCY])
    return {**area_under_curve(events), "others_left": float(point["efficiency_other"])}


def differences(
    contenders: Sequence[Sequence[QTable]], quantity: str, n_resamples: int = N_RESAMPLES
) -> QTable:
    """The statistics of each contender, and how they differ from the first one's.

    Errors are standard deviations of a bootstrap over showers, the same for all contenders. The
    significance of a difference d is d / √(σ² + s²/n + s₀²/n₀), where σ is the bootstrap's
    standard deviation of d, and s that of the contender's n runs (0 for a single one, whose
    scatter is unknown), s₀ and n₀ those of the first contender. The error of a relation holds the
    same scatter of the runs, in first order.

    Parameters
    ----------
    contenders : sequence of sequence of astropy.table.QTable
        The runs of each contender, the reference first; tables from `read_events` that hold the
        same events (or their images), with the same numbers in ``shower``.
    quantity : str
        ``energy``, ``direction``, ``impact``, ``depth_of_maximum`` or
        ``particle_type``.
    n_resamples : int
        Of the bootstrap.

    Returns
    -------
    table : astropy.table.QTable
        One row a statistic and contender, statistics first: ``statistic``, ``contender``
        (position), ``value`` (mean of the runs), ``error``, ``spread`` (standard deviation of the
        runs, NaN for a single one), ``relation`` (to the reference, see `Statistic`),
        ``relation_error``, ``significance`` (σ), ``n_events`` (rows of a run),
        ``n_showers``. Errors are NaN below 10 showers; of gammas or of others, for a separation.
    """
    statistics = STATISTICS[quantity]
    tables = [table for runs in contenders for table in runs]
    of_contender = np.repeat(np.arange(len(contenders)), [len(runs) for runs in contenders])
    measured = np.array([_measure(table, quantity) for table in tables], dtype=float)
    showers, strata = _showers(tables, quantity)
    n_kinds = np.bincount(strata, minlength=2 if quantity == "particle_type" else 1)
    resampled = np.full((2, len(tables), len(statistics)), np.nan)
    if n_kinds.min() >= MIN_SHOWERS:
        resampled = bootstrap(
            lambda repeats: np.stack(
                [_remeasure(t, quantity, r) for t, r in zip(tables, repeats, strict=True)], axis=1
            ),
            showers,
            strata,
            n_resamples,
        )

    rows = []
    for position, statistic in enumerate(statistics):
        values, draws = measured[:, position], resampled[:, :, position]
        reference, reference_draws = _of_runs(values, draws, of_contender == 0)
        for contender, runs in enumerate(contenders):
            mine = of_contender == contender
            value, value_draws = _of_runs(values, draws, mine)
            row = {
                "statistic": statistic.name,
                "contender": contender,
                "value": value,
                "error": np.std(value_draws, ddof=1),
                "spread": _spread(values[mine]),
                "relation": float(statistic.relate(value, reference)),
                "relation_error": np.nan,
                "significance": np.nan,
                "n_events": len(runs[0]),
                "n_showers": len(strata),
            }
            if contender > 0:
                relations = statistic.relate(value_draws, reference_draws)
                scatter = [_error_of_mean(values[runs]) for runs in (mine, of_contender == 0)]
                row["relation_error"] = np.hypot(
                    np.std(relations, ddof=1),
                    statistic.error_of_relation(value, reference, *scatter),
                )
                variance = np.var(value_draws - reference_draws, ddof=1)
                variance += np.sum(np.square(scatter))
                if variance > 0:
                    row["significance"] = (value - reference) / np.sqrt(variance)
            rows.append(row)
    return QTable(rows)


def _of_runs(values: np.ndarray, draws: np.ndarray, chosen: np.ndarray):
    return values[chosen].mean(), draws[:, chosen].mean(axis=1)


def _spread(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def _error_of_mean(values: np.ndarray) -> float:
    """What the runs' scatter makes of the error of their mean; 0 where it is unknown."""
    return float(np.nan_to_num(_spread(values))) / np.sqrt(len(values))


def _showers(tables: Sequence[QTable], quantity: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The shower of each row, numbered from 0 on, and the kind of each shower."""
    shower = np.concatenate([np.asarray(table["shower"]) for table in tables])
    _, first, number = np.unique(shower, return_index=True, return_inverse=True)
    strata = np.zeros(len(first), dtype=int)
    if quantity == "particle_type":
        particle = np.concatenate([np.asarray(table["particle"]) for table in tables])
        strata = (particle[first] == POSITIVE).astype(int)
    return np.split(number, np.cumsum([len(table) for table in tables])[:-1]), strata


def differences_by_energy(
    contenders: Sequence[Sequence[QTable]],
    quantity: str,
    energy_bins: u.Quantity,
    n_resamples: int = N_RESAMPLES,
) -> QTable:
    """`differences` in bins of true energy.

    Parameters
    ----------
    contenders, quantity, n_resamples
        As in `differences`.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    table : astropy.table.QTable
        The columns of `differences` after ``true_energy_low``, ``true_energy_high``; NaN in empty
        bins.
    """
    edges = energy_bins.to_value(u.TeV)
    positions = [
        [np.digitize(run["true_energy"].to_value(u.TeV), edges) - 1 for run in runs]
        for runs in contenders
    ]
    tables = []
    for index, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = [
            [run[position == index] for run, position in zip(runs, mine, strict=True)]
            for runs, mine in zip(contenders, positions, strict=True)
        ]
        table = differences(inside, quantity, n_resamples)
        ends = {"true_energy_low": low, "true_energy_high": high}
        for place, (name, end) in enumerate(ends.items()):
            table.add_column(np.full(len(table), end) * u.TeV, place, name)
        tables.append(table)
    return vstack(tables)


def bootstrap_errors(
    events: QTable, quantity: str, energy_bins: u.Quantity, n_resamples: int = N_RESAMPLES_OF_CURVE
) -> dict[str, np.ndarray]:
    """Statistical errors of a quantity's statistics in bins of true energy.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`.
    quantity, energy_bins, n_resamples
        As in `differences_by_energy`.

    Returns
    -------
    errors : dict of str to numpy.ndarray
        Statistic → standard deviation of a bootstrap over showers, shape (n_bins,); NaN below 10
        showers.
    """
    return bootstrap_errors_along(events, quantity, events["true_energy"], energy_bins, n_resamples)


def bootstrap_errors_along(
    events: QTable, quantity: str, values, edges, n_resamples: int = N_RESAMPLES_OF_CURVE
) -> dict[str, np.ndarray]:
    """As `bootstrap_errors`, in bins of any quantity.

    Parameters
    ----------
    events, quantity, n_resamples
        As in `bootstrap_errors`.
    values : numpy.ndarray or astropy.units.Quantity
        Of each event, shape (n_events,).
    edges : numpy.ndarray or astropy.units.Quantity
        Shape (n_bins + 1,).
    """
    place = np.digitize(values, edges) - 1
    tables = [
        differences([[events[place == number]]], quantity, n_resamples)
        for number in range(len(edges) - 1)
    ]
    return {
        statistic.name: np.array([table["error"][position] for table in tables])
        for position, statistic in enumerate(STATISTICS[quantity])
    }


def roc_curves_by_energy(
    contenders: Sequence[Sequence[QTable]], energy_bands: u.Quantity
) -> QTable:
    """ROC curves in bands of true energy, at the same fractions of other particles.

    Parameters
    ----------
    contenders : sequence of sequence of astropy.table.QTable
        As in `differences`.
    energy_bands : astropy.units.Quantity
        Edges in true energy, shape (n_bands + 1,).

    Returns
    -------
    table : astropy.table.QTable
        One row a band, contender and fraction; bands with fewer than 10 gammas or others are left
        out: ``true_energy_low``, ``true_energy_high``, ``contender`` (position),
        ``false_positive_rate``, ``true_positive_rate`` (mean of the runs), its 68 % binomial
        (Wilson) interval ``true_positive_rate_low`` and ``_high``, ``ratio`` to the first
        contender's (NaN where that is 0), ``n_gamma``, ``n_other``.
    """
    grid = np.linspace(0, 1, N_ROC_POINTS)
    edges = energy_bands.to_value(u.TeV)
    tables = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        reference = None
        for contender, runs in enumerate(contenders):
            energies = [run["true_energy"].to_value(u.TeV) for run in runs]
            curves = [
                roc_curve(run[(low <= energy) & (energy < high)])
                for run, energy in zip(runs, energies, strict=True)
            ]
            n_gamma, n_other = (curves[0].meta[name] for name in ("n_gamma", "n_other"))
            if min(n_gamma, n_other) < MIN_SHOWERS:
                continue
            kept = np.mean(
                [
                    np.interp(grid, c["false_positive_rate"], c["true_positive_rate"])
                    for c in curves
                ],
                axis=0,
            )
            reference = kept if reference is None else reference
            interval = binom_conf_interval(
                np.rint(kept * n_gamma).astype(int), n_gamma, interval="wilson"
            )
            table = QTable()
            table["true_energy_low"] = np.full(len(grid), low) * u.TeV
            table["true_energy_high"] = np.full(len(grid), high) * u.TeV
            table["contender"] = contender
            table["false_positive_rate"], table["true_positive_rate"] = grid, kept
            table["true_positive_rate_low"], table["true_positive_rate_high"] = interval
            ratio = np.full(len(grid), np.nan)
            table["ratio"] = np.divide(kept, reference, out=ratio, where=reference > 0)
            table["n_gamma"], table["n_other"] = n_gamma, n_other
            tables.append(table)
    return vstack(tables) if tables else QTable({"true_energy_low": [] * u.TeV})
