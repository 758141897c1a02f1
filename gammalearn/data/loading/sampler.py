"""Order: in which blocks events are read, and in which batches they come out."""

from dataclasses import dataclass

import numpy as np

__all__ = ["EpochPlan", "EventOrder"]

#: Rows of each telescope's table that a block holds, about: some chunks of a file of ctapipe's, so
#: that few are unpacked for a part of their rows.
ROWS_OF_A_BLOCK = 64

#: Lanes that the blocks of a shuffle are dealt to. Processes whose number divides it do together,
#: step by step, what one does alone.
LANES = 16

#: A window holds this many blocks at least: in each lane the one that was read last, and as many
#: images of those before.
BLOCKS_OF_A_WINDOW = 2 * LANES


@dataclass(frozen=True)
class EpochPlan:
    """What one process does in an epoch.

    Attributes
    ----------
    blocks : list of ndarray of int
        Items of the data set that are read together, in the order in which they are needed.
    batches : list of ndarray of int
        Items that come out together; the same items as in ``blocks``.
    """

    blocks: list[np.ndarray]
    batches: list[np.ndarray]


class EventOrder:
    """The order of a data set's events for one of some processes, different in each epoch.

    Events that lie side by side in a file are read together, in blocks. Shuffling permutes the
    blocks and deals them to lanes, as many events to each. In its lane an event waits for a random
    time after its block is read, and what comes out is an event of each lane in turn. Where all
    events fit into the window they are shuffled at once, as a list of them would be.

    Of several processes each takes every so many-th event, and so all of its own lanes. Their
    batches together are those of one process with batches as large as theirs together, for as many
    processes as divide `LANES`, or for any where all events fit into the window. Without shuffling,
    each has a run of the events. No event comes twice in an epoch, and no process waits for one
    that has more batches; only where there are fewer events than processes, some of these see the
    same.

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
    ) -> None:
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

    def __len__(self) -> int:
        """Number of batches, the same for all processes and epochs."""
        fewest, more = divmod(len(self.multiplicity), self.world_size)
        n_batches = -(-(fewest + (more > 0)) // self.batch_size)
        # Where batches of one event do not divide, some have two.
        return max(min(n_batches, fewest), 1)

    def plan(self) -> EpochPlan:
        """This process's part of the epoch."""
        n_events, n_batches = len(self.multiplicity), len(self)
        everything = np.arange(n_events, dtype=np.int32)
        blocks = np.split(everything, self._first[1:])
        steps = np.arange(n_batches + 1)
        if self.seed is None:
            blocks = _part(blocks, self.rank, self.world_size)
            items = np.concatenate(blocks)
            return EpochPlan(blocks, np.split(items, (steps * len(items) // n_batches)[1:-1]))
        rng = np.random.default_rng([self.seed, self.epoch])
        blocks = [blocks[number] for number in rng.permutation(len(blocks))]
        if self.multiplicity.sum() <= self.window:
            items = rng.permutation(everything)
        else:
            items = self._shuffled(blocks, rng)
        # Where the batches of all processes end, and how many of the events before are of this one.
        first = self.rank % n_events
        ends = -(-(steps * n_events // n_batches - first) // self.world_size)
        mine = items[first :: self.world_size]
        return EpochPlan(_as_needed(blocks, mine, n_events), np.split(mine, ends[1:-1]))

    def _shuffled(self, blocks: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """All events, one of each lane in turn."""
        items = np.concatenate(blocks)
        block = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
        n_lanes = -(-LANES // self.world_size) * self.world_size
        # The first lanes have one event more where they cannot have as many.
        fewest, more = divmod(len(items), n_lanes)
        lane = np.repeat(np.arange(n_lanes), fewest + (np.arange(n_lanes) < more))
        images = self.multiplicity[items]
        before = np.cumsum(images) - images
        is_first = np.diff(lane, prepend=-1) > 0
        before -= before[is_first][np.cumsum(is_first) - 1]
        is_first |= np.diff(block, prepend=-1) != 0
        read = before[is_first][np.cumsum(is_first) - 1]
        wait = rng.random(len(items)) * self.window / BLOCKS_OF_A_WINDOW
        in_lane = np.lexsort((read + wait, lane))
        turn = np.arange(len(items)) - np.searchsorted(lane, lane)
        return items[in_lane][np.lexsort((lane, turn))]


def _first_of_blocks(
    multiplicity: np.ndarray, file: np.ndarray, images_of_a_block: np.ndarray
) -> np.ndarray:
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


def _as_needed(blocks: list[np.ndarray], items: np.ndarray, n_events: int) -> list[np.ndarray]:
    """What the blocks hold of some items, from the block whose first item comes first."""
    place = np.full(n_events, len(items))
    place[items] = np.arange(len(items))
    blocks = [block[place[block] < len(items)] for block in blocks]
    blocks = [block for block in blocks if len(block)]
    return sorted(blocks, key=lambda block: place[block].min())
