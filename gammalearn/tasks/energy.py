"""Energy: log10(E/TeV) of the primary particle."""

import astropy.units as u
import numpy as np
import torch
from astropy.table import Table
from pyirf.benchmarks.energy_bias_resolution import NORM_LOWER_SIGMA, NORM_UPPER_SIGMA
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..settings import TaskSettings
from .base import Columns, average_logits
from .regression import Regression

__all__ = ["EnergyTask"]

#: Quantiles of a normal distribution at one standard deviation below its mean, at the mean and
#: at one standard deviation above.
ONE_SIGMA = (NORM_LOWER_SIGMA, 0.5, NORM_UPPER_SIGMA)

#: Bins of log10(E/TeV) of a distribution: 3 GeV to 300 TeV, twenty in each factor of ten.
EDGES = np.linspace(-2.5, 2.5, 101)


class EnergyTask(Regression):
    """log10 of the energy in TeV, learnt with the absolute error (robust to wild events).

    With ``distribution`` the network gives the probability of each of the bins `EDGES`, as logits,
    and learns it with the cross entropy. The energy is then the median of that distribution.
    """

    name = "energy"
    n_values = 1
    kind = "energy"
    learns_from = ("gamma",)
    options = ("uncertainty", "distribution")
    explained_as = "log10(E/TeV)"

    def __init__(self, settings: TaskSettings):
        super().__init__(settings)
        self.is_distribution = settings.distribution
        if self.is_distribution:
            self.n_outputs = len(EDGES) - 1

    def truth(self, events: Table) -> np.ndarray:
        energy = np.asarray(events["true_energy"], dtype=np.float64)
        return np.log10(energy, out=np.full_like(energy, np.nan), where=energy > 0)[:, None]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if not self.is_distribution:
            return super().loss(output, target)
        return cross_entropy(output, _shares(target.squeeze(1)).to(output.dtype), reduction="none")

    def average(self, outputs: Tensor) -> Tensor:
        """As of any regression; the mean of distributions is the distribution of the mixture."""
        return average_logits(outputs) if self.is_distribution else super().average(outputs)

    def value(self, output: Tensor) -> Tensor:
        return self._quantile(output, 0.5) if self.is_distribution else super().value(output)

    def explained(self, output: Tensor) -> Tensor:
        """log10(E/TeV); of a distribution its mean, as its median has no smooth gradient."""
        if not self.is_distribution:
            return super().explained(output)
        centres = torch.from_numpy((EDGES[1:] + EDGES[:-1]) / 2).to(output)
        return output.softmax(dim=1) @ centres

    @staticmethod
    def _quantile(output: Tensor, share: float) -> Tensor:
        """log10(E/TeV) that a share of the distribution lies below, shape (n_events, 1)."""
        probability = output.double().softmax(dim=1)
        above = torch.cumsum(probability, dim=1)
        bin_ = (above < share).sum(dim=1, keepdim=True).clamp(max=output.shape[1] - 1)
        inside = 1 - (above.gather(1, bin_) - share) / probability.gather(1, bin_)
        edges = torch.from_numpy(EDGES).to(output.device)
        return (edges[bin_] + inside.clamp(0, 1) * (EDGES[1] - EDGES[0])).to(output.dtype)

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        """Energy and its uncertainty; of a distribution the mean of the energy too."""
        logits = torch.from_numpy(np.ascontiguousarray(output))
        energy = 10.0 ** self.value(logits)[:, 0].numpy().astype(np.float64) * u.TeV
        columns = {"energy": energy}
        if self.gives_uncertainty:
            columns["energy_uncert"] = energy * np.log(10) * self.sigma(output)
        if self.is_distribution:
            low, _, high = (10.0 ** self._quantile(logits, q)[:, 0].double() for q in ONE_SIGMA)
            centres = 10.0 ** torch.from_numpy((EDGES[1:] + EDGES[:-1]) / 2)
            columns["energy_mean"] = (logits.double().softmax(dim=1) @ centres).numpy() * u.TeV
            columns["energy_uncert"] = (high - low).numpy() / 2 * u.TeV
        return columns

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Median and one-sigma half-width of the relative error E_reco / E_true − 1."""
        error = 10 ** (self.value(output).double() - target.double()).squeeze(1) - 1
        if len(error) == 0:
            return {"energy_bias": np.nan, "energy_resolution": np.nan}
        low, median, high = torch.quantile(error, error.new_tensor(ONE_SIGMA)).tolist()
        return {"energy_bias": median, "energy_resolution": (high - low) / 2}


def _shares(target: Tensor) -> Tensor:
    """What each bin has of a value: it is shared by the two whose middles are next to it.

    Parameters
    ----------
    target : Tensor, shape (n_events,)

    Returns
    -------
    Tensor, shape (n_events, n_bins)
    """
    n_bins, width = len(EDGES) - 1, EDGES[1] - EDGES[0]
    place = ((target - EDGES[0]) / width - 0.5).clamp(0, n_bins - 1)
    centres = torch.arange(n_bins, device=target.device, dtype=target.dtype)
    return (1 - (place.unsqueeze(1) - centres).abs()).clamp(min=0)
