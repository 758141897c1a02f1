"""Values of the reconstructed events, in the rows of a file's tables."""

import astropy.units as u
import numpy as np

from ..tasks.event_classes import NO_CLASS

__all__ = ["in_rows"]


def in_rows(values: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Values of events for each row of a table.

    Parameters
    ----------
    values : ndarray or astropy.units.Quantity, shape (n_events,)
    row : ndarray of int, shape (n_rows,)
        The event of each row, −1 for none.

    Returns
    -------
    ndarray or astropy.units.Quantity, shape (n_rows,)
        In rows without an event NaN, or `NO_CLASS` if the values are integers.
    """
    known = row >= 0
    filled: np.ndarray
    if isinstance(values, u.Quantity):
        filled = np.full(len(row), np.nan) * values.unit
    elif np.issubdtype(values.dtype, np.integer):
        filled = np.full(len(row), NO_CLASS, dtype=values.dtype)
    else:
        filled = np.full(len(row), np.nan)
    filled[known] = values[row[known]]
    return filled
