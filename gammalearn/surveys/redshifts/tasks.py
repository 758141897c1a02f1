"""The task: the density of the redshift."""

import numpy as np
import torch
from astropy.table import Table
from scipy.special import softmax
from torch import Tensor
from torch.nn.functional import cross_entropy

from ...tasks.base import Columns, Task, average_logits
from .density import N_BINS, Bins

__all__ = ["TASK", "RedshiftTask", "build_tasks"]

#: Name of the task.
TASK = "redshift"


class RedshiftTask(Task):
    """Logits of the bins of the density.

    Parameters
    ----------
    bins : Bins
    crps_weight : float
        Weight of the continuous ranked probability score, in bins, beside the likelihood.
    """

    n_outputs = N_BINS
    explained_as = "mean redshift of the density"
    kind = "redshift"
    learns_from = None
    particles = None

    def __init__(self, bins: Bins, crps_weight: float):
        # The particles of telescopes' tasks are not here.
        self.name = TASK  # type: ignore[misc]  # a class variable elsewhere
        self.weight, self.bins, self.crps_weight = 1.0, bins, crps_weight

    def truth(self, events: Table) -> np.ndarray:
        return np.asarray(events["redshift"], dtype=float)[:, None]

    def targets(self, events: Table) -> np.ndarray:
        return self.truth(events).astype(np.float32)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        place = (target.squeeze(1) / self.bins.width).long().clamp(0, N_BINS - 1)
        loss = cross_entropy(output, place, reduction="none")
        if self.crps_weight:
            cumulative = output.float().softmax(1).cumsum(1)
            step = torch.arange(N_BINS, device=output.device) >= place[:, None]
            score = (cumulative - step.float()).square().sum(1)
            loss = loss + self.crps_weight * score
        return loss

    def explained(self, output: Tensor) -> Tensor:
        middle = (torch.arange(N_BINS, device=output.device) + 0.5) * self.bins.width
        return output.softmax(dim=1) @ middle.to(output.dtype)

    def average(self, outputs: Tensor) -> Tensor:
        """Logits of the mean density."""
        return average_logits(outputs)

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        return {"density": softmax(output.astype(float), axis=1)}

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        if not len(output):
            return {"sigma_mad": np.nan, "crps": np.nan}
        density = output.double().softmax(1).cpu().numpy()
        truth = target.squeeze(1).double().cpu().numpy()
        apart = (self.bins.quantile(density, 0.5) - truth) / (1 + truth)
        spread = 1.4826 * np.median(np.abs(apart - np.median(apart)))
        return {
            "sigma_mad": float(spread),
            "crps": float(self.bins.crps(density, truth).mean()),
        }


def build_tasks(redshift_max: float, crps_weight: float) -> dict[str, Task]:
    """The only task, by its name."""
    return {TASK: RedshiftTask(Bins(redshift_max), crps_weight)}
