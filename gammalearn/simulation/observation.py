"""An observation: showers as they arrive at telescopes that follow a source.

The time of the observation is cut into slices in which few showers are expected. How many come in a
slice is a Poisson number for each kind of particle, when they come is uniform: together this is a
Poisson process. Energies are drawn from the spectra themselves, so that no event has a weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from ctapipe.containers import EventType

from ..settings import ObservationSettings
from .array_simulation import (
    PRIMARIES,
    ArraySimulation,
    Primary,
    Shower,
    draw_cores,
    draw_in_cone,
    join_images,
)
from .block import OBSERVED, ObservedBlock
from .conditions import in_conditions, pixel_states
from .electronics import Readout
from .instrument import array
from .optics import Optics, pointing_axes
from .spectra import COSMIC_RAYS, EnergyDistribution, source_flux
from .telescopes import TelescopeModel
from .tracking import Tracking

__all__ = ["FIRST_SLICE", "Component", "ObservationSimulation", "components"]

#: Slices are numbered from 1, as showers of other simulations.
FIRST_SLICE = 1

#: Showers and pedestals that are expected in a slice.
SHOWERS_PER_SLICE = 20

#: Events of a slice are numbered within this, for random numbers that the image parameters need.
EVENTS_PER_SLICE = 1_000_000

#: What tells the random numbers of observations from those of other simulations.
OBSERVATION = 20_000

#: What random numbers of a slice or of an event are for.
ARRIVAL, DIRECTION, SHOWER, READOUT, PIXELS = range(5)

#: Degrees of altitude between which the transmission of the air is interpolated.
ALTITUDE_STEP = 0.5

#: What stands in the place of a primary's number for pedestals, and in that of a component.
NO_PRIMARY = -1

#: What arrives: when (s), which component it is of, its energy (TeV), and of a source where in the
#: sky it comes from (deg).
ARRIVING = np.dtype(
    [
        ("seconds", np.float64),
        ("component", np.int64),
        ("energy", np.float64),
        ("ra", np.float64),
        ("dec", np.float64),
    ]
)


@dataclass(frozen=True)
class Scatter:
    """The circle of impact points, which grows with the logarithm of the energy.

    Parameters
    ----------
    energy : (float, float)
        Lowest and highest (TeV).
    radius : (float, float)
        At these energies (m).
    """

    energy: tuple[float, float]
    radius: tuple[float, float]

    def __call__(self, energy: float | np.ndarray) -> np.ndarray:
        """Radius (m) at energies (TeV); shape as given."""
        return np.interp(np.log(energy), np.log(self.energy), self.radius)

    def area(self, energy: np.ndarray) -> np.ndarray:
        """Area (m²) at energies (TeV), shape (n,)."""
        return np.pi * self(energy) ** 2


@dataclass(frozen=True)
class Component:
    """One kind of particle.

    Parameters
    ----------
    particle : str
    primary : Primary
    energies : EnergyDistribution
        Of what comes to the circle of impact points.
    scatter : Scatter
    viewcone : float
        Radius of the disc in the sky (rad); 0 of a source.
    flux_factor : float
        Factor on the flux.
    """

    particle: str
    primary: Primary
    energies: EnergyDistribution
    scatter: Scatter
    viewcone: float = 0.0
    flux_factor: float = 1.0

    @property
    def rate(self) -> float:
        """Showers per second: flux times area, and times solid angle of diffuse particles."""
        solid_angle = 2.0 * np.pi * (1.0 - np.cos(self.viewcone)) if self.viewcone else 1.0
        return self.flux_factor * solid_angle * self.energies.integral


def components(settings: ObservationSettings) -> list[Component]:
    """What makes showers in an observation, each with its rate.

    Parameters
    ----------
    settings : ObservationSettings
    """
    found = []
    source = settings.source
    if source.crab_units:
        scatter = Scatter(source.energy, source.scatter)
        energies = EnergyDistribution(source_flux(source), *source.energy, scatter.area)
        found.append(Component("gamma", PRIMARIES["gamma"], energies, scatter))
    for particle, diffuse in settings.diffuse().items():
        scatter = Scatter(diffuse.energy, diffuse.scatter)
        energies = EnergyDistribution(COSMIC_RAYS[particle], *diffuse.energy, scatter.area)
        cone = float(np.radians(diffuse.viewcone))
        found.append(
            Component(particle, PRIMARIES[particle], energies, scatter, cone, diffuse.flux_factor)
        )
    return found


class MovingOptics:
    """The optics of some telescopes wherever they point.

    Parameters
    ----------
    models : sequence of TelescopeModel
    height : float
        Observation level (m above sea level).
    """

    def __init__(self, models: Sequence[TelescopeModel], height: float) -> None:
        self._models = models
        self._height = height
        self._nodes: dict[int, Optics] = {}

    def at(self, alt: float, az: float) -> Optics:
        """Those of telescopes that point to (alt, az) (rad)."""
        place = np.degrees(alt) / ALTITUDE_STEP
        number = int(np.floor(place))
        part = place - number
        low, high = self._node(number), self._node(number + 1)
        yields = (1.0 - part) * low.yields + part * high.yields
        return replace(low, yields=yields, axes=pointing_axes(alt, az))

    def _node(self, number: int) -> Optics:
        if number not in self._nodes:
            alt = np.radians(number * ALTITUDE_STEP)
            self._nodes[number] = Optics.of(self._models, alt, 0.0, self._height)
        return self._nodes[number]


class ObservationSimulation(ArraySimulation):
    """Simulate what telescopes record while they follow a source.

    Each slice has random numbers of its own, from the seed, the run and the slice's number alone.

    Parameters
    ----------
    settings : ObservationSettings

    Raises
    ------
    SettingsError
        If the array is unknown or impossible, or has too few telescopes for the trigger; or if
        the telescopes would point too low.
    """

    def __init__(self, settings: ObservationSettings) -> None:
        made = in_conditions(array(settings.array), settings)
        seed = [settings.seed, settings.run, OBSERVATION, PIXELS]
        #: What is wrong with pixels, by tel_id.
        self.pixels = pixel_states(made, settings, seed)
        super().__init__(made, settings.min_telescopes, self.pixels)
        self.settings = settings
        self.tracking = Tracking(settings, made.subarray.reference_location)
        self.components = components(settings)
        self._moving = MovingOptics(self._models, made.height)
        rate = sum(component.rate for component in self.components) + settings.pedestal_rate
        expected = rate * self.tracking.duration
        self.n_slices = max(1, int(np.ceil(expected / SHOWERS_PER_SLICE)))
        self._length = self.tracking.duration / self.n_slices

    def _seed(self, *numbers: int) -> np.random.SeedSequence:
        settings = self.settings
        return np.random.SeedSequence([settings.seed, settings.run, OBSERVATION, *numbers])

    def arrivals(self, number: int) -> np.ndarray:
        """What arrives in a slice, in the order of time, whether it will be seen or not.

        Parameters
        ----------
        number : int
            Of the slice.

        Returns
        -------
        ndarray of ARRIVING, shape (n,)
            The component of a pedestal is -1.
        """
        rng = np.random.default_rng(self._seed(number, ARRIVAL))
        start = (number - FIRST_SLICE) * self._length
        parts = [self._pedestals(number)]
        for place, component in enumerate(self.components):
            some = np.zeros(rng.poisson(component.rate * self._length), ARRIVING)
            some["component"] = place
            some["seconds"] = start + self._length * rng.random(len(some))
            some["energy"] = component.energies.draw(len(some), rng)
            if not component.viewcone:
                extension = self.settings.source.extension
                sky = self.tracking.source_positions(extension, len(some), rng)
                some["ra"], some["dec"] = sky.ra.deg, sky.dec.deg
            parts.append(some)
        arriving = np.concatenate(parts)
        return arriving[np.argsort(arriving["seconds"], kind="stable")]

    def _pedestals(self, number: int) -> np.ndarray:
        """Pedestals of a slice: a clock triggers them."""
        rate = self.settings.pedestal_rate
        # Half a period after the start comes the first of them.
        edges = np.array([number - FIRST_SLICE, number - FIRST_SLICE + 1]) * self._length
        first, last = np.ceil(edges * rate - 0.5)
        some = np.zeros(int(last - first) if rate else 0, ARRIVING)
        some["component"] = NO_PRIMARY
        some["seconds"] = (first + 0.5 + np.arange(len(some))) / (rate or 1.0)
        return some

    def block(self, first: int, last: int) -> ObservedBlock:
        """Simulate the slices numbered first to last - 1."""
        numbers = range(first, last)
        slices = [self.arrivals(number) for number in numbers]
        arriving = np.concatenate(slices)
        place = np.concatenate([np.arange(len(some)) for some in slices])
        number = np.repeat(numbers, [len(some) for some in slices])
        sky = self._directions(arriving)
        events: list[Any] = []
        images: list[list[Any]] = [[] for _ in self._models]
        for row, some in enumerate(arriving):
            key = int(number[row]), int(place[row])
            seen = self._seen(key, some, *sky[row])
            if seen is None:
                continue
            event, readouts = seen
            for tel, readout in readouts:
                images[self._kind[tel]].append((len(events), self.array.tel_ids[tel], readout))
            events.append(event)
        return ObservedBlock(
            events=np.array(events, dtype=OBSERVED),
            telescopes={
                model.name: join_images(some, true_images=False)
                for model, some in zip(self._models, images, strict=True)
                if some
            },
            n_thrown={
                component.particle: int(np.sum(arriving["component"] == place))
                for place, component in enumerate(self.components)
            },
        )

    def _directions(self, arriving: np.ndarray) -> np.ndarray:
        """Where photons of the source come from: alt, az (rad), shape (n, 2); NaN of the others."""
        found = np.full((len(arriving), 2), np.nan)
        places = [i for i, component in enumerate(self.components) if not component.viewcone]
        of_source = np.isin(arriving["component"], places)
        if np.any(of_source):
            # All at once, as astropy takes as long for one as for hundreds.
            photons = arriving[of_source]
            sky = SkyCoord(photons["ra"] * u.deg, photons["dec"] * u.deg)
            found[of_source] = np.column_stack(self.tracking.altaz_of(sky, photons["seconds"]))
        return found

    def _seen(
        self, key: tuple[int, int], arriving: np.void, alt: float, az: float
    ) -> tuple[tuple, list[tuple[int, Readout]]] | None:
        """The event that something makes which arrives, with its readouts; None if unseen."""
        slice_number, place = key
        event_id = EVENTS_PER_SLICE * slice_number + place
        seconds = float(arriving["seconds"])
        if arriving["component"] == NO_PRIMARY:
            rng = np.random.default_rng(self._seed(slice_number, place, READOUT))
            readouts = [(tel, camera.pedestal(rng)) for tel, camera in enumerate(self._electronics)]
            truth = (NO_PRIMARY, *np.full(7, np.nan))
            return (event_id, seconds, EventType.SKY_PEDESTAL.value, *truth), readouts
        component = self.components[arriving["component"]]
        shower = self._shower(key, component, seconds, float(arriving["energy"]), alt, az)
        rng = np.random.default_rng(self._seed(slice_number, place, READOUT))
        for _, readouts in self.triggered(shower, rng):
            truth = (
                component.primary.primary_id,
                shower.energy,
                shower.alt,
                shower.az,
                *shower.cores[0],
                shower.h_first_int,
                shower.x_max,
            )
            return (event_id, seconds, EventType.SUBARRAY.value, *truth), readouts
        return None

    def _shower(
        self,
        key: tuple[int, int],
        component: Component,
        seconds: float,
        energy: float,
        alt: float,
        az: float,
    ) -> Shower:
        """Follow one shower; its direction (rad) is drawn where it is not known."""
        optics = self._moving.at(*(float(angle) for angle in self.tracking.pointing_at(seconds)))
        rng = np.random.default_rng(self._seed(*key, DIRECTION))
        if component.viewcone:
            alt, az = draw_in_cone(optics.axes, component.viewcone, rng)
        cores = draw_cores(alt, az, float(component.scatter(energy)), 1, rng)
        seed = self._seed(*key, SHOWER)
        return self.follow(optics, component.primary, energy, alt, az, cores, seed)
