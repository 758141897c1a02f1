"""Loaders of events with and without truth: side by side in a training, in turn in a validation."""

from collections.abc import Iterator

from .batch import Batch
from .loader import EventLoader
from .resumable import ResumableLoader

__all__ = ["ChainedLoader", "PairedLoader", "shares_of_batch"]


def shares_of_batch(batch_size: int, fraction: float) -> tuple[int, int]:
    """Training events and unlabelled events of a batch, at least one of each.

    Parameters
    ----------
    batch_size : int
    fraction : float
        Share of the unlabelled events.

    Returns
    -------
    labelled, unlabelled : int
    """
    unlabelled = max(round(fraction * batch_size), 1)
    return max(batch_size - unlabelled, 1), unlabelled


class PairedLoader(ResumableLoader):
    """Batches of training events, each followed by unlabelled events.

    An epoch has each training event once. The unlabelled events form a stream of their own epochs,
    however many or few they are: batch b of epoch e takes the step e · n_batches + b of it. What a
    batch holds therefore depends on the epoch and the number of the batch alone, and the place of
    the training events is all that has to be kept for a resumed run.

    Parameters
    ----------
    labelled, unlabelled : EventLoader
    """

    def __init__(self, labelled: EventLoader, unlabelled: EventLoader) -> None:
        super().__init__(labelled.sampler)
        self.labelled, self.unlabelled = labelled, unlabelled

    def __iter__(self) -> Iterator[Batch]:
        others = None
        for batch in self.labelled:
            if others is None:
                place = self.labelled.state_dict()
                others = self._stream(place["epoch"] * len(self) + place["batch"] - 1)
            batch = batch.followed_by(next(others))
            # What was joined is no longer in page-locked memory.
            yield batch.pin_memory() if self.labelled.pin_memory else batch

    def _stream(self, step: int) -> Iterator[Batch]:
        """Unlabelled batches without end, from some step of their stream on."""
        epoch, number = divmod(step, len(self.unlabelled))
        while True:
            self.unlabelled.load_state_dict({"epoch": epoch, "batch": number})
            yield from self.unlabelled
            epoch, number = epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Where the training events stand."""
        return self.labelled.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where the training events of another loader stood."""
        self.labelled.load_state_dict(state)

    def close(self) -> None:
        """End the processes that read."""
        self.labelled.close()
        self.unlabelled.close()


class ChainedLoader:
    """Batches of events with truth and, after them, batches of unlabelled events.

    Parameters
    ----------
    labelled, unlabelled : EventLoader
    """

    def __init__(self, labelled: EventLoader, unlabelled: EventLoader) -> None:
        self.labelled, self.unlabelled = labelled, unlabelled

    def __len__(self) -> int:
        return len(self.labelled) + len(self.unlabelled)

    def __iter__(self) -> Iterator[Batch]:
        yield from self.labelled
        for batch in self.unlabelled:
            yield batch.unlabelled()

    def close(self) -> None:
        """End the processes that read."""
        self.labelled.close()
        self.unlabelled.close()
