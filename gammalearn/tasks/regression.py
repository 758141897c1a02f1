"""Regressions: quantities of some numbers, learnt with the distance from the truth.

With ``uncertainty`` the network also says how far off it expects to be, and learns both with the
likelihood of the truth.
"""

import math
from typing import ClassVar

import numpy as np
import torch
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE
from torch import Tensor

from ..settings import TaskSettings
from .base import Task

__all__ = ["Regression", "likelihood_loss"]

#: Smallest uncertainty, in units of the target, added in quadrature: what is learnt by heart
#: does not become infinitely sure.
LEAST = 1e-3


def likelihood_loss(distance: Tensor, log_sigma: Tensor, n_values: int) -> Tensor:
    """Loss of estimates that know their uncertainty σ: −log of the truth's likelihood.

    The density is the same on all sides and falls as exp(−r √(n+1) / σ) with the distance r, whose
    standard deviation in each of the n coordinates is σ (for n = 1, Laplace's). Wild events pull
    on it as they do on the distance itself, not with its square. Up to a constant that makes it 0
    for an estimate without error or uncertainty, it is √(n+1) r / σ + n log σ.

    Parameters
    ----------
    distance : Tensor, shape (n_events,)
        Between estimate and truth, r.
    log_sigma : Tensor, shape (n_events,)
        Logarithm of σ, before `LEAST` is added.
    n_values : int
        Number of coordinates, n.

    Returns
    -------
    Tensor, shape (n_events,)
    """
    least = math.log(LEAST)
    log_sigma = torch.logaddexp(2 * log_sigma, torch.full_like(log_sigma, 2 * least)) / 2
    surprise = math.sqrt(n_values + 1) * distance * torch.exp(-log_sigma)
    return surprise + n_values * (log_sigma - least)


class Regression(Task):
    """A quantity of some numbers; its loss is the distance, or the likelihood with uncertainty.

    Parameters
    ----------
    settings : gammalearn.settings.TaskSettings
        With ``uncertainty`` the network's last output is log σ, in units of the target: the
        standard deviation of each number.
    """

    n_values: ClassVar[int]
    """Numbers that it is made of."""

    options: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, settings: TaskSettings):
        super().__init__(settings)
        self.gives_uncertainty = settings.uncertainty
        self.n_outputs = self.n_values + self.gives_uncertainty

    def value(self, output: Tensor) -> Tensor:
        """The estimate itself, in units of the target, shape (n_events, n_values)."""
        return output[:, : self.n_values]

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Between estimates and truth, in units of the target, shape (n_events,)."""
        return torch.linalg.vector_norm(self.value(output) - target, dim=1)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        distance = self.distance(output, target)
        if not self.gives_uncertainty:
            return distance
        return likelihood_loss(distance, output[:, -1], self.n_values)

    def average(self, outputs: Tensor) -> Tensor:
        """Mean of the estimates; their uncertainty is the standard deviation of the mixture of the
        networks' densities, σ² = ⟨σᵢ² + |xᵢ − ⟨x⟩|² / n⟩ (Lakshminarayanan et al. 2017)."""
        mean = super().average(outputs)
        if not self.gives_uncertainty:
            return mean
        apart = (outputs - mean)[..., : self.n_values].square().mean(dim=-1)
        variance = (2 * outputs[..., -1]).exp() + apart
        return torch.cat([mean[:, :-1], variance.mean(dim=0).log().unsqueeze(1) / 2], dim=1)

    def resolution(self, output: Tensor, target: Tensor) -> float:
        """Distance that holds 68 % of the events, in units of the target; NaN for no events."""
        if len(output) == 0:
            return math.nan
        return float(self.distance(output, target).quantile(ONE_SIGMA_QUANTILE))

    def sigma(self, output: np.ndarray) -> np.ndarray:
        """Uncertainty σ of estimates that have one, in units of the target, shape (n_events,)."""
        return np.hypot(np.exp(output[:, -1].astype(np.float64)), LEAST)
