"""Impact: where the axis meets the ground, from the event's telescopes."""

import astropy.units as u
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data import EventIndex
from gammalearn.settings import DataSettings
from gammalearn.tasks.impact import SCALE_M, ImpactTask


@pytest.fixture(scope="module")
def task(task_settings):
    return ImpactTask(task_settings)


metres = st.floats(-5000, 5000)


def test_target_by_hand(task, event_table):
    """A shower 50 m east and 200 m south of the reference, in units of 100 m."""
    events = event_table(true_core_x=150, true_core_y=-300, reference_x=100, reference_y=-100)
    np.testing.assert_allclose(task.targets(events), [[0.5, -2.0]])
    assert SCALE_M == 100


@given(metres, metres, metres, metres)
def test_decoding_the_truth_gives_the_truth(task, event_table, core_x, core_y, x, y):
    events = event_table(true_core_x=core_x, true_core_y=core_y, reference_x=x, reference_y=y)
    decoded = task.decode(task.truth(events), events)
    assert list(decoded) == ["core_x", "core_y"]
    assert decoded["core_x"].unit == decoded["core_y"].unit == u.m
    assert decoded["core_x"].value[0] == pytest.approx(core_x, abs=1e-8)
    assert decoded["core_y"].value[0] == pytest.approx(core_y, abs=1e-8)


@given(metres, metres)
def test_moving_the_array_changes_nothing(task, event_table, dx, dy):
    here = event_table(true_core_x=30, true_core_y=40, reference_x=10, reference_y=20)
    there = event_table(
        true_core_x=30 + dx, true_core_y=40 + dy, reference_x=10 + dx, reference_y=20 + dy
    )
    np.testing.assert_allclose(task.targets(there), task.targets(here), atol=1e-6)


@pytest.mark.parametrize("grouping", ["mono", "stereo"])
def test_reference_is_the_telescope_or_the_middle_of_the_telescopes(
    task, event_table, data_dir, grouping
):
    path = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    index = EventIndex.build([path], DataSettings(grouping=grouping))
    target = task.targets(index.events)
    for row, event in enumerate(index.events):
        telescopes = index.images[index.images["event"] == row]
        assert len(telescopes) == (1 if grouping == "mono" else event["multiplicity"])
        expected = [
            (event[f"true_core_{axis}"] - np.mean(telescopes[axis])) / SCALE_M for axis in "xy"
        ]
        np.testing.assert_allclose(target[row], expected, rtol=1e-5)


def test_no_truth_no_target(task, event_table):
    events = event_table(true_core_x=[np.nan, 1], true_core_y=1, reference_x=0, reference_y=0)
    assert np.isnan(task.targets(events)).any(axis=1).tolist() == [True, False]


def test_loss_is_the_distance(task):
    output = torch.tensor([[3.0, 4.0], [1.0, 1.0]], requires_grad=True)
    loss = task.loss(output, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert loss.tolist() == [5, 0]
    loss.sum().backward()
    assert torch.isfinite(output.grad).all()


@pytest.mark.parametrize("n_events", [1, 2, 50])
def test_metrics_are_in_metres(task, n_events):
    output, target = np.random.default_rng(n_events).normal(size=(2, n_events, 2))
    expected = 100 * np.quantile(np.hypot(*(output - target).T), 0.68)
    metrics = task.metrics(torch.from_numpy(output), torch.from_numpy(target))
    assert metrics == {"impact_resolution": pytest.approx(expected)}


def test_metrics_of_no_events(task):
    metrics = task.metrics(torch.zeros(0, 2), torch.zeros(0, 2))
    assert list(metrics) == ["impact_resolution"] and np.isnan(metrics["impact_resolution"])
