"""Energy: log10(E/TeV) of the primary particle."""

import astropy.units as u
import numpy as np
import torch
from torch import Tensor

from .regression import Regression

__all__ = ["EnergyTask"]

#: Quantiles of a normal distribution at one standard deviation below its mean, at the mean and
#: at one standard deviation above.
ONE_SIGMA = (0.158655, 0.5, 0.841345)


class EnergyTask(Regression):
    """log10 of the energy in TeV, learnt with the absolute error (robust to wild events)."""

    name = "energy"
    n_values = 1
    kind = "energy"
    learns_from = ("gamma",)

    def truth(self, events):
        energy = np.asarray(events["true_energy"], dtype=np.float64)
        return np.log10(energy, out=np.full_like(energy, np.nan), where=energy > 0)[:, None]

    def decode(self, output, events):
        energy = 10.0 ** output[:, 0].astype(np.float64) * u.TeV
        columns = {"energy": energy}
        if self.gives_uncertainty:
            columns["energy_uncert"] = energy * np.log(10) * self.sigma(output)
        return columns

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Median and one-sigma half-width of the relative error E_reco / E_true − 1."""
        error = 10 ** (output[:, :1].double() - target.double()).squeeze(1) - 1
        if len(error) == 0:
            return {"energy_bias": np.nan, "energy_resolution": np.nan}
        low, median, high = torch.quantile(error, error.new_tensor(ONE_SIGMA)).tolist()
        return {"energy_bias": median, "energy_resolution": (high - low) / 2}
