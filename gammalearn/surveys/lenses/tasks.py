"""The task: lens or not."""

import numpy as np
from astropy.table import Table
from scipy.special import expit

from ...tasks.base import Columns, Task
from ...tasks.binary import BinaryTask
from .types import is_lens

__all__ = ["TASK", "LensTask", "build_tasks"]

#: Name of the task.
TASK = "lens"


class LensTask(BinaryTask):
    """The logit of a lens."""

    explained_as = "logit of a lens"
    kind = "lens"
    learns_from = None
    particles = None

    def __init__(self) -> None:
        # The particles of telescopes' tasks are not here.
        self.name = TASK  # type: ignore[misc]  # a class variable elsewhere
        self.weight = 1.0

    def truth(self, events: Table) -> np.ndarray:
        return is_lens(events["type"])[:, None]

    def targets(self, events: Table) -> np.ndarray:
        return self.truth(events).astype(np.float32)

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        return {"probability_lens": expit(output[:, 0].astype(float))}


def build_tasks() -> dict[str, Task]:
    """The only task, by its name."""
    return {TASK: LensTask()}
