"""Where a camera's pixels are: their grid, whatever the telescope."""

from .grid import LatticeError, PixelGrid
from .type import CameraType

__all__ = ["CameraType", "LatticeError", "PixelGrid"]
