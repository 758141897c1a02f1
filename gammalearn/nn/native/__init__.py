"""Layers on the pixels of a camera, compiled for this CPU.

A hexagonal kernel on the cells of a round camera's index matrix spends half of its multiplications
on cells without a pixel and on corners of the square that are no neighbours. Here only neighbours
count. Features are (n_images, n_pixels + 1, channels): the values of a pixel side by side, and
behind the last pixel one of zeros that stands for neighbours that are not there.

Numba compiles it; loops run on the OpenMP threads of torch, as two pools would fight for the cores.
"""

from .attention import weigh
from .convolution import convolve, lookup, transposed
from .loops import is_available, takes
from .normalisation import affine, normalise

__all__ = [
    "affine",
    "convolve",
    "is_available",
    "lookup",
    "normalise",
    "takes",
    "transposed",
    "weigh",
]
