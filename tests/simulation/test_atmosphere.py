"""The air against ctapipe's own profile, closed formulas and values by hand."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.atmosphere import FiveLayerAtmosphereDensityProfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gammalearn.simulation.atmosphere import (
    TOP,
    density,
    height_at,
    refractivity,
    scale_height,
    thickness,
    thickness_from_density,
    transmission,
)

#: CORSIKA's atmosphere 1 as its user's guide prints it: a, b in g/cm², c in cm.
CORSIKA = np.array(
    [
        [0.0, 4e5, 10e5, 40e5, 100e5],
        [-186.5553, -94.919, 0.61289, 0.0, 0.01128292],
        [1222.6562, 1144.9069, 1305.5948, 540.1778, 1.0],
        [994186.38, 878153.55, 636143.04, 772170.16, 1e9],
    ]
)


@pytest.fixture(scope="module")
def ctapipe_profile():
    return FiveLayerAtmosphereDensityProfile.from_array(
        np.vstack([CORSIKA, 1.0 / CORSIKA[3]]).T, metadata={}
    )


@pytest.mark.parametrize("height", [0.0, 2158.0, 3999.0, 4001.0, 12e3, 39e3, 41e3, 90e3])
def test_is_the_profile_of_corsika(ctapipe_profile, height):
    expected = ctapipe_profile.integral(height * u.m).to_value("g/cm2")
    assert thickness(height) == pytest.approx(expected, rel=1e-5, abs=2e-3)
    expected = ctapipe_profile(height * u.m).to_value("g/cm3") * 100.0  # per m of g/cm²
    assert density(height) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("height", [0.0, 3999.0, 4001.0, 12e3, 39e3, 41e3, 90e3])
def test_over_a_scale_height_the_air_gets_thinner_by_e(ctapipe_profile, height):
    """As fast as it does there: by the derivative of the logarithm."""
    near = [ctapipe_profile((height + step) * u.m).value for step in (0.0, 0.5)]
    assert scale_height(height) == pytest.approx(0.5 / np.log(near[0] / near[1]), rel=1e-5)


@settings(deadline=None)  # the first call compiles
@given(st.floats(0.0, 99_000.0))
@example(4_000.0)
@example(10_000.0)
@example(40_000.0)
def test_height_is_the_inverse_of_thickness(height):
    # The published parameters leave steps of at most 1.1e-3 g/cm² where two layers meet.
    at_an_edge = any(abs(height - edge) < 1.0 for edge in (4e3, 10e3, 40e3))
    step = 1.1e-3 / density(height) if at_an_edge else 0.0
    assert height_at(thickness(height)) == pytest.approx(height, abs=1e-3 + step)
    assert thickness_from_density(height, density(height)) == pytest.approx(
        thickness(height), abs=1e-2
    )


def test_nothing_is_above_the_top():
    assert thickness(TOP) == 0.0
    assert height_at(0.0) == TOP


@pytest.mark.parametrize(
    ("height", "angle", "threshold"),
    [(2e3, 1.23, 23.7), (6e3, 1.00, 29.3), (10e3, 0.80, 36.5), (15e3, 0.54, 53.9)],
)
def test_cherenkov_angle_and_threshold(height, angle, threshold):
    """Values published for this atmosphere: degrees, and MeV of electrons."""
    n = 1.0 + refractivity(density(height))
    assert np.degrees(np.arccos(1.0 / n)) == pytest.approx(angle, abs=0.01)
    assert 0.511 / np.sqrt(1.0 - 1.0 / n**2) == pytest.approx(threshold, rel=0.01)


def test_rayleigh_scattering_by_hand():
    """At 700 nm neither ozone nor much aerosol is left: the rest is the formula."""
    crossed = thickness(2158.0) - thickness(10_000.0)
    rayleigh = np.exp(-crossed / 1645.0 * (350.0 / 700.0) ** 4)
    assert transmission(700.0, 10_000.0, 2158.0)[0, 0] == pytest.approx(rayleigh, rel=0.02)


def test_transmission_falls_with_height_zenith_and_shorter_waves():
    wavelength = np.array([280.0, 320.0, 400.0, 600.0])
    heights = np.array([3e3, 8e3, 15e3])
    vertical = transmission(wavelength, heights, 2158.0)
    assert vertical.shape == (3, 4)
    assert np.all(np.diff(vertical, axis=0) < 0)
    assert np.all(np.diff(vertical, axis=1) > 0)
    inclined = transmission(wavelength, heights, 2158.0, zenith=np.pi / 3)
    assert inclined == pytest.approx(vertical**2)
    assert transmission(400.0, 1000.0, 2158.0)[0, 0] == 1.0  # emitted below the observer
