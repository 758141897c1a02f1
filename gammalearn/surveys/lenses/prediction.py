"""Prediction with the network and with the trees."""

import numpy as np
from astropy.table import Table

from ...settings.surveys import LensExperiment
from ..catalogue import Catalogue
from ..checkpoint import TrainedSurveyNetwork
from ..galaxies.selection import cutouts_and_dust
from ..galaxies.views import VIEWS, Images
from .features import LensTrees, features
from .predictions import table_of_lenses
from .tasks import TASK
from .types import is_lens

__all__ = ["predict", "predict_with_trees"]


def predict(trained: TrainedSurveyNetwork, catalogue: Catalogue, progress: bool = False) -> Table:
    """Probabilities by a network.

    Parameters
    ----------
    trained : TrainedSurveyNetwork
    catalogue : Catalogue
        With cut-outs of the size and bands of the network, all finite.
    progress : bool
        Show a progress bar.
    """
    chance = []
    for images, dust in cutouts_and_dust(catalogue, progress):
        output = trained.outputs({VIEWS: Images.of(images, dust)}, len(images))[TASK]
        chance.append(output.double().sigmoid().squeeze(1).numpy())
    return table_of_lenses(catalogue, np.concatenate(chance))


def predict_with_trees(experiment: LensExperiment, learned: Catalogue, test: Catalogue) -> Table:
    """Probabilities by trees that have learned from features of the same galaxies.

    Parameters
    ----------
    experiment : LensExperiment
    learned, test : Catalogue
        Of the same bands, all cut-outs finite.

    Raises
    ------
    EmptySelectionError
        If all are lenses, or none is.
    """

    def of(catalogue: Catalogue) -> np.ndarray:
        some = cutouts_and_dust(catalogue)
        return np.concatenate([features(images, catalogue.bands, dust) for images, dust in some])

    truth = is_lens(learned.objects["type"]) == 1
    forest = LensTrees(of(learned), truth, experiment.training.seed)
    return table_of_lenses(test, forest.chance(of(test)))
