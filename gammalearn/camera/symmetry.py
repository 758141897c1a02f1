"""Turns and mirrors that map a camera's pixels onto each other, exactly.

A hexagonal lattice comes to lie on itself when turned by multiples of 60 degrees about a pixel and
when mirrored, a square one with 90 degrees: twelve and eight images of a shower that are as good
as the one that was seen, with no resampling.
"""

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .grid import PixelGrid

__all__ = ["Symmetry", "find_symmetries"]

#: What one turn, counterclockwise, and the mirror at e_col do to steps (row, col).
TURN = {"hexagonal": np.array([[1, -1], [1, 0]]), "square": np.array([[0, -1], [1, 0]])}
MIRROR = {"hexagonal": np.array([[-1, 0], [-1, 1]]), "square": np.array([[-1, 0], [0, 1]])}
N_TURNS = {"hexagonal": 6, "square": 4}

#: Centres have coordinates that are multiples of 1/6: pixels, middles of edges and vertices do.
CENTRE_PARTS = 6


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A turn of the camera, after a mirroring or not.

    Attributes
    ----------
    turn : float
        Angle in deg, counterclockwise where x points right and y up.
    mirrored : bool
        Whether the camera is first mirrored at the direction of its grid's columns, e_col.
    pixels : ndarray of int64, shape (n_pixels,)
        For each pixel the one whose value it takes, -1 for a pixel outside the turned camera.
        ``images[..., pixels]`` are the turned images where no pixel is -1.
    """

    turn: float
    mirrored: bool
    pixels: np.ndarray = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether every pixel takes the value of another."""
        return bool(np.all(self.pixels >= 0))

    def matrix(self, axis: float = 0.0) -> np.ndarray:
        """What happens to positions (x, y) in the camera, as a matrix.

        Offsets in the sky turn alike: (fov_lat, fov_lon) are (x, y) over the focal length in
        ctapipe's frames.

        Parameters
        ----------
        axis : float
            Angle in deg of e_col to +x, see `gammalearn.camera.CameraType.axis`.

        Returns
        -------
        ndarray, shape (2, 2)
            Orthogonal; its determinant is -1 where mirrored.
        """
        turn, twice = np.deg2rad(self.turn), 2 * np.deg2rad(axis)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        if not self.mirrored:
            return rotation
        mirror = np.array([[np.cos(twice), np.sin(twice)], [np.sin(twice), -np.cos(twice)]])
        return rotation @ mirror


def find_symmetries(grid: "PixelGrid") -> tuple[Symmetry, ...]:
    """Turns and mirrors of a grid's lattice about the centre of its pixels, the identity first.

    The centre is that pixel, middle of an edge or vertex near the pixels' mean about which most
    of them meet others. About an edge or a vertex there are fewer turns.

    Parameters
    ----------
    grid : gammalearn.camera.PixelGrid

    Returns
    -------
    tuple of Symmetry
        A turn after which less than half of the pixels meet others is left out.
    """
    cells = np.column_stack([grid.rows, grid.cols])
    middle = np.round(CENTRE_PARTS * cells.mean(axis=0)).astype(np.int64)
    reach = range(-CENTRE_PARTS // 2, CENTRE_PARTS // 2 + 1)
    # The nearer centre of two as good ones.
    steps = sorted(itertools.product(reach, reach), key=lambda s: (s[0] ** 2 + s[1] ** 2, s))
    candidates = [_about(grid, cells, middle + np.array(step)) for step in steps]
    return max(candidates, key=lambda found: sum(np.count_nonzero(s.pixels >= 0) for s in found))


def _about(grid: "PixelGrid", cells: np.ndarray, centre: np.ndarray) -> tuple[Symmetry, ...]:
    """Symmetries about ``centre``, given in sixths of a cell."""
    n_turns, found = N_TURNS[grid.lattice], []
    for mirrored, number in itertools.product((False, True), range(n_turns)):
        operation = np.linalg.matrix_power(TURN[grid.lattice], number)
        if mirrored:
            operation = operation @ MIRROR[grid.lattice]
        shift = centre - operation @ centre
        if np.any(shift % CENTRE_PARTS):
            continue  # cells would not come to lie on cells
        moved = cells @ operation.T + shift // CENTRE_PARTS
        inside = np.all((moved >= 0) & (moved < grid.index_matrix.shape), axis=1)
        target = np.full(len(cells), -1)
        target[inside] = grid.index_matrix[tuple(moved[inside].T)]
        pixels = np.full(len(cells), -1)
        pixels[target[target >= 0]] = np.flatnonzero(target >= 0)
        if np.count_nonzero(pixels >= 0) >= len(cells) / 2:
            pixels.flags.writeable = False
            found.append(Symmetry(number * 360.0 / n_turns, mirrored, pixels))
    return tuple(found)
