"""Turns and mirrors of the pixels, against where the pixels are."""

import itertools

import numpy as np
import pytest
from ctapipe.instrument import SubarrayDescription
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.camera import CameraType, PixelGrid

CAMERA_FILES = {
    "LSTCam": "proton_run202_prod5",
    "FlashCam": "proton_run202_prod5",
    "MSTx-NectarCam": "gamma_diffuse_run10_6.0.0",
    "HESS-1U": "gamma_with_obslevel_particles",
}


def hexagon(radius, orientation=0.0, pitch=1.0):
    """A hexagonal camera with pixels in shuffled order."""
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.random.default_rng(radius).permutation(np.flatnonzero(np.abs(col - row) <= radius))
    z = pitch * (col + row * np.exp(-2j * np.pi / 3))[inside] * np.exp(1j * np.deg2rad(orientation))
    return CameraType("hexagon", z.real, z.imag, "hexagonal", focal_length=28.0)


def assert_positions_turn(camera, symmetry, tolerance):
    """The value that a pixel takes was seen where the turned camera has that pixel."""
    there = symmetry.pixels >= 0
    positions = np.column_stack([camera.pix_x, camera.pix_y])
    moved = positions[symmetry.pixels[there]] @ symmetry.matrix(camera.axis).T
    shift = positions[there] - moved
    # All by the same: the centre of the turn need not be the origin.
    np.testing.assert_allclose(shift - shift.mean(axis=0), 0, atol=tolerance * camera.pitch)


@given(st.integers(1, 8), st.floats(-180, 180), st.sampled_from([0.001, 1.0, 50.0]))
def test_a_hexagon_has_twelve_symmetries(radius, orientation, pitch):
    camera = hexagon(radius, orientation, pitch)
    symmetries = camera.grid.symmetries
    assert [(s.turn, s.mirrored) for s in symmetries] == list(
        (turn, mirrored) for mirrored, turn in itertools.product((False, True), range(0, 360, 60))
    )
    assert symmetries[0].pixels.tolist() == list(range(camera.n_pixels)), "the identity first"
    for symmetry in symmetries:
        assert symmetry.complete
        assert sorted(symmetry.pixels) == list(range(camera.n_pixels))
        assert_positions_turn(camera, symmetry, tolerance=1e-6)


@given(st.integers(0, 11), st.integers(0, 11))
def test_symmetries_form_a_group(first, second):
    camera = hexagon(3, 20.0)
    symmetries, axis = camera.grid.symmetries, camera.axis
    one, other = symmetries[first], symmetries[second]
    both = [s for s in symmetries if np.array_equal(s.pixels, one.pixels[other.pixels])]
    assert len(both) == 1
    np.testing.assert_allclose(
        both[0].matrix(axis), other.matrix(axis) @ one.matrix(axis), atol=1e-9
    )


def test_neighbours_stay_neighbours():
    grid = hexagon(4).grid
    neighbours = grid.neighbours()
    for symmetry in grid.symmetries:
        turned = symmetry.pixels[neighbours] * (neighbours >= 0) - (neighbours < 0)
        expected = neighbours[:, symmetry.pixels]
        np.testing.assert_array_equal(np.sort(turned, axis=0), np.sort(expected, axis=0))


def test_square_pixels_have_eight():
    row, col = np.mgrid[:5, :5].reshape(2, -1)
    camera = CameraType("square", col * 1.0, -row * 1.0, "square", focal_length=2.0)
    assert len(camera.grid.symmetries) == 8
    for symmetry in camera.grid.symmetries:
        assert symmetry.complete
        assert_positions_turn(camera, symmetry, tolerance=1e-9)


def test_about_a_vertex_a_turn_is_120_degrees():
    grid = PixelGrid([[0, 1], [-1, 2]])  # three pixels around a vertex
    turns = {s.turn for s in grid.symmetries if not s.mirrored}
    assert turns == {0, 120, 240}
    assert all(s.complete for s in grid.symmetries)


def test_pixels_without_a_counterpart_are_minus_one():
    matrix = np.array(hexagon(2).grid.index_matrix)
    missing = matrix[0, 0]
    matrix[matrix == missing] = -1
    matrix[matrix > missing] -= 1
    grid = PixelGrid(matrix)
    turned = grid.symmetries[1]
    assert not turned.complete
    assert np.count_nonzero(turned.pixels < 0) == 1
    assert grid.symmetries[0].complete


@pytest.mark.parametrize("name", CAMERA_FILES)
def test_symmetries_of_real_cameras(data_dir, name):
    path = data_dir / "dl1_ctapipe" / f"{CAMERA_FILES[name]}.dl1.h5"
    if not path.exists():
        pytest.skip(f"no {path.name} in the test data")
    subarray = SubarrayDescription.from_hdf(path)
    telescope = next(t for t in subarray.tel.values() if t.camera.name == name)
    camera = CameraType.from_geometry(
        telescope.camera.geometry, telescope.optics.equivalent_focal_length
    )
    symmetries = camera.grid.symmetries
    assert symmetries[0].complete
    assert len(symmetries) >= 4
    for symmetry in symmetries:
        # Modules are mounted with gaps, which a turn does not keep.
        assert_positions_turn(camera, symmetry, tolerance=0.2)
