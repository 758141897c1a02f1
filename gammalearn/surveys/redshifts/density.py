"""Density of the redshift: bins, and the numbers that are taken from it."""

from dataclasses import dataclass

import numpy as np

__all__ = ["N_BINS", "Bins"]

#: Bins of a density, as Pasquet et al. (2019) have them.
N_BINS = 180


@dataclass(frozen=True)
class Bins:
    """Bins of equal width from 0 on.

    Attributes
    ----------
    largest : float
        Redshift where they end.
    """

    largest: float

    @property
    def width(self) -> float:
        """Width of a bin."""
        return self.largest / N_BINS

    @property
    def middle(self) -> np.ndarray:
        """Their middles, shape (n_bins,)."""
        return (np.arange(N_BINS) + 0.5) * self.width

    def place(self, redshift: np.ndarray) -> np.ndarray:
        """The bin of each redshift; beyond the largest the last."""
        return np.clip((np.asarray(redshift) / self.width).astype(int), 0, N_BINS - 1)

    def cumulative(self, density: np.ndarray) -> np.ndarray:
        """Probability below the edges, shape (n, n_bins + 1)."""
        return np.pad(np.cumsum(density, axis=1), ((0, 0), (1, 0)))

    def below(self, density: np.ndarray, redshift: np.ndarray) -> np.ndarray:
        """Probability below a redshift: the PIT, if it is the true one (Dawid 1984).

        Parameters
        ----------
        density : ndarray, shape (n, n_bins)
            Probability in each bin.
        redshift : ndarray, shape (n,)
        """
        at = np.clip(np.asarray(redshift) / self.width, 0, N_BINS)
        place = np.minimum(at.astype(int), N_BINS - 1)
        rows = np.arange(len(density))
        before = self.cumulative(density)[rows, place]
        return before + density[rows, place] * (at - place)

    def quantile(self, density: np.ndarray, probability: float) -> np.ndarray:
        """Redshift below which the probability is such, shape (n,)."""
        cumulative = self.cumulative(density)
        place = np.clip((cumulative < probability).sum(axis=1) - 1, 0, N_BINS - 1)
        rows = np.arange(len(density))
        inside = probability - cumulative[rows, place]
        part = inside / np.maximum(density[rows, place], 1e-12)
        return (place + np.clip(part, 0, 1)) * self.width

    def mean(self, density: np.ndarray) -> np.ndarray:
        """Mean redshift, shape (n,)."""
        return density @ self.middle

    def crps(self, density: np.ndarray, redshift: np.ndarray) -> np.ndarray:
        """Continuous ranked probability score (Gneiting & Raftery 2007, eq. 20), shape (n,).

        The integral over each bin of the squared difference of the cumulative probability, which is
        a straight line there, and the step at the truth.
        """
        cumulative = self.cumulative(density)
        low, high = cumulative[:, :-1], cumulative[:, 1:]
        at = np.asarray(redshift)[:, None] / self.width - np.arange(N_BINS)
        part = np.clip(at, 0, 1)
        middle = low + (high - low) * part
        before = part * (low**2 + low * middle + middle**2) / 3
        top, bottom = 1 - middle, 1 - high
        after = (1 - part) * (top**2 + top * bottom + bottom**2) / 3
        # A truth beyond the bins is as far again.
        beyond = np.maximum(np.asarray(redshift) - self.largest, 0)
        return (before + after).sum(axis=1) * self.width + beyond
