"""Features of arcs, and trees on them: what a network has to beat."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import ExtraTreesClassifier

from ...errors import EmptySelectionError
from ..galaxies.photometry import apertures, asinh_magnitude, distances, noise
from .colours import bluest, other_colours, reference_of_colours

__all__ = ["ANNULI", "LensTrees", "features"]

#: Edges (pixels) of the annuli.
ANNULI = (0.0, 2.5, 4.0, 6.0, 8.0, 11.0, 15.0, 20.0)

#: Width (pixels) of the smoothing of residuals, about that of a point spread.
SMOOTH = 1.5

#: Trees of the forest, least number of galaxies in a leaf, and part of the features of a branch.
N_TREES, IN_A_LEAF, PART = 400, 2, 0.3


def features(images: np.ndarray, bands: Sequence[str], dust: np.ndarray) -> np.ndarray:
    """What trees learn from.

    Parameters
    ----------
    images : ndarray, shape (n, n_bands, n_pixels, n_pixels)
    bands : sequence of str
    dust : ndarray, shape (n,)
        E(B-V) of the Milky Way, mag.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        Colours and brightness by radius; in annuli, the sum, the largest value and the scatter of
        what is left of a smooth galaxy, in units of the noise; E(B-V).
    """
    sky = noise(images)
    blue, red = bluest(bands), reference_of_colours(bands)
    found = [*_profile(images, sky), dust[:, None]]
    left = [
        (other_colours(images[:, blue], images[:, red]), sky[:, blue]),
        *((_odd(images[:, band]), np.sqrt(2) * sky[:, band]) for band in (blue, red)),
        *((_rough(images[:, band]), sky[:, band]) for band in (blue, red)),
    ]
    odd_colours = _odd(left[0][0]), np.sqrt(2) * sky[:, blue]
    for residual, deviation in [*left, odd_colours]:
        found.append(_in_annuli(residual, deviation))
    return np.concatenate(found, axis=1).astype(np.float32)


def _rings(n_pixels: int) -> np.ndarray:
    """Pixels of the annuli, shape (n_annuli, n_pixels, n_pixels)."""
    distance = distances(n_pixels)[2]
    edges = zip(ANNULI[:-1], ANNULI[1:], strict=True)
    return np.stack([(distance >= low) & (distance < high) for low, high in edges])


def _profile(images: np.ndarray, sky: np.ndarray) -> list[np.ndarray]:
    """Colours and magnitudes within circles."""
    circles = apertures(images.shape[-1], ANNULI[1:-1])
    flux = np.einsum("nbyx,ayx->nba", images, circles)
    error = np.maximum(sky, 1e-6)[:, :, None] * np.sqrt((circles**2).sum(axis=(1, 2)))
    magnitude = asinh_magnitude(flux, error)
    colours = magnitude[:, :-1] - magnitude[:, 1:]
    n = len(images)
    # How they change outwards tells blue light around a red galaxy.
    return [colours.reshape(n, -1), np.diff(colours).reshape(n, -1), magnitude[:, 0]]


def _odd(image: np.ndarray) -> np.ndarray:
    """What is left when the image is turned by 180 degrees and subtracted."""
    return image - image[:, ::-1, ::-1]


def _rough(image: np.ndarray) -> np.ndarray:
    """What is left of the mean of both halves in rings: a galaxy is alike all around."""
    left = image.copy()
    for ring in _rings(image.shape[-1]):
        if ring.any():
            left[:, ring] -= np.median(image[:, ring], axis=1, keepdims=True)
    return left


def _in_annuli(residual: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Sum, largest value and scatter in annuli, shape (n, 3 n_annuli)."""
    smooth = gaussian_filter(residual, (0, SMOOTH, SMOOTH))
    scale = np.maximum(deviation, 1e-6)[:, None]
    found = []
    for ring in _rings(residual.shape[-1]):
        if not ring.any():
            found += [np.zeros(len(residual))] * 3
            continue
        some = residual[:, ring] / scale
        # White noise is less by the width of the smoothing.
        peaks = smooth[:, ring] / scale * (2 * np.sqrt(np.pi) * SMOOTH)
        found += [
            np.arcsinh(some.sum(axis=1) / np.sqrt(ring.sum())),
            np.arcsinh(peaks.max(axis=1)),
            np.log1p(some.std(axis=1)),
        ]
    return np.stack(found, axis=1)


class LensTrees:
    """Extremely randomised trees (Geurts et al. 2006).

    Parameters
    ----------
    features : ndarray, shape (n, n_features)
    is_lens : ndarray of bool, shape (n,)
    seed : int

    Raises
    ------
    EmptySelectionError
        If all are lenses, or none is.
    """

    def __init__(self, features: np.ndarray, is_lens: np.ndarray, seed: int):
        if is_lens.all() or not is_lens.any():
            raise EmptySelectionError(
                "Trees need lenses and other galaxies to learn from; give more in data.train, or "
                "set evaluation.baseline to false."
            )
        self.forest = ExtraTreesClassifier(
            N_TREES, min_samples_leaf=IN_A_LEAF, max_features=PART, random_state=seed, n_jobs=1
        ).fit(features, is_lens)

    def chance(self, features: np.ndarray) -> np.ndarray:
        """Probability of a lens, shape (n,)."""
        return self.forest.predict_proba(features)[:, 1]
