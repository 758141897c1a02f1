"""Loader: batches of an epoch, read in blocks and shuffled in memory."""

import atexit
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ...errors import DataError, GammaLearnError
from ..images.augmentation import chances, kept_images, varies_pixels
from .batch import Batch
from .dataset import EventDataset
from .resumable import ResumableLoader
from .sampler import EpochPlan, EventOrder

__all__ = ["EventLoader", "event_loader"]

#: Blocks that each worker reads ahead.
PREFETCH_BLOCKS = 2


class EventLoader(ResumableLoader):
    """Batches of a data set's events.

    Workers, or this process where there are none, read the images in blocks; here they wait for
    their turn. What an epoch gives does not depend on the number of workers.

    Parameters
    ----------
    dataset : EventDataset
    order : EventOrder
    workers : int
        Processes that read; 0 reads in this one.
    pin_memory : bool
        Page-locked memory, for fast copies to a GPU.
    augment : bool
        Vary the images at random, by the order's seed and epoch.
    """

    def __init__(
        self,
        dataset: EventDataset,
        order: EventOrder,
        workers: int = 0,
        pin_memory: bool = False,
        augment: bool = False,
    ) -> None:
        super().__init__(order)
        self.dataset = dataset
        self.pin_memory = pin_memory
        augmentation = dataset.settings.augmentation
        self._more_noise = augment and augmentation.nsb > 0
        self._dropout = augmentation.telescope_dropout if augment else 0
        self._tasks = _Tasks(dataset, order, augment and varies_pixels(augmentation))
        self._blocks = DataLoader(
            dataset.reader,
            # By their annotations a batch is a list; here it is what `ImageReader` takes and gives.
            batch_sampler=self._tasks,  # type: ignore[arg-type]  # as the reader takes them
            num_workers=workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # as the reader gives them
            persistent_workers=workers > 0,
            prefetch_factor=PREFETCH_BLOCKS if workers else None,
            # Files are opened in the worker; a forked HDF5 library is not safe.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=_start_worker,
        )
        self._waiting: dict[int, _WaitingImages] = {}

    def close(self) -> None:
        """End the processes that read; collected as garbage, each would be waited for in vain."""
        if self._blocks.num_workers and self._blocks._iterator is not None:
            # torch has no other way; Lightning does the same with torch's own loaders.
            self._blocks._iterator._shutdown_workers()  # type: ignore[attr-defined]  # with workers
            self._blocks._iterator = None

    def __iter__(self) -> Iterator[Batch]:
        start = self.begin()
        plan = self.sampler.plan()
        batch_of_item = np.full(len(self.dataset), -1, dtype=np.int32)
        for number in range(start, len(plan.batches)):
            batch_of_item[plan.batches[number]] = number
        blocks = [block for block in plan.blocks if (batch_of_item[block] >= 0).any()]
        block_of_item = np.full(len(self.dataset), -1, dtype=np.int32)
        for number, block in enumerate(blocks):
            block_of_item[block] = number
        self._tasks.blocks = blocks
        self._make_room(plan, start, blocks, block_of_item)
        chance = None
        if self._dropout:
            seed = self.sampler.seed or 0
            chance = chances(len(self.dataset.camera), seed, self.sampler.epoch)
        read, n_read = self._read_blocks(), 0
        for number in range(start, len(plan.batches)):
            items = plan.batches[number]
            while n_read <= block_of_item[items].max():
                self._keep(blocks[n_read], next(read), batch_of_item, chance)
                n_read += 1
            kept = self._kept(items, chance)
            batch = self.dataset.batch(items, self._take, kept, self._more_noise)
            self.done(number)
            yield batch

    def _kept(self, items: np.ndarray, chance: np.ndarray | None) -> np.ndarray | None:
        """Which images of a batch's events stay."""
        if chance is None:
            return None
        multiplicity = self.dataset.multiplicity[self.dataset.rows[items]]
        minimum = self.dataset.settings.min_multiplicity
        return kept_images(chance[self.dataset.images(items)], multiplicity, self._dropout, minimum)

    def _make_room(
        self, plan: EpochPlan, start: int, blocks: Sequence[np.ndarray], block_of_item: np.ndarray
    ) -> None:
        """Memory for as many images of each camera as will wait at a time."""
        most = np.zeros(len(self.dataset.index.cameras), dtype=int)
        waiting, n_read = most.copy(), 0

        def count(items: np.ndarray) -> np.ndarray:
            cameras = self.dataset.camera[self.dataset.images(items)]
            return np.bincount(cameras, minlength=len(most))

        for items in plan.batches[start:]:
            while n_read <= block_of_item[items].max():
                waiting += count(blocks[n_read])
                n_read += 1
            most = np.maximum(most, waiting)
            waiting -= count(items)
        n_values = self.dataset.settings.values_per_pixel
        n_images = len(self.dataset.camera)
        for number in np.flatnonzero(most).tolist():
            shape = int(most[number]), n_values, self.dataset.index.cameras[number].n_pixels
            room = self._waiting.get(number)
            if room is None or len(room.pixels) < most[number]:
                # The old memory goes first.
                self._waiting.pop(number, None)
                self._waiting[number] = _WaitingImages(shape, n_images)
            self._waiting[number].clear()

    def _read_blocks(self) -> Iterator[dict[int, Tensor]]:
        try:
            with _left_to_the_training():
                blocks = iter(self._blocks)
            for block in blocks:
                if isinstance(block, GammaLearnError):
                    raise block
                yield block
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise DataError(
                "A process that reads data was killed, perhaps for want of memory: set fewer "
                "training.workers or a smaller data.shuffle_window, and go on with --resume."
            ) from error

    def _keep(
        self,
        items: np.ndarray,
        block: dict[int, Tensor],
        batch_of_item: np.ndarray,
        chance: np.ndarray | None,
    ) -> None:
        """Keep those images of a block that are still to come out."""
        images = self.dataset.images(items)
        count = self.dataset.multiplicity[self.dataset.rows[items]]
        wanted = np.repeat(batch_of_item[items] >= 0, count)
        if chance is not None:
            wanted &= self._kept(items, chance)
        camera = self.dataset.camera[images]
        for number, pixels in block.items():
            mine = camera == number
            keep = wanted[mine]
            self._waiting[number].put(
                images[mine][keep], pixels if keep.all() else pixels[torch.from_numpy(keep)]
            )

    def _take(self, camera: int, images: np.ndarray) -> Tensor:
        return self._waiting[camera].take(images, self.pin_memory)


