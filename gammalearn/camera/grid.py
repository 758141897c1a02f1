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
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

__all__ = ["LatticeError", "PixelGrid"]

#: Each lattice's own kernel, the one whose members at radius 1 surround a pixel.
OWN_KERNEL = {"hexagonal": "hex", "square": "square"}

#: Angle from e_col to e_row (rad), and of the symmetry that leaves the lattice unchanged.
ROW_ANGLE = {"hexagonal": np.deg2rad(-120), "square": np.deg2rad(-90)}
SYMMETRY = {"hexagonal": 6, "square": 4}

#: Where the range of e_col's angle to +x begins (rad). Any range one symmetry wide would do; in
#: these, common orientations (-19.1, 0, 10.9 and 30 degrees) are away from the ends, where a small
#: error in the positions would turn the whole matrix.
FIRST_ANGLE = {"hexagonal": np.deg2rad(-25), "square": np.deg2rad(-45)}

#: Half of the steps, as (row, col), to the pixels that share an edge; the rest are their opposites.
EDGE_STEPS = {"hexagonal": [(0, 1), (1, 0), (1, 1)], "square": [(0, 1), (1, 0)]}

#: How far, in pitches, a step between neighbours may be from the lattice's: this leaves room for
#: gaps between modules, while half a pitch could be any of two cells.
MAX_RESIDUAL = 0.4

#: Pixels nearer than the first (in pitches) are neighbours whatever their direction; farther than
#: the second they cannot be, even across a gap (next on a hexagonal lattice are those at 1.73).
SURELY_NEIGHBOURS, MAYBE_NEIGHBOURS = 1.2, 1.5

#: Least agreement of neighbours on the lattice's orientation: 1 is perfect, 0 is squares taken for
#: hexagons, this is a scatter of 10 degrees on hexagons.
MIN_ALIGNMENT = 0.6

#: How far from the middle a pixel may be, in pitches; more than in any camera. Stray positions (a
#: unit mistaken, say) are caught before their matrix takes all the memory.
MAX_REACH = 1000


class LatticeError(ValueError):
    """Pixels that do not lie on a lattice as asked for."""


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

    def __post_init__(self):
        _check_lattice(self.lattice)
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
    def from_geometry(cls, camera_geometry):
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
    def from_positions(cls, x, y, lattice="hexagonal"):
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
        _check_lattice(lattice)
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
        cells = _lattice_cells((x + 1j * y)[order], lattice, pixel_ids=order)
        rows, cols = (cells - cells.min(axis=0)).T
        index_matrix = np.full((rows.max() + 1, cols.max() + 1), -1)
        index_matrix[rows, cols] = order
        return cls(index_matrix, lattice)

    @classmethod
    def from_index_matrix(cls, matrix, lattice="hexagonal"):
        """Take a grid from its index matrix.

        Parameters
        ----------
        matrix : array_like, shape (n_rows, n_cols) or (1, 1, n_rows, n_cols)
            The longer shape and numbers as floats are those of the IndexedConv package.
        lattice : {"hexagonal", "square"}
        """
        matrix = np.asarray(matrix)
        return cls(matrix[0, 0] if matrix.shape[:-2] == (1, 1) else matrix, lattice)

    # -- what they are -----------------------------------------------------------------------------

    @cached_property
    def n_pixels(self):
        """Number of pixels."""
        return int(np.count_nonzero(self.index_matrix >= 0))

    @cached_property
    def rows(self):
        """Row of each pixel in the index matrix, shape (n_pixels,)."""
        return self._cells[0]

    @cached_property
    def cols(self):
        """Column of each pixel in the index matrix, shape (n_pixels,)."""
        return self._cells[1]

    @cached_property
    def _cells(self):
        occupied = np.nonzero(self.index_matrix >= 0)
        cells = np.empty((2, self.n_pixels), dtype=np.int64)
        cells[:, self.index_matrix[occupied]] = occupied
        cells.flags.writeable = False
        return cells

    def __eq__(self, other):
        if not isinstance(other, PixelGrid):
            return NotImplemented
        return self.lattice == other.lattice and np.array_equal(
            self.index_matrix, other.index_matrix
        )

    def __hash__(self):
        return hash((self.lattice, self.index_matrix.shape, self.index_matrix.tobytes()))

    def __reduce__(self):
        # Through the constructor: an array unpickled by itself would be writeable.
        return type(self), (self.index_matrix, self.lattice)

    def __repr__(self):
        n_rows, n_cols = self.index_matrix.shape
        return f"PixelGrid({self.lattice}, {self.n_pixels} pixels in {n_rows} x {n_cols} cells)"

    # -- what convolutions and poolings need -------------------------------------------------------

    def neighbours(self, radius=1, stride=1, dilation=1, kernel=None):
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

    def pooled(self, stride=2, kernel=None, radius=1):
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

    def _strided(self, stride, kernel, radius):
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

    def _pixels_at(self, origins, steps):
        """Pixels at (row, col) ``steps`` from pixels ``origins``, shape (n_steps, n_origins)."""
        reach = np.abs(steps).max()
        padded = np.pad(self.index_matrix, reach, constant_values=-1)
        d_row, d_col = reach + steps.T[..., np.newaxis]
        return padded[self.rows[origins] + d_row, self.cols[origins] + d_col]

    def _checked(self, radius, stride, dilation, kernel):
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


