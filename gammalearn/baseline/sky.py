"""Directions: as unit vectors in the ground frame, and as seen from a pointing."""

import numpy as np
from astropy.table import Table

from ..camera import plane_axes, to_plane

__all__ = ["frames", "separation", "to_altaz", "to_offset", "to_vector", "vector_of"]


def frames(table: Table) -> np.ndarray:
    """The axes of the field of view at each row's pointing, shape (n, 3, 3).

    Parameters
    ----------
    table : Table
        pointing_alt, pointing_az (deg).
    """
    return plane_axes(table["pointing_alt"], table["pointing_az"])


def to_vector(offset: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Unit vectors in the ground frame of offsets from the pointing.

    Parameters
    ----------
    offset : ndarray, shape (n, 2)
        fov_lon, fov_lat in deg.
    frame : ndarray, shape (n, 3, 3)
        Of `frames`.

    Returns
    -------
    ndarray, shape (n, 3)
    """
    lon, lat = np.deg2rad(offset).T
    parts = np.column_stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)])
    return np.einsum("ni,nij->nj", parts, frame)


def to_offset(vector: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Offsets (fov_lon, fov_lat) in deg of unit vectors in the ground frame, shape (n, 2)."""
    along_lon, along_lat, along_pointing = to_plane(vector, frame).T
    lat = np.arcsin(np.clip(along_lat, -1, 1))
    return np.rad2deg(np.column_stack([np.arctan2(along_lon, along_pointing), lat]))


def vector_of(alt: np.ndarray, az: np.ndarray) -> np.ndarray:
    """Unit vectors in the ground frame of altitude and azimuth in deg, shape (n, 3)."""
    return plane_axes(alt, az)[:, 2]


def to_altaz(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Altitude and azimuth in deg of unit vectors in the ground frame."""
    alt = np.arcsin(np.clip(vector[:, 2], -1, 1))
    return np.rad2deg(alt), np.rad2deg(-np.arctan2(vector[:, 1], vector[:, 0])) % 360


def separation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles in deg between unit vectors, shape (n,)."""
    chord = np.linalg.norm(first - second, axis=1)
    return np.rad2deg(2 * np.arcsin(np.clip(chord / 2, 0, 1)))
