"""Images: what a telescope sees of galaxies and their neighbours, made in Fourier space."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.fft import irfft2, rfft2

from ..catalogue import ZERO_POINT
from .population import Galaxies
from .profiles import mixture
from .spectra import BANDS, star

__all__ = [
    "Camera",
    "Painted",
    "Scene",
    "Seeing",
    "ellipse",
    "neighbours",
    "noise_of_sky",
    "observed",
    "scene_of",
    "see",
]

#: Part of the light in wings of the point spread, and how much wider they are.
WINGS, WING_WIDTH = np.float32(0.1), np.float32(2.5)

#: Brightest magnitude in r of neighbours, whose number rises as 10^(slope m).
BRIGHT, COUNTS_SLOPE = 16.5, 0.33


@dataclass(frozen=True)
class Camera:
    """A telescope with its camera and its exposures.

    Attributes
    ----------
    bands : tuple of str
        Some of `BANDS`, in their order.
    pixel_scale : float
        Size of a pixel, in arcsec.
    n_pixels, n_padded : int
        Pixels of a cut-out, and of the image of which it is the middle: Fourier space has no edges,
        so that light would come in again at the other side.
    depth : tuple of float
        Magnitude of five standard deviations of a point source, in each band.
    depth_width : tuple of float
        Width at half maximum (arcsec) of the point spread that the depth is for.
    electrons : tuple of float
        That a flux of 1 (zero point 27.5 mag) makes.
    width : tuple of float
        Median width at half maximum (arcsec) of the point spread.
    width_spread : float
        Its spread that all bands share, in natural logarithms.
    faintest : float
        Magnitude in r to which neighbours are seen.
    stars : float
        Fraction of stars among them.
    """

    bands: tuple[str, ...]
    pixel_scale: float
    n_pixels: int
    n_padded: int
    depth: tuple[float, ...]
    depth_width: tuple[float, ...]
    electrons: tuple[float, ...]
    width: tuple[float, ...]
    width_spread: float
    faintest: float
    stars: float

    @property
    def columns(self) -> list[int]:
        """Places of its bands in `BANDS`."""
        return [BANDS.index(band) for band in self.bands]


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
class Painted:
    """Light of any shape.

    Attributes
    ----------
    image : ndarray, shape (n_padded, n_padded)
        Part of the light in each pixel, without a point spread.
    flux : ndarray, shape (n_bands,)
        Zero point `ZERO_POINT`.
    """

    image: np.ndarray
    flux: np.ndarray


@dataclass(frozen=True)
class Seeing:
    """Width at half maximum (arcsec) of the point spread in each band, shape (n_bands,)."""

    width: np.ndarray

    @classmethod
    def drawn(cls, camera: Camera, rng: np.random.Generator) -> "Seeing":
        """That of a night: bands are seen one after the other."""
        common, own = rng.normal(0, camera.width_spread), rng.normal(0, 0.03, len(camera.bands))
        return cls(np.array(camera.width) * np.exp(common + own))


def ellipse(radius: np.ndarray, axis_ratio: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Matrices of ellipses with a long half axis, shape (n, 2, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    axes = np.stack([radius, radius * axis_ratio], -1) ** 2
    return np.einsum("nij,nj,nkj->nik", turn, axes, turn)


def scene_of(
    galaxies: Galaxies, row: int, dust: np.ndarray, offset: np.ndarray, camera: Camera
) -> Scene:
    """One galaxy.

    Parameters
    ----------
    galaxies : Galaxies
    row : int
    dust : ndarray, shape (n_bands,)
        Extinction of the Milky Way in each band, mag.
    offset : ndarray, shape (2,)
        From the middle, in pixels.
    camera : Camera
    """
    # The radius is that of the circle with the same area.
    radius = galaxies.radius[row] / np.sqrt(galaxies.axis_ratio[row]) / camera.pixel_scale
    angle = np.repeat(galaxies.angle[row], 2)
    return Scene(
        ["bulge", "disc"],
        galaxies.flux[row][:, camera.columns] * 10 ** (0.4 * (ZERO_POINT - dust)),
        np.stack([offset, offset]),
        ellipse(radius, galaxies.axis_ratio[row], angle),
    )


@cache
def _stars() -> tuple[np.ndarray, np.ndarray]:
    temperature = np.geomspace(2800, 9000, 60)
    return temperature, star(temperature)


def neighbours(
    mean: float, galaxies: Galaxies, dust: np.ndarray, camera: Camera, rng: np.random.Generator
) -> Scene:
    """Stars and galaxies that are in the image by chance.

    Parameters
    ----------
    mean : float
        Mean number of them in a cut-out, to the camera's faintest.
    galaxies : Galaxies
        Whose colours they have.
    dust : ndarray, shape (n_bands,)
    camera : Camera
    rng : numpy.random.Generator
    """
    size = camera.n_pixels + 16
    n = int(rng.poisson(mean * (size / camera.n_pixels) ** 2))
    rise = 10 ** (COUNTS_SLOPE * (camera.faintest - BRIGHT))
    magnitude = BRIGHT + np.log10(1 + rng.random(n) * (rise - 1)) / COUNTS_SLOPE
    is_star = rng.random(n) < camera.stars
    whole = galaxies.flux[rng.integers(len(galaxies), size=n)].sum(axis=1)
    temperature, light = _stars()
    cool = rng.beta(1.2, 2.5, n)
    of_stars = light[(cool * len(temperature)).astype(int)]
    colour = np.where(is_star[:, None], of_stars, whole / whole[:, [BANDS.index("r")]])
    flux = colour[:, camera.columns] * 10 ** (0.4 * (ZERO_POINT - magnitude[:, None] - dust))
    # Faint galaxies are small.
    radius = 0.8 * 10 ** (-0.12 * (magnitude - 21)) * np.exp(rng.normal(0, 0.3, n))
    shape = ellipse(radius / camera.pixel_scale, rng.uniform(0.3, 1, n), rng.uniform(0, np.pi, n))
    kind = ["star" if one else "disc" for one in is_star]
    return Scene(kind, flux, rng.uniform(-size / 2, size / 2, (n, 2)), shape)


@cache
def _frequencies(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies of columns and rows (1 / pixel), and what a pixel's square does to each."""
    x = np.fft.rfftfreq(size).astype(np.float32)
    y = np.fft.fftfreq(size).astype(np.float32)
    return x, y, (np.sinc(y)[:, None] * np.sinc(x)).astype(np.float32)


