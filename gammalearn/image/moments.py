"""Sums over the pixels of cleaned images, compiled: ellipse, leakage, islands, spread of charges.

The formulas are those of ctapipe's `hillas_parameters`, `concentration_parameters`,
`leakage_parameters`, `morphology_parameters` and `descriptive_statistics`.
"""

import math

import numpy as np
from numba import njit

__all__ = ["describe_images", "spread"]

#: Eigenvalues (deg²) up to this are the rounding of zero.
ROUNDING = np.finfo(np.float64).eps

#: Islands of up to so many pixels are small, and medium.
SMALL_ISLAND, MEDIUM_ISLAND = 2, 50


@njit(cache=True, error_model="numpy")
def describe_images(
    rows: np.ndarray,
    start: np.ndarray,
    pixel: np.ndarray,
    charge: np.ndarray,
    camera: tuple[np.ndarray, ...],
    out: np.ndarray,
) -> np.ndarray:
    """Fill in the parameters of some images, but for their times.

    The pixels that the cleaning left are given one image after the other.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_described,)
        The images that count.
    start : ndarray of int64, shape (n_images + 1,)
        Where the pixels of each image begin, and where the last ones end.
    pixel : ndarray of int64, shape (n_lit,)
        Indices of the pixels in the camera.
    charge : ndarray of float64, shape (n_lit,)
        In p.e.
    camera : tuple
        Of each pixel: pix_x, pix_y (deg), area (deg²), width (deg), whether it is of the outermost
        row, and of the two outermost rows; then the neighbours as a sparse matrix, indptr and
        indices.
    out : ndarray of gammalearn.image.parameters.IMAGE_PARAMETERS, shape (n_images,)

    Returns
    -------
    ndarray of float64, shape (n_lit,)
        Where along the axis of their image the pixels are (deg), NaN in images that do not count.
    """
    pix_x, pix_y, pix_area, pix_width, border, border_2, indptr, indices = camera
    along = np.full(len(pixel), np.nan)
    for row in rows:
        first, last = start[row], start[row + 1]
        chosen, light, record = pixel[first:last], charge[first:last], out[row]
        x, y = pix_x[chosen], pix_y[chosen]
        record.intensity_max, record.intensity_min = light.max(), light.min()
        (
            record.intensity_mean,
            record.intensity_std,
            record.intensity_skewness,
            record.intensity_kurtosis,
        ) = spread(light)
        along[first:last] = _hillas(light, x, y, pix_area[chosen], pix_width[chosen], record)
        _leakage(light, border[chosen], border_2[chosen], record)
        _islands(chosen, len(pix_x), indptr, indices, record)
    return along


@njit(cache=True, error_model="numpy")
def spread(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skewness and excess kurtosis."""
    mean = values.mean()
    std = values.std()
    z = (values - mean) / std
    return mean, std, np.mean(z**3), np.mean(z**4) - 3.0


@njit(cache=True, error_model="numpy")
def _hillas(
    charge: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    area: np.ndarray,
    width_of_pixel: np.ndarray,
    record: np.record,
) -> np.ndarray:
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
def _leakage(
    charge: np.ndarray, border: np.ndarray, border_2: np.ndarray, record: np.record
) -> None:
    """Fill in the share of pixels and of light in the outermost rows."""
    size, n_pixels = charge.sum(), len(charge)
    record.leakage_pixels_width_1 = border.sum() / n_pixels
    record.leakage_pixels_width_2 = border_2.sum() / n_pixels
    record.leakage_intensity_width_1 = charge[border].sum() / size
    record.leakage_intensity_width_2 = charge[border_2].sum() / size


@njit(cache=True)
def _islands(
    chosen: np.ndarray, n_pixels: int, start: np.ndarray, near: np.ndarray, record: np.record
) -> None:
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
