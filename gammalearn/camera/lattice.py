"""The lattice of a camera: from measured pixel positions to whole steps along rows and columns."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

__all__ = ["LatticeError", "check_lattice", "lattice_cells"]

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

#: Cameras of square pixels are often made of modules with gaps between them, in which no pixel has
#: room: pixels of two modules (not of one, which may lack a pixel) that face each other across such
#: a gap have adjacent cells. In pitches: the widest gap, and the longest step across one.
MAX_GAP = {"hexagonal": 0.0, "square": 0.9}
LONGEST_STEP = 1.95

#: Least agreement of neighbours on the lattice's orientation: 1 is perfect, 0 is squares taken for
#: hexagons, this is a scatter of 10 degrees on hexagons.
MIN_ALIGNMENT = 0.6

#: How far from the middle a pixel may be, in pitches; more than in any camera. Stray positions (a
#: unit mistaken, say) are caught before their matrix takes all the memory.
MAX_REACH = 1000


class LatticeError(ValueError):
    """Pixels that do not lie on a lattice as asked for."""


def check_lattice(lattice: str) -> None:
    """Refuse what is no kind of lattice."""
    if lattice not in SYMMETRY:
        raise ValueError(f"A lattice is 'hexagonal' or 'square', not {lattice!r}.")


def lattice_cells(positions: np.ndarray, lattice: str, pixel_ids: np.ndarray) -> np.ndarray:
    """Find the cell of each pixel.

    Cells are counted step by step from neighbour to neighbour, so that gaps between modules and
    small errors of position do not add up.

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

    Raises
    ------
    LatticeError
        If a pixel has no cell of its own.
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

    pairs, nearest = _touching(positions, tree, pitch, lattice, (steps, basis), pixel_ids)
    if MAX_GAP[lattice]:
        across = _across_gaps(positions, tree, pitch, pairs, MAX_GAP[lattice], (steps, basis))
        pairs, nearest = map(np.concatenate, zip((pairs, nearest), across, strict=True))
    cells, component = _walk(positions, pairs, steps, basis)
    cells = _join_components(positions, cells, component, basis, pixel_ids)
    torn = pairs[np.any(cells[pairs[:, 1]] - cells[pairs[:, 0]] != nearest, axis=1)]
    if torn.size:
        raise LatticeError(
            f"The way around the pixels near {pixel_ids[torn[0, 0]]} does not close on a "
            f"{lattice} lattice."
        )
    _check_cells(positions, cells, (steps, basis), MAX_GAP[lattice], pixel_ids)
    return cells


def _touching(
    positions: np.ndarray,
    tree: cKDTree,
    pitch: float,
    lattice: str,
    steps_and_basis: tuple[np.ndarray, np.ndarray],
    pixel_ids: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pixels that touch each other, shape (n, 2), and the lattice's step between them."""
    pairs = tree.query_pairs(MAYBE_NEIGHBOURS * pitch, output_type="ndarray")
    displacements = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    nearest, residuals = _nearest_steps(displacements, *steps_and_basis)
    on_lattice = residuals < MAX_RESIDUAL
    astray = pairs[~on_lattice & (np.abs(displacements) < SURELY_NEIGHBOURS)]
    if astray.size:
        raise LatticeError(
            f"Pixels {pixel_ids[astray[0, 0]]} and {pixel_ids[astray[0, 1]]} touch each other in a "
            f"direction that the {lattice} lattice of the others has not."
        )
    return pairs[on_lattice], nearest[on_lattice]


def _across_gaps(
    positions: np.ndarray,
    tree: cKDTree,
    pitch: float,
    touching: np.ndarray,
    gap: float,
    steps_and_basis: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pixels that face each other across a gap, shape (n, 2), and the step between them.

    They are of different groups of pixels that touch: of modules, not of one that lacks a pixel.
    """
    _, component = _groups(len(positions), touching)
    pairs = tree.query_pairs(LONGEST_STEP * pitch, output_type="ndarray")
    pairs = pairs[component[pairs[:, 0]] != component[pairs[:, 1]]]
    displacements = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    steps, basis = steps_and_basis
    nearest, residuals = _nearest_steps(displacements, steps, basis, gap)
    return pairs[residuals < MAX_RESIDUAL], nearest[residuals < MAX_RESIDUAL]


def _pitch_and_angle(
    positions: np.ndarray, tree: cKDTree, lattice: str, pixel_ids: np.ndarray
) -> tuple[float, float]:
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
    return float(np.median(np.abs(displacements))), float(theta)


def _nearest_steps(
    displacements: np.ndarray, steps: np.ndarray, basis: np.ndarray, gap: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The lattice's step nearest to each displacement, and how far from it it is (pitches).

    Steps may be longer by a gap.
    """
    residuals = _residuals(displacements[:, np.newaxis], steps @ basis, gap)
    nearest = np.argmin(residuals, axis=1)
    return steps[nearest], np.take_along_axis(residuals, nearest[:, np.newaxis], axis=1)[:, 0]


def _residuals(displacements: np.ndarray, steps: np.ndarray, gap: float) -> np.ndarray:
    """Distance of displacements from steps that may be longer by a gap (pitches)."""
    along = np.clip((displacements * steps.conj()).real, 1, 1 + gap)
    return np.abs(displacements - along * steps)


def _groups(n_pixels: int, pairs: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """Pixels linked by pairs as a graph, and the number of each pixel's group."""
    graph = csr_array((np.ones(len(pairs)), pairs.T), shape=(n_pixels, n_pixels))
    return graph, connected_components(graph, directed=False)[1]


def _walk(
    positions: np.ndarray, pairs: np.ndarray, steps: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count steps from pixel to neighbouring pixel, in each group of pixels linked by ``pairs``.

    Returns
    -------
    cells : ndarray of int, shape (n_pixels, 2)
        (row, col) relative to the first pixel of the same group.
    component : ndarray of int, shape (n_pixels,)
        Number of the pixel's group.
    """
    n_pixels = positions.size
    graph, component = _groups(n_pixels, pairs)
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


def _join_components(
    positions: np.ndarray,
    cells: np.ndarray,
    component: np.ndarray,
    basis: np.ndarray,
    pixel_ids: np.ndarray,
) -> np.ndarray:
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


def _check_cells(
    positions: np.ndarray,
    cells: np.ndarray,
    steps_and_basis: tuple[np.ndarray, np.ndarray],
    gap: float,
    pixel_ids: np.ndarray,
) -> None:
    """Make sure that each pixel has its own cell and that adjacent cells touch."""
    steps, basis = steps_and_basis
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
    # A border of absent pixels, which all steps from the outermost ones reach.
    padded = np.pad(index_matrix, 1, constant_values=-1)
    neighbours = padded[tuple((cells + 1 + steps[:, np.newaxis]).transpose(2, 0, 1))]
    residuals = _residuals(positions[neighbours] - positions, (steps @ basis)[:, np.newaxis], gap)
    residuals[neighbours < 0] = 0.0
    if residuals.max() > MAX_RESIDUAL:
        member, pixel = np.unravel_index(np.argmax(residuals), residuals.shape)
        raise LatticeError(
            f"Pixels {pixel_ids[pixel]} and {pixel_ids[neighbours[member, pixel]]} have adjacent "
            f"cells, but are {residuals.max():.2f} pitches away from where these should be."
        )
