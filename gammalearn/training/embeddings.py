"""Embeddings of the validation events: how far the unlabelled ones are from the others."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ..tasks.adaptation import Adaptation, EventSet, proxy_a_distance

__all__ = ["SeenEmbeddings", "distance_figures"]

#: Events of each kind that are kept: enough for an error of the distance of 0.03, and a second.
MOST_EVENTS = 2000

#: Knuth's multiplicative hash, which puts rows in an order that has nothing to do with the files.
HASH, MODULUS = 2654435761, 2**32


class SeenEmbeddings(Metric):
    """Embeddings of some training events and unlabelled events of a validation, of all processes.

    Which events are kept depends on their rows alone.
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ("embedding", "classes", "labelled", "key"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, events: EventSet, labelled: Tensor, row: Tensor) -> None:
        new = {
            "embedding": events.embedding.float(),
            "classes": events.classes.float(),
            "labelled": labelled,
            "key": row * HASH % MODULUS,
        }
        joined = {name: torch.cat([*getattr(self, name), part]) for name, part in new.items()}
        kept = torch.cat([self._chosen(joined, kind) for kind in (True, False)])
        for name, values in joined.items():
            setattr(self, name, [values[kept]])

    @staticmethod
    def _chosen(values: dict[str, Tensor], labelled: bool) -> Tensor:
        """Rows of the events of one kind that are kept."""
        rows = torch.nonzero(values["labelled"] == labelled).flatten()
        return rows[values["key"][rows].argsort()[:MOST_EVENTS]]

    def compute(self) -> tuple[EventSet, EventSet]:
        """Training events and unlabelled events."""
        values = {name: dim_zero_cat(getattr(self, name)) for name in self._defaults}
        sets = []
        for kind in (True, False):
            rows = self._chosen(values, kind)
            sets.append(EventSet(values["embedding"][rows], values["classes"][rows]))
        return sets[0], sets[1]


def distance_figures(seen: SeenEmbeddings, adaptations: Iterable[Adaptation]) -> dict[str, float]:
    """The proxy A-distance, and the figures of each adaptation; NaN where events are missing.

    Parameters
    ----------
    seen : SeenEmbeddings
    adaptations : iterable of Adaptation
    """
    labelled, unlabelled = seen.compute()
    of_labelled, of_unlabelled = (s.embedding.cpu().numpy() for s in (labelled, unlabelled))
    figures = {"a_distance": proxy_a_distance(of_labelled, of_unlabelled)}
    with torch.no_grad():
        for adaptation in adaptations:
            figures |= adaptation.metrics(labelled, unlabelled)
    return figures
