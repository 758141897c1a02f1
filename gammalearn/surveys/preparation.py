"""Preparation of a training, as all surveys have it."""

from pathlib import Path

import numpy as np

from ..errors import CheckpointError, SettingsError
from ..settings import TrainingSettings
from ..settings.surveys import SurveyExperiment
from ..training.fit import Trainable
from .checkpoint import load_survey_network

__all__ = ["check_resumable", "check_validated", "split"]


def split(
    names: np.ndarray, validation_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the objects of the training and of the validation.

    The split depends on the seed and the objects' names alone.

    Parameters
    ----------
    names : ndarray of str, shape (n_objects,)
    validation_fraction : float
    seed : int
    """
    order = np.random.default_rng(seed).permutation(len(names))
    shuffled = np.argsort(names, kind="stable")[order]
    n_validation = int(len(names) * validation_fraction)
    return np.sort(shuffled[n_validation:]), np.sort(shuffled[:n_validation])


def check_validated(n_validation: int, settings: TrainingSettings) -> None:
    """Refuse settings that need a validation where there is none.

    Raises
    ------
    SettingsError
    """
    if not n_validation and (settings.schedule == "plateau" or settings.early_stopping):
        raise SettingsError(
            "No object is left for the validation, but training.schedule='plateau' and "
            "training.early_stopping need some; give a larger data.validation_fraction."
        )


def check_resumable(checkpoint: Path, experiment: SurveyExperiment, prepared: Trainable) -> None:
    """Refuse to go on from a checkpoint that has learned from other objects.

    Raises
    ------
    CheckpointError
    """
    before = load_survey_network(checkpoint)
    training = experiment.training
    planned = before.experiment.training.epochs
    if training.schedule in ("one_cycle", "cosine") and training.epochs != planned:
        raise CheckpointError(
            f"The run cannot be resumed: training.schedule='{training.schedule}' was planned for "
            f"{planned} epochs, not for {training.epochs}; begin a run in another folder."
        )
    now = prepared.trained_on
    if (before.trained_on.files, before.trained_on.events) != (now.files, now.events):
        raise CheckpointError(
            f"The run cannot be resumed: '{checkpoint}' was trained on other objects "
            f"({before.trained_on.events}) than those of data.train now ({now.events})."
        )
