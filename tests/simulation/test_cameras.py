"""Cameras: built from their modules, they are those of the real files, pixel by pixel."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument import SubarrayDescription

from gammalearn.camera import CameraType, PixelGrid
from gammalearn.simulation.cameras import PITCH, flashcam, lstcam, nectarcam

CAMERAS = {
    "LSTCam": (lstcam, 29.306),
    "NectarCam": (nectarcam, 16.445),
    "FlashCam": (flashcam, 16.445),
}

#: File and telescope that has the camera.
REAL = {
    "LSTCam": ("proton_run202_prod5", 1),
    "NectarCam": ("gamma_diffuse_run10_6.0.0", 5),
    "FlashCam": ("proton_run202_prod5", 5),
}


@pytest.fixture(params=CAMERAS)
def name(request):
    return request.param


@pytest.fixture
def camera(name):
    build, focal_length = CAMERAS[name]
    return build(focal_length)


@pytest.fixture
def real(name, data_dir):
    """The telescope of a real file that has the camera."""
    file, tel_id = REAL[name]
    return SubarrayDescription.from_hdf(data_dir / "dl1_ctapipe" / f"{file}.dl1.h5").tel[tel_id]


def positions(geometry):
    return np.column_stack([geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)])


def test_pixels_are_those_of_the_real_camera(camera, real):
    geometry = real.camera.geometry
    assert camera.n_pixels == geometry.n_pixels
    assert np.abs(positions(camera) - positions(geometry)).max() < 1e-3 * PITCH


def test_neighbours_are_those_of_the_real_camera(camera, real):
    assert np.array_equal(camera.neighbor_matrix, real.camera.geometry.neighbor_matrix)


def test_shape_and_rotation_are_those_of_the_real_camera(camera, real):
    geometry = real.camera.geometry
    assert camera.pix_type == geometry.pix_type
    assert u.allclose(camera.pix_area, geometry.pix_area, rtol=1e-5)
    assert u.allclose(camera.pix_rotation, geometry.pix_rotation, atol=1e-3 * u.deg)
    assert u.allclose(camera.cam_rotation, geometry.cam_rotation, atol=1e-3 * u.deg)


def test_networks_take_it_for_the_real_camera(camera, real):
    """Hence a network trained on simulated images reads real ones, and the other way round."""
    focal_length = real.optics.equivalent_focal_length
    of_file = CameraType.from_geometry(real.camera.geometry, focal_length)
    assert CameraType.from_geometry(camera, focal_length).same_camera(of_file)


def test_grid_has_a_cell_for_each_pixel(camera, name):
    grid = PixelGrid.from_geometry(camera)
    assert grid.lattice == "hexagonal"
    assert grid.n_pixels == {"LSTCam": 1855, "NectarCam": 1855, "FlashCam": 1764}[name]
    neighbours = grid.neighbours(radius=1)
    assert np.array_equal((neighbours >= 0).sum(axis=0) - 1, camera.neighbor_matrix.sum(axis=1))


def test_camera_is_symmetric(camera, name):
    """LSTCam and NectarCam look the same after sixths of a turn, FlashCam after thirds."""
    turn = np.exp(2j * np.pi / {"FlashCam": 3}.get(name, 6))
    pixels = positions(camera) @ [1, 1j]
    distance = np.abs(turn * pixels[:, np.newaxis] - pixels).min(axis=1)
    assert distance.max() < 1e-6


def test_angles_follow_from_the_focal_length(camera, name):
    assert camera.frame.focal_length == CAMERAS[name][1] * u.m
