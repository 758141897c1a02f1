"""Simulated lenses, against closed formulas, integrals of the surface density and lenstronomy."""

import numpy as np
import pytest
from astropy import constants, units
from astropy.cosmology import Planck18
from scipy.integrate import quad
from scipy.optimize import brentq

from gammalearn.settings.surveys import SimulatedLenses
from gammalearn.surveys.galaxies.images import Painted, Seeing, noise_of_sky, observed, see
from gammalearn.surveys.galaxies.spectra import BANDS, Spectra
from gammalearn.surveys.lenses.simulation import simulate
from gammalearn.surveys.lenses.simulation.arcs import arcs, sersic, significance
from gammalearn.surveys.lenses.simulation.canvas import FINER, on_canvas, place_on_canvas
from gammalearn.surveys.lenses.simulation.imposters import KINDS
from gammalearn.surveys.lenses.simulation.lensing import Deflector, einstein_radius
from gammalearn.surveys.lenses.simulation.systems import SOURCE_REDSHIFT, Sources, Systems, systems
from gammalearn.surveys.lenses.simulation.telescope import LSST

#: Directions (arcsec) that no axis goes through.
X, Y = np.array([0.3, -1.2, 0.7, 2.0]), np.array([0.5, 0.4, -1.1, -0.3])

ELLIPSOID = Deflector(1.3, 0.6, 0.4)


def test_einstein_radii_are_those_of_astropys_distances():
    dispersion, lens, source = 250.0, 0.5, 1.6
    behind = Planck18.angular_diameter_distance_z1z2(lens, source)
    part = (behind / Planck18.angular_diameter_distance(source)).value
    speed = (dispersion * units.km / units.s / constants.c).to_value("")
    expected = np.rad2deg(4 * np.pi * speed**2 * part) * 3600
    found = einstein_radius(np.array([dispersion]), np.array([lens]), np.array([source]))
    assert found[0] == pytest.approx(expected, rel=2e-3)


def test_no_galaxy_lenses_what_is_in_front_of_it():
    assert einstein_radius(np.array([250.0]), np.array([0.5]), np.array([0.4]))[0] == 0


def test_a_sphere_deflects_by_its_einstein_radius_everywhere():
    by_x, by_y = Deflector(1.3, 1.0, 0.7).deflection(X, Y)
    np.testing.assert_allclose(np.hypot(by_x, by_y), 1.3, rtol=1e-5)
    np.testing.assert_allclose(by_x * Y - by_y * X, 0, atol=1e-5)


def density(lens, x, y):
    """Surface density of an isothermal ellipsoid (Kormann et al. 1994, eq. 21)."""
    f, (cos, sin) = lens.axis_ratio, (np.cos(lens.angle), np.sin(lens.angle))
    long, short = cos * x + sin * y, cos * y - sin * x
    return lens.einstein_radius * np.sqrt(f) / 2 / np.sqrt(short**2 + f**2 * long**2)


def by_integral(lens, x, y):
    """Deflection by an integral over ellipses of any density (Keeton 2001, eq. 14 to 17)."""
    f, (cos, sin) = lens.axis_ratio, (np.cos(lens.angle), np.sin(lens.angle))
    long, short = cos * x + sin * y, cos * y - sin * x

    def integral(power):
        def inside(u):
            narrow = 1 - (1 - f**2) * u
            ellipse = np.sqrt(u * (long**2 + short**2 / narrow))
            # The density depends on the ellipse alone: that of a point on the long axis.
            return density(lens, ellipse * cos, ellipse * sin) / narrow ** (power + 0.5)

        return quad(inside, 0, 1, epsabs=1e-10)[0]

    by_long, by_short = f * long * integral(0), f * short * integral(1)
    return cos * by_long - sin * by_short, sin * by_long + cos * by_short


def test_the_ellipsoid_deflects_by_the_integral_of_its_surface_density():
    by_x, by_y = ELLIPSOID.deflection(X, Y)
    expected = np.transpose([by_integral(ELLIPSOID, *place) for place in zip(X, Y, strict=True)])
    np.testing.assert_allclose([by_x, by_y], expected, rtol=1e-6)


def derivatives(lens, x, y, step=1e-4):
    """Derivatives of the deflection, by differences: d x / d x, d y / d y, d x / d y, d y / d x."""
    along_x = [np.subtract(*pair) / (2 * step) for pair in zip(
        lens.deflection(x + step, y), lens.deflection(x - step, y), strict=True)]  # fmt: skip
    along_y = [np.subtract(*pair) / (2 * step) for pair in zip(
        lens.deflection(x, y + step), lens.deflection(x, y - step), strict=True)]  # fmt: skip
    return along_x[0], along_y[1], along_y[0], along_x[1]


