"""Light curves as the network sees them, and versions of them at other redshifts."""

import numpy as np
import pytest
from astropy.cosmology import Planck18
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from gammalearn.surveys.supernovae.curves import CONTEXT, Curve, into_nights, wavelengths
from gammalearn.surveys.supernovae.types import class_of
from gammalearn.surveys.supernovae.versions import (
    SYSTEMATIC,
    TIME_SCALE,
    SmoothCurve,
    redshifted,
)


def test_observations_of_a_night_are_averaged_by_their_errors():
    curve = Curve(
        np.array([10.0, 10.1, 10.2, 14.0]),
        np.array([0, 0, 1, 1]),
        np.array([100.0, 130.0, 50.0, 200.0]),
        np.array([10.0, 20.0, 5.0, 10.0]),
    )
    nights = into_nights(curve, 2)
    # (100/100 + 130/400) / (1/100 + 1/400) = 106, and the brightest point is 200.
    np.testing.assert_allclose(nights.flux, [[0.53, 0.25], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(nights.error[0], [80**0.5 / 200, 5 / 200], rtol=1e-6)
    assert nights.observed.tolist() == [[True, True], [False, True]]
    # From the night with the largest signal to noise.
    np.testing.assert_allclose(nights.time, [-3.9, 0], atol=1e-5)


def test_the_context_says_how_bright_it_is():
    curve = Curve(np.array([0.0]), np.array([0]), np.array([100.0]), np.array([1.0]), 0.5, 0.02)
    context = dict(zip(CONTEXT, into_nights(curve, 1).context, strict=True))
    assert context["host_redshift"] == pytest.approx(0.5)
    # The magnitude of a flux of 100 is 22.5.
    absolute = 22.5 - Planck18.distmod(0.5).value
    assert context["brightness"] == pytest.approx(absolute + 19, abs=0.003)
    unknown = dict(zip(CONTEXT, into_nights(curve.without_redshift(), 1).context, strict=True))
    assert unknown["has_redshift"] == unknown["brightness"] == 0


def test_bands_that_are_not_known_are_between_their_neighbours():
    assert wavelengths(("g", "x", "i")).tolist() == [480.0, 617.5, 755.0]


@pytest.fixture
def curve():
    """A bright supernova of 30 d in one band."""
    time = np.arange(-30.0, 60.0, 5.0)
    flux = 1000 * np.exp(-0.5 * (time / 15) ** 2)
    return Curve(time, np.zeros(len(time), int), flux, np.full(len(time), 5.0), 0.2, 0.01)


def test_the_process_is_that_of_scikit_learn(curve):
    smooth = SmoothCurve.of(curve, np.array([600.0]), 0.2)
    size = curve.flux.max()
    theirs = GaussianProcessRegressor(
        Matern(TIME_SCALE * 1.2, nu=1.5),
        alpha=(curve.error / size) ** 2 + SYSTEMATIC**2,
        optimizer=None,
    ).fit(curve.time[:, None], curve.flux / size)
    times = np.array([-12.0, 3.0, 33.0])
    np.testing.assert_allclose(
        smooth.at(times, np.full(3, 600.0)), size * theirs.predict(times[:, None]), rtol=1e-6
    )


def test_a_version_is_dimmed_by_the_distance_and_longer(curve):
    rng = np.random.default_rng(1)
    smooth = SmoothCurve.of(curve, np.array([600.0]), 0.2)
    donor = Curve(
        np.arange(0.0, 200.0, 2.0), np.zeros(100, int), np.full(100, 1.0), np.full(100, 0.1), 0.4
    )
    version = redshifted(smooth, [donor], np.array([600.0]), rng)
    # mu(0.2) = 39.99, mu(0.4) = 41.70, and 1.4/1.2 for the frequency; blueward the same band.
    dimmed = 10 ** (-0.4 * 1.71) * 1.4 / 1.2
    assert version.flux.max() == pytest.approx(1000 * dimmed, rel=0.35)
    assert version.redshift == pytest.approx(0.4, abs=0.2)


def test_a_version_that_nobody_would_detect_is_none(curve):
    faint = Curve(np.array([0.0, 5.0]), np.zeros(2, int), np.ones(2), np.full(2, 1e5), 0.3)
    smooth = SmoothCurve.of(curve, np.array([600.0]), 0.2)
    assert redshifted(smooth, [faint], np.array([600.0]), np.random.default_rng(1)) is None


def test_types_are_told_apart():
    kinds = ["Ia", "SNIa", "Ib", "Ic", "Ibc", "IIP", "IIn", "II", "", "unknown", "SLSN"]
    expected = ["Ia", "Ia", "Ibc", "Ibc", "Ibc", "II", "II", "II", "", "", "other"]
    assert class_of(kinds).tolist() == expected
