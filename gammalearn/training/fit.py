"""The training run: from indexed events to checkpoints."""

import logging
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ..data import EventDataset, EventIndex, event_loader, split_by_shower
from ..errors import CheckpointError, EmptySelectionError, SettingsError
from ..settings import Experiment
from ..tasks import Task
from .checkpoint import build_network, describe, load_checkpoint
from .learning_curves import LearningCurves
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


class _ProgressBar(TQDMProgressBar):
    """Lightning's bar without the number of the logger's version, which here is a folder."""

    def get_metrics(self, *args):
        return {k: v for k, v in super().get_metrics(*args).items() if k != "v_num"}


class _WholeFiles(TorchCheckpointIO):
    """A checkpoint has its name only when complete: an interrupted one leaves the one before.

    Lightning's own moves it from the system's temporary folder, on another disk a copy that can
    be interrupted.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        torch.save(checkpoint, part)
        os.replace(part, path)


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
    EmptySelectionError
        If no event is left to learn from.
    SettingsError
        If the machine does not have what was asked for, or the loss diverges.
    CheckpointError
        If the checkpoint to go on from is damaged or of other cameras.
    KeyboardInterrupt
        If interrupted; the checkpoints are then those of the last complete epoch.
    """
    settings = experiment.training
    if not log.isEnabledFor(logging.DEBUG):
        # Lightning tells much of what the user did not ask.
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    rows = split_by_shower(index.events, experiment.data.validation_fraction, settings.seed)
    if len(rows[0]) == 0:
        raise EmptySelectionError(
            "No event is left to learn from after the validation events were set aside; "
            "lower data.validation_fraction or give more data.train."
        )
    targets = {name: task.targets(index.events) for name, task in tasks.items()}
    training, validation = (EventDataset(index, experiment.data, targets, r) for r in rows)
    learnt = {
        name: int(np.isfinite(target[rows[0]]).all(axis=1).sum())
        for name, target in targets.items()
    }
    for name, count in learnt.items():
        if count == 0:
            log.warning(
                "Task %s has no training event (it learns from %s): its output will mean nothing.",
                name,
                ", ".join(tasks[name].particles or ["all particles"]),
            )
    trained_on = {
        "files": [str(path) for path in index.files],
        "events": index.particle_counts(),
        "training_events": len(training),
        "validation_events": len(validation),
        "events_by_task": learnt,
    }
    last = folder / "checkpoints" / "last.ckpt"
    resume = resume and last.exists()
    if resume:
        _check_resumable(last, index.cameras)
    network = build_network(experiment, index.cameras, tasks)
    module = ReconstructionModule(
        network, tasks, settings, describe(experiment, index.cameras, trained_on)
    )
    curves = LearningCurves(folder / "learning_curves.png")
    monitored = len(validation) > 0
    checkpoints = ModelCheckpoint(
        dirpath=str(folder / "checkpoints"),
        filename="best",
        monitor="validation/loss" if monitored else None,
        save_last=True,
        enable_version_counter=False,
        # With the training's end, not the validation's: the epoch in it is then complete.
        save_on_train_epoch_end=True,
    )
    try:
        trainer = lightning.Trainer(
            max_epochs=1 if fast_dev_run else settings.epochs,
            limit_train_batches=1 if fast_dev_run else None,
            limit_val_batches=1 if fast_dev_run else None,
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=_strategy(settings),
            num_nodes=settings.nodes,
            precision=settings.precision,
            logger=TensorBoardLogger(folder, name="", version="tensorboard"),
            callbacks=[curves, checkpoints, *([_ProgressBar()] if progress else [])],
            plugins=[_WholeFiles()],
            enable_progress_bar=progress,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            deterministic="warn",
        )
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise SettingsError(
            f"training: this machine cannot be used as the settings ask (accelerator="
            f"{settings.accelerator}, devices={settings.devices}, precision="
            f"{settings.precision}): {error}"
        ) from error
    log.info(
        "Training on %d events, validating on %d; %d parameters.",
        len(training),
        len(validation),
        sum(p.numel() for p in network.parameters()),
    )
    with warnings.catch_warnings(), _interruptible(trainer):
        # Lightning's advice on worker numbers.
        warnings.filterwarnings("ignore", module=r"lightning\.pytorch")
        trainer.fit(
            module,
            datamodule=EventDataModule(training, validation, settings),
            ckpt_path=last if resume else None,
            weights_only=True,
        )
    summary = {**trained_on, "parameters": sum(p.numel() for p in network.parameters())}
    return folder / "checkpoints" / "best.ckpt", summary


def _check_resumable(checkpoint: Path, cameras) -> None:
    """Refuse a checkpoint whose encoders are not those of the cameras."""
    before = load_checkpoint(checkpoint).cameras
    if [camera.name for camera in before] != [camera.name for camera in cameras] or not all(
        old.same_camera(new) for old, new in zip(before, cameras, strict=True)
    ):
        raise CheckpointError(
            f"The run cannot be resumed: the cameras of '{checkpoint}' are "
            f"{', '.join(camera.name for camera in before)}, those of data.train are now "
            f"{', '.join(camera.name for camera in cameras)}."
        )


def _strategy(settings) -> str:
    """How processes share the training, in Lightning's words.

    On one machine, only the training runs in several processes, and what called it goes on in
    one; SLURM and torchrun start whole runs instead, as do several nodes. A process whose batch
    has no image of a camera has no gradient of its encoder.
    """
    started_outside = SLURMEnvironment.detect() or TorchElasticEnvironment.detect()
    if settings.nodes > 1 or started_outside and settings.devices != 1:
        return "ddp_find_unused_parameters_true"
    devices = settings.devices
    if devices in ("auto", -1):
        devices = torch.cuda.device_count()
    count = len(devices) if isinstance(devices, list) else devices
    return "ddp_spawn_find_unused_parameters_true" if count > 1 else "auto"


@contextmanager
def _interruptible(trainer):
    """Ctrl-C is a KeyboardInterrupt, which Lightning turns into the end of the process."""
    try:
        yield
    except SystemExit as exit:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from exit
