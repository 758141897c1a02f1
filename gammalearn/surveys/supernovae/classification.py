"""Classification of objects with a trained network."""

import numpy as np
import torch
from astropy.table import Table

from ...settings.surveys import SupernovaExperiment
from ..catalogue import Catalogue
from .curves import curve_of, into_nights
from .light_curves import LightCurves
from .network import VIEWS, SupernovaNetwork
from .predictions import table_of_objects
from .tasks import build_tasks

__all__ = ["classify", "views_of"]

#: Light curves of a batch.
BATCH = 256


def views_of(catalogue: Catalogue, rows: np.ndarray, host_redshift: bool) -> dict[str, LightCurves]:
    """What the network sees of some objects.

    Parameters
    ----------
    catalogue : Catalogue
        With the bands of the network.
    rows : ndarray of int
    host_redshift : bool
        Whether it sees the redshift of the host galaxy.
    """
    curves = [curve_of(catalogue, int(row)) for row in rows]
    if not host_redshift:
        curves = [curve.without_redshift() for curve in curves]
    nights = [into_nights(curve, len(catalogue.bands)) for curve in curves]
    return {VIEWS: LightCurves.of(nights, np.arange(len(rows)))}


def classify(
    network: SupernovaNetwork, experiment: SupernovaExperiment, catalogue: Catalogue
) -> Table:
    """Classify objects.

    Parameters
    ----------
    network : SupernovaNetwork
    experiment : SupernovaExperiment
    catalogue : Catalogue
        With the bands of the network.

    Returns
    -------
    Table
        A row for each object: ``object_id``, ``probability_Ia``, the probability of each type and
        the likeliest ``type`` if the network has that task, and the columns of `table_of_objects`.
    """
    tasks = build_tasks(experiment.tasks)
    # Those of like length together.
    order = np.argsort(np.diff(catalogue.start), kind="stable")
    found: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        views = views_of(catalogue, rows, experiment.data.host_redshift)
        with torch.inference_mode():
            outputs = network(views, len(rows))
        for name, output in outputs.items():
            for column, values in tasks[name].decode(output.numpy(), Table()).items():
                found.setdefault(column, []).append(np.asarray(values))
    back = np.argsort(order)
    columns = {name: np.concatenate(parts)[back] for name, parts in found.items()}
    return table_of_objects(catalogue, columns)
