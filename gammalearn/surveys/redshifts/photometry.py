"""Photometry of cut-outs: colours, concentration, ellipticity, signal to noise, neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from ..galaxies.photometry import EXTINCTION, apertures, asinh_magnitude, distances, noise

__all__ = ["MEASURED", "Photometry", "features", "measure"]

#: Radii (pixels) of the apertures; the colours are of the second and the third one.
RADII = (2.0, 4.0, 7.0, 11.0, 16.0)

#: A neighbour: a peak of this signal to noise, smoothed by this width and apart by these (pixels).
PEAK, SMOOTH, APART = 5.0, 1.5, 4.0

#: Numbers of an object that its result may depend on.
MEASURED = ("signal_to_noise", "ellipticity", "n_neighbours")


@dataclass(frozen=True)
class Photometry:
    """What is measured of some cut-outs.

    Attributes
    ----------
    flux, error : ndarray, shape (n_objects, n_bands, n_apertures)
    columns : dict of str to ndarray, shape (n_objects,)
        `MEASURED`, and ``concentration``.
    """

    flux: np.ndarray
    error: np.ndarray
    columns: dict[str, np.ndarray]


def measure(images: np.ndarray, reference: int) -> Photometry:
    """Measure cut-outs.

    Parameters
    ----------
    images : ndarray, shape (n_objects, n_bands, n_pixels, n_pixels)
    reference : int
        The band of the shape, such as r.
    """
    circles = apertures(images.shape[-1], RADII)
    flux = np.einsum("nbyx,ayx->nba", images, circles)
    sky = noise(images)
    error = sky[:, :, None] * np.sqrt((circles**2).sum(axis=(1, 2)))
    picture, deviation = images[:, reference], sky[:, reference]
    bright = np.maximum(flux[:, reference], error[:, reference])
    columns = {
        "signal_to_noise": flux[:, reference, 2] / error[:, reference, 2],
        "ellipticity": _ellipticity(picture),
        "n_neighbours": _neighbours(picture, deviation).astype(float),
        "concentration": bright[:, 1] / bright[:, 3],
    }
    return Photometry(flux, error, columns)


def _ellipticity(picture: np.ndarray) -> np.ndarray:
    """Of moments within a Gaussian weight: (1 - q^2) / (1 + q^2) for an axis ratio q."""
    x, y, distance = distances(picture.shape[-1])
    weighted = picture * np.exp(-0.5 * (distance / 5) ** 2)
    xx, yy, xy = (np.einsum("nyx,yx->n", weighted, m) for m in (x * x, y * y, x * y))
    size = np.maximum(xx + yy, 1e-6)
    return np.clip(np.hypot(xx - yy, 2 * xy) / size, 0, 1)


def _neighbours(picture: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Number of peaks beside that in the middle."""
    smooth = gaussian_filter(picture, (0, SMOOTH, SMOOTH))
    # White noise is less by the width of the smoothing.
    limit = PEAK * deviation / (2 * np.sqrt(np.pi) * SMOOTH)
    peak = smooth == maximum_filter(smooth, (0, 7, 7))
    peak &= smooth > limit[:, None, None]
    return (peak & (distances(picture.shape[-1])[2] > APART)).sum(axis=(1, 2))


def features(found: Photometry, bands: Sequence[str], dust: np.ndarray) -> np.ndarray:
    """What trees learn from: colours and magnitudes without dust, and concentration.

    Parameters
    ----------
    found : Photometry
    bands : sequence of str
    dust : ndarray, shape (n_objects,)
        E(B-V) of the Milky Way, mag.

    Returns
    -------
    ndarray of float32, shape (n_objects, n_features)
        Colours within two apertures, magnitudes, concentration, E(B-V).
    """
    absorbed = np.array([EXTINCTION.get(band, 0.0) for band in bands])[:, None]
    magnitude = asinh_magnitude(found.flux, found.error) - absorbed * dust[:, None, None]
    colours = magnitude[:, :-1] - magnitude[:, 1:]
    return np.concatenate(
        [
            colours[:, :, 1],
            colours[:, :, 2],
            magnitude[:, :, 3],
            found.columns["concentration"][:, None],
            dust[:, None],
        ],
        axis=1,
    ).astype(np.float32)
