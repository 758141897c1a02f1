"""The grid of a camera's pixels: from positions to cells, neighbours and pooled grids."""

import copy
import pickle

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument import CameraGeometry, PixelShape, SubarrayDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from gammalearn.camera import LatticeError, PixelGrid

#: One file for each real camera.
CAMERA_FILES = {
    "LSTCam": "proton_run202_prod5",
    "FlashCam": "proton_run202_prod5",
    "LSTN-design": "gamma_diffuse_run10_6.0.0",
    "MSTx-NectarCam": "gamma_diffuse_run10_6.0.0",
    "HESS-1U": "gamma_with_obslevel_particles",
}

#: The example of the IndexedConv package's documentation: seven pixels, a hexagon.
SEVEN = [[0, 1, -1], [2, 3, 4], [-1, 5, 6]]

E_COL, E_ROW = 1.0, np.exp(-2j * np.pi / 3)


@pytest.fixture(scope="module", params=CAMERA_FILES)
def camera(request, data_dir):
    path = data_dir / "dl1_ctapipe" / f"{CAMERA_FILES[request.param]}.dl1.h5"
    if not path.exists():
        pytest.skip(f"no {path.name} in the test data")
    subarray = SubarrayDescription.from_hdf(path)
    return next(camera.geometry for camera in subarray.camera_types if camera.name == request.param)


def hexagon(n_rings):
    """(row, col) of a hexagon's pixels, shape (1 + 3 n_rings (n_rings + 1), 2)."""
    row, col = np.mgrid[-n_rings : n_rings + 1, -n_rings : n_rings + 1].reshape(2, -1)
    return np.column_stack([row, col])[np.abs(row - col) <= n_rings]


def place(cells, angle=0.0, pitch=1.0, mirror=False):
    """x + iy of cells of a hexagonal lattice."""
    positions = pitch * (cells @ np.array([E_ROW, E_COL]))
    return np.exp(1j * np.deg2rad(angle)) * (positions.conj() if mirror else positions)


def axial_distance(rows, cols):
    """Euclidean length of (row, col) steps on a hexagonal lattice, in pitches."""
    return np.sqrt(rows**2 + cols**2 - rows * cols)


def adjacency(grid, kernel=None):
    """Matrix of which pixels are under each other's kernel of radius 1, without themselves."""
    neighbours = grid.neighbours(kernel=kernel)
    pixels = np.broadcast_to(np.arange(grid.n_pixels), neighbours.shape)
    matrix = np.zeros((grid.n_pixels, grid.n_pixels), dtype=bool)
    matrix[pixels[neighbours >= 0], neighbours[neighbours >= 0]] = True
    np.fill_diagonal(matrix, False)
    return matrix


