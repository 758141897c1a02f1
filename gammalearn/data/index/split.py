"""Splits: which showers are learnt from and which only watched."""

import hashlib

import numpy as np
from astropy.table import Table

__all__ = ["random_rank", "split_by_shower"]


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
        Share of the showers for validation. Where it is not 0, at least one of each particle
        goes to either side; the only one of its kind is learnt from.
    seed : int

    Returns
    -------
    training, validation : ndarray of int
        Rows of the events, increasing.
    """
    names, particle = np.unique(np.asarray(events["particle"]), return_inverse=True)
    showers = np.column_stack([events["obs_id"], events["shower_id"], particle])
    unique, number = np.unique(showers, axis=0, return_inverse=True)
    number = number.reshape(-1)
    order = np.argsort([random_rank(seed, obs, shower, names[p]) for obs, shower, p in unique])
    validation = np.zeros(len(unique), dtype=bool)
    for p in range(len(names)):
        members = order[unique[order, 2] == p]
        n_validation = max(round(fraction * len(members)), 1) if fraction > 0 else 0
        validation[members[: min(n_validation, len(members) - 1)]] = True
    return np.flatnonzero(~validation[number]), np.flatnonzero(validation[number])


def random_rank(*key: object) -> bytes:
    """What to sort by for a random order that depends on the keys alone."""
    return hashlib.blake2b(":".join(map(str, key)).encode(), digest_size=8).digest()
