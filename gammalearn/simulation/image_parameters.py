"""Image parameters of simulated events: of the images as read out, and of the true ones if any."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from ctapipe.image.image_processor import ImageQualityQuery
from ctapipe.instrument import SubarrayDescription

from ..image.parameters import IMAGE_PARAMETERS, ImageParametrizer
from ..image.processing import QUALITY_CRITERIA
from .block import TelescopeImages

__all__ = ["BlockParametrizer", "ImageParameters"]


@dataclass(frozen=True)
class ImageParameters:
    """What cleaning and describing some images gave."""

    image_mask: np.ndarray
    """Pixels that survive the cleaning; shape (n, n_pixels) of bool."""

    parameters: np.ndarray
    """Of type :data:`gammalearn.image.parameters.IMAGE_PARAMETERS`, shape (n,)."""

    is_described: np.ndarray
    """Whether the image met the quality criteria; shape (n,) of bool."""

    true_parameters: np.ndarray
    """Those of the true images, without times."""

    true_is_described: np.ndarray
    """Whether the true image met the quality criteria; shape (n,) of bool."""


class BlockParametrizer:
    """Cleans and describes the images of blocks of events.

    Parameters
    ----------
    subarray : ctapipe.instrument.SubarrayDescription
    """

    def __init__(self, subarray: SubarrayDescription) -> None:
        self._parametrizer = ImageParametrizer(subarray)

    def __call__(
        self, telescopes: Mapping[str, TelescopeImages], event_id: np.ndarray
    ) -> tuple[dict[str, ImageParameters], Table]:
        """Describe the images of a block.

        Parameters
        ----------
        telescopes : mapping of str to TelescopeImages
        event_id : ndarray of int, shape (n_events,)

        Returns
        -------
        dict of str to ImageParameters
            By the same names.
        Table
            How many images met the quality criteria, as ctapipe has it.
        """
        described: dict[str, ImageParameters] = {}
        each = [np.zeros((0, len(QUALITY_CRITERIA)), dtype=bool)]
        for name, images in telescopes.items():
            described[name] = self._describe_all(images, event_id[images.event], each)
        passed = np.concatenate(each)
        statistics = ImageQualityQuery(quality_criteria=QUALITY_CRITERIA).to_table(functions=True)
        total = [len(passed)]
        statistics["counts"] = np.append(total, passed.sum(axis=0))
        statistics["cumulative_counts"] = np.append(total, passed.cumprod(axis=1).sum(axis=0))
        return described, statistics

    def _describe_all(
        self, images: TelescopeImages, event_id: np.ndarray, passed: list[np.ndarray]
    ) -> ImageParameters:
        """Describe images; which criteria each meets is added to `passed`."""
        n_images = len(images.image)
        result = ImageParameters(
            image_mask=np.zeros(images.image.shape, dtype=bool),
            parameters=np.zeros(n_images, dtype=IMAGE_PARAMETERS),
            is_described=np.zeros(n_images, dtype=bool),
            true_parameters=np.zeros(n_images, dtype=IMAGE_PARAMETERS),
            true_is_described=np.zeros(n_images, dtype=bool),
        )
        for tel_id in np.unique(images.tel_id):
            rows = images.tel_id == tel_id
            image = images.image[rows]
            mask = self._parametrizer.clean(tel_id, image)
            result.image_mask[rows] = mask
            result.parameters[rows], criteria = self._parametrizer.describe(
                tel_id, image, mask, images.peak_time[rows], event_id[rows]
            )
            result.is_described[rows] = criteria.all(axis=1)
            passed.append(criteria)
            if not images.true_image.shape[1]:
                continue
            true_image = images.true_image[rows]
            result.true_parameters[rows], true_criteria = self._parametrizer.describe(
                tel_id, true_image, true_image > 0
            )
            result.true_is_described[rows] = true_criteria.all(axis=1)
            passed.append(true_criteria)
        return result
