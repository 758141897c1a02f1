"""Where a camera's pixels are: their grid, whatever the telescope."""

from .grid import PixelGrid
from .lattice import LatticeError
from .plane import from_plane, impact_distance, plane_axes, to_plane
from .symmetry import Symmetry
from .type import CameraType

__all__ = [
    "CameraType",
    "LatticeError",
    "PixelGrid",
    "Symmetry",
    "from_plane",
    "impact_distance",
    "plane_axes",
    "to_plane",
]
