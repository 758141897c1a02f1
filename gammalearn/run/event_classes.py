"""Event classes of a trained network: their limits, from the gammas of the validation."""

import logging
from pathlib import Path

import numpy as np

from ..checkpoint.trained import add_event_classes, load_checkpoint
from ..data import EventIndex, split_by_shower
from ..dl2 import energy_and_error, reconstruct_events
from ..errors import SettingsError
from ..settings import Experiment
from ..tasks.event_classes import LEAST_EVENTS, EventClasses
from .options import RunOptions

__all__ = ["check_event_classes", "fit_event_classes"]

log = logging.getLogger(__name__)


def check_event_classes(experiment: Experiment, index: EventIndex) -> None:
    """Refuse event classes that the validation has too few gammas for.

    Parameters
    ----------
    experiment : Experiment
    index : EventIndex
        Training and validation events.

    Raises
    ------
    SettingsError
        If the settings ask for event classes, and there are too few.
    """
    quantiles = _quantiles(experiment)
    if not quantiles:
        return
    n_gammas, needed = int(_is_used(experiment, index).sum()), LEAST_EVENTS * (len(quantiles) + 1)
    if n_gammas < needed:
        raise SettingsError(
            f"tasks.direction.event_classes needs {needed} gammas in the validation for "
            f"{len(quantiles) + 1} classes, and it has {n_gammas}; give more gammas in data.train, "
            "a larger data.validation_fraction, or fewer classes."
        )


def fit_event_classes(
    checkpoint: Path, experiment: Experiment, index: EventIndex, options: RunOptions
) -> None:
    """Add the limits of the event classes to a checkpoint, if the settings ask for classes.

    They are from the network's own predictions for the gammas of the validation, which it has not
    learned from. Simulated and observed events then have the same limits.

    Parameters
    ----------
    checkpoint : Path
        Of the network, at the end of its training.
    experiment : Experiment
    index : EventIndex
        Training and validation events.
    options : RunOptions

    Raises
    ------
    CheckpointError, OutputError
        If the checkpoint cannot be read or written.
    """
    quantiles = _quantiles(experiment)
    if not quantiles:
        return
    gammas = index.selected(_is_used(experiment, index), "gammas of the validation")
    decoded = reconstruct_events(
        load_checkpoint(checkpoint),
        gammas,
        experiment,
        max_batches=1 if options.fast_dev_run else None,
        progress=options.progress,
    )
    try:
        classes = EventClasses.fit(*energy_and_error(decoded), quantiles)
    except ValueError as error:
        # A network that has not learned predicts no finite numbers, or a trial had one batch.
        log.warning("There are no event classes: %s.", error)
        return
    add_event_classes(checkpoint, classes)
    log.info(
        "%d event classes from %d gammas of the validation.", classes.n_classes, classes.n_gammas
    )


def _quantiles(experiment: Experiment) -> list[float]:
    direction = experiment.tasks.get("direction")
    return direction.event_classes if direction is not None else []


def _is_used(experiment: Experiment, index: EventIndex) -> np.ndarray:
    """Which events are gammas of the validation, shape (len(index),)."""
    _, validation = split_by_shower(
        index.events, experiment.data.validation_fraction, experiment.training.seed
    )
    used = np.zeros(len(index), dtype=bool)
    used[validation] = True
    return used & (np.asarray(index.events["particle"]) == "gamma")
