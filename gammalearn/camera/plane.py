"""The plane perpendicular to the pointing: the ground as the telescopes' axes see it.

Its coordinates go along those of the sky: seen from a telescope, light from a point of the plane
further along ``lon`` comes from a larger ``fov_lon``. A shower from the pointing that hits the
plane at q is seen by a telescope at p as an image that points along q − p.
"""

import numpy as np

__all__ = ["from_plane", "impact_distance", "plane_axes", "to_plane"]


def plane_axes(alt: np.ndarray, az: np.ndarray) -> np.ndarray:
    """Unit vectors of the plane in the ground frame (x to the North, y to the West, z up).

    Parameters
    ----------
    alt, az : ndarray, shape (n,)
        Altitude and azimuth of the pointing in deg.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        The directions that fov_lon and fov_lat grow along, and the pointing.
    """
    alt, az = np.deg2rad(np.asarray(alt, dtype=np.float64)), np.deg2rad(np.asarray(az, np.float64))
    up, level = np.sin(alt), np.cos(alt)
    lon = np.stack([-np.sin(az), -np.cos(az), np.zeros_like(az)], axis=-1)
    lat = np.stack([-up * np.cos(az), up * np.sin(az), level], axis=-1)
    pointing = np.stack([level * np.cos(az), -level * np.sin(az), up], axis=-1)
    return np.stack([lon, lat, pointing], axis=-2)


def to_plane(position: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Positions along the axes of the plane.

    Parameters
    ----------
    position : ndarray, shape (n, 3)
        In the ground frame, in m.
    axes : ndarray, shape (n, 3, 3)
        Of `plane_axes`.

    Returns
    -------
    ndarray, shape (n, 3)
        Along fov_lon, along fov_lat and along the pointing, in m.
    """
    return np.einsum("nij,nj->ni", axes, position)


def from_plane(place: np.ndarray, axes: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Where the line along the pointing through a place in the plane has some height.

    Parameters
    ----------
    place : ndarray, shape (n, 2)
        Along fov_lon and fov_lat, in m.
    axes : ndarray, shape (n, 3, 3)
        Of `plane_axes`.
    height : ndarray, shape (n,)
        Coordinate z of the ground frame, in m.

    Returns
    -------
    ndarray, shape (n, 3)
        In the ground frame, in m.
    """
    across = np.einsum("nij,ni->nj", axes[:, :2], place)
    along = axes[:, 2]
    return across + along * ((height - across[:, 2]) / along[:, 2])[:, None]


def impact_distance(
    position: np.ndarray, core_x: np.ndarray, core_y: np.ndarray, alt: np.ndarray, az: np.ndarray
) -> np.ndarray:
    """Distance of telescopes from the axes of showers, one telescope for each shower.

    As `ctapipe.coordinates.impact_distance`, which takes one shower and many telescopes.

    Parameters
    ----------
    position : ndarray, shape (..., 3)
        Of the telescopes, in the ground frame, in m.
    core_x, core_y : ndarray, shape (...)
        Where the axes meet the ground (z = 0), in m.
    alt, az : ndarray, shape (...)
        Altitude and azimuth that the showers come from, in deg.

    Returns
    -------
    ndarray, shape (...)
        In m.
    """
    axis = plane_axes(alt, az)[..., 2, :]
    core = np.stack(np.broadcast_arrays(core_x, core_y, 0.0), axis=-1)
    return np.linalg.norm(np.cross(position - core, axis), axis=-1)
