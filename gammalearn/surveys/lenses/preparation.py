"""Preparation: from the settings and a catalogue to what learns, and what it learns from."""

from pathlib import Path

import numpy as np

from ...errors import EmptySelectionError
from ...settings.surveys import LensExperiment
from ...training.fit import Trainable
from ..catalogue import Catalogue
from ..galaxies.preparation import prepare_cutouts
from .network import build_network
from .tasks import build_tasks
from .types import is_lens

__all__ = ["prepare"]


def prepare(experiment: LensExperiment, catalogue: Catalogue, files: list[Path]) -> Trainable:
    """Split the galaxies and build the network.

    Parameters
    ----------
    experiment : LensExperiment
    catalogue : Catalogue
        Galaxies with whole cut-outs and a type.
    files : list of Path

    Raises
    ------
    EmptySelectionError
        If no galaxy is left to learn from, or all are lenses, or none is.
    SettingsError
        If the validation that something depends on has none.
    """
    n_lenses = int(np.sum(is_lens(catalogue.objects["type"]) == 1))
    n_others = len(catalogue) - n_lenses
    if len(catalogue) and not (n_lenses and n_others):
        raise EmptySelectionError(
            f"data.train has {n_lenses} lenses and {n_others} other galaxies; give catalogues with "
            "some of both."
        )
    return prepare_cutouts(
        experiment,
        catalogue,
        files,
        build_tasks(),
        build_network,
        {"lens": n_lenses, "no lens": n_others},
        "No galaxy of data.train has whole cut-outs and a type to learn; give others.",
    )
