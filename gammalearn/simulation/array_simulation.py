"""One shower over an array of telescopes: its light, and the telescopes that it triggers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from ..errors import SettingsError
from . import stack as st
from .atmosphere import TOP
from .block import TelescopeImages, digits
from .electromagnetic import PROFILE_STEP, Site, follow_electron, follow_photon, new_site
from .electronics import CameraElectronics, PixelState, Readout
from .hadrons import follow_hadron
from .instrument import Array
from .light import SPEED_OF_LIGHT, Light
from .optics import Optics, direction

__all__ = [
    "PRIMARIES",
    "ArraySimulation",
    "Primary",
    "Shower",
    "develop",
    "draw_cores",
    "draw_in_cone",
    "join_images",
    "turned",
]

#: Photoelectrons that fit at first; a shower that has more is done again with room for all.
CAPACITY = 1_000_000

#: Above this energy (TeV) photoelectrons come in bunches, as many as keep the number of bunches:
#: images of so much light fluctuate by other things.
ENERGY_OF_BUNCHES = 100.0


class Primary(NamedTuple):
    """What hits the atmosphere."""

    seed: int
    """Of its random numbers, beside those of the run."""

    primary_id: int
    """The number that sim_telarray gives it."""

    parts: tuple[int, ...]
    """Kinds on the stack that share its energy: of a nucleus its nucleons."""


#: Primaries by name. A nucleus is a superposition of A nucleons of E / A each, with a common axis:
#: each has a first interaction of its own. Mean showers come out right; those of real nuclei
#: fluctuate more, as their fragments interact together (Engel et al. 1992, Phys. Rev. D 46, 5013).
PRIMARIES = {
    "gamma": Primary(st.GAMMA, 0, (st.GAMMA,)),
    "electron": Primary(st.ELECTRON, 1, (st.ELECTRON,)),
    "proton": Primary(st.PROTON, 101, (st.PROTON,)),
    "helium": Primary(402, 402, (st.PROTON, st.PROTON, st.NEUTRON, st.NEUTRON)),
}


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


class ArraySimulation:
    """Follows single showers over an array, and reads its telescopes out.

    Parameters
    ----------
    array : Array
    min_telescopes : int, optional
        Telescopes that make an event; by default 2, or 1 of one.
    pixels : mapping of int to PixelState, optional
        What is wrong with pixels, by tel_id.
    waveforms : bool
        Whether readouts keep their waveforms.

    Raises
    ------
    SettingsError
        If the array has too few telescopes for the trigger.
    """

    def __init__(
        self,
        array: Array,
        min_telescopes: int | None = None,
        pixels: Mapping[int, PixelState] | None = None,
        waveforms: bool = False,
    ) -> None:
        self.array = array
        n_tel = len(self.array.tel_ids)
        self.min_telescopes = min_telescopes or min(2, n_tel)
        if self.min_telescopes > n_tel:
            raise SettingsError(
                f"min_telescopes={self.min_telescopes}, but the array '{array.name}' has "
                f"{n_tel} telescopes; ask for {n_tel} at most."
            )

        self._models = list({model.name: model for model in self.array.models}.values())
        names = [model.name for model in self._models]
        self._kind = np.array([names.index(model.name) for model in self.array.models])
        self._electronics = self._all_electronics(pixels or {}, waveforms)
        self._radius = np.array([model.mirror_radius for model in self.array.models])
        self._stack = st.new_stack()
        self._capacity = CAPACITY

    def _all_electronics(
        self, pixels: Mapping[int, PixelState], waveforms: bool
    ) -> list[CameraElectronics]:
        """Those of each telescope; telescopes of a type share them as long as all pixels work."""
        shared: dict[str, CameraElectronics] = {}
        found = []
        for tel_id, model in zip(self.array.tel_ids, self.array.models, strict=True):
            if int(tel_id) in pixels:
                found.append(CameraElectronics(model, pixels[int(tel_id)], waveforms))
                continue
            if model.name not in shared:
                shared[model.name] = CameraElectronics(model, waveforms=waveforms)
            found.append(shared[model.name])
        return found

    def follow(
        self,
        optics: Optics,
        primary: Primary,
        energy: float,
        alt: float,
        az: float,
        cores: np.ndarray,
        seed: np.random.SeedSequence,
    ) -> Shower:
        """Simulate a shower and its light at the telescopes, without their electronics.

        Parameters
        ----------
        optics : Optics
            The telescopes as they point.
        primary : Primary
        energy : float
            In TeV.
        alt, az : float
            Where it comes from (rad).
        cores : ndarray, shape (reuse, 2)
            Where the axis of each use meets the ground (m, ground frame).
        seed : numpy.random.SeedSequence
        """
        axis = direction(alt, az)
        n_tel, reuse = len(self.array.tel_ids), len(cores)
        positions = np.tile(self.array.positions, (reuse, 1))
        positions[:, :2] -= np.repeat(cores, n_tel, axis=0)
        weight = max(1.0, energy / ENERGY_OF_BUNCHES)
        part = 1e3 * energy / len(primary.parts)
        distance = (TOP - self.array.height) / axis[2]
        while True:
            light = optics.light(
                positions,
                np.tile(self._radius, reuse),
                np.tile(self._kind, reuse),
                weight,
                self._capacity,
            )
            site = new_site(self.array.height, self.array.magnetic_field)
            rng = np.random.default_rng(seed)
            first_interaction = -1.0
            for kind in primary.parts:
                site.first[0] = -1.0
                start = (part, *(distance * axis), 0.0, *-axis)
                develop(site, light, self._stack, st.push(self._stack, 0, kind, *start), rng)
                first_interaction = max(first_interaction, float(site.first[0]))
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
            h_first_int=first_interaction,
            pixel=light.pixel[order],
            time=light.time[order] - front,
            first=first,
            weight=weight,
            total=light.total.reshape(reuse, n_tel),
        )

    def _delay(self, cores: np.ndarray, axis: np.ndarray, distance: float) -> np.ndarray:
        """When light along the axis, started with the shower, meets the array's centre; (n,)."""
        centre = np.column_stack([-cores, np.zeros(len(cores))])
        time = (distance - centre @ axis) / SPEED_OF_LIGHT
        return np.repeat(time, len(self.array.tel_ids))

    def triggered(
        self, shower: Shower, rng: np.random.Generator
    ) -> Iterator[tuple[int, list[tuple[int, Readout]]]]:
        """Yield the uses that trigger the array, each with its telescopes' readouts.

        Parameters
        ----------
        shower : Shower
        rng : numpy.random.Generator

        Yields
        ------
        use : int
        readouts : list of (int, Readout)
            Place of the telescope in the array, and what it keeps.
        """
        n_tel = len(self.array.tel_ids)
        for use in range(len(shower.cores)):
            readouts: list[tuple[int, Readout]] = []
            for tel in range(n_tel):
                # Too few telescopes left to come to an event.
                if len(readouts) + n_tel - tel < self.min_telescopes:
                    break
                i = use * n_tel + tel
                part = slice(shower.first[i], shower.first[i + 1])
                readout = self._electronics[tel].read_out(
                    shower.pixel[part], shower.time[part], shower.weight, rng
                )
                if readout is not None:
                    readouts.append((tel, readout))
            if len(readouts) >= self.min_telescopes:
                yield use, readouts


