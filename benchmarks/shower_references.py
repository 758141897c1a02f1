"""What simulated showers are compared with: closed formulas and files of CORSIKA's showers.

The files are a folder of simulated test data: three lists of CORSIKA's Cherenkov photons
(``corsika/``), DL1 files made from CORSIKA and sim_telarray with ctapipe (``dl1_ctapipe/``) and a
file of proton image parameters (``dl1_old/``). Everything here is independent of
`gammalearn.simulation`.
"""

import math
from pathlib import Path

import numpy as np
import tables
from astropy.coordinates import angular_separation
from astropy.table import QTable, Table, vstack

#: Photons are counted between these wavelengths (nm) unless something else is said.
BAND = (300.0, 600.0)

#: Fine-structure constant.
ALPHA = 7.2973525693e-3

#: Radiation length (g/cm²) and critical energy (GeV) of air.
RADIATION_LENGTH = 36.7
CRITICAL_ENERGY = 0.081

#: Refractive index minus one at sea level, and the height (m) in which the density of CORSIKA's
#: atmosphere 1 falls by e below 4 km.
REFRACTIVITY = 2.83e-4
SCALE_HEIGHT = 9_941.86

#: Angular resolution (68 % containment, deg) that CTAO requires of its four LSTs, by energy (TeV).
LST_REQUIREMENT = {
    0.063: 0.165,
    0.1: 0.129,
    0.18: 0.107,
    0.28: 0.094,
    0.45: 0.087,
    1.0: 0.075,
}

#: Effective focal length of an LST (m), from lengths in its camera to angles.
LST_FOCAL_LENGTH = 29.30565


def light_in_band(low, high):
    """Integral of 1 / λ² (1/m), to which Cherenkov light between two wavelengths (nm) is due."""
    return 1e9 * (1.0 / low - 1.0 / high)


# --- Longitudinal profile -----------------------------------------------------------------------


def depth_of_maximum(energy):
    """Mean depth (g/cm²) of the maximum of a gamma's shower of some energy (GeV)."""
    return RADIATION_LENGTH * np.log(energy / CRITICAL_ENERGY)


def shower_age(depth, energy):
    """Age s of a gamma's shower at a depth (g/cm²): 1 at the maximum."""
    return 3.0 * depth / (depth + 2.0 * depth_of_maximum(energy))


def greisen(depth, energy):
    """Mean number of electrons of all energies in a gamma's shower.

    Parameters
    ----------
    depth : ndarray
        g/cm² from the top of the atmosphere, above zero.
    energy : float
        Of the primary, GeV.

    Notes
    -----
    Greisen's approximation to cascade theory, 0.31 / √(X_max / X_0) exp[t (1 - 1.5 ln s)].
    """
    depth = np.asarray(depth, dtype=float)
    maximum = depth_of_maximum(energy)
    age = shower_age(depth, energy)
    exponent = depth / RADIATION_LENGTH * (1.0 - 1.5 * np.log(age))
    return 0.31 / np.sqrt(maximum / RADIATION_LENGTH) * np.exp(exponent)


#: Kinetic energy (GeV) above which Nerling's spectra count electrons.
NERLING_THRESHOLD = 1e-3


def electron_spectrum(energy, age):
    """Electrons per unit of ln E, to a constant factor.

    Nerling et al., Astropart. Phys. 24 (2006) 421, from CORSIKA.

    Parameters
    ----------
    energy : ndarray
        GeV.
    age : ndarray
        Shower age; broadcast against energy.
    """
    energy = 1e3 * np.asarray(energy)
    a1 = 6.42522 - 1.53183 * age
    a2 = 168.168 - 42.1368 * age
    return energy / ((energy + a1) * (energy + a2) ** age)


def mean_over_electrons(function, age, lowest=NERLING_THRESHOLD, highest=1e4, n=600):
    """Mean of a function of the electron's energy (GeV) over the spectrum at some ages."""
    age = np.asarray(age, dtype=float)
    energy = np.geomspace(lowest, highest, n)
    weight = electron_spectrum(energy, age[..., np.newaxis])
    return (weight * function(energy)).sum(-1) / weight.sum(-1)


def share_above(threshold, age):
    """Share of a shower's electrons with more energy (GeV) than a threshold."""
    return mean_over_electrons(lambda energy: energy > threshold, age)


# --- Light --------------------------------------------------------------------------------------

