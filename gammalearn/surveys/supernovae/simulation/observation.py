"""Observation: when a survey looks, how deep, and what it measures."""

from dataclasses import dataclass

import numpy as np

from ...catalogue import WAVELENGTH, ZERO_POINT
from ..curves import EXTINCTION
from .explosions import Explosion

__all__ = ["BANDS", "CADENCES", "Cadence", "Visits", "flux_error", "observe", "visits"]

#: Bands of LSST.
BANDS = ("u", "g", "r", "i", "z", "y")

#: Magnitude of five standard deviations in one visit (Ivezic et al. 2019, table 2).
DEPTH = {"u": 23.78, "g": 24.81, "r": 24.35, "i": 23.92, "z": 23.34, "y": 22.45}

#: How noise rises towards the depth (Ivezic et al. 2019, eq. 5), and what no photometry is without.
GAMMA, SYSTEMATIC = 0.039, 0.005

#: Scatter of the depth by seeing, clouds and moon, in mag.
WEATHER = 0.25

#: Half the width of a band, as a part of its wavelength, and points that its flux is a mean of.
HALF_WIDTH, N_POINTS = 0.08, 5


@dataclass(frozen=True)
class Cadence:
    """How a survey looks at a field.

    Attributes
    ----------
    interval : float
        Mean time (d) between two nights of observation.
    bands : int
        Bands of a night.
    deeper : float
        Depth beyond one visit, in mag.
    season : float
        Length of a season, in d.
    """

    interval: float
    bands: int
    deeper: float
    season: float


#: The main survey of LSST and its deep drilling fields.
CADENCES = {
    "wide": Cadence(interval=3.5, bands=2, deeper=0.0, season=200.0),
    "deep": Cadence(interval=3.0, bands=5, deeper=1.2, season=200.0),
}


@dataclass(frozen=True)
class Visits:
    """Times (d from the first night), bands and depths (mag) of visits, shape (n_visits,)."""

    time: np.ndarray
    band: np.ndarray
    depth: np.ndarray


def visits(cadence: Cadence, rng: np.random.Generator) -> Visits:
    """The visits of one field in a season."""
    gaps = rng.exponential(cadence.interval - 1, size=int(4 * cadence.season / cadence.interval))
    nights = np.cumsum(1 + np.floor(gaps))
    nights = nights[nights < cadence.season]
    weather = rng.normal(0, WEATHER, len(nights))
    time: list[float] = []
    band: list[int] = []
    depth: list[float] = []
    for night, seen in zip(nights, weather, strict=True):
        # The filter changer holds five of the six.
        for number in sorted(rng.choice(len(BANDS), size=cadence.bands, replace=False)):
            time.append(night + 0.02 * len(band) % 0.3)
            band.append(number)
            depth.append(DEPTH[BANDS[number]] + cadence.deeper + seen)
    order = np.argsort(time, kind="stable")
    return Visits(*(np.asarray(values)[order] for values in (time, band, depth)))


def flux_error(flux: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Standard deviation of a flux (Ivezic et al. 2019, eq. 5): sky, source, and 0.5 %.

    Parameters
    ----------
    flux : ndarray
        True flux, zero point 27.5 mag.
    depth : ndarray
        Magnitude of five standard deviations.
    """
    at_depth = 10 ** (0.4 * (ZERO_POINT - depth))
    positive = np.maximum(flux, 0)
    variance = (0.04 - GAMMA) * positive * at_depth + GAMMA * at_depth**2
    return np.sqrt(variance + (SYSTEMATIC * positive) ** 2)


def observe(
    explosion: Explosion, peak: float, seen: Visits, dust: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes and their errors, with noise and the dust of the Milky Way.

    Parameters
    ----------
    explosion : Explosion
    peak : float
        Time of the peak, in d as those of the visits.
    seen : Visits
    dust : float
        E(B-V) of the Milky Way, in mag.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, ndarray, shape (n_visits,)
    """
    middle = np.array([WAVELENGTH[band] for band in BANDS])[seen.band]
    points = np.linspace(-HALF_WIDTH, HALF_WIDTH, N_POINTS)
    flux = np.zeros(len(middle))
    for point in points:
        magnitude = explosion.magnitude(seen.time - peak, middle * (1 + point))
        flux += 10 ** (0.4 * (ZERO_POINT - magnitude)) / N_POINTS
    flux *= 10 ** (-0.4 * dust * np.array([EXTINCTION[band] for band in BANDS])[seen.band])
    error = flux_error(flux, seen.depth)
    return flux + rng.normal(0, 1, len(flux)) * error, error
