"""A toy in place of the simulation: spots of light on small cameras, handed over as showers are."""

import sys
from types import ModuleType, SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation
from ctapipe.coordinates import CameraFrame
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    CameraReadout,
    OpticsDescription,
    ReflectorShape,
    SizeType,
    SubarrayDescription,
    TelescopeDescription,
)

from gammalearn.settings import SimulationSettings
from gammalearn.simulation.block import DIGIT, EVENT, SHOWER, EventBlock, TelescopeImages

#: Telescopes of the toy array: rings of pixels around the central one, and positions (m).
RINGS = {"LST": 9, "MST": 7}
TELESCOPES = {1: "LST", 2: "LST", 5: "MST", 7: "MST"}
POSITIONS = {1: (-70, -50, 3), 2: (75, 50, 1), 5: (-120, 140, 0), 7: (900, 900, -2)}

#: The last telescope stands so far away that it never triggers.
TRIGGER_PROBABILITY = {1: 0.8, 2: 0.8, 5: 0.5, 7: 0.0}

FOCAL_LENGTH = 28.0
PITCH = 0.1

#: Samples of the readout window.
N_SAMPLES = 40


def hexagonal_camera(name, n_rings):
    """A hexagon of hexagonal pixels."""
    axis = np.arange(-n_rings, n_rings + 1)
    q, r = (grid.ravel() for grid in np.meshgrid(axis, axis))
    inside = np.abs(q + r) <= n_rings
    q, r = q[inside], r[inside]
    geometry = CameraGeometry(
        name=name,
        pix_id=np.arange(len(q)),
        pix_x=PITCH * (q + r / 2) * u.m,
        pix_y=PITCH * np.sqrt(3) / 2 * r * u.m,
        pix_area=np.full(len(q), PITCH**2 * np.sqrt(3) / 2) * u.m**2,
        pix_type="hexagon",
        frame=CameraFrame(focal_length=FOCAL_LENGTH * u.m),
    )
    readout = CameraReadout(
        name=name,
        n_pixels=len(q),
        n_channels=1,
        n_samples=N_SAMPLES,
        sampling_rate=1 * u.GHz,
        reference_pulse_shape=np.array([[0.0, 1.0, 0.0]]),
        reference_pulse_sample_width=1 * u.ns,
    )
    return CameraDescription(name=name, geometry=geometry, readout=readout)


def toy_telescope(kind):
    optics = OpticsDescription(
        name=kind,
        size_type=SizeType(kind),
        n_mirrors=1,
        equivalent_focal_length=FOCAL_LENGTH * u.m,
        effective_focal_length=FOCAL_LENGTH * u.m,
        mirror_area=100 * u.m**2,
        n_mirror_tiles=1,
        reflector_shape=ReflectorShape.PARABOLIC,
    )
    camera = hexagonal_camera(f"{kind}Cam", RINGS[kind])
    return TelescopeDescription(name=kind, optics=optics, camera=camera)


def toy_array():
    kinds = {kind: toy_telescope(kind) for kind in RINGS}
    subarray = SubarrayDescription(
        name="toy",
        tel_positions={tel_id: position * u.m for tel_id, position in POSITIONS.items()},
        tel_descriptions={tel_id: kinds[kind] for tel_id, kind in TELESCOPES.items()},
        reference_location=EarthLocation(lon=0 * u.deg, lat=0 * u.deg, height=2158 * u.m),
    )
    return SimpleNamespace(
        name="toy",
        positions=np.array(list(POSITIONS.values()), dtype=float),
        tel_ids=np.array(list(POSITIONS)),
        subarray=subarray,
        height=2158.0,
        magnetic_field=np.array([30e-6, 2e-6, -24e-6]),
    )


def spot(geometry, rng):
    """Image, peak times and true image of an elongated spot somewhere in the camera."""
    x, y = geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)
    x, y = x - rng.uniform(-0.4, 0.4), y - rng.uniform(-0.4, 0.4)
    psi = rng.uniform(0, np.pi)
    along, across = x * np.cos(psi) + y * np.sin(psi), y * np.cos(psi) - x * np.sin(psi)
    light = np.exp(-0.5 * ((along / 0.2) ** 2 + (across / 0.07) ** 2))
    true_image = rng.poisson(10 ** rng.uniform(1, 3.5) * light / light.sum()).astype(np.int32)
    image = true_image * rng.normal(1, 0.2, len(x)) + rng.normal(0, 1.5, len(x))
    peak_time = np.where(true_image, 15 + 5 * along, 20) + rng.normal(0, 1, len(x))
    image, peak_time = (DIGIT * np.round(values / DIGIT) for values in (image, peak_time))
    return image.astype(np.float32), peak_time.astype(np.float32), true_image


def samples(image):
    """Waveforms whose samples differ from each other, as does what is in each pixel."""
    waveform = image[:, np.newaxis] * np.linspace(-1, 2, N_SAMPLES)
    return (DIGIT * np.round(waveform / DIGIT)).astype(np.float32)


class ToySimulation:
    """What ShowerSimulation promises: an array, and blocks that do not depend on their cut."""

    def __init__(self, settings):
        self.settings = settings
        self.array = toy_array()

    def block(self, first, last):
        showers = np.zeros(last - first, dtype=SHOWER)
        distance = np.zeros((last - first, self.settings.reuse), dtype=np.float32)
        events, images = [], {kind: [] for kind in RINGS}
        for row, number in enumerate(range(first, last)):
            rng = np.random.default_rng((self.settings.seed, number))
            alt = np.radians(90 - self.settings.zenith) + rng.normal(0, 0.01)
            energy, height = rng.uniform(*self.settings.energy), rng.uniform(1e4, 3e4)
            showers[row] = (number, energy, alt, 3.1, height, rng.uniform(200, 400), 0, 101)
            distance[row] = self.settings.scatter * np.sqrt(rng.random(self.settings.reuse))
            for use in range(self.settings.reuse):
                tel_ids = [t for t in TELESCOPES if rng.random() < TRIGGER_PROBABILITY[t]]
                if len(tel_ids) < 2:
                    continue
                for tel_id in tel_ids:
                    geometry = self.array.subarray.tel[tel_id].camera.geometry
                    image = (len(events), tel_id, *spot(geometry, rng), rng.uniform(0, 99))
                    if self.settings.waveforms:
                        image = (*image, samples(image[2]))
                    images[TELESCOPES[tel_id]].append(image)
                x, y = rng.uniform(-200, 200, 2)
                events.append((row, use, x, y, 100 * number + use))
        telescopes = {
            kind: TelescopeImages(*(np.array(column) for column in zip(*some, strict=True)))
            for kind, some in images.items()
            if some
        }
        return EventBlock(showers, np.array(events, dtype=EVENT), telescopes, distance)


@pytest.fixture(scope="session")
def toy_simulation():
    return ToySimulation


@pytest.fixture(scope="module")
def toy_showers(toy_simulation):
    """The toy in place of the showers."""
    showers = ModuleType("gammalearn.simulation.showers")
    showers.ShowerSimulation = toy_simulation
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, showers.__name__, showers)
        yield


@pytest.fixture(scope="session")
def toy_settings():
    """Settings of a small run, with changes."""

    def make(output="toy.dl1.h5", **changes):
        values = {"particle": "proton", "n_showers": 12, "energy": (0.1, 1), "reuse": 3, "run": 4}
        return SimulationSettings(output=str(output), **{**values, **changes})

    return make
