"""Splits: which showers are learnt from and which only watched."""

import hashlib

import numpy as np
from astropy.table import Table

__all__ = ["split_by_shower"]


def split_by_shower(events: Table, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide events into training and validation, whole showers at a time.

    All images of a shower, and all its reuses, fall on the same side. The showers of each
    particle are put in an order that depends on the seed and their keys alone, and the first
    ones go to validation: every process and every rerun agrees, and each particle has its share.

    Parameters
    ----------
    events : Table
        Columns particle, obs_id, shower_id.
    fraction : float
        Share of the showers for validation; at least one where it is not 0 and there are two.
    seed : int

    Returns
    -------
    training, validation : ndarray of int
        Rows of the events, increasing.
    """
    names = np.asarray(events["particle"])
    showers = np.column_stack(
        [
            np.asarray(events["obs_id"]).astype(str),
            np.asarray(events["shower_id"]).astype(str),
            names,
        ]
    )
    unique, number = np.unique(showers, axis=0, return_inverse=True)
    number = number.reshape(-1)
    order = [_order(seed, *key) for key in unique]
    validation = np.zeros(len(unique), dtype=bool)
    for particle in np.unique(names):
        members = [i for i in np.argsort(order) if unique[i, 2] == particle]
        n_validation = round(fraction * len(members))
        if fraction > 0 and len(members) > 1:
            n_validation = min(max(n_validation, 1), len(members) - 1)
        validation[members[:n_validation]] = True
    return np.flatnonzero(~validation[number]), np.flatnonzero(validation[number])


def _order(seed: int, *key: str) -> str:
    return hashlib.blake2b(":".join([str(seed), *key]).encode(), digest_size=8).hexdigest()
