"""How results of different origin differ on identical events, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack
from numpy.typing import ArrayLike

from .resampling import bootstrap

__all__ = [
    "MIN_SHOWERS",
    "N_RESAMPLES",
    "N_RESAMPLES_OF_CURVE",
    "Compared",
    "Statistic",
    "bootstrap_errors",
    "bootstrap_errors_along",
    "differences",
    "differences_by_energy",
]

#: Resamples of the bootstrap: n make its errors good to 1/√(2n), 3 % for differences and 5 % for
#: the error bars of a single curve.
N_RESAMPLES, N_RESAMPLES_OF_CURVE = 500, 200

#: Showers (of each kind, for a separation) below which no error is given.
MIN_SHOWERS = 10


@dataclass(frozen=True)
class Statistic:
    """A number that says how good a reconstruction is."""

    name: str
    title: str
    unit: str
    relation: str
    """How it is set against the reference's: ``ratio``, ``difference``, or ``ratio of 1 − x``
    for what is best at 1."""

    def relate(self, value: ArrayLike, reference: ArrayLike) -> np.ndarray:
        """The value relative to the reference's; less is better, in its amount for a difference."""
        mine, theirs = np.asarray(value), np.asarray(reference)
        if self.relation == "difference":
            return mine - theirs
        if self.relation == "ratio of 1 − x":
            mine, theirs = 1 - mine, 1 - theirs
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(theirs == 0, np.nan, mine / theirs)

    def error_of_relation(
        self, value: float, reference: float, value_error: float, reference_error: float
    ) -> float:
        """Error of `relate`, in first order, where the errors of both are independent."""
        if self.relation == "difference":
            return float(np.hypot(value_error, reference_error))
        ratio = self.relate(value, reference)
        if self.relation == "ratio of 1 − x":
            reference = 1 - reference
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.hypot(value_error, ratio * reference_error) / np.abs(reference))


class Compared(Protocol):
    """What is compared: a quantity with its statistics, as `gammalearn.evaluation.Quantity`."""

    @property
    def statistics(self) -> Sequence[Statistic]:
        """The numbers that are compared."""

    @property
    def n_kinds(self) -> int:
        """Kinds of showers that it takes to measure them."""

    def measure(self, events: QTable) -> dict[str, float]:
        """The statistics by name."""

    def remeasure(self, events: QTable, repeats: np.ndarray) -> np.ndarray:
        """The same of events that are there several times, shape (n_resamples, n_statistics)."""

    def kinds(self, events: QTable) -> np.ndarray:
        """The kind of each event's shower, shape (n_events,)."""


