"""What is measured on simulated showers: light, particles, images.

Two kinds of measurements: those on single showers, of which the light is collected by perfect
mirrors anywhere (:class:`LightDetector`), and those on simulated files, as tables of images
(:func:`simulated_images`, :func:`stereo_directions`).
"""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
import shower_references as references
import yaml
from astropy.coordinates import angular_separation
from astropy.table import QTable, Table
from ctapipe.coordinates import TelescopeFrame
from ctapipe.image import (
    hillas_parameters,
    leakage_parameters,
    number_of_islands,
    tailcuts_clean,
)
from ctapipe.image.muon import MuonRingFitter
from numba import njit

from gammalearn.settings import SimulationSettings
from gammalearn.simulation import simulate
from gammalearn.simulation import stack as particles
from gammalearn.simulation.atmosphere import TOP, thickness
from gammalearn.simulation.electromagnetic import PROFILE_STEP, follow_photon, new_site
from gammalearn.simulation.electronics import CameraElectronics
from gammalearn.simulation.light import N_HEIGHTS, SPEED_OF_LIGHT
from gammalearn.simulation.optics import ALPHA, Optics, pointing_axes
from gammalearn.simulation.showers import ShowerSimulation, develop
from gammalearn.simulation.telescopes import telescope_model

#: Height of La Palma's telescopes, and of the observation level of the CORSIKA files (m).
LA_PALMA, CORSIKA_LEVEL = 2158.0, 2200.0

#: Field at La Palma (tesla; north, west, up).
MAGNETIC_FIELD = (30.3e-6, 0.0, -24.1e-6)

#: Cells along each side of the map of directions of a perfect mirror: they must fit 16 bits.
N_CELLS = 180


# --- Single showers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class DetectedLight:
    """What mirrors saw of one shower.

    Parameters
    ----------
    density : ndarray (n_mirrors,)
        Photons per m² of mirror, between 300 and 600 nm.
    profile : ndarray (n_depths,)
        Electrons above 20 MeV that cross each level of depth, 0, 10, 20 … g/cm².
    first_interaction : float
        Height of the first interaction (m above sea level).
    mirror : ndarray (n_photons,)
        Which mirror each photon within the field of view fell on.
    lat, lon : ndarray (n_photons,)
        Its direction (deg) against the pointing, along growing altitude and azimuth; the
        centres of cells of `LightDetector.cell`.
    time : ndarray (n_photons,)
        In ns.
    """

    density: np.ndarray
    profile: np.ndarray
    first_interaction: float
    mirror: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    time: np.ndarray


