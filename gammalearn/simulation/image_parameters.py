"""Image parameters of many images at once, the very ones that ctapipe's ImageProcessor computes.

ctapipe describes an image in containers of quantities, which takes a few milliseconds. Here its
cleaning, its choice of the images to describe and its fit of the time gradient are used as they
are; the sums over pixels are compiled.
"""

import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import Table
from ctapipe.coordinates import TelescopeFrame
from ctapipe.fitting import lts_linear_regression
from ctapipe.image import ImageProcessor
from ctapipe.image.image_processor import ImageQualityQuery
from ctapipe.instrument import CameraGeometry, SubarrayDescription
from numba import njit
from traitlets.config import Config

from .block import TelescopeImages

__all__ = [
    "PARAMETERS",
    "UNITS",
    "ImageParameters",
    "Parametrizer",
    "image_processing",
    "image_processor",
]

#: Thresholds of the cleaning (p.e.) by ctapipe's names of telescope types: what surely is signal,
#: and what is where a neighbour is. ctapipe's own base_config.yaml has these for LST and MST.
THRESHOLDS = {"*": (8.0, 4.0), "LST*": (8.5, 4.25), "MST*": (9.0, 4.5)}

#: Which cleaned images are described, also as in ctapipe's base_config.yaml.
QUALITY_CRITERIA = [
    ("enough_pixels", "np.count_nonzero(image) > 2"),
    ("enough_charge", "image.sum() > 50"),
]

#: Parameters that are numbers, by the prefix of their names in ctapipe's tables.
NUMBERS = {
    "hillas": """intensity skewness kurtosis fov_lon fov_lat r phi length length_uncertainty width
        width_uncertainty psi psi_uncertainty transverse_cog_uncertainty""",
    "timing": "slope intercept deviation",
    "leakage": "pixels_width_1 pixels_width_2 intensity_width_1 intensity_width_2",
    "concentration": "cog core pixel",
    "intensity": "max min mean std skewness kurtosis",
    "peak_time": "max min mean std skewness kurtosis",
}

#: Parameters that are counts.
COUNTS = {"morphology": "n_pixels n_islands n_small_islands n_medium_islands n_large_islands"}


def _full_names(groups):
    return [f"{prefix}_{name}" for prefix, names in groups.items() for name in names.split()]


#: An image's parameters, by the names that ctapipe's tables give them.
PARAMETERS = np.dtype(
    [(name, np.float64) for name in _full_names(NUMBERS)]
    + [(name, np.int64) for name in _full_names(COUNTS)]
)

#: Hillas parameters without a unit; the others are angles.
PURE_NUMBERS = {"hillas_intensity", "hillas_skewness", "hillas_kurtosis"}

#: Units of the parameters that have one.
UNITS = {
    name: u.deg
    for name in PARAMETERS.names
    if name.startswith("hillas") and name not in PURE_NUMBERS
} | {"timing_slope": 1 / u.deg}

#: Random pairs of pixels that the fit of the time gradient starts from, as ctapipe has it.
TIMING_STARTS = 5

#: Eigenvalues (deg²) up to this are the rounding of zero.
ROUNDING = np.finfo(np.float64).eps

#: Islands of up to so many pixels are small, and medium.
SMALL_ISLAND, MEDIUM_ISLAND = 2, 50


def image_processing(subarray: SubarrayDescription) -> dict:
    """How images are cleaned and which are described, as configuration of ctapipe.

    Parameters
    ----------
    subarray : ctapipe.instrument.SubarrayDescription
        ctapipe warns of thresholds of telescopes that are not there.

    Returns
    -------
    dict
        Also of use in a file that ``ctapipe-process --config`` reads.
    """
    types = [str(kind) for kind in subarray.telescope_types]
    present = {
        pattern: values for pattern, values in THRESHOLDS.items() if fnmatch.filter(types, pattern)
    }
    return {
        "ImageProcessor": {
            "image_cleaner_type": "TailcutsImageCleaner",
            "TailcutsImageCleaner": {
                "picture_threshold_pe": [["type", key, high] for key, (high, _) in present.items()],
                "boundary_threshold_pe": [["type", key, low] for key, (_, low) in present.items()],
                "keep_isolated_pixels": False,
                "min_picture_neighbors": 2,
            },
            "ImageQualityQuery": {"quality_criteria": [list(pair) for pair in QUALITY_CRITERIA]},
        }
    }


