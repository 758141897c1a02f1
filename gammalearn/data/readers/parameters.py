"""Image parameters that a file lacks, computed by ctapipe."""

import fnmatch
import logging
from collections.abc import Iterable
from functools import cached_property

import astropy.units as u
import numpy as np
import tables
from ctapipe.containers import (
    ArrayEventContainer,
    DL1CameraContainer,
    ImageParametersContainer,
    TelescopeTriggerContainer,
)
from ctapipe.image import ImageProcessor
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from traitlets.config import Config

from ...io.files import reading
from ..images.channels import without_impossible
from .reader import Reader

__all__ = [
    "MissingParameters",
    "ParameterCalculator",
    "by_type",
    "computable_parameters",
    "flat_parameters",
    "image_processing",
]

log = logging.getLogger(__name__)

#: Images whose parameters are computed together.
ROWS_AT_A_TIME = 256

#: Picture thresholds (p.e.) of cleaning by telescope type, the boundary's being half of them, as in
#: the settings that `ctapipe-quickstart` gives, with a first line for telescopes that those leave
#: out.
PICTURE_THRESHOLDS = {
    "*": 8.0,
    "LST*": 8.5,
    "MST*NectarCam": 9.0,
    "MST*FlashCam": 9.0,
    "SST*": 4.0,
}


def by_type(subarray: SubarrayDescription, values: dict) -> list[tuple]:
    """ctapipe's setting of values by telescope type, without types that there are not."""
    types = [str(telescope) for telescope in subarray.telescope_types]
    return [
        ("type", pattern, value)
        for pattern, value in values.items()
        if fnmatch.filter(types, pattern)
    ]


def image_processing(subarray: SubarrayDescription) -> Config:
    """Settings of ctapipe's ImageProcessor, those of `ctapipe-quickstart`."""
    boundaries = {pattern: picture / 2 for pattern, picture in PICTURE_THRESHOLDS.items()}
    cleaning = {
        "picture_threshold_pe": by_type(subarray, PICTURE_THRESHOLDS),
        "boundary_threshold_pe": by_type(subarray, boundaries),
        "keep_isolated_pixels": False,
        "min_picture_neighbors": 2,
    }
    criteria = [
        ("enough_pixels", "np.count_nonzero(image) > 2"),
        ("enough_charge", "image.sum() > 50"),
    ]
    return Config(
        ImageProcessor={
            "image_cleaner_type": "TailcutsImageCleaner",
            "TailcutsImageCleaner": cleaning,
            "ImageQualityQuery": {"quality_criteria": criteria},
        }
    )


def flat_parameters(parameters: ImageParametersContainer) -> dict[str, float]:
    """Parameters by the names that they have in files."""
    return {
        f"{container.prefix}_{name}": _number(value, container.fields[name].unit)
        for container in parameters.values()
        for name, value in container.items()
    }


def _number(value, unit) -> float:
    """A value in the unit that its column has."""
    return value.to_value(unit) if isinstance(value, u.Quantity) else value


def computable_parameters() -> frozenset[str]:
    """Names of the parameters that ctapipe computes, angles in the telescope frame."""
    return frozenset(flat_parameters(ImageParametersContainer()))


class ParameterCalculator:
    """Computes the parameters of a file's images.

    Parameters
    ----------
    subarray : SubarrayDescription
        With the focal lengths that angles are to be computed with.
    """

    def __init__(self, subarray: SubarrayDescription):
        self._process = ImageProcessor(subarray, config=image_processing(subarray))

    def __call__(
        self, tel_id: int, charge: np.ndarray, peak_time: np.ndarray, names: Iterable[str]
    ) -> dict[str, np.ndarray]:
        """Parameters of some images; a pixel that is not finite is one without light.

        Parameters
        ----------
        tel_id : int
        charge : ndarray, shape (n_images, n_pixels)
            In p.e.
        peak_time : ndarray, shape (n_images, n_pixels)
            In ns.
        names : iterable of str
            Of :func:`computable_parameters`, and ``cleaning_mask``.

        Returns
        -------
        dict of str to ndarray, shape (n_images,)
        """
        values = {name: [] for name in names}
        pixels, _ = without_impossible({"charge": charge, "peak_time": peak_time})
        charge, peak_time = pixels["charge"], pixels["peak_time"]
        missing = ~(np.isfinite(charge) & np.isfinite(peak_time))
        charge, peak_time = np.where(missing, 0, charge), np.where(missing, 0, peak_time)
        for image, time in zip(charge, peak_time, strict=True):
            event = ArrayEventContainer()
            event.trigger.tel[tel_id] = TelescopeTriggerContainer()
            event.dl1.tel[tel_id] = DL1CameraContainer(image=image, peak_time=time)
            self._process(event)
            found = event.dl1.tel[tel_id]
            flat = {**flat_parameters(found.parameters), "cleaning_mask": found.image_mask}
            for name, column in values.items():
                column.append(flat[name])
        return {name: np.array(column) for name, column in values.items()}


class MissingParameters:
    """Computes the image parameters that a file lacks, as far as ctapipe can and there are images.

    Parameters
    ----------
    reader : Reader
    file : tables.File
        What it reads, open; it describes the telescopes as ctapipe does.
    """

    def __init__(self, reader: Reader, file: tables.File):
        self._reader, self._file = reader, file

    def __call__(self, tel_id: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Those of these parameters that can be computed, of all images of a telescope.

        Returns
        -------
        dict of str to ndarray of float64, shape (n_images,)
        """
        reader = self._reader
        names = sorted(set(names) & computable_parameters())
        if not names or not reader.has_pixels:
            return {}
        log.info("'%s': computing %s of telescope %d.", reader.path, ", ".join(names), tel_id)
        parts = []
        for start in range(0, reader.n_images(tel_id), ROWS_AT_A_TIME):
            rows = np.arange(start, min(start + ROWS_AT_A_TIME, reader.n_images(tel_id)))
            pixels = reader.pixels(tel_id, rows, ["charge", "peak_time"])
            what = f"what the parameters of telescope {tel_id} are computed from"
            with reading(reader.path, what):
                parts.append(self._calculator(tel_id, pixels["charge"], pixels["peak_time"], names))
        return {
            name: np.concatenate([part[name] for part in parts]).astype(np.float64)
            for name in names
        }

    @cached_property
    def _calculator(self) -> ParameterCalculator:
        with reading(self._reader.path, "the description of the telescopes"):
            try:
                subarray = SubarrayDescription.from_hdf(
                    self._file, focal_length_choice=FocalLengthKind.EFFECTIVE
                )
            except RuntimeError:
                subarray = self._reader.subarray
            return ParameterCalculator(subarray)
