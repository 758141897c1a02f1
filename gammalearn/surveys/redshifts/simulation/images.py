"""Images: what a telescope sees of galaxies and their neighbours, made in Fourier space."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.fft import irfft2

from ...catalogue import ZERO_POINT
from .galaxies import Galaxies
from .profiles import mixture
from .spectra import BANDS, star

__all__ = ["PIXEL_SCALE", "Scene", "Seeing", "neighbours", "noise_of_sky", "scene_of", "see"]

#: Size (arcsec) of a pixel of the SDSS, and pixels of the image of which a cut-out is the middle:
#: Fourier space has no edges, so that light would come in again at the other side.
PIXEL_SCALE, N_PIXELS, N_PADDED = 0.396, 64, 96

#: Magnitude of five standard deviations of a point source (SDSS), in a seeing of 1.3 arcsec.
DEPTH = {"u": 22.15, "g": 23.13, "r": 22.70, "i": 22.20, "z": 20.71}

#: Electrons that a flux of 1 (zero point 27.5 mag) makes, about as in the SDSS.
ELECTRONS = {"u": 1.3, "g": 8.0, "r": 9.0, "i": 6.5, "z": 1.2}

#: Median width at half maximum (arcsec) in r, its spread, and that of a band relative to r.
WIDTH, WIDTH_SPREAD = 1.3, 0.1
WIDER = {"u": 1.11, "g": 1.06, "r": 1.0, "i": 0.97, "z": 0.97}

#: Part of the light in wings of the point spread, and how much wider they are.
WINGS, WING_WIDTH = np.float32(0.1), np.float32(2.5)

#: Magnitudes in r of neighbours, whose number rises as 10^(slope m), and how many are stars.
BRIGHT, FAINT, COUNTS_SLOPE, STARS = 16.5, 23.0, 0.33, 0.4


@dataclass(frozen=True)
class Scene:
    """The sources of one image.

    Attributes
    ----------
    kind : list of str
        ``bulge``, ``disc`` or ``star``.
    flux : ndarray, shape (n_sources, n_bands)
        Zero point `ZERO_POINT`.
    position : ndarray, shape (n_sources, 2)
        Columns and rows from the middle, in pixels.
    shape : ndarray, shape (n_sources, 2, 2)
        Matrix of the ellipse of half of the light, in pixels squared.
    """

    kind: list[str]
    flux: np.ndarray
    position: np.ndarray
    shape: np.ndarray


@dataclass(frozen=True)
class Seeing:
    """Width at half maximum (arcsec) of the point spread in each band, shape (n_bands,)."""

    width: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Seeing":
        """That of a night: bands are seen one after the other."""
        wider = np.array([WIDER[band] for band in BANDS])
        common, own = rng.normal(0, WIDTH_SPREAD), rng.normal(0, 0.03, len(BANDS))
        return cls(WIDTH * wider * np.exp(common + own))


def ellipse(radius: np.ndarray, axis_ratio: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Matrices of ellipses with a long half axis, shape (n, 2, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    axes = np.stack([radius, radius * axis_ratio], -1) ** 2
    return np.einsum("nij,nj,nkj->nik", turn, axes, turn)


def scene_of(galaxies: Galaxies, row: int, dust: np.ndarray, offset: np.ndarray) -> Scene:
    """One galaxy.

    Parameters
    ----------
    galaxies : Galaxies
    row : int
    dust : ndarray, shape (n_bands,)
        Extinction of the Milky Way in each band, mag.
    offset : ndarray, shape (2,)
        From the middle, in pixels.
    """
    # The radius is that of the circle with the same area.
    radius = galaxies.radius[row] / np.sqrt(galaxies.axis_ratio[row]) / PIXEL_SCALE
    angle = np.repeat(galaxies.angle[row], 2)
    return Scene(
        ["bulge", "disc"],
        galaxies.flux[row] * 10 ** (0.4 * (ZERO_POINT - dust)),
        np.stack([offset, offset]),
        ellipse(radius, galaxies.axis_ratio[row], angle),
    )


@cache
def _stars() -> tuple[np.ndarray, np.ndarray]:
    temperature = np.geomspace(2800, 9000, 60)
    return temperature, star(temperature)


def neighbours(
    mean: float, galaxies: Galaxies, dust: np.ndarray, rng: np.random.Generator
) -> Scene:
    """Stars and galaxies that are in the image by chance.

    Parameters
    ----------
    mean : float
        Mean number of them in a cut-out, to `FAINT`.
    galaxies : Galaxies
        Whose colours they have.
    dust : ndarray, shape (n_bands,)
    rng : numpy.random.Generator
    """
    size = N_PIXELS + 16
    n = int(rng.poisson(mean * (size / N_PIXELS) ** 2))
    rise = 10 ** (COUNTS_SLOPE * (FAINT - BRIGHT))
    magnitude = BRIGHT + np.log10(1 + rng.random(n) * (rise - 1)) / COUNTS_SLOPE
    is_star = rng.random(n) < STARS
    whole = galaxies.flux[rng.integers(len(galaxies), size=n)].sum(axis=1)
    temperature, light = _stars()
    cool = rng.beta(1.2, 2.5, n)
    of_stars = light[(cool * len(temperature)).astype(int)]
    colour = np.where(is_star[:, None], of_stars, whole / whole[:, [BANDS.index("r")]])
    flux = colour * 10 ** (0.4 * (ZERO_POINT - magnitude[:, None] - dust))
    # Faint galaxies are small.
    radius = 0.8 * 10 ** (-0.12 * (magnitude - 21)) * np.exp(rng.normal(0, 0.3, n))
    shape = ellipse(radius / PIXEL_SCALE, rng.uniform(0.3, 1, n), rng.uniform(0, np.pi, n))
    kind = ["star" if one else "disc" for one in is_star]
    return Scene(kind, flux, rng.uniform(-size / 2, size / 2, (n, 2)), shape)


@cache
def _frequencies() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies of columns and rows (1 / pixel), and what a pixel's square does to each."""
    x = np.fft.rfftfreq(N_PADDED).astype(np.float32)
    y = np.fft.fftfreq(N_PADDED).astype(np.float32)
    return x, y, (np.sinc(y)[:, None] * np.sinc(x)).astype(np.float32)