def differences(
    reconstructions: Sequence[Sequence[QTable]], quantity: Compared, n_resamples: int = N_RESAMPLES
) -> QTable:
    """The statistics of each reconstruction, and how they differ from the first one's.

    Errors are standard deviations of a bootstrap over showers, the same for all reconstructions.
    The significance of a difference d is d / √(σ² + s²/n + s₀²/n₀), where σ is the bootstrap's
    standard deviation of d, and s that of the reconstruction's n runs (0 for a single one, whose
    scatter is unknown), s₀ and n₀ those of the first reconstruction. The error of a relation holds
    the same scatter of the runs, in first order.

    Parameters
    ----------
    reconstructions : sequence of sequence of astropy.table.QTable
        The runs of each reconstruction, the reference first; tables from `read_events` that hold
        the same events (or their images), with the same numbers in ``shower``.
    quantity : Quantity
        One of `QUANTITIES`.
    n_resamples : int
        Of the bootstrap.

    Returns
    -------
    table : astropy.table.QTable
        One row a statistic and reconstruction, statistics first: ``statistic``, ``reconstruction``
        (position), ``value`` (mean of the runs), ``error``, ``spread`` (standard deviation of the
        runs, NaN for a single one), ``relation`` (to the reference, see `Statistic`),
        ``relation_error``, ``significance`` (σ), ``n_events`` (rows of a run),
        ``n_showers``. Errors are NaN below 10 showers; of gammas or of others, for a separation.
    """
    statistics = quantity.statistics
    tables = [table for runs in reconstructions for table in runs]
    of_reconstruction = np.repeat(
        np.arange(len(reconstructions)), [len(runs) for runs in reconstructions]
    )
    found = [quantity.measure(table) for table in tables]
    measured = np.array([[f[s.name] for s in statistics] for f in found], dtype=float)
    showers, strata = _showers(tables, quantity)
    n_kinds = np.bincount(strata, minlength=quantity.n_kinds)
    resampled = np.full((2, len(tables), len(statistics)), np.nan)
    if n_kinds.min() >= MIN_SHOWERS:
        resampled = bootstrap(
            lambda repeats: np.stack(
                [quantity.remeasure(t, r) for t, r in zip(tables, repeats, strict=True)], axis=1
            ),
            showers,
            strata,
            n_resamples,
        )

    rows = []
    for position, statistic in enumerate(statistics):
        values, draws = measured[:, position], resampled[:, :, position]
        reference, reference_draws = _of_runs(values, draws, of_reconstruction == 0)
        for reconstruction, runs in enumerate(reconstructions):
            mine = of_reconstruction == reconstruction
            value, value_draws = _of_runs(values, draws, mine)
            row = {
                "statistic": statistic.name,
                "reconstruction": reconstruction,
                "value": value,
                "error": np.std(value_draws, ddof=1),
                "spread": _spread(values[mine]),
                "relation": float(statistic.relate(value, reference)),
                "relation_error": np.nan,
                "significance": np.nan,
                "n_events": len(runs[0]),
                "n_showers": len(strata),
            }
            if reconstruction > 0:
                relations = statistic.relate(value_draws, reference_draws)
                scatter = [_error_of_mean(values[runs]) for runs in (mine, of_reconstruction == 0)]
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


def _of_runs(values: np.ndarray, draws: np.ndarray, chosen: np.ndarray) -> tuple[float, np.ndarray]:
    return values[chosen].mean(), draws[:, chosen].mean(axis=1)


def _spread(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def _error_of_mean(values: np.ndarray) -> float:
    """What the runs' scatter makes of the error of their mean; 0 where it is unknown."""
    return float(np.nan_to_num(_spread(values))) / np.sqrt(len(values))


def _showers(tables: Sequence[QTable], quantity: Compared) -> tuple[list[np.ndarray], np.ndarray]:
    """The shower of each row, numbered from 0 on, and the kind of each shower."""
    shower = np.concatenate([np.asarray(table["shower"]) for table in tables])
    _, first, number = np.unique(shower, return_index=True, return_inverse=True)
    strata = np.concatenate([quantity.kinds(table) for table in tables])[first]
    return np.split(number, np.cumsum([len(table) for table in tables])[:-1]), strata


def differences_by_energy(
    reconstructions: Sequence[Sequence[QTable]],
    quantity: Compared,
    energy_bins: u.Quantity,
    n_resamples: int = N_RESAMPLES,
) -> QTable:
    """`differences` in bins of true energy.

    Parameters
    ----------
    reconstructions, quantity, n_resamples
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
        for runs in reconstructions
    ]
    tables = []
    for index, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = [
            [run[position == index] for run, position in zip(runs, mine, strict=True)]
            for runs, mine in zip(reconstructions, positions, strict=True)
        ]
        table = differences(inside, quantity, n_resamples)
        ends = {"true_energy_low": low, "true_energy_high": high}
        for place, (name, end) in enumerate(ends.items()):
            table.add_column(np.full(len(table), end) * u.TeV, place, name)
        tables.append(table)
    return vstack(tables)


def bootstrap_errors(
    events: QTable,
    quantity: Compared,
    energy_bins: u.Quantity,
    n_resamples: int = N_RESAMPLES_OF_CURVE,
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
    events: QTable,
    quantity: Compared,
    values: np.ndarray | u.Quantity,
    edges: np.ndarray | u.Quantity,
    n_resamples: int = N_RESAMPLES_OF_CURVE,
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
        for position, statistic in enumerate(quantity.statistics)
    }
