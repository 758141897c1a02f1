"""Tasks: type Ia or not, the type, and what is learned without types."""

from collections.abc import Mapping

import numpy as np
from astropy.table import Table
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn.functional import cross_entropy

from ...settings.surveys import LightCurveTask
from ...tasks.base import Columns, Task, average_logits
from ...tasks.binary import BinaryTask
from .types import TYPES, class_of

__all__ = ["build_tasks"]


class _SupernovaTask(Task):
    kind = "supernova"
    learns_from = None
    particles = None

    def __init__(self, name: str, settings: LightCurveTask):
        # The particles of telescopes' tasks are not here.
        self.name = name  # type: ignore[misc]  # one class has the three without types
        self.weight = settings.weight

    def targets(self, events: Table) -> np.ndarray:
        return np.asarray(self.truth(events), dtype=np.float32)


class _TypeIa(_SupernovaTask, BinaryTask):
    """Ia or not: the logit of Ia."""

    explained_as = "logit of type Ia"

    def truth(self, events: Table) -> np.ndarray:
        kinds = class_of(events["type"])
        return np.where(kinds == "", np.nan, kinds == "Ia")[:, None]

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        return {"probability_Ia": expit(output[:, 0].astype(float))}


class _Type(_SupernovaTask):
    """Which of `TYPES`: their logits."""

    n_outputs = len(TYPES)
    explained_as = "logit of type Ia among the types"

    def explained(self, output: Tensor) -> Tensor:
        return output[:, 0] - output[:, 1:].logsumexp(dim=1)

    def truth(self, events: Table) -> np.ndarray:
        is_class = class_of(events["type"])[:, None] == np.array(TYPES)
        return np.where(is_class.any(axis=1), is_class.argmax(axis=1), np.nan)[:, None]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(output, target.squeeze(1).long(), reduction="none")

    def average(self, outputs: Tensor) -> Tensor:
        return average_logits(outputs)

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        chances = softmax(output.astype(float), axis=1).T
        return {f"probability_type_{name}": p for name, p in zip(TYPES, chances, strict=True)}

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        right = output.argmax(1) == target.squeeze(1).long()
        return {"type_accuracy": float(right.double().mean()) if len(right) else np.nan}


class _WithoutTypes(_SupernovaTask):
    """What the network itself gives the loss of."""

    n_outputs = 1

    def truth(self, events: Table) -> np.ndarray:
        return np.zeros((len(events), 1))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return output.squeeze(1)

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        return {}

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        return {}


def build_tasks(settings: Mapping[str, LightCurveTask]) -> dict[str, Task]:
    """The tasks of the settings, by name."""
    kinds = {"type_ia": _TypeIa, "supernova_type": _Type}
    return {name: kinds.get(name, _WithoutTypes)(name, task) for name, task in settings.items()}
