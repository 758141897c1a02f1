"""Preparation: from the settings and a catalogue to what learns, and what it learns from."""

from pathlib import Path

from ...settings.surveys import RedshiftExperiment
from ...training.fit import Trainable
from ..catalogue import Catalogue
from ..galaxies.preparation import prepare_cutouts
from .network import build_network
from .tasks import build_tasks

__all__ = ["prepare"]


def prepare(experiment: RedshiftExperiment, catalogue: Catalogue, files: list[Path]) -> Trainable:
    """Split the galaxies and build the network.

    Parameters
    ----------
    experiment : RedshiftExperiment
    catalogue : Catalogue
        Galaxies with whole cut-outs and a redshift.
    files : list of Path

    Raises
    ------
    EmptySelectionError
        If no galaxy is left to learn from.
    SettingsError
        If the validation that something depends on has none.
    """
    return prepare_cutouts(
        experiment,
        catalogue,
        files,
        build_tasks(experiment.data.redshift_max, experiment.crps_weight),
        build_network,
        {"galaxy": len(catalogue)},
        "No galaxy of data.train has whole cut-outs and a redshift to learn; give others, or a "
        "larger data.redshift_max.",
    )
