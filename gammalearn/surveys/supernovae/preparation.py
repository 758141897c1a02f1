"""Preparation: from the settings and a catalogue to what learns, and what it learns from."""

import logging
from collections.abc import Mapping
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

__all__ = ["prepare", "split_objects", "with_fractions"]

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


def with_fractions(
    rows: np.ndarray, kinds: np.ndarray, fractions: Mapping[str, float], seed: int
) -> np.ndarray:
    """Rows of an epoch in which the classes have some fractions: all come once, some more often.

    Parameters
    ----------
    rows : ndarray of int
        Objects to learn from.
    kinds : ndarray of str
        Classes of all objects.
    fractions : mapping of str to float
        By class; empty keeps the rows. Objects of no such class stay as they are.
    seed : int

    Raises
    ------
    EmptySelectionError
        If a class has no object.
    """
    if not fractions:
        return rows
    rng = np.random.default_rng(seed)
    of_class = {name: rng.permutation(rows[kinds[rows] == name]) for name in fractions}
    for name, some in of_class.items():
        if not len(some):
            raise EmptySelectionError(
                f"data.type_fractions has the class {name}, and no object of data.train that is "
                "learned from is of it; leave data.type_fractions empty, or give such objects."
            )
    number = max(len(some) / fractions[name] for name, some in of_class.items())
    repeated = [
        np.resize(some, max(round(fractions[name] * number), len(some)))
        for name, some in of_class.items()
    ]
    return np.concatenate([rows[~np.isin(kinds[rows], list(fractions))], *repeated])


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
            with_fractions(training, kinds, data.type_fractions, settings.seed),
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
