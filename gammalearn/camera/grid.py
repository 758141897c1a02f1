"""The pixels of a camera laid out on a rectangular matrix.

A hexagonal lattice in axial coordinates is a square array with empty corners. With e_row turned
by -120 degrees from e_col, the six neighbours of a pixel are one step along a row, a column or the
main diagonal, and the hexagonal kernel of radius 1 is a 3 x 3 one without two of its corners::

          camera                  index matrix                kernel

          0   1                    0   1  -1                 1  1  .
        2   3   4                  2   3   4                 1  1  1
          5   6                   -1   5   6                 .  1  1

This is the convention of the IndexedConv package, so that weights are interchangeable with it.
"""

import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ctapipe.instrument import CameraGeometry, PixelShape
from numpy.typing import ArrayLike

from .lattice import LatticeError, check_lattice, lattice_cells
from .symmetry import Symmetry, find_symmetries

__all__ = ["PixelGrid"]

#: Each lattice's own kernel, the one whose members at radius 1 surround a pixel.
OWN_KERNEL = {"hexagonal": "hex", "square": "square"}


@dataclass(frozen=True, eq=False, repr=False)
class PixelGrid:
    """Pixels on a rectangular matrix: one cell a pixel, neighbours in neighbouring cells.

    Grids are equal when their lattices and index matrices are, and can be keys of a dictionary.

    Parameters
    ----------
    index_matrix : ndarray of int, shape (n_rows, n_cols)
        Number of the pixel in each cell, -1 where there is none. Every pixel from 0 to n_pixels - 1
        is there once. In a hexagonal grid e_row is turned by -120 degrees from e_col, in a square
        one by -90 degrees: rows go down, columns to the right.
    lattice : {"hexagonal", "square"}
    """

    index_matrix: np.ndarray
    lattice: str = "hexagonal"

    def __post_init__(self) -> None:
        check_lattice(self.lattice)
        given = np.asarray(self.index_matrix)
        if given.ndim != 2:
            raise LatticeError(f"An index matrix has two axes, this one's shape is {given.shape}.")
        with np.errstate(invalid="ignore"):  # what is no number differs below, with a better error
            matrix = np.array(given, dtype=np.int64)
        pixels = np.sort(matrix[matrix >= 0])
        if (
            np.any(matrix != given)
            or np.any(matrix < -1)
            or pixels.size == 0
            or np.any(pixels != np.arange(pixels.size))
        ):
            raise LatticeError(
                "An index matrix holds each pixel from 0 to n_pixels - 1 once and -1 elsewhere; "
                f"this one of shape {given.shape} does not."
            )
        matrix.flags.writeable = False
        object.__setattr__(self, "index_matrix", matrix)

    # -- where grids come from ---------------------------------------------------------------------

    @classmethod
    def from_geometry(cls, camera_geometry: CameraGeometry) -> "PixelGrid":
        """Lay out the pixels of a camera.

        Parameters
        ----------
        camera_geometry : ctapipe.instrument.CameraGeometry
            Of hexagonal or square pixels, in any orientation and order.

        Returns
        -------
        PixelGrid
            Its pixels are numbered as the camera's.

        Raises
        ------
        LatticeError
            If the pixels are of another shape or not on a lattice.
        """
        if not isinstance(camera_geometry, CameraGeometry):
            raise TypeError(
                f"Expected a ctapipe CameraGeometry, got a {type(camera_geometry).__name__}."
            )
        lattices = {PixelShape.HEXAGON: "hexagonal", PixelShape.SQUARE: "square"}
        if camera_geometry.pix_type not in lattices:
            raise LatticeError(
                f"Camera {camera_geometry.name} has {camera_geometry.pix_type.value} pixels, "
                "a grid needs hexagonal or square ones."
            )
        unit = camera_geometry.pix_x.unit
        try:
            return cls.from_positions(
                camera_geometry.pix_x.to_value(unit),
                camera_geometry.pix_y.to_value(unit),
                lattice=lattices[camera_geometry.pix_type],
            )
        except LatticeError as error:
            raise LatticeError(f"Camera {camera_geometry.name}: {error}") from error

    @classmethod
    def from_positions(cls, x: ArrayLike, y: ArrayLike, lattice: str = "hexagonal") -> "PixelGrid":
        """Lay out pixels from where they were measured to be.

        Cells are found step by step from neighbour to neighbour, so that gaps between modules and
        small errors of position do not add up over the camera. Pixels that touch no other are put
        where the lattice fitted to the largest group has its nearest cell.

        Parameters
        ----------
        x, y : array_like of float, shape (n_pixels,)
            Centres of the pixels, both in the same unit of length (or angle), whichever it is.
        lattice : {"hexagonal", "square"}

        Returns
        -------
        PixelGrid
            e_col is at [-25, 35) degrees to +x on a hexagonal lattice, [-45, 45) on a square one.

        Raises
        ------
        LatticeError
            If a pixel has no cell of its own on the lattice.
        """
        check_lattice(lattice)
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if x.ndim != 1 or x.shape != y.shape or x.size == 0:
            raise LatticeError(
                "Pixel positions are two arrays of the same length, at least one; "
                f"their shapes are {x.shape} and {y.shape}."
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise LatticeError("Pixel positions are finite numbers, some of these are not.")

        # Pixels are taken from left to right, so that no choice below depends on their numbering.
        order = np.lexsort((y, x))
        cells = lattice_cells((x + 1j * y)[order], lattice, pixel_ids=order)
        rows, cols = (cells - cells.min(axis=0)).T
        index_matrix = np.full((rows.max() + 1, cols.max() + 1), -1)
        index_matrix[rows, cols] = order
        return cls(index_matrix, lattice)

    @classmethod
    def from_index_matrix(cls, matrix: ArrayLike, lattice: str = "hexagonal") -> "PixelGrid":
        """Take a grid from its index matrix.

        Parameters
        ----------
        matrix : array_like, shape (n_rows, n_cols) or (1, 1, n_rows, n_cols)
            The longer shape and numbers as floats are those of the IndexedConv package.
        lattice : {"hexagonal", "square"}
        """
        given = np.asarray(matrix)
        return cls(given[0, 0] if given.shape[:-2] == (1, 1) else given, lattice)

    # -- what they are -----------------------------------------------------------------------------

    @cached_property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.index_matrix >= 0))

    @cached_property
    def rows(self) -> np.ndarray:
        """Row of each pixel in the index matrix, shape (n_pixels,)."""
        return self._cells[0]

    @cached_property
    def cols(self) -> np.ndarray:
        """Column of each pixel in the index matrix, shape (n_pixels,)."""
        return self._cells[1]

    @cached_property
    def _cells(self) -> np.ndarray:
        occupied = np.nonzero(self.index_matrix >= 0)
        cells = np.empty((2, self.n_pixels), dtype=np.int64)
        cells[:, self.index_matrix[occupied]] = occupied
        cells.flags.writeable = False
        return cells

    @cached_property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Turns and mirrors of the pixels, a tuple of `Symmetry` with the identity first.

        Twelve for a hexagonal camera that is symmetric about a pixel. In one that is not all of
        them have some pixels without a counterpart (`Symmetry.complete` is then False).
        """
        return find_symmetries(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PixelGrid):
            return NotImplemented
        return self.lattice == other.lattice and np.array_equal(
            self.index_matrix, other.index_matrix
        )

    def __hash__(self) -> int:
        return hash((self.lattice, self.index_matrix.shape, self.index_matrix.tobytes()))

    def __reduce__(self) -> tuple[type["PixelGrid"], tuple[np.ndarray, str]]:
        # Through the constructor: an array unpickled by itself would be writeable.
        return type(self), (self.index_matrix, self.lattice)

    def __repr__(self) -> str:
        n_rows, n_cols = self.index_matrix.shape
        return f"PixelGrid({self.lattice}, {self.n_pixels} pixels in {n_rows} x {n_cols} cells)"

    # -- what convolutions and poolings need -------------------------------------------------------

    def neighbours(
        self, radius: int = 1, stride: int = 1, dilation: int = 1, kernel: str | None = None
    ) -> np.ndarray:
        """Pixels under a kernel centred on each pixel of the output.

        The result is that of the IndexedConv package's ``neighbours_extraction``, but for stride 1:
        there outputs are the grid's pixels in the grid's own order, not that of the matrix, so that
        layers follow one another in the camera's order; and all of them, where the package
        leaves out the last row and column for radius 0.

        Parameters
        ----------
        radius : int
            Reach of the kernel around its centre, in pixels; 0 for the pixel alone.
        stride : int
            Step between outputs along rows and columns. From 2 on, outputs are the pixels of
            ``grid.pooled(stride, kernel, radius)``.
        dilation : int
            Step between members of the kernel; 1 for adjacent ones.
        kernel : {None, "hex", "square", "pool"}
            Hexagonal, square or the 2 x 2 cells right of and below the output's, which always has
            stride 2, and neither radius nor dilation. None is the lattice's own, hexagonal
            or square.

        Returns
        -------
        ndarray of int64, shape (n_members, n_outputs)
            Pixel for each member of the kernel, from its upper left to its lower right row by row;
            -1 where there is none.
        """
        radius, stride, dilation, kernel = self._checked(radius, stride, dilation, kernel)
        if stride == 1:
            outputs = np.arange(self.n_pixels)
        else:
            kept = self._strided(stride, kernel, radius)
            outputs = kept[kept >= 0]
        return self._pixels_at(outputs, _kernel_steps(kernel, radius, dilation))

    def pooled(self, stride: int = 2, kernel: str | None = None, radius: int = 1) -> "PixelGrid":
        """Grid of the outputs of a convolution or pooling.

        Parameters
        ----------
        stride, kernel, radius
            As in `neighbours`.

        Returns
        -------
        PixelGrid
            The pixels in every ``stride``-th row and column from the first, numbered row by row;
            for stride 1 this grid itself. A kernel "pool" or of radius 0 is not centred on the last
            row and column, as in the IndexedConv package: with stride 2, a side of n cells becomes
            n // 2 with them, (n + 1) // 2 with others.
        """
        radius, stride, _, kernel = self._checked(radius, stride, 1, kernel)
        if stride == 1:
            return self
        kept = self._strided(stride, kernel, radius)
        index_matrix = np.full(kept.shape, -1)
        index_matrix[kept >= 0] = np.arange(np.count_nonzero(kept >= 0))
        return PixelGrid(index_matrix, self.lattice)

    def kernel_members(self, radius: int = 1, kernel: str | None = None) -> np.ndarray:
        """Cells of the square around a kernel that belong to it.

        Parameters
        ----------
        radius, kernel
            As in `neighbours`.

        Returns
        -------
        ndarray of bool, shape (2 * radius + 1, 2 * radius + 1), or (2, 2) for kernel "pool"
            Members row by row are those of `neighbours`.
        """
        radius, _, _, kernel = self._checked(radius, 1, 1, kernel)
        return _kernel_members(kernel, radius)

    def _strided(self, stride: int, kernel: str, radius: int) -> np.ndarray:
        """Cells of the index matrix that outputs are centred on, shape (n_rows_out, n_cols_out)."""
        stop = -1 if kernel == "pool" or radius == 0 else None
        kept = self.index_matrix[:stop:stride, :stop:stride]
        if not np.any(kept >= 0):
            n_rows, n_cols = self.index_matrix.shape
            raise LatticeError(
                f"Kernel {kernel!r} of stride {stride} leaves no pixel of a grid of "
                f"{self.n_pixels} in {n_rows} x {n_cols} cells."
            )
        return kept

    def _pixels_at(self, origins: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Pixels at (row, col) ``steps`` from pixels ``origins``, shape (n_steps, n_origins)."""
        reach = np.abs(steps).max()
        padded = np.pad(self.index_matrix, reach, constant_values=-1)
        d_row, d_col = reach + steps.T[..., np.newaxis]
        return padded[self.rows[origins] + d_row, self.cols[origins] + d_col]

    def _checked(
        self, radius: int, stride: int, dilation: int, kernel: str | None
    ) -> tuple[int, int, int, str]:
        radius = _checked_integer("radius", radius, least=0)
        stride = _checked_integer("stride", stride, least=1)
        dilation = _checked_integer("dilation", dilation, least=1)
        if kernel is None:
            kernel = OWN_KERNEL[self.lattice]
        if kernel not in ("hex", "square", "pool"):
            raise ValueError(f"A kernel is 'hex', 'square', 'pool' or None, not {kernel!r}.")
        if kernel == "pool":
            if (radius, dilation) != (1, 1) or stride > 2:
                raise ValueError(
                    "Kernel 'pool' is 2 x 2 cells with stride 2, radius and dilation stay at 1; "
                    f"got radius {radius}, stride {stride}, dilation {dilation}."
                )
            stride = 2
        return radius, stride, dilation, kernel


def _checked_integer(name: str, value: int, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"The {name} is a whole number from {least} on, not {value!r}.") from None
    if number < least:
        raise ValueError(f"The {name} is a whole number from {least} on, not {number}.")
    return number


def _kernel_members(kernel: str, radius: int) -> np.ndarray:
    """Cells of the square around a kernel that belong to it, shape (size, size)."""
    if kernel == "pool":
        return np.ones((2, 2), dtype=bool)
    reach = np.arange(-radius, radius + 1)
    d_row, d_col = np.meshgrid(reach, reach, indexing="ij")
    return np.abs(d_row - d_col) <= (radius if kernel == "hex" else 2 * radius)


def _kernel_steps(kernel: str, radius: int, dilation: int) -> np.ndarray:
    """(row, col) steps from the output's cell to the kernel's members, shape (n_members, 2)."""
    centre = 0 if kernel == "pool" else radius
    return dilation * (np.argwhere(_kernel_members(kernel, radius)) - centre)
