"""Trees on colours and concentration: what a network has to beat."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from .density import N_BINS, Bins

__all__ = ["TreesDensity"]

#: Trees of the forest, least number of galaxies in a leaf, and part of the features of a branch.
N_TREES, IN_A_LEAF, PART = 300, 2, 0.5


class TreesDensity:
    """A forest whose density is that of the galaxies in the leaves (Meinshausen 2006).

    Parameters
    ----------
    features : ndarray, shape (n, n_features)
    redshift : ndarray, shape (n,)
    bins : Bins
    seed : int
    """

    def __init__(self, features: np.ndarray, redshift: np.ndarray, bins: Bins, seed: int):
        self.forest = ExtraTreesRegressor(
            N_TREES, min_samples_leaf=IN_A_LEAF, max_features=PART, random_state=seed, n_jobs=1
        ).fit(features, redshift)
        self.place = bins.place(redshift)
        self.leaves = self.forest.apply(features)

    def density(self, features: np.ndarray) -> np.ndarray:
        """Probability in each bin, shape (n, n_bins)."""
        found = np.zeros((len(features), N_BINS))
        asked = self.forest.apply(features)
        for tree in range(N_TREES):
            leaf = self.leaves[:, tree]
            inside = np.zeros((int(leaf.max()) + 1, N_BINS), dtype=np.float32)
            np.add.at(inside, (leaf, self.place), 1)
            found += inside[asked[:, tree]] / np.bincount(leaf)[asked[:, tree], None]
        return found / N_TREES
