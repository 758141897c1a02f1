"""Figures of an evaluation, with errors by bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

__all__ = ["Figure", "area_under_roc", "bootstrap_error", "bootstrap_samples"]

SEED = 1


@dataclass(frozen=True)
class Figure:
    """A number with its error.

    Attributes
    ----------
    label, definition : str
    value, error : float
        The error is the standard deviation over bootstrap samples; NaN where there is none.
    """

    label: str
    definition: str
    value: float
    error: float


def bootstrap_samples(n_objects: int, n_samples: int) -> list[np.ndarray]:
    """Rows of the objects of each sample, the same for all tables of so many objects."""
    rng = np.random.default_rng(SEED)
    return [rng.integers(n_objects, size=n_objects) for _ in range(n_samples)]


def bootstrap_error(measure: Callable[[np.ndarray], float], samples: list[np.ndarray]) -> float:
    """Standard deviation of a number over the samples, NaN where fewer than two have it."""
    spread = np.array([measure(rows) for rows in samples])
    finite = spread[np.isfinite(spread)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else np.nan


def area_under_roc(is_so: np.ndarray, chance: np.ndarray) -> float:
    """Area under the ROC curve, NaN where all objects are of one kind.

    Parameters
    ----------
    is_so : ndarray of bool, shape (n_objects,)
    chance : ndarray, shape (n_objects,)
        Probability that it is so.
    """
    if is_so.all() or not is_so.any():
        return np.nan
    return float(roc_auc_score(is_so, chance))
