"""Bias, resolution and containment of errors, also of events that are there several times."""

from collections.abc import Sequence

import numpy as np
from pyirf.benchmarks.energy_bias_resolution import (
    NORM_LOWER_SIGMA,
    NORM_UPPER_SIGMA,
    inter_quantile_distance,
)

from .resampling import repeated_quantiles

__all__ = ["bias_and_resolution", "containment", "repeated_bias_and_resolution"]

MEDIAN = 0.5


def bias_and_resolution(error: np.ndarray) -> tuple[float, float]:
    """Median of errors, and half of their central 68 %, (Q84 − Q16)/2.

    Parameters
    ----------
    error : numpy.ndarray
        Shape (n_events,).

    Returns
    -------
    bias, resolution : float
        NaN without events; the resolution of a single event is NaN too, as it has no spread.
    """
    bias = float(np.median(error)) if len(error) else np.nan
    resolution = float(inter_quantile_distance(error)) if len(error) > 1 else np.nan
    return bias, resolution


def repeated_bias_and_resolution(error: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """`bias_and_resolution` of events that are there several times.

    Parameters
    ----------
    error : numpy.ndarray
        Shape (n_events,).
    repeats : numpy.ndarray of int
        How often each event is there, shape (n_resamples, n_events).

    Returns
    -------
    statistics : numpy.ndarray
        Shape (n_resamples, 2).
    """
    fractions = (MEDIAN, NORM_LOWER_SIGMA, NORM_UPPER_SIGMA)
    median, low, high = repeated_quantiles(error, repeats, fractions).T
    return np.column_stack([median, (high - low) / 2])


def containment(distance: np.ndarray, fractions: Sequence[float]) -> list[float]:
    """Distances that contain fractions of the events; NaN without any.

    Parameters
    ----------
    distance : numpy.ndarray
        Shape (n_events,).
    fractions : sequence of float
    """
    return [float(np.quantile(distance, f)) if len(distance) else np.nan for f in fractions]
