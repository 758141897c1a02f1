"""Cleaning: which pixels hold light of the shower, by ctapipe's methods."""

import inspect
from collections.abc import Mapping, Sequence

import numpy as np
from ctapipe.image import cleaning as ctapipe_cleaning

from ..camera import CameraType
from ..errors import SettingsError
from ..settings import CleaningSettings, DataSettings

__all__ = ["Cleaning", "cleanings", "uses_mask", "uses_time"]

#: Methods that only compare charges and multiply them with the matrix of neighbours, so that a
#: matrix of images may stand for an image: several times as fast as one after the other.
OF_MANY_IMAGES = ("tailcuts_clean", "mars_cleaning_1st_pass")

#: Arguments of the methods that are no settings.
OF_AN_IMAGE = ("geom", "image", "arrival_times", "pedestal_std")

#: What stands for the cameras that are not named.
OTHERS = "*"


def uses_mask(settings: DataSettings) -> bool:
    """Whether the channels of these ``data`` settings need a cleaning mask."""
    return "cleaning_mask" in settings.channels or bool(settings.cleaning.applied_to)


def uses_time(method: str) -> bool:
    """Whether a method of ctapipe's asks for the pixels' times."""
    return "arrival_times" in _arguments(method)


def _arguments(method: str) -> list[str]:
    return list(inspect.signature(getattr(ctapipe_cleaning, method)).parameters)


def cleanings(settings: DataSettings, cameras: Sequence[CameraType]) -> list["Cleaning"]:
    """The cleaning of each camera; none where no mask is needed, or it is the file's.

    Parameters
    ----------
    settings : gammalearn.settings.DataSettings
    cameras : sequence of CameraType

    Raises
    ------
    SettingsError
        If the settings leave a camera out, or name one or a parameter that there is not.
    """
    if settings.cleaning.method == "file" or not uses_mask(settings):
        return []
    method, parameters = settings.cleaning.method, settings.cleaning.parameters
    known = [name for name in _arguments(method) if name not in OF_AN_IMAGE]
    for parameter in parameters:
        if parameter not in known:
            raise SettingsError(
                f"data.cleaning.parameters: ctapipe's {method} has no '{parameter}'; it has "
                f"{', '.join(known)}."
            )
    names = [camera.name for camera in cameras]
    for parameter, values in parameters.items():
        unknown = sorted(set(values) - {*names, OTHERS}) if isinstance(values, dict) else []
        if unknown:
            raise SettingsError(
                f"data.cleaning.parameters.{parameter}: there is no camera '{unknown[0]}'; the "
                f"cameras are {', '.join(names)}, and '{OTHERS}' stands for the others."
            )
    return [Cleaning(settings.cleaning, camera) for camera in cameras]


class Cleaning:
    """Cleans the images of one camera.

    Parameters
    ----------
    settings : gammalearn.settings.CleaningSettings
        Of another method than the file's.
    camera : CameraType

    Raises
    ------
    SettingsError
        If a parameter has no value for the camera.
    """

    def __init__(self, settings: CleaningSettings, camera: CameraType) -> None:
        self.method, self.camera = settings.method, camera
        self.parameters = {
            name: _of_camera(name, value, camera.name)
            for name, value in settings.parameters.items()
        }

    def __call__(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        """The pixels that hold light.

        Parameters
        ----------
        pixels : mapping of str to ndarray, shape (n_images, n_pixels)
            ``charge`` (p.e.), and ``peak_time`` (ns) where the method asks for it. A pixel of which
            one is not finite is one without light.

        Returns
        -------
        ndarray of bool, shape (n_images, n_pixels)
        """
        clean = getattr(ctapipe_cleaning, self.method)
        geometry, charge = self.camera.geometry, pixels["charge"]
        if not uses_time(self.method):
            charge = np.where(np.isfinite(charge), charge, 0)
            if self.method in OF_MANY_IMAGES:
                return clean(geometry, charge.T, **self.parameters).T
            images = [clean(geometry, image, **self.parameters) for image in charge]
        else:
            time = pixels["peak_time"]
            missing = ~(np.isfinite(charge) & np.isfinite(time))
            charge, time = np.where(missing, 0, charge), np.where(missing, 0, time)
            images = [
                clean(geometry, image, arrival_times=arrival, **self.parameters)
                for image, arrival in zip(charge, time, strict=True)
            ]
        return np.array(images, dtype=bool).reshape(charge.shape)


def _of_camera(
    parameter: str, value: float | dict[str, float | None] | None, camera: str
) -> float | None:
    """A parameter's value for a camera."""
    if not isinstance(value, dict):
        return value
    if camera not in value and OTHERS not in value:
        raise SettingsError(
            f"data.cleaning.parameters.{parameter} has no value for camera '{camera}'; give one, "
            f"or one for all others as '{OTHERS}'."
        )
    return value.get(camera, value.get(OTHERS))
