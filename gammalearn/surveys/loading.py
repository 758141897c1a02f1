"""Loading: which objects are in a batch; batches begin where an interrupted run stopped."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.loading.resumable import ResumableLoader
from ..settings import TrainingSettings
from ..training.loaders import ResumableLoaders
from .batch import Batch

__all__ = ["MakeViews", "ObjectLoader", "ObjectLoaders", "ObjectOrder"]

# Makes the views of some objects: from their rows, a generator of random numbers, and whether it is
# for the training.
MakeViews = Callable[[np.ndarray, np.random.Generator, bool], dict[str, Any]]


@dataclass
class ObjectOrder:
    """Which objects each batch of an epoch has; it depends on the seed and the epoch alone.

    Attributes
    ----------
    labelled, others : ndarray of int
        Rows of the objects with a truth, and of those without.
    n_labelled, n_others : int
        Of a batch.
    repeats : int
        How often each object with a truth comes in an epoch.
    seed : int or None
        None keeps the order of the catalogue.
    rank, world_size : int
        This process, and how many there are: each takes every so many-th batch.
    """

    labelled: np.ndarray
    others: np.ndarray
    n_labelled: int
    n_others: int
    repeats: int = 1
    seed: int | None = None
    rank: int = 0
    world_size: int = 1
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning does."""
        self.epoch = epoch

    def __len__(self) -> int:
        n_all = -(-len(self.labelled) * self.repeats // self.n_labelled)
        return max(-(-n_all // self.world_size), 1)

    def batches(self) -> list[np.ndarray]:
        """Rows of the objects of each batch of this process."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        n_batches = len(self) * self.world_size
        items = np.tile(self.labelled, self.repeats)
        if rng is not None:
            items = np.concatenate([rng.permutation(self.labelled) for _ in range(self.repeats)])
        # Processes wait for each other: all have as many batches, the last ones some objects twice.
        whole = np.resize(items, max(len(items), n_batches))
        labelled = np.array_split(whole, n_batches)
        if not self.n_others or not len(self.others):
            return labelled[self.rank :: self.world_size]
        n_others = n_batches * self.n_others
        if rng is None:
            others = np.resize(self.others, n_others)
        else:
            turns = -(-n_others // len(self.others))
            others = np.concatenate([rng.permutation(self.others) for _ in range(turns)])
        parts = others[:n_others].reshape(n_batches, self.n_others)
        both = [np.concatenate(pair) for pair in zip(labelled, parts, strict=True)]
        return both[self.rank :: self.world_size]


class ObjectLoader(ResumableLoader):
    """Batches of objects, which can begin within an epoch.

    Parameters
    ----------
    views : callable
    targets : mapping of str to Tensor of float32, shape (n_objects, n_targets)
        By task.
    order : ObjectOrder
    in_training : bool
    """

    def __init__(
        self,
        views: MakeViews,
        targets: Mapping[str, torch.Tensor],
        order: ObjectOrder,
        in_training: bool,
    ):
        super().__init__(order)
        self.views, self.targets, self.in_training = views, targets, in_training

    def __iter__(self) -> Iterator[Batch]:
        start, epoch = self.begin(), self.sampler.epoch
        for number, rows in enumerate(self.sampler.batches()):
            if number < start:
                continue
            place = number * self.sampler.world_size + self.sampler.rank
            rng = np.random.default_rng([self.sampler.seed or 0, epoch, place, self.in_training])
            batch = self._batch(rows, rng)
            self.done(number)
            yield batch

    def _batch(self, rows: np.ndarray, rng: np.random.Generator) -> Batch:
        index = torch.from_numpy(np.asarray(rows, dtype=np.int64))
        targets = {name: values[index] for name, values in self.targets.items()}
        return Batch(self.views(rows, rng, self.in_training), index, targets)


class ObjectLoaders(ResumableLoaders):
    """Loaders of the training and the validation.

    Parameters
    ----------
    views : callable
    targets : mapping of str to ndarray of float32, shape (n_objects, n_targets)
        By task.
    training, unlabelled, validation : ndarray of int
        Rows of objects with a truth, without one, and of those with one that are kept.
    settings : TrainingSettings
    unlabelled_fraction : float
        Part of a batch of the training that has no truth.
    repeats : int
        How often each object with a truth comes in an epoch.
    """

    def __init__(
        self,
        views: MakeViews,
        targets: Mapping[str, np.ndarray],
        training: np.ndarray,
        unlabelled: np.ndarray,
        validation: np.ndarray,
        settings: TrainingSettings,
        unlabelled_fraction: float = 0.0,
        repeats: int = 1,
    ):
        super().__init__()
        self.views, self.settings, self.repeats = views, settings, repeats
        self.targets = {name: torch.from_numpy(values) for name, values in targets.items()}
        self.training, self.unlabelled, self.validation = training, unlabelled, validation
        self.unlabelled_fraction = unlabelled_fraction

    def _order(self, rows: np.ndarray, in_training: bool) -> ObjectOrder:
        size = self.settings.batch_size
        n_others = 0
        if in_training and len(self.unlabelled):
            n_others = min(round(size * self.unlabelled_fraction), size - 1)
        place = self.place
        return ObjectOrder(
            rows,
            self.unlabelled,
            size - n_others,
            n_others,
            self.repeats if in_training else 1,
            self.settings.seed if in_training else None,
            place.rank,
            place.world_size,
        )

    def training_loader(self) -> ObjectLoader:
        order = self._order(self.training, in_training=True)
        return ObjectLoader(self.views, self.targets, order, True)

    def validation_loader(self) -> ObjectLoader | None:
        if not len(self.validation):
            return None
        order = self._order(self.validation, in_training=False)
        return ObjectLoader(self.views, self.targets, order, False)
