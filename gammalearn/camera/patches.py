"""Patches: groups of neighbouring pixels that cover a camera.

A patch is the lattice's own kernel: on a hexagonal lattice a pixel and the rings around it (seven
pixels for one ring), on a square one a square. Such patches cover the lattice without a gap or an
overlap::

     hexagonal          square

       o   o            o  o  o
     o   o   o          o  o  o
       o   o            o  o  o

At the edge of the camera a patch has fewer pixels.
"""

from dataclasses import dataclass

import numpy as np

from .grid import PixelGrid

__all__ = ["PixelPatches", "pixel_patches"]


@dataclass(frozen=True, eq=False)
class PixelPatches:
    """The patches of a camera.

    Attributes
    ----------
    number : ndarray of int64, shape (n_pixels,)
        Patch of each pixel, from 0 to n_patches - 1.
    place : ndarray of int64, shape (n_pixels,)
        Place of each pixel in its patch, the same for pixels that are in the same direction from
        the middle of their patches.
    n_places : int
        Pixels of a whole patch.
    """

    number: np.ndarray
    place: np.ndarray
    n_places: int

    @property
    def n_patches(self) -> int:
        """Number of patches."""
        return int(self.number.max()) + 1


def pixel_patches(grid: PixelGrid, radius: int = 1) -> PixelPatches:
    """Divide the pixels of a camera into patches.

    Parameters
    ----------
    grid : PixelGrid
    radius : int
        Reach of a patch around its middle, in pixels; 0 for single pixels.

    Returns
    -------
    PixelPatches
        One patch has its middle in the middle of the camera. Patches are numbered along the rows of
        the index matrix.
    """
    kernel = grid.kernel_members(radius)
    steps = np.argwhere(kernel) - radius
    basis = _basis(grid.lattice, radius)
    cells = np.column_stack([grid.rows, grid.cols])
    relative = cells - cells[_central(cells)]
    # Each cell is one step of the kernel from the middle of one patch.
    inverse = np.linalg.inv(basis)
    place = np.full(len(cells), -1)
    middle = np.zeros_like(relative)
    for number, step in enumerate(steps):
        candidate = relative - step
        coordinates = candidate @ inverse
        found = np.all(np.abs(coordinates - np.rint(coordinates)) < 1e-6, axis=1)
        place[found], middle[found] = number, candidate[found]
    patch = np.unique(middle, axis=0, return_inverse=True)[1].reshape(-1)
    return PixelPatches(patch, place, len(steps))


def _central(cells: np.ndarray) -> int:
    """The pixel that is nearest to the mean of all."""
    return int(np.argmin(((cells - cells.mean(axis=0)) ** 2).sum(axis=1)))


def _basis(lattice: str, radius: int) -> np.ndarray:
    """Steps (row, col) from the middle of a patch to those of two patches next to it.

    On a hexagonal lattice with the distance max(|row|, |col|, |row - col|) of cells, these span a
    cell of 3 r² + 3 r + 1 pixels, which is as many as are within the radius r.
    """
    if lattice == "square":
        return (2 * radius + 1) * np.eye(2)
    return np.array([[2 * radius + 1, radius], [radius, -radius - 1]], dtype=float)
