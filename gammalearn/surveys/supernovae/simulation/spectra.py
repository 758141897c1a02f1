"""Spectra in time, as smooth as broad bands see them.

Type Ia: light curves in broad bands, as templates of Nugent et al. (2002) and Hsiao et al. (2007)
give them for a stretch of 1, between which the spectrum is interpolated. Core collapse: a black
body that cools while iron lines take its ultraviolet light, normalised in R to light curves of its
type (Anderson et al. 2014 for type II, Drout et al. 2011 for Ib and Ic).
"""

from functools import cache

import numpy as np
from scipy.interpolate import PchipInterpolator

__all__ = ["PEAK", "core_collapse", "type_ia"]

#: Absolute magnitude (AB) at the peak and its spread: type Ia in B (standardised), others in R
#: (Richardson et al. 2014, and the mean colours of each type).
PEAK = {"Ia": (-19.36, 0.10), "Ib": (-17.6, 0.9), "Ic": (-17.8, 0.9), "II": (-16.9, 0.9)}

#: Wavelengths (nm) of the broad bands of type Ia, and their magnitude (AB) at the peak above B.
ANCHORS = np.array([250.0, 300, 360, 440, 550, 650, 790, 950, 1200])
COLOURS = np.array([3.2, 1.8, 0.48, 0.0, 0.11, 0.30, 0.84, 1.0, 1.3])

#: Times (d) from the peak in B.
TIMES_IA = np.array([-19.0, -15, -10, -5, 0, 5, 10, 15, 20, 25, 30, 40, 60, 80, 100])

#: Magnitudes above the peak, for each of `ANCHORS`.
DECLINE_IA = np.array(
    [
        [6.5, 2.8, 0.6, 0.0, 0.2, 0.7, 1.5, 2.4, 3.0, 3.4, 3.6, 4.0, 4.4, 4.8, 5.2],
        [6.3, 2.8, 0.6, 0.0, 0.2, 0.7, 1.5, 2.4, 3.0, 3.4, 3.6, 4.0, 4.4, 4.8, 5.2],
        [6.0, 2.7, 0.7, 0.05, 0.1, 0.4, 1.0, 1.65, 2.35, 2.8, 3.05, 3.3, 3.7, 4.1, 4.5],
        [5.5, 2.6, 0.9, 0.2, 0.0, 0.15, 0.55, 1.1, 1.75, 2.25, 2.6, 2.95, 3.3, 3.6, 3.9],
        [5.3, 2.4, 0.9, 0.25, 0.03, 0.02, 0.2, 0.55, 0.9, 1.25, 1.6, 2.1, 2.65, 3.15, 3.65],
        [5.2, 2.3, 0.85, 0.25, 0.05, 0.1, 0.4, 0.65, 0.75, 0.9, 1.2, 1.8, 2.5, 3.1, 3.7],
        [5.1, 2.2, 0.8, 0.15, 0.05, 0.25, 0.55, 0.65, 0.5, 0.4, 0.55, 1.15, 2.0, 2.7, 3.4],
        [5.1, 2.2, 0.8, 0.2, 0.1, 0.35, 0.75, 0.85, 0.65, 0.45, 0.5, 1.0, 1.9, 2.6, 3.3],
        [5.1, 2.2, 0.8, 0.2, 0.1, 0.5, 1.1, 1.2, 0.9, 0.6, 0.55, 1.0, 1.9, 2.6, 3.3],
    ]
)

#: Magnitudes in R above the peak for the times (d) from the peak.
DECLINE_R = {
    "Ib": (
        [-22.0, -15, -10, -5, 0, 5, 10, 15, 20, 30, 40, 60, 100, 150],
        [6.0, 1.8, 0.7, 0.15, 0.0, 0.1, 0.35, 0.65, 0.95, 1.5, 1.8, 2.2, 2.9, 3.8],
    ),
    "Ic": (
        [-18.0, -12, -8, -4, 0, 5, 10, 15, 20, 30, 40, 60, 100, 150],
        [6.0, 1.7, 0.7, 0.15, 0.0, 0.15, 0.45, 0.85, 1.2, 1.75, 2.0, 2.4, 3.2, 4.2],
    ),
    "II": (
        [-12.0, -9, -6, -3, 0, 20, 50, 75, 85, 95, 105, 120, 150],
        [6.0, 2.0, 0.6, 0.1, 0.0, 0.15, 0.3, 0.5, 0.9, 1.6, 2.0, 2.2, 2.5],
    ),
}

