"""Prediction with the network and with the trees."""

from collections.abc import Callable

import numpy as np
import torch
from astropy.table import Table

from ...settings.surveys import RedshiftExperiment
from ..catalogue import Catalogue
from ..galaxies.photometry import reference_of
from ..galaxies.selection import cutouts_and_dust
from ..galaxies.views import VIEWS, Images
from .density import N_BINS, Bins
from .network import RedshiftNetwork
from .photometry import MEASURED, Photometry, features, measure
from .predictions import table_of_galaxies
from .tasks import TASK
from .trees import TreesDensity

__all__ = ["predict", "predict_with_trees"]

# From cut-outs, their E(B-V) and their photometry to something of each galaxy.
OfBlock = Callable[[np.ndarray, np.ndarray, Photometry], np.ndarray]


def predict(network: RedshiftNetwork, redshift_max: float, catalogue: Catalogue) -> Table:
    """Redshifts by a network.

    Parameters
    ----------
    network : RedshiftNetwork
        In evaluation mode.
    redshift_max : float
        Where the bins end.
    catalogue : Catalogue
        With cut-outs of the size and bands of the network, all finite.
    """

    def density(images: np.ndarray, dust: np.ndarray, _found: Photometry) -> np.ndarray:
        with torch.inference_mode():
            output = network({VIEWS: Images.of(images, dust)}, len(images))[TASK]
        return output.double().softmax(1).numpy()

    found, measured = _by_blocks(catalogue, density)
    return table_of_galaxies(catalogue, Bins(redshift_max), found.reshape(-1, N_BINS), measured)


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


def _by_blocks(catalogue: Catalogue, function: OfBlock) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Something of each galaxy, and its `MEASURED`; some cut-outs are in memory at a time."""
    results, measured = [], []
    reference = reference_of(catalogue.bands)
    for images, dust in cutouts_and_dust(catalogue):
        found = measure(images, reference)
        results.append(function(images, dust, found))
        measured.append(found.columns)
    names = MEASURED
    return np.concatenate(results), {n: np.concatenate([one[n] for one in measured]) for n in names}
