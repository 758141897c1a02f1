"""Photometry that all surveys of galaxies need: noise, distances, circles, asinh magnitudes."""

from collections.abc import Sequence

import numpy as np

from ..catalogue import ZERO_POINT

__all__ = ["EXTINCTION", "apertures", "asinh_magnitude", "distances", "noise", "reference_of"]

#: Extinction (mag) for E(B-V) = 1 mag in the bands of the SDSS (Schlafly & Finkbeiner 2011,
#: table 6, R_V = 3.1).
EXTINCTION = {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263}


def reference_of(bands: Sequence[str]) -> int:
    """The band of the shape: r, or the middle one."""
    return list(bands).index("r") if "r" in bands else len(bands) // 2


def noise(images: np.ndarray) -> np.ndarray:
    """Standard deviation of a pixel of the sky, by the differences of pixels at the edge.

    Parameters
    ----------
    images : ndarray, shape (n_objects, n_bands, n_pixels, n_pixels)

    Returns
    -------
    ndarray, shape (n_objects, n_bands)
    """
    edge = np.concatenate([images[:, :, :6], images[:, :, -6:]], axis=2)
    apart = np.abs(np.diff(edge, axis=3))
    # Of a normal distribution, whose differences are wider by the root of 2.
    return np.median(apart, axis=(2, 3)) / 0.6745 / np.sqrt(2)


def distances(n_pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, rows and distances from the middle, in pixels."""
    place = np.arange(n_pixels) - (n_pixels - 1) / 2
    x, y = np.meshgrid(place, place)
    return x, y, np.hypot(x, y)


def apertures(n_pixels: int, radii: Sequence[float]) -> np.ndarray:
    """Part of each pixel in circles, shape (n_radii, n_pixels, n_pixels): 0 to 1 over a pixel."""
    distance = distances(n_pixels)[2]
    return np.clip(np.array(radii)[:, None, None] - distance + 0.5, 0, 1).astype(np.float32)


def asinh_magnitude(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Magnitudes that faint and negative fluxes have too (Lupton et al. 1999).

    Parameters
    ----------
    flux, error : ndarray
        Zero point 27.5; the softening is the error.
    """
    softened = np.arcsinh(flux / (2 * error)) + np.log(error)
    return ZERO_POINT - 2.5 / np.log(10) * softened
