"""Colours: which light of a cut-out has another colour than the galaxy in its middle."""

from collections.abc import Sequence

import numpy as np

from ..galaxies.photometry import apertures

__all__ = ["MIDDLE", "bluest", "other_colours", "reference_of_colours"]

#: Radius (pixels) of the circle whose colour is that of the galaxy.
MIDDLE = 2.5


def reference_of_colours(bands: Sequence[str]) -> int:
    """The band where old stars outshine arcs: i, or the last one."""
    return list(bands).index("i") if "i" in bands else len(bands) - 1


def bluest(bands: Sequence[str]) -> int:
    """The band where arcs are bright: g, or the first that is not the reference."""
    if "g" in bands:
        return list(bands).index("g")
    return 0 if reference_of_colours(bands) else 1


def other_colours(blue: np.ndarray, red: np.ndarray) -> np.ndarray:
    """The blue image less the red one, scaled so that nothing is left in the middle.

    Parameters
    ----------
    blue, red : ndarray, shape (n, n_pixels, n_pixels)
    """
    circle = apertures(blue.shape[-1], [MIDDLE])[0]
    light, whole = (np.einsum("nyx,yx->n", image, circle) for image in (blue, red))
    part = np.divide(light, whole, out=np.zeros_like(light), where=whole > 0)
    return blue - part[:, None, None] * red
