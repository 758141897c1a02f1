"""Profiles of discs and bulges as sums of Gaussians, after Hogg & Lang (2013).

A Gaussian stays one in Fourier space and through an ellipse, so that images need no integrals.
"""

from functools import cache

import numpy as np
from scipy.optimize import nnls

__all__ = ["HALF_LIGHT", "LARGEST", "exponential", "mixture", "vaucouleurs"]

#: Constants that make the radius that of half of the light (Ciotti & Bertin 1999).
HALF_LIGHT = {"disc": 1.67834699, "bulge": 7.66924944}

#: Radii (of half of the light) where the profiles end, as Hogg & Lang (2013) have them.
LARGEST = {"disc": 4.0, "bulge": 8.0}

#: Smallest and largest of the Gaussians.
WIDTHS = {"disc": (0.08, 2.0), "bulge": (0.02, 3.0)}


def exponential(radius: np.ndarray) -> np.ndarray:
    """Brightness of a disc; radii are in units of that of half of the light."""
    return np.exp(-HALF_LIGHT["disc"] * radius)


def vaucouleurs(radius: np.ndarray) -> np.ndarray:
    """Brightness of a bulge (de Vaucouleurs 1948)."""
    return np.exp(-HALF_LIGHT["bulge"] * radius**0.25)


@cache
def mixture(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Parts of the light and variances of the Gaussians of a profile.

    Their light within rings is as near as can be to that of the profile.

    Parameters
    ----------
    kind : str
        ``disc`` or ``bulge``.

    Returns
    -------
    part, variance : ndarray, shape (n_gaussians,)
        The parts are a whole; the variance, along one axis, is for a radius of half of the light of
        1.
    """
    profile = exponential if kind == "disc" else vaucouleurs
    edges = np.concatenate([[0], np.geomspace(5e-3, LARGEST[kind], 400)])
    middle = (edges[1:] + edges[:-1]) / 2
    light = profile(middle) * np.diff(edges**2)
    variances = np.geomspace(*WIDTHS[kind], 8) ** 2
    within = 1 - np.exp(-(edges[:, None] ** 2) / (2 * variances))
    part, _ = nnls(np.cumsum(np.diff(within, axis=0), axis=0), np.cumsum(light / light.sum()))
    used = part > 1e-5
    return part[used] / part[used].sum(), variances[used]
