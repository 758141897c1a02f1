"""Prediction with the network and with the trees."""

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.table import Table

from ...settings.surveys import RedshiftExperiment
from ..catalogue import Catalogue
from ..checkpoint import TrainedSurveyNetwork
from ..galaxies.photometry import reference_of
from ..galaxies.selection import cutouts_and_dust
from ..galaxies.views import VIEWS, Images
from .density import N_BINS, Bins
from .photometry import MEASURED, Photometry, features, measure
from .predictions import table_of_galaxies
from .tasks import TASK
from .trees import TreesDensity

__all__ = ["predict", "predict_with_trees"]

# From cut-outs, their E(B-V) and their photometry to something of each galaxy.
OfBlock = Callable[[np.ndarray, np.ndarray, Photometry], np.ndarray]


def predict(trained: TrainedSurveyNetwork, catalogue: Catalogue, progress: bool = False) -> Table:
    """Redshifts by a network.

    Parameters
    ----------
    trained : TrainedSurveyNetwork
    catalogue : Catalogue
        With cut-outs of the size and bands of the network, all finite.
    progress : bool
        Show a progress bar.
    """

    def density(images: np.ndarray, dust: np.ndarray, _found: Photometry) -> np.ndarray:
        output = trained.outputs({VIEWS: Images.of(images, dust)}, len(images))[TASK]
        return output.double().softmax(1).numpy()

    found, measured = _by_blocks(catalogue, density, progress)
    experiment: Any = trained.experiment
    bins = Bins(experiment.data.redshift_max)
    return table_of_galaxies(catalogue, bins, found.reshape(-1, N_BINS), measured)


def predict_with_trees(
    experiment: RedshiftExperiment, learned: Catalogue, test: Catalogue
) -> Table:
    """Redshifts by trees that have learned from colours and concentration of the same galaxies.

    Parameters
    ----------
    experiment : RedshiftExperiment
    learned, test : Catalogue
        Of the same bands, all cut-outs finite.
    """
    bins = Bins(experiment.data.redshift_max)

    def of(catalogue: Catalogue) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return _by_blocks(catalogue, lambda _, dust, one: features(one, catalogue.bands, dust))

    truth = np.asarray(learned.objects["redshift"], dtype=float)
    forest = TreesDensity(of(learned)[0], truth, bins, experiment.training.seed)
    known, measured = of(test)
    return table_of_galaxies(test, bins, forest.density(known), measured)


def _by_blocks(
    catalogue: Catalogue, function: OfBlock, progress: bool = False
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Something of each galaxy, and its `MEASURED`; some cut-outs are in memory at a time."""
    results, measured = [], []
    reference = reference_of(catalogue.bands)
    for images, dust in cutouts_and_dust(catalogue, progress):
        found = measure(images, reference)
        results.append(function(images, dust, found))
        measured.append(found.columns)
    names = MEASURED
    return np.concatenate(results), {n: np.concatenate([one[n] for one in measured]) for n in names}