def test_the_divergence_is_twice_the_surface_density_and_there_is_no_rotation():
    xx, yy, xy, yx = derivatives(ELLIPSOID, X, Y)
    np.testing.assert_allclose((xx + yy) / 2, density(ELLIPSOID, X, Y), rtol=1e-5)
    np.testing.assert_allclose(xy, yx, atol=1e-6)


def test_the_shear_is_what_is_added():
    alone, sheared = Deflector(1.3, 0.6, 0.4), Deflector(1.3, 0.6, 0.4, (0.05, -0.02))
    for before, after, shear in zip(
        derivatives(alone, X, Y), derivatives(sheared, X, Y), (0.05, -0.05, -0.02, -0.02),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(after - before, shear, atol=1e-6)


def test_the_images_of_a_point_behind_a_sphere_are_at_beta_plus_and_minus_theta():
    lens, source = Deflector(1.3, 1.0, 0.0), 0.4

    def missed(x):
        return float(lens.source_of(np.array([x]), np.array([0.0]))[0][0]) - source

    assert brentq(missed, 0.5, 4) == pytest.approx(source + 1.3, rel=1e-5)
    assert brentq(missed, -3, -0.1) == pytest.approx(source - 1.3, rel=1e-5)


def test_deflections_are_those_of_lenstronomy():
    pytest.importorskip("lenstronomy")
    from lenstronomy.LensModel.lens_model import LensModel
    from lenstronomy.Util.param_util import phi_q2_ellipticity

    e1, e2 = phi_q2_ellipticity(ELLIPSOID.angle, ELLIPSOID.axis_ratio)
    values = {"theta_E": 1.3, "e1": e1, "e2": e2, "center_x": 0, "center_y": 0}
    expected = LensModel(["SIE"]).alpha(X, Y, [values])
    np.testing.assert_allclose(ELLIPSOID.deflection(X, Y), expected, rtol=1e-3)


@pytest.mark.parametrize("index", [0.7, 1.0, 2.0])
def test_half_of_the_light_is_within_the_radius(index):
    light = [
        quad(lambda r: 2 * np.pi * r * sersic(np.array(r), index), 0, end)[0] for end in (1, 80)
    ]
    np.testing.assert_allclose(light, [0.5, 1], rtol=2e-3)


def system(place, radius=0.2, einstein=1.3, ratio=1.0, **changes):
    """One source behind one lens."""
    sources = Sources(
        np.array([place]),
        np.full((1, len(BANDS)), 10 ** (-0.4 * 23.0)),
        np.array([radius]),
        np.array([1.0]),
        np.array([0.0]),
        np.array([1.0]),
        np.zeros((1, 3, 2)),
        changes.get("in_clumps", np.zeros((1, 3))),
    )
    galaxies = None
    return Systems(
        galaxies, sources, np.array([einstein]), np.array([ratio]), np.zeros(1), np.zeros((1, 2))
    )


NO_DUST, MIDDLE = np.zeros(len(LSST.bands)), np.zeros(2)


@pytest.mark.parametrize("beta", [0.3, 0.6])
def test_light_is_magnified_by_area_alone(beta):
    """A sphere magnifies a point by 2 theta / beta; surface brightness is that of the source."""
    one = system((beta, 0.0), radius=0.12)
    image = arcs(one, 0, NO_DUST, MIDDLE, LSST).image
    place = np.linspace(-0.995, 0.995, 200)
    x, y = np.meshgrid(place, place)
    light = sersic(np.hypot(x, y) / 0.12, 1.0)
    expected = (light * 2 * 1.3 / np.hypot(x + beta, y)).sum() / light.sum()
    assert image.sum() == pytest.approx(expected, rel=0.02)
    # Nothing is brighter than the middle of the source, and the images reach it nearly.
    wide = system((beta, 0.0), radius=0.4)
    seen = arcs(wide, 0, NO_DUST, MIDDLE, LSST).image.max() / LSST.pixel_scale**2
    middle = float(sersic(np.array(0.0), 1.0)) / 0.4**2
    assert 0.6 * middle < seen < middle


def test_clumps_have_their_part_of_the_light():
    """Without a lens, a source has its flux in the cut-out."""
    one = system((0.4, -0.3), einstein=1e-9, in_clumps=np.array([[0.1, 0.15, 0.0]]))
    assert arcs(one, 0, NO_DUST, MIDDLE, LSST).image.sum() == pytest.approx(1, rel=0.02)


def test_a_source_in_the_middle_is_a_ring():
    image = arcs(system((0.0, 0.0), radius=0.1), 0, NO_DUST, MIDDLE, LSST).image
    size = image.shape[0]
    place = (np.arange(size) - (size - 1) / 2) * LSST.pixel_scale
    distance = np.hypot(*np.meshgrid(place, place))
    assert (image * distance).sum() / image.sum() == pytest.approx(1.3, rel=0.02)
    np.testing.assert_allclose(image, image.T, atol=1e-4 * image.max())


def test_painted_light_is_where_and_as_much_as_it_is_painted():
    """A point of the canvas, one pixel right and two below the middle."""
    light = np.zeros((LSST.n_pixels * FINER, LSST.n_pixels * FINER))
    x, y = place_on_canvas(LSST, MIDDLE)
    near = np.hypot(x - 1.5 * LSST.pixel_scale, y + 2.5 * LSST.pixel_scale)
    light[np.unravel_index(near.argmin(), near.shape)] = 1
    flux = np.array([1.0, 2.0, 3.0, 4.0])
    image = see([], Seeing(np.full(4, 0.8)), LSST, [on_canvas(light, flux, LSST)])
    np.testing.assert_allclose(image.sum(axis=(1, 2)), flux, rtol=2e-3)
    middle = (LSST.n_pixels - 1) / 2
    row, column = np.unravel_index(image[1].argmax(), image[1].shape)
    assert (column - middle, row - middle) == (1.5, -2.5)


def test_the_noise_is_that_of_the_sky_and_of_the_light():
    rng = np.random.default_rng(1)
    dark = observed(np.zeros((4, 300, 300), dtype=np.float32), LSST, rng)
    np.testing.assert_allclose(dark.std(axis=(1, 2)), noise_of_sky(LSST), rtol=0.01)
    bright = observed(np.full((4, 300, 300), 50.0, dtype=np.float32), LSST, rng)
    # Poisson: the variance of a flux is the flux divided by the electrons that it makes.
    expected = np.sqrt(noise_of_sky(LSST) ** 2 + 50 / np.array(LSST.electrons))
    np.testing.assert_allclose(bright.std(axis=(1, 2)), expected, rtol=0.01)


def test_the_signal_to_noise_of_even_light():
    """All pixels at 3 standard deviations in r, none seen in the others."""
    size = LSST.n_padded
    flux = np.where(np.array(LSST.bands) == "r", 3.0, 0.3) * noise_of_sky(LSST) * size**2
    found = significance(Painted(np.full((size, size), 1 / size**2), flux), LSST)
    # N pixels of 3 are 3 N / sqrt(N).
    assert found == pytest.approx(3 * LSST.n_pixels, rel=1e-3)


@pytest.fixture(scope="module")
def catalogue():
    return simulate(SimulatedLenses(output="x.h5", n_objects=60, seed=3))


def test_lenses_are_as_many_and_as_large_and_bright_as_asked_for(catalogue):
    objects = catalogue.objects
    lens = np.asarray(objects["type"]) == "lens"
    assert lens.sum() == 30
    assert objects["einstein_radius"][lens].min() >= 0.8
    assert objects["arc_signal_to_noise"][lens].min() >= 15
    assert np.isnan(objects["einstein_radius"][~lens]).all()
    assert set(objects["type"][~lens]) <= set(KINDS)


def test_cutouts_depend_on_seed_and_number_alone(catalogue):
    again = simulate(SimulatedLenses(output="x.h5", n_objects=60, seed=3)).cutouts
    rows = np.array([4, 1, 33])
    np.testing.assert_array_equal(catalogue.cutouts.read(rows), again[rows].read(np.arange(3)))
    assert np.isfinite(catalogue.cutouts.read(np.arange(60))).all()


def test_sources_are_bluer_than_lenses_and_behind_them():
    some = systems(1500, 0.8, Spectra.up_to(SOURCE_REDSHIFT), np.random.default_rng(1))
    assert len(some) > 100
    g, i = BANDS.index("g"), BANDS.index("i")
    of_lens, of_source = some.galaxies.flux.sum(axis=1), some.sources.flux
    colour = [-2.5 * np.log10(flux[:, g] / flux[:, i]) for flux in (of_lens, of_source)]
    assert np.median(colour[0] - colour[1]) > 1
    apart = np.hypot(*some.sources.place.T)
    # A sphere then magnifies 3 times or more (Collett 2015).
    assert (2 * some.einstein_radius / apart >= 3 * (1 - 1e-9)).all()