def _source(kind: str, position: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """A source of a flux of 1 without a point spread, in Fourier space."""
    x, y, _ = _frequencies()
    # The middle of a cut-out of an even number of pixels is between two.
    column, row = -2j * np.pi * (position + (N_PADDED - 1) / 2)
    phase = np.exp(row * y).astype(np.complex64)[:, None] * np.exp(column * x).astype(np.complex64)
    if kind == "star":
        return phase.ravel()
    (xx, xy), (_, yy) = np.asarray(-2 * np.pi**2 * shape, dtype=np.float32)
    quadratic = (xx * x + (2 * xy) * y[:, None]) * x + (yy * y**2)[:, None]
    light = np.zeros_like(quadratic)
    for part, variance in zip(*mixture(kind), strict=True):
        light += np.float32(part) * np.exp(np.float32(variance) * quadratic)
    return (phase * light).ravel()


def see(scenes: list[Scene], seeing: Seeing) -> np.ndarray:
    """The image without noise, in units of the flux in a pixel.

    Parameters
    ----------
    scenes : list of Scene
    seeing : Seeing

    Returns
    -------
    ndarray of float32, shape (n_bands, 64, 64)
    """
    sources = [
        _source(*one)
        for scene in scenes
        for one in zip(scene.kind, scene.position, scene.shape, strict=True)
    ]
    flux = np.concatenate([scene.flux for scene in scenes]).astype(np.complex64)
    x, y, pixel = _frequencies()
    light = (flux.T @ np.stack(sources)).reshape(len(BANDS), len(y), len(x))
    squared = (-2 * np.pi**2) * (x**2 + y[:, None] ** 2)
    for number, width in enumerate(seeing.width):
        variance = np.float32((width / PIXEL_SCALE) ** 2 / (8 * np.log(2)))
        core, wings = np.exp(variance * squared), np.exp(variance * WING_WIDTH**2 * squared)
        light[number] *= ((1 - WINGS) * core + WINGS * wings) * pixel
    edge = (N_PADDED - N_PIXELS) // 2
    image = irfft2(light, s=(N_PADDED, N_PADDED), overwrite_x=True)
    return image[:, edge : edge + N_PIXELS, edge : edge + N_PIXELS]


def noise_of_sky() -> np.ndarray:
    """Standard deviation of a pixel without a source, shape (n_bands,).

    A Gaussian point spread has the noise of 4 pi sigma^2 pixels (King 1983); the depth is that of
    the median seeing.
    """
    depth = np.array([DEPTH[band] for band in BANDS])
    sigma = WIDTH / PIXEL_SCALE / np.sqrt(8 * np.log(2))
    return 10 ** (0.4 * (ZERO_POINT - depth)) / 5 / np.sqrt(4 * np.pi * sigma**2)
