"""Features: what the trees know of images and events, from the parameters of the images."""

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table

from ..camera import impact_distance
from ..data import EventIndex
from .hillas_stereo import PARAMETERS as OF_GEOMETRY
from .sky import frames, to_offset

__all__ = [
    "N_IMAGES",
    "PARAMETERS",
    "image_features",
    "impact_of_images",
    "source_features",
    "stereo_features",
    "weighted_mean",
]

#: Parameters of an image that the features are made of, by ctapipe's names.
PARAMETERS = (
    *OF_GEOMETRY,
    "hillas_skewness",
    "hillas_kurtosis",
    "concentration_cog",
    "concentration_core",
    "leakage_intensity_width_2",
    "timing_slope",
    "timing_deviation",
    "morphology_n_islands",
)

#: Images of an event that are described one by one, the brightest first.
N_IMAGES = 4

#: Features of images whose mean over the event, weighted by intensity, is one of the event.
AVERAGED = ("length", "width", "leakage", "impact", "disp", "miss", "slope", "spread")


def image_features(images: Table) -> dict[str, np.ndarray]:
    """Features of images by themselves.

    Parameters
    ----------
    images : Table
        The image table of an index, with `PARAMETERS`.

    Returns
    -------
    dict of str to ndarray, shape (n_images,)
        Angles in deg, NaN for what an image has not. ``slope``, of the times along the image in
        ns/deg, and ``skewness`` have no sign, which means nothing without a source.
    """
    length, width = _column(images, "hillas_length"), _column(images, "hillas_width")
    return {
        "log_intensity": _log10(_column(images, "hillas_intensity")),
        "length": length,
        "width": width,
        "elongation": np.divide(length, width, out=np.full(len(images), np.nan), where=width > 0),
        "skewness": np.abs(_column(images, "hillas_skewness")),
        "kurtosis": _column(images, "hillas_kurtosis"),
        "cog": _column(images, "concentration_cog"),
        "core": _column(images, "concentration_core"),
        "leakage": _column(images, "leakage_intensity_width_2"),
        "slope": np.abs(_column(images, "timing_slope")),
        "deviation": _column(images, "timing_deviation"),
        "radius": np.linalg.norm(centroids(images), axis=1),
        "n_pixels": _column(images, "morphology_n_pixels"),
        "n_islands": _column(images, "morphology_n_islands"),
        "camera": _column(images, "camera"),
        "pointing_alt": _column(images, "pointing_alt"),
        "pointing_az": _column(images, "pointing_az"),
    }


def source_features(images: Table, source: np.ndarray) -> dict[str, np.ndarray]:
    """How images lie to a source.

    Parameters
    ----------
    images : Table
    source : ndarray, shape (n_images, 3)
        Where the shower of each image comes from, as a unit vector in the ground frame.

    Returns
    -------
    dict of str to ndarray, shape (n_images,)
        ``disp``, from the centroid to the source, and ``miss``, from the axis to the source, in
        deg; slope and skewness are positive where they grow towards the source.
    """
    to_source = to_offset(source, frames(images)) - centroids(images)
    axis = axes_towards(images, source)
    psi = np.deg2rad(_column(images, "hillas_psi"))
    side = np.sign(axis[:, 0] * np.cos(psi) + axis[:, 1] * np.sin(psi))
    return {
        "disp": np.linalg.norm(to_source, axis=1),
        "miss": np.abs(to_source[:, 0] * axis[:, 1] - to_source[:, 1] * axis[:, 0]),
        "slope_to_source": side * _column(images, "timing_slope"),
        "skewness_to_source": side * _column(images, "hillas_skewness"),
    }