def _source(kind: str, position: np.ndarray, shape: np.ndarray, size: int) -> np.ndarray:
    """A source of a flux of 1 without a point spread, in Fourier space."""
    x, y, _ = _frequencies(size)
    # The middle of a cut-out of an even number of pixels is between two.
    column, row = -2j * np.pi * (position + (size - 1) / 2)
    phase = np.exp(row * y).astype(np.complex64)[:, None] * np.exp(column * x).astype(np.complex64)
    if kind == "star":
        return phase.ravel()
    (xx, xy), (_, yy) = np.asarray(-2 * np.pi**2 * shape, dtype=np.float32)
    quadratic = (xx * x + (2 * xy) * y[:, None]) * x + (yy * y**2)[:, None]
    light = np.zeros_like(quadratic)
    for part, variance in zip(*mixture(kind), strict=True):
        light += np.float32(part) * np.exp(np.float32(variance) * quadratic)
    return (phase * light).ravel()


def see(
    scenes: list[Scene], seeing: Seeing, camera: Camera, painted: Sequence[Painted] = ()
) -> np.ndarray:
    """The image without noise, in units of the flux in a pixel.

    Parameters
    ----------
    scenes : list of Scene
    seeing : Seeing
    camera : Camera
    painted : sequence of Painted
        What else there is.

    Returns
    -------
    ndarray of float32, shape (n_bands, n_pixels, n_pixels)
    """
    size = camera.n_padded
    x, y, pixel = _frequencies(size)
    sources = [
        _source(*one, size) * pixel.ravel()
        for scene in scenes
        for one in zip(scene.kind, scene.position, scene.shape, strict=True)
    ]
    # Pixels are painted: they need no further square.
    sources += [rfft2(one.image).astype(np.complex64).ravel() for one in painted]
    flux = np.concatenate([*(scene.flux for scene in scenes), *(one.flux[None] for one in painted)])
    light = flux.T.astype(np.complex64) @ np.stack(sources)
    light = light.reshape(len(camera.bands), len(y), len(x))
    squared = (-2 * np.pi**2) * (x**2 + y[:, None] ** 2)
    for number, width in enumerate(seeing.width):
        variance = np.float32((width / camera.pixel_scale) ** 2 / (8 * np.log(2)))
        core, wings = np.exp(variance * squared), np.exp(variance * WING_WIDTH**2 * squared)
        light[number] *= (1 - WINGS) * core + WINGS * wings
    edge = (size - camera.n_pixels) // 2
    image = irfft2(light, s=(size, size), overwrite_x=True)
    return image[:, edge : edge + camera.n_pixels, edge : edge + camera.n_pixels]


def noise_of_sky(camera: Camera) -> np.ndarray:
    """Standard deviation of a pixel without a source, shape (n_bands,).

    A Gaussian point spread has the noise of 4 pi sigma^2 pixels (King 1983); the depth is that of
    a seeing of ``depth_width``.
    """
    sigma = np.array(camera.depth_width) / camera.pixel_scale / np.sqrt(8 * np.log(2))
    flux = 10 ** (0.4 * (ZERO_POINT - np.array(camera.depth)))
    return flux / 5 / np.sqrt(4 * np.pi * sigma**2)


def observed(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """An image with the noise of the sky and of its own light.

    Parameters
    ----------
    light : ndarray, shape (n_bands, n_pixels, n_pixels)
    camera : Camera
    rng : numpy.random.Generator
    """
    electrons = np.array(camera.electrons, dtype=np.float32)[:, None, None]
    sky = noise_of_sky(camera).astype(np.float32)[:, None, None]
    deviation = np.sqrt(sky**2 + np.maximum(light, 0) / electrons)
    return light + deviation * rng.standard_normal(light.shape, dtype=np.float32)
