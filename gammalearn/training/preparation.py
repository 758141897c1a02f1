"""Preparation: from the settings and the index to what learns, and what it learns from."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import lightning
import numpy as np
import torch

from ..checkpoint.trained import TrainedOn, build_network, describe, seen_images
from ..data import (
    EventDataset,
    EventIndex,
    EventRotations,
    describe_weights,
    event_weights,
    pack_images,
    split_by_shower,
)
from ..settings import Experiment, WeightSettings
from ..settings.tasks import WITHOUT_LABELS
from ..tasks import Task
from ..tasks.adaptation import build_adaptations
from ..tasks.without_labels import build_without_labels
from .fine_tuning import begin_with, freeze
from .model_summary import in_words, summarise
from .module import ReconstructionModule

__all__ = ["Preparation", "UnlabelledEvents", "prepare"]

log = logging.getLogger(__name__)


@dataclass
class UnlabelledEvents:
    """Events that take part in a training without their truth.

    Attributes
    ----------
    training, validation : EventDataset
        Without targets.
    fraction : float
        Share of them in the batches of the training.
    """

    training: EventDataset
    validation: EventDataset
    fraction: float


@dataclass
class Preparation:
    """What a training is made of.

    Attributes
    ----------
    module : ReconstructionModule
    training, validation : EventDataset
    unlabelled : UnlabelledEvents or None
    trained_on : TrainedOn
    network_in_words, weights_in_words : dict of str to str
        The parts of the network, and the weights of the events, for the report.
    """

    module: ReconstructionModule
    training: EventDataset
    validation: EventDataset
    unlabelled: UnlabelledEvents | None
    trained_on: TrainedOn
    network_in_words: dict[str, str]
    weights_in_words: dict[str, str]


def prepare(
    experiment: Experiment,
    index: EventIndex,
    tasks: dict[str, Task],
    begins: bool = True,
    progress: bool = True,
    unlabelled: EventIndex | None = None,
) -> Preparation:
    """Split and weigh the events and build the network.

    Parameters
    ----------
    experiment : Experiment
    index : EventIndex
        Training and validation events.
    tasks : dict of str to Task
    begins : bool
        Whether the training begins, with the weights of ``training.initial`` where there are some;
        it has its own where it goes on.
    progress : bool
        Show a progress bar where events are packed.
    unlabelled : EventIndex, optional
        Events without truth, see :func:`gammalearn.data.index_unlabelled`; without them there is no
        adaptation.

    Raises
    ------
    CheckpointError
        If ``training.initial`` cannot be used.
    SettingsError
        If ``training.frozen`` does not fit the network.
    """
    settings = experiment.training
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    targets = {name: task.targets(index.events) for name, task in tasks.items()}
    packed = _packed(index, experiment, progress)
    parts = split_by_shower(index.events, experiment.data.validation_fraction, settings.seed)
    weights, weights_in_words = _weigh_events(index, experiment.data.weights, targets, parts[0])
    training, validation = (
        EventDataset(
            index,
            experiment.data,
            targets,
            rows,
            packed,
            tasks,
            weights,
            experiment.network.parameters,
        )
        for rows in parts
    )
    if settings.batch_size > len(training):
        log.warning(
            "training.batch_size=%d is more than the %d training events: one batch has them all.",
            settings.batch_size,
            len(training),
        )
    trained_on = _describe_events(index, training, validation, tasks)
    network = build_network(experiment, index.cameras, tasks)
    beside = adaptations = without_labels = None
    if unlabelled is not None:
        beside = _unlabelled_events(unlabelled, experiment, progress)
        trained_on = _with_unlabelled(trained_on, unlabelled, beside)
        # After the network, whose first weights are then those of a training without them.
        adaptations = build_adaptations(experiment.tasks, experiment.network.embedding, tasks)
    if set(experiment.tasks) & set(WITHOUT_LABELS):
        images = seen_images(experiment, index.cameras)
        without_labels = build_without_labels(experiment.tasks, images)
    rotations = None
    if experiment.data.augmentation.rotations:
        rotations = EventRotations(index.cameras, with_pixels=bool(experiment.data.channels))
    words = in_words(summarise(experiment, index.cameras, tasks))
    anew: dict[str, str] = {}
    if begins and settings.initial is not None:
        learnt, anew = begin_with(network, index.cameras, experiment, settings.initial)
        words[f"trained before ({settings.initial})"] = ", ".join(learnt)
        words["starts with random weights"] = (
            ", ".join(f"{part} ({why})" for part, why in anew.items()) or "none"
        )
    frozen = freeze(network, settings.frozen, list(anew))
    if frozen:
        words["frozen"] = ", ".join(settings.frozen)
    description = describe(experiment, index.cameras, trained_on)
    # The loss of a lone image is that of its event, and would count twice.
    image_losses = settings.image_losses if experiment.data.grouping == "stereo" else 0.0
    return Preparation(
        ReconstructionModule(
            network,
            tasks,
            settings,
            description,
            rotations,
            frozen,
            image_losses,
            adaptations,
            experiment.data.unlabelled_statistics,
            without_labels,
        ),
        training,
        validation,
        beside,
        trained_on,
        words,
        weights_in_words,
    )


def _packed(index: EventIndex, experiment: Experiment, progress: bool) -> list[Path] | None:
    """Where the images of an index are unpacked, if the settings ask for it."""
    if not (experiment.data.packed_cache and experiment.data.channels):
        return None
    return pack_images(index, experiment.data, experiment.training.workers, progress)


def _unlabelled_events(
    index: EventIndex, experiment: Experiment, progress: bool
) -> UnlabelledEvents:
    """Training and validation events of an index without truth."""
    data, settings = experiment.data, experiment.training
    packed = _packed(index, experiment, progress)
    parts = split_by_shower(index.events, data.validation_fraction, settings.seed)
    training, validation = (
        EventDataset(
            index, data, rows=rows, packed=packed, parameters=experiment.network.parameters
        )
        for rows in parts
    )
    return UnlabelledEvents(training, validation, data.unlabelled_fraction)


def _with_unlabelled(
    trained_on: TrainedOn, index: EventIndex, events: UnlabelledEvents
) -> TrainedOn:
    """What was trained on, with the events that take part without truth."""
    return replace(
        trained_on,
        # Names alone: a checkpoint that is given away should not tell folders.
        unlabelled_files=[path.name for path in index.files],
        unlabelled_training_events=len(events.training),
        unlabelled_validation_events=len(events.validation),
    )


def _weigh_events(
    index: EventIndex,
    settings: WeightSettings,
    targets: Mapping[str, np.ndarray],
    training: np.ndarray,
) -> tuple[dict, dict[str, str]]:
    """Weights of the events by task, none where all are 1; and in words."""
    weights: dict[str, np.ndarray] = {}
    words: dict[str, str] = {}
    if not settings.balance_particles and settings.spectral_index is None:
        return weights, words
    for name, target in targets.items():
        learnt = np.isfinite(target).all(axis=1)
        weights[name] = event_weights(index, settings, learnt, training)
        rows = training[learnt[training]]
        described = describe_weights(index.events["particle"][rows], weights[name][rows])
        for particle, text in described.items():
            words[f"{name.replace('_', ' ')}: {particle}s"] = text
            log.info("Weights of %ss in the loss of %s: %s.", particle, name, text)
    return weights, words


def _describe_events(
    index: EventIndex, training: EventDataset, validation: EventDataset, tasks: Mapping[str, Task]
) -> TrainedOn:
    learnt = {
        name: int(torch.isfinite(target[training.rows]).all(dim=1).sum())
        for name, target in training.targets.items()
    }
    for name, count in learnt.items():
        if count == 0:
            log.warning(
                "Task %s has no training event (it learns from %s): its output will mean nothing.",
                name,
                ", ".join(tasks[name].particles or ["all particles"]),
            )
    return TrainedOn(
        files=[str(path) for path in index.files],
        events=index.particle_counts(),
        training_events=len(training),
        validation_events=len(validation),
        events_by_task=learnt,
        zenith=_zenith_range(index),
    )


def _zenith_range(index: EventIndex) -> list[float] | None:
    """Smallest and largest zenith angle (deg) of the pointing, None if no event tells it."""
    zenith = 90 - np.asarray(index.events["pointing_alt"], dtype=float)
    zenith = zenith[np.isfinite(zenith)]
    if not len(zenith):
        return None
    return [round(float(end), 2) for end in (zenith.min(), zenith.max())]