def stereo_features(
    index: EventIndex, of_images: dict[str, np.ndarray], of_events: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Features of stereo events: those of their brightest images, and of all together.

    Parameters
    ----------
    index : EventIndex
        With `PARAMETERS` of each image.
    of_images : dict of str to ndarray, shape (n_images,)
        `AVERAGED` among them.
    of_events : dict of str to ndarray, shape (len(index),)

    Returns
    -------
    dict of str to ndarray, shape (len(index),)
        NaN where an event has no such image.
    """
    event = np.asarray(index.images["event"])
    intensity = np.nan_to_num(_column(index.images, "hillas_intensity"))
    total, multiplicity = np.bincount(event, intensity, len(index)), index.events["multiplicity"]
    features = {
        **of_events,
        "multiplicity": np.asarray(multiplicity, dtype=np.float64),
        "log_total_intensity": _log10(total),
        "log_average_intensity": _log10(total / np.asarray(multiplicity)),
    }
    for name in AVERAGED:
        features[f"mean_{name}"] = weighted_mean(of_images[name], intensity, event, len(index))
    # The images of an event lie side by side; now the brightest first.
    order = np.lexsort([-intensity, event])
    rank = np.arange(len(event)) - np.asarray(index.events["first_image"])[event]
    for number in range(N_IMAGES):
        mine = order[rank == number]
        for name, values in of_images.items():
            features[f"{name}_{number + 1}"] = np.full(len(index), np.nan)
            features[f"{name}_{number + 1}"][event[mine]] = values[mine]
    return features


def impact_of_images(images: Table, geometry: QTable) -> np.ndarray:
    """Distance of telescopes from the axis of a shower, in m.

    Parameters
    ----------
    images : Table
        With the telescope's position x, y, z (m).
    geometry : QTable
        Of the shower that each image is of: alt, az, core_x, core_y.

    Returns
    -------
    ndarray, shape (n_images,)
    """
    core = (geometry[f"core_{axis}"].to_value(u.m) for axis in "xy")
    direction = (geometry[angle].to_value(u.deg) for angle in ("alt", "az"))
    telescope = np.column_stack([_column(images, name) for name in "xyz"])
    return impact_distance(telescope, *core, *direction)


def axes_towards(images: Table, source: np.ndarray) -> np.ndarray:
    """Unit vectors (fov_lon, fov_lat) along the axes of images, on the side of a source.

    Parameters
    ----------
    images : Table
    source : ndarray, shape (n_images, 3)
        As a unit vector in the ground frame.

    Returns
    -------
    ndarray, shape (n_images, 2)
    """
    psi = np.deg2rad(_column(images, "hillas_psi"))
    axis = np.column_stack([np.cos(psi), np.sin(psi)])
    along = np.sum(axis * (to_offset(source, frames(images)) - centroids(images)), axis=1)
    return np.where(along < 0, -1, 1)[:, None] * axis


def centroids(images: Table) -> np.ndarray:
    """Centroids of images, (fov_lon, fov_lat) in deg, shape (n_images, 2)."""
    return np.column_stack([_column(images, f"hillas_fov_{name}") for name in ("lon", "lat")])


def weighted_mean(
    values: np.ndarray, weight: np.ndarray, event: np.ndarray, n_events: int
) -> np.ndarray:
    """Mean over the images of each event that have a value, NaN where none has.

    Parameters
    ----------
    values, weight : ndarray, shape (n_images,)
    event : ndarray of int, shape (n_images,)
    n_events : int

    Returns
    -------
    ndarray, shape (n_events,)
    """
    known = np.isfinite(values) & (weight > 0)
    total = np.bincount(event[known], weight[known], n_events)
    weighted = np.bincount(event[known], (weight * values)[known], n_events)
    return np.divide(weighted, total, out=np.full(n_events, np.nan), where=total > 0)


def _column(table: Table, name: str) -> np.ndarray:
    return np.asarray(table[name], dtype=np.float64)


def _log10(values: np.ndarray) -> np.ndarray:
    """Logarithm, NaN where there is none."""
    return np.log10(values, out=np.full(len(values), np.nan), where=values > 0)