class _Tasks:
    """What is to be read for each block of the epoch: arguments of the reader."""

    def __init__(self, dataset: EventDataset, order: EventOrder, augment: bool) -> None:
        self._dataset, self._order, self._augment = dataset, order, augment
        self.blocks: list[np.ndarray] = []

    def __iter__(self) -> Iterator[tuple]:
        how = (self._order.seed or 0, self._order.epoch) if self._augment else ()
        return ((self._dataset.images(block), *how) for block in self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


class _WaitingImages:
    """Images of one camera on their way from a block to a batch.

    Parameters
    ----------
    shape : tuple of int
        Most images at a time, values of each pixel, pixels.
    n_images : int
        Images of the index.
    """

    def __init__(self, shape: tuple[int, int, int], n_images: int) -> None:
        self.pixels = torch.empty(shape, dtype=torch.float32)
        self._place = np.full(n_images, -1, dtype=np.int32)
        self._free = np.arange(shape[0])
        self._n_free = shape[0]

    def clear(self) -> None:
        self._free = np.arange(len(self.pixels))
        self._n_free = len(self.pixels)

    def put(self, images: np.ndarray, pixels: Tensor) -> None:
        self._n_free -= len(images)
        place = self._free[self._n_free : self._n_free + len(images)].copy()
        self._place[images] = place
        self.pixels.index_copy_(0, torch.from_numpy(place), pixels)

    def take(self, images: np.ndarray, pin_memory: bool) -> Tensor:
        place = self._place[images]
        shape = len(images), *self.pixels.shape[1:]
        out = torch.empty(shape, pin_memory=True) if pin_memory else _empty(shape)
        torch.index_select(self.pixels, 0, torch.from_numpy(place), out=out)
        self._free[self._n_free : self._n_free + len(images)] = place
        self._n_free += len(images)
        return out


#: What Ctrl-C, SLURM before a time limit, and SLURM's scancel send to all processes of a run.
FOR_THE_TRAINING = (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)

#: Seconds that a process that reads goes on after SIGTERM: as many as SLURM waits before it kills.
GRACE = 30


@contextmanager
def _left_to_the_training() -> Iterator[None]:
    """Start processes that signals to stop reach only when these have said what they do then."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_TRAINING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(_number: int) -> None:
    """What a process that reads does first."""
    # The training decides when to stop, and still needs the blocks of the step that it is at.
    for number in FOR_THE_TRAINING:
        signal.signal(number, signal.SIG_IGN)
    # It may be the training itself that wants an end, of a process that is stuck.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_TRAINING)
    # To take down the interpreter takes seconds, which the end of the training would wait for.
    atexit.register(os._exit, 0)


def _empty(shape: tuple[int, ...]) -> Tensor:
    """Memory of numpy's: torch's is aligned, and what glibc has freed of that it can rarely give
    again to a request of the same size, so that the process would grow."""
    return torch.from_numpy(np.empty(shape, dtype=np.float32))


def _as_it_is(block: dict[int, Tensor]) -> dict[int, Tensor]:
    return block


def event_loader(
    dataset: EventDataset,
    batch_size: int,
    workers: int = 0,
    shuffle_seed: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
    augment: bool = False,
) -> EventLoader:
    """Batches of a data set.

    Parameters
    ----------
    dataset : EventDataset
    batch_size : int
        Most events of a batch; the batches of an epoch are as equal as can be.
    workers : int
        Processes that read; 0 reads in this one.
    shuffle_seed : int, optional
        Shuffle, in an order that depends on this seed and the epoch alone.
    rank, world_size : int
        This process and the number of processes that share the events, see
        :class:`~gammalearn.data.loading.sampler.EventOrder`.
    pin_memory : bool
        Page-locked memory, for fast copies to a GPU.
    augment : bool
        Vary the images at random as ``data.augmentation`` says.
    """
    augment = augment and any(dict(dataset.settings.augmentation).values())
    events = dataset.index.events
    file_and_telescope = np.unique(
        np.column_stack([dataset.index.images["file"], dataset.index.images["tel_id"]]), axis=0
    )
    order = EventOrder(
        dataset.multiplicity[dataset.rows],
        np.asarray(events["file"])[dataset.rows],
        np.bincount(file_and_telescope[:, 0].astype(int), minlength=len(dataset.index.files)),
        batch_size,
        seed=shuffle_seed,
        window=dataset.settings.images_to_shuffle,
        rank=rank,
        world_size=world_size,
    )
    return EventLoader(dataset, order, workers, pin_memory, augment)
