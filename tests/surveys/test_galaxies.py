"""The simulated galaxies, against kcorrect's own code and closed formulas."""

from pathlib import Path

import kcorrect
import numpy as np
import pytest
import speclite.filters
from astropy.cosmology import Planck18
from kcorrect.response import Response
from kcorrect.template import Template
from scipy.special import gammainc

from gammalearn.settings.surveys import SimulatedGalaxies
from gammalearn.surveys.galaxies.images import (
    Scene,
    Seeing,
    ellipse,
    neighbours,
    noise_of_sky,
    see,
)
from gammalearn.surveys.galaxies.population import galaxies
from gammalearn.surveys.galaxies.profiles import HALF_LIGHT, LARGEST, mixture
from gammalearn.surveys.galaxies.spectra import (
    BANDS,
    TEMPLATES,
    Spectra,
    attenuation,
    band_fluxes,
    star,
)
from gammalearn.surveys.redshifts.simulation import simulate
from gammalearn.surveys.redshifts.simulation.telescope import SDSS

N_PIXELS, PIXEL_SCALE = SDSS.n_pixels, SDSS.pixel_scale


@pytest.fixture(scope="module")
def spectra():
    return Spectra.up_to(0.4)


@pytest.fixture(scope="module")
def responses():
    """The filters, as kcorrect integrates over them; u without its leak in the near infrared."""
    found = []
    for band in BANDS:
        known = speclite.filters.load_filter(f"sdss2010-{band}")
        used = np.array(known.wavelength) < (4200 if band == "u" else np.inf)
        wave, response = np.array(known.wavelength)[used], np.array(known.response)[used]
        found.append(Response(wave=wave, response=response))
    return found


def test_colours_are_those_of_templates_redshifted_by_kcorrect(responses):
    ours = band_fluxes(np.array([0.0, 0.22]), np.array([0.0]))[:, 0]
    folder = Path(kcorrect.KCORRECT_DIR) / "data" / "templates"
    for number, (name, row) in enumerate(TEMPLATES.values()):
        template = Template(filename=str(folder / name), interpolate=False)
        for place, redshift in enumerate((0.0, 0.22)):
            template.set_redshift(redshift)
            template.set_interp()
            theirs = np.array([np.atleast_1d(r.project(sed=template))[row] for r in responses])
            difference = -2.5 * np.log10(ours[number, place] / theirs)
            # All are scaled alike; kcorrect interpolates the filters by cubic splines.
            np.testing.assert_allclose(difference, difference[2], atol=0.015)


def test_a_galaxy_is_dimmed_by_its_distance(spectra):
    """At a place of the grid: the flux at 10 pc, by the distance modulus of astropy."""
    shares = np.eye(len(TEMPLATES))[[2]]
    found = spectra.of(shares, np.array([0.2]), spectra.redshift[[50]], np.array([-21.0]))
    redshift = float(spectra.redshift[50])
    alone = band_fluxes(np.array([redshift]), np.array([0.2]))[2, 0, 0]
    expected = alone * 10 ** (-0.4 * (-21 + Planck18.distmod(redshift).value))
    np.testing.assert_allclose(found[0], expected, rtol=0.003)


def test_dust_follows_calzetti():
    """E(B-V) = k(B) - k(V) = 1 mag, and 4.05 in V."""
    assert attenuation(np.array([5500.0]))[0] == pytest.approx(4.05, abs=0.02)
    blue, visual = attenuation(np.array([4400.0, 5500.0]))
    assert blue - visual == pytest.approx(1, abs=0.07)


def test_the_sun_has_the_colours_of_the_sun():
    """g - r = 0.44, r - i = 0.11 (Willmer 2018); a black body is near."""
    magnitude = -2.5 * np.log10(star(np.array([5772.0]))[0])
    assert magnitude[1] - magnitude[2] == pytest.approx(0.44, abs=0.08)
    assert magnitude[2] - magnitude[3] == pytest.approx(0.11, abs=0.08)


@pytest.mark.parametrize("kind, index", [("disc", 1), ("bulge", 4)])
def test_profiles_have_the_light_of_sersic_within_circles(kind, index):
    """Within r: an incomplete gamma function of 2n (Graham & Driver 2005, eq. 2)."""
    part, variance = mixture(kind)
    for radius in (0.3, 0.5, 1.0, 2.0):
        ours = (part * -np.expm1(-(radius**2) / (2 * variance))).sum()
        whole = gammainc(2 * index, HALF_LIGHT[kind] * LARGEST[kind] ** (1 / index))
        theirs = gammainc(2 * index, HALF_LIGHT[kind] * radius ** (1 / index)) / whole
        assert ours == pytest.approx(theirs, abs=0.012)