def image_processor(subarray: SubarrayDescription) -> ImageProcessor:
    """Return ctapipe's ImageProcessor with our settings."""
    return ImageProcessor(subarray=subarray, config=Config(image_processing(subarray)))


@dataclass(frozen=True)
class ImageParameters:
    """What cleaning and describing some images gave."""

    image_mask: np.ndarray
    """Pixels that survive the cleaning; shape (n, n_pixels) of bool."""

    parameters: np.ndarray
    """Of type :data:`PARAMETERS`, shape (n,); where described."""

    is_described: np.ndarray
    """Whether the image met the quality criteria; shape (n,) of bool."""

    true_parameters: np.ndarray
    """Those of the true images, without times."""

    true_is_described: np.ndarray
    """Whether the true image met the quality criteria; shape (n,) of bool."""


class Parametrizer:
    """Cleans and describes images as an ImageProcessor does.

    Parameters
    ----------
    processor : ctapipe.image.ImageProcessor
        In the telescope frame.
    """

    def __init__(self, processor: ImageProcessor):
        self._processor = processor
        cameras = {tel.camera.geometry for tel in processor.subarray.tel.values()}
        pixels = {geometry: _Pixels(geometry) for geometry in cameras}
        self._pixels = {
            tel_id: pixels[tel.camera.geometry] for tel_id, tel in processor.subarray.tel.items()
        }

    def __call__(
        self, telescopes: Mapping[str, TelescopeImages], event_id: np.ndarray
    ) -> tuple[dict[str, ImageParameters], Table]:
        """Describe the images of a block.

        Parameters
        ----------
        telescopes : mapping of str to TelescopeImages
        event_id : ndarray of int, shape (n_events,)
            From which, with tel_id, come the random numbers of an image: they do not depend on
            the other images.

        Returns
        -------
        dict of str to ImageParameters
            By the same names.
        Table
            How many images met the quality criteria, as ctapipe has it.
        """
        check = ImageQualityQuery(quality_criteria=self._processor.check_image.quality_criteria)
        described = {
            name: self._describe_all(images, event_id[images.event], check)
            for name, images in telescopes.items()
        }
        return described, check.to_table(functions=True)

    def _describe_all(self, images: TelescopeImages, event_id, check) -> ImageParameters:
        n_images = len(images.image)
        result = ImageParameters(
            image_mask=np.zeros(images.image.shape, dtype=bool),
            parameters=np.zeros(n_images, dtype=PARAMETERS),
            is_described=np.zeros(n_images, dtype=bool),
            true_parameters=np.zeros(n_images, dtype=PARAMETERS),
            true_is_described=np.zeros(n_images, dtype=bool),
        )
        for row, tel_id in enumerate(images.tel_id):
            pixels = self._pixels[tel_id]
            image, peak_time = images.image[row], images.peak_time[row]
            mask = self._processor.clean(tel_id=tel_id, image=image, arrival_times=peak_time)
            result.image_mask[row] = mask
            if all(check(image=image[mask])):
                result.is_described[row] = True
                random = np.random.default_rng((event_id[row], tel_id))
                result.parameters[row] = pixels.describe(image, mask, peak_time, random)
            true_image = images.true_image[row]
            mask = true_image > 0
            if all(check(image=true_image[mask])):
                result.true_is_described[row] = True
                result.true_parameters[row] = pixels.describe(true_image, mask)
        return result


