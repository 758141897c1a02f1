"""Classification of objects with a trained network."""

import numpy as np
import torch
from astropy.table import Table

from ..catalogue import Catalogue
from .batch import LightCurves
from .checkpoint import TrainedSupernovaNetwork
from .curves import curve_of, into_nights
from .network import VIEWS
from .predictions import table_of_objects
from .tasks import build_tasks

__all__ = ["classify"]

#: Light curves of a batch.
BATCH = 256


def classify(trained: TrainedSupernovaNetwork, catalogue: Catalogue, what: str) -> Table:
    """Classify objects.

    Parameters
    ----------
    trained : TrainedSupernovaNetwork
    catalogue : Catalogue
    what : str
        The objects' files, for an error.

    Returns
    -------
    Table
        A row for each object: ``object_id``, ``probability_Ia``, the probability of each type and
        the likeliest ``type`` if the network has that task, and the columns of `table_of_objects`.

    Raises
    ------
    InputFileError
        If there are observations in a band that the network does not have.
    """
    catalogue = catalogue.with_bands(trained.bands, what)
    data, network = trained.experiment.data, trained.network
    tasks = build_tasks(trained.experiment.tasks)
    # Those of like length together.
    order = np.argsort(np.diff(catalogue.start), kind="stable")
    found: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        curves = [curve_of(catalogue, int(row)) for row in rows]
        if not data.host_redshift:
            curves = [curve.without_redshift() for curve in curves]
        nights = [into_nights(curve, len(trained.bands)) for curve in curves]
        views = {VIEWS: LightCurves.of(nights, np.arange(len(rows)))}
        with torch.inference_mode():
            outputs = network(views, len(rows))
        for name, output in outputs.items():
            for column, values in tasks[name].decode(output.numpy(), Table()).items():
                found.setdefault(column, []).append(np.asarray(values))
    back = np.argsort(order)
    columns = {name: np.concatenate(parts)[back] for name, parts in found.items()}
    table = table_of_objects(catalogue, columns)
    table.meta |= {
        "checkpoint": trained.digest,
        "settings": trained.experiment.to_yaml(),
        "gammalearn": trained.versions.get("gammalearn", ""),
    }
    return table
