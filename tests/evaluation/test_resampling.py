"""Statistics of repeated values against numpy and sklearn; the bootstrap against formulas."""

import numpy as np
import pytest
from astropy.table import QTable
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gammalearn.evaluation.statistics.resampling import (
    bootstrap,
    repeated_area_under_curve,
    repeated_fraction_left,
    repeated_quantiles,
)
from gammalearn.evaluation.statistics.working_points import working_points


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=20))
def test_quantiles_are_those_of_the_repeated_values(pairs):
    values, repeats = (np.array(column) for column in zip(*pairs, strict=True))
    (quantiles,) = repeated_quantiles(values, repeats[None], (0, 0.16, 0.5, 1))
    if repeats.sum() == 0:
        assert np.all(np.isnan(quantiles))
    else:
        expected = np.quantile(np.repeat(values, repeats), (0, 0.16, 0.5, 1))
        np.testing.assert_allclose(quantiles, expected, atol=1e-12)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20
    )
)
def test_the_area_is_that_of_the_repeated_events(rows):
    gammaness, is_gamma, repeats = (np.array(column) for column in zip(*rows, strict=True))
    (area,) = repeated_area_under_curve(gammaness, is_gamma, repeats[None])
    truth = np.repeat(is_gamma, repeats)
    if len(np.unique(truth)) < 2:
        assert np.isnan(area)
    else:
        assert area == pytest.approx(roc_auc_score(truth, np.repeat(gammaness, repeats)))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20
    ),
    st.sampled_from([0.1, 0.5, 0.8, 1.0]),
)
def test_what_is_left_is_that_of_the_working_point(rows, efficiency):
    gammaness, is_gamma, repeats = (np.array(column) for column in zip(*rows, strict=True))
    (left,) = repeated_fraction_left(gammaness, is_gamma, repeats[None], efficiency)
    events = QTable({"gammaness": np.repeat(gammaness, repeats).astype(float)})
    events["particle"] = np.where(np.repeat(is_gamma, repeats), "gamma", "proton")
    if len(np.unique(events["particle"])) < 2:
        assert np.isnan(left)
    else:
        (point,) = working_points(events, [efficiency])
        assert left == pytest.approx(point["efficiency_other"])


def means(*samples):
    return lambda repeats: np.stack(
        [n @ x / n.sum(axis=1) for n, x in zip(repeats, samples, strict=True)], axis=1
    )


def test_the_error_of_a_mean_is_known():
    values = np.random.default_rng(1).normal(0, 2, 400)
    alone = [np.arange(400)]
    drawn = bootstrap(means(values), alone, np.zeros(400, int), 2000)
    assert np.std(drawn) == pytest.approx(np.std(values) / 20, rel=0.07)


def test_images_of_a_shower_count_as_one():
    values = np.repeat(np.random.default_rng(1).normal(0, 2, 100), 4)
    drawn = bootstrap(means(values), [np.repeat(np.arange(100), 4)], np.zeros(100, int), 2000)
    assert np.std(drawn) == pytest.approx(np.std(values) / 10, rel=0.07)


def test_what_samples_have_in_common_goes_out_of_their_difference():
    random = np.random.default_rng(1)
    first = random.normal(0, 2, 400)
    second = first + random.normal(0, 0.1, 400)
    drawn = bootstrap(means(first, second), [np.arange(400)] * 2, np.zeros(400, int), 500)
    assert np.std(drawn[:, 0] - drawn[:, 1]) == pytest.approx(0.1 / 20, rel=0.15)


def test_as_many_of_each_kind_are_drawn_as_there_are():
    kinds = np.array([0] * 3 + [1] * 7)
    counts = bootstrap(
        lambda repeats: np.stack([repeats[0][:, :3].sum(1), repeats[0][:, 3:].sum(1)], 1),
        [np.arange(10)],
        kinds,
        50,
    )
    assert np.unique(counts, axis=0).tolist() == [[3, 7]]
