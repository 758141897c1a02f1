"""Galaxies of a survey: redshift, brightness, size, bulge and disc, and their spectra.

Published relations of the SDSS: luminosities of Blanton et al. (2003), sizes of Shen et al. (2003).
"""

from dataclasses import dataclass, fields

import numpy as np

from ..cosmology import comoving_distance, distance_modulus
from .spectra import TEMPLATES, Spectra

__all__ = ["Galaxies", "by_volume", "galaxies", "galaxies_of", "shares_of"]

#: Luminosity function in r (Blanton et al. 2003, for h = 0.7): magnitude, slope, evolution (mag for
#: a redshift of 1), and the faintest magnitude.
BRIGHTNESS, SLOPE, EVOLUTION, FAINTEST = -21.2, -1.05, 1.6, -16.5

#: Thickness of discs.
THICKNESS = 0.2

#: Median E(B-V) of a disc seen from above (mag), and its spread (natural logarithm).
DUST, DUST_SPREAD = 0.06, 0.6

#: Part of the disc's dust that is in front of the bulge.
BEFORE_BULGE = 0.5

#: Scatter of the sizes, in natural logarithms (Shen et al. 2003).
SIZE_SPREAD = 0.3

#: Candidates at a time.
AT_A_TIME = 200_000

#: pc in a radian of 1 arcsec.
ARCSEC = np.pi / 180 / 3600


@dataclass(frozen=True)
class Galaxies:
    """Some galaxies.

    Attributes
    ----------
    redshift : ndarray, shape (n,)
    flux : ndarray, shape (n, 2, n_bands)
        Of bulge and disc, in units of the flux of magnitude 0 (AB).
    radius : ndarray, shape (n, 2)
        Of half of the light of bulge and disc, in arcsec.
    axis_ratio : ndarray, shape (n, 2)
    angle : ndarray, shape (n,)
        Of the long axis, in rad.
    """

    redshift: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray

    def __len__(self) -> int:
        return len(self.redshift)

    def select(self, rows: np.ndarray | slice) -> "Galaxies":
        """Some of them."""
        return Galaxies(*(getattr(self, one.name)[rows] for one in fields(self)))


def galaxies(
    number: int, limit: float, redshift_max: float, spectra: Spectra, rng: np.random.Generator
) -> Galaxies:
    """Galaxies brighter than a magnitude.

    Parameters
    ----------
    number : int
    limit : float
        Magnitude in r.
    redshift_max : float
    spectra : Spectra
        To that redshift.
    rng : numpy.random.Generator
    """
    parts: list[Galaxies] = []
    n_found = 0
    while n_found < number:
        redshift = by_volume(AT_A_TIME, redshift_max, rng)
        magnitude = _magnitudes(AT_A_TIME, rng) - EVOLUTION * (redshift - 0.1)
        # Redshift makes galaxies fainter in r, but for the bluest a little.
        near = magnitude + distance_modulus(redshift) < limit + 0.3
        # Bright galaxies are more often of an early type.
        chance = np.clip(0.35 + 0.15 * (-20 - magnitude[near]), 0.1, 0.8)
        early = rng.random(int(near.sum())) < chance
        some = galaxies_of(redshift[near], magnitude[near], early, spectra, rng)
        bright = -2.5 * np.log10(some.flux[:, :, 2].sum(axis=1)) < limit
        parts.append(some.select(bright))
        n_found += int(bright.sum())
    joined = [np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Galaxies)]
    return Galaxies(*joined).select(slice(number))


def by_volume(
    number: int, largest: float, rng: np.random.Generator, smallest: float = 0.01
) -> np.ndarray:
    """Redshifts by the volume (comoving, flat space)."""
    grid = np.linspace(smallest, largest, 1000)
    distance = comoving_distance(grid)
    part = rng.uniform((distance[0] / distance[-1]) ** 3, 1, number)
    return np.interp(part, (distance / distance[-1]) ** 3, grid)


