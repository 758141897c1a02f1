"""Showers over an array: from settings to triggered events."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ..errors import SettingsError
from ..settings import SimulationSettings
from . import stack as st
from .atmosphere import TOP
from .block import DIGIT, EVENT, SHOWER, EventBlock, TelescopeImages
from .electromagnetic import PROFILE_STEP, Site, follow_electron, follow_photon, new_site
from .electronics import CameraElectronics, Readout
from .hadrons import follow_hadron
from .instrument import array
from .light import SPEED_OF_LIGHT, Light, Optics, direction

__all__ = ["Shower", "ShowerSimulation", "develop"]

#: Particle: kind on the stack, and the number that sim_telarray gives it.
PRIMARIES = {
    "gamma": (st.GAMMA, 0),
    "electron": (st.ELECTRON, 1),
    "proton": (st.PROTON, 101),
}

#: Photoelectrons that fit at first; a shower that has more is done again with room for all.
CAPACITY = 1_000_000

#: Above this energy (TeV) photoelectrons come in bunches, as many as keep the number of bunches:
#: images of so much light fluctuate by other things.
ENERGY_OF_BUNCHES = 100.0


@njit(cache=True)
def develop(site: Site, light: Light, stack: np.ndarray, n: int, rng: np.random.Generator) -> None:
    """Follow all particles on the stack, and what they make, to their ends."""
    light.wait[0] = rng.exponential()
    while n > 0:
        kind = stack[n - 1, st.KIND]
        if kind == st.GAMMA:
            n = follow_photon(site, stack, n, rng)
        elif kind <= st.POSITRON:
            n = follow_electron(site, light, stack, n, rng)
        else:
            n = follow_hadron(site, light, stack, n, rng)


@njit(cache=True)
def _by_mirror(mirror: np.ndarray, n_mirrors: int) -> tuple[np.ndarray, np.ndarray]:
    """Counting sort: the order that brings entries together by mirror, and where each begins."""
    first = np.zeros(n_mirrors + 1, dtype=np.int64)
    for i in mirror:
        first[i + 1] += 1
    for i in range(n_mirrors):
        first[i + 1] += first[i]
    order = np.empty(len(mirror), dtype=np.int64)
    place = first[:-1].copy()
    for k in range(len(mirror)):
        i = mirror[k]
        order[place[i]] = k
        place[i] += 1
    return order, first


@dataclass(frozen=True)
class Shower:
    """One shower and its light.

    Parameters
    ----------
    energy : float
        In TeV.
    alt, az : float
        Where it comes from (rad).
    cores : ndarray (reuse, 2)
        Where the axis of each use meets the ground (m, ground frame).
    profile : ndarray (n_depths,)
        Electrons above the cut-off that cross each level of vertical depth, one each 10 g/cm².
    h_first_int : float
        Height of the first interaction (m above sea level).
    pixel : ndarray (n_pe,) of int16
    time : ndarray (n_pe,)
        In ns after the front of light meets the array's centre.
    first : ndarray (reuse * n_tel + 1,) of int64
        Photoelectrons first[i] to first[i + 1] are those of the i-th telescope, which is
        telescope i % n_tel and use i // n_tel.
    weight : float
        Photoelectrons that each entry stands for.
    total : ndarray (reuse, n_tel)
        Photoelectrons on each mirror, those beside the camera included.
    """

    energy: float
    alt: float
    az: float
    cores: np.ndarray
    profile: np.ndarray
    h_first_int: float
    pixel: np.ndarray
    time: np.ndarray
    first: np.ndarray
    weight: float
    total: np.ndarray

    @property
    def x_max(self) -> float:
        """Slant depth (g/cm²) with most electrons; NaN where nothing developed."""
        if not self.profile.any():
            return np.nan
        # A parabola through the smoothed maximum: showers of few particles have ragged ones.
        smooth = np.convolve(self.profile, np.ones(5) / 5.0, mode="same")
        i = int(np.clip(np.argmax(smooth), 1, len(smooth) - 2))
        left, top, right = smooth[i - 1 : i + 2]
        bend = left - 2.0 * top + right
        shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
        return PROFILE_STEP * (i + shift) / np.sin(self.alt)


class ShowerSimulation:
    """Simulate showers over an array of telescopes.

    Each shower has random numbers of its own, from the seed, the run and the shower's number
    alone: whatever is simulated before it or beside it, it is the same.

    Parameters
    ----------
    settings : SimulationSettings
    absorption : bool
        Let the air absorb light, as it does; without, densities compare with CORSIKA's.

    Raises
    ------
    SettingsError
        If the array is unknown or impossible, or has too few telescopes for the trigger.
    """

    def __init__(self, settings: SimulationSettings, absorption: bool = True) -> None:
        self.settings = settings
        self.array = array(settings.array)
        self.alt = np.radians(90.0 - settings.zenith)
        self.az = np.radians(settings.azimuth) % (2.0 * np.pi)
        n_tel = len(self.array.tel_ids)
        self.min_telescopes = settings.min_telescopes or min(2, n_tel)
        if self.min_telescopes > n_tel:
            raise SettingsError(
                f"min_telescopes={self.min_telescopes}, but the array '{settings.array}' has "
                f"{n_tel} telescopes; ask for {n_tel} at most."
            )

        self._models = list({model.name: model for model in self.array.models}.values())
        names = [model.name for model in self._models]
        self._kind = np.array([names.index(model.name) for model in self.array.models])
        self._electronics = [CameraElectronics(model) for model in self._models]
        self._radius = np.array([model.mirror_radius for model in self.array.models])
        self._optics = Optics.of(
            self._models, self.alt, self.az, self.array.height, absorption=absorption
        )
        self._stack = st.new_stack()
        self._capacity = CAPACITY

    def block(self, first: int, last: int) -> EventBlock:
        """Simulate the showers numbered first to last - 1."""
        showers = np.zeros(last - first, dtype=SHOWER)
        distances = np.empty((last - first, self.settings.reuse), dtype=np.float32)
        events: list[Any] = []
        images: list[list[Any]] = [[] for _ in self._models]
        for row, number in enumerate(range(first, last)):
            shower = self.shower(number)
            showers[row] = (
                number,
                shower.energy,
                shower.alt,
                shower.az,
                shower.h_first_int,
                shower.x_max,
                0.0,
                PRIMARIES[self.settings.particle][1],
            )
            distances[row] = np.linalg.norm(
                np.cross(
                    np.column_stack([shower.cores, np.zeros(len(shower.cores))]),
                    direction(shower.alt, shower.az),
                ),
                axis=1,
            )
            for use, readouts in self._triggered(shower, number):
                for tel, readout in readouts:
                    images[self._kind[tel]].append((len(events), self.array.tel_ids[tel], readout))
                events.append((row, use, *shower.cores[use], 100 * number + use))
        return EventBlock(
            showers=showers,
            events=np.array(events, dtype=EVENT),
            telescopes={
                model.name: _join(some)
                for model, some in zip(self._models, images, strict=True)
                if some
            },
            core_distance=distances,
        )

    def _seed(self, number: int, purpose: int) -> np.random.SeedSequence:
        kind, _ = PRIMARIES[self.settings.particle]
        return np.random.SeedSequence(
            [self.settings.seed, self.settings.run, kind, number, purpose]
        )

    def shower(self, number: int) -> Shower:
        """Simulate a shower and its light at the telescopes, without their electronics."""
        settings = self.settings
        rng = np.random.default_rng(self._seed(number, 0))
        energy = _power_law(*settings.energy, settings.spectral_index, rng)
        alt, az = self._direction(rng)
        axis = direction(alt, az)
        cores = self._cores(alt, az, rng)

        n_tel = len(self.array.tel_ids)
        positions = np.tile(self.array.positions, (settings.reuse, 1))
        positions[:, :2] -= np.repeat(cores, n_tel, axis=0)
        weight = max(1.0, energy / ENERGY_OF_BUNCHES)
        seed = self._seed(number, 1)
        kind, _ = PRIMARIES[settings.particle]
        while True:
            light = self._optics.light(
                positions,
                np.tile(self._radius, settings.reuse),
                np.tile(self._kind, settings.reuse),
                weight,
                self._capacity,
            )
            site = new_site(self.array.height, self.array.magnetic_field)
            distance = (TOP - self.array.height) / axis[2]
            x, y, z = distance * axis
            ux, uy, uz = -axis
            n = st.push(self._stack, 0, kind, 1e3 * energy, x, y, z, 0.0, ux, uy, uz)
            develop(site, light, self._stack, n, np.random.default_rng(seed))
            n_pe = int(light.count[0])
            if n_pe <= self._capacity:
                break
            self._capacity = int(1.2 * n_pe)
        order, first = _by_mirror(light.mirror[:n_pe], len(positions))
        front = np.repeat(self._delay(cores, axis, distance), np.diff(first))
        return Shower(
            energy=energy,
            alt=alt,
            az=az,
            cores=cores,
            profile=site.profile,
            h_first_int=float(site.first[0]),
            pixel=light.pixel[order],
            time=light.time[order] - front,
            first=first,
            weight=weight,
            total=light.total.reshape(settings.reuse, n_tel),
        )

    def _delay(self, cores: np.ndarray, axis: np.ndarray, distance: float) -> np.ndarray:
        """When light along the axis, started with the shower, meets the array's centre; (n,)."""
        centre = np.column_stack([-cores, np.zeros(len(cores))])
        time = (distance - centre @ axis) / SPEED_OF_LIGHT
        return np.repeat(time, len(self.array.tel_ids))

    def _direction(self, rng: np.random.Generator) -> tuple[float, float]:
        """Draw where a shower comes from: (alt, az) in rad."""
        settings = self.settings
        # Uniform in solid angle within the view cone; a point source keeps its offset, at any
        # position angle.
        cone = np.radians(settings.viewcone)
        cosine = 1.0 - rng.random() * (1.0 - np.cos(cone)) if cone else 1.0
        theta = np.arccos(cosine) if cone else np.radians(settings.offset)
        phi = 2.0 * np.pi * rng.random()
        up, side, pointing = self._optics.axes
        vector = np.cos(theta) * pointing + np.sin(theta) * (np.cos(phi) * up + np.sin(phi) * side)
        return float(np.arcsin(vector[2])), float(np.arctan2(-vector[1], vector[0]) % (2 * np.pi))

    def _cores(self, alt: float, az: float, rng: np.random.Generator) -> np.ndarray:
        """Draw impact points, uniform on a disc across the shower, where they meet the ground."""
        n = self.settings.reuse
        radius = self.settings.scatter * np.sqrt(rng.random(n))
        phi = 2.0 * np.pi * rng.random(n)
        axis = direction(alt, az)
        # Along the azimuth of the shower the disc's shadow on the ground is longer by 1 / sin alt.
        away = np.array([np.cos(az), -np.sin(az)])
        side = np.array([-away[1], away[0]])
        along = radius * np.cos(phi) / axis[2]
        return along[:, np.newaxis] * away + (radius * np.sin(phi))[:, np.newaxis] * side

    def _triggered(
        self, shower: Shower, number: int
    ) -> Iterator[tuple[int, list[tuple[int, Readout]]]]:
        """Yield the uses that trigger the array, each with its telescopes' readouts."""
        n_tel = len(self.array.tel_ids)
        rng = np.random.default_rng(self._seed(number, 2))
        for use in range(self.settings.reuse):
            readouts: list[Any] = []
            for tel in range(n_tel):
                # Too few telescopes left to come to an event.
                if len(readouts) + n_tel - tel < self.min_telescopes:
                    break
                i = use * n_tel + tel
                part = slice(shower.first[i], shower.first[i + 1])
                readout = self._electronics[self._kind[tel]].read_out(
                    shower.pixel[part], shower.time[part], shower.weight, rng
                )
                if readout is not None:
                    readouts.append((tel, readout))
            if len(readouts) >= self.min_telescopes:
                yield use, readouts


def _power_law(low: float, high: float, index: float, rng: np.random.Generator) -> float:
    """Draw from E^index between two energies."""
    u = rng.random()
    if abs(index + 1.0) < 1e-9:
        return float(low * (high / low) ** u)
    power = index + 1.0
    return float((low**power + u * (high**power - low**power)) ** (1.0 / power))


def _digits(values: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays of charge (p.e.) or time (ns), in the digits that carry information."""
    return np.round(np.stack(values) / DIGIT) * np.float32(DIGIT)


def _join(images: Iterable[tuple[int, int, Readout]]) -> TelescopeImages:
    """Stack the images of one type of telescope."""
    event, tel_id, readouts = zip(*images, strict=True)
    return TelescopeImages(
        event=np.array(event, dtype=np.int64),
        tel_id=np.array(tel_id, dtype=np.int16),
        image=_digits([readout.image for readout in readouts]),
        peak_time=_digits([readout.peak_time for readout in readouts]),
        true_image=np.stack([readout.true_image for readout in readouts]),
        trigger_time=np.array([readout.trigger_time for readout in readouts]),
    )
