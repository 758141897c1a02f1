"""The training run: from indexed events to checkpoints."""

import logging
import warnings
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from ..data import (
    EventDataset,
    EventIndex,
    EventTurns,
    describe_weights,
    event_loader,
    event_weights,
    pack_images,
    split_by_shower,
)
from ..errors import CheckpointError
from ..settings import Experiment
from ..tasks import Task
from .checkpoint import build_network, describe, load_checkpoint
from .learning_curves import LearningCurves
from .machine import interruptible, make_trainer
from .module import ReconstructionModule

__all__ = ["EventDataModule", "fit"]

log = logging.getLogger(__name__)


class EventDataModule(lightning.LightningDataModule):
    """Loaders of the training and validation events for each process.

    Parameters
    ----------
    training, validation : EventDataset
    settings : gammalearn.settings.TrainingSettings
    """

    def __init__(self, training: EventDataset, validation: EventDataset, settings):
        super().__init__()
        self.training, self.validation, self.settings = training, validation, settings

    def _loader(self, dataset, shuffle_seed):
        return event_loader(
            dataset,
            self.settings.batch_size,
            workers=self.settings.workers,
            shuffle_seed=shuffle_seed,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            augment=dataset is self.training,
        )

    def train_dataloader(self):
        return self._loader(self.training, self.settings.seed)

    def val_dataloader(self):
        return self._loader(self.validation, None) if len(self.validation) else []

    def teardown(self, stage=None):
        self.training.close()
        self.validation.close()

    def on_exception(self, exception):
        self.teardown()


class _Checkpoint(ModelCheckpoint):
    """Writes ``checkpoints/name.ckpt`` after each epoch of the least ``monitor``, or after all."""

    def __init__(self, folder: Path, name: str, monitor: str | None = None):
        super().__init__(
            dirpath=str(folder / "checkpoints"),
            filename=name,
            monitor=monitor,
            enable_version_counter=False,
            # With the training's end, not the validation's: the epoch in it is then complete.
            save_on_train_epoch_end=True,
        )

    @property
    def state_key(self) -> str:
        # Lightning's is the same for two that watch nothing.
        return f"{super().state_key}{self.filename}"


class _ProgressBar(TQDMProgressBar):
    """Lightning's bar without the number of the logger's version, which here is a folder."""

    def get_metrics(self, *args):
        return {k: v for k, v in super().get_metrics(*args).items() if k != "v_num"}


def fit(
    experiment: Experiment,
    index: EventIndex,
    tasks: dict[str, Task],
    folder: Path,
    resume: bool = False,
    fast_dev_run: bool = False,
    progress: bool = True,
) -> tuple[Path, dict]:
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

    Returns
    -------
    checkpoint : Path
        ``best.ckpt``: the best one by the validation loss, or the last where nothing was
        validated.
    summary : dict
        What was learnt from, for the report.

    Raises
    ------
    SettingsError
        If the machine does not have what was asked for, or the loss diverges.
    CheckpointError
        If the checkpoint to go on from is damaged, or learnt from other cameras or events.
    KeyboardInterrupt
        If interrupted; the checkpoints are then those of the last complete epoch.
    """
    settings = experiment.training
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    targets = {name: task.targets(index.events) for name, task in tasks.items()}
    packed = None
    if experiment.data.packed_cache:
        packed = pack_images(index, experiment.data, settings.workers, progress)
    parts = split_by_shower(index.events, experiment.data.validation_fraction, settings.seed)
    weights, weights_in_words = _weigh_events(index, experiment.data.weights, targets, parts[0])
    training, validation = (
        EventDataset(index, experiment.data, targets, rows, packed, tasks, weights)
        for rows in parts
    )
    trained_on = _describe_events(index, training, validation, tasks)
    network = build_network(experiment, index.cameras, tasks)
    turns = None
    if experiment.data.augmentation.turns:
        pointing = np.column_stack([index.events["pointing_alt"], index.events["pointing_az"]])
        turns = EventTurns(index.cameras, pointing)
    description = describe(experiment, index.cameras, trained_on)
    last = folder / "checkpoints" / "last.ckpt"
    resume = resume and last.exists()
    if resume:
        _check_resumable(last, settings, index.cameras, trained_on)
    trainer = make_trainer(
        settings,
        max_epochs=1 if fast_dev_run else settings.epochs,
        limit_train_batches=1 if fast_dev_run else None,
        limit_val_batches=1 if fast_dev_run else None,
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        callbacks=[
            LearningCurves(folder / "learning_curves.png"),
            # Lightning's save_last is of the last epoch that was the best so far.
            _Checkpoint(folder, "best", "validation/loss" if len(validation) else None),
            _Checkpoint(folder, "last"),
            *([_ProgressBar()] if progress else []),
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    log.info(
        "Training on %d events, validating on %d; %d parameters.",
        len(training),
        len(validation),
        n_parameters,
    )
    with warnings.catch_warnings(), interruptible(trainer):
        # Lightning's advice on worker numbers.
        warnings.filterwarnings("ignore", module=r"lightning\.pytorch")
        trainer.fit(
            ReconstructionModule(network, tasks, settings, description, turns),
            datamodule=EventDataModule(training, validation, settings),
            ckpt_path=last if resume else None,
            weights_only=True,
        )
    return folder / "checkpoints" / "best.ckpt", {
        **trained_on,
        "parameters": n_parameters,
        "weights": weights_in_words,
    }


def _weigh_events(index, settings, targets, training) -> tuple[dict, dict[str, str]]:
    """Weights of the events by task, none where all are 1; and in words."""
    weights, words = {}, {}
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


def _describe_events(index, training, validation, tasks) -> dict:
    """What is learnt from, in plain values."""
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
    return {
        "files": [str(path) for path in index.files],
        "events": index.particle_counts(),
        "training_events": len(training),
        "validation_events": len(validation),
        "events_by_task": learnt,
    }


def _check_resumable(checkpoint: Path, settings, cameras, trained_on: dict) -> None:
    """Refuse a checkpoint that learnt from other cameras or events than there are now."""
    before = load_checkpoint(checkpoint)
    planned = before.experiment.training.epochs
    if settings.schedule == "one_cycle" and settings.epochs != planned:
        raise CheckpointError(
            f"The run cannot be resumed: training.schedule='one_cycle' was planned for {planned} "
            f"epochs, not for {settings.epochs}; set training.schedule=constant, or start anew."
        )
    if [camera.name for camera in before.cameras] != [camera.name for camera in cameras] or not all(
        old.same_camera(new) for old, new in zip(before.cameras, cameras, strict=True)
    ):
        raise CheckpointError(
            f"The run cannot be resumed: the cameras of '{checkpoint}' are "
            f"{', '.join(camera.name for camera in before.cameras)}, those of data.train are now "
            f"{', '.join(camera.name for camera in cameras)}."
        )
    for what, value in trained_on.items():
        if before.trained_on[what] != value:
            raise CheckpointError(
                f"The run cannot be resumed: '{checkpoint}' was trained on other data, "
                f"{what.replace('_', ' ')} were {before.trained_on[what]} and are now {value}."
            )