#: CORSIKA's atmosphere 1: lower edges (m) of layers, and the thickness above a height h,
#: a + b exp(-h / c), with a, b in g/cm² and c in m.
LAYERS = np.array(
    [
        [0.0, -186.5553, 1222.6562, 9_941.86],
        [4_000.0, -94.919, 1144.9069, 8_781.54],
        [10_000.0, 0.61289, 1305.5948, 6_361.43],
        [40_000.0, 0.0, 540.1778, 7_721.70],
    ]
)

#: Rest masses (GeV).
ELECTRON_MASS, MUON_MASS = 0.51099895e-3, 0.1056583755


def expected_light(energy, height):
    """Mean number of photons that a gamma's shower sends out above a height.

    Parameters
    ----------
    energy : float
        Of the gamma, coming straight down, GeV.
    height : float
        m above sea level.

    Returns
    -------
    float
        Photons in :data:`BAND`, none absorbed, wherever they fall.

    Notes
    -----
    Greisen's number of electrons, with Nerling's spectrum of energies, times what Frank and Tamm
    give for a g/cm² of track: 2 π α ∫ dλ / λ² (1 - 1 / (β n)²) / density. It has no fluctuations
    and knows nothing of directions.
    """
    heights = np.arange(height, 60_000.0, 50.0) + 25.0
    layer = LAYERS[np.searchsorted(LAYERS[:, 0], heights, side="right") - 1]
    density = layer[:, 2] / layer[:, 3] * np.exp(-heights / layer[:, 3])  # g/cm² per m
    depth = layer[:, 1] + density * layer[:, 3]
    excess = REFRACTIVITY * density / (LAYERS[0, 2] / LAYERS[0, 3])
    age = shower_age(depth, energy)
    light = np.empty_like(heights)
    for i, (n, s) in enumerate(zip(1.0 + excess, age, strict=True)):

        def sine2(electron, n=n):
            beta2 = 1.0 - (ELECTRON_MASS / (electron + ELECTRON_MASS)) ** 2
            return np.maximum(1.0 - 1.0 / (beta2 * n * n), 0.0)

        light[i] = mean_over_electrons(sine2, s)
    rate = 2.0 * math.pi * ALPHA * light_in_band(*BAND)
    return float((greisen(depth, energy) * light * rate).sum() * 50.0)


# --- Muons --------------------------------------------------------------------------------------


def refractivity(height):
    """n - 1 of air at a height (m above sea level, below 4 km)."""
    return REFRACTIVITY * math.exp(-height / SCALE_HEIGHT)


def cherenkov_angle(height, energy=math.inf):
    """Cherenkov angle (rad) of a muon at a height (m above sea level, below 4 km).

    The energy, in GeV, counts near the threshold of some 5 GeV.
    """
    beta = math.sqrt(1.0 - (MUON_MASS / energy) ** 2)
    return math.acos(1.0 / (beta * (1.0 + refractivity(height))))


def muon_ring(height, mirror_radius, energy=math.inf):
    """Radius of a muon's ring (rad), and photons on the mirror, for a hit at its centre.

    Parameters
    ----------
    height : float
        Of the telescope, m above sea level.
    mirror_radius : float
        In m.
    energy : float
        Of the muon, GeV.

    Returns
    -------
    radius : float
        The mean of what the muon sends over the last metres in which its light hits the mirror.
    photons : float
        In :data:`BAND`, before anything absorbs them.

    Notes
    -----
    Of a length l of track light comes down within l tan θ of the muon: the mirror catches all
    that is sent from below R / tan θ, hence N = π α sin 2θ R ∫ dλ / λ² (Vacanti et al.,
    Astropart. Phys. 2 (1994) 1).
    """
    angle = cherenkov_angle(height, energy)
    # θ falls with height; half way up stands for the mean.
    angle = cherenkov_angle(height + 0.5 * mirror_radius / math.tan(angle), energy)
    photons = math.pi * ALPHA * math.sin(2.0 * angle) * mirror_radius * light_in_band(*BAND)
    return angle, photons


# --- CORSIKA's photons --------------------------------------------------------------------------

#: What was simulated: name of the file, and what it holds.
CORSIKA_GAMMAS = ("gamma_100gev_1216.eventio", "3_gammas_reuse_5.dat")
CORSIKA_PROTON = "proton_500GeV_iactext.eventio.gz"