def draw_in_cone(axes: np.ndarray, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    """Draw a direction around the pointing, uniform in solid angle.

    Parameters
    ----------
    axes : ndarray, shape (3, 3)
        Of the pointing, see `optics.pointing_axes`.
    radius : float
        Of the cone, in rad.
    rng : numpy.random.Generator

    Returns
    -------
    alt, az : float
        In rad.
    """
    cosine = 1.0 - rng.random() * (1.0 - np.cos(radius))
    return turned(axes, float(np.arccos(cosine)), 2.0 * np.pi * rng.random())


def turned(axes: np.ndarray, theta: float, phi: float) -> tuple[float, float]:
    """The direction (alt, az; rad) at an angle theta from the pointing, in the plane phi (rad)."""
    up, side, pointing = axes
    vector = np.cos(theta) * pointing + np.sin(theta) * (np.cos(phi) * up + np.sin(phi) * side)
    return float(np.arcsin(vector[2])), float(np.arctan2(-vector[1], vector[0]) % (2 * np.pi))


def draw_cores(
    alt: float, az: float, scatter: float, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw impact points, uniform on a disc across the shower, where they meet the ground.

    Parameters
    ----------
    alt, az : float
        Where the shower comes from (rad).
    scatter : float
        Radius of the disc (m).
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)
        In m, ground frame.
    """
    radius = scatter * np.sqrt(rng.random(n))
    phi = 2.0 * np.pi * rng.random(n)
    axis = direction(alt, az)
    # Along the azimuth of the shower the disc's shadow on the ground is longer by 1 / sin alt.
    away = np.array([np.cos(az), -np.sin(az)])
    side = np.array([-away[1], away[0]])
    along = radius * np.cos(phi) / axis[2]
    return along[:, np.newaxis] * away + (radius * np.sin(phi))[:, np.newaxis] * side


def join_images(
    images: Sequence[tuple[int, int, Readout]], true_images: bool = True
) -> TelescopeImages:
    """Stack the images of one type of telescope.

    Parameters
    ----------
    images : sequence of (int, int, Readout)
        Row of the event, tel_id, and what the telescope keeps.
    true_images : bool
        Whether true images are kept.
    """
    event, tel_id, readouts = zip(*images, strict=True)
    truth = [readout.true_image for readout in readouts]
    waveforms = [readout.waveform for readout in readouts if readout.waveform is not None]
    return TelescopeImages(
        event=np.array(event, dtype=np.int64),
        tel_id=np.array(tel_id, dtype=np.int16),
        image=digits(np.stack([readout.image for readout in readouts])),
        peak_time=digits(np.stack([readout.peak_time for readout in readouts])),
        true_image=np.stack(truth) if true_images else np.zeros((len(truth), 0), np.int32),
        trigger_time=np.array([readout.trigger_time for readout in readouts]),
        waveform=np.stack(waveforms) if waveforms else None,
    )