class _Pixels:
    """A camera's pixels, as the compiled sums need them."""

    def __init__(self, geometry: CameraGeometry):
        sky = geometry.transform_to(TelescopeFrame())
        neighbors = geometry.neighbor_matrix_sparse
        self._arrays = (
            sky.pix_x.to_value(u.deg),
            sky.pix_y.to_value(u.deg),
            sky.pix_area.to_value(u.deg**2),
            sky.pixel_width.to_value(u.deg),
            geometry.get_border_pixel_mask(1),
            geometry.get_border_pixel_mask(2),
            neighbors.indptr,
            neighbors.indices,
        )

    def describe(self, image, mask, peak_time=None, random=None):
        """Parameters of an image, all of its pixels given; without times for a true image."""
        record = np.zeros(1, dtype=PARAMETERS)
        along = _describe(image, mask, *self._arrays, record)
        if peak_time is not None:
            times = peak_time[mask].astype(np.float64)
            fit, _ = lts_linear_regression(along, times, samples=TIMING_STARTS, rng=random)
            record["timing_slope"], record["timing_intercept"] = fit
            residuals = times - (fit[0] * along + fit[1])
            record["timing_deviation"] = math.sqrt(np.mean(residuals**2))
            _describe_times(times, record)
        return record[0]


@njit(cache=True, error_model="numpy")
def _describe(image, mask, pix_x, pix_y, pix_area, pix_width, border, border_2, start, near, out):
    """Fill a record from the pixels of a mask, and return where along the axis these lie (deg)."""
    record = out[0]
    chosen = np.flatnonzero(mask)
    charge = image[chosen].astype(np.float64)
    x, y = pix_x[chosen], pix_y[chosen]
    record.intensity_max, record.intensity_min = charge.max(), charge.min()
    (
        record.intensity_mean,
        record.intensity_std,
        record.intensity_skewness,
        record.intensity_kurtosis,
    ) = _moments(charge)
    along = _hillas(charge, x, y, pix_area[chosen], pix_width[chosen], record)
    _leakage(charge, border[chosen], border_2[chosen], record)
    _islands(chosen, len(mask), start, near, record)
    return along


@njit(cache=True, error_model="numpy")
def _describe_times(times, out):
    record = out[0]
    record.peak_time_max, record.peak_time_min = times.max(), times.min()
    (
        record.peak_time_mean,
        record.peak_time_std,
        record.peak_time_skewness,
        record.peak_time_kurtosis,
    ) = _moments(times)


@njit(cache=True, error_model="numpy")
def _moments(values):
    """Mean, standard deviation, skewness and excess kurtosis."""
    mean = values.mean()
    std = values.std()
    z = (values - mean) / std
    return mean, std, np.mean(z**3), np.mean(z**4) - 3.0


