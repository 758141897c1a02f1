"""Classification of objects with a trained network."""

from typing import Any

import numpy as np
from astropy.table import Table
from tqdm.auto import tqdm

from ..catalogue import Catalogue
from ..checkpoint import TrainedSurveyNetwork
from .curves import curve_of, into_nights
from .light_curves import LightCurves
from .network import VIEWS
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


def classify(trained: TrainedSurveyNetwork, catalogue: Catalogue, progress: bool = False) -> Table:
    """Classify objects.

    Parameters
    ----------
    trained : TrainedSurveyNetwork
    catalogue : Catalogue
        With the bands of the network.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Table
        A row for each object: ``object_id``, ``probability_Ia``, the probability of each type and
        the likeliest ``type`` if the network has that task, and the columns of `table_of_objects`.
    """
    experiment: Any = trained.experiment
    tasks = build_tasks(experiment.tasks)
    # Those of like length together.
    order = np.argsort(np.diff(catalogue.start), kind="stable")
    found: dict[str, list[np.ndarray]] = {}
    bar = tqdm(total=len(order), unit=" supernovae", desc="Predicting", disable=not progress)
    with bar:
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            views = views_of(catalogue, rows, experiment.data.host_redshift)
            outputs = trained.outputs(views, len(rows))
            for name, output in outputs.items():
                for column, values in tasks[name].decode(output.numpy(), Table()).items():
                    found.setdefault(column, []).append(np.asarray(values))
            bar.update(len(rows))
    back = np.argsort(order)
    columns = {name: np.concatenate(parts)[back] for name, parts in found.items()}
    return table_of_objects(catalogue, columns)
