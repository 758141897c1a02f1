"""Order: in which blocks events are read, and in which batches they come out."""

from dataclasses import dataclass

import numpy as np

__all__ = ["EpochPlan", "EventOrder"]

#: Rows of each telescope's table that a block holds, about: some chunks of a file of ctapipe's, so
#: that few are unpacked for a part of their rows.
ROWS_OF_A_BLOCK = 64

#: A window holds this many blocks at least, or a batch would be of neighbours.
BLOCKS_OF_A_WINDOW = 16


@dataclass(frozen=True)
class EpochPlan:
    """What one process does in an epoch.

    Attributes
    ----------
    blocks : list of ndarray of int
        Items of the data set that are read together, in the order of reading.
    batches : list of ndarray of int
        Items that come out together; the same items as in ``blocks``.
    """

    blocks: list[np.ndarray]
    batches: list[np.ndarray]


class EventOrder:
    """The order of a data set's events for one of some processes, different in each epoch.

    Events that lie side by side in a file are read together, in blocks. Shuffling permutes the
    blocks, and then the events within a window of them: each event waits for a random time, up
    to the length of the window, after its block is read. Where all events fit into the window
    they are shuffled at once, as a list of them would be.

    The processes divide the permuted blocks among themselves, each a run of as many events as
    the others' or one fewer, and cut it into equally many batches of nearly equal size. No event
    comes twice in an epoch, and no process waits for one that has more batches; only where there
    are fewer events than processes, some of these see the same.

    Parameters
    ----------
    multiplicity : ndarray of int, shape (n_events,)
        Images of each event, in the data set's order.
    file : ndarray of int, shape (n_events,)
        Where each event lies; no block is of two files.
    telescopes : ndarray of int, shape (n_files,)
        Telescopes with images in each file.
    batch_size : int
        Most events of a batch (two where it is 1 and the processes have not equally many).
    seed : int, optional
        Shuffle, in an order that depends on this number and the epoch.
    window : int
        Images that wait to come out, at the most.
    rank, world_size : int
        This process and their number.
    """

    def __init__(
        self,
        multiplicity: np.ndarray,
        file: np.ndarray,
        telescopes: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        window: int = 8192,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.multiplicity = multiplicity
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        images_of_a_block = np.clip(
            ROWS_OF_A_BLOCK * telescopes, 1, max(window // BLOCKS_OF_A_WINDOW, 1)
        )
        self._first = _first_of_blocks(multiplicity, file, images_of_a_block)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning does."""
        self.epoch = epoch

    def __len__(self):
        """Number of batches, the same for all processes and epochs."""
        fewest, more = divmod(len(self.multiplicity), self.world_size)
        n_batches = -(-(fewest + (more > 0)) // self.batch_size)
        # Where batches of one event do not divide, some have two.
        return max(min(n_batches, fewest), 1)

    def plan(self) -> EpochPlan:
        """This process's part of the epoch."""
        everything = np.arange(len(self.multiplicity), dtype=np.int32)
        blocks = np.split(everything, self._first[1:])
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        if rng is not None:
            blocks = [blocks[number] for number in rng.permutation(len(blocks))]
            rng = np.random.default_rng([self.seed, self.epoch, self.rank])
        blocks = _part(blocks, self.rank, self.world_size)
        items = np.concatenate(blocks)
        if rng is not None:
            images = np.cumsum(self.multiplicity[items])
            wait = rng.random(len(items)) * self.window
            if images[-1] > self.window:
                block = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
                before = np.array([0, *images[np.cumsum([len(block) for block in blocks]) - 1]])
                wait += before[block]
            items = items[np.argsort(wait, kind="stable")]
        bounds = np.arange(len(self) + 1) * len(items) // len(self)
        return EpochPlan(blocks, np.split(items, bounds[1:-1]))


def _first_of_blocks(multiplicity, file, images_of_a_block) -> np.ndarray:
    """The first event of each block."""
    new_file = np.diff(file, prepend=-1) != 0
    before = np.cumsum(multiplicity) - multiplicity
    run = np.cumsum(new_file) - 1
    before_in_file = before - before[new_file][run]
    number = before_in_file // images_of_a_block[file]
    return np.flatnonzero(new_file | (np.diff(number, prepend=0) != 0))


def _part(blocks: list[np.ndarray], rank: int, world_size: int) -> list[np.ndarray]:
    """The blocks, or what is left of them, of one of several processes."""
    if world_size == 1:
        return blocks
    end = np.cumsum([len(block) for block in blocks])
    start, stop = (r * int(end[-1]) // world_size for r in (rank, rank + 1))
    stop = max(stop, start + 1)
    first, last = np.searchsorted(end, [start, stop - 1], side="right")
    mine = list(blocks[first : last + 1])
    mine[-1] = mine[-1][: stop - (end[last] - len(blocks[last]))]
    mine[0] = mine[0][start - (end[first] - len(blocks[first])) :]
    return mine
