"""The same events in results of different origin."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from astropy.table import QTable

__all__ = ["EVENT", "IMAGE", "number_alike", "rows_in_common"]

#: What tells events apart. Ids repeat between files, whose names say nothing: the truth does.
EVENT = ("obs_id", "event_id", "particle", "true_energy")
IMAGE = (*EVENT, "tel_id")


def number_alike(tables: Sequence[QTable], keys: Sequence[str] = EVENT) -> list[np.ndarray]:
    """A number for each row, the same in all tables for the same event.

    Parameters
    ----------
    tables : sequence of astropy.table.QTable
        From `read_events`.
    keys : sequence of str
        `EVENT` or `IMAGE`. Energies are compared in single precision, in which some software
        writes them.

    Returns
    -------
    numbers : list of numpy.ndarray of int
        One array a table, shape (n_rows,).
    """
    columns = []
    for name in keys:
        values = np.concatenate([np.asarray(table[name]) for table in tables])
        if name == "true_energy":
            values = values.astype(np.float32)
        # Plain integers sort much faster than rows of mixed types.
        columns.append(np.unique(values, return_inverse=True)[1].reshape(-1))
    rows = np.column_stack(columns)
    numbers = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    return np.split(numbers, np.cumsum([len(table) for table in tables])[:-1])


def rows_in_common(numbers: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Rows of the events that all tables have, by growing number.

    Parameters
    ----------
    numbers : sequence of numpy.ndarray of int
        From `number_alike`, or a selection of those; unique within each table.

    Returns
    -------
    rows : list of numpy.ndarray of int
        One array a table, all of shape (n_common,): positions in the arrays of ``numbers``.
    """
    common = reduce(np.intersect1d, numbers)
    rows = []
    for mine in numbers:
        order = np.argsort(mine)
        rows.append(order[np.searchsorted(mine, common, sorter=order)])
    return rows
