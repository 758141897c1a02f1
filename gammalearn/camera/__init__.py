"""Where a camera's pixels are: their grid, whatever the telescope."""

from .grid import PixelGrid
from .lattice import LatticeError
from .symmetry import Symmetry
from .type import CameraType

__all__ = ["CameraType", "LatticeError", "PixelGrid", "Symmetry"]
