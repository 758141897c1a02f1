"""Patches cover a camera, each pixel once."""

import numpy as np
import pytest
from ctapipe.instrument import SubarrayDescription

from gammalearn.camera import PixelGrid, pixel_patches

HEXAGONAL = {0: 1, 1: 7, 2: 19}
SQUARE = {0: 1, 1: 9, 2: 25}


@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize(("lattice", "sizes"), [("hexagonal", HEXAGONAL), ("square", SQUARE)])
def test_patches_tile_the_lattice(lattice, sizes, radius):
    """Far from the edge all patches are whole, and neighbouring pixels of a whole patch touch."""
    grid = PixelGrid(np.arange(40 * 40).reshape(40, 40), lattice)
    patches = pixel_patches(grid, radius)
    size = sizes[radius]
    assert patches.n_places == size
    inside = np.all([(grid.rows > 6), (grid.rows < 33), (grid.cols > 6), (grid.cols < 33)], axis=0)
    counts = np.bincount(patches.number)
    assert (counts[patches.number[inside]] == size).all()
    assert counts.max() == size and (counts > 0).all()
    # A place comes once in a patch.
    pairs = np.column_stack([patches.number, patches.place])
    assert len(np.unique(pairs, axis=0)) == grid.n_pixels
    assert (patches.place >= 0).all() and (patches.place < size).all()


@pytest.mark.parametrize("lattice", ["hexagonal", "square"])
def test_a_patch_is_a_pixel_and_its_neighbours(lattice):
    grid = PixelGrid(np.arange(400).reshape(20, 20), lattice)
    patches = pixel_patches(grid)
    seen = grid.neighbours(1)  # (n_members, n_pixels)
    whole = [n for n in range(patches.n_patches) if np.sum(patches.number == n) == len(seen)]
    assert len(whole) > 10
    for number in whole:
        pixels = set(np.flatnonzero(patches.number == number))
        assert any(set(column) == pixels for column in seen.T)


def test_cameras_are_covered(data_dir):
    """LSTCam and FlashCam, each pixel once, with few patches more than needed."""
    path = data_dir / "dl1_ctapipe" / "proton_run202_prod5.dl1.h5"
    if not path.exists():
        pytest.skip(f"no {path.name} in the test data")
    for camera in SubarrayDescription.from_hdf(path).camera_types:
        grid = PixelGrid.from_geometry(camera.geometry)
        patches = pixel_patches(grid)
        pairs = np.column_stack([patches.number, patches.place])
        assert len(np.unique(pairs, axis=0)) == grid.n_pixels
        assert patches.n_patches < 1.25 * grid.n_pixels / patches.n_places


def test_the_sketch_of_seven():
    """By hand: the flower around the middle pixel of a small camera."""
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    patches = pixel_patches(grid)
    assert patches.n_patches == 1
    assert patches.place.tolist() == [0, 1, 2, 3, 4, 5, 6]
