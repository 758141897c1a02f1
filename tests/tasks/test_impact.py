"""Impact: where the shower hits the ground, from the event's telescopes, as they see it."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import AltAz, CartesianRepresentation, SkyCoord
from ctapipe.coordinates import TelescopeFrame
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data import EventIndex
from gammalearn.settings import DataSettings
from gammalearn.tasks.impact import SCALE_M, ImpactTask


@pytest.fixture(scope="module")
def task(task_settings):
    return ImpactTask(task_settings)


metres = st.floats(-5000, 5000)
pointings = {"pointing_alt": st.floats(20, 90), "pointing_az": st.floats(0, 360)}


@pytest.mark.parametrize(
    ("pointing", "expected"),
    [
        # At the zenith, of a telescope that came from the north: fov_lat grows to the south,
        # fov_lon to the east, and heights mean nothing.
        ((90, 0), [0.5, 2.0]),
        # From the south it is the other way round.
        ((90, 180), [-0.5, -2.0]),
        # To the north at 30 deg: the plane stands steep. 200 m to the south shrink to their half,
        # and the core, 20 m below the reference, is 20 m · cos(30°) further down.
        ((30, 0), [0.5, 1.0 - 0.2 * np.sqrt(0.75)]),
        # To the east at 30 deg: fov_lon grows to the south, and 50 m towards the source are 25 m
        # down.
        ((30, 90), [2.0, -0.25 - 0.2 * np.sqrt(0.75)]),
    ],
)
def test_target_by_hand(task, event_table, pointing, expected):
    """A shower 50 m east and 200 m south of the reference, 20 m below it, in units of 100 m."""
    alt, az = pointing
    events = event_table(
        true_core_x=-300,
        true_core_y=50,
        reference_x=-100,
        reference_y=100,
        reference_z=20,
        pointing_alt=alt,
        pointing_az=az,
    )
    np.testing.assert_allclose(task.targets(events), [expected], atol=1e-6)
    assert SCALE_M == 100


@given(st.fixed_dictionaries({
    "true_core_x": metres, "true_core_y": metres, "reference_x": metres, "reference_y": metres,
    "reference_z": st.floats(-50, 50), **pointings,
}))  # fmt: skip
def test_decoding_the_truth_gives_the_truth(task, event_table, columns):
    events = event_table(**columns)
    decoded = task.decode(task.truth(events), events)
    assert list(decoded) == ["core_x", "core_y"]
    assert decoded["core_x"].unit == decoded["core_y"].unit == u.m
    assert decoded["core_x"].value[0] == pytest.approx(columns["true_core_x"], abs=1e-8)
    assert decoded["core_y"].value[0] == pytest.approx(columns["true_core_y"], abs=1e-8)


@given(metres, metres, st.fixed_dictionaries(pointings))
def test_moving_the_array_changes_nothing(task, event_table, dx, dy, pointing):
    here = event_table(
        true_core_x=30, true_core_y=40, reference_x=10, reference_y=20, reference_z=5, **pointing
    )
    there = event_table(
        true_core_x=30 + dx,
        true_core_y=40 + dy,
        reference_x=10 + dx,
        reference_y=20 + dy,
        reference_z=5,
        **pointing,
    )
    np.testing.assert_allclose(task.targets(there), task.targets(here), atol=1e-6)


@pytest.mark.parametrize("grouping", ["mono", "stereo"])
def test_reference_is_the_telescope_or_the_middle_of_the_telescopes(task, data_dir, grouping):
    """Seen from there, the core lies in the sky where the target is in the plane, by astropy."""
    path = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    index = EventIndex.build([path], DataSettings(grouping=grouping))
    target = task.targets(index.events)
    for row, event in enumerate(index.events):
        telescopes = index.images[index.images["event"] == row]
        assert len(telescopes) == (1 if grouping == "mono" else event["multiplicity"])
        core = [event["true_core_x"], event["true_core_y"], 0.0]
        to_core = np.array(core) - [np.mean(telescopes[axis]) for axis in "xyz"]
        pointing = SkyCoord(
            alt=event["pointing_alt"] * u.deg, az=event["pointing_az"] * u.deg, frame=AltAz()
        )
        # A point far up from the core, along the pointing.
        up = pointing.cartesian.xyz.value * [1, -1, 1]
        x, y, z = to_core + 1e7 * up
        there = SkyCoord(CartesianRepresentation(x, -y, z), frame=AltAz())
        offset = there.transform_to(TelescopeFrame(telescope_pointing=pointing))
        expected = [
            1e7 * np.tan(angle.wrap_at(180 * u.deg).rad) / SCALE_M
            for angle in (offset.fov_lon, offset.fov_lat)
        ]
        np.testing.assert_allclose(target[row], expected, atol=1e-3)


def test_no_truth_no_target(task, event_table):
    events = event_table(
        true_core_x=[np.nan, 1],
        true_core_y=1,
        reference_x=0,
        reference_y=0,
        reference_z=0,
        pointing_alt=70,
        pointing_az=0,
    )
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
    expected = 100 * np.quantile(np.hypot(*(output - target).T), 0.682689492)
    metrics = task.metrics(torch.from_numpy(output), torch.from_numpy(target))
    assert metrics == {"impact_resolution": pytest.approx(expected)}


def test_metrics_of_no_events(task):
    metrics = task.metrics(torch.zeros(0, 2), torch.zeros(0, 2))
    assert list(metrics) == ["impact_resolution"] and np.isnan(metrics["impact_resolution"])
