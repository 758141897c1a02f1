"""Photometry of cut-outs: colours, concentration, ellipticity, signal to noise, neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from ..catalogue import ZERO_POINT

__all__ = [
    "EXTINCTION",
    "MEASURED",
    "Photometry",
    "apertures",
    "asinh_magnitude",
    "features",
    "measure",
    "noise",
    "reference_of",
]

#: Extinction (mag) for E(B-V) = 1 mag in the bands of the SDSS (Schlafly & Finkbeiner 2011,
#: table 6, R_V = 3.1).
EXTINCTION = {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263}

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


def _distance(n_pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, rows and distances from the middle, in pixels."""
    place = np.arange(n_pixels) - (n_pixels - 1) / 2
    x, y = np.meshgrid(place, place)
    return x, y, np.hypot(x, y)


def apertures(n_pixels: int, radii: Sequence[float] = RADII) -> np.ndarray:
    """Part of each pixel in circles, shape (n_radii, n_pixels, n_pixels): 0 to 1 over a pixel."""
    distance = _distance(n_pixels)[2]
    return np.clip(np.array(radii)[:, None, None] - distance + 0.5, 0, 1).astype(np.float32)


def measure(images: np.ndarray, reference: int) -> Photometry:
    """Measure cut-outs.

    Parameters
    ----------
    images : ndarray, shape (n_objects, n_bands, n_pixels, n_pixels)
    reference : int
        The band of the shape, such as r.
    """
    circles = apertures(images.shape[-1])
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
    x, y, distance = _distance(picture.shape[-1])
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
    return (peak & (_distance(picture.shape[-1])[2] > APART)).sum(axis=(1, 2))


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


def asinh_magnitude(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Magnitudes that faint and negative fluxes have too (Lupton et al. 1999).

    Parameters
    ----------
    flux, error : ndarray
        Zero point 27.5; the softening is the error.
    """
    softened = np.arcsinh(flux / (2 * error)) + np.log(error)
    return ZERO_POINT - 2.5 / np.log(10) * softened