def square_camera(gap=0.3, module=4, n_modules=4, pitch=0.006, angle=0.0):
    """Positions (m) of square modules in a square with its corner modules cut, gaps in pitches."""
    row, col = np.mgrid[: module * n_modules, : module * n_modules].reshape(2, -1)
    at_edge = [np.isin(index // module, [0, n_modules - 1]) for index in (row, col)]
    row, col = (index[~(at_edge[0] & at_edge[1])] for index in (row, col))
    x, y = (pitch * (index + gap * (index // module)) for index in (col, -row))
    return np.exp(1j * np.deg2rad(angle)) * (x + 1j * y), row, col


class TestRealCameras:
    def test_every_pixel_has_a_cell_of_its_own(self, camera):
        grid = PixelGrid.from_geometry(camera)
        assert grid.n_pixels == camera.n_pixels
        np.testing.assert_array_equal(
            grid.index_matrix[grid.rows, grid.cols], np.arange(camera.n_pixels)
        )

    def test_neighbours_are_those_that_ctapipe_finds(self, camera):
        grid = PixelGrid.from_geometry(camera)
        np.testing.assert_array_equal(adjacency(grid), camera.neighbor_matrix)

    def test_cells_are_where_the_pixels_are(self, camera):
        grid = PixelGrid.from_geometry(camera)
        positions = camera.pix_x.to_value("m") + 1j * camera.pix_y.to_value("m")
        steps = axial_distance(grid.rows - grid.rows[0], grid.cols - grid.cols[0])
        distances = np.abs(positions - positions[0])
        pitch = distances[steps == 1].mean()
        np.testing.assert_allclose(distances, steps * pitch, atol=0.05 * pitch)

    def test_a_camera_seen_from_behind_has_the_same_neighbours(self, camera):
        x, y = camera.pix_x.to_value("m"), camera.pix_y.to_value("m")
        behind = PixelGrid.from_positions(-x, y)
        np.testing.assert_array_equal(adjacency(behind), camera.neighbor_matrix)

    def test_a_frame_in_degrees_gives_the_same_grid(self, camera):
        scaled = PixelGrid.from_positions(
            camera.pix_x.to_value("m") / 28 * 57.3, camera.pix_y.to_value("m") / 28 * 57.3
        )
        assert scaled == PixelGrid.from_geometry(camera)


def test_lstcam_needs_55_by_55_cells(data_dir):
    path = data_dir / "dl1_ctapipe" / "proton_run202_prod5.dl1.h5"
    camera = SubarrayDescription.from_hdf(path).tel[1].camera.geometry
    assert PixelGrid.from_geometry(camera).index_matrix.shape == (55, 55)


# -- generated cameras -----------------------------------------------------------------------------


@st.composite
def hexagonal_cameras(draw, max_rings=51):
    """Cells and jittered positions of hexagons of 7 to 7957 pixels, some missing, shuffled."""
    cells = hexagon(draw(st.integers(1, max_rings)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    missing = draw(st.sampled_from([0.0, 0.0, 0.1]))
    # The ring around the middle stays, so that it is certain that some pixels are neighbours.
    near = np.abs(cells).max(axis=1) <= 1
    cells = rng.permutation(cells[near | (rng.random(len(cells)) >= missing)])
    pitch = draw(st.floats(1e-3, 1e3))
    angle, mirror = draw(st.floats(0, 360)), draw(st.booleans())
    positions = place(cells, angle, pitch, mirror)
    jitter = draw(st.floats(0, 0.02)) * pitch
    positions += jitter * (rng.normal(size=(len(cells), 2)).clip(-3, 3) @ [1, 1j])
    return cells, positions, pitch


@settings(max_examples=50, deadline=None)
@given(hexagonal_cameras())
def test_distance_between_cells_is_distance_between_pixels(camera):
    cells, positions, pitch = camera
    grid = PixelGrid.from_positions(positions.real, positions.imag)
    ideal = place(cells)  # without jitter
    for first in (0, len(cells) // 2):
        steps = axial_distance(grid.rows - grid.rows[first], grid.cols - grid.cols[first])
        np.testing.assert_allclose(np.abs(ideal - ideal[first]), steps, atol=1e-9)
        np.testing.assert_allclose(np.abs(positions - positions[first]) / pitch, steps, atol=0.18)


@settings(max_examples=50, deadline=None)
@given(hexagonal_cameras(max_rings=30), st.randoms(use_true_random=False))
def test_shuffled_pixels_keep_their_cells(camera, random):
    _, positions, _ = camera
    order = np.array(random.sample(range(len(positions)), len(positions)))
    grid = PixelGrid.from_positions(positions.real, positions.imag)
    shuffled = PixelGrid.from_positions(positions[order].real, positions[order].imag)

    np.testing.assert_array_equal(shuffled.rows, grid.rows[order])
    np.testing.assert_array_equal(shuffled.cols, grid.cols[order])
    # Number of each pixel among the shuffled ones; -1, the last, stays what it is.
    renumbered = np.append(np.argsort(order), -1)
    np.testing.assert_array_equal(
        shuffled.neighbours(radius=2), renumbered[grid.neighbours(radius=2)][:, order]
    )
    # From stride 2 on, outputs are in the order of the matrix, whatever that of the pixels.
    np.testing.assert_array_equal(
        shuffled.neighbours(stride=2), renumbered[grid.neighbours(stride=2)]
    )
    assert shuffled.pooled() == grid.pooled()


@settings(max_examples=10, deadline=None)
@given(hexagonal_cameras(max_rings=25), st.sampled_from(["hex", "square", "pool"]))
def test_pooled_grids_follow_one_another_as_in_the_package(camera, kernel):
    reference = pytest.importorskip("indexedconv.utils", reason="indexedconv not installed")
    torch = pytest.importorskip("torch")
    _, positions, _ = camera
    grid = PixelGrid.from_positions(positions.real, positions.imag)
    matrix = torch.tensor(grid.index_matrix[np.newaxis, np.newaxis], dtype=torch.float)
    while min(grid.index_matrix.shape) >= 4 and grid.n_pixels > 20:
        neighbours = grid.neighbours(stride=2, kernel=kernel)
        grid = grid.pooled(stride=2, kernel=kernel)
        matrix = reference.pool_index_matrix(matrix, kernel_type=kernel.title(), stride=2)
        assert grid == PixelGrid.from_index_matrix(matrix)
        assert neighbours.shape[1] == grid.n_pixels


@pytest.mark.parametrize("angle", [-19.1, 0.0, 10.9, 30.0])
def test_small_errors_do_not_turn_the_matrix_of_common_orientations(angle):
    cells = hexagon(5)
    grids = {
        PixelGrid.from_positions(positions.real, positions.imag)
        for positions in (place(cells, angle + error) for error in (-2, -0.1, 0, 0.1, 2))
    }
    assert len(grids) == 1
    (grid,) = grids
    np.testing.assert_array_equal(np.column_stack([grid.rows, grid.cols]), cells + 5)


def test_the_lattice_at_angles_60_degrees_apart_is_the_same():
    positions = place(hexagon(3), 12.0)
    turned = np.exp(1j * np.pi / 3) * positions
    grid, turned = (PixelGrid.from_positions(p.real, p.imag) for p in (positions, turned))
    assert np.array_equal(grid.index_matrix >= 0, turned.index_matrix >= 0)
    assert grid != turned


# -- unusual cameras -------------------------------------------------------------------------------


def test_one_pixel():
    grid = PixelGrid.from_positions([3.0], [4.0])
    assert grid.index_matrix.tolist() == [[0]]
    assert grid.neighbours().T.tolist() == [[-1, -1, -1, 0, -1, -1, -1]]


@pytest.mark.parametrize("lattice", ["hexagonal", "square"])
@pytest.mark.parametrize("angle", [0.0, 17.0, 100.0, 271.0])
def test_few_pixels_in_a_line(lattice, angle):
    x, y = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    grid = PixelGrid.from_positions([0, x, 2 * x], [0, y, 2 * y], lattice)
    assert adjacency(grid).tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_pixels_apart_from_the_others_are_put_on_their_lattice(angle):
    cells = np.concatenate([hexagon(4), [[9, 2], [9, 3], [-12, -12]]])
    positions = place(cells, angle)
    grid = PixelGrid.from_positions(positions.real, positions.imag)
    np.testing.assert_array_equal(grid.rows - grid.rows[0], cells[:, 0] - cells[0, 0])
    np.testing.assert_array_equal(grid.cols - grid.cols[0], cells[:, 1] - cells[0, 1])


def test_gaps_between_hexagonal_modules_do_not_add_up():
    cells = hexagon(12)
    gaps = 0.25 * (cells[:, 0] // 4)  # a gap of a quarter pitch every four rows
    positions = place(cells) + gaps * E_ROW
    assert np.ptp(gaps) > 1
    grid = PixelGrid.from_positions(positions.real, positions.imag)
    np.testing.assert_array_equal(np.column_stack([grid.rows, grid.cols]), cells + 12)


@pytest.mark.parametrize("gap", [0.0, 0.1, 0.35, 0.43, 0.65, 0.9])
@pytest.mark.parametrize("angle", [0.0, 30.0, -41.0])
def test_square_modules(gap, angle):
    positions, row, col = square_camera(gap, n_modules=8, angle=angle)
    grid = PixelGrid.from_positions(positions.real, positions.imag, lattice="square")
    np.testing.assert_array_equal(grid.rows, row)
    np.testing.assert_array_equal(grid.cols, col)


@pytest.mark.parametrize("n_modules", [2, 4])
def test_neighbours_across_the_gaps_of_modules(n_modules):
    """Of 8 x 8 pixels of 6 mm, 3 mm apart: by hand, for a geometry of ctapipe's in any order."""
    row, col = np.mgrid[: 8 * n_modules, : 8 * n_modules].reshape(2, -1)
    x, y = (0.006 * index + 0.003 * (index // 8) for index in (col, -row))
    order = np.random.default_rng(3).permutation(len(row))
    grid = PixelGrid.from_geometry(geometry_of((x + 1j * y)[order], PixelShape.SQUARE))
    assert grid.index_matrix.shape == (8 * n_modules, 8 * n_modules)
    # The last pixel of the first module, and what is around it in four modules.
    pixel, around = np.argsort(order)[[7 * 8 * n_modules + 7, 0]]
    number = {(row[p], col[p]): n for n, p in enumerate(order)}
    members = [number[7 + d_row, 7 + d_col] for d_row in (-1, 0, 1) for d_col in (-1, 0, 1)]
    assert grid.neighbours()[:, pixel].tolist() == members
    # The first pixel has three.
    assert sorted(grid.neighbours()[:, around]) == sorted(
        [-1] * 5 + [number[0, 0], number[0, 1], number[1, 0], number[1, 1]]
    )


def test_modules_on_a_curved_focal_plane():
    """Pitches differ between modules, and modules of one row are not quite in line."""
    row, col = np.mgrid[:48, :48].reshape(2, -1)
    corner = np.isin(row // 8, [0, 5]) & np.isin(col // 8, [0, 5])
    row, col = row[~corner], col[~corner]
    x, y = (index - 23.5 + 0.43 * (index // 8 - 2.5) for index in (col, -row))
    radius = np.hypot(x, y)
    seen = 170 * np.sin(radius / 170) / radius  # a sphere of 1 m, for pixels of 6 mm
    grid = PixelGrid.from_positions(x * seen, y * seen, "square")
    np.testing.assert_array_equal(np.column_stack([grid.rows, grid.cols]).T, [row, col])


def test_a_missing_pixel_is_no_gap():
    """Nor is a missing line, which leaves room for pixels."""
    row, col = np.mgrid[:8, :9].reshape(2, -1)
    here = (col != 4) & ~((row == 3) & (col == 1))
    grid = PixelGrid.from_positions(col[here], -row[here], "square")
    np.testing.assert_array_equal(np.column_stack([grid.rows, grid.cols]).T, [row[here], col[here]])


def test_square_rows_go_down_and_columns_to_the_right():
    grid = PixelGrid.from_positions([0, 1, 0, 1], [1, 1, 0, 0], lattice="square")
    assert grid.index_matrix.tolist() == [[0, 1], [2, 3]]


def test_square_camera_has_the_neighbours_that_ctapipe_finds():
    positions, _, _ = square_camera()
    geometry = geometry_of(positions, PixelShape.SQUARE)
    grid = PixelGrid.from_geometry(geometry)
    assert grid.lattice == "square"
    # ctapipe tells corners from edges; the kernel holds both.
    touching = geometry.calc_pixel_neighbors(diagonal=False).toarray()
    assert np.all(adjacency(grid)[touching])
    steps = np.abs(np.subtract.outer(grid.rows, grid.rows)) + np.abs(
        np.subtract.outer(grid.cols, grid.cols)
    )
    np.testing.assert_array_equal(steps == 1, touching)


# -- what is no lattice ----------------------------------------------------------------------------


def geometry_of(positions, shape):
    return CameraGeometry(
        name="TestCam",
        pix_id=np.arange(len(positions)),
        pix_x=positions.real * u.m,
        pix_y=positions.imag * u.m,
        pix_area=np.full(len(positions), 36e-6) * u.m**2,
        pix_type=shape,
    )


def test_circular_pixels_are_refused():
    with pytest.raises(LatticeError, match="TestCam has circle pixels.*hexagonal or square"):
        PixelGrid.from_geometry(geometry_of(place(hexagon(2)), PixelShape.CIRCLE))


def test_lengths_of_both_axes_may_have_different_units():
    positions = place(hexagon(3), 20.0)
    geometry = geometry_of(positions, PixelShape.HEXAGON)
    geometry.pix_y = geometry.pix_y.to(u.cm)
    assert PixelGrid.from_geometry(geometry) == PixelGrid.from_positions(
        positions.real, positions.imag
    )


def test_not_a_camera():
    with pytest.raises(TypeError, match="CameraGeometry, got a str"):
        PixelGrid.from_geometry("LSTCam")


def changed(positions, pixel, to):
    positions = positions.copy()
    positions[pixel] = to
    return positions


@pytest.mark.parametrize(
    ("positions", "lattice", "message"),
    [
        (square_camera()[0], "hexagonal", "6 directions"),
        (place(hexagon(3)), "square", "4 directions"),
        (
            changed(place(hexagon(3)), 5, place(hexagon(3))[4]),
            "hexagonal",
            "[45] and [45] are in the same place",
        ),
        (changed(place(hexagon(3)), 5, 1e9), "hexagonal", "Pixel 5 is .* pitches from the middle"),
        (changed(place(hexagon(3)), 5, np.nan), "hexagonal", "finite"),
        (np.append(place(hexagon(3)), 8.5 + 0.3j), "hexagonal", "Pixel 37, apart"),
        (np.random.default_rng(1).random((200, 2)) @ [1, 1j], "hexagonal", "."),
        (np.random.default_rng(1).random((200, 2)) @ [1, 1j], "square", "."),
        (np.exp(2j * np.pi * np.arange(30) / 30), "hexagonal", "."),
        (np.array([]), "hexagonal", "at least one"),
    ],
    ids=[
        "square-as-hexagonal",
        "hexagonal-as-square",
        "same-place",
        "far-away",
        "nan",
        "between",
        "random-hexagonal",
        "random-square",
        "ring",
        "none",
    ],
)
def test_positions_off_the_lattice_are_refused(positions, lattice, message):
    with pytest.raises(LatticeError, match=message):
        PixelGrid.from_positions(positions.real, positions.imag, lattice)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 1], [1, 2]], "once"),
        ([[0, 2]], "once"),
        ([[-1, -1]], "once"),
        ([[0, 1], [-2, 2]], "once"),
        ([[0.5, 1]], "once"),
        ([[np.nan, 0]], "once"),
        ([0, 1, 2], "two axes"),
    ],
)
def test_index_matrices_with_errors_are_refused(matrix, message):
    with pytest.raises(LatticeError, match=message):
        PixelGrid.from_index_matrix(matrix)


def test_unknown_lattice():
    with pytest.raises(ValueError, match="'hexagonal' or 'square', not 'triangular'"):
        PixelGrid.from_positions([0], [0], lattice="triangular")


# -- seven pixels, by hand -------------------------------------------------------------------------


@pytest.fixture
def seven():
    return PixelGrid.from_index_matrix(SEVEN)


def test_seven_pixels_from_positions(seven):
    half, height = 0.5, np.sqrt(3) / 2
    x = [-half, half, -1, 0, 1, -half, half]
    y = [height, height, 0, 0, 0, -height, -height]
    assert PixelGrid.from_positions(x, y) == seven


def test_neighbours_of_seven_pixels(seven):
    assert seven.neighbours().T.tolist() == [
        [-1, -1, -1, 0, 1, 2, 3],
        [-1, -1, 0, 1, -1, 3, 4],
        [-1, 0, -1, 2, 3, -1, 5],
        [0, 1, 2, 3, 4, 5, 6],
        [1, -1, 3, 4, -1, 6, -1],
        [2, 3, -1, 5, 6, -1, -1],
        [3, 4, 5, 6, -1, -1, -1],
    ]
    assert seven.neighbours().dtype == np.int64


def test_square_kernel_on_seven_pixels(seven):
    assert seven.neighbours(kernel="square")[:, 3].tolist() == [0, 1, -1, 2, 3, 4, -1, 5, 6]


def test_dilated_kernel_on_seven_pixels(seven):
    assert seven.neighbours(dilation=2)[:, 0].tolist() == [-1, -1, -1, 0, -1, -1, 6]


def test_stride_on_seven_pixels(seven):
    assert seven.neighbours(stride=2).T.tolist() == [
        [-1, -1, -1, 0, 1, 2, 3],
        [3, 4, 5, 6, -1, -1, -1],
    ]
    assert seven.pooled().index_matrix.tolist() == [[0, -1], [-1, 1]]


def test_pool_kernel_leaves_out_an_odd_last_row_and_column(seven):
    assert seven.neighbours(kernel="pool").T.tolist() == [[0, 1, 2, 3]]
    assert seven.pooled(kernel="pool").index_matrix.tolist() == [[0]]


def test_the_pixel_alone(seven):
    assert seven.neighbours(radius=0).tolist() == [list(range(7))]
    # As in the package, whose kernel of radius 0 is not centred on the last row and column.
    assert seven.neighbours(radius=0, stride=2).tolist() == [[0]]
    assert seven.pooled(stride=2, radius=0).index_matrix.tolist() == [[0]]


def test_stride_1_keeps_the_order_of_the_pixels():
    grid = PixelGrid.from_index_matrix([[6, 5, -1], [4, 3, 2], [-1, 1, 0]])
    np.testing.assert_array_equal(grid.neighbours()[3], np.arange(7))
    assert grid.neighbours()[:, 6].tolist() == [-1, -1, -1, 6, 5, 4, 3]
    assert grid.pooled(stride=1) is grid


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", ["hex", "square"])
@pytest.mark.parametrize("shape", [(7, 7), (6, 9), (8, 8)])
def test_neighbours_are_those_of_the_package(shape, kernel, dilation, radius, stride):
    reference = pytest.importorskip("indexedconv.utils", reason="indexedconv not installed")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    matrix = np.full(shape, -1)
    occupied = rng.random(shape) < 0.8
    matrix[occupied] = rng.permutation(np.count_nonzero(occupied))
    grid = PixelGrid(matrix)

    theirs = reference.neighbours_extraction(
        torch.tensor(matrix[np.newaxis, np.newaxis], dtype=torch.float),
        kernel.title(), radius, stride, dilation,
    )  # fmt: skip
    ours = grid.neighbours(radius, stride, dilation, kernel)
    if stride == 1:
        # Into the order of the matrix; radius 0 there lacks the last row and column.
        kept = matrix[:-1, :-1] if radius == 0 else matrix
        ours = ours[:, kept[kept >= 0]]
    np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": -1}, "radius is a whole number from 0 on, not -1"),
        ({"radius": 1.5}, "radius is a whole number from 0 on, not 1.5"),
        ({"stride": 0}, "stride is a whole number from 1 on, not 0"),
        ({"dilation": 0}, "dilation is a whole number from 1 on, not 0"),
        ({"kernel": "Hex"}, "'hex', 'square', 'pool' or None, not 'Hex'"),
        ({"kernel": "pool", "radius": 2}, "'pool' is 2 x 2 .* got radius 2"),
        ({"kernel": "pool", "stride": 3}, "'pool' is 2 x 2 .* stride 3"),
    ],
)
def test_arguments_out_of_range(seven, arguments, message):
    with pytest.raises(ValueError, match=message):
        seven.neighbours(**arguments)


def test_pooling_may_not_leave_nothing():
    with pytest.raises(LatticeError, match="leaves no pixel"):
        PixelGrid([[0]]).pooled(kernel="pool")


# -- a value ---------------------------------------------------------------------------------------


def test_grids_are_values(seven):
    same = PixelGrid.from_index_matrix(np.array(SEVEN, dtype=float)[np.newaxis, np.newaxis])
    assert seven == same
    assert hash(seven) == hash(same)
    assert seven != PixelGrid(SEVEN, lattice="square")
    assert seven != PixelGrid(np.transpose(SEVEN))
    assert seven != "seven"
    assert repr(seven) == "PixelGrid(hexagonal, 7 pixels in 3 x 3 cells)"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_grids_cannot_be_changed(seven, copied):
    source = np.array(SEVEN)
    for grid in (seven, copied(seven), PixelGrid(source)):
        assert grid == seven
        for array in (grid.index_matrix, grid.rows, grid.cols):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        with pytest.raises(AttributeError):
            grid.lattice = "square"
    source[0, 0] = 99  # what a grid was made from remains its maker's
