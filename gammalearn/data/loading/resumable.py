"""Where a loader stands within an epoch, so that an interrupted training goes on there."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

__all__ = ["ResumableLoader"]


class ResumableLoader(ABC):
    """Batches of an epoch, which can begin within it.

    Parameters
    ----------
    sampler : object
        Order of the batches: it has a length, ``epoch``, and ``set_epoch``, which Lightning calls.
    """

    def __init__(self, sampler: Any) -> None:
        # Named as Lightning looks for them, to set the epoch.
        self.sampler = self.batch_sampler = sampler
        self._next = {"epoch": 0, "batch": 0}
        self._start: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.sampler)

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Batches from `begin` on; each is counted with `done` before it is given."""

    def close(self) -> None:  # noqa: B027  # most have nothing to close
        """End what was opened for reading."""

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands: the epoch, and the batches of it that are done."""
        return dict(self._next)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where another loader of the same data stood, with the next iteration."""
        self.sampler.set_epoch(state["epoch"])
        self._next, self._start = dict(state), dict(state)

    def begin(self) -> int:
        """Number of the batch that this iteration begins with."""
        start, resumed, self._start = 0, self._start, None
        if resumed and resumed["epoch"] == self.sampler.epoch and resumed["batch"] < len(self):
            start = resumed["batch"]
        self._next = {"epoch": self.sampler.epoch, "batch": start}
        return start

    def done(self, number: int) -> None:
        """Note that the batch of this number is given; the next iteration would go on after it."""
        self._next["batch"] = number + 1
