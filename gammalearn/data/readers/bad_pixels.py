"""Pixels without a measurement: broken by the calibration, or dropped by the data-volume reduction.

An observatory that reduces its data stores the waveforms of the pixels around a shower. The others
have waveforms of zeros, and with them charges of exactly 0 in DL1. They are missing, not dark.
"""

from dataclasses import dataclass

import numpy as np
import tables
from astropy.time import Time
from ctapipe.io import read_table

from ...io.ctapipe_tables import COEFFICIENTS, of_telescope

__all__ = ["BrokenPixels", "CalibrationRecord", "without_broken", "without_dropped"]

#: Share of the pixels of an image that are 0 by rounding at most, in files of scaled integers: of a
#: noise of 1.5 p.e. in steps of 0.1 p.e. it is 3 %.
ROUNDED_TO_ZERO = 0.25


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


def without_dropped(charge: np.ndarray, is_rounded: bool) -> np.ndarray:
    """Charges of some images, NaN for pixels that have none.

    Parameters
    ----------
    charge : ndarray of float, shape (n, n_pixels)
    is_rounded : bool
        Whether the file has scaled integers. Dark pixels can then be 0 too, and zeros count as
        missing only in images that have many.

    Returns
    -------
    ndarray of float, shape (n, n_pixels)
    """
    dropped = charge == 0
    if is_rounded:
        dropped &= (dropped.mean(axis=1) > ROUNDED_TO_ZERO)[:, None]
    return np.where(dropped, np.nan, charge) if dropped.any() else charge


@dataclass(frozen=True)
class CalibrationRecord:
    """Broken pixels of a telescope against time, from a ctapipe file.

    Attributes
    ----------
    masks : ndarray of bool, shape (n_masks, n_pixels)
    start : ndarray of float, shape (n_masks,)
        When a mask begins to count (s, ``unix_tai``), increasing.
    """

    masks: np.ndarray
    start: np.ndarray

    @classmethod
    def read(cls, file: tables.File, tel_id: int, simulated: bool) -> "CalibrationRecord | None":
        """What a file has, None if it flags nothing.

        Parameters
        ----------
        file : tables.File
        tel_id : int
        simulated : bool
            Times of simulated events mean nothing: the first calibration counts, as in ctapipe.
        """
        # As ctapipe-merge brings it into a file.
        path = of_telescope(COEFFICIENTS, tel_id)
        if path not in file or file.get_node(path).nrows == 0:
            return None
        table = read_table(file, path)
        # A pixel of either gain: which of them a charge is of, files do not say.
        masks = np.asarray(table["outlier_mask"], dtype=bool)
        masks = np.any(masks.reshape(len(masks), -1, masks.shape[-1]), axis=1)
        if not masks.any():
            return None
        start = table["time"].unix_tai
        order = [0] if simulated else np.argsort(start, kind="stable")
        return cls(masks[order], start[order])

    def number_at(self, time: Time) -> np.ndarray:
        """Which mask counts at each time: the latest, or the first for what is before all."""
        return np.maximum(np.searchsorted(self.start, time.unix_tai, side="right") - 1, 0)
