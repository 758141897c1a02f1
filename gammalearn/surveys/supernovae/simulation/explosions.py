"""Explosions: which supernovae there are, at which redshift, and how each differs from its type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...cosmology import comoving_distance, distance_modulus
from .spectra import PEAK, core_collapse, type_ia

__all__ = ["Explosion", "explode"]

#: Rates rise with the redshift: type Ia as (1 + z) to this power (Dilday et al. 2008), others to
#: that of the star formation.
EVOLUTION = {"Ia": 1.5, "Ib": 3.6, "Ic": 3.6, "II": 3.6}

#: Spreads of type Ia: stretch, colour (mag).
STRETCH, COLOUR = 0.08, 0.10

#: Mean E(B-V) of the hosts of collapsed cores, exponentially distributed.
DUST = 0.10


@dataclass(frozen=True)
class Explosion:
    """One supernova.

    Attributes
    ----------
    kind : str
        Ia, Ib, Ic or II.
    redshift : float
    peak : float
        Absolute magnitude (AB) of the peak in B (Ia) or R (others).
    spectrum : callable
        Magnitude above the peak, for rest-frame times (d) and wavelengths (nm).
    """

    kind: str
    redshift: float
    peak: float
    spectrum: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def magnitude(self, time: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """Apparent magnitude (AB), without dust of the Milky Way.

        Parameters
        ----------
        time : ndarray, shape (n,)
            From the peak, in d of the observer.
        wavelength : ndarray, shape (n,)
            In nm, of the observer.
        """
        stretch = 1 + self.redshift
        above = self.spectrum(time / stretch, wavelength / stretch)
        # A flux for each frequency is squeezed into fewer of them.
        return self.peak + above + distance_modulus(self.redshift) - 2.5 * np.log10(stretch)


def _redshifts(kind: str, number: int, largest: float, rng: np.random.Generator) -> np.ndarray:
    """By the volume, the rate of the type and the time of the observer."""
    grid = np.linspace(0.01, max(largest, 0.02), 400)
    distance = comoving_distance(grid)
    density = np.gradient(distance**3, grid) * (1 + grid) ** (EVOLUTION[kind] - 1)
    cumulative = np.cumsum(density)
    return np.interp(rng.random(number), cumulative / cumulative[-1], grid)


def explode(
    fractions: Mapping[str, float], number: int, redshift_max: float, rng: np.random.Generator
) -> list[Explosion]:
    """Supernovae of a survey, detected or not.

    Parameters
    ----------
    fractions : mapping of str to float
        Of the types among all explosions; their sum need not be 1.
    number : int
    redshift_max : float
    rng : numpy.random.Generator
    """
    kinds = list(fractions)
    shares = np.array([fractions[kind] for kind in kinds])
    drawn = rng.choice(len(kinds), size=number, p=shares / shares.sum())
    return [
        _one(kinds[place], float(_redshifts(kinds[place], 1, redshift_max, rng)[0]), rng)
        for place in drawn
    ]


def _one(kind: str, redshift: float, rng: np.random.Generator) -> Explosion:
    mean, spread = PEAK[kind]
    peak = rng.normal(mean, spread)
    if kind == "Ia":
        stretch = float(np.clip(rng.normal(0.98, STRETCH), 0.7, 1.25))
        # A tail of red ones, as dust makes it.
        colour = rng.normal(-0.05, COLOUR / 2) + rng.exponential(COLOUR / 2)
        return Explosion(kind, redshift, peak, lambda t, nm: type_ia(t, nm, stretch, float(colour)))
    stretch = float(np.clip(rng.normal(1.0, 0.15), 0.6, 1.6))
    # Most of type II have a plateau, some decline.
    decline = abs(rng.normal(0, 0.012)) if kind == "II" else 0.0
    heat, dust = float(np.clip(rng.normal(1, 0.1), 0.7, 1.4)), rng.exponential(DUST)
    return Explosion(
        kind,
        redshift,
        peak,
        lambda t, nm: core_collapse(kind, t, nm, stretch, decline, heat, dust),
    )
