"""Simulated catalogues of lenses and of galaxies that look alike."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ....settings.surveys import SimulatedLenses
from ...catalogue import Catalogue
from ...galaxies.drawn import DrawnCutouts
from ...galaxies.images import Painted, Scene, Seeing, neighbours, observed, scene_of, see
from ...galaxies.photometry import EXTINCTION
from ...galaxies.population import Galaxies, by_volume, galaxies_of
from ...galaxies.spectra import Spectra
from ..types import LENS
from .arcs import arcs, significance
from .imposters import IMPOSTERS, KINDS, Field
from .systems import SOURCE_REDSHIFT, Systems, systems
from .telescope import LSST

__all__ = ["SimulatedCutouts", "simulate"]

#: Mean E(B-V) of the Milky Way, exponentially distributed.
MILKY_WAY = 0.05

#: Scatter of the place of a galaxy in its cut-out, in pixels.
OFF_CENTRE = 0.4

#: Candidates at a time, and galaxies that spirals are taken from.
AT_A_TIME, N_SPIRALS = 4000, 4000

#: Redshifts and absolute magnitudes in r of spirals.
SPIRAL_REDSHIFT, SPIRAL_BRIGHTNESS = (0.05, 0.35), (-22.7, -20.5)


@dataclass(frozen=True)
class SimulatedCutouts(DrawnCutouts):
    """Cut-outs of lenses, and of galaxies that look alike.

    Attributes
    ----------
    systems : Systems
        Those of the lenses; of the others, the galaxies alone are used.
    kind : ndarray of str
        ``lens``, or one of `KINDS`.
    spirals : Galaxies
    centre : ndarray, shape (n, 2)
        Columns and rows of the galaxies from the middle, in pixels.
    dust : ndarray, shape (n,)
        E(B-V) of the Milky Way.
    neighbours : float
        Mean number of other sources in a cut-out.
    """

    systems: Systems
    kind: np.ndarray
    spirals: Galaxies
    centre: np.ndarray
    dust: np.ndarray
    neighbours: float

    def draw(self, row: int, rng: np.random.Generator) -> np.ndarray:
        dust = extinction(self.dust[row])
        scenes, painted = self._object(row, dust, rng)
        scenes.append(neighbours(self.neighbours, self.spirals, dust, LSST, rng))
        return observed(see(scenes, Seeing.drawn(LSST, rng), LSST, painted), LSST, rng)

    def _object(
        self, row: int, dust: np.ndarray, rng: np.random.Generator
    ) -> tuple[list[Scene], list[Painted]]:
        centre, kind = self.centre[row], self.kind[row]
        if kind == LENS:
            light = scene_of(self.systems.galaxies, row, dust, centre, LSST)
            return [light], [arcs(self.systems, row, dust, centre, LSST)]
        field = Field(self.systems.galaxies, self.spirals, self.systems.sources, LSST)
        return IMPOSTERS[kind](field, row, dust, centre, rng)


def extinction(dust: float) -> np.ndarray:
    """Extinction (mag) in the bands of LSST, which are near those of the SDSS."""
    return dust * np.array([EXTINCTION[band] for band in LSST.bands])


def simulate(settings: SimulatedLenses) -> Catalogue:
    """A catalogue of lenses and others; the images are drawn as they are read.

    Parameters
    ----------
    settings : SimulatedLenses

    Raises
    ------
    MissingPackageError
        If kcorrect or speclite is not installed.
    """
    rng = np.random.default_rng(settings.seed)
    spectra = Spectra.up_to(SOURCE_REDSHIFT)
    n = settings.n_objects
    kind = _kinds(n, settings.lens_fraction, rng)
    dust, centre = rng.exponential(MILKY_WAY, n), rng.normal(0, OFF_CENTRE, (n, 2))
    found, signal = _seen(dust, centre, settings, spectra, rng)
    spirals = _spirals(spectra, rng)
    is_lens = kind == LENS
    objects = Table(
        {
            "object_id": [f"galaxy-{settings.seed}-{number}" for number in range(n)],
            "ra": rng.uniform(0, 360, n),
            "dec": np.rad2deg(np.arcsin(rng.uniform(-1, 0, n))),
            "ebv": dust,
            "type": kind,
            "einstein_radius": np.where(is_lens, found.einstein_radius, np.nan),
            "arc_signal_to_noise": np.where(is_lens, signal, np.nan),
        }
    )
    none = np.empty(0)
    cutouts = SimulatedCutouts(
        np.arange(n),
        settings.seed,
        LSST,
        found,
        kind,
        spirals,
        centre,
        dust,
        settings.neighbours,
    )
    return Catalogue.build(
        objects,
        LSST.bands,
        *(none.astype(int), none, none.astype(int), none, none),
        cutouts=cutouts,
        pixel_scale=LSST.pixel_scale,
        survey="simulation (LSST)",
    )


def _kinds(n: int, lens_fraction: float, rng: np.random.Generator) -> np.ndarray:
    n_lenses = round(lens_fraction * n)
    others = rng.choice(list(KINDS), n - n_lenses, p=list(KINDS.values()))
    return rng.permutation(np.concatenate([np.repeat(LENS, n_lenses), others]))


def _seen(
    dust: np.ndarray,
    centre: np.ndarray,
    settings: SimulatedLenses,
    spectra: Spectra,
    rng: np.random.Generator,
) -> tuple[Systems, np.ndarray]:
    """Systems, of which the lenses have arcs that are bright enough, and their signal to noise.

    The others have the galaxies of such systems too: brightness alone tells nothing.
    """
    chosen: list[Systems] = []
    signal: list[float] = []
    while len(signal) < len(dust):
        some = systems(AT_A_TIME, settings.einstein_radius_min, spectra, rng)
        rows = []
        for row in range(len(some)):
            place = len(signal)
            if place == len(dust):
                break
            arc = arcs(some, row, extinction(dust[place]), centre[place], LSST)
            found = significance(arc, LSST)
            if found >= settings.signal_to_noise_min:
                rows.append(row)
                signal.append(found)
        chosen.append(some.select(np.array(rows, dtype=int)))
    return Systems.joined(chosen), np.array(signal)


def _spirals(spectra: Spectra, rng: np.random.Generator) -> Galaxies:
    redshift = by_volume(N_SPIRALS, SPIRAL_REDSHIFT[1], rng, SPIRAL_REDSHIFT[0])
    magnitude = rng.uniform(*SPIRAL_BRIGHTNESS, N_SPIRALS)
    return galaxies_of(redshift, magnitude, np.zeros(N_SPIRALS, dtype=bool), spectra, rng)
