"""Pixels that a file's calibration says not to trust."""

from dataclasses import dataclass

import numpy as np

__all__ = ["BrokenPixels", "without_broken"]


@dataclass(frozen=True)
class BrokenPixels:
    """Which pixels of each image of a telescope are broken.

    Attributes
    ----------
    masks : ndarray of bool, shape (n_masks, n_pixels)
        Broken pixels, for each time that the calibration was made anew.
    mask_of_image : ndarray of int, shape (n_images,)
        Which mask counts for an image.
    """

    masks: np.ndarray
    mask_of_image: np.ndarray


def without_broken(charge: np.ndarray, broken: BrokenPixels | None, rows: np.ndarray) -> np.ndarray:
    """Charges of some images, NaN for broken pixels.

    Parameters
    ----------
    charge : ndarray of float, shape (n, n_pixels)
    broken : BrokenPixels or None
    rows : ndarray of int, shape (n,)
        Which images these are.

    Returns
    -------
    ndarray of float, shape (n, n_pixels)
        What DL1 has there are guesses from the neighbours: a network is told that it is missing.
    """
    if broken is None:
        return charge
    return np.where(broken.masks[broken.mask_of_image[rows]], np.nan, charge)
