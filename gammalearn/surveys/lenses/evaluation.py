"""Evaluation: how well lenses are told from others, from tables of predictions alone."""

from collections.abc import Callable

import numpy as np
from astropy.table import Table

from ...settings.surveys import LensEvaluation
from ..evaluation import Figure, area_under_roc, bootstrap_error, bootstrap_samples
from .types import LENS, is_lens

__all__ = [
    "SOURCES",
    "by_source",
    "completeness",
    "figures",
    "per_cent",
    "taken_for_lenses",
    "threshold_at",
    "with_truth",
]

#: What the completeness may depend on: column, words, and edges of the bins.
SOURCES = {
    "einstein_radius": (
        "Einstein radius (arcsec)",
        np.array([0.0, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 4.0]),
    ),
    "arc_signal_to_noise": (
        "signal to noise of the arcs",
        np.array([1.0, 10, 15, 20, 30, 45, 70, 100, 200, 1e12]),
    ),
}

# From truth and probability of some objects to a number.
Measure = Callable[[np.ndarray, np.ndarray], float]


def with_truth(table: Table) -> Table:
    """The objects whose type is known."""
    if "true_type" not in table.colnames:
        return table[:0]
    return table[np.isfinite(is_lens(table["true_type"]))]


def truth_and_chance(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Which objects of `with_truth` are lenses, and the probability of it."""
    chance = np.asarray(table["probability_lens"], dtype=float)
    return np.asarray(table["true_type"]) == LENS, chance


def threshold_at(is_so: np.ndarray, chance: np.ndarray, rate: float) -> float:
    """Probability above which no larger fraction of the others is than allowed.

    Parameters
    ----------
    is_so : ndarray of bool, shape (n_objects,)
        Which objects are lenses.
    chance : ndarray, shape (n_objects,)
    rate : float
        Fraction of the others that may be above it.

    Returns
    -------
    float
        NaN where there are no others.
    """
    others = np.sort(chance[~is_so])[::-1]
    if not len(others):
        return np.nan
    # A number such as 0.01 of 300 must not become 2.
    allowed = int(np.floor(rate * len(others) + 1e-9))
    return float(others[allowed]) if allowed < len(others) else -np.inf


def completeness(is_so: np.ndarray, chance: np.ndarray, rate: float) -> float:
    """Fraction of the lenses above `threshold_at`, NaN where there are no lenses or no others."""
    if is_so.all() or not is_so.any():
        return np.nan
    return float((chance[is_so] > threshold_at(is_so, chance, rate)).mean())


def _right(is_so: np.ndarray, chance: np.ndarray, cut: float) -> float:
    return float(((chance > cut) == is_so).mean()) if len(chance) else np.nan


def per_cent(rate: float) -> str:
    """A fraction in words, such as 0.1 %."""
    return f"{100 * rate:g} %"


def _measures(settings: LensEvaluation) -> dict[str, tuple[str, str, Measure]]:
    cut = settings.threshold
    measures: dict[str, tuple[str, str, Measure]] = {
        "auc": ("AUC", "area under the ROC curve, lenses against all others", area_under_roc),
        "accuracy": (
            "accuracy",
            f"fraction of the galaxies that are right, lenses above a probability of {cut:g}",
            lambda t, p: _right(t, p, cut),
        ),
    }
    for rate in settings.false_positive_rates:
        measures[f"completeness_at_{100 * rate:g}"] = (
            f"completeness at {per_cent(rate)}",
            f"fraction of the lenses that is found where {per_cent(rate)} of the others is taken "
            "for lenses",
            lambda t, p, rate=rate: completeness(t, p, rate),  # type: ignore[misc]  # bound here
        )
    return measures


def _clear(table: Table, settings: LensEvaluation) -> np.ndarray:
    """Which rows are of clear lenses, or of others."""
    clear = np.asarray(table["true_type"]) != LENS
    if {"einstein_radius", "arc_signal_to_noise"} <= set(table.colnames):
        large = np.asarray(table["einstein_radius"], dtype=float) > settings.clear_radius
        bright = np.asarray(table["arc_signal_to_noise"], dtype=float)
        clear = clear | (large & (bright > settings.clear_signal_to_noise))
    return clear


def figures(table: Table, settings: LensEvaluation) -> dict[str, Figure]:
    """The figures of a table of predictions, with errors by bootstrap.

    Parameters
    ----------
    table : Table
        From `with_truth`.
    settings : LensEvaluation
    """
    is_so, chance = truth_and_chance(table)
    samples = bootstrap_samples(len(table), settings.n_bootstrap)
    found = {}
    for name, (label, definition, measure) in _measures(settings).items():

        def of_sample(rows: np.ndarray, measure: Measure = measure) -> float:
            return measure(is_so[rows], chance[rows])

        error = bootstrap_error(of_sample, samples)
        found[name] = Figure(label, definition, measure(is_so, chance), error)
    clear = _clear(table, settings)
    rate = settings.false_positive_rates[0]

    def of_clear(rows: np.ndarray) -> float:
        inside = rows[clear[rows]]
        return completeness(is_so[inside], chance[inside], rate)

    found["completeness_of_clear"] = Figure(
        f"completeness of clear lenses at {per_cent(rate)}",
        f"that of lenses with an Einstein radius above {settings.clear_radius:g} arcsec and a "
        f"signal to noise of the arcs above {settings.clear_signal_to_noise:g}",
        of_clear(np.arange(len(table))),
        bootstrap_error(of_clear, samples),
    )
    return found


def by_source(table: Table, column: str, edges: np.ndarray, settings: LensEvaluation) -> Table:
    """Completeness in bins of a column, where false positives are those of all others.

    Parameters
    ----------
    table : Table
        From `with_truth`.
    column : str
    edges : ndarray, shape (n_bins + 1,)
    settings : LensEvaluation

    Returns
    -------
    Table
        ``low``, ``high``, ``middle`` (median of the column), ``n_lenses``, and for each rate
        ``completeness_at_RATE`` (RATE in per cent) with its ``_error`` (bootstrap); NaN in empty
        bins.
    """
    values = np.asarray(table[column], dtype=float)
    is_so, chance = truth_and_chance(table)
    samples = bootstrap_samples(len(table), settings.n_bootstrap)
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (values >= low) & (values < high)
        lenses = inside & is_so
        row = {"low": low, "high": high, "middle": np.nan, "n_lenses": int(lenses.sum())}
        if lenses.any():
            row["middle"] = float(np.median(values[lenses]))
        taken = lenses | ~is_so
        for rate in settings.false_positive_rates:

            def of_sample(rows: np.ndarray, rate: float = rate, taken: np.ndarray = taken) -> float:
                some = rows[taken[rows]]
                return completeness(is_so[some], chance[some], rate)

            name = f"completeness_at_{100 * rate:g}"
            row[name] = of_sample(np.arange(len(table)))
            row[f"{name}_error"] = bootstrap_error(of_sample, samples)
        rows.append(row)
    return Table(rows=rows)


def taken_for_lenses(table: Table, settings: LensEvaluation) -> dict[str, list[int]]:
    """Numbers of galaxies of each type: all, and those above the threshold of each rate."""
    is_so, chance = truth_and_chance(table)
    kinds = np.asarray(table["true_type"])
    cuts = [threshold_at(is_so, chance, rate) for rate in settings.false_positive_rates]
    return {
        str(kind): [
            int((kinds == kind).sum()),
            *(int(((kinds == kind) & (chance > cut)).sum()) for cut in cuts),
        ]
        for kind in sorted(set(kinds), key=lambda kind: (kind != LENS, kind))
    }
