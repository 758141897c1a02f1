"""Saving: when checkpoints are written, and that each is whole."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.types import STEP_OUTPUT

from ...checkpoint.trained import KEY
from ...data import Batch
from ...errors import CheckpointError, OutputError
from ...io.writing import make_folder, write_whole
from .stopping import StopSignals

if TYPE_CHECKING:
    from ..module import ReconstructionModule

__all__ = ["EpochCheckpoint", "MidEpochCheckpoint", "WholeFiles"]


class WholeFiles(TorchCheckpointIO):
    """A checkpoint has its name only when complete: an interrupted one leaves the one before.

    Lightning's own moves it from the system's temporary folder, on another disk a copy that can
    be interrupted.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        path = Path(path)
        try:
            make_folder(path.parent)
            write_whole(path, lambda part: torch.save(checkpoint, part))
        # torch has its own words for a disk that is full.
        except (OutputError, RuntimeError) as error:
            why = (
                str(error).rstrip(".")
                if isinstance(error, OutputError)
                else (f"The file '{path}' cannot be written (is the disk full?)")
            )
            kept = "the one before is kept" if path.exists() else "there is none before it"
            raise OutputError(f"{why}; {kept}: make room, and go on with --resume.") from error

    def load_checkpoint(self, path: str | Path, *others: Any, **options: Any) -> dict[str, Any]:
        checkpoint = super().load_checkpoint(path, *others, **options)
        # What processes hand to each other at their end has neither.
        if KEY in checkpoint and "optimizer_states" not in checkpoint:
            raise CheckpointError(
                f"The run cannot be resumed: '{path}' holds the network alone, without the state "
                "of its optimiser; begin a new run with it, by training.initial."
            )
        return checkpoint


class EpochCheckpoint(ModelCheckpoint):
    """Writes ``checkpoints/name.ckpt`` after each epoch of the least ``monitor``, or after all.

    Parameters
    ----------
    folder : Path
        Of the run.
    name : str
    monitor : str, optional
    """

    def __init__(self, folder: Path, name: str, monitor: str | None = None, **when: Any) -> None:
        super().__init__(
            dirpath=str(folder / "checkpoints"),
            filename=name,
            monitor=monitor,
            enable_version_counter=False,
            # With the training's end, not the validation's: the epoch in it is then complete.
            save_on_train_epoch_end=True,
            **when,
        )

    @property
    def state_key(self) -> str:
        # Lightning's is the same for two that watch nothing.
        return f"{super().state_key}{self.filename}"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # Of a folder that has moved Lightning would forget which epoch was the best.
        def here(path: str) -> str:
            return path and os.path.join(str(self.dirpath), os.path.basename(path))

        models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        if all(map(os.path.exists, models)):
            paths = ("best_model_path", "kth_best_model_path", "last_model_path")
            moved = {name: here(state_dict[name]) for name in paths}
            state_dict = {**state_dict, **moved, "dirpath": self.dirpath, "best_k_models": models}
        super().load_state_dict(state_dict)


class MidEpochCheckpoint(EpochCheckpoint):
    """Writes ``checkpoints/last.ckpt`` within epochs, and before a training ends ahead of time.

    Parameters
    ----------
    folder : Path
        Of the run.
    minutes : float
        Time between two of them.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        super().__init__(folder, "last", train_time_interval=timedelta(minutes=minutes))
        self.path = folder / "checkpoints" / "last.ckpt"
        self.signals = StopSignals()

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        super().on_train_start(trainer, pl_module)
        self.signals.listen(trainer)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: "ReconstructionModule",  # type: ignore[override]  # it is always ours
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            # What is saved here would go on without this epoch's validation, whose end may be far.
            self._stop_if_told(trainer)
            return
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            # What is saved here would go on without the gradients of these batches.
            return
        told = self._is_told(trainer)
        if told or pl_module.has_diverged:
            trainer.save_checkpoint(self.path)
        if told:
            raise self.signals.stop()
        pl_module.refuse_divergence()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_epoch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: "ReconstructionModule",  # type: ignore[override]  # it is always ours
    ) -> None:
        # The checkpoints of the epoch are written.
        self._stop_if_told(trainer)
        pl_module.refuse_divergence()

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self._stop_if_told(trainer)

    def _is_told(self, trainer: lightning.Trainer) -> bool:
        """Whether any process was told to stop: all must know it at the same step."""
        told = self.signals.received is not None
        return trainer.strategy.reduce_boolean_decision(told, all=False)

    def _stop_if_told(self, trainer: lightning.Trainer) -> None:
        if self._is_told(trainer):
            raise self.signals.stop()
