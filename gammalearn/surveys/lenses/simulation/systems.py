"""Systems: massive galaxies, and sources behind them whose images are far enough apart.

Brightnesses follow Bernardi et al. (2003), and lenses are chosen as by Collett (2015): sources are
magnified 3 times or more, and so much that their arcs are longer than the point spread.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from ...galaxies.population import Galaxies, by_volume, galaxies_of, shares_of
from ...galaxies.spectra import BANDS, Spectra
from .lensing import einstein_radius

__all__ = ["SOURCE_REDSHIFT", "Sources", "Systems", "systems"]

#: Velocity dispersions (km / s), all as often: massive galaxies are rare, and from few examples a
#: network learns nothing of large lenses (Canameras et al. 2020).
DISPERSIONS = (180.0, 380.0)

#: Magnitude in r at rest of a dispersion of 160 km / s, its slope and scatter (Bernardi et al.
#: 2003), and how much brighter galaxies were at a redshift of 1.
BRIGHTNESS, BRIGHTER, SCATTER, EVOLUTION = -21.15, 9.8, 0.3, 0.85

#: How sizes of early types depend on 1 + z (van der Wel et al. 2014), from the redshift where they
#: are known.
SIZE_EVOLUTION, SIZES_REDSHIFT = -1.48, 0.1

#: Redshifts of the lenses, and the largest Einstein radius (arcsec): larger ones are of groups.
LENS_REDSHIFT, LARGEST = (0.2, 0.8), 2.8

#: Redshifts of the sources: the scale of z^2 exp(-(z / scale)^1.5), and the largest.
SOURCE_SCALE, SOURCE_REDSHIFT = 0.9, 2.5

#: Magnitudes in r of the sources without a lens, whose number rises as 10^(slope m).
BRIGHT, FAINT, COUNTS_SLOPE = 21.5, 25.5, 0.3

#: Least magnification, and width at half maximum (arcsec) that arcs are longer than.
MAGNIFIED, RESOLVED = 3.0, 0.83

#: Scatter of the shear in each component, and of the mass about the light: axis ratio and angle.
SHEAR, RATIO_SPREAD, ANGLE_SPREAD = 0.035, 0.08, 0.15

#: Most clumps of a source.
N_CLUMPS = 3


@dataclass(frozen=True)
class Sources:
    """Galaxies behind others: a Sersic profile and some clumps of new stars.

    Attributes
    ----------
    place : ndarray, shape (n, 2)
        Columns and rows from the lens, in arcsec.
    flux : ndarray, shape (n, n_bands)
        Without a lens, in units of the flux of magnitude 0 (AB).
    radius, axis_ratio, angle, index : ndarray, shape (n,)
        Of half of the light (arcsec), of its ellipse, of its long axis (rad), and of the profile.
    clumps : ndarray, shape (n, N_CLUMPS, 2)
        Their places from the middle of the source, in units of the radius.
    in_clumps : ndarray, shape (n, N_CLUMPS)
        Part of the light in each; 0 for none.
    """

    place: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    index: np.ndarray
    clumps: np.ndarray
    in_clumps: np.ndarray


@dataclass(frozen=True)
class Systems:
    """Massive galaxies with sources behind them.

    Attributes
    ----------
    galaxies : Galaxies
        In front.
    sources : Sources
    einstein_radius : ndarray, shape (n,)
        In arcsec.
    axis_ratio, angle : ndarray, shape (n,)
        Of the mass.
    shear : ndarray, shape (n, 2)
    """

    galaxies: Galaxies
    sources: Sources
    einstein_radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    shear: np.ndarray

    def __len__(self) -> int:
        return len(self.einstein_radius)

    def select(self, rows: np.ndarray | slice) -> "Systems":
        """Some of them."""
        sources = [getattr(self.sources, one.name)[rows] for one in fields(Sources)]
        others = [getattr(self, one.name)[rows] for one in fields(Systems)[2:]]
        return Systems(self.galaxies.select(rows), Sources(*sources), *others)

    @classmethod
    def joined(cls, parts: "list[Systems]") -> "Systems":
        """All of several."""

        def of(kind: type, some: list) -> list[np.ndarray]:
            names = [one.name for one in fields(kind)]
            return [np.concatenate([getattr(one, name) for one in some]) for name in names]

        galaxies = Galaxies(*of(Galaxies, [part.galaxies for part in parts]))
        sources = Sources(*of(Sources, [part.sources for part in parts]))
        names = [one.name for one in fields(Systems)[2:]]
        return cls(
            galaxies, sources, *(np.concatenate([getattr(p, n) for p in parts]) for n in names)
        )


def systems(number: int, smallest: float, spectra: Spectra, rng: np.random.Generator) -> Systems:
    """About as many systems as wanted, all with a larger Einstein radius than the smallest.

    Parameters
    ----------
    number : int
        Of candidates.
    smallest : float
        Einstein radius, in arcsec.
    spectra : Spectra
        To `SOURCE_REDSHIFT`.
    rng : numpy.random.Generator
    """
    redshift = by_volume(number, LENS_REDSHIFT[1], rng, LENS_REDSHIFT[0])
    dispersion = rng.uniform(*DISPERSIONS, number)
    behind = _source_redshifts(number, rng)
    radius = einstein_radius(dispersion, redshift, behind)
    chosen = (radius > smallest) & (radius < LARGEST)
    redshift, dispersion, behind, radius = (
        values[chosen] for values in (redshift, dispersion, behind, radius)
    )
    n = len(radius)
    magnitude = BRIGHTNESS - BRIGHTER * np.log10(dispersion / 160) - EVOLUTION * redshift
    magnitude += rng.normal(0, SCATTER, n)
    some = galaxies_of(redshift, magnitude, np.ones(n, dtype=bool), spectra, rng)
    # They are no discs that are seen from the side, and their mass follows their light.
    smaller = ((1 + redshift) / (1 + SIZES_REDSHIFT)) ** SIZE_EVOLUTION
    some = replace(
        some,
        axis_ratio=np.repeat(some.axis_ratio[:, :1], 2, axis=1),
        radius=some.radius * smaller[:, None],
    )
    ratio = np.clip(some.axis_ratio[:, 0] + rng.normal(0, RATIO_SPREAD, n), 0.4, 1.0)
    angle = some.angle + rng.normal(0, ANGLE_SPREAD, n)
    shear = rng.normal(0, SHEAR, (n, 2))
    return Systems(some, _sources(behind, radius, spectra, rng), radius, ratio, angle, shear)


def _source_redshifts(number: int, rng: np.random.Generator) -> np.ndarray:
    grid = np.linspace(0.3, SOURCE_REDSHIFT, 1000)
    cumulative = np.cumsum(grid**2 * np.exp(-((grid / SOURCE_SCALE) ** 1.5)))
    return np.interp(rng.random(number), cumulative / cumulative[-1], grid)


def _sources(
    redshift: np.ndarray, radius: np.ndarray, spectra: Spectra, rng: np.random.Generator
) -> Sources:
    n = len(redshift)
    rise = 10 ** (COUNTS_SLOPE * (FAINT - BRIGHT))
    magnitude = BRIGHT + np.log10(1 + rng.random(n) * (rise - 1)) / COUNTS_SLOPE
    # Galaxies form most of their stars at these redshifts.
    shares = shares_of(
        {
            "old": 0.1 * rng.gamma(2.0, 0.5, n),
            "young": rng.gamma(1.5, 0.3, n),
            "star_forming": rng.gamma(2.5, 0.5, n),
            "starburst": rng.exponential(0.3, n),
        }
    )
    colour = spectra.of(shares, rng.exponential(0.08, n), redshift, np.zeros(n))
    flux = colour / colour[:, [BANDS.index("r")]] * 10 ** (-0.4 * magnitude[:, None])
    # Faint galaxies are small.
    size = 0.28 * 10 ** (-0.08 * (magnitude - 24)) * np.exp(rng.normal(0, 0.35, n))
    # A sphere magnifies 2 Einstein radii / distance times.
    within = 2 / np.maximum(MAGNIFIED, RESOLVED / size)
    apart = within * radius * np.sqrt(rng.random(n))
    direction = rng.uniform(0, 2 * np.pi, n)
    n_clumps = rng.integers(N_CLUMPS + 1, size=n)
    in_clumps = rng.uniform(0.03, 0.15, (n, N_CLUMPS)) * (np.arange(N_CLUMPS) < n_clumps[:, None])
    return Sources(
        np.stack([apart * np.cos(direction), apart * np.sin(direction)], axis=1),
        flux,
        size,
        rng.uniform(0.3, 1.0, n),
        rng.uniform(0, np.pi, n),
        rng.uniform(0.7, 2.0, n),
        rng.normal(0, 0.8, (n, N_CLUMPS, 2)),
        in_clumps,
    )
