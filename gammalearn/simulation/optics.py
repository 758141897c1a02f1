"""What all showers of a pointing share: the telescopes' figures as tables, and directions.

For compiled code: the light that each kind of telescope sees from each height, its point spread
and the pixel at each offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from ctapipe.coordinates import TelescopeFrame
from scipy.spatial import cKDTree

from .atmosphere import thickness, transmission
from .light import HEIGHT_STEP, N_HEIGHTS, Light
from .telescopes import TelescopeModel

__all__ = ["Optics", "direction", "pixel_map", "pointing_axes"]

#: Fine-structure constant.
ALPHA = 7.2973525693e-3

#: Cells of the pixel map along each side: a sixteenth of a pixel on cameras of 1855 pixels.
MAP_SIDE = 800


@dataclass(frozen=True, eq=False)
class Optics:
    """What all showers share: the telescopes' figures at one pointing, as tables.

    Parameters
    ----------
    yields : ndarray (n_kinds, N_HEIGHTS)
        Photoelectrons per metre and sin² of the Cherenkov angle, against height of emission.
    psf : ndarray (n_kinds, 2)
        Point spread on axis (rad) and its growth (rad per rad).
    delay : ndarray (n_kinds,)
        Of the mirror's edge (ns per m² of radius squared).
    half : ndarray (n_kinds,)
        Half-width of the pixel maps (rad).
    pixels : ndarray (n_kinds, MAP_SIDE, MAP_SIDE) of int16
        Pixel at each offset (lat, lon), -1 where there is none.
    axes : ndarray (3, 3)
        Unit vectors of growing altitude, growing azimuth and of the pointing, ground frame.
    observation_height : float
        In m above sea level.
    """

    yields: np.ndarray
    psf: np.ndarray
    delay: np.ndarray
    half: np.ndarray
    pixels: np.ndarray
    axes: np.ndarray
    observation_height: float

    @classmethod
    def of(
        cls,
        models: Sequence[TelescopeModel],
        alt: float,
        az: float,
        observation_height: float,
        absorption: bool = True,
    ) -> "Optics":
        """Work out the tables of some telescope models, all pointing to (alt, az) (rad).

        Without absorption, all light reaches the telescopes, as in the photon lists of CORSIKA.
        """
        heights = HEIGHT_STEP * np.arange(N_HEIGHTS)
        yields, maps, halves = [], [], []
        for model in models:
            wavelength = np.linspace(model.wavelength[0], model.wavelength[-1], 901)
            spectrum = (
                np.interp(wavelength, model.wavelength, model.efficiency)
                / wavelength**2
                * np.ones((N_HEIGHTS, 1))
            )
            if absorption:
                spectrum *= transmission(
                    wavelength, heights, observation_height, zenith=0.5 * np.pi - alt
                )
            # Frank and Tamm: dN/dl = 2 pi alpha sin²(angle) * integral of dλ / λ² (nm to m).
            yields.append(2e9 * np.pi * ALPHA * np.trapezoid(spectrum, wavelength, axis=1))
            half, pixels = pixel_map(model)
            halves.append(half)
            maps.append(pixels)
        return cls(
            yields=np.array(yields),
            psf=np.array([[model.psf_on_axis, model.psf_off_axis] for model in models]),
            delay=np.array(
                [model.delay(model.mirror_radius) / model.mirror_radius**2 for model in models]
            ),
            half=np.array(halves),
            pixels=np.array(maps),
            axes=pointing_axes(alt, az),
            observation_height=observation_height,
        )

    def light(
        self,
        positions: np.ndarray,
        radius: np.ndarray,
        kind: np.ndarray,
        weight: float,
        capacity: int,
    ) -> Light:
        """Mirrors without light yet: positions (n, 3) and radius (n,) in m, kind (n,)."""
        positions = np.asarray(positions, dtype=float)
        n = len(positions)
        x, y, z = (np.ascontiguousarray(positions[:, i]) for i in range(3))
        return Light(
            x,
            y,
            z,
            np.asarray(radius, dtype=float),
            np.asarray(kind, dtype=np.int64),
            self.yields,
            self.psf,
            self.delay,
            self.half,
            self.pixels,
            self.axes,
            float(self.observation_height),
            float(thickness(self.observation_height)),
            float(weight),
            np.empty(capacity, dtype=np.int32),
            np.empty(capacity, dtype=np.int16),
            np.empty(capacity),
            np.zeros(1, dtype=np.int64),
            np.zeros(n),
            np.ones(1),
        )


def direction(alt: float | np.ndarray, az: float | np.ndarray) -> np.ndarray:
    """Return the unit vector towards (alt, az) (rad): north, west, up; shape (..., 3)."""
    return np.stack([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)], axis=-1)


def pointing_axes(alt: float, az: float) -> np.ndarray:
    """Return unit vectors of growing altitude, of growing azimuth and of (alt, az); (3, 3)."""
    up = direction(alt + 0.5 * np.pi, az)
    side = np.array([-np.sin(az), -np.cos(az), 0.0])
    return np.stack([up, side, direction(alt, az)])


@cache
def pixel_map(model: TelescopeModel) -> tuple[float, np.ndarray]:
    """Return the half-width (rad) of a camera's map and the pixel in each of its cells.

    Offsets are those of ctapipe's telescope frame, so that an image lies where ctapipe looks.
    """
    geometry = model.description.camera.geometry.transform_to(TelescopeFrame())
    centres = np.column_stack([geometry.pix_y.to_value("rad"), geometry.pix_x.to_value("rad")])
    reach = 0.5 * geometry.pixel_width.max().to_value("rad") / np.cos(np.pi / 6)
    half = float(np.abs(centres).max() + reach)
    cells = (np.arange(MAP_SIDE) + 0.5) / MAP_SIDE * 2.0 * half - half
    offsets = np.stack(np.meshgrid(cells, cells, indexing="ij"), axis=-1)
    distance, nearest = cKDTree(centres).query(offsets.reshape(-1, 2))
    pixels = np.where(distance <= reach, nearest, -1)
    return half, pixels.reshape(MAP_SIDE, MAP_SIDE).astype(np.int16)
