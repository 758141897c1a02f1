"""Types: what counts as a lens."""

import numpy as np

__all__ = ["LENS", "is_lens"]

#: The type of lenses; objects of any other type are none, and those without one are not known.
LENS = "lens"


def is_lens(kinds: np.ndarray) -> np.ndarray:
    """1 for lenses, 0 for others, NaN where the type is not known.

    Parameters
    ----------
    kinds : ndarray of str, shape (n,)
    """
    kinds = np.asarray(kinds)
    return np.where(kinds == "", np.nan, kinds == LENS)
