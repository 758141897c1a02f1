"""How images are cleaned and which of them are described: the settings of `ctapipe-quickstart`.

These are the thresholds of files that are simulated, of raw data that DL1 is made of, and of image
parameters that a file lacks.
"""

import fnmatch
from typing import NamedTuple

from ctapipe.instrument import SubarrayDescription, TelescopeDescription

__all__ = [
    "FEW_PIXELS",
    "LITTLE_CHARGE",
    "MIN_PICTURE_NEIGHBORS",
    "QUALITY_CRITERIA",
    "Thresholds",
    "by_type",
    "image_processing",
    "thresholds_of",
]

#: Picture thresholds (p.e.) by ctapipe's names of telescope types, the last one that fits counts;
#: the first one is for telescopes that ctapipe-quickstart leaves out.
PICTURE_THRESHOLDS = {
    "*": 8.0,
    "LST*": 8.5,
    "MST*NectarCam": 9.0,
    "MST*FlashCam": 9.0,
    "SST*": 4.0,
}

#: The boundary threshold over the picture threshold.
BOUNDARY_SHARE = 0.5

#: Neighbours above the picture threshold that a picture pixel needs.
MIN_PICTURE_NEIGHBORS = 2

#: Cleaned images are described that have more than so many pixels and photoelectrons.
FEW_PIXELS, LITTLE_CHARGE = 2, 50

#: The same as criteria of ctapipe's.
QUALITY_CRITERIA = [
    ("enough_pixels", f"np.count_nonzero(image) > {FEW_PIXELS}"),
    ("enough_charge", f"image.sum() > {LITTLE_CHARGE}"),
]


class Thresholds(NamedTuple):
    """Thresholds of the cleaning in p.e."""

    picture: float
    """What is signal."""

    boundary: float
    """What is signal next to a picture pixel."""


def thresholds_of(telescope: TelescopeDescription) -> Thresholds:
    """The thresholds of a telescope.

    Parameters
    ----------
    telescope : ctapipe.instrument.TelescopeDescription
    """
    fitting = [
        value
        for pattern, value in PICTURE_THRESHOLDS.items()
        if fnmatch.fnmatch(str(telescope), pattern)
    ]
    return Thresholds(fitting[-1], BOUNDARY_SHARE * fitting[-1])


def by_type(subarray: SubarrayDescription, values: dict) -> list[list]:
    """ctapipe's setting of values by telescope type, without types that there are not.

    Parameters
    ----------
    subarray : ctapipe.instrument.SubarrayDescription
        ctapipe warns of values for telescopes that are not there.
    values : dict of str to float or str
        By patterns of types.
    """
    types = [str(telescope) for telescope in subarray.telescope_types]
    return [
        ["type", pattern, value]
        for pattern, value in values.items()
        if fnmatch.filter(types, pattern)
    ]


def image_processing(subarray: SubarrayDescription) -> dict:
    """How images are cleaned and which are described, as settings of ctapipe's ImageProcessor.

    Parameters
    ----------
    subarray : ctapipe.instrument.SubarrayDescription

    Returns
    -------
    dict
        Also of use in a file that ``ctapipe-process --config`` reads.
    """
    boundaries = {kind: BOUNDARY_SHARE * value for kind, value in PICTURE_THRESHOLDS.items()}
    return {
        "ImageProcessor": {
            "image_cleaner_type": "TailcutsImageCleaner",
            "TailcutsImageCleaner": {
                "picture_threshold_pe": by_type(subarray, PICTURE_THRESHOLDS),
                "boundary_threshold_pe": by_type(subarray, boundaries),
                "keep_isolated_pixels": False,
                "min_picture_neighbors": MIN_PICTURE_NEIGHBORS,
            },
            "ImageQualityQuery": {"quality_criteria": [list(pair) for pair in QUALITY_CRITERIA]},
        }
    }
