"""Preparation: from the settings and a catalogue to what learns, and what it learns from."""

from pathlib import Path

import lightning
import numpy as np

from ...checkpoint.trained import TrainedOn
from ...errors import EmptySelectionError
from ...settings.surveys import RedshiftExperiment
from ...training.fit import Trainable
from ...training.module import ReconstructionModule
from ..catalogue import Catalogue
from ..checkpoint import describe
from ..cutouts import Cutouts
from ..galaxies.photometry import noise
from ..galaxies.views import VIEWS, Images, turned
from ..loading import ObjectLoaders
from ..preparation import check_validated, split
from .network import build_network
from .tasks import TASK, build_tasks

__all__ = ["prepare"]

#: Cut-outs that the noise of a band is the median of.
N_FOR_NOISE = 256


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
    settings, data = experiment.training, experiment.data
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    names = np.asarray(catalogue.objects["object_id"])
    training, validation = split(names, data.validation_fraction, settings.seed)
    if catalogue.cutouts is None or not len(training):
        raise EmptySelectionError(
            "No galaxy of data.train has whole cut-outs and a redshift to learn; give others, or a "
            "larger data.redshift_max."
        )
    check_validated(len(validation), settings)
    tasks = build_tasks(data.redshift_max, experiment.crps_weight)
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
        events={"galaxy": len(catalogue)},
        training_events=len(training),
        validation_events=len(validation),
        events_by_task={TASK: len(training)},
        unlabelled_training_events=None,
    )
    module = ReconstructionModule(
        network,  # type: ignore[arg-type]  # has what the training asks of one
        tasks,
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
        monitor=f"validation/{TASK}",
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