class LightDetector:
    """Perfect mirrors that look straight up and see all light between 300 and 600 nm.

    Nothing is absorbed on the way, as in CORSIKA's photon lists.

    Parameters
    ----------
    positions : ndarray (n, 3)
        In m, ground frame.
    radius : float
        Of all mirrors (m).
    height : float
        Of the observation level (m above sea level).
    field_of_view : float
        Half the side of the square in which directions are kept (deg).
    """

    def __init__(self, positions, radius, height=LA_PALMA, field_of_view=4.5):
        self.positions = np.asarray(positions, dtype=float)
        self.radius = radius
        self.cell = 2.0 * field_of_view / N_CELLS
        self._half = math.radians(field_of_view)
        # Photons per metre and sin² of the Cherenkov angle, the same at all heights.
        rate = 2.0 * math.pi * ALPHA * references.light_in_band(*references.BAND)
        cells = np.arange(N_CELLS * N_CELLS, dtype=np.int16).reshape(1, N_CELLS, N_CELLS)
        self._optics = Optics(
            yields=np.full((1, N_HEIGHTS), rate),
            psf=np.zeros((1, 2)),
            delay=np.zeros(1),
            half=np.array([self._half]),
            pixels=cells,
            axes=pointing_axes(0.5 * math.pi, 0.0),
            observation_height=height,
        )
        self._stack = particles.new_stack()
        self._capacity = 1_000_000

    def detect(
        self,
        energy,
        rng,
        kind=particles.GAMMA,
        magnetic_field=MAGNETIC_FIELD,
        start=TOP,
        first_interaction=None,
    ) -> DetectedLight:
        """Simulate one vertical shower with its core in the origin.

        Parameters
        ----------
        energy : float
            GeV.
        rng : numpy.random.Generator
        kind : int
            Of the particle, one of those of `gammalearn.simulation.stack`.
        magnetic_field : sequence of 3 float
            In tesla; north, west, up.
        start : float
            Where the particle starts (m above sea level).
        first_interaction : float, optional
            Photons only: height (m above sea level) of the first pair, to a tenth of the
            thickness above it.
        """
        height = self._optics.observation_height
        n_mirrors = len(self.positions)
        while True:
            light = self._optics.light(
                self.positions,
                np.full(n_mirrors, float(self.radius)),
                np.zeros(n_mirrors, dtype=int),
                1.0,
                self._capacity,
            )
            site = new_site(height, magnetic_field)
            z = start - height
            if first_interaction is None:
                n = particles.push(
                    self._stack, 0, kind, energy, 0.0, 0.0, z, -z / SPEED_OF_LIGHT, 0.0, 0.0, -1.0
                )
            else:
                depth = thickness(first_interaction)
                n = _interact_at(site, self._stack, energy, z, 0.9 * depth, 1.1 * depth, rng)
            develop(site, light, self._stack, n, rng)
            n_photons = int(light.count[0])
            if n_photons <= self._capacity:
                break
            self._capacity = int(1.5 * n_photons)
        cell = light.pixel[:n_photons].astype(int)
        return DetectedLight(
            density=light.total / (math.pi * self.radius**2),
            profile=site.profile,
            first_interaction=float(site.first[0]),
            # Copies: what is kept of many showers must not hold on to all the room there was.
            mirror=light.mirror[:n_photons].copy(),
            lat=np.degrees(-self._half) + (cell // N_CELLS + 0.5) * self.cell,
            lon=np.degrees(-self._half) + (cell % N_CELLS + 0.5) * self.cell,
            time=light.time[:n_photons].copy(),
        )


@njit
def _interact_at(site, stack, energy, z, shallowest, deepest, rng):
    """Let photons go until one makes a pair between two depths (g/cm²)."""
    while True:
        n = particles.push(
            stack, 0, particles.GAMMA, energy, 0.0, 0.0, z, -z / SPEED_OF_LIGHT, 0.0, 0.0, -1.0
        )
        site.first[0] = -1.0
        n = follow_photon(site, stack, n, rng)
        depth = thickness(site.first[0])
        if n == 2 and shallowest <= depth <= deepest:
            return n


def ring(distances, n_around=4):
    """Positions (n_around * n, 3) around the core at some distances (m), distance by distance."""
    angle = 2.0 * np.pi * (np.arange(n_around) + 0.5) / n_around
    distance = np.asarray(distances, dtype=float)[:, np.newaxis]
    x, y = distance * np.cos(angle), distance * np.sin(angle)
    return np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])


def longitudinal_profile(energy, n_showers, seed):
    """Electrons above 20 MeV against depth, in gammas of one energy (GeV).

    Returns
    -------
    depth : ndarray (n,)
        g/cm².
    profiles : ndarray (n_showers, n)
    """
    detector = LightDetector(ring([1e5], 1), 1.0, height=0.0)
    rng = np.random.default_rng(seed)
    profiles = np.array([detector.detect(energy, rng).profile for _ in range(n_showers)])
    return PROFILE_STEP * np.arange(profiles.shape[1]), profiles


def lateral_density(energy, distances, n_showers, seed, radius=6.0):
    """Photons per m² (300 to 600 nm, nothing absorbed) against core distance (m).

    Gammas of one energy (GeV), at the observation level of the CORSIKA files.

    Returns
    -------
    ndarray (n_showers, n_distances)
        Means over four places around the core.
    """
    detector = LightDetector(ring(distances), radius, height=CORSIKA_LEVEL)
    rng = np.random.default_rng(seed)
    density = np.array([detector.detect(energy, rng).density for _ in range(n_showers)])
    return density.reshape(n_showers, len(distances), -1).mean(axis=2)


def light_on_the_ground(energy, n_showers, seed, distances=None):
    """All photons that reach the ground (300 to 600 nm) of gammas of one energy (GeV).

    Returns
    -------
    total : ndarray (n_showers,)
        On the whole of the ground.
    pool : ndarray (n_showers,)
        Photons per m², the mean within 120 m of the core.
    """
    edges = np.concatenate([np.linspace(0.0, 120.0, 9), np.geomspace(120.0, 15e3, 41)[1:]])
    inner, outer = edges[:-1], edges[1:]
    # The places in the middle, by area, of the annuli.
    distances = np.sqrt(0.5 * (inner**2 + outer**2))
    detector = LightDetector(ring(distances), 6.0)
    rng = np.random.default_rng(seed)
    density = np.array([detector.detect(energy, rng).density for _ in range(n_showers)])
    density = density.reshape(n_showers, len(distances), -1).mean(axis=2)
    area = np.pi * (outer**2 - inner**2)
    within = outer <= 120.0
    pool = (density * area)[:, within].sum(axis=1) / area[within].sum()
    return (density * area).sum(axis=1), pool