@njit(cache=True, error_model="numpy")
def _hillas(charge, x, y, area, width_of_pixel, record):
    """Fill in the ellipse, its uncertainties and the concentrations; return where along it."""
    size = charge.sum()
    lon, lat = np.sum(charge * x) / size, np.sum(charge * y) / size
    dx, dy = x - lon, y - lat
    cov = np.empty((2, 2))
    cov[0, 0] = np.sum(charge * dx * dx) / size
    cov[1, 1] = np.sum(charge * dy * dy) / size
    cov[0, 1] = cov[1, 0] = np.sum(charge * dx * dy) / size
    values, vectors = np.linalg.eigh(cov)
    values[np.abs(values) <= ROUNDING] = 0.0
    width, length = math.sqrt(values[0]), math.sqrt(values[1])

    psi = math.nan
    if length > 0:
        vx, vy = vectors[0, 1], vectors[1, 1]
        psi = math.atan(vy / vx) if vx != 0 else math.pi / 2
    cos, sin = math.cos(psi), math.sin(psi)
    along, across = dx * cos + dy * sin, dy * cos - dx * sin

    record.hillas_intensity = size
    record.hillas_fov_lon, record.hillas_fov_lat = lon, lat
    record.hillas_r = math.hypot(lon, lat)
    record.hillas_phi = math.degrees(math.atan2(lat, lon))
    record.hillas_width, record.hillas_length = width, length
    record.hillas_psi = math.degrees(psi)
    record.hillas_skewness = np.sum(charge * along**3) / size / length**3
    record.hillas_kurtosis = np.sum(charge * along**4) / size / length**4

    # Second moments along and across the axis, pixel by pixel, and what they scatter by.
    a, b, c = cos * cos, sin * sin, 2 * sin * cos
    vxx, vyy, vxy = dx * dx - cov[0, 0], dy * dy - cov[1, 1], dx * dy - cov[0, 1]
    scatter = math.sqrt(np.sum((a * vxx + b * vyy + c * vxy) ** 2 * charge)) / size
    record.hillas_length_uncertainty = scatter / (2 * length) if length > 0 else math.nan
    scatter = math.sqrt(np.sum((b * vxx + a * vyy - c * vxy) ** 2 * charge)) / size
    record.hillas_width_uncertainty = scatter / (2 * width) if width > 0 else math.nan

    # A straight line through the pixels, weighted by their light: its residual slope and offset.
    weight = charge / area
    s0, s1, s2 = weight.sum(), np.sum(weight * along), np.sum(weight * along * along)
    t0, t1 = np.sum(weight * across), np.sum(weight * across * along)
    determinant = s0 * s2 - s1 * s1
    slope = (s0 * t1 - s1 * t0) / determinant
    elongation = 1.0 + math.tan(width / length * math.pi / 2) ** 2
    record.hillas_psi_uncertainty = math.degrees(
        math.sqrt(s0 / determinant + slope * slope) * elongation
    )
    record.hillas_transverse_cog_uncertainty = math.sqrt(
        s2 / determinant * (1.0 + math.sin(slope) ** 2)
    )

    record.concentration_pixel = charge.max() / size
    record.concentration_cog = np.sum(charge[dx * dx + dy * dy < width_of_pixel**2]) / size
    if width > 0:
        core = (along / length) ** 2 + (across / width) ** 2 <= 1.0
        record.concentration_core = np.sum(charge[core]) / size
    else:
        record.concentration_core = 0.0
    return along


@njit(cache=True, error_model="numpy")
def _leakage(charge, border, border_2, record):
    """Fill in the share of pixels and of light in the outermost rows."""
    size, n_pixels = charge.sum(), len(charge)
    record.leakage_pixels_width_1 = border.sum() / n_pixels
    record.leakage_pixels_width_2 = border_2.sum() / n_pixels
    record.leakage_intensity_width_1 = charge[border].sum() / size
    record.leakage_intensity_width_2 = charge[border_2].sum() / size


@njit(cache=True)
def _islands(chosen, n_pixels, start, near, record):
    """Count the groups of neighbouring pixels, by size."""
    waiting = np.zeros(n_pixels, dtype=np.bool_)
    waiting[chosen] = True
    to_visit = np.empty(len(chosen), dtype=np.int64)
    small = medium = large = 0
    for first in chosen:
        if not waiting[first]:
            continue
        waiting[first] = False
        to_visit[0], n_seen, n_visited = first, 1, 0
        while n_visited < n_seen:
            pixel = to_visit[n_visited]
            n_visited += 1
            for neighbor in near[start[pixel] : start[pixel + 1]]:
                if waiting[neighbor]:
                    waiting[neighbor] = False
                    to_visit[n_seen] = neighbor
                    n_seen += 1
        if n_seen <= SMALL_ISLAND:
            small += 1
        elif n_seen <= MEDIUM_ISLAND:
            medium += 1
        else:
            large += 1
    record.morphology_n_pixels = len(chosen)
    record.morphology_n_islands = small + medium + large
    record.morphology_n_small_islands = small
    record.morphology_n_medium_islands = medium
    record.morphology_n_large_islands = large
