"""The machine: Lightning's trainer on the devices that the settings ask for."""

import logging
import os
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ..errors import SettingsError

__all__ = ["check_machine", "interruptible", "make_trainer"]

log = logging.getLogger(__name__)


def make_trainer(settings, **options) -> lightning.Trainer:
    """Lightning's trainer.

    Parameters
    ----------
    settings : gammalearn.settings.TrainingSettings
    **options
        Of the trainer, beside those that the settings decide.

    Raises
    ------
    SettingsError
        If the machine does not have what was asked for.
    """
    if not log.isEnabledFor(logging.DEBUG):
        # Lightning tells much of what the user did not ask.
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return lightning.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=_strategy(settings),
            num_nodes=settings.nodes,
            precision=settings.precision,
            gradient_clip_val=settings.gradient_clipping,
            plugins=[_WholeFiles()],
            use_distributed_sampler=False,
            deterministic="warn",
            **options,
        )
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise SettingsError(
            f"training: this machine cannot be used as the settings ask (accelerator="
            f"{settings.accelerator}, devices={settings.devices}, precision="
            f"{settings.precision}): {error}"
        ) from error


def check_machine(settings) -> None:
    """Refuse settings that this machine cannot serve, before anything is written.

    Raises
    ------
    SettingsError
        If it does not have what was asked for.
    """
    make_trainer(
        settings,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _strategy(settings) -> str:
    """How processes share the training, in Lightning's words.

    On one machine, only the training runs in several processes, and what called it goes on in
    one; SLURM and torchrun start whole runs instead, as do several nodes. A process whose batch
    has no image of a camera has no gradient of its encoder.
    """
    started_outside = SLURMEnvironment.detect() or TorchElasticEnvironment.detect()
    if settings.nodes > 1 or (started_outside and settings.devices != 1):
        return "ddp_find_unused_parameters_true"
    devices = settings.devices
    if devices in ("auto", -1):
        devices = torch.cuda.device_count()
    count = len(devices) if isinstance(devices, list) else devices
    return "ddp_spawn_find_unused_parameters_true" if count > 1 else "auto"


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


@contextmanager
def interruptible(trainer: lightning.Trainer):
    """Ctrl-C is a KeyboardInterrupt, which Lightning turns into the end of the process."""
    try:
        yield
    except SystemExit as exit:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from exit
