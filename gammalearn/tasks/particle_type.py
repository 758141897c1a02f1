"""Particle type: the probability that the primary is a gamma ray (gammaness)."""

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchmetrics.functional.classification import binary_auroc

from .base import Task

__all__ = ["ParticleTypeTask"]


class ParticleTypeTask(Task):
    """Gamma (1) against all other particles (0), learnt with the cross entropy."""

    name = "particle_type"
    n_outputs = 1
    kind = "particle_type"
    learns_from = None

    def truth(self, events):
        particle = np.asarray(events["particle"])
        return np.where(particle == "", np.nan, particle == "gamma")[:, None]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(output, target, reduction="none").squeeze(1)

    def decode(self, output, events):
        return {"prediction": expit(output[:, 0].astype(np.float64))}

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Area under the ROC curve."""
        gamma = target.squeeze(1).to(torch.int64)
        if len(gamma.unique()) < 2:
            return {"auc": np.nan}
        # The order is all that counts, and the outputs' rank keeps it where gammaness is 1.
        rank = output.squeeze(1).unique(return_inverse=True)[1].double()
        return {"auc": float(binary_auroc(rank / rank.max().clamp(min=1), gamma))}
