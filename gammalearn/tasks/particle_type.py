"""Particle type: the probability that the primary is a gamma ray (gammaness)."""

import numpy as np
import torch
from astropy.table import Table
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ..settings import TaskSettings
from .base import Columns, Task, average_binary_logits, average_logits

__all__ = ["ParticleTypeTask"]

#: What three classes are, in the order of the outputs.
CLASSES = ("gamma", "proton", "electron")


class ParticleTypeTask(Task):
    """Gamma against all other particles, or gamma, proton and electron; cross entropy.

    Of two classes the output is the logit of gamma, and the target 1 for gammas and 0 for others.
    Of three there is an output for each of `CLASSES`, whose softmax are the probabilities, and the
    target is the class's place among them; other particles are not learnt from.
    """

    name = "particle_type"
    kind = "particle_type"
    learns_from = None
    options = ("classes",)
    explained_as = "logit of the gammaness"

    def __init__(self, settings: TaskSettings):
        super().__init__(settings)
        self.n_outputs = 1 if settings.classes == 2 else settings.classes

    @property
    def is_binary(self) -> bool:
        """Whether it tells gammas from all others only."""
        return self.n_outputs == 1

    @property
    def n_classes(self) -> int:
        """Number of classes, two or three."""
        return 2 if self.is_binary else self.n_outputs

    def probabilities(self, output: Tensor) -> Tensor:
        """Probability of each class, gammas first, shape (n_events, n_classes)."""
        if self.is_binary:
            gamma = torch.sigmoid(output)
            return torch.cat([gamma, 1 - gamma], dim=1)
        return output.softmax(dim=1)

    def average(self, outputs: Tensor) -> Tensor:
        """Logits of the mean probabilities."""
        return average_binary_logits(outputs) if self.is_binary else average_logits(outputs)

    def explained(self, output: Tensor) -> Tensor:
        """log(p / (1 - p)) of the gammaness p."""
        if self.is_binary:
            return output[:, 0]
        return output[:, 0] - output[:, 1:].logsumexp(dim=1)

    def truth(self, events: Table) -> np.ndarray:
        particle = np.asarray(events["particle"])
        if self.is_binary:
            return np.where(particle == "", np.nan, particle == "gamma")[:, None]
        is_class = particle[:, None] == np.array(CLASSES)
        return np.where(is_class.any(axis=1), is_class.argmax(axis=1), np.nan)[:, None]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.is_binary:
            return binary_cross_entropy_with_logits(output, target, reduction="none").squeeze(1)
        return cross_entropy(output, target.squeeze(1).long(), reduction="none")

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        """Gammaness, ctapipe's ``prediction``; of three classes the others' probabilities too."""
        output = output.astype(np.float64)
        if self.is_binary:
            return {"prediction": expit(output[:, 0])}
        gamma, *others = softmax(output, axis=1).T
        names = [f"prediction_{name}" for name in CLASSES[1:]]
        return {"prediction": gamma, **dict(zip(names, others, strict=True))}

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Area under the ROC curve of gammas against all others."""
        # Here, as it takes a second to import, which a prediction does not need.
        from torchmetrics.functional.classification import binary_auroc

        if self.is_binary:
            gamma = target.squeeze(1).to(torch.int64)
        else:
            gamma = (target.squeeze(1) == 0).to(torch.int64)
        if len(gamma.unique()) < 2:
            return {"auc": np.nan}
        # The order is all that counts, and the outputs' rank keeps it where gammaness is 1.
        rank = self.explained(output).unique(return_inverse=True)[1].double()
        return {"auc": float(binary_auroc(rank / rank.max().clamp(min=1), gamma))}