def pool_light(energy, n_showers, seed, kind=particles.GAMMA):
    """Photons per m² (300 to 600 nm), the mean within 120 m of the core; shape (n_showers,)."""
    area = np.linspace(0.0, 1.0, 11)
    detector = LightDetector(ring(120.0 * np.sqrt(0.5 * (area[1:] + area[:-1]))), 6.0)
    rng = np.random.default_rng(seed)
    return np.array(
        [detector.detect(energy, rng, kind=kind).density.mean() for _ in range(n_showers)]
    )


def muon_light(energy, n_muons, seed, mirror_radius, start=1500.0):
    """Light of muons that hit the centre of a perfect mirror from straight above.

    Parameters
    ----------
    energy : float
        GeV.
    start : float
        Where they start, m above the mirror.

    Returns
    -------
    radius : ndarray (n_muons,)
        Mean angle of the photons to the muon's direction (deg).
    photons : ndarray (n_muons,)
        Between 300 and 600 nm, nothing absorbed.
    """
    detector = LightDetector(np.zeros((1, 3)), mirror_radius, field_of_view=2.0)
    rng = np.random.default_rng(seed)
    seen = [
        detector.detect(
            energy,
            rng,
            kind=particles.MUON_MINUS,
            magnetic_field=(0.0, 0.0, 0.0),
            start=LA_PALMA + start,
        )
        for _ in range(n_muons)
    ]
    radius = np.array([np.hypot(light.lat, light.lon).mean() for light in seen])
    photons = np.array([light.density[0] for light in seen]) * math.pi * mirror_radius**2
    return radius, photons


def muon_images(energy, n_muons, seed, impact=0.0):
    """Images that an LST at La Palma takes of muons along its axis, straight up.

    Parameters
    ----------
    energy : float
        GeV.
    impact : float
        How far from the mirror's centre they hit (m).

    Returns
    -------
    model : TelescopeModel
    readouts : list of Readout
        Of those that trigger.
    """
    model = telescope_model("LST")
    optics = Optics.of([model], 0.5 * math.pi, 0.0, LA_PALMA)
    electronics = CameraElectronics(model)
    stack = particles.new_stack()
    rng = np.random.default_rng(seed)
    readouts = []
    for _ in range(n_muons):
        light = optics.light([[0.0, 0.0, 0.0]], [model.mirror_radius], [0], 1.0, 100_000)
        site = new_site(LA_PALMA, MAGNETIC_FIELD)
        n = particles.push(
            stack, 0, particles.MUON_MINUS, energy, impact, 0.0, 1500.0, 0.0, 0.0, 0.0, -1.0
        )
        develop(site, light, stack, n, rng)
        n_pe = int(light.count[0])
        readout = electronics.read_out(light.pixel[:n_pe], light.time[:n_pe], 1.0, rng)
        if readout is not None:
            readouts.append(readout)
    return model, readouts


def fitted_rings(model, readouts):
    """Radius (deg) of the rings that ctapipe fits to images, and their light (p.e.)."""
    geometry = model.description.camera.geometry.transform_to(TelescopeFrame())
    fit = MuonRingFitter(fit_method="kundu_chaudhuri")
    radius, light = [], []
    for readout in readouts:
        mask = tailcuts_clean(geometry, readout.image, picture_thresh=8, boundary_thresh=4)
        radius.append(fit(geometry, readout.image, mask).radius.to_value(u.deg))
        light.append(readout.true_image.sum())
    return np.array(radius), np.array(light)


