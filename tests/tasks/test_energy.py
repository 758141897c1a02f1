"""Energy: log10(E/TeV)."""

import astropy.units as u
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.tasks.energy import EnergyTask


@pytest.fixture(scope="module")
def task(task_settings):
    return EnergyTask(task_settings)


def test_target(task, event_table):
    events = event_table(true_energy=[1.0, 0.01, 1000.0])
    np.testing.assert_allclose(task.targets(events), [[0], [-2], [3]], rtol=1e-6)
    assert task.targets(events).dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_no_energy_no_target(task, event_table):
    events = event_table(true_energy=[np.nan, 0.0, -1.0, 1.0])
    assert np.isnan(task.targets(events)[:, 0]).tolist() == [True, True, True, False]


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=20))
def test_decoding_the_truth_gives_the_truth(task, event_table, energy):
    events = event_table(true_energy=energy)
    decoded = task.decode(task.truth(events), events)
    assert list(decoded) == ["energy"]
    assert decoded["energy"].unit == u.TeV
    np.testing.assert_allclose(decoded["energy"].value, energy, rtol=1e-12)


def test_decoded_by_hand(task, event_table):
    output = np.array([[-1], [0], [2], [np.nan]], dtype=np.float32)
    decoded = task.decode(output, event_table(true_energy=[1, 1, 1, 1]))["energy"]
    np.testing.assert_allclose(decoded.to_value(u.GeV), [100, 1000, 1e5, np.nan])


def test_loss_is_the_absolute_error(task):
    output, target = torch.tensor([[1.0], [-2.0], [0.5]]), torch.tensor([[0.0], [1.0], [0.5]])
    assert task.loss(output, target).tolist() == [1, 3, 0]


@pytest.mark.parametrize("n_events", [1, 2, 9, 100])
def test_metrics(task, n_events):
    random = np.random.default_rng(n_events)
    output, target = random.normal(size=(2, n_events, 1))
    error = 10 ** (output - target)[:, 0] - 1
    low, median, high = np.quantile(error, [0.158655254, 0.5, 0.841344746])
    metrics = task.metrics(torch.from_numpy(output), torch.from_numpy(target))
    assert metrics["energy_bias"] == pytest.approx(median)
    assert metrics["energy_resolution"] == pytest.approx((high - low) / 2)


def test_metrics_of_wild_outputs_are_finite(task):
    """An untrained network may be 40 decades off, beyond what float32 holds."""
    metrics = task.metrics(torch.tensor([[40.0], [41.0]]), torch.tensor([[0.0], [0.0]]))
    assert all(np.isfinite(value) for value in metrics.values())


def test_metrics_of_no_events(task):
    metrics = task.metrics(torch.zeros(0, 1), torch.zeros(0, 1))
    assert metrics.keys() == {"energy_bias", "energy_resolution"}
    assert np.isnan(list(metrics.values())).all()