def corsika_photons(folder, names=(*CORSIKA_GAMMAS, CORSIKA_PROTON)):
    """Yield the photons that reach one place of one CORSIKA shower, one place after another.

    Parameters
    ----------
    folder : str or Path
        The folder with ``corsika/`` in it.

    Yields
    ------
    place : dict
        file; shower, its number; primary, CORSIKA's number of the particle; energy (GeV);
        first_interaction (m above sea level); x, y (m), the place relative to the core (North
        and West); distance (m); area (m²) in which light was collected; density (photons per m²
        between 300 and 600 nm).
    photons : ndarray, structured
        lon, lat (deg), the direction that each photon comes from relative to the shower's axis,
        towards North and West; radial and across (deg), the same turned so that radial points
        away from the image of the core; time (ns); height of emission (m); weight.

    Notes
    -----
    CORSIKA's IACT option collects what crosses a sphere, of 5 m radius in these files: a disc of
    that radius for light along the axis. Its bunches hold one photon of the band in the header
    of the event (290 to 700 or 900 nm), with no absorption in the air: light between 300 and
    600 nm is the share of it that 1 / λ² gives. The field is that of La Palma, the observation
    level 2200 m. Needs the package eventio.
    """
    import eventio

    for name in names:
        with eventio.IACTFile(str(Path(folder) / "corsika" / name)) as file:
            (telescope,) = file.telescope_positions
            area = math.pi * (telescope["r"] / 100.0) ** 2
            for event in file:
                yield _place(name, event, area)


def _place(name, event, area):
    header = event.header
    bunches = event.photon_bunches[0]
    band = light_in_band(*BAND) / light_in_band(
        float(header["cherenkov_wavelength_min"]), float(header["cherenkov_wavelength_max"])
    )
    x, y = -event.impact_x / 100.0, -event.impact_y / 100.0
    distance = math.hypot(x, y)
    place = {
        "file": name,
        "shower": int(header["event_number"]),
        "primary": int(header["particle_id"]),
        "energy": float(header["total_energy"]),
        "first_interaction": abs(float(header["first_interaction_height"])) / 100.0,
        "x": x,
        "y": y,
        "distance": distance,
        "area": area,
        "density": float(bunches["photons"].sum() * band / area),
    }
    photons = np.zeros(
        len(bunches),
        dtype=[
            (column, np.float64)
            for column in ("lon", "lat", "radial", "across", "time", "height", "weight")
        ],
    )
    # Photons and primary fly along (cx, cy): they come from the opposite direction.
    sine = math.sin(header["zenith"])
    axis = sine * math.cos(header["azimuth"]), sine * math.sin(header["azimuth"])
    photons["lon"] = np.degrees(axis[0] - bunches["cx"])
    photons["lat"] = np.degrees(axis[1] - bunches["cy"])
    # Light comes from the axis: from -(x, y).
    towards = (-x / distance, -y / distance) if distance > 0.0 else (1.0, 0.0)
    photons["radial"] = photons["lon"] * towards[0] + photons["lat"] * towards[1]
    photons["across"] = photons["lat"] * towards[0] - photons["lon"] * towards[1]
    photons["time"] = bunches["time"]
    photons["height"] = bunches["zem"] / 100.0
    photons["weight"] = bunches["photons"] * band
    return place, photons


def corsika_densities(folder, names=CORSIKA_GAMMAS):
    """Return the table of places of :func:`corsika_photons`, one row each."""
    return Table(rows=[place for place, _ in corsika_photons(folder, names)])


# --- Protons ------------------------------------------------------------------------------------

#: Photons per m² (in :data:`BAND`, none absorbed), the mean within 120 m of the core, of vertical
#: protons of an energy (GeV) at La Palma, and its standard error: hadrons interact as SIBYLL 2.3d
#: and UrQMD 3.4 have it. Made by benchmarks/hadronic_models.py.
PROTON_LIGHT = {
    100: (0.532, 0.024),
    200: (3.19, 0.11),
    400: (15.4, 0.68),
    1000: (72.8, 3.1),
    2500: (232, 12),
}


# --- Images of CORSIKA and sim_telarray ---------------------------------------------------------

#: DL1 files with images that LSTs took of gammas.
GAMMA_FILES = ("gamma_lsts_run7_7.0.0.dl1.h5", "gamma_diffuse_run10_6.0.0.dl1.h5")

#: Site of the first of them: observation level (m) and field (µT; north, west, up).
PARANAL = {"height": 2147.0, "magnetic_field": [20.6, 0.0, 9.4]}