def light_like_corsika(folder, n_showers, seed, same_start=True):
    """Simulate the CORSIKA gammas of `folder` again, and look at the same places.

    Parameters
    ----------
    folder : str or Path
        Of test data, see :func:`shower_references.corsika_photons`.
    n_showers : int
        Simulations of each CORSIKA shower.
    same_start : bool
        Take the heights of the first interactions from CORSIKA too: much of the fluctuation of
        showers is due to them.

    Returns
    -------
    Table
        Those of :func:`shower_references.corsika_densities`, and simulated (n_showers,), photons
        per m²; of CORSIKA width and length (deg), root mean squares of the photons' directions
        within 1° of their median, and duration (ns), in which the middle 68 % arrive; the same
        simulated_… (n_showers,).
    """
    rng = np.random.default_rng(seed)
    places = list(references.corsika_photons(folder, references.CORSIKA_GAMMAS))
    rows = []
    for file, shower in dict.fromkeys((place["file"], place["shower"]) for place, _ in places):
        own = [both for both in places if (both[0]["file"], both[0]["shower"]) == (file, shower)]
        (radius,) = {math.sqrt(place["area"] / math.pi) for place, _ in own}
        positions = np.array([[place["x"], place["y"], 0.0] for place, _ in own])
        detector = LightDetector(positions, radius, height=CORSIKA_LEVEL)
        first = own[0][0]["first_interaction"] if same_start else None
        seen = [
            detector.detect(own[0][0]["energy"], rng, first_interaction=first)
            for _ in range(n_showers)
        ]
        for i, (place, photons) in enumerate(own):
            row = {**place, "simulated": np.array([light.density[i] for light in seen])}
            row |= _extent(photons["lat"], photons["lon"], photons["time"])
            each = [
                _extent(light.lat[here], light.lon[here], light.time[here])
                for light in seen
                for here in [light.mirror == i]
            ]
            row |= {f"simulated_{k}": np.array([extent[k] for extent in each]) for k in each[0]}
            rows.append(row)
    return Table(rows=rows)


def _extent(lat, lon, time):
    """Width and length (deg) of directions, without those far from their median; duration (ns)."""
    near = np.hypot(lat - np.median(lat), lon - np.median(lon)) < 1.0
    width, length = np.sqrt(np.linalg.eigvalsh(np.cov(lat[near], lon[near])))
    return {
        "width": width,
        "length": length,
        "duration": np.diff(np.quantile(time, [0.16, 0.84]))[0],
    }


# --- Simulated files ----------------------------------------------------------------------------


def simulated_file(folder, name, **settings) -> Path:
    """Simulate events to folder/name.dl1.h5, unless the file is there; see SimulationSettings."""
    path = Path(folder) / f"{name}.dl1.h5"
    if not path.exists():
        simulate(SimulationSettings(output=str(path), **settings), progress=False)
    return path


def images(path) -> QTable:
    """Images of a DL1 file of ctapipe, a row each.

    Returns
    -------
    QTable
        intensity and true_intensity (p.e.), width, length, true_width, true_length (deg),
        n_islands, true_n_islands, leakage, true_leakage, energy (TeV), distance (m), tel_id,
        obs_id, event_id, type; NaN where an image was too faint for parameters.
    """
    from ctapipe.io import TableLoader

    with TableLoader(path, dl1_parameters=True, true_parameters=True) as loader:
        table = loader.read_telescope_events(
            simulated=True, dl1_parameters=True, true_parameters=True, instrument=True
        )
    return image_columns(table)


def image_columns(table) -> QTable:
    """The columns of :func:`images` of a table of ctapipe's TableLoader."""
    chosen = QTable({name: table[name] for name in ("obs_id", "event_id", "tel_id")})
    chosen["type"] = [str(kind) for kind in table["type"]]
    chosen["energy"] = u.Quantity(table["true_energy"]).to_value(u.TeV)
    chosen["distance"] = u.Quantity(table["true_impact_distance"]).to_value(u.m)
    for prefix in ("", "true_"):
        chosen[f"{prefix}intensity"] = np.asarray(table[f"{prefix}hillas_intensity"], dtype=float)
        for name in ("width", "length"):
            chosen[prefix + name] = u.Quantity(table[f"{prefix}hillas_{name}"]).to_value(u.deg)
        chosen[f"{prefix}n_islands"] = np.asarray(table[f"{prefix}morphology_n_islands"])
        chosen[f"{prefix}leakage"] = np.asarray(
            table[f"{prefix}leakage_intensity_width_2"], dtype=float
        )
    return chosen


