"""Preparation: from the settings and a catalogue to what learns, and what it learns from."""

import logging
from pathlib import Path

import lightning
import numpy as np

from ...checkpoint.trained import TrainedOn
from ...errors import EmptySelectionError
from ...settings.surveys import LightCurveData, SupernovaExperiment
from ...training.fit import Trainable
from ...training.module import ReconstructionModule
from ..catalogue import Catalogue
from ..checkpoint import describe
from ..loading import ObjectLoaders
from ..preparation import check_validated, split
from .loading import Curves
from .network import build_network
from .tasks import build_tasks
from .types import class_of

__all__ = ["prepare", "split_objects"]

log = logging.getLogger(__name__)


def split_objects(
    catalogue: Catalogue, settings: LightCurveData, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the training, the validation and the objects without a type.

    The split depends on the seed and the objects' names alone.

    Parameters
    ----------
    catalogue : Catalogue
    settings : LightCurveData
    seed : int

    Raises
    ------
    EmptySelectionError
        If no object with a type is left to learn from.
    """
    enough = np.diff(catalogue.start) >= settings.minimum_observations
    n_few = int((~enough).sum())
    if n_few:
        log.warning(
            "%d objects with fewer than data.minimum_observations=%d observations are not learned "
            "from.",
            n_few,
            settings.minimum_observations,
        )
    has_type = class_of(catalogue.objects["type"]) != ""
    labelled = np.flatnonzero(enough & has_type)
    names = np.asarray(catalogue.objects["object_id"])[labelled]
    training, validation = split(names, settings.validation_fraction, seed)
    if not len(training):
        raise EmptySelectionError(
            "No object of data.train has a type to learn; give catalogues with types, or a smaller "
            "data.minimum_observations."
        )
    return labelled[training], labelled[validation], np.flatnonzero(enough & ~has_type)


def prepare(experiment: SupernovaExperiment, catalogue: Catalogue, files: list[Path]) -> Trainable:
    """Split the objects and build the network.

    Parameters
    ----------
    experiment : SupernovaExperiment
    catalogue : Catalogue
        Objects of ``data.train``, and those of ``data.unlabelled`` without their types.
    files : list of Path

    Raises
    ------
    EmptySelectionError
        If no object with a type is left to learn from.
    SettingsError
        If the validation that something depends on has none.
    """
    settings = experiment.training
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    tasks = build_tasks(experiment.tasks)
    training, validation, others = split_objects(catalogue, experiment.data, settings.seed)
    check_validated(len(validation), settings)
    targets = {name: task.targets(catalogue.objects) for name, task in tasks.items()}
    data = experiment.data
    curves = Curves(catalogue, data, 2 if "contrast" in experiment.tasks else 1)
    network = build_network(experiment, catalogue.bands)
    kinds = class_of(catalogue.objects["type"])
    names, counts = np.unique(kinds[kinds != ""], return_counts=True)
    trained_on = TrainedOn(
        files=[str(path) for path in files],
        events={str(name): int(count) for name, count in zip(names, counts, strict=True)},
        training_events=len(training),
        validation_events=len(validation),
        events_by_task={
            name: int(np.isfinite(values[training]).all(axis=1).sum())
            for name, values in targets.items()
        },
        unlabelled_training_events=len(others) if len(others) else None,
    )
    module = ReconstructionModule(
        network,  # type: ignore[arg-type]  # has what the training asks of one
        tasks,
        settings,
        describe(experiment, {"bands": list(catalogue.bands)}, trained_on),
    )
    words = {
        name: f"{sum(p.numel() for p in part.parameters()):,} parameters"
        for name, part in network.named_children()
    }
    return Trainable(
        module,
        ObjectLoaders(
            curves.views,
            targets,
            training,
            others,
            validation,
            settings,
            data.unlabelled_fraction,
            data.repeats,
        ),
        len(training),
        len(validation),
        trained_on,
        words,
        monitor="validation/type_ia",
    )
