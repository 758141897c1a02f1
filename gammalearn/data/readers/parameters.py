"""Image parameters that a file lacks, computed from its images."""

import logging
from collections.abc import Iterable, Mapping
from functools import cached_property

import astropy.units as u
import numpy as np
import tables
from ctapipe.containers import ImageParametersContainer
from ctapipe.instrument import FocalLengthKind, SubarrayDescription

from ...image.parameters import NAMES, ImageParametrizer
from ...io.files import reading
from ..images.channels import without_impossible
from .reader import Reader

__all__ = ["MissingParameters", "compute_parameters", "flat_parameters"]

log = logging.getLogger(__name__)

#: Images whose parameters are computed together.
ROWS_AT_A_TIME = 256


def flat_parameters(parameters: ImageParametersContainer) -> dict[str, float]:
    """Parameters by the names that they have in files."""
    return {
        f"{container.prefix}_{name}": _number(value, container.fields[name].unit)
        for container in parameters.values()
        for name, value in container.items()
    }


def _number(value: float | u.Quantity, unit: u.UnitBase | None) -> float:
    """A value in the unit that its column has."""
    return value.to_value(unit) if isinstance(value, u.Quantity) else value


def compute_parameters(
    parametrizer: ImageParametrizer,
    tel_id: int,
    pixels: Mapping[str, np.ndarray],
    names: Iterable[str],
) -> dict[str, np.ndarray]:
    """Parameters of some images; a pixel that is not finite is one without light.

    Parameters
    ----------
    parametrizer : ImageParametrizer
        Of the telescopes with the focal lengths that angles are to be computed with.
    tel_id : int
    pixels : mapping of str to ndarray
        What a reader gives: ``event_id``, shape (n_images,), ``charge`` (p.e.) and ``peak_time``
        (ns), shape (n_images, n_pixels).
    names : iterable of str
        Of :data:`gammalearn.image.parameters.IMAGE_PARAMETERS`.

    Returns
    -------
    dict of str to ndarray of float64, shape (n_images,)
    """
    possible, _ = without_impossible(pixels)
    charge, peak_time = possible["charge"], possible["peak_time"]
    missing = ~(np.isfinite(charge) & np.isfinite(peak_time))
    charge, peak_time = np.where(missing, 0, charge), np.where(missing, 0, peak_time)
    mask = parametrizer.clean(tel_id, charge)
    found, _ = parametrizer.describe(tel_id, charge, mask, peak_time, pixels["event_id"])
    return {name: found[name].astype(np.float64) for name in names}


class MissingParameters:
    """Computes image parameters that a file lacks, of those that ctapipe has, if there are images.

    Parameters
    ----------
    reader : Reader
    file : tables.File
        What it reads, open; it describes the telescopes as ctapipe does.
    """

    def __init__(self, reader: Reader, file: tables.File) -> None:
        self._reader, self._file = reader, file

    def __call__(self, tel_id: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Those of these parameters that can be computed, of all images of a telescope.

        Returns
        -------
        dict of str to ndarray of float64, shape (n_images,)
        """
        reader = self._reader
        names = sorted(set(names) & set(NAMES))
        if not names or not reader.has_pixels:
            return {}
        log.info("'%s': computing %s of telescope %d.", reader.path, ", ".join(names), tel_id)
        parts = []
        for start in range(0, reader.n_images(tel_id), ROWS_AT_A_TIME):
            rows = np.arange(start, min(start + ROWS_AT_A_TIME, reader.n_images(tel_id)))
            pixels = reader.pixels(tel_id, rows, ["charge", "peak_time"])
            what = f"what the parameters of telescope {tel_id} are computed from"
            with reading(reader.path, what):
                parts.append(compute_parameters(self._parametrizer, tel_id, pixels, names))
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    @cached_property
    def _parametrizer(self) -> ImageParametrizer:
        with reading(self._reader.path, "the description of the telescopes"):
            try:
                subarray = SubarrayDescription.from_hdf(
                    self._file, focal_length_choice=FocalLengthKind.EFFECTIVE
                )
            except RuntimeError:
                subarray = self._reader.subarray
            return ImageParametrizer(subarray)