def proton_images(n_showers, reuse, energy, offset, core, light, threshold, seed) -> Table:
    """Images of protons in photoelectrons, as :func:`shower_references.true_proton_images`.

    All photoelectrons of an image count, whenever they come, and LSTs and MSTs may trigger.

    Parameters
    ----------
    n_showers, reuse : int
    energy : tuple of float
        TeV, with an index of -2.
    offset, core : float
        Greatest angle to the pointing (deg) and distance to the array's centre (m).
    light : float
        Of the telescopes, over that of ours.
    threshold : float
        Of the LST's trigger (p.e.); those of the MSTs change by the same factor.
    seed : int

    Returns
    -------
    Table
        A row for each image of an LST that triggered, in events of two telescopes or more:
        intensity (p.e.), width and length (deg), n_islands, leakage, energy (TeV).
    """
    simulation = ShowerSimulation(
        SimulationSettings(
            output="none.dl1.h5",
            particle="proton",
            array="lst4_mst9",
            n_showers=n_showers,
            energy=energy,
            viewcone=offset,
            scatter=core,
            reuse=reuse,
            seed=seed,
        )
    )
    simulation._optics.yields[:] *= light
    factor = threshold / telescope_model("LST").trigger_threshold
    models = simulation.array.models
    electronics = {
        model.name: CameraElectronics(
            dataclasses.replace(model, trigger_threshold=factor * model.trigger_threshold)
        )
        for model in models
    }
    geometry = telescope_model("LST").description.camera.geometry.transform_to(TelescopeFrame())
    # LSTs come first in the array.
    n_lst = sum(model.name == "LST" for model in models)
    rows = []
    for number in range(1, n_showers + 1):
        shower = simulation.shower(number)
        rng = np.random.default_rng([seed, number])
        for use in range(reuse):
            images, n_triggers = [], 0
            for tel, model in enumerate(models):
                # Of MSTs it matters only whether one makes an event of a single LST.
                if tel >= n_lst and (n_triggers == 0 or n_triggers > 1):
                    break
                i = use * len(models) + tel
                part = slice(shower.first[i], shower.first[i + 1])
                pixel, time = shower.pixel[part], shower.time[part]
                if electronics[model.name].digitise(pixel, time, shower.weight, rng) is None:
                    continue
                n_triggers += 1
                if tel < n_lst:
                    images.append(np.bincount(pixel, minlength=geometry.n_pixels))
            if n_triggers > 1:
                rows += [_true_parameters(geometry, image, shower.energy) for image in images]
    return Table(rows=rows)


def _true_parameters(geometry, image, energy):
    """Parameters of an image in photoelectrons, of all pixels with any."""
    mask = image > 0
    hillas = hillas_parameters(geometry[mask], image[mask])
    return {
        "intensity": float(hillas.intensity),
        "width": hillas.width.to_value(u.deg),
        "length": hillas.length.to_value(u.deg),
        "n_islands": number_of_islands(geometry, mask)[0],
        "leakage": leakage_parameters(geometry, image, mask).intensity_width_2,
        "energy": energy,
    }


def median_in_bins(x, y, edges, least=1):
    """Median of y in bins of x, and the standard error of that median.

    Returns
    -------
    median, error : ndarray (n_bins,)
        NaN where fewer than `least` fall.
    """
    median, error = np.full((2, len(edges) - 1), np.nan)
    for i, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = np.asarray(y)[(x >= low) & (x < high)]
        inside = inside[np.isfinite(inside)]
        if len(inside) >= least:
            median[i] = np.median(inside)
            # Of a Gaussian, with the width that holds 68 %.
            spread = 0.5 * np.diff(np.quantile(inside, [0.16, 0.84]))[0]
            error[i] = 1.2533 * spread / math.sqrt(len(inside))
    return median, error


def event_again(folder, event, n_showers, seed) -> Path:
    """Simulate one real event of a gamma again: the same telescopes, the same core.

    Parameters
    ----------
    folder : Path
        Where files may be made.
    event : QTable
        Its images, of :func:`shower_references.lst_images`.
    n_showers : int
        As many simulations of it.

    Returns
    -------
    Path
        Of the file; its telescopes are those of the images, numbered from 1.
    """
    telescopes = [
        {
            "type": "LST",
            "x": float((row["pos_x"] - row["true_core_x"]).to_value(u.m)),
            "y": float((row["pos_y"] - row["true_core_y"]).to_value(u.m)),
            "z": float(row["pos_z"].to_value(u.m)),
        }
        for row in event
    ]
    number = int(event["event_id"][0])
    layout = Path(folder) / f"event_{number}.yaml"
    layout.write_text(
        yaml.safe_dump(
            {
                "height": references.PARANAL["height"],
                "magnetic_field": references.PARANAL["magnetic_field"],
                "telescopes": telescopes,
            }
        )
    )
    energy = float(event["true_energy"][0].to_value(u.TeV))
    return simulated_file(
        folder,
        f"event_{number}",
        particle="gamma",
        array=str(layout),
        n_showers=n_showers,
        energy=(energy, 1.0001 * energy),
        scatter=0.1,
        reuse=1,
        zenith=90.0 - float(event["true_alt"][0].to_value(u.deg)),
        azimuth=float(event["true_az"][0].to_value(u.deg)),
        min_telescopes=1,
        seed=seed,
    )


