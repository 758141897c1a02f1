"""Showers against references: formulas, CORSIKA's photon lists, real images.

What is compared, and with what, is in benchmarks/; here are fewer showers of it. Unless a
tolerance comes from the requirement itself, it is four standard deviations of what the showers of
a test give (worked out beside it), on top of what the formula is good for. Seeds are fixed.
"""

import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def benchmarks(pytestconfig):
    """Folder of the benchmarks, to import from."""
    folder = str(pytestconfig.rootpath / "benchmarks")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def measure(benchmarks):
    return __import__("shower_measurements")


@pytest.fixture(scope="module")
def references(benchmarks):
    return __import__("shower_references")


@pytest.mark.parametrize(("energy", "n_showers"), [(100, 150), (1000, 15)])
def test_the_mean_shower_follows_greisen(measure, references, energy, n_showers):
    depth, profiles = measure.longitudinal_profile(energy, n_showers, seed=1)
    mean = profiles.mean(axis=0)
    inside = (depth > 0) & (depth <= 1000)
    expected = np.zeros_like(mean)
    expected[inside] = references.greisen(depth[inside], energy) * references.share_above(
        0.020, references.shower_age(depth[inside], energy)
    )
    # The track length is nearly that of the primary's energy: it fluctuates by 2 %. Greisen's
    # normalisation and Nerling's share above 20 MeV are good for 10 %.
    assert mean.sum() == pytest.approx(expected.sum(), rel=0.10)
    # A shower's maximum fluctuates by 90 g/cm² at 100 GeV and 70 at 1 TeV, most of it in the
    # depth of the first pair; the median depth of electrons does so less.
    error = 90 / np.sqrt(n_showers)
    middle, expected_middle = (
        np.interp(0.5, np.cumsum(p) / p.sum(), depth) for p in (mean, expected)
    )
    assert middle == pytest.approx(expected_middle, abs=4 * error)
    # Of some hundred electrons at the maximum, whose place fluctuates, the mean is broad: within
    # 15 % of Greisen's at the maximum.
    assert mean.max() == pytest.approx(expected.max(), rel=0.15)


@pytest.mark.parametrize(("energy", "n_showers"), [(100, 30), (300, 12), (1000, 4)])
def test_all_light_is_proportional_to_energy(measure, references, energy, n_showers):
    total, _ = measure.light_on_the_ground(energy, n_showers, seed=2)
    # One shower's light, on places that see a part of the ground, fluctuates by 8 % at 100 GeV
    # and 2 % at 1 TeV: 1.5 % in the mean. The formula has the trend with energy, 6 % from 0.1 to
    # 1 TeV; 15 % are asked for.
    assert total.mean() == pytest.approx(references.expected_light(energy, 2158.0), rel=0.15)


def test_light_has_a_plateau_a_hump_and_a_fall(measure):
    distances = np.array([20.0, 40.0, 60.0, 105.0, 115.0, 125.0, 190.0])
    density = measure.lateral_density(100.0, distances, 150, seed=3)
    mean, error = density.mean(axis=0), density.std(axis=0) / np.sqrt(len(density))
    # PHYSICS of the light pool: some 10 photons/m², and the showers' start decides on a third
    # more or less.
    assert mean[:3].mean() == pytest.approx(12.0, rel=0.25)
    # Flat within: neighbours differ by less than 4 of their standard errors, which are 5 %.
    assert np.ptp(mean[:3]) < 4 * error[:3].max()
    # Places of one shower fluctuate together, so that differences are better known than means.
    hump, fall = density[:, 3:6].mean(axis=1), density[:, 6]
    over = hump - density[:, :3].mean(axis=1)
    assert over.mean() > -2 * over.std() / np.sqrt(len(over))
    # From the hump at 115 m to 190 m the density halves.
    assert fall.mean() / hump.mean() == pytest.approx(0.45, abs=0.1)


def test_light_is_as_much_as_corsikas(measure, data_dir):
    pytest.importorskip("eventio", reason="eventio reads CORSIKA's photon lists")
    places = measure.light_like_corsika(data_dir, 25, seed=4)
    ratio = np.asarray(places["simulated"]).mean(axis=1) / places["density"]
    # Four showers, of which even with the same start one's light fluctuates by 20 % (45 % the
    # one that starts at 54 km): their mean by 10 to 15 %. CORSIKA's atmospheres (models 7 and 8)
    # are some 20 g/cm² thicker above 10 km than the U.S. standard, which puts light half a
    # kilometre higher and makes it thinner by a tenth. The requirement is 30 %.
    assert ratio.mean() == pytest.approx(1.0, abs=0.3)
    # Extents of light on the sky, of 16 places each known to 20 % but not independent, as above.
    for name in ("width", "length"):
        extent = np.asarray(places[f"simulated_{name}"]).mean(axis=1) / places[name]
        assert extent.mean() == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("energy", [10.0, 50.0])
def test_muons_make_rings(measure, references, energy):
    mirror = 11.1
    radius, photons = measure.muon_light(energy, 40, seed=5, mirror_radius=mirror)
    angle, expected = references.muon_ring(2158.0, mirror, energy)
    # Some thousand photons a ring: their number is known to 1 % and their mean angle better; the
    # median leaves out muons that decay. At 10 GeV what they lose in the last kilometre counts.
    assert np.median(radius) == pytest.approx(np.degrees(angle), rel=0.03)
    assert np.median(photons) == pytest.approx(expected, rel=0.05)


