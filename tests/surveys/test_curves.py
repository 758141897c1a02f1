"""Light curves as the network sees them, and versions of them at other redshifts."""

import numpy as np
import pytest
from astropy.cosmology import Planck18
from astropy.table import Table
from pydantic import ValidationError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from gammalearn.errors import EmptySelectionError
from gammalearn.settings.surveys import LightCurveData
from gammalearn.surveys.catalogue import Catalogue
from gammalearn.surveys.supernovae.curves import CONTEXT, Curve, into_nights, wavelengths
from gammalearn.surveys.supernovae.loading import Curves
from gammalearn.surveys.supernovae.preparation import with_fractions
from gammalearn.surveys.supernovae.types import class_of
from gammalearn.surveys.supernovae.versions import (
    SYSTEMATIC,
    TIME_SCALE,
    SmoothCurve,
    redshifted,
    within_reach,
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


def test_versions_have_the_redshifts_that_a_light_curve_can_be_moved_to():
    """Of any type: a network must not learn that what is far is of type Ia."""
    low, high = within_reach(0.2)
    assert (low, high) == (pytest.approx(0.14), pytest.approx(0.68))
    redshifts = [0.2, 0.1, 0.3, 0.5, 0.9, np.nan]
    time = np.arange(0.0, 60.0, 3.0)
    n = len(time)
    catalogue = Catalogue.build(
        Table({"object_id": list("abcdef"), "type": ["II"] * 6, "host_redshift": redshifts}),
        bands=("r",),
        of=np.repeat(np.arange(6), n),
        time=np.tile(time, 6),
        band=np.zeros(6 * n, int),
        flux=np.tile(1000 * np.exp(-((time - 20) ** 2) / 200), 6),
        flux_error=np.full(6 * n, 5.0),
    )
    curves, rng = Curves(catalogue, LightCurveData()), np.random.default_rng(1)
    seen = [curves.version(0, rng).context[CONTEXT.index("host_redshift")] for _ in range(200)]
    # With the error of the redshift, 0.05; the other objects are out of reach.
    assert np.min(seen) > 0
    for redshift in (0.2, 0.3, 0.5):
        near = np.abs(np.array(seen) - redshift) < 0.05
        assert near.mean() > 0.15
    assert np.max(seen) < 0.75


def test_fractions_of_the_types_in_an_epoch():
    kinds = np.array(["Ia"] * 60 + ["Ibc"] * 10 + ["II"] * 30 + ["other"] * 5 + [""] * 7)
    rows = np.arange(105)
    asked = {"Ia": 0.3, "Ibc": 0.2, "II": 0.5}
    of_epoch = with_fractions(rows, kinds, asked, seed=1)
    names, counts = np.unique(kinds[of_epoch], return_counts=True)
    found = dict(zip(names, counts, strict=True))
    # The 60 of type Ia are 30 % of 200.
    assert found == {"Ia": 60, "Ibc": 40, "II": 100, "other": 5}
    # Each of the ten comes four times.
    assert np.unique(of_epoch[kinds[of_epoch] == "Ibc"], return_counts=True)[1].tolist() == [4] * 10
    assert set(of_epoch) == set(rows)
    np.testing.assert_array_equal(with_fractions(rows, kinds, {}, seed=1), rows)


def test_fractions_of_a_type_that_is_missing_are_refused():
    kinds = np.array(["Ia", "II"])
    with pytest.raises(EmptySelectionError, match="the class Ibc"):
        with_fractions(np.arange(2), kinds, {"Ia": 0.3, "Ibc": 0.2, "II": 0.5}, seed=1)


@pytest.mark.parametrize("fractions", [{"Ia": 1.0}, {"Ia": 0.5, "Ibc": 0.2, "II": 0.5}])
def test_fractions_are_of_all_classes_and_whole(fractions):
    with pytest.raises(ValidationError, match="whose sum is 1"):
        LightCurveData(type_fractions=fractions)


def test_types_are_told_apart():
    kinds = ["Ia", "SNIa", "Ib", "Ic", "Ibc", "IIP", "IIn", "II", "", "unknown", "SLSN"]
    expected = ["Ia", "Ia", "Ibc", "Ibc", "Ibc", "II", "II", "II", "", "", "other"]
    assert class_of(kinds).tolist() == expected
