"""Depth of maximum: atmosphere that the shower has crossed where it has most electrons (x_max)."""

import astropy.units as u
import numpy as np

from .regression import Regression

__all__ = ["DepthOfMaximum"]


class DepthOfMaximum(Regression):
    """Slant depth of the shower's maximum, from the top of the atmosphere along the axis."""

    name = "depth_of_maximum"
    column = "x_max"
    unit = u.g / u.cm**2
    unit_in_words = "g/cm²"
    called = "depth of the maximum"
    short = "depth"

    def known_truth(self, values: u.Quantity) -> u.Quantity:
        # Showers without a fit of their profile have 0.
        known = values.copy()
        known[~(known > 0)] = np.nan
        return known
