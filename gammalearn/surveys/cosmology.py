"""Distances in the cosmology of Planck 2018."""

from functools import cache

import numpy as np

__all__ = ["comoving_distance", "distance_modulus"]


@cache
def _distances() -> tuple[np.ndarray, np.ndarray]:
    # Slow to import, and few values are needed.
    from astropy.cosmology import Planck18

    redshift = np.geomspace(1e-4, 5, 400)
    return redshift, Planck18.distmod(redshift).value


def distance_modulus(redshift: float | np.ndarray) -> np.ndarray:
    """Distance modulus (mag), by interpolation."""
    known, modulus = _distances()
    clipped = np.clip(redshift, known[0], known[-1])
    return np.interp(np.log(clipped), np.log(known), modulus)


def comoving_distance(redshift: float | np.ndarray) -> np.ndarray:
    """Comoving distance (pc), in flat space."""
    return 10 ** (distance_modulus(redshift) / 5 + 1) / (1 + np.asarray(redshift))