def test_ctapipe_finds_the_rings_in_images(measure, references):
    model, readouts = measure.muon_images(30.0, 8, seed=6, impact=3.0)
    assert len(readouts) == 8
    radius, light = measure.fitted_rings(model, readouts)
    angle, _ = references.muon_ring(2158.0, model.mirror_radius, 30.0)
    # Pixels of 0.1 deg, some 200 of them lit: radii are good to 0.02 deg.
    assert np.median(radius) == pytest.approx(np.degrees(angle), abs=0.04)
    # Two to three thousand photoelectrons, known from muons in real LSTs.
    assert 2000 < np.median(light) < 3000


def test_protons_shine_less_than_gammas(measure):
    gammas = measure.pool_light(400.0, 30, seed=7)
    protons = measure.pool_light(1000.0, 40, seed=7, kind=measure.particles.PROTON)
    # At equal light a proton has two to three times the energy. Light goes as E^1.4, so that this
    # is a factor of 0.75 to 1.35 in light about 2.5; one proton's light fluctuates by 65 %, one
    # gamma's by 35 %, their means by 12 % together, half of which is beyond the range.
    ratio = protons.mean() / gammas.mean()
    assert 0.75 * (1 - 2 * 0.12) < ratio < 1.35 * (1 + 2 * 0.12)


def test_protons_shine_as_with_microscopic_models(measure, references):
    energy, n_showers = 200, 200
    light = measure.pool_light(float(energy), n_showers, seed=10, kind=measure.particles.PROTON)
    expected, error = references.PROTON_LIGHT[energy]
    # Showers fluctuate by 90 %: both means are known to 7 %. Microscopic models differ by 10 to
    # 20 % from each other, and so may the parametric one from them.
    sigma = np.hypot(light.std() / np.sqrt(n_showers), error)
    assert light.mean() == pytest.approx(expected, abs=0.2 * expected + 4 * sigma)


@pytest.fixture(scope="module")
def images(measure, tmp_path_factory):
    """Parameters of images of some gammas and protons in the same telescopes."""
    folder = tmp_path_factory.mktemp("images")
    common = dict(energy=(0.1, 3.0), spectral_index=-1.5, reuse=4, scatter=180.0, seed=8)
    files = {
        "gamma": measure.simulated_file(folder, "gamma", particle="gamma", n_showers=30, **common),
        "proton": measure.simulated_file(
            folder, "proton", particle="proton", n_showers=100, viewcone=1.0, **common
        ),
    }
    return files, {name: measure.images(path) for name, path in files.items()}


def test_protons_are_wider_and_in_more_pieces(images):
    _, tables = images
    gamma, proton = (
        tables[name][(tables[name]["intensity"] > 300) & (tables[name]["leakage"] < 0.2)]
        for name in ("gamma", "proton")
    )
    assert len(gamma) > 100 and len(proton) > 100
    # Images of a shower are alike, so that some 40 count: widths, which spread by 30 %, are then
    # known to 8 % in the mean, and protons are 1.5 times as wide.
    assert np.median(proton["width"]) > 1.25 * np.median(gamma["width"])
    # A tenth of the gammas and a third of the protons have several islands, of 40: ± 0.09.
    assert np.mean(proton["n_islands"] > 1) > np.mean(gamma["n_islands"] > 1) + 0.1


def test_images_of_gammas_are_as_wide_and_long_as_real_ones(
    measure, references, data_dir, tmp_path
):
    real = references.lst_images(data_dir, references.GAMMA_FILES[:1])
    ratios = {"width": [], "length": [], "true_width": [], "true_length": []}
    for number in np.unique(real["event_id"]):
        event = real[real["event_id"] == number]
        again = measure.like_real_event(tmp_path, event, 25, seed=9)
        for row in measure.image_columns(event):
            same = again[again["tel_id"] == row["tel_id"]]
            for name, found in ratios.items():
                values = same[name][np.isfinite(same[name])]
                if np.isfinite(row[name]) and len(values) > 3:
                    found.append(np.median(values) / row[name])
    for name, found in ratios.items():
        # Thirteen images of four showers, each of which spreads by 30 % about the median: 10 % in
        # the mean if images of a shower were half independent. The requirement is 30 %.
        assert len(found) >= 8
        assert np.mean(found) == pytest.approx(1.0, abs=0.3), name


def test_directions_are_good_and_improve_with_energy(measure, references, images):
    directions = measure.stereo_directions(images[0]["gamma"])
    near = directions[directions["core"] < 150]
    edges = np.array([0.1, 0.35, 3.0])
    angle, error, count = measure.containment(near, edges)
    assert count.min() > 20
    middle = [
        np.median(near["energy"][(near["energy"] >= a) & (near["energy"] < b)])
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    required = np.interp(
        np.log(middle),
        np.log(list(references.LST_REQUIREMENT)),
        list(references.LST_REQUIREMENT.values()),
    )
    assert np.all(angle < 1.5 * required + 2 * error)
    assert angle[1] < angle[0]
