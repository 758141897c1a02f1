"""Descriptors: what the DL1 parameters of an image carry into the network beside its pixels.

Scalars stay as they are when an event is turned about its pointing. Vectors turn with it: they are
places and directions in the sky, (fov_lon, fov_lat). The axis of an image has two ends, so that its
sign means nothing; skewness and time slope are vectors along it, whose sign does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...settings import NetworkSettings
from ..readers.pedestals import PEDESTAL_NOISE

__all__ = [
    "ALL_DESCRIPTORS",
    "SCALARS",
    "VECTORS",
    "columns_for",
    "columns_of",
    "count_scalars",
    "describe_images",
]

Columns = Mapping[str, np.ndarray]

#: Descriptors are of the order of 1; wild values of odd images are cut here.
LARGEST = 8.0

#: Time slope in ns/deg beyond which it counts as its logarithm.
SLOPE = 10.0


@dataclass(frozen=True)
class Descriptor:
    """Numbers that are made of some DL1 parameters, and how."""

    columns: tuple[str, ...]
    """DL1 image parameters by ctapipe's names, in the telescope frame."""

    values: Callable[[Columns], Sequence[np.ndarray]]
    """The numbers of all images, each of shape (n_images,)."""


def _log(values: np.ndarray, unit: float) -> np.ndarray:
    """log10 of values over a unit; what is not positive is as good as nothing."""
    return np.log10(np.maximum(values, 1e-4 * unit) / unit)


def _logs(unit: float, *columns: str) -> Descriptor:
    return Descriptor(columns, lambda c: [_log(c[name], unit) for name in columns])


def _plain(*columns: str) -> Descriptor:
    return Descriptor(columns, lambda c: [c[name] for name in columns])


def _counts(columns: Mapping[str, float]) -> Descriptor:
    """Counts over units; ctapipe writes −1 where there is none."""

    def values(c: Columns) -> list[np.ndarray]:
        return [_log(np.where(c[name] < 0, np.nan, c[name]), columns[name]) for name in columns]

    return Descriptor(tuple(columns), values)


def _axis(c: Columns) -> tuple[np.ndarray, np.ndarray]:
    """The image's axis as a unit vector."""
    psi = np.deg2rad(c["hillas_psi"])
    return np.cos(psi), np.sin(psi)


def _along_axis(column: str, size: Callable[[np.ndarray], np.ndarray]) -> Descriptor:
    """A vector along the axis, whose length is made of a parameter."""
    return Descriptor(
        (column, "hillas_psi"), lambda c: [size(c[column]) * part for part in _axis(c)]
    )


#: Scalars by name: light of 100 p.e., lengths of 0.1 deg and 20 pixels are 0.
SCALARS = {
    "light": _logs(100.0, "hillas_intensity"),
    "length": _logs(0.1, "hillas_length"),
    "width": _logs(0.1, "hillas_width"),
    "kurtosis": Descriptor(("hillas_kurtosis",), lambda c: [c["hillas_kurtosis"] - 2.5]),
    "concentration": _plain("concentration_cog", "concentration_core", "concentration_pixel"),
    "leakage": _plain("leakage_intensity_width_1", "leakage_intensity_width_2"),
    "time": Descriptor(
        ("timing_deviation", "peak_time_std"),
        lambda c: [_log(c["timing_deviation"], 1.0), _log(c["peak_time_std"], 1.0)],
    ),
    "islands": _counts({"morphology_n_pixels": 20.0, "morphology_n_islands": 1.0}),
}

#: Vectors by name.
VECTORS = {
    "centroid": _plain("hillas_fov_lon", "hillas_fov_lat"),
    "axis": Descriptor(("hillas_psi",), _axis),
    "skewness": _along_axis("hillas_skewness", lambda values: values),
    "time_slope": _along_axis("timing_slope", lambda values: np.arcsinh(values / SLOPE)),
}

ALL_DESCRIPTORS = (*SCALARS, *VECTORS)


def columns_of(names: Sequence[str]) -> list[str]:
    """The DL1 parameters that descriptors are made of."""
    made_of = {**SCALARS, **VECTORS}
    return sorted({column for name in names for column in made_of[name].columns})


def columns_for(network: NetworkSettings) -> list[str]:
    """What an index has to tell a network of each image beside its pixels.

    Parameters
    ----------
    network : gammalearn.settings.NetworkSettings

    Returns
    -------
    list of str
        The DL1 parameters of its descriptors, and the noise of pedestals if it is conditioned on
        the night sky.
    """
    noise = [PEDESTAL_NOISE] if "nsb" in network.condition else []
    return sorted([*columns_of(network.parameters), *noise])


def describe_images(columns: Columns, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scalars and vectors of images.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n_images,)
        At least those of `columns_of`, NaN where an image has none.
    names : sequence of str
        Of `ALL_DESCRIPTORS`, in any order.

    Returns
    -------
    scalars : ndarray of float32, shape (n_images, n_scalars)
        In the order of `SCALARS`; NaN where a parameter is missing.
    vectors : ndarray of float32, shape (n_images, n_vectors, 2)
        In the order of `VECTORS`; NaN where a parameter is missing.
    """
    needed = columns_of(names)
    n_images = len(columns[needed[0]]) if needed else 0
    used = {name: np.asarray(columns[name], dtype=np.float32) for name in needed}

    def stacked(kinds: Mapping[str, Descriptor]) -> np.ndarray:
        values = [v for name, kind in kinds.items() if name in names for v in kind.values(used)]
        table = np.stack(values, axis=1) if values else np.zeros((n_images, 0))
        table = table.astype(np.float32)
        table[~np.isfinite(table)] = np.nan
        return np.clip(table, -LARGEST, LARGEST)

    vectors = stacked(VECTORS)
    return stacked(SCALARS), vectors.reshape(n_images, vectors.shape[1] // 2, 2)


def count_scalars(names: Sequence[str]) -> int:
    """Number of scalars that descriptors are made of."""
    none = dict.fromkeys(columns_of(names), np.zeros(0))
    return describe_images(none, names)[0].shape[1]
