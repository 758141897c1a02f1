"""lstchain's image parameters as ctapipe has them: by its names, in the telescope frame.

lstchain describes images in the camera frame, whose x is along fov_lat and y along fov_lon, so that
angles count from the other axis there and the other way round.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Table
from ctapipe.instrument import OpticsDescription
from numpy.typing import ArrayLike

__all__ = ["CTAPIPE_PARAMETERS", "CtapipeParameter", "ctapipe_names", "focal_lengths"]


class FocalLengths(NamedTuple):
    """Focal lengths of a telescope in m."""

    equivalent: float
    effective: float


def focal_lengths(optics: OpticsDescription) -> FocalLengths:
    """Focal lengths of a telescope; the effective one is the equivalent one where not known."""
    equivalent = float(optics.equivalent_focal_length.to_value(u.m))
    effective = float(optics.effective_focal_length.to_value(u.m))
    return FocalLengths(equivalent, effective if np.isfinite(effective) else equivalent)


@dataclass(frozen=True)
class CtapipeParameter:
    """A parameter of ctapipe's that is made of some of lstchain's."""

    columns: tuple[str, ...]
    """lstchain's names of what it is made of."""

    values: Callable[[Table, FocalLengths], np.ndarray]
    """Its values for the images of a telescope."""

    unit: u.UnitBase | None = None
    """Unit that ctapipe has it in."""


def _same(column: str) -> CtapipeParameter:
    return CtapipeParameter((column,), lambda table, _: np.asarray(table[column]))


def _sky(metres: ArrayLike, lengths: FocalLengths) -> np.ndarray:
    """Lengths in the camera as angles, as ctapipe's frames have them."""
    return np.rad2deg(np.asarray(metres, dtype=np.float64) / lengths.effective)


def _extent(column: str) -> CtapipeParameter:
    def values(table: Table, lengths: FocalLengths) -> np.ndarray:
        # lstchain divides by the equivalent focal length and takes the arc tangent.
        metres = np.tan(np.deg2rad(np.asarray(table[column]))) * lengths.equivalent
        return _sky(metres, lengths)

    return CtapipeParameter((column,), values, u.deg)


def _is_reversed(table: Table) -> np.ndarray:
    """Whether ctapipe has the axis of an image in the other direction: its psi is in ±90 deg."""
    return np.sin(np.asarray(table["psi"], dtype=np.float64)) < 0


def _psi(table: Table, _: FocalLengths) -> np.ndarray:
    psi = 90 - np.rad2deg(np.asarray(table["psi"], dtype=np.float64))
    return np.where(_is_reversed(table), psi - 180, psi)


def _along_axis(table: Table, column: str) -> np.ndarray:
    """What changes its sign with the direction of the axis."""
    values = np.asarray(table[column], dtype=np.float64)
    return np.where(_is_reversed(table), -values, values)


#: By ctapipe's names.
CTAPIPE_PARAMETERS = {
    "hillas_intensity": _same("intensity"),
    "hillas_kurtosis": _same("kurtosis"),
    "hillas_skewness": CtapipeParameter(
        ("skewness", "psi"), lambda table, _: _along_axis(table, "skewness")
    ),
    "hillas_length": _extent("length"),
    "hillas_width": _extent("width"),
    "hillas_fov_lon": CtapipeParameter(("y",), lambda table, f: _sky(table["y"], f), u.deg),
    "hillas_fov_lat": CtapipeParameter(("x",), lambda table, f: _sky(table["x"], f), u.deg),
    "hillas_r": CtapipeParameter(
        ("x", "y"), lambda table, f: _sky(np.hypot(table["x"], table["y"]), f), u.deg
    ),
    "hillas_phi": CtapipeParameter(
        ("x", "y"), lambda table, _: np.rad2deg(np.arctan2(table["x"], table["y"])), u.deg
    ),
    "hillas_psi": CtapipeParameter(("psi",), _psi, u.deg),
    "timing_intercept": _same("intercept"),
    "timing_slope": CtapipeParameter(
        ("time_gradient", "psi"),  # in ns/m
        lambda table, f: _along_axis(table, "time_gradient") * np.deg2rad(f.effective),
        1 / u.deg,
    ),
    "morphology_n_pixels": _same("n_pixels"),
    "morphology_n_islands": _same("n_islands"),
    **{
        name: _same(name)
        for name in (
            "leakage_intensity_width_1",
            "leakage_intensity_width_2",
            "leakage_pixels_width_1",
            "leakage_pixels_width_2",
            "concentration_cog",
            "concentration_core",
            "concentration_pixel",
        )
    },
}


def ctapipe_names(columns: Iterable[str]) -> list[str]:
    """The parameters of ctapipe's that these columns of lstchain's make."""
    known = set(columns)
    return [name for name, made in CTAPIPE_PARAMETERS.items() if set(made.columns) <= known]
