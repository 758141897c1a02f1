"""Noise of dark pixels, in images that may hold a shower."""

import warnings

import numpy as np

__all__ = ["BELOW_ONE_SIGMA", "noise_level"]

#: Part of a normal distribution that is more than one standard deviation below its mean.
BELOW_ONE_SIGMA = 0.1587


def noise_level(charge: np.ndarray) -> np.ndarray:
    """Noise of the dark pixels of images.

    It is the distance between the median of the charges and the quantile that is one standard
    deviation below the mean of a normal distribution. Light of a shower is above the median and is
    in few pixels, so it does not need to be cleaned away. `gammalearn.nn.conditioning.noise_level`
    is the same for the channels of a network.

    Parameters
    ----------
    charge : ndarray, shape (n_images, n_pixels)
        In p.e.; pixels whose charge is not finite, or exactly 0, are missing.

    Returns
    -------
    ndarray, shape (n_images,)
        In p.e., NaN for images without pixels.
    """
    known = np.where(np.isfinite(charge) & (charge != 0), charge, np.nan).astype(np.float64)
    with warnings.catch_warnings():
        # Of images without pixels.
        warnings.simplefilter("ignore", RuntimeWarning)
        below, median = np.nanquantile(known, [BELOW_ONE_SIGMA, 0.5], axis=1)
    return median - below
