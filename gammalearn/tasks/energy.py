"""Energy: log10(E/TeV) of the primary particle."""

import astropy.units as u
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from .base import Task

__all__ = ["EnergyTask"]

#: Quantiles of a normal distribution at one standard deviation below its mean, at the mean and
#: at one standard deviation above.
ONE_SIGMA = (0.158655, 0.5, 0.841345)


class EnergyTask(Task):
    """log10 of the energy in TeV, learnt with the absolute error (robust to wild events)."""

    name = "energy"
    n_outputs = 1
    kind = "energy"
    learns_from = ("gamma",)

    def truth(self, events):
        energy = np.asarray(events["true_energy"], dtype=np.float64)
        return np.log10(energy, out=np.full_like(energy, np.nan), where=energy > 0)[:, None]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return l1_loss(output, target, reduction="none").squeeze(1)

    def decode(self, output, events):
        return {"energy": 10.0 ** output[:, 0].astype(np.float64) * u.TeV}

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Median and one-sigma half-width of the relative error E_reco / E_true − 1."""
        error = 10 ** (output.double() - target.double()).squeeze(1) - 1
        if len(error) == 0:
            return {"energy_bias": np.nan, "energy_resolution": np.nan}
        low, median, high = torch.quantile(error, error.new_tensor(ONE_SIGMA)).tolist()
        return {"energy_bias": median, "energy_resolution": (high - low) / 2}
