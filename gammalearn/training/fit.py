"""The training run: from indexed events to checkpoints."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import TQDMProgressBar

from ..camera import CameraType
from ..checkpoint.trained import KEY, TrainedOn, load_checkpoint
from ..data import (
    ChainedLoader,
    EventDataset,
    EventIndex,
    PairedLoader,
    check_slots,
    event_loader,
    shares_of_batch,
    split_by_shower,
)
from ..data.loading.loader import EventLoader
from ..errors import CheckpointError, SettingsError
from ..io.printable import tell
from ..settings import Experiment, TrainingSettings
from ..tasks import Task
from .callbacks.board import Board, quiet_board
from .callbacks.checkpointing import EpochCheckpoint, MidEpochCheckpoint
from .callbacks.epoch_pictures import EpochPictures
from .callbacks.learning_curves import LearningCurves
from .callbacks.step_log import StepLog
from .callbacks.stopping import EarlyStopping
from .loaders import ResumableLoaders
from .module import ReconstructionModule
from .optimisation import PLANNED, average_weights
from .preparation import UnlabelledEvents, prepare
from .quiet import silence
from .trainer import interruptible, make_trainer

__all__ = ["EventDataModule", "Trainable", "TrainingSummary", "check_events", "fit", "train"]

log = logging.getLogger(__name__)

#: What a training goes on from, in the folder of its run.
LAST = Path("checkpoints") / "last.ckpt"


@dataclass(frozen=True)
class TrainingSummary:
    """What a training made, and what it learned from.

    Attributes
    ----------
    checkpoint : Path
        ``best.ckpt``: the best one by the validation, in which each task counts the same (by the
        mean of the logarithms of their losses), or the last if nothing was validated.
    trained_on : TrainedOn
        Files and numbers of events.
    n_parameters : int
        Of the network.
    network : mapping of str to str
        Parts of the network, in words for the report.
    weights : mapping of str to str
        Weights of the events by task and particle, in words; empty if all are 1.
    skipped_steps : int or None
        Steps that were left out because their gradient was not finite. None in the other processes
        of a training.
    """

    checkpoint: Path
    trained_on: TrainedOn
    n_parameters: int
    network: Mapping[str, str]
    weights: Mapping[str, str]
    skipped_steps: int | None


@dataclass(frozen=True)
class Trainable:
    """A network and what it learns from, of whatever kind.

    Attributes
    ----------
    module : ReconstructionModule
        Its network has ``estimates(views, n_events)`` and ``encoders``, see
        :class:`gammalearn.nn.ReconstructionNetwork`.
    data : ResumableLoaders
        Their batches have the attributes of :class:`gammalearn.data.Batch`.
    n_training, n_validation : int
        Numbers of events.
    trained_on : TrainedOn
    network_in_words, weights_in_words : mapping of str to str
        The parts of the network, and the weights of the events, for the report.
    callbacks : sequence of lightning.Callback
        Beside those of all trainings.
    monitor : str
        Figure of the validation whose least value makes ``best.ckpt``.
    """

    module: ReconstructionModule
    data: ResumableLoaders
    n_training: int
    n_validation: int
    trained_on: TrainedOn
    network_in_words: Mapping[str, str]
    weights_in_words: Mapping[str, str] = field(default_factory=dict)
    callbacks: Sequence[lightning.Callback] = ()
    monitor: str = "validation/measure"


class EventDataModule(ResumableLoaders):
    """Loaders of the training and validation events for each process.

    Parameters
    ----------
    training, validation : EventDataset
    settings : gammalearn.settings.TrainingSettings
    unlabelled : UnlabelledEvents, optional
        Events without truth: some in each batch of the training, and after the others in the
        validation.
    """

    def __init__(
        self,
        training: EventDataset,
        validation: EventDataset,
        settings: TrainingSettings,
        unlabelled: UnlabelledEvents | None = None,
    ) -> None:
        super().__init__()
        self.training, self.validation, self.settings = training, validation, settings
        self.unlabelled = unlabelled

    def _loader(self, dataset: EventDataset, batch_size: int, in_training: bool) -> EventLoader:
        place = self.place
        return event_loader(
            dataset,
            batch_size,
            workers=self.settings.workers,
            shuffle_seed=self.settings.seed if in_training else None,
            rank=place.rank,
            world_size=place.world_size,
            pin_memory=place.on_gpu,
            augment=in_training,
        )

    def training_loader(self) -> EventLoader | PairedLoader:
        size = self.settings.batch_size
        if self.unlabelled is None:
            return self._loader(self.training, size, in_training=True)
        n_labelled, n_unlabelled = shares_of_batch(size, self.unlabelled.fraction)
        return PairedLoader(
            self._loader(self.training, n_labelled, in_training=True),
            self._loader(self.unlabelled.training, n_unlabelled, in_training=True),
        )

    def validation_loader(self) -> EventLoader | ChainedLoader | None:
        if not len(self.validation):
            return None
        size = self.settings.batch_size
        loader = self._loader(self.validation, size, in_training=False)
        if self.unlabelled is None or not len(self.unlabelled.validation):
            return loader
        others = self._loader(self.unlabelled.validation, size, in_training=False)
        return ChainedLoader(loader, others)

    def teardown(self, stage: str | None = None) -> None:
        super().teardown(stage)
        self.training.close()
        self.validation.close()
        if self.unlabelled is not None:
            self.unlabelled.training.close()
            self.unlabelled.validation.close()


class _ProgressBar(TQDMProgressBar):
    """Lightning's bar with events/s, without the number of the logger's version, here a folder."""

    def __init__(self, steps: StepLog) -> None:
        super().__init__()
        self.steps = steps

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        metrics = {k: v for k, v in super().get_metrics(*args).items() if k != "v_num"}
        if self.steps.events_per_s is not None:
            metrics["events/s"] = round(self.steps.events_per_s)
        return metrics


def fit(
    experiment: Experiment,
    index: EventIndex,
    tasks: dict[str, Task],
    folder: Path,
    resume: bool = False,
    fast_dev_run: bool = False,
    progress: bool = True,
    unlabelled: EventIndex | None = None,
) -> TrainingSummary:
    """Train a network.

    Parameters
    ----------
    experiment : Experiment
    index : EventIndex
        Training and validation events.
    tasks : dict of str to Task
    folder : Path
        Gets ``checkpoints/``, ``tensorboard/`` and ``learning_curves.png``.
    resume : bool
        Go on from ``checkpoints/last.ckpt`` where there is one.
    fast_dev_run : bool
        One step of training and of validation only.
    progress : bool
        Show a progress bar.
    unlabelled : EventIndex, optional
        Events that take part without their truth, see :func:`gammalearn.data.index_unlabelled`.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    SettingsError
        If the machine or the events do not have what was asked for, or the loss diverges.
    CheckpointError
        If the checkpoint to go on from is damaged, or learnt from other cameras or events; or if
        that of ``training.initial`` cannot be used.
    OutputError
        If a checkpoint cannot be written; the one before is kept.
    KeyboardInterrupt
        If interrupted; ``last.ckpt`` is then of the last step, or of one at most
        ``training.checkpoint_minutes`` before the end of the epoch where that is validated.
    """
    settings = experiment.training
    resume = resume and (folder / LAST).exists()
    prepared = prepare(
        experiment, index, tasks, begins=not resume, progress=progress, unlabelled=unlabelled
    )
    training, validation = prepared.training, prepared.validation
    if resume:
        _check_resumable(folder / LAST, settings, index.cameras, prepared.trained_on)
    check_events(experiment, index, tasks)
    if prepared.unlabelled is not None:
        log.info(
            "Beside the others %d unlabelled events in the training and %d in the validation.",
            len(prepared.unlabelled.training),
            len(prepared.unlabelled.validation),
        )
    pictures = EpochPictures(settings.picture_epochs, index, experiment.data.channels)
    return train(
        Trainable(
            prepared.module,
            EventDataModule(training, validation, settings, prepared.unlabelled),
            len(training),
            len(validation),
            prepared.trained_on,
            prepared.network_in_words,
            prepared.weights_in_words,
            [pictures] if len(validation) else [],
        ),
        settings,
        folder,
        resume,
        fast_dev_run,
        progress,
    )


def train(
    prepared: Trainable,
    settings: TrainingSettings,
    folder: Path,
    resume: bool = False,
    fast_dev_run: bool = False,
    progress: bool = True,
) -> TrainingSummary:
    """Train what is prepared: a network on anything whose event is a ragged set of views.

    Parameters
    ----------
    prepared : Trainable
    settings : TrainingSettings
    folder : Path
        As those of `fit`, with the next three.
    resume, fast_dev_run, progress : bool

    Returns
    -------
    TrainingSummary

    Raises
    ------
    SettingsError
        If the machine does not have what was asked for, or the loss diverges.
    OutputError
        If a checkpoint cannot be written; the one before is kept.
    KeyboardInterrupt
        As in `fit`.
    """
    for part in (folder / "checkpoints").glob("*.part"):
        # Of a process that was killed.
        part.unlink(missing_ok=True)
    resume = resume and (folder / LAST).exists()
    steps = StepLog()
    trainer = make_trainer(
        settings,
        max_epochs=1 if fast_dev_run else settings.epochs,
        limit_train_batches=1 if fast_dev_run else None,
        limit_val_batches=1 if fast_dev_run else None,
        logger=Board(folder),
        callbacks=[
            *([average_weights(settings.weight_averaging)] if settings.weight_averaging else []),
            steps,
            LearningCurves(folder / "learning_curves.png"),
            *prepared.callbacks,
            *([EarlyStopping(settings.early_stopping)] if settings.early_stopping else []),
            # Lightning's save_last is of the last epoch that was the best so far.
            EpochCheckpoint(folder, "best", prepared.monitor if prepared.n_validation else None),
            EpochCheckpoint(folder, "last"),
            MidEpochCheckpoint(folder, settings.checkpoint_minutes),
            *([_ProgressBar(steps)] if progress else []),
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )
    log.info("Training on %d events, validating on %d.", prepared.n_training, prepared.n_validation)
    if progress and trainer.is_global_zero:
        width = max(map(len, prepared.network_in_words))
        for name, words in prepared.network_in_words.items():
            tell(f"{name:{width}}  {words}")
    with warnings.catch_warnings(), interruptible(), quiet_board():
        silence()
        trainer.fit(
            prepared.module,
            datamodule=prepared.data,
            ckpt_path=folder / LAST if resume else None,
            weights_only=True,
        )
    skipped_steps = None
    if trainer.is_global_zero:
        # The process that trained may have been another one.
        state = torch.load(folder / LAST, map_location="cpu", weights_only=True)
        skipped_steps = state[KEY]["skipped_steps"]
    return TrainingSummary(
        checkpoint=folder / "checkpoints" / "best.ckpt",
        trained_on=prepared.trained_on,
        n_parameters=sum(p.numel() for p in prepared.module.network.parameters()),
        network=prepared.network_in_words,
        weights=prepared.weights_in_words,
        skipped_steps=skipped_steps,
    )


def check_events(experiment: Experiment, index: EventIndex, tasks: dict[str, Task]) -> None:
    """Refuse settings that these events cannot serve, before anything is written.

    Parameters
    ----------
    experiment : Experiment
    index : EventIndex
        Training and validation events.
    tasks : dict of str to Task

    Raises
    ------
    SettingsError
        If nothing can be learnt from them, or none is left for the validation that something
        depends on.
    DataError
        If a telescope has no slot in a network of fixed ones.
    """
    settings = experiment.training
    check_slots(experiment.network, [index])
    training, validation = split_by_shower(
        index.events, experiment.data.validation_fraction, settings.seed
    )
    if not len(validation) and (settings.schedule == "plateau" or settings.early_stopping):
        raise SettingsError(
            f"data.validation_fraction={experiment.data.validation_fraction:g} leaves none of "
            f"{len(training)} events for the validation, but training.schedule='plateau' and "
            "training.early_stopping need some."
        )
    if not tasks:
        # What learns without labels learns from any event.
        return
    if not any(
        np.isfinite(task.targets(index.events[training])).all(axis=1).any()
        for task in tasks.values()
    ):
        raise SettingsError(
            f"No task ({', '.join(tasks)}) has a training event; see tasks.NAME.particles and "
            "data.train."
        )


def _check_resumable(
    checkpoint: Path,
    settings: TrainingSettings,
    cameras: Sequence[CameraType],
    trained_on: TrainedOn,
) -> None:
    """Refuse a checkpoint that learnt from other cameras or events than there are now."""
    before = load_checkpoint(checkpoint)
    planned = before.experiment.training.epochs
    if settings.schedule in PLANNED and settings.epochs != planned:
        raise CheckpointError(
            f"The run cannot be resumed: training.schedule='{settings.schedule}' was planned for "
            f"{planned} epochs, not for {settings.epochs}; to learn more, begin a run in another "
            f"folder with training.initial='{checkpoint.with_name('best.ckpt')}'."
        )
    if [camera.name for camera in before.cameras] != [camera.name for camera in cameras] or not all(
        old.same_camera(new) for old, new in zip(before.cameras, cameras, strict=True)
    ):
        raise CheckpointError(
            f"The run cannot be resumed: the cameras of '{checkpoint}' are "
            f"{', '.join(camera.name for camera in before.cameras)}, those of data.train are now "
            f"{', '.join(camera.name for camera in cameras)}."
        )
    for what, value in asdict(trained_on).items():
        learnt = getattr(before.trained_on, what)
        # Checkpoints of before do not tell the zenith angle.
        if learnt != value and not (what == "zenith" and learnt is None):
            raise CheckpointError(
                f"The run cannot be resumed: '{checkpoint}' was trained on other data, "
                f"{what.replace('_', ' ')} were {learnt} and are now {value}."
            )