def _check_lattice(lattice):
    if lattice not in OWN_KERNEL:
        raise ValueError(f"A lattice is 'hexagonal' or 'square', not {lattice!r}.")


def _checked_integer(name, value, least):
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"The {name} is a whole number from {least} on, not {value!r}.") from None
    if number < least:
        raise ValueError(f"The {name} is a whole number from {least} on, not {number}.")
    return number


def _kernel_steps(kernel, radius, dilation):
    """(row, col) steps from the output's cell to the kernel's members, shape (n_members, 2)."""
    if kernel == "pool":
        return np.argwhere(np.ones((2, 2)))
    reach = np.arange(-radius, radius + 1)
    d_row, d_col = np.meshgrid(reach, reach, indexing="ij")
    members = np.abs(d_row - d_col) <= (radius if kernel == "hex" else 2 * radius)
    return dilation * np.stack([d_row[members], d_col[members]], axis=1)


def _lattice_cells(positions, lattice, pixel_ids):
    """Find the cell of each pixel.

    Parameters
    ----------
    positions : ndarray of complex, shape (n_pixels,)
        x + iy of the pixels.
    lattice : {"hexagonal", "square"}
    pixel_ids : ndarray of int, shape (n_pixels,)
        What to call the pixels in errors.

    Returns
    -------
    ndarray of int, shape (n_pixels, 2)
        (row, col) of the pixels, counted from any one of them.
    """
    if positions.size == 1:
        return np.zeros((1, 2), dtype=np.int64)
    # Positions relative to the pitch from here on, so that all limits are numbers of pitches.
    tree = cKDTree(np.column_stack([positions.real, positions.imag]))
    pitch, theta = _pitch_and_angle(positions, tree, lattice, pixel_ids)
    positions = (positions - positions.mean()) / pitch
    farthest = np.argmax(np.abs(positions))
    if np.abs(positions[farthest]) > MAX_REACH:
        raise LatticeError(
            f"Pixel {pixel_ids[farthest]} is {np.abs(positions[farthest]):.0f} pitches from the "
            f"middle of the pixels, more than {MAX_REACH}."
        )
    # The lattice's basis is (e_row, e_col): the place of a cell is cell @ basis.
    basis = np.exp(1j * (theta + np.array([ROW_ANGLE[lattice], 0.0])))
    steps = np.array(EDGE_STEPS[lattice])
    steps = np.concatenate([steps, -steps])

    pairs = tree.query_pairs(MAYBE_NEIGHBOURS * pitch, output_type="ndarray")
    displacements = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    nearest, residuals = _nearest_steps(displacements, steps, basis)
    on_lattice = residuals < MAX_RESIDUAL
    astray = pairs[~on_lattice & (np.abs(displacements) < SURELY_NEIGHBOURS)]
    if astray.size:
        raise LatticeError(
            f"Pixels {pixel_ids[astray[0, 0]]} and {pixel_ids[astray[0, 1]]} touch each other in a "
            f"direction that the {lattice} lattice of the others has not."
        )
    pairs, nearest = pairs[on_lattice], nearest[on_lattice]

    cells, component = _walk(positions, pairs, steps, basis)
    cells = _join_components(positions, cells, component, basis, pixel_ids)
    torn = pairs[np.any(cells[pairs[:, 1]] - cells[pairs[:, 0]] != nearest, axis=1)]
    if torn.size:
        raise LatticeError(
            f"The way around the pixels near {pixel_ids[torn[0, 0]]} does not close on a "
            f"{lattice} lattice."
        )
    _check_cells(positions, cells, steps, basis, pixel_ids)
    return cells


def _pitch_and_angle(positions, tree, lattice, pixel_ids):
    """Distance of neighbouring pixels and angle of e_col to +x (rad), from nearest neighbours."""
    distances, nearest = tree.query(tree.data, k=2)  # the pixel itself and another
    distances = distances[:, 1]
    # Not the median, as isolated pixels have their nearest far away and may be many in a small
    # camera; not the minimum, which the largest error of position would decide.
    pitch = np.quantile(distances, 0.25, method="lower")
    closest = np.argmin(distances)
    if not distances[closest] > pitch / 2:
        raise LatticeError(
            "Pixels {} and {} are in the same place, or nearly.".format(
                *pixel_ids[nearest[closest]]
            )
        )
    pairs = tree.query_pairs(SURELY_NEIGHBOURS * pitch, output_type="ndarray")
    displacements = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    symmetry = SYMMETRY[lattice]
    alignment = np.mean((displacements / np.abs(displacements)) ** symmetry)
    if np.abs(alignment) < MIN_ALIGNMENT:
        raise LatticeError(
            f"The pixels do not have their neighbours in {symmetry} directions, as on a {lattice} "
            "lattice."
        )
    period = 2 * np.pi / symmetry
    theta = (np.angle(alignment) / symmetry - FIRST_ANGLE[lattice]) % period + FIRST_ANGLE[lattice]
    return np.median(np.abs(displacements)), theta


