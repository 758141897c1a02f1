"""Loaders of a training, whose place within an epoch is kept in checkpoints."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import lightning

from ..data.loading.resumable import ResumableLoader
from ..errors import CheckpointError

__all__ = ["PlaceOfProcess", "ResumableLoaders"]


@dataclass(frozen=True)
class PlaceOfProcess:
    """Which process of a training this is.

    Attributes
    ----------
    rank, world_size : int
        This process, and how many there are.
    on_gpu : bool
        Whether it trains on a GPU.
    """

    rank: int
    world_size: int
    on_gpu: bool


class ResumableLoaders(lightning.LightningDataModule):
    """Loaders of the training and the validation, for each process."""

    def __init__(self) -> None:
        super().__init__()
        self._loaders: dict[str, Any] = {}
        self._resumed: dict[str, Any] | None = None

    @abstractmethod
    def training_loader(self) -> ResumableLoader:
        """Loader of the training events."""

    @abstractmethod
    def validation_loader(self) -> Any:
        """Batches of the validation events, None where there are none."""

    @property
    def place(self) -> PlaceOfProcess:
        """This process among those of the training."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("Loaders are those of a trainer.")
        on_gpu = trainer.strategy.root_device.type == "cuda"
        return PlaceOfProcess(trainer.global_rank, trainer.world_size, on_gpu)

    def train_dataloader(self) -> ResumableLoader:
        loader = self._loaders["training"] = self.training_loader()
        place, n_batches = self._resumed, len(loader)
        if place is not None:
            if place["batch"] < place["of_batches"] != n_batches:
                raise CheckpointError(
                    f"The run cannot be resumed: it was stopped within an epoch of "
                    f"{place['of_batches']} batches, which now has {n_batches}; set "
                    "training.devices and training.nodes as they were."
                )
            loader.load_state_dict({name: place[name] for name in ("epoch", "batch")})
        return loader

    def val_dataloader(self) -> Any:
        loader = self.validation_loader()
        if loader is None:
            return []
        self._loaders["validation"] = loader
        return loader

    # Lightning saves the loader's state too, but restores it only where no schedule has asked for
    # the number of batches before.

    def state_dict(self) -> dict[str, Any]:
        loader = self._loaders["training"]
        return {**loader.state_dict(), "of_batches": len(loader)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._resumed = state_dict

    def teardown(self, stage: str | None = None) -> None:
        for loader in self._loaders.values():
            loader.close()

    def on_exception(self, exception: BaseException) -> None:
        self.teardown()
