"""A simulated run as ctapipe describes it: its header, its events, what was thrown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle
from astropy.table import QTable
from astropy.time import Time
from ctapipe.atmosphere import FiveLayerAtmosphereDensityProfile
from ctapipe.containers import (
    ArrayEventContainer,
    ArrayPointingContainer,
    CoordinateFrameType,
    DL1CameraContainer,
    EventIndexContainer,
    EventType,
    ObservationBlockContainer,
    ObservationBlockState,
    ObservingMode,
    PixelStatus,
    PointingMode,
    R1CameraContainer,
    SchedulingBlockContainer,
    SchedulingBlockType,
    SimulatedCameraContainer,
    SimulatedEventContainer,
    SimulatedShowerContainer,
    SimulatedShowerDistribution,
    SimulationConfigContainer,
    TelescopeImpactParameterContainer,
    TelescopePointingContainer,
    TelescopeTriggerContainer,
    TriggerContainer,
)

from ..camera import impact_distance
from .atmosphere import LAYER_A, LAYER_B, LAYER_C, LAYER_HEIGHT, TOP
from .block import EventBlock, ObservedBlock, TelescopeImages

if TYPE_CHECKING:
    from ..settings import SimulationSettings
    from .instrument import Array

__all__ = ["FIRST_SHOWER", "SimulatedRun", "distance_of_telescopes", "images_of"]

#: Showers are numbered from 1, as CORSIKA does.
FIRST_SHOWER = 1

#: When the runs are said to take place: event n is n steps later.
START = Time("2025-01-01T00:00:00", scale="tai")
EVENT_STEP = 10 * u.ms

#: The shape of the histogram of thrown showers is the same for all, so that files can be merged.
ENERGY_EDGES = np.logspace(-3, 4, 141)
N_DISTANCES = 200

#: sim_telarray's number for the histogram of all thrown showers, and for cores in a circle.
THROWN_HISTOGRAM = 6
CIRCLE = 1

#: CORSIKA's number of the atmosphere, and how it continues above the four exponential layers:
#: thickness = a - b height / c (g/cm², g/cm², cm).
ATMOSPHERE = 1
TOP_LAYER = (0.01128292, 1.0, 1e9)

GRAMMAGE = u.g / u.cm**2

PRODUCER = "simulation"


class SimulatedRun:
    """All that ctapipe's DataWriter asks of an event source, and the events of a block.

    Parameters
    ----------
    settings : gammalearn.settings.SimulationSettings
    array : gammalearn.simulation.instrument.Array
    """

    is_simulation = True

    def __init__(self, settings: "SimulationSettings", array: "Array") -> None:
        self.settings = settings
        self.array = array
        self.subarray = array.subarray
        self.obs_id = np.int32(settings.run)
        self.altitude = (90 - settings.zenith) * u.deg
        self.azimuth = settings.azimuth % 360 * u.deg
        self._thrown = np.zeros((len(ENERGY_EDGES) - 1, N_DISTANCES), dtype=np.float32)

    @property
    def obs_ids(self) -> list[np.int32]:
        """The run's only observation."""
        return [self.obs_id]

    @property
    def scheduling_blocks(self) -> dict[np.int32, SchedulingBlockContainer]:
        """One for the observation."""
        block = SchedulingBlockContainer(
            sb_id=np.uint64(self.obs_id),
            sb_type=SchedulingBlockType.OBSERVATION,
            producer_id=PRODUCER,
            observing_mode=ObservingMode.UNKNOWN,
            pointing_mode=PointingMode.DRIFT,
        )
        return {self.obs_id: block}

    @property
    def observation_blocks(self) -> dict[np.int32, ObservationBlockContainer]:
        """Where the telescopes point, fixed in altitude and azimuth, and when."""
        block = ObservationBlockContainer(
            obs_id=np.uint64(self.obs_id),
            sb_id=np.uint64(self.obs_id),
            producer_id=PRODUCER,
            state=ObservationBlockState.COMPLETED_SUCCEDED,
            subarray_pointing_lat=self.altitude,
            subarray_pointing_lon=self.azimuth,
            subarray_pointing_frame=CoordinateFrameType.ALTAZ,
            scheduled_start_time=START,
            actual_start_time=START,
        )
        return {self.obs_id: block}

    @property
    def simulation_config(self) -> dict[np.int32, SimulationConfigContainer]:
        """What was thrown: all that an effective area needs. What only CORSIKA has is left out."""
        settings = self.settings
        north, west, up = self.array.magnetic_field
        level = np.hypot(north, west)
        config = SimulationConfigContainer(
            run_number=self.obs_id,
            energy_range_min=settings.energy[0] * u.TeV,
            energy_range_max=settings.energy[1] * u.TeV,
            spectral_index=settings.spectral_index,
            n_showers=settings.n_showers,
            shower_reuse=settings.reuse,
            max_alt=self.altitude.to(u.rad),
            min_alt=self.altitude.to(u.rad),
            max_az=self.azimuth.to(u.rad),
            min_az=self.azimuth.to(u.rad),
            diffuse=int(settings.viewcone > 0),
            # A point source beside the pointing lies anywhere on a ring.
            max_viewcone_radius=(settings.viewcone or settings.offset) * u.deg,
            min_viewcone_radius=settings.offset * u.deg,
            max_scatter_range=settings.scatter * u.m,
            min_scatter_range=0 * u.m,
            core_pos_mode=CIRCLE,
            prod_site_alt=self.array.height * u.m,
            prod_site_B_total=np.hypot(level, up) * u.T,
            prod_site_B_declination=Angle(np.arctan2(-west, north), u.rad),
            prod_site_B_inclination=Angle(np.arctan2(-up, level), u.rad),
            atmosphere=ATMOSPHERE,
        )
        return {self.obs_id: config}

    @property
    def atmosphere_density_profile(self) -> FiveLayerAtmosphereDensityProfile:
        """The atmosphere of the simulation."""
        columns = {
            "height": np.append(LAYER_HEIGHT, TOP) * u.m,
            "a": np.append(LAYER_A, TOP_LAYER[0]) * GRAMMAGE,
            "b": np.append(LAYER_B, TOP_LAYER[1]) * GRAMMAGE,
            "c": np.append(LAYER_C * 100, TOP_LAYER[2]) * u.cm,
        }
        kind = f"ctapipe.atmosphere.{FiveLayerAtmosphereDensityProfile.__name__}"
        # Not from_array, whose column '1/c' cannot be written to HDF5.
        table = QTable(columns, meta={"TAB_VER": 1, "TAB_TYPE": kind})
        return FiveLayerAtmosphereDensityProfile(table)

    @property
    def simulated_shower_distributions(self) -> dict[np.int32, SimulatedShowerDistribution]:
        """How many were thrown by energy and distance, of the blocks counted so far."""
        distribution = SimulatedShowerDistribution(
            obs_id=self.obs_id,
            hist_id=THROWN_HISTOGRAM,
            n_entries=int(self._thrown.sum(dtype=np.float64)),
            bins_energy=ENERGY_EDGES * u.TeV,
            bins_core_dist=self._distance_edges * u.m,
            histogram=self._thrown,
        )
        return {self.obs_id: distribution}

    @property
    def _distance_edges(self) -> np.ndarray:
        return np.linspace(0, self.settings.scatter, N_DISTANCES + 1)

    def count(self, block: EventBlock) -> None:
        """Count the showers of a block as thrown, each as often as it was used."""
        energy = np.broadcast_to(block.showers["energy"][:, None], block.core_distance.shape)
        # Rounding may put a core, or an energy, just outside of what was asked for.
        distance = np.clip(block.core_distance, 0, self.settings.scatter)
        thrown, _, _ = np.histogram2d(
            energy.ravel(), distance.ravel(), bins=(ENERGY_EDGES, self._distance_edges)
        )
        self._thrown += thrown.astype(self._thrown.dtype)

    def event_time(self, event_id: int | np.ndarray) -> Time:
        """When the light front of an event reaches the centre of the array."""
        return START + event_id * EVENT_STEP

    def events(self, block: EventBlock) -> Iterator[ArrayEventContainer]:
        """The events of a block, one after the other."""
        for row, event in enumerate(block.events):
            yield self._event(block, row, event)

    def _event(self, block: EventBlock, row: int, event: np.void) -> ArrayEventContainer:
        shower = block.showers[event["row"]]
        distance = distance_of_telescopes(event, shower, self.array.positions)
        time = self.event_time(event["event_id"])
        result = ArrayEventContainer(
            index=EventIndexContainer(obs_id=self.obs_id, event_id=event["event_id"]),
            trigger=TriggerContainer(event_type=EventType.SUBARRAY, time=time),
            simulation=SimulatedEventContainer(
                shower=SimulatedShowerContainer(
                    energy=u.Quantity(shower["energy"], u.TeV),
                    alt=Angle(shower["alt"], u.rad),
                    az=Angle(shower["az"], u.rad),
                    core_x=u.Quantity(event["core_x"], u.m),
                    core_y=u.Quantity(event["core_y"], u.m),
                    h_first_int=u.Quantity(shower["h_first_int"], u.m),
                    x_max=u.Quantity(shower["x_max"], GRAMMAGE),
                    starting_grammage=u.Quantity(shower["starting_grammage"], GRAMMAGE),
                    shower_primary_id=shower["shower_primary_id"],
                )
            ),
        )
        result.monitoring.pointing = ArrayPointingContainer(
            array_altitude=self.altitude.to(u.rad), array_azimuth=self.azimuth.to(u.rad)
        )
        for tel_id, images, i in images_of(block, row):
            result.trigger.tel[tel_id] = TelescopeTriggerContainer(
                time=time + images.trigger_time[i] * u.ns, event_type=EventType.SUBARRAY
            )
            result.monitoring.tel[tel_id].pointing = TelescopePointingContainer(
                azimuth=self.azimuth.to(u.rad), altitude=self.altitude.to(u.rad)
            )
            index = self.subarray.tel_index_array[tel_id]
            result.simulation.tel[tel_id] = SimulatedCameraContainer(
                true_image=images.true_image[i],
                true_image_sum=images.true_image[i].sum(dtype=np.int32),
                impact=TelescopeImpactParameterContainer(
                    distance=distance[index] * u.m, distance_uncert=0 * u.m, prefix="true_impact"
                ),
            )
            result.dl1.tel[tel_id] = DL1CameraContainer(
                image=images.image[i], peak_time=images.peak_time[i], is_valid=True
            )
            if images.waveform is not None:
                result.r1.tel[tel_id] = _calibrated(images.waveform[i])
        result.trigger.tels_with_trigger = np.array(list(result.trigger.tel), dtype=np.int16)
        return result