def _nearest_steps(displacements, steps, basis):
    """The lattice's step nearest to each displacement, and how far from it it is (pitches)."""
    distances = np.abs(displacements[:, np.newaxis] - steps @ basis)
    nearest = np.argmin(distances, axis=1)
    return steps[nearest], np.take_along_axis(distances, nearest[:, np.newaxis], axis=1)[:, 0]


def _walk(positions, pairs, steps, basis):
    """Count steps from pixel to neighbouring pixel, in each group of pixels linked by ``pairs``.

    Returns
    -------
    cells : ndarray of int, shape (n_pixels, 2)
        (row, col) relative to the first pixel of the same group.
    component : ndarray of int, shape (n_pixels,)
        Number of the pixel's group.
    """
    n_pixels = positions.size
    graph = csr_array((np.ones(len(pairs)), pairs.T), shape=(n_pixels, n_pixels))
    _, component = connected_components(graph, directed=False)
    parent = np.arange(n_pixels)
    for first in np.unique(component, return_index=True)[1]:
        reached, predecessors = breadth_first_order(graph, first, directed=False)
        parent[reached[1:]] = predecessors[reached[1:]]
    cells, _ = _nearest_steps(positions - positions[parent], steps, basis)
    cells[parent == np.arange(n_pixels)] = 0
    # Each round doubles the length of way that a cell is the sum of.
    while np.any(parent != parent[parent]):
        cells = cells + cells[parent]
        parent = parent[parent]
    return cells, component


def _join_components(positions, cells, component, basis, pixel_ids):
    """Count the cells of all groups of pixels from the same origin, that of the largest group."""
    largest = component == np.argmax(np.bincount(component))
    if largest.all():
        return cells
    # Fit where the cells of the largest group are, as a correction to the basis: a group in a line
    # (or of one pixel) says nothing of the other direction, and there the least-squares solution of
    # smallest norm leaves the basis as it is.
    middle, middle_cell = positions[largest].mean(), cells[largest].mean(axis=0)
    counts = cells[largest] - middle_cell
    residuals = positions[largest] - middle - counts @ basis
    basis = basis + np.linalg.lstsq(counts, residuals, rcond=None)[0]
    along = np.linalg.solve(
        np.stack([basis.real, basis.imag]),
        np.stack([(positions - middle).real, (positions - middle).imag]),
    )
    shifts = along.T + middle_cell - cells
    cells = cells.copy()
    for group in np.unique(component[~largest]):
        members = component == group
        shift = shifts[members].mean(axis=0)
        if np.abs((shift - np.rint(shift)) @ basis) > MAX_RESIDUAL:
            raise LatticeError(
                f"Pixel {pixel_ids[members][0]}, apart from the others, lies between the cells of "
                "their lattice."
            )
        cells[members] += np.rint(shift).astype(np.int64)
    return cells


def _check_cells(positions, cells, steps, basis, pixel_ids):
    """Make sure that each pixel has its own cell and that adjacent cells touch."""
    cells = cells - cells.min(axis=0)
    shape = tuple(cells.max(axis=0) + 1)
    cell_number = np.ravel_multi_index(cells.T, shape)
    _, first, count = np.unique(cell_number, return_index=True, return_counts=True)
    if np.any(count > 1):
        shared = np.flatnonzero(cell_number == cell_number[first[np.argmax(count > 1)]])
        raise LatticeError(
            f"Pixels {pixel_ids[shared[0]]} and {pixel_ids[shared[1]]} have the same cell."
        )
    index_matrix = np.full(shape, -1)
    index_matrix[tuple(cells.T)] = np.arange(len(cells))
    neighbours = PixelGrid(index_matrix)._pixels_at(np.arange(len(cells)), steps)
    residuals = np.abs(positions[neighbours] - positions - (steps @ basis)[:, np.newaxis])
    residuals[neighbours < 0] = 0.0
    if residuals.max() > MAX_RESIDUAL:
        member, pixel = np.unravel_index(np.argmax(residuals), residuals.shape)
        raise LatticeError(
            f"Pixels {pixel_ids[pixel]} and {pixel_ids[neighbours[member, pixel]]} have adjacent "
            f"cells, but are {residuals.max():.2f} pitches away from where these should be."
        )
