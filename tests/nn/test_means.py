"""Means over the images of each event, against numpy and a fit of scipy."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from gammalearn.nn.means import (
    images_of_events,
    mean_over_images,
    most_likely_mean,
    weighted_mean,
)


@given(event=st.lists(st.integers(0, 5), max_size=40))
def test_mean_over_images(event):
    """Of any number of images, in any order; 0 where an event has none."""
    event = np.array(event, dtype=np.int64)
    x = np.random.default_rng(0).normal(size=(len(event), 3))
    expected = [x[event == row].mean(axis=0) if row in event else np.zeros(3) for row in range(6)]
    rows = torch.from_numpy(event)
    mean = mean_over_images(torch.from_numpy(x), rows, 6)
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-14)
    assert images_of_events(rows, 6).tolist() == np.bincount(event, minlength=6).tolist()


def test_weighted_mean_is_that_of_numpy():
    estimates = torch.tensor([[1.0, 4.0, 0.0], [3.0, 8.0, np.log(3)], [7.0, 7.0, 60.0]])
    event = torch.tensor([1, 1, 0])
    expected = [[7, 7], np.average([[1, 4], [3, 8]], axis=0, weights=[1, 3])]
    torch.testing.assert_close(
        weighted_mean(estimates, event, 2), torch.tensor(np.array(expected), dtype=torch.float32)
    )


def test_the_most_likely_mean_is_that_of_a_fit():
    """scipy's least squares of a constant to values with known errors."""
    values, sigma = np.array([1.0, 3.0, 2.5]), np.array([0.1, 0.4, 0.2])
    estimates = np.column_stack([values, -values, np.log(sigma)])
    estimates = np.vstack([estimates, [7.0, 5.0, np.log(0.3)]])
    expected, covariance = curve_fit(
        lambda x, a: np.full_like(x, a), values, values, sigma=sigma, absolute_sigma=True
    )
    mean = most_likely_mean(torch.tensor(estimates), torch.tensor([1, 1, 1, 0]), 2)
    log_sigma = np.log(np.sqrt(covariance[0, 0]))
    expected = [[7, 5, np.log(0.3)], [expected[0], -expected[0], log_sigma]]
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