def moments(image):
    place = np.arange(N_PIXELS) - (N_PIXELS - 1) / 2
    x, y = np.meshgrid(place, place)
    light = image.sum()
    first = [(image * x).sum() / light, (image * y).sum() / light]
    second = [(image * x * x).sum() / light, (image * y * y).sum() / light]
    return np.array(first), np.array(second) - np.square(first)


def test_images_have_flux_place_and_shape_of_their_source():
    """A disc of 2 pixels, twice as long as wide along the columns, in a seeing of 1 arcsec."""
    flux = np.full((1, len(BANDS)), 100.0)
    shape = ellipse(np.array([2.0]), np.array([0.5]), np.array([0.0]))
    scene = Scene(["disc"], flux, np.array([[1.5, -2.0]]), shape)
    seeing = Seeing(np.full(len(BANDS), 1.0))
    point = Scene(["star"], flux, np.array([[1.5, -2.0]]), shape)
    image, spread = see([scene], seeing, SDSS)[2], see([point], seeing, SDSS)[2]
    assert image.sum() == pytest.approx(100, rel=1e-3)
    place, second = moments(image)
    np.testing.assert_allclose(place, [1.5, -2.0], atol=0.01)
    part, variance = mixture("disc")
    wide = (part * variance).sum()
    # Variances of a convolution are added.
    np.testing.assert_allclose(second - moments(spread)[1], [4 * wide, wide], rtol=0.02)


def test_light_does_not_come_in_again_at_the_other_side():
    flux = np.full((1, len(BANDS)), 100.0)
    scene = Scene(["star"], flux, np.array([[38.0, 0.0]]), np.eye(2)[None])
    image = see([scene], Seeing(np.full(len(BANDS), 1.3)), SDSS)[2]
    assert np.abs(image[:, :32]).max() < 1e-3


def test_a_star_at_the_depth_has_a_signal_to_noise_of_5(spectra):
    """By its own point spread as weights (King 1983), in the median seeing, without wings."""
    depth = np.array([22.15, 23.13, 22.70, 22.20, 20.71])
    flux = 10 ** (0.4 * (27.5 - depth))
    pixel = np.arange(N_PIXELS) - (N_PIXELS - 1) / 2
    sigma = 1.3 / PIXEL_SCALE / np.sqrt(8 * np.log(2))
    spread = np.exp(-(pixel**2 + pixel[:, None] ** 2) / (2 * sigma**2))
    spread /= spread.sum()
    signal = flux * np.sqrt((spread**2).sum()) / noise_of_sky(SDSS)
    np.testing.assert_allclose(signal, 5, rtol=0.01)


@pytest.fixture(scope="module")
def some(spectra):
    return galaxies(2000, 17.8, 0.4, spectra, np.random.default_rng(1))


def test_galaxies_are_brighter_than_the_limit_and_redder_at_larger_redshifts(some):
    magnitude = -2.5 * np.log10(some.flux.sum(axis=1))
    assert magnitude[:, 2].max() < 17.8
    colour = magnitude[:, 1] - magnitude[:, 2]
    near, far = some.redshift < 0.08, some.redshift > 0.18
    assert np.median(colour[far]) > np.median(colour[near]) + 0.2
    # The SDSS main sample: a median redshift of about 0.1 (Strauss et al. 2002).
    assert 0.08 < np.median(some.redshift) < 0.13


def test_bulges_are_redder_than_discs(some):
    colour = -2.5 * np.log10(some.flux[:, :, 1] / some.flux[:, :, 2])
    assert np.median(colour[:, 0] - colour[:, 1]) > 0.1


def test_neighbours_are_as_many_as_asked_for(some):
    rng = np.random.default_rng(1)
    scenes = [neighbours(2.0, some, np.zeros(len(BANDS)), SDSS, rng) for _ in range(300)]
    inside = [(np.abs(one.position) < N_PIXELS / 2).all(axis=1).sum() for one in scenes]
    assert np.mean(inside) == pytest.approx(2, abs=4 * (2 / 300) ** 0.5)


def test_cutouts_depend_on_seed_and_number_alone():
    settings = SimulatedGalaxies(output="x.h5", n_objects=6, seed=3)
    first = simulate(settings).cutouts
    again = simulate(settings).cutouts
    np.testing.assert_array_equal(first.read(np.array([4, 1])), again.read(np.arange(6))[[4, 1]])
