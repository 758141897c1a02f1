"""Boosted trees whose hyper-parameters are found by cross-validation, whole showers at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, ParameterGrid, StratifiedGroupKFold
from tqdm.auto import tqdm

from ..errors import DataError

__all__ = [
    "DISP",
    "ENERGY",
    "N_FOLDS",
    "SIDE",
    "SIZE",
    "TYPE",
    "Boosted",
    "Recipe",
    "boost",
    "folds",
]

#: Parts that the showers are divided into; each is predicted by trees that learnt from the others.
N_FOLDS = 3

#: What all have: many small steps, and a choice of the features at each branching, which is quicker
#: and makes the trees less alike. Early stopping would look at events of showers that are learnt.
COMMON = {
    "learning_rate": 0.03,
    "max_iter": 600,
    "max_features": 0.3,
    "early_stopping": False,
    "random_state": 0,
}


def _mean_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    return np.abs(predicted - truth).mean()


def _energy_resolution(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Half of the central 68 % of E_reco / E_true − 1, from log10 of the energies."""
    low, high = np.quantile(10 ** (predicted - truth) - 1, [0.158655, 0.841345])
    return (high - low) / 2


def _area_missed(truth: np.ndarray, predicted: np.ndarray) -> float:
    return 1 - roc_auc_score(truth, predicted)


#: scikit-learn's, for a probability or for a number.
Trees: TypeAlias = HistGradientBoostingClassifier | HistGradientBoostingRegressor


@dataclass(frozen=True)
class Recipe:
    """How to learn one quantity."""

    name: str
    """In words."""

    classifies: bool
    """Whether the target is 0 or 1, of which the probability of 1 is learnt."""

    grid: Mapping[str, Sequence]
    """Hyper-parameters of scikit-learn's HistGradientBoosting to choose from."""

    error: Callable[[np.ndarray, np.ndarray], float]
    """What the choice makes least, of targets and predictions."""

    measure: str
    """The same in words."""

    def model(self, parameters: Mapping[str, object]) -> Trees:
        """The trees before they learn."""
        kind = HistGradientBoostingClassifier if self.classifies else HistGradientBoostingRegressor
        return kind(**{**COMMON, **parameters})


ENERGY = Recipe(
    "energy",
    False,
    {"loss": ["squared_error", "absolute_error"], "max_leaf_nodes": [15, 31]},
    _energy_resolution,
    "energy resolution",
)
TYPE = Recipe(
    "particle type",
    True,
    {"max_leaf_nodes": [15, 31], "min_samples_leaf": [20, 50]},
    _area_missed,
    "1 − AUC",
)
#: Where the source lies along the axis of an image: absolute errors do not mind the few that are on
#: the other side.
DISP = Recipe(
    "disp",
    False,
    {"loss": ["absolute_error"], "max_leaf_nodes": [15, 31]},
    _mean_error,
    "mean error in deg",
)
SIZE = Recipe("size of disp", False, DISP.grid, _mean_error, DISP.measure)
SIDE = Recipe("side of the source", True, {"max_leaf_nodes": [15, 31]}, _area_missed, "1 − AUC")


@dataclass(frozen=True)
class Boosted:
    """Trees that have learnt, and how they were chosen.

    Attributes
    ----------
    recipe : Recipe
    model : HistGradientBoostingRegressor or HistGradientBoostingClassifier
        Learnt from all events.
    chosen : dict
        The hyper-parameters that were best.
    error : float
        What the recipe measures, with those.
    out_of_fold : ndarray, shape (n_rows,)
        Predictions for the rows that were learnt from, by trees that did not see their showers.
    n_showers : int
    """

    recipe: Recipe
    model: HistGradientBoostingRegressor | HistGradientBoostingClassifier
    chosen: dict
    error: float
    out_of_fold: np.ndarray
    n_showers: int

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Predictions, shape (n_rows,)."""
        return _predict(self.model, features)

    def describe(self) -> list:
        """Rows, showers, hyper-parameters, and what the recipe measures, for a table."""
        parameters = {**COMMON, **self.chosen}
        words = ", ".join(
            f"{k}={parameters[k]}" for k in ("learning_rate", "max_iter", *self.chosen)
        )
        result = f"{self.recipe.measure} {self.error:.4g}"
        return [len(self.out_of_fold), self.n_showers, words, result]


def boost(
    recipe: Recipe,
    features: np.ndarray,
    target: np.ndarray,
    showers: np.ndarray,
    weights: np.ndarray,
    progress: bool = True,
) -> Boosted:
    """Choose hyper-parameters by cross-validation, and learn from all rows with the best.

    Parameters
    ----------
    recipe : Recipe
    features : ndarray, shape (n_rows, n_features)
        NaN where there is none.
    target : ndarray, shape (n_rows,)
    showers : ndarray of int, shape (n_rows,)
        Number of each row's shower.
    weights : ndarray, shape (n_rows,)
        How much each row counts for the trees.
    progress : bool
        Show a progress bar.

    Raises
    ------
    DataError
        If there are too few showers, of each of the classes where there are two.
    """
    parts = list(folds(recipe, target, showers))
    grid = list(ParameterGrid(dict(recipe.grid)))
    tried = []
    n_fits = len(grid) * N_FOLDS + 1
    with tqdm(
        total=n_fits, unit=" fits", desc=f"Learning {recipe.name}", disable=not progress
    ) as bar:
        for parameters in grid:
            out_of_fold = np.empty(len(target))
            for others, part in parts:
                model = recipe.model(parameters)
                model.fit(features[others], target[others], sample_weight=weights[others])
                out_of_fold[part] = _predict(model, features[part])
                bar.update()
            tried.append((recipe.error(target, out_of_fold), parameters, out_of_fold))
        error, chosen, out_of_fold = min(tried, key=lambda one: one[0])
        model = recipe.model(chosen).fit(features, target, sample_weight=weights)
        bar.update()
    return Boosted(recipe, model, chosen, float(error), out_of_fold, len(np.unique(showers)))


def folds(
    recipe: Recipe, target: np.ndarray, showers: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows to predict, for each part of the showers.

    Parameters
    ----------
    recipe : Recipe
    target : ndarray, shape (n_rows,)
    showers : ndarray of int, shape (n_rows,)

    Raises
    ------
    DataError
        See :func:`boost`.
    """
    classes = target if recipe.classifies else np.zeros(len(target))
    for value in (0, 1) if recipe.classifies else (0,):
        n_showers = len(np.unique(showers[classes == value]))
        if n_showers < N_FOLDS:
            kind = " of one kind" if recipe.classifies else ""
            raise DataError(
                f"data.train holds {n_showers} shower(s){kind} to learn the {recipe.name} from; "
                f"{N_FOLDS} at least are needed to cross-validate: add files to data.train, or "
                "loosen data.cuts."
            )
    kind = StratifiedGroupKFold if recipe.classifies else GroupKFold
    return kind(N_FOLDS).split(np.zeros(len(target)), classes, showers)


def _predict(model: Trees, features: np.ndarray) -> np.ndarray:
    if len(features) == 0:
        return np.empty(0)
    if isinstance(model, HistGradientBoostingClassifier):
        return model.predict_proba(features)[:, 1]
    return model.predict(features)
