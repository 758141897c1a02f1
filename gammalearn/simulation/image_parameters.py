"""Image parameters of many images at once, the very ones that ctapipe's ImageProcessor computes.

ctapipe describes an image in containers of quantities, which takes a few milliseconds. Here its
cleaning is used for many images at once, and the sums over pixels are compiled, as is the fit of
the time gradient, which goes through the same steps as ctapipe's.
"""

import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import Table
from ctapipe.coordinates import TelescopeFrame
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

#: Which cleaned images are described, also as in ctapipe's base_config.yaml: those of more than so
#: many pixels and photoelectrons.
FEW_PIXELS, LITTLE_CHARGE = 2, 50
QUALITY_CRITERIA = [
    ("enough_pixels", f"np.count_nonzero(image) > {FEW_PIXELS}"),
    ("enough_charge", f"image.sum() > {LITTLE_CHARGE}"),
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

#: The fit of the time gradient, as ctapipe has it: random pairs of pixels that it starts from,
#: share of the pixels that are kept, how often these are chosen anew at most, change of their
#: squared residuals (ns²) that ends it, and determinant below which there is no line.
TIMING_STARTS = 5
TIMING_SHARE = 0.85
TIMING_STEPS = 20
TIMING_CHANGE = 1e-12
TIMING_SINGULAR = 2 * np.finfo(np.float64).eps

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
        described, passed = {}, []
        for name, images in telescopes.items():
            described[name] = self._describe_all(images, event_id[images.event], passed)
        passed = np.concatenate(passed) if passed else np.zeros((0, len(QUALITY_CRITERIA)), bool)
        statistics = ImageQualityQuery(quality_criteria=QUALITY_CRITERIA).to_table(functions=True)
        total = [len(passed)]
        statistics["counts"] = np.append(total, passed.sum(axis=0))
        statistics["cumulative_counts"] = np.append(total, passed.cumprod(axis=1).sum(axis=0))
        return described, statistics

    def _describe_all(self, images: TelescopeImages, event_id, passed) -> ImageParameters:
        """Describe images; which criteria each meets is added to `passed`."""
        n_images = len(images.image)
        image_mask = np.zeros(images.image.shape, dtype=bool)
        for tel_id in np.unique(images.tel_id):
            rows = images.tel_id == tel_id
            # What ctapipe's cleaning does with the pixels of one image it does with rows of them.
            image_mask[rows] = self._processor.clean(
                tel_id=tel_id, image=images.image[rows].T, arrival_times=images.peak_time[rows].T
            ).T
        true_mask = images.true_image > 0
        criteria = _criteria(images.image, image_mask)
        true_criteria = _criteria(images.true_image, true_mask)
        passed += [criteria, true_criteria]
        result = ImageParameters(
            image_mask=image_mask,
            parameters=np.zeros(n_images, dtype=PARAMETERS),
            is_described=criteria.all(axis=1),
            true_parameters=np.zeros(n_images, dtype=PARAMETERS),
            true_is_described=true_criteria.all(axis=1),
        )
        for row in np.flatnonzero(result.is_described):
            tel_id, mask = images.tel_id[row], image_mask[row]
            along = self._pixels[tel_id].describe(images.image[row], mask, result.parameters[row:])
            random = np.random.default_rng((event_id[row], tel_id))
            _describe_times(along, images.peak_time[row][mask], random, result.parameters[row:])
        for row in np.flatnonzero(result.true_is_described):
            self._pixels[images.tel_id[row]].describe(
                images.true_image[row], true_mask[row], result.true_parameters[row:]
            )
        return result


def _criteria(image, mask):
    """Which of the QUALITY_CRITERIA cleaned images meet: bool, (n_images, n_criteria)."""
    cleaned = np.where(mask, image, 0)
    return np.stack(
        [np.count_nonzero(cleaned, axis=1) > FEW_PIXELS, cleaned.sum(axis=1) > LITTLE_CHARGE],
        axis=1,
    )


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

    def describe(self, image, mask, out):
        """Fill the first of some records from the pixels of a mask, but for the times.

        Returns where along the axis of the image these pixels lie (deg).
        """
        chosen = np.flatnonzero(mask)
        return _describe(chosen, image[chosen].astype(np.float64), *self._arrays, out)


@njit(cache=True, error_model="numpy")
def _describe(
    chosen, charge, pix_x, pix_y, pix_area, pix_width, border, border_2, start, near, out
):
    record = out[0]
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
    _islands(chosen, len(pix_x), start, near, record)
    return along


@njit(cache=True, error_model="numpy")
def _describe_times(along, peak_time, random, out):
    """Fill in the time gradient and the moments of the times (ns)."""
    record = out[0]
    times = peak_time.astype(np.float64)
    slope, intercept = _time_gradient(along, times, random)
    record.timing_slope, record.timing_intercept = slope, intercept
    record.timing_deviation = math.sqrt(np.mean((times - (slope * along + intercept)) ** 2))
    record.peak_time_max, record.peak_time_min = times.max(), times.min()
    (
        record.peak_time_mean,
        record.peak_time_std,
        record.peak_time_skewness,
        record.peak_time_kurtosis,
    ) = _moments(times)


@njit(cache=True, error_model="numpy")
def _time_gradient(x, y, random):
    """Line of the least trimmed squares, as `ctapipe.fitting.lts_linear_regression` finds it.

    Starts from random pairs of points, again and again keeps those that are nearest to the line,
    and fits a line to these; the best is what the pair with the least squares led to. One function
    without LAPACK runs several times as fast and compiles in a fifth of the time.

    Returns
    -------
    slope, intercept : float
    """
    n_kept = int(TIMING_SHARE * len(x))
    best_slope = best_intercept = math.nan
    best_error = math.inf
    for _ in range(TIMING_STARTS):
        chosen = np.empty(2, np.int64)
        chosen[0] = random.integers(0, len(x))
        chosen[1] = random.integers(0, len(x) - 1)
        chosen[1] += chosen[1] >= chosen[0]
        slope, intercept, error = _line(x, y, chosen)
        if math.isnan(slope):
            continue
        for _ in range(TIMING_STEPS):
            last_error = error
            chosen = np.argsort((y - (slope * x + intercept)) ** 2)[:n_kept]
            slope, intercept, error = _line(x, y, chosen)
            if abs(last_error - error) < TIMING_CHANGE:
                break
        if error < best_error:
            best_slope, best_intercept, best_error = slope, intercept, error
    return best_slope, best_intercept


@njit(cache=True, error_model="numpy")
def _line(x, y, chosen):
    """Slope, intercept and sum of squared residuals of the line through some points."""
    n = len(chosen)
    sx = sy = sxx = sxy = 0.0
    for i in chosen:
        sx += x[i]
        sy += y[i]
        sxx += x[i] * x[i]
        sxy += x[i] * y[i]
    determinant = n * sxx - sx * sx
    if determinant < TIMING_SINGULAR:
        return math.nan, math.nan, math.nan
    slope = (n * sxy - sx * sy) / determinant
    intercept = (sxx * sy - sx * sxy) / determinant
    error = 0.0
    for i in chosen:
        error += (y[i] - (slope * x[i] + intercept)) ** 2
    return slope, intercept, error


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