#: DL1 files with images that LSTs took of protons.
PROTON_FILES = (
    "proton_run202_prod5.dl1.h5",
    "proton_run1_6.0.2.dl1.h5",
    "proton_run1_7.0.0.dl1.h5",
)


def lst_images(folder, names):
    """Return the parameters of the images of LSTs in DL1 files of ctapipe.

    Parameters
    ----------
    folder : str or Path
        The folder with ``dl1_ctapipe/`` in it.
    names : sequence of str

    Returns
    -------
    QTable
        Columns of ctapipe's TableLoader; those that begin with true_hillas and true_morphology
        are of the images of Cherenkov photoelectrons alone, without noise and without cleaning.
    """
    from ctapipe.io import TableLoader

    images = []
    for name in names:
        path = Path(folder) / "dl1_ctapipe" / name
        with TableLoader(path, dl1_parameters=True, true_parameters=True) as loader:
            table = loader.read_telescope_events(
                simulated=True, dl1_parameters=True, true_parameters=True, instrument=True
            )
        table = table[[str(kind) == "LST" for kind in table["type"]]]
        table.meta.clear()
        del table["tels_with_trigger"]  # as long as the array is large, which differs
        table["file"] = name
        images.append(table)
    return QTable(vstack(images, join_type="inner", metadata_conflicts="silent"))


#: Pointing of the proton file: altitude and azimuth (deg).
PROTON_POINTING = (70.0, 180.0)

#: What was thrown for it: showers (each use counted), least and greatest energy (TeV) with an index
#: of -2, greatest offset (deg) and core distance (m).
PROTONS_THROWN = {"n": 4_000_000, "energy": (0.004, 600.0), "offset": 10.0, "core": 1900.0}

#: What its telescopes differ by from ours: their light, if their mirrors are new (ours have the
#: ageing of the 6.0.0 models), and the threshold of the LST's trigger (p.e.). Neither is in the
#: file; the numbers and widths of its images ask for both.
PROTON_FILE_TELESCOPES = {"light": 1.0 / 0.80, "threshold": 25.0}


def protons_thrown(energy, offset, core):
    """Showers of the proton file thrown between two energies (TeV) and up to the others.

    The cores are those on the ground, 20 degrees from the zenith.
    """
    low, high = PROTONS_THROWN["energy"]
    share = (1.0 / energy[0] - 1.0 / energy[1]) / (1.0 / low - 1.0 / high)
    share *= (offset / PROTONS_THROWN["offset"]) ** 2
    area = (core / PROTONS_THROWN["core"]) ** 2 * math.sin(math.radians(PROTON_POINTING[0]))
    return PROTONS_THROWN["n"] * share * area


def true_proton_images(folder):
    """Return parameters of 1400 images that LSTs took of protons, counted in photoelectrons.

    ctapipe 0.8 made them from images of Cherenkov photoelectrons alone, all pixels with any in
    them: no noise, no cleaning. Protons came from within 10° of the pointing, at 20° from the
    zenith, 4 GeV to 600 TeV with an index of -2, with cores up to 1900 m away (Prod3b, La Palma).

    Returns
    -------
    Table
        intensity (p.e.), width and length (deg), n_islands, leakage (share of the charge in the
        camera's two outer rings), energy (TeV), core (m, from the array's centre), offset (deg,
        from the pointing).
    """
    with tables.open_file(Path(folder) / "dl1_old" / "aict_cta_protons.dl1.h5") as file:
        showers = file.root.simulation.event.subarray.shower[:]
        parameters = file.root.simulation.event.telescope.parameters
        images = np.concatenate([parameters[f"tel_{tel_id:03d}"][:] for tel_id in range(1, 5)])
    images = images[np.isfinite(images["hillas_width"])]
    showers = showers[np.searchsorted(showers["event_id"], images["event_id"])]
    offset = angular_separation(
        np.radians(showers["true_az"]),
        np.radians(showers["true_alt"]),
        math.radians(PROTON_POINTING[1]),
        math.radians(PROTON_POINTING[0]),
    )
    degrees = math.degrees(1.0 / LST_FOCAL_LENGTH)
    return Table(
        {
            "intensity": images["hillas_intensity"],
            "width": images["hillas_width"] * degrees,
            "length": images["hillas_length"] * degrees,
            "n_islands": images["morphology_num_islands"],
            "leakage": images["leakage_intensity_width_2"],
            "energy": showers["true_energy"],
            "core": np.hypot(showers["true_core_x"], showers["true_core_y"]),
            "offset": np.degrees(offset),
        }
    )
