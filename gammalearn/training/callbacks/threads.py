"""Threads: a training on the CPU leaves to other programs the cores that they use."""

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from ...data import Batch
from ...machine.free_cores import ThreadsOnFreeCores

__all__ = ["FreeCoresOnly"]


class FreeCoresOnly(Callback):
    """Changes the number of threads with the load of the machine, see `ThreadsOnFreeCores`."""

    def __init__(self) -> None:
        self._threads: ThreadsOnFreeCores | None = None

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._threads = ThreadsOnFreeCores(torch.get_num_threads, torch.set_num_threads)

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._look()

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        module: LightningModule,
        batch: Batch,
        batch_idx: int,
        loader: int = 0,
    ) -> None:
        self._look()

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._close()

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self._close()

    def _look(self) -> None:
        if self._threads is not None:
            self._threads()

    def _close(self) -> None:
        if self._threads is not None:
            self._threads.close()
