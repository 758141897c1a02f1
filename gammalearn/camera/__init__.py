"""Where a camera's pixels are: their grid, whatever the telescope."""

from .grid import PixelGrid
from .lattice import LatticeError
from .patches import PixelPatches, pixel_patches
from .plane import from_plane, impact_distance, plane_axes, to_plane
from .symmetry import Symmetry
from .type import CameraType

__all__ = [
    "CameraType",
    "LatticeError",
    "PixelGrid",
    "PixelPatches",
    "Symmetry",
    "from_plane",
    "impact_distance",
    "pixel_patches",
    "plane_axes",
    "to_plane",
]
