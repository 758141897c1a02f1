"""Names of the primary particles."""

__all__ = ["PARTICLES", "particle_names"]

import numpy as np

#: Names by the primary id of ctapipe files, which is that of sim_telarray.
PARTICLES = {0: "gamma", 1: "electron", 101: "proton"}


def particle_names(primary_ids) -> np.ndarray:
    """Names of the particles with these primary ids.

    Parameters
    ----------
    primary_ids : array_like of int, shape (n,)

    Returns
    -------
    ndarray of str, shape (n,)
        ``other`` for an id that has no name here.
    """
    names = [PARTICLES.get(int(primary), "other") for primary in np.asarray(primary_ids)]
    return np.array(names, dtype="U16")
