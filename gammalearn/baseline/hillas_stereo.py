"""Geometry of stereo events: what ctapipe's HillasReconstructor gives, of many events at once.

ctapipe describes each event in containers and frames, which takes some 20 ms. Here the same is
computed with arrays: each image's axis is a plane in space. Where the planes cross in the sky is
the direction, and where they cross on the ground the core.
"""

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ..camera import from_plane, to_plane
from ..data import EventIndex
from ..data.readers.formats import open_reader
from .sky import frames, to_altaz, to_offset, to_vector

__all__ = ["GEOMETRY", "PARAMETERS", "hillas_geometry"]

#: Parameters of an image that the geometry is made of, by ctapipe's names.
PARAMETERS = (
    "hillas_intensity",
    "hillas_length",
    "hillas_width",
    "hillas_psi",
    "hillas_fov_lon",
    "hillas_fov_lat",
    "morphology_n_pixels",
)

#: What is given of an event, by ctapipe's names, and its unit.
GEOMETRY = {
    "alt": u.deg,
    "az": u.deg,
    "core_x": u.m,
    "core_y": u.m,
    "h_max": u.m,
    "alt_uncert": u.deg,
}

#: Images that ctapipe takes by default: those of more light (p.e.) and more pixels than these.
LITTLE_CHARGE, FEW_PIXELS = 50, 3

#: The axis goes through the centroid and a point so far from it, in radii of the camera.
STEP = 0.1


def hillas_geometry(index: EventIndex, cache_directory: str | None = None) -> QTable:
    """Direction, core and height of maximum of each event.

    Parameters
    ----------
    index : EventIndex
        Of stereo events, with `PARAMETERS` of each image.
    cache_directory : str, optional
        Setting ``data.cache_directory``.

    Returns
    -------
    QTable
        Columns of `GEOMETRY`, a row an event of the index. ``alt_uncert`` is the mean angle between
        the direction and those of pairs of images. NaN where there are fewer than two images that
        ctapipe takes.
    """
    geometry = QTable({name: np.full(len(index), np.nan) * unit for name, unit in GEOMETRY.items()})
    images = {name: np.asarray(index.images[name]) for name in index.images.colnames}
    usable = (images["hillas_intensity"] > LITTLE_CHARGE) & (images["hillas_width"] > 0)
    usable &= images["morphology_n_pixels"] > FEW_PIXELS
    usable &= np.bincount(images["event"][usable], minlength=len(index))[images["event"]] > 1
    if not usable.any():
        return geometry
    rows, event = np.unique(images["event"][usable], return_inverse=True)
    images = {name: column[usable].astype(np.float64) for name, column in images.items()}
    radius, height = _instrument(index, cache_directory)

    tel_frame, array_frame = frames(images), frames(index.events[rows])
    centroid = np.column_stack([images["hillas_fov_lon"], images["hillas_fov_lat"]])
    psi = np.deg2rad(images["hillas_psi"])
    step = STEP * radius[usable, None] * np.column_stack([np.cos(psi), np.sin(psi)])
    centroid, further = to_vector(centroid, tel_frame), to_vector(centroid + step, tel_frame)

    elongation = images["hillas_length"] / images["hillas_width"]
    direction, spread = _crossing(
        np.cross(centroid, further), images["hillas_intensity"] * elongation, event
    )
    telescope = np.column_stack([images[axis] for axis in "xyz"])
    axis = to_offset(further, array_frame[event]) - to_offset(centroid, array_frame[event])
    in_plane = to_plane(telescope, array_frame[event])[:, :2]
    core = from_plane(_nearest(in_plane, axis, event), array_frame, np.zeros(len(rows)))
    maximum = _nearest(telescope, centroid, event)

    alt, az = to_altaz(direction)
    found = {
        "alt": alt,
        "az": az,
        "core_x": core[:, 0],
        "core_y": core[:, 1],
        "h_max": maximum[:, 2] + height[np.asarray(index.events["file"])[rows]],
        "alt_uncert": spread,
    }
    for name, unit in GEOMETRY.items():
        geometry[name][rows] = found[name] * unit
    return geometry


def _instrument(index: EventIndex, cache_directory: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Radius of each image's camera (deg), and height of each file's array above the sea (m)."""
    radius, height = np.empty(len(index.images)), np.empty(len(index.files))
    for number, path in enumerate(index.files):
        with open_reader(path, cache_directory) as reader:
            subarray = reader.subarray
        height[number] = subarray.reference_location.geodetic.height.to_value(u.m)
        of_file = np.asarray(index.images["file"]) == number
        for tel_id in np.unique(index.images["tel_id"][of_file]):
            camera = subarray.tel[tel_id].camera.geometry
            angle = np.rad2deg(float(camera.guess_radius() / camera.frame.focal_length))
            radius[of_file & (index.images["tel_id"] == tel_id)] = angle
    return radius, height


def _crossing(
    normal: np.ndarray, weight: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where planes of each event cross, and how far the crossings of two are from there.

    Parameters
    ----------
    normal : ndarray, shape (n_images, 3)
        Of each image's plane; the steeper two cross, the more they count.
    weight : ndarray, shape (n_images,)
    event : ndarray of int, shape (n_images,)
        In increasing order, counted from 0.

    Returns
    -------
    direction : ndarray, shape (n_events, 3)
        Unit vectors.
    spread : ndarray, shape (n_events,)
        Mean angle in deg.
    """
    first, second = _pairs(event)
    event = event[first]
    crossing = np.cross(normal[first], normal[second])
    crossing[crossing[:, 2] < 0] *= -1
    direction = _sum(crossing * (weight[first] * weight[second])[:, None], event)
    # Planes that are the same cross nowhere.
    with np.errstate(invalid="ignore"):
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        cosine = np.sum(direction[event] * crossing, axis=1) / np.linalg.norm(crossing, axis=1)
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    return direction, np.bincount(event, angle) / np.bincount(event)


def _pairs(event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all pairs of images of the same event, which lie side by side."""
    pairs = []
    for distance in range(1, np.bincount(event).max()):
        first = np.flatnonzero(event[:-distance] == event[distance:])
        pairs.append([first, first + distance])
    return tuple(np.concatenate(pairs, axis=1))


def _nearest(point: np.ndarray, line: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Point of each event nearest to all its lines, by least squares.

    Parameters
    ----------
    point, line : ndarray, shape (n_lines, n_dimensions)
        A point of each line, and along it.
    event : ndarray of int, shape (n_lines,)
        In increasing order, counted from 0.

    Returns
    -------
    ndarray, shape (n_events, n_dimensions)
        NaN where the lines are parallel.
    """
    line = line / np.linalg.norm(line, axis=1)[:, None]
    across = np.eye(line.shape[1]) - line[:, :, None] * line[:, None, :]
    matrix = _sum(across, event)
    matrix[np.linalg.det(matrix) == 0] = np.nan
    return np.linalg.solve(matrix, _sum(across @ point[:, :, None], event))[:, :, 0]


def _sum(values: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Sums over the rows of each event, shape (n_events, …)."""
    total = np.zeros((event.max() + 1, *values.shape[1:]))
    np.add.at(total, event, values)
    return total