def _magnitudes(number: int, rng: np.random.Generator) -> np.ndarray:
    """By the function of Schechter (1976)."""
    grid = np.linspace(BRIGHTNESS - 3.0, FAINTEST, 1000)
    light = 10 ** (-0.4 * (grid - BRIGHTNESS))
    cumulative = np.cumsum(light ** (SLOPE + 1) * np.exp(-light))
    return np.interp(rng.random(number), cumulative / cumulative[-1], grid)


def _radius_early(magnitude: np.ndarray) -> np.ndarray:
    """Half-light radius (kpc) of early types (Shen et al. 2003, eq. 14 and table 1)."""
    return 10 ** (-0.4 * 0.60 * magnitude - 4.63)


def _radius_late(magnitude: np.ndarray) -> np.ndarray:
    """Half-light radius (kpc) of late types (Shen et al. 2003, eq. 15 and table 1)."""
    fainter = 1 + 10 ** (-0.4 * (magnitude + 20.91))
    return 10 ** (-0.4 * 0.21 * magnitude + (0.53 - 0.21) * np.log10(fainter) - 1.53)


def galaxies_of(
    redshift: np.ndarray,
    magnitude: np.ndarray,
    early: np.ndarray,
    spectra: Spectra,
    rng: np.random.Generator,
) -> Galaxies:
    """Galaxies of some redshifts, absolute magnitudes and types.

    Parameters
    ----------
    redshift, magnitude : ndarray, shape (n,)
        The magnitude is that in r at rest, without dust.
    early : ndarray of bool, shape (n,)
        Whether it is of an early type.
    spectra : Spectra
    rng : numpy.random.Generator
    """
    n = len(redshift)
    bulge = np.where(early, rng.beta(4, 1.5, n), rng.beta(1, 5, n))
    face_on = rng.random(n)
    disc_ratio = np.sqrt(face_on**2 * (1 - THICKNESS**2) + THICKNESS**2)
    above = DUST * np.exp(DUST_SPREAD * rng.standard_normal(n)) * np.where(early, 0.3, 1.0)
    # The way through the disc, of which stars in it have a part before them.
    dust = above * disc_ratio**-0.8
    old, young = _bulges(early, rng), _discs(early, rng)
    flux = np.stack(
        [
            spectra.of(old, BEFORE_BULGE * dust, redshift, magnitude - 2.5 * np.log10(bulge)),
            spectra.of(young, dust, redshift, magnitude - 2.5 * np.log10(1 - bulge)),
        ],
        axis=1,
    )
    kpc = np.stack(
        [
            _radius_early(magnitude - 2.5 * np.log10(np.maximum(bulge, 0.05))),
            _radius_late(magnitude) * np.where(early, 1.0, 1.0 + 0.3 * (1 - bulge)),
        ],
        axis=1,
    ) * np.exp(SIZE_SPREAD * rng.standard_normal((n, 1)))
    distance = comoving_distance(redshift) / (1 + redshift)
    return Galaxies(
        redshift,
        flux,
        1e3 * kpc / (distance * ARCSEC)[:, None],
        np.stack([rng.uniform(0.6, 1.0, n), disc_ratio], axis=1),
        rng.uniform(0, np.pi, n),
    )


def shares_of(weights: dict[str, np.ndarray]) -> np.ndarray:
    """Parts of the templates, shape (n, n_templates)."""
    n = len(next(iter(weights.values())))
    values = np.stack([weights.get(name, np.zeros(n)) for name in TEMPLATES], axis=1)
    return values / values.sum(axis=1, keepdims=True)


def _bulges(early: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Old stars, and in some a few that are younger."""
    n = len(early)
    younger = rng.exponential(np.where(early, 0.02, 0.08))
    return shares_of({"red": rng.beta(4, 1.5, n), "old": rng.beta(1.5, 4, n), "young": younger})


def _discs(early: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stars of all ages; discs of early types have few young ones."""
    n = len(early)
    scale = np.where(early, 0.2, 1.0)
    return shares_of(
        {
            "old": rng.gamma(2.0, 0.5, n),
            "young": scale * rng.gamma(1.5, 0.3, n),
            "star_forming": scale * rng.gamma(2.5, 0.5, n),
            "starburst": scale * rng.exponential(0.03, n),
        }
    )