def _calibrated(waveform: np.ndarray) -> R1CameraContainer:
    """Waveforms (n_pixels, n_samples) as ctapipe has them, of the high gain alone."""
    n_pixels = len(waveform)
    return R1CameraContainer(
        event_type=EventType.SUBARRAY,
        waveform=waveform[np.newaxis],
        pixel_status=np.full(n_pixels, PixelStatus.HIGH_GAIN_STORED, dtype=np.uint8),
        selected_gain_channel=np.zeros(n_pixels, dtype=np.int8),
    )


def images_of(
    block: EventBlock | ObservedBlock, row: int
) -> list[tuple[int, TelescopeImages, int]]:
    """Telescope, images and row therein of all images of an event, by telescope.

    Parameters
    ----------
    block : EventBlock or ObservedBlock
    row : int
        Of the event in the block.
    """
    found = []
    for images in block.telescopes.values():
        first, last = np.searchsorted(images.event, [row, row + 1])
        found += [(int(images.tel_id[i]), images, i) for i in range(first, last)]
    return sorted(found, key=lambda image: image[0])


def distance_of_telescopes(
    event: np.void | np.ndarray, shower: np.void | np.ndarray, positions: np.ndarray
) -> np.ndarray:
    """How far (m) telescopes are from the axis of a shower.

    Parameters
    ----------
    event, shower : structured scalars, or structured ndarrays of shape (n,)
        Of the types :data:`~.block.EVENT` and :data:`~.block.SHOWER`.
    positions : ndarray, shape (..., 3)
        Of the telescopes (m, ground frame), as many as events where these are several.

    Returns
    -------
    ndarray, shape (...)
    """
    alt, az = np.rad2deg(shower["alt"]), np.rad2deg(shower["az"])
    return impact_distance(positions, event["core_x"], event["core_y"], alt, az)
