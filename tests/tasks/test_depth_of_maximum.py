"""Depth of the shower's maximum, in the atmosphere that it crosses."""

import astropy.units as u
import numpy as np
import pytest
import torch
from ctapipe.io import TableLoader
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data import EventIndex
from gammalearn.settings import DataSettings, TaskSettings
from gammalearn.tasks.depth_of_maximum import DepthOfMaximumTask


@pytest.fixture(scope="module")
def task(task_settings):
    return DepthOfMaximumTask(task_settings)


@pytest.mark.filterwarnings("error")
def test_target_in_units_of_100_grammes_per_square_centimetre(task, event_table):
    events = event_table(true_x_max=[250.0, 0.0, np.nan, -1.0])
    np.testing.assert_allclose(task.targets(events)[:, 0], [2.5, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    "name", ["gamma_lsts_run7_7.0.0", "proton_run202_prod5", "proton_run202_prod5.ctapipe0.19.3"]
)
@pytest.mark.parametrize("grouping", ["stereo", "mono"])
def test_truth_of_ctapipe_files_is_what_ctapipe_reads(task, data_dir, name, grouping):
    path = data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"
    events = EventIndex.build([path], DataSettings(grouping=grouping)).events
    with TableLoader(path) as loader:
        expected = loader.read_subarray_events()
    depth = {int(row["event_id"]): row["true_x_max"] for row in expected}
    assert expected["true_x_max"].unit == u.g / u.cm**2
    truth = task.decode(task.truth(events), events)["x_max"].to_value(u.g / u.cm**2)
    np.testing.assert_allclose(truth, [depth[int(number)] for number in events["event_id"]])


@given(st.lists(st.floats(1, 2000), min_size=1, max_size=20))
def test_decoding_the_truth_gives_the_truth(task, event_table, depth):
    events = event_table(true_x_max=depth)
    decoded = task.decode(task.truth(events), events)
    assert list(decoded) == ["x_max"]
    np.testing.assert_allclose(decoded["x_max"].to_value(u.g / u.cm**2), depth, rtol=1e-12)


def test_uncertainty_by_hand(event_table):
    task = DepthOfMaximumTask(TaskSettings(uncertainty=True))
    output = np.array([[3.0, np.log(0.2)]], dtype=np.float32)
    columns = task.decode(output, event_table(true_x_max=[300.0]))
    assert list(columns) == ["x_max", "x_max_uncert"]
    assert columns["x_max_uncert"].to_value(u.kg / u.m**2) == pytest.approx([200], rel=1e-4)


@pytest.mark.parametrize("n_events", [1, 2, 50])
def test_metrics(task, n_events):
    output, target = np.random.default_rng(n_events).normal(size=(2, n_events, 1))
    metrics = task.metrics(torch.from_numpy(output), torch.from_numpy(target))
    expected = 100 * np.quantile(np.abs(output - target), 0.682689492)
    assert metrics == {"x_max_resolution": pytest.approx(expected)}


def test_metrics_of_no_events(task):
    metrics = task.metrics(torch.zeros(0, 1), torch.zeros(0, 1))
    assert list(metrics) == ["x_max_resolution"] and np.isnan(metrics["x_max_resolution"])