def like_real_event(folder, event, n_showers, seed):
    """Images of :func:`event_again`, as :func:`images`; tel_id are those of the real event."""
    simulated = images(event_again(folder, event, n_showers, seed))
    simulated["tel_id"] = np.asarray(event["tel_id"])[simulated["tel_id"] - 1]
    return simulated


#: Light (p.e.) that an image needs for its axis to count.
LEAST_INTENSITY = 50.0

#: Quality cut on images: the part of the light in the camera's two outer rings is smaller.
MOST_LEAKAGE = 0.2


def stereo_directions(path) -> Table:
    """Directions that ctapipe's HillasReconstructor finds in a DL1 file.

    At least two telescopes with an intensity above 50 p.e., nothing else is asked of images; and
    once more with those images alone that are not cut by the camera's edge.

    Returns
    -------
    Table
        energy (TeV); core, its distance (m) from the array's centre; offset (deg) of the
        reconstructed direction from the true one, NaN where there is none; inside_offset, that of
        images with a leakage below :data:`MOST_LEAKAGE`, and n_inside, how many those are.
    """
    from ctapipe.io import EventSource
    from ctapipe.reco import HillasReconstructor

    enough = ["enough light", f"parameters.hillas.intensity > {LEAST_INTENSITY}"]
    inside = ["inside", f"parameters.leakage.intensity_width_2 < {MOST_LEAKAGE}"]
    rows = []
    with EventSource(path) as source:
        reconstructors = {
            "offset": HillasReconstructor(source.subarray, config=_criteria(enough)),
            "inside_offset": HillasReconstructor(source.subarray, config=_criteria(enough, inside)),
        }
        for event in source:
            shower = event.simulation.shower
            row = {
                "energy": shower.energy.to_value(u.TeV),
                "core": np.hypot(shower.core_x, shower.core_y).to_value(u.m),
            }
            for name, reconstructor in reconstructors.items():
                reconstructor(event)
                geometry = event.dl2.stereo.geometry["HillasReconstructor"]
                offset = angular_separation(
                    shower.az.to(u.rad), shower.alt.to(u.rad), geometry.az, geometry.alt
                )
                row[name] = offset.to_value(u.deg) if geometry.is_valid else np.nan
            # What the last one used.
            row["n_inside"] = len(geometry.telescopes) if geometry.is_valid else 0
            rows.append(row)
    return Table(rows=rows)


def _criteria(*criteria):
    """Configuration of ctapipe: what a HillasReconstructor asks of images."""
    from traitlets.config import Config

    some = [*criteria, ("some width", "parameters.hillas.width.value > 0")]
    query = {"quality_criteria": [list(pair) for pair in some]}
    return Config({"HillasReconstructor": {"StereoQualityQuery": query}})


def containment(directions, edges, share=0.68, column="offset"):
    """Angle (deg) that holds a share of directions, in bins of energy, and its standard error.

    Returns
    -------
    angle, error : ndarray (n_bins,)
    n : ndarray (n_bins,) of int
    """
    angle, error = np.full((2, len(edges) - 1), np.nan)
    count = np.zeros(len(edges) - 1, dtype=int)
    for i, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = (directions["energy"] >= low) & (directions["energy"] < high)
        offset = np.asarray(directions[column][inside])
        offset = offset[np.isfinite(offset)]
        count[i] = len(offset)
        if len(offset) >= 10:
            angle[i] = np.quantile(offset, share)
            # The order statistics one standard deviation of a binomial to both sides.
            step = math.sqrt(share * (1.0 - share) / len(offset))
            around = np.quantile(offset, [share - step, min(share + step, 1.0)])
            error[i] = 0.5 * np.diff(around)[0]
    return angle, error, count
