"""Separation against sklearn, closed formulas and by hand."""

import numpy as np
import pytest
from astropy.table import QTable
from scipy.stats import norm
from sklearn.metrics import auc, roc_auc_score

from gammalearn.evaluation import area_under_curve, gammaness_histogram, mean_gammaness, roc_curve
from gammalearn.evaluation.statistics.separation import draw_gammaness, draw_roc_curve


def scores(gammas, protons, electrons=()):
    particle = ["gamma"] * len(gammas) + ["proton"] * len(protons) + ["electron"] * len(electrons)
    gammaness = np.array([*gammas, *protons, *electrons], dtype=float)
    return QTable({"particle": np.array(particle, dtype="U8"), "gammaness": gammaness})


@pytest.fixture(scope="module")
def gaussian():
    """Gammas and others one standard deviation apart."""
    random = np.random.default_rng(0)
    return scores(
        random.normal(0.6, 0.1, 20_000), random.normal(0.5, 0.1, 20_000), random.normal(0.5, 0.1, 5)
    )


def test_area_is_the_chance_that_a_gamma_scores_higher():
    # Of the 2 × 3 pairs, 0.9 beats all; 0.4 beats 0.1 and draws with 0.4.
    events = scores([0.9, 0.4], [0.1, 0.4], [0.5])
    assert area_under_curve(events)["auc"] == pytest.approx((3 + 1.5) / 6)


def test_area_of_two_gaussians_is_known(gaussian):
    # P(x_gamma > x_other) = Φ(Δ / (√2 σ)).
    assert area_under_curve(gaussian)["auc"] == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.01)


def test_all_other_particles_are_background():
    events = scores([0.9], [0.1], [0.2])
    assert roc_curve(events).meta == {"n_gamma": 1, "n_other": 2}


def test_curve_by_hand():
    curve = roc_curve(scores([0.9, 0.4], [0.6, 0.1]))
    np.testing.assert_allclose(curve["false_positive_rate"], [0, 0, 0.5, 0.5, 1])
    np.testing.assert_allclose(curve["true_positive_rate"], [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve["threshold"][1:], [0.9, 0.6, 0.4, 0.1])


def test_interval_is_wilsons():
    # Wilson's interval for 1 of 2 with z = 1: (k + 1/2 ± √(k(n−k)/n + 1/4)) / (n + 1).
    curve = roc_curve(scores([0.9, 0.4], [0.6, 0.1]))
    half = np.sqrt(1 * 1 / 2 + 0.25) / 3
    assert curve["true_positive_rate_low"][1] == pytest.approx(0.5 - half, abs=1e-4)
    assert curve["true_positive_rate_high"][1] == pytest.approx(0.5 + half, abs=1e-4)


def test_a_long_curve_is_thinned_without_changing_its_area(gaussian):
    curve = roc_curve(gaussian)
    assert 500 < len(curve) <= 1001
    assert (curve["false_positive_rate"][0], curve["true_positive_rate"][0]) == (0, 0)
    assert (curve["false_positive_rate"][-1], curve["true_positive_rate"][-1]) == (1, 1)
    thinned = auc(curve["false_positive_rate"], curve["true_positive_rate"])
    full = roc_auc_score(gaussian["particle"] == "gamma", gaussian["gammaness"])
    assert thinned == pytest.approx(full, abs=1e-4)


@pytest.mark.parametrize(
    ("events", "lacking"),
    [
        (scores([0.5], []), "other particles"),
        (scores([], [0.5]), "gammas"),
        (scores([], []), "gammas"),
    ],
)
def test_one_class_alone_has_no_curve_and_no_area(events, lacking):
    curve, area = roc_curve(events), area_under_curve(events)
    assert np.isnan(curve["true_positive_rate"]).all()
    assert np.isnan(area["auc"])
    axes = draw_roc_curve(curve, area).axes[0]
    assert axes.texts[0].get_text() == f"no curve: there are no {lacking}"


def test_mean_gammaness():
    events = scores([0.9, 0.7], [0.1])
    assert mean_gammaness(events, "gamma") == pytest.approx(0.8)
    assert np.isnan(mean_gammaness(events, "electron"))


def test_histogram_counts_each_particle():
    histogram = gammaness_histogram(scores([0.9, 0.8], [0.1], [0.6]), np.array([0, 0.5, 1]))
    counts = [name for name in histogram.colnames if "fraction" not in name]
    assert counts == ["low", "high", "gamma", "electron", "proton"]
    assert histogram["gamma"].tolist() == [0, 2]
    assert histogram["electron"].tolist() == [0, 1]
    assert histogram["proton"].tolist() == [1, 0]


def test_histogram_has_the_fractions_of_each_particle_with_binomial_errors():
    histogram = gammaness_histogram(scores([0.9, 0.8, 0.2], []), np.array([0, 0.5, 1]))
    np.testing.assert_allclose(histogram["gamma_fraction"], [1 / 3, 2 / 3])
    # Wilson's interval of k of n, with z = 1: (k + 1/2 ± √(k (n − k)/n + 1/4)) / (n + 1).
    k, n = np.array([1, 2]), 3
    half = np.sqrt(k * (n - k) / n + 1 / 4)
    for end, sign in (("low", -1), ("high", 1)):
        expected = (k + 1 / 2 + sign * half) / (n + 1)
        np.testing.assert_allclose(histogram[f"gamma_fraction_{end}"], expected, rtol=2e-3)


def test_picture_shows_scores_beyond_0_and_1_too():
    axes = draw_gammaness(gammaness_histogram(scores([1.5], [-0.5]))).axes[0]
    assert axes.get_xlim() == (-0.5, 1.5)


def test_picture_of_no_events_says_so():
    assert (
        draw_gammaness(gammaness_histogram(scores([], []))).axes[0].texts[0].get_text()
        == "no events"
    )
