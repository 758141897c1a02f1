"""Evaluation: how well type Ia and others are told apart, from tables of predictions alone."""

from collections.abc import Callable, Mapping

import numpy as np
from astropy.table import Table
from sklearn.metrics import average_precision_score, precision_recall_curve

from ...settings.surveys import SupernovaEvaluation
from ..evaluation import Figure, area_under_roc, bootstrap_error, bootstrap_samples
from .types import TYPES

__all__ = [
    "accuracy_by",
    "calibration",
    "confusion",
    "figure_of_merit",
    "figures",
    "recall_at_precision",
    "with_truth",
]

#: Weight of false type Ia in the figure of merit of the SNPCC (Kessler et al. 2010, eq. 2).
FALSE_WEIGHT = 3.0

#: Bins of the probability in the calibration.
N_BINS = 10


def with_truth(table: Table) -> Table:
    """The objects whose type is known."""
    if "true_type" not in table.colnames:
        return table[:0]
    return table[np.asarray(table["true_type"]) != ""]


def recall_at_precision(is_ia: np.ndarray, chance: np.ndarray, precision: float) -> float:
    """Largest fraction of the type Ia that is found where so many of the found ones are.

    Parameters
    ----------
    is_ia : ndarray of bool, shape (n_objects,)
    chance : ndarray, shape (n_objects,)
        Probability of the type Ia.
    precision : float

    Returns
    -------
    float
        0 where no threshold reaches the precision, NaN without type Ia.
    """
    if not is_ia.any():
        return np.nan
    reached, recall, _ = precision_recall_curve(is_ia, chance)
    return float(recall[reached >= precision].max(initial=0.0))


def figure_of_merit(is_ia: np.ndarray, found: np.ndarray) -> float:
    """Efficiency times pseudo-purity, as the SNPCC has it (Kessler et al. 2010, eq. 2).

    Parameters
    ----------
    is_ia, found : ndarray of bool, shape (n_objects,)
        Which objects are of type Ia, and which count as such.
    """
    n_true, n_false = int((found & is_ia).sum()), int((found & ~is_ia).sum())
    if not n_true:
        return 0.0
    return n_true / int(is_ia.sum()) * n_true / (n_true + FALSE_WEIGHT * n_false)


def _measures(settings: SupernovaEvaluation) -> dict[str, tuple[str, str, Callable]]:
    cut = settings.threshold
    measures: dict[str, tuple[str, str, Callable]] = {
        "auc": ("AUC", "area under the ROC curve, Ia against all others", area_under_roc),
        "accuracy": (
            "accuracy",
            f"fraction of the objects that are right, Ia above a probability of {cut:g}",
            lambda t, p: float(((p > cut) == t).mean()),
        ),
        "average_precision": (
            "average precision",
            "mean of the precision over the recall",
            lambda t, p: float(average_precision_score(t, p)) if t.any() else np.nan,
        ),
        "efficiency": (
            "efficiency",
            f"fraction of the type Ia above {cut:g}",
            lambda t, p: float((p[t] > cut).mean()) if t.any() else np.nan,
        ),
        "purity": (
            "purity",
            f"fraction of type Ia among the objects above {cut:g}",
            lambda t, p: float(t[p > cut].mean()) if (p > cut).any() else np.nan,
        ),
        "figure_of_merit": (
            "figure of merit",
            "efficiency times pseudo-purity of the SNPCC, false type Ia count three times",
            lambda t, p: figure_of_merit(t, p > cut) if t.any() else np.nan,
        ),
    }
    for wanted in settings.precisions:
        measures[f"recall_at_{100 * wanted:g}"] = (
            f"recall at precision {wanted:g}",
            f"largest efficiency at which {wanted:.0%} of the selected objects are of type Ia",
            lambda t, p, wanted=wanted: recall_at_precision(t, p, wanted),
        )
    return measures


def figures(table: Table, settings: SupernovaEvaluation) -> dict[str, Figure]:
    """The figures of a table of predictions, with errors by bootstrap.

    Parameters
    ----------
    table : Table
        From `with_truth`.
    settings : SupernovaEvaluation
    """
    is_ia = np.asarray(table["true_type"]) == "Ia"
    chance = np.asarray(table["probability_Ia"], dtype=float)
    samples = bootstrap_samples(len(table), settings.n_bootstrap)
    found = {}
    for name, (label, definition, measure) in _measures(settings).items():

        def of_sample(rows: np.ndarray, measure: Callable = measure) -> float:
            return float(measure(is_ia[rows], chance[rows]))

        error = bootstrap_error(of_sample, samples)
        found[name] = Figure(label, definition, float(measure(is_ia, chance)), error)
    if "type" in table.colnames:
        known = np.isin(table["true_type"], TYPES)
        right = np.asarray(table["type"] == table["true_type"])[known]
        share = float(right.mean()) if len(right) else np.nan
        error = (share * (1 - share) / max(len(right), 1)) ** 0.5
        found["type_accuracy"] = Figure(
            "accuracy of the type", f"fraction of right ones among {', '.join(TYPES)}", share, error
        )
    return found


def accuracy_by(table: Table, column: str, edges: np.ndarray, threshold: float) -> Table:
    """Accuracy, AUC and number of objects in bins of a column.

    Parameters
    ----------
    table : Table
    column : str
    edges : ndarray, shape (n_bins + 1,)
    threshold : float

    Returns
    -------
    Table
        ``low``, ``high``, ``n_objects``, ``accuracy``, its ``error`` (binomial) and ``auc``; NaN
        in empty bins.
    """
    values = np.asarray(table[column], dtype=float)
    is_ia = np.asarray(table["true_type"]) == "Ia"
    chance = np.asarray(table["probability_Ia"], dtype=float)
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (values >= low) & (values < high)
        n = int(inside.sum())
        right = float(((chance > threshold) == is_ia)[inside].mean()) if n else np.nan
        error = (right * (1 - right) / n) ** 0.5 if n else np.nan
        area = area_under_roc(is_ia[inside], chance[inside]) if n else np.nan
        rows.append((low, high, n, right, error, area))
    return Table(rows=rows, names=["low", "high", "n_objects", "accuracy", "error", "auc"])


def calibration(table: Table) -> Table:
    """How many objects are of type Ia among those of a predicted probability.

    Returns
    -------
    Table
        ``low``, ``high``, ``n_objects``, ``predicted`` (mean probability), ``true`` (fraction of
        type Ia); NaN in empty bins.
    """
    chance = np.asarray(table["probability_Ia"], dtype=float)
    is_ia = np.asarray(table["true_type"]) == "Ia"
    edges = np.linspace(0, 1, N_BINS + 1)
    place = np.minimum((chance * N_BINS).astype(int), N_BINS - 1)
    rows = []
    for number in range(N_BINS):
        inside = place == number
        n = int(inside.sum())
        rows.append(
            (
                edges[number],
                edges[number + 1],
                n,
                float(chance[inside].mean()) if n else np.nan,
                float(is_ia[inside].mean()) if n else np.nan,
            )
        )
    return Table(rows=rows, names=["low", "high", "n_objects", "predicted", "true"])


def confusion(table: Table) -> Mapping[str, list[int]] | None:
    """Numbers of objects by true type (rows) and predicted type, None without predicted types."""
    if "type" not in table.colnames:
        return None
    truth, found = np.asarray(table["true_type"]), np.asarray(table["type"])
    return {
        kind: [int(((truth == kind) & (found == other)).sum()) for other in TYPES]
        for kind in [*TYPES, "other"]
        if (truth == kind).any()
    }
