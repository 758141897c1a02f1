"""Simulated catalogues of galaxies with their cut-outs."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ....settings.surveys import SimulatedGalaxies
from ...catalogue import Catalogue
from ...galaxies.drawn import DrawnCutouts
from ...galaxies.images import Seeing, neighbours, observed, scene_of, see
from ...galaxies.photometry import EXTINCTION
from ...galaxies.population import Galaxies, galaxies
from ...galaxies.spectra import Spectra
from .telescope import SDSS

__all__ = ["SimulatedCutouts", "simulate"]

#: Mean E(B-V) of the Milky Way, exponentially distributed.
MILKY_WAY = 0.05

#: Scatter of the place of a galaxy in its cut-out, in pixels.
OFF_CENTRE = 0.3


@dataclass(frozen=True)
class SimulatedCutouts(DrawnCutouts):
    """Cut-outs of galaxies.

    Attributes
    ----------
    galaxies : Galaxies
    dust : ndarray, shape (n_galaxies,)
        E(B-V) of the Milky Way.
    neighbours : float
        Mean number of other sources in a cut-out.
    """

    galaxies: Galaxies
    dust: np.ndarray
    neighbours: float

    def draw(self, row: int, rng: np.random.Generator) -> np.ndarray:
        dust = self.dust[row] * np.array([EXTINCTION[band] for band in SDSS.bands])
        galaxy = scene_of(self.galaxies, row, dust, rng.normal(0, OFF_CENTRE, 2), SDSS)
        others = neighbours(self.neighbours, self.galaxies, dust, SDSS, rng)
        return observed(see([galaxy, others], Seeing.drawn(SDSS, rng), SDSS), SDSS, rng)


def simulate(settings: SimulatedGalaxies) -> Catalogue:
    """A catalogue of galaxies brighter than a magnitude; the images are drawn as they are read.

    Parameters
    ----------
    settings : SimulatedGalaxies

    Raises
    ------
    MissingPackageError
        If kcorrect or speclite is not installed.
    """
    rng = np.random.default_rng(settings.seed)
    spectra = Spectra.up_to(settings.redshift_max)
    n = settings.n_objects
    some = galaxies(n, settings.magnitude_limit, settings.redshift_max, spectra, rng)
    dust = rng.exponential(MILKY_WAY, n)
    objects = Table(
        {
            "object_id": [f"galaxy-{settings.seed}-{number}" for number in range(n)],
            "ra": rng.uniform(0, 360, n),
            "dec": np.rad2deg(np.arcsin(rng.uniform(0, 1, n))),
            "ebv": dust,
            "confirmed": np.ones(n, dtype=bool),
            "type": np.full(n, "galaxy"),
            "redshift": some.redshift,
        }
    )
    none = np.empty(0)
    return Catalogue.build(
        objects,
        SDSS.bands,
        *(none.astype(int), none, none.astype(int), none, none),
        cutouts=SimulatedCutouts(
            np.arange(n), settings.seed, SDSS, some, dust, settings.neighbours
        ),
        pixel_scale=SDSS.pixel_scale,
        survey="simulation (SDSS)",
    )