#: Temperature (K) at the peak and long after it, and the time (d) between.
COOLING = {
    "Ib": (9000.0, 5200.0, 12.0),
    "Ic": (8500.0, 5000.0, 10.0),
    "II": (14000.0, 5800.0, 18.0),
}

#: Below this wavelength (nm) iron takes light, by so many magnitudes for a factor of two.
BLANKETED, BLANKETING = 420.0, 3.0

#: Planck's constant times the speed of light over Boltzmann's constant, in nm K.
HC_OVER_K = 1.43877e7

R_BAND = 650.0


@cache
def _curves_ia() -> list[PchipInterpolator]:
    return [PchipInterpolator(TIMES_IA, row) for row in DECLINE_IA]


def _beyond(interpolator: PchipInterpolator, time: np.ndarray) -> np.ndarray:
    """Magnitudes, before the explosion none, and with the last slope beyond the end."""
    first, last = interpolator.x[0], interpolator.x[-1]
    inside = interpolator(np.clip(time, first, last))
    slope = float(interpolator(last) - interpolator(last - 10)) / 10
    return np.where(time < first, np.inf, inside + slope * np.maximum(time - last, 0))


def _reddening(wavelength: np.ndarray) -> np.ndarray:
    """Extinction for E(B-V) = 1 mag, about that of Cardelli et al. (1989) with R_V = 3.1."""
    return 3.1 * (550.0 / wavelength) ** 1.3


def type_ia(
    time: np.ndarray, wavelength: np.ndarray, stretch: float = 1.0, colour: float = 0.0
) -> np.ndarray:
    """Magnitude (AB) above that of the peak in B of a standard type Ia.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Rest-frame time (d) from the peak in B.
    wavelength : ndarray, shape (n,)
        In the rest frame, in nm.
    stretch : float
        Of the light curve. Slow ones are brighter: 1.5 mag for a stretch of 1.
    colour : float
        B - V at the peak above the mean (mag), which also dims the supernova in B by 3.1 of it.

    Returns
    -------
    ndarray, shape (n,)
        Infinite before the explosion.
    """
    rest = time / stretch
    magnitudes = np.stack([_beyond(curve, rest) for curve in _curves_ia()]) + COLOURS[:, None]
    place = np.interp(np.log(wavelength), np.log(ANCHORS), np.arange(len(ANCHORS)))
    low = np.minimum(place.astype(int), len(ANCHORS) - 2)
    share = place - low
    column = np.arange(len(rest))
    before = ~np.isfinite(magnitudes[0])
    finite = np.where(before, 99.0, magnitudes)
    found = (1 - share) * finite[low, column] + share * finite[low + 1, column]
    # 3.1 in B, of which (B - V) is 1.
    dimmed = colour * 3.1 * (440.0 / wavelength) ** 1.75
    return np.where(before, np.inf, found - 1.5 * (stretch - 1) + dimmed)


def core_collapse(
    kind: str,
    time: np.ndarray,
    wavelength: np.ndarray,
    stretch: float = 1.0,
    decline: float = 0.0,
    heat: float = 1.0,
    reddening: float = 0.0,
) -> np.ndarray:
    """Magnitude (AB) above that of the peak in R of a supernova of a collapsed core.

    Parameters
    ----------
    kind : str
        Ib, Ic or II.
    time, wavelength : ndarray, shape (n,)
        As in `type_ia`, from the peak in R.
    stretch : float
        Of the light curve.
    decline : float
        Further decline after the peak (mag/d): about 0 gives a plateau, 0.02 a linear decline.
    heat : float
        Factor of the temperature.
    reddening : float
        E(B-V) of the host galaxy, in mag.

    Returns
    -------
    ndarray, shape (n,)
        Infinite before the explosion.
    """
    curve = PchipInterpolator(*map(np.asarray, DECLINE_R[kind]))
    shape = _beyond(curve, time / stretch) + decline * np.maximum(time, 0)
    hot, cool, duration = COOLING[kind]
    temperature = heat * (cool + (hot - cool) * np.exp(-np.maximum(time, -10) / duration))

    def planck(nm: np.ndarray | float) -> np.ndarray:
        return nm**-3.0 / np.expm1(HC_OVER_K / (nm * temperature))

    colour = -2.5 * np.log10(planck(wavelength) / planck(R_BAND))
    # Cool ejecta have more of the lines.
    cold = np.clip((12000.0 - temperature) / 7000.0, 0, 1)
    lines = BLANKETING * cold * np.maximum(np.log2(BLANKETED / wavelength), 0)
    return shape + colour + lines + reddening * _reddening(wavelength)
