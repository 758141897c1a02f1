"""Preparation: from the settings and a catalogue of cut-outs to what learns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from ...checkpoint.trained import TrainedOn
from ...errors import EmptySelectionError
from ...settings.surveys import SurveyExperiment
from ...tasks.base import Task
from ...training.fit import Trainable
from ...training.module import ReconstructionModule
from ..catalogue import Catalogue
from ..checkpoint import describe
from ..cutouts import Cutouts
from ..loading import ObjectLoaders
from ..preparation import check_validated, split
from .network import OfCutouts
from .photometry import noise
from .views import VIEWS, Images, turned

__all__ = ["prepare_cutouts"]

#: Cut-outs that the noise of a band is the median of.
N_FOR_NOISE = 256


def prepare_cutouts(
    experiment: SurveyExperiment,
    catalogue: Catalogue,
    files: list[Path],
    tasks: Mapping[str, Task],
    build_network: Callable[[Any, Mapping[str, Any]], OfCutouts],
    events: dict[str, int],
    none_left: str,
) -> Trainable:
    """Split the galaxies and build the network.

    Parameters
    ----------
    experiment : SurveyExperiment
        With ``validation_fraction`` and ``turns`` in ``data``.
    catalogue : Catalogue
        Galaxies with whole cut-outs and a truth.
    files : list of Path
    tasks : mapping of str to Task
        One.
    build_network : callable
    events : dict of str to int
        Galaxies of each kind.
    none_left : str
        What is said where no galaxy is left.

    Raises
    ------
    EmptySelectionError
        If no galaxy is left to learn from.
    SettingsError
        If the validation that something depends on has none.
    """
    settings, data = experiment.training, experiment.data
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    names = np.asarray(catalogue.objects["object_id"])
    training, validation = split(names, data.validation_fraction, settings.seed)
    if catalogue.cutouts is None or not len(training):
        raise EmptySelectionError(none_left)
    check_validated(len(validation), settings)
    targets = {name: task.targets(catalogue.objects) for name, task in tasks.items()}
    seen = {
        "bands": list(catalogue.bands),
        "n_pixels": int(catalogue.cutouts.shape[-1]),
        "pixel_scale": float(catalogue.pixel_scale),
        "noise": _noise(catalogue.cutouts[training]),
    }
    network = build_network(experiment, seen)
    trained_on = TrainedOn(
        files=[str(path) for path in files],
        events=events,
        training_events=len(training),
        validation_events=len(validation),
        events_by_task=dict.fromkeys(tasks, len(training)),
        unlabelled_training_events=None,
    )
    module = ReconstructionModule(
        network,  # type: ignore[arg-type]  # has what the training asks of one
        dict(tasks),
        settings,
        describe(experiment, seen, trained_on),
    )
    words = {
        name: f"{sum(p.numel() for p in part.parameters()):,} parameters"
        for name, part in network.named_children()
    }
    images = _Images(catalogue.cutouts, np.asarray(catalogue.objects["ebv"]), data.turns)
    none = np.empty(0, dtype=int)
    return Trainable(
        module,
        ObjectLoaders(images.views, targets, training, none, validation, settings),
        len(training),
        len(validation),
        trained_on,
        words,
        monitor=f"validation/{next(iter(tasks))}",
    )


def _noise(cutouts: Cutouts) -> list[float]:
    """Standard deviation of a pixel of the sky in each band."""
    some = np.linspace(0, len(cutouts) - 1, min(N_FOR_NOISE, len(cutouts))).astype(int)
    found = np.median(noise(cutouts.read(some)), axis=0)
    # Images without any noise have a scale too.
    return [float(value) for value in np.maximum(found, 1e-6)]


class _Images:
    """The cut-outs of a catalogue, read as they are asked for."""

    def __init__(self, cutouts: Cutouts, dust: np.ndarray, turns: bool):
        self.cutouts, self.dust, self.turns = cutouts, dust, turns

    def views(
        self, rows: np.ndarray, rng: np.random.Generator, in_training: bool
    ) -> dict[str, Images]:
        """The cut-outs of a batch; in the training they are turned."""
        flux = self.cutouts.read(rows)
        if in_training and self.turns:
            flux = turned(flux, rng)
        return {VIEWS: Images.of(flux, self.dust[rows])}
