"""Arcs: images of sources behind a lens, by shooting rays from all points of a cut-out."""

import numpy as np
from scipy.special import gamma

from ...catalogue import ZERO_POINT
from ...galaxies.images import Camera, Painted, Seeing, noise_of_sky, see
from .canvas import FINER, on_canvas, place_on_canvas
from .lensing import Deflector
from .systems import Sources, Systems

__all__ = ["arcs", "brightness", "sersic", "significance"]

#: Radius of a clump, as a part of that of its source.
CLUMP = 0.2


def sersic(radius: np.ndarray, index: float) -> np.ndarray:
    """Brightness for a flux of 1 and a half-light radius of 1 (Graham & Driver 2005, eq. 1 and 4).

    Parameters
    ----------
    radius : ndarray
        In units of that of half of the light.
    index : float
        0.5 or more.
    """
    # Ciotti & Bertin (1999), eq. 18.
    b = 2 * index - 1 / 3 + 4 / (405 * index) + 46 / (25515 * index**2)
    whole = 2 * np.pi * index * b ** (-2 * index) * gamma(2 * index)
    return np.exp(-b * radius ** (1 / index)) / whole


def brightness(sources: Sources, row: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Brightness of a source of a flux of 1, per arcsec squared.

    Parameters
    ----------
    sources : Sources
    row : int
    x, y : ndarray
        Columns and rows from the middle of the lens, in arcsec.
    """
    x, y = x - sources.place[row, 0], y - sources.place[row, 1]
    cos, sin = np.cos(sources.angle[row]), np.sin(sources.angle[row])
    size, ratio = sources.radius[row], np.sqrt(sources.axis_ratio[row])
    long, short = (cos * x + sin * y) / size * ratio, (cos * y - sin * x) / size / ratio
    in_clumps = sources.in_clumps[row]
    light = (1 - in_clumps.sum()) * sersic(np.hypot(long, short), sources.index[row])
    for part, (column, line) in zip(in_clumps, sources.clumps[row], strict=True):
        if part:
            squared = ((long - column) ** 2 + (short - line) ** 2) / CLUMP**2
            light += part / (2 * np.pi * CLUMP**2) * np.exp(-squared / 2)
    return light / size**2


def arcs(
    systems: Systems, row: int, dust: np.ndarray, centre: np.ndarray, camera: Camera
) -> Painted:
    """The images of the source of a system.

    Parameters
    ----------
    systems : Systems
    row : int
    dust : ndarray, shape (n_bands,)
        Extinction of the Milky Way, mag.
    centre : ndarray, shape (2,)
        Of the lens from the middle of the cut-out, in pixels.
    camera : Camera
    """
    lens = Deflector(
        float(systems.einstein_radius[row]),
        float(systems.axis_ratio[row]),
        float(systems.angle[row]),
        (float(systems.shear[row, 0]), float(systems.shear[row, 1])),
    )
    x, y = lens.source_of(*place_on_canvas(camera, centre))
    # Brightness is what a lens keeps.
    light = brightness(systems.sources, row, x, y) * (camera.pixel_scale / FINER) ** 2
    flux = systems.sources.flux[row, camera.columns] * 10 ** (0.4 * (ZERO_POINT - dust))
    return on_canvas(light, flux, camera)


def significance(arc: Painted, camera: Camera) -> float:
    """Signal to noise of arcs in the band where it is largest, in the median seeing.

    As that of Collett (2015): the light in all pixels where it is above the noise of the sky,
    divided by the noise of so many pixels.

    Parameters
    ----------
    arc : Painted
    camera : Camera
    """
    noise = noise_of_sky(camera)[:, None, None]
    above = see([], Seeing(np.array(camera.width)), camera, [arc]) / noise
    seen = above > 1
    number = np.maximum(seen.sum(axis=(1, 2)), 1)
    return float(((above * seen).sum(axis=(1, 2)) / np.sqrt(number)).max())
