"""Reader of one event that ctapipe has in memory, as `ctapipe-process` goes through a file."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from astropy.table import Table
from ctapipe.containers import ArrayEventContainer, DL1CameraContainer, PixelStatus
from ctapipe.instrument import SubarrayDescription

from ...errors import InputFileError
from ...image.parameters import NAMES, ImageParametrizer
from ...io.particles import CALIBRATION, particle_names
from .bad_pixels import CalibrationRecord, without_dropped
from .ctapipe_dl1 import PIXEL_COLUMNS
from .faults import Fault
from .parameters import compute_parameters, flat_parameters
from .reader import INSTEAD, KEYS, TRUTH_UNITS, azimuth, without_calibration

__all__ = ["CtapipeEventReader"]


class CtapipeEventReader:
    """One event of ctapipe's; see :class:`gammalearn.data.readers.reader.Reader`.

    Parameters
    ----------
    event : ArrayEventContainer
        With DL1 images.
    subarray : SubarrayDescription
    telescopes : sequence of int, optional
        Telescopes whose images count; by default all.
    parametrizer : ImageParametrizer, optional
        Computes image parameters that the event lacks.
    calibration : mapping of int to CalibrationRecord, optional
        Broken pixels by telescope, from the file that the event is of.

    Raises
    ------
    InputFileError
        If the event has image parameters, but no images.
    """

    format = "ctapipe event"
    dl1_path = None
    has_pixels = True

    def __init__(
        self,
        event: ArrayEventContainer,
        subarray: SubarrayDescription,
        telescopes: Sequence[int] | None = None,
        parametrizer: ImageParametrizer | None = None,
        calibration: Mapping[int, CalibrationRecord] | None = None,
    ) -> None:
        self.subarray = subarray
        self.path = Path(f"event {event.index.event_id} of observation {event.index.obs_id}")
        self._event, self._parametrizer = event, parametrizer
        self._calibration = calibration or {}
        seen = {int(t): dl1 for t, dl1 in sorted(event.dl1.tel.items())}
        self._dl1 = {t: dl1 for t, dl1 in seen.items() if dl1.image is not None}
        if seen and not self._dl1:
            raise InputFileError(
                f"The {self.path} has no DL1 images; give ctapipe a file with images, made with "
                "ctapipe-process --write-images, or the raw data."
            )
        if telescopes is not None:
            self._dl1 = {t: dl1 for t, dl1 in self._dl1.items() if t in set(telescopes)}

    @cached_property
    def events(self) -> Table:
        """The event, a table of one row."""
        event = self._event
        row = {
            "obs_id": int(event.index.obs_id),
            "event_id": int(event.index.event_id),
            "event_type": int(event.trigger.event_type.value),
            "particle": "",
            **dict.fromkeys(TRUTH_UNITS, np.nan),
            "spectral_index": np.nan,
        }
        if event.simulation is not None and event.simulation.shower is not None:
            shower = event.simulation.shower
            for name, unit in TRUTH_UNITS.items():
                row[name] = float(shower[name.removeprefix("true_")].to_value(unit))
            row["particle"] = str(particle_names([shower.shower_primary_id])[0])
        table = Table({name: [value] for name, value in row.items()})
        table["particle"] = table["particle"].astype("U16")
        return without_calibration(table)

    def faults(self, tel_ids: Sequence[int]) -> list[Fault]:
        """None: an event has no tables."""
        return []

    def is_shower(self) -> np.ndarray:
        """Whether the event is a shower, not calibration; shape (1,) of bool."""
        return np.asarray(self.events["particle"]) != CALIBRATION

    def telescope_triggers(self) -> Table:
        """All triggers of telescopes, with images or without: obs_id, event_id, tel_id."""
        tel_id = np.asarray(self._event.trigger.tels_with_trigger, dtype=np.int64)
        keys = {name: np.full(len(tel_id), self._event.index[name]) for name in KEYS}
        return Table({**keys, "tel_id": tel_id})

    def telescopes_with_images(self) -> list[int]:
        """Ids of the telescopes that have an image."""
        return list(self._dl1)

    def n_samples(self, tel_id: int) -> int:
        """Samples of the waveforms of a telescope (R1); 0 where there are none."""
        waveform = self._event.r1.tel[tel_id].waveform if tel_id in self._event.r1.tel else None
        return 0 if waveform is None else int(np.shape(waveform)[-1])

    def n_images(self, tel_id: int) -> int:
        """Number of images of a telescope, 1 or 0."""
        return int(tel_id in self._dl1)

    def images(self, tel_id: int, parameters: Sequence[str] = ()) -> Table:
        """The image of a telescope, without its pixels; a table of one row."""
        pointing = self._event.monitoring.tel[tel_id].pointing
        alt, az = (float(angle.to_value("deg")) for angle in (pointing.altitude, pointing.azimuth))
        if not (np.isfinite(alt) and np.isfinite(az)):
            raise InputFileError(f"The {self.path} has no pointing of telescope {tel_id}.")
        row: dict[str, float] = {
            "event": 0,
            **{name: int(self._event.index[name]) for name in KEYS},
        }
        # As in files: rounding may take the altitude beyond the zenith.
        row |= {"pointing_alt": np.clip(alt, -90, 90), "pointing_az": float(azimuth(az))}
        known = self._parameters(self._dl1[tel_id])
        row |= {name: known[name] for name in parameters if name in known}
        lacking = sorted((set(parameters) - set(known)) & set(NAMES))
        if lacking and self._parametrizer:
            pixels = self.pixels(tel_id, np.array([0]), ["charge", "peak_time"])
            computed = compute_parameters(self._parametrizer, tel_id, pixels, lacking)
            row |= {name: float(values[0]) for name, values in computed.items()}
        return Table({name: [value] for name, value in row.items()})

    def times(self, tel_id: int) -> np.ndarray:
        """When the image was taken: of one event that does not matter."""
        return np.full(1, np.nan)

    @staticmethod
    def _parameters(dl1: DL1CameraContainer) -> dict[str, float]:
        if dl1.parameters is None:
            return {}
        return {name: float(value) for name, value in flat_parameters(dl1.parameters).items()}

    def parameter_names(self) -> list[str]:
        """Names of the image parameters that the event has."""
        return list(dict.fromkeys(n for dl1 in self._dl1.values() for n in self._parameters(dl1)))

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the pixels of the image hold; see :class:`gammalearn.data.readers.reader.Reader`.

        Charges of pixels that are broken or dropped are NaN.
        """
        dl1 = self._dl1[tel_id]
        pixels = {name: np.array([self._event.index[name]], dtype=np.int64) for name in KEYS}
        for name in names:
            if name == "waveform":
                pixels[name] = self._waveform(tel_id, len(dl1.image))
                continue
            values = dl1[PIXEL_COLUMNS[name]]
            if values is None:
                raise InputFileError(
                    f"The {self.path} has no {PIXEL_COLUMNS[name]} of telescope {tel_id}; "
                    f"{INSTEAD[name]}."
                )
            pixels[name] = np.asarray(values)[None]
        if "charge" in names:
            charge = without_dropped(pixels["charge"], is_rounded=False)
            charge = np.where(self._dropped(tel_id), np.nan, charge)
            pixels["charge"] = np.where(self._broken(tel_id), np.nan, charge)
        return {name: values[rows] for name, values in pixels.items()}

    def _waveform(self, tel_id: int, n_pixels: int) -> np.ndarray:
        """Samples (p.e.) of a telescope, shape (1, n_pixels, n_samples)."""
        waveform = np.asarray(self._event.r1.tel[tel_id].waveform)
        if waveform.size != n_pixels * waveform.shape[-1]:
            raise InputFileError(
                f"The {self.path} has waveforms of several gains of telescope {tel_id}; let "
                "ctapipe choose one."
            )
        return waveform.reshape(1, n_pixels, -1)

    def _dropped(self, tel_id: int) -> np.ndarray | bool:
        """Pixels that the data-volume reduction has dropped, if the event tells it."""
        dl0 = self._event.dl0.tel.get(tel_id)
        if dl0 is None or dl0.pixel_status is None:
            return False
        stored = PixelStatus.get_dvr_status(np.asarray(dl0.pixel_status)) != 0
        # Sources without a reduction leave it at 0.
        return ~stored if stored.any() else False

    def _broken(self, tel_id: int) -> np.ndarray | np.bool_ | bool:
        """Pixels that the calibration flags: the file's own, or that ctapipe made the image with.

        The latter of observed events only: of simulated ones DL1 files do not tell, and what is
        learnt from these is so here.
        """
        if tel_id in self._calibration:
            record = self._calibration[tel_id]
            return record.masks[record.number_at(self._event.trigger.tel[tel_id].time)]
        flagged = self._event.monitoring.tel[tel_id].camera.coefficients.outlier_mask
        if flagged is None or self._event.simulation is not None:
            return False
        return np.any(np.atleast_2d(flagged), axis=0)  # in either gain

    def close(self) -> None:
        """Nothing: the event stays."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
