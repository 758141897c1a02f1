"""Image parameters of many images at once, the very ones that ctapipe's ImageProcessor computes.

ctapipe describes an image in containers of quantities, which takes a few milliseconds. Here
ctapipe's cleaning is used for many images at once, and the sums over pixels and the fit of the time
gradient are compiled.
"""

import astropy.units as u
import numpy as np
from ctapipe.coordinates import TelescopeFrame
from ctapipe.image import tailcuts_clean
from ctapipe.instrument import CameraGeometry, SubarrayDescription

from .moments import describe_images
from .processing import FEW_PIXELS, LITTLE_CHARGE, MIN_PICTURE_NEIGHBORS, thresholds_of
from .time_gradient import N_STARTS, time_images

__all__ = ["IMAGE_PARAMETERS", "NAMES", "TIMES", "UNITS", "ImageParametrizer"]

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


def _full_names(groups: dict[str, str]) -> list[str]:
    return [f"{prefix}_{name}" for prefix, names in groups.items() for name in names.split()]


#: An image's parameters, by the names that ctapipe's tables give them.
IMAGE_PARAMETERS = np.dtype(
    [(name, np.float64) for name in _full_names(NUMBERS)]
    + [(name, np.int64) for name in _full_names(COUNTS)]
)

#: Their names.
NAMES: tuple[str, ...] = tuple(IMAGE_PARAMETERS.names or ())

#: Those that are made of the pixels' times.
TIMES = tuple(name for name in NAMES if name.startswith(("timing", "peak_time")))

#: What an image has that is not described, as in ctapipe's tables.
NOT_DESCRIBED = np.zeros((), dtype=IMAGE_PARAMETERS)
NOT_DESCRIBED[_full_names(NUMBERS)] = np.nan
NOT_DESCRIBED[_full_names(COUNTS)] = -1

#: Hillas parameters without a unit; the others are angles.
PURE_NUMBERS = {"hillas_intensity", "hillas_skewness", "hillas_kurtosis"}

#: Units of the parameters that have one.
UNITS = {
    name: u.deg for name in NAMES if name.startswith("hillas") and name not in PURE_NUMBERS
} | {"timing_slope": 1 / u.deg}


class ImageParametrizer:
    """Cleans and describes the images of an array's telescopes.

    Parameters
    ----------
    subarray : ctapipe.instrument.SubarrayDescription
        Angles are computed with the focal lengths of its cameras.
    """

    def __init__(self, subarray: SubarrayDescription) -> None:
        self._telescopes = subarray.tel
        self._arrays: dict[tuple, tuple] = {}

    def clean(self, tel_id: int, image: np.ndarray) -> np.ndarray:
        """The pixels that hold light of the shower.

        Parameters
        ----------
        tel_id : int
        image : ndarray, shape (n_images, n_pixels)
            Charges in p.e.; all are finite.

        Returns
        -------
        ndarray of bool, shape (n_images, n_pixels)
        """
        telescope = self._telescopes[tel_id]
        picture, boundary = thresholds_of(telescope)
        # What ctapipe's cleaning does with the pixels of one image it does with rows of them.
        return tailcuts_clean(
            telescope.camera.geometry,
            image.T,
            picture_thresh=picture,
            boundary_thresh=boundary,
            min_number_picture_neighbors=MIN_PICTURE_NEIGHBORS,
        ).T

    def describe(
        self,
        tel_id: int,
        image: np.ndarray,
        mask: np.ndarray,
        peak_time: np.ndarray | None = None,
        event_id: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Parameters of cleaned images.

        Parameters
        ----------
        tel_id : int
        image : ndarray, shape (n_images, n_pixels)
            Charges in p.e.
        mask : ndarray of bool, shape (n_images, n_pixels)
            The pixels that count.
        peak_time : ndarray, shape (n_images, n_pixels), optional
            In ns. Without it there are no :data:`TIMES`.
        event_id : ndarray of int, shape (n_images,), optional
            Needed with ``peak_time``. The random numbers of an image's fit depend on it and on
            ``tel_id``: parameters do not depend on the other images.

        Returns
        -------
        parameters : ndarray of IMAGE_PARAMETERS, shape (n_images,)
            NaN, and −1 for counts, in images that do not meet the criteria.
        criteria : ndarray of bool, shape (n_images, n_criteria)
            Which of :data:`gammalearn.image.processing.QUALITY_CRITERIA` each image meets.
        """
        row, pixel = map(np.ascontiguousarray, np.nonzero(mask))
        charge = image[row, pixel].astype(np.float64)
        n_pixels = np.bincount(row, minlength=len(image))
        criteria = np.stack(
            [
                np.bincount(row[charge != 0], minlength=len(image)) > FEW_PIXELS,
                np.bincount(row, weights=charge, minlength=len(image)) > LITTLE_CHARGE,
            ],
            axis=1,
        )
        rows = np.flatnonzero(criteria.all(axis=1))
        start = np.concatenate([[0], np.cumsum(n_pixels)])
        parameters = np.full(len(image), NOT_DESCRIBED)
        along = describe_images(rows, start, pixel, charge, self._camera(tel_id), parameters)
        if peak_time is not None:
            times = peak_time[row, pixel].astype(np.float64)
            if event_id is None:
                raise ValueError("The fit of the times needs event_id.")
            starts = _random_starts(tel_id, event_id[rows], n_pixels[rows])
            time_images(rows, start, along, times, starts, parameters)
        return parameters, criteria

    def _camera(self, tel_id: int) -> tuple:
        """A camera's pixels, as the compiled sums need them."""
        geometry = self._telescopes[tel_id].camera.geometry
        # Geometries are equal where the focal lengths of their frames differ.
        key = geometry, geometry.frame.focal_length.to_value(u.m)
        if key not in self._arrays:
            self._arrays[key] = _pixel_arrays(geometry)
        return self._arrays[key]


def _pixel_arrays(geometry: CameraGeometry) -> tuple:
    sky = geometry.transform_to(TelescopeFrame())
    neighbors = geometry.neighbor_matrix_sparse
    # Copies, which are alike in memory for all cameras: numba compiles once.
    return (
        np.array(sky.pix_x.to_value(u.deg), dtype=np.float64),
        np.array(sky.pix_y.to_value(u.deg), dtype=np.float64),
        np.array(sky.pix_area.to_value(u.deg**2), dtype=np.float64),
        np.array(sky.pixel_width.to_value(u.deg), dtype=np.float64),
        np.array(geometry.get_border_pixel_mask(1), dtype=bool),
        np.array(geometry.get_border_pixel_mask(2), dtype=bool),
        np.array(neighbors.indptr, dtype=np.int64),
        np.array(neighbors.indices, dtype=np.int64),
    )


def _random_starts(tel_id: int, event_id: np.ndarray, n_pixels: np.ndarray) -> np.ndarray:
    """Random numbers for the fits of time gradients; int64, shape (n_images, N_STARTS, 2)."""
    starts = np.empty((len(event_id), 2 * N_STARTS), dtype=np.int64)
    # A seed is not negative, which identifiers in files may be.
    for i, event in enumerate(event_id.astype(np.uint64)):
        random = np.random.default_rng((event, tel_id))
        starts[i] = random.integers(0, [n_pixels[i], n_pixels[i] - 1] * N_STARTS)
    return starts.reshape(-1, N_STARTS, 2)
