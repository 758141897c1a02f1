"""An observed run as ctapipe describes it: its header, its events, where the telescopes point."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from ctapipe.containers import (
    ArrayEventContainer,
    CoordinateFrameType,
    DL1CameraContainer,
    EventIndexContainer,
    EventType,
    ObservationBlockContainer,
    ObservationBlockState,
    ObservingMode,
    PointingMode,
    SchedulingBlockContainer,
    SchedulingBlockType,
    TelescopeTriggerContainer,
    TriggerContainer,
)

from ..io.observed.target import Target
from .block import ObservedBlock
from .run import images_of

if TYPE_CHECKING:
    from .observation import ObservationSimulation

__all__ = ["ObservedRun"]

#: Who gives the observation its number: the site.
PRODUCER = "CTAO-North"


class ObservedRun:
    """All that ctapipe's DataWriter asks of an event source of an observation.

    Parameters
    ----------
    observation : ObservationSimulation
    """

    is_simulation = False
    simulation_config = None
    atmosphere_density_profile = None

    def __init__(self, observation: "ObservationSimulation") -> None:
        self.settings = observation.settings
        self.array = observation.array
        self.subarray = observation.array.subarray
        self.tracking = observation.tracking
        self.pixels = observation.pixels
        self.obs_id = np.int32(self.settings.run)

    @property
    def target(self) -> Target:
        """What is observed."""
        source = self.settings.source
        return Target(source.name, source.ra, source.dec)

    @property
    def obs_ids(self) -> list[np.int32]:
        """The run's only observation."""
        return [self.obs_id]

    @property
    def scheduling_blocks(self) -> dict[np.int32, SchedulingBlockContainer]:
        """One for the observation."""
        wobble = self.settings.wobble_offset > 0
        block = SchedulingBlockContainer(
            sb_id=np.uint64(self.obs_id),
            sb_type=SchedulingBlockType.OBSERVATION,
            producer_id=PRODUCER,
            observing_mode=ObservingMode.WOBBLE if wobble else ObservingMode.CUSTOM,
            pointing_mode=PointingMode.TRACK,
        )
        return {self.obs_id: block}

    @property
    def observation_blocks(self) -> dict[np.int32, ObservationBlockContainer]:
        """Which place in the sky the telescopes follow, and when."""
        tracking = self.tracking
        block = ObservationBlockContainer(
            obs_id=np.uint64(self.obs_id),
            sb_id=np.uint64(self.obs_id),
            producer_id=PRODUCER,
            state=ObservationBlockState.COMPLETED_SUCCEDED,
            subarray_pointing_lat=tracking.pointing.dec.to(u.deg),
            subarray_pointing_lon=tracking.pointing.ra.to(u.deg),
            subarray_pointing_frame=CoordinateFrameType.ICRS,
            scheduled_duration=tracking.duration / 60 * u.min,
            scheduled_start_time=tracking.start,
            actual_start_time=tracking.start,
            actual_duration=tracking.duration / 60 * u.min,
        )
        return {self.obs_id: block}

    def event_time(self, seconds: float | np.ndarray) -> Time:
        """When the light front of an event reaches the centre of the array."""
        return self.tracking.time_at(seconds)

    def pointing_table(self) -> QTable:
        """What the drives report: time, azimuth, altitude."""
        tracking = self.tracking
        alt, az = tracking.pointing_at(tracking.reported)
        return QTable(
            {
                "time": tracking.time_at(tracking.reported),
                "azimuth": az % (2 * np.pi) * u.rad,
                "altitude": alt * u.rad,
            }
        )

    def subarray_pointing_table(self) -> QTable:
        """Where the array points, on the ground and in the sky, when the drives report it."""
        table = self.pointing_table()
        table.rename_columns(["azimuth", "altitude"], ["array_azimuth", "array_altitude"])
        pointing = self.tracking.pointing
        table["array_ra"] = np.full(len(table), pointing.ra.rad) * u.rad
        table["array_dec"] = np.full(len(table), pointing.dec.rad) * u.rad
        return table

    def calibration_table(self, tel_id: int) -> QTable:
        """What the calibration of a camera says at the start of the observation: one row.

        Parameters
        ----------
        tel_id : int
        """
        camera = self.subarray.tel[tel_id].camera
        shape = (1, camera.readout.n_channels, camera.geometry.n_pixels)
        outliers = np.zeros(shape, dtype=bool)
        if tel_id in self.pixels:
            outliers[:] = self.pixels[tel_id].dead
        return QTable(
            {
                "time": self.tracking.time_at(self.tracking.reported[:1]),
                "pedestal_offset": np.zeros(shape, dtype=np.float32),
                "factor": np.ones(shape, dtype=np.float32),
                "time_shift": np.zeros(shape, dtype=np.float32),
                "outlier_mask": outliers,
                "is_valid": np.ones(1, dtype=bool),
            }
        )

    def events(self, block: ObservedBlock) -> Iterator[ArrayEventContainer]:
        """The events of a block, one after the other."""
        for row, event in enumerate(block.events):
            kind = EventType(event["event_type"])
            time = self.event_time(event["seconds"])
            result = ArrayEventContainer(
                index=EventIndexContainer(obs_id=self.obs_id, event_id=event["event_id"]),
                trigger=TriggerContainer(event_type=kind, time=time),
                simulation=None,
            )
            for tel_id, images, i in images_of(block, row):
                result.trigger.tel[tel_id] = TelescopeTriggerContainer(
                    time=time + images.trigger_time[i] * u.ns, event_type=kind
                )
                result.dl1.tel[tel_id] = DL1CameraContainer(
                    image=images.image[i], peak_time=images.peak_time[i], is_valid=True
                )
            result.trigger.tels_with_trigger = np.array(list(result.trigger.tel), dtype=np.int16)
            yield result
