"""Canvas: light of any shape on a grid finer than the pixels."""

from functools import cache

import numpy as np

from ...galaxies.images import Camera, Painted

__all__ = ["FINER", "on_canvas", "place_on_canvas"]

#: Points of a pixel along one side.
FINER = 3


@cache
def _points(n_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    place = (np.arange(n_pixels * FINER) + 0.5) / FINER - n_pixels / 2
    x, y = np.meshgrid(place, place)
    return x.astype(np.float32), y.astype(np.float32)


def place_on_canvas(camera: Camera, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the points of a cut-out from a centre, in arcsec.

    Parameters
    ----------
    camera : Camera
    centre : ndarray, shape (2,)
        Columns and rows from the middle, in pixels.

    Returns
    -------
    x, y : ndarray, shape (n_points, n_points)
    """
    x, y = _points(camera.n_pixels)
    return (x - centre[0]) * camera.pixel_scale, (y - centre[1]) * camera.pixel_scale


def on_canvas(light: np.ndarray, flux: np.ndarray, camera: Camera) -> Painted:
    """Light of the points, summed in pixels.

    Parameters
    ----------
    light : ndarray, shape (n_points, n_points)
        Part of the flux in each point.
    flux : ndarray, shape (n_bands,)
    camera : Camera
    """
    size, edge = camera.n_pixels, (camera.n_padded - camera.n_pixels) // 2
    image = np.zeros((camera.n_padded, camera.n_padded), dtype=np.float32)
    summed = light.reshape(size, FINER, size, FINER).sum(axis=(1, 3))
    image[edge : edge + size, edge : edge + size] = summed
    return Painted(image, flux)
