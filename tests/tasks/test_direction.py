"""Direction: offsets in the sky, never differences of azimuths."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import AltAz, SkyCoord, angular_separation
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.tasks.direction import DirectionTask


@pytest.fixture(scope="module")
def task(task_settings):
    return DirectionTask(task_settings)


altitudes = st.floats(20, 89.9)  # zenith angles up to 70 deg, and near the zenith
azimuths = st.one_of(st.floats(0, 360), st.sampled_from([0.0, 1e-9, 359.999999999, 360.0, -5.0]))
#: Events may come from the edge of the largest field of view.
offsets = st.floats(-10, 10)


def angle_between(alt1, az1, alt2, az2):
    """Great-circle distance (deg), after Vincenty."""
    alt1, az1, alt2, az2 = (np.deg2rad(angle) for angle in (alt1, az1, alt2, az2))
    y1 = np.cos(alt2) * np.sin(az2 - az1)
    y2 = np.cos(alt1) * np.sin(alt2) - np.sin(alt1) * np.cos(alt2) * np.cos(az2 - az1)
    x = np.sin(alt1) * np.sin(alt2) + np.cos(alt1) * np.cos(alt2) * np.cos(az2 - az1)
    return np.rad2deg(np.arctan2(np.hypot(y1, y2), x))


@given(altitudes, azimuths, offsets, offsets)
def test_target_is_the_offset_on_the_sphere(task, event_table, alt, az, d_alt, d_az):
    true_alt, true_az = np.clip(alt + d_alt, -90, 90), az + d_az
    events = event_table(pointing_alt=alt, pointing_az=az, true_alt=true_alt, true_az=true_az)
    pointing = SkyCoord(AltAz(alt=alt * u.deg, az=az * u.deg))
    true = SkyCoord(AltAz(alt=true_alt * u.deg, az=true_az * u.deg))
    expected = [offset.to_value(u.deg) for offset in pointing.spherical_offsets_to(true)]
    np.testing.assert_allclose(task.truth(events)[0], expected, rtol=0, atol=1e-9)


def test_target_by_hand(task, event_table):
    events = event_table(
        pointing_alt=[70, 70, 0, 0, 0],
        pointing_az=[0, 180, 359, 1, 0],
        true_alt=[71, 70, 0, 0, -2],
        true_az=[0, 180, 1, 359, 0],
    )
    expected = [[0, 1], [0, 0], [2, 0], [-2, 0], [0, -2]]
    np.testing.assert_allclose(task.targets(events), expected, atol=1e-6)
    assert task.targets(events).dtype == np.float32


def test_an_azimuth_is_shorter_near_the_zenith(task, event_table):
    """At altitude 60 deg, one degree of azimuth is half a degree of the sky."""
    events = event_table(pointing_alt=60, pointing_az=0, true_alt=60, true_az=1)
    assert task.truth(events)[0, 0] == pytest.approx(0.5, abs=1e-4)


@given(altitudes, azimuths, offsets, offsets)
def test_decoding_the_truth_gives_the_truth(task, event_table, alt, az, d_alt, d_az):
    true_alt, true_az = np.clip(alt + d_alt, -90, 90), az + d_az
    events = event_table(pointing_alt=alt, pointing_az=az, true_alt=true_alt, true_az=true_az)
    decoded = task.decode(task.truth(events), events)
    assert list(decoded) == ["alt", "az"]
    assert decoded["alt"].unit == decoded["az"].unit == u.deg
    assert 0 <= decoded["az"].value[0] < 360
    separation = angle_between(decoded["alt"].value, decoded["az"].value, true_alt, true_az)
    assert separation[0] < 1e-8


@given(altitudes, azimuths, st.floats(0, 5), st.floats(0, 2 * np.pi))
def test_decoded_direction_is_as_far_as_the_output_says(
    task, event_table, alt, az, distance, angle
):
    output = distance * np.array([[np.cos(angle), np.sin(angle)]], dtype=np.float32)
    decoded = task.decode(output, event_table(pointing_alt=alt, pointing_az=az))
    separation = angle_between(decoded["alt"].value, decoded["az"].value, alt, az)[0]
    # In the small field of a camera, lon and lat are all but Cartesian.
    assert separation == pytest.approx(distance, rel=2e-3, abs=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("output", [[0, 91], [200, -500], [-1e6, 1e6], [1e30, -1e30]])
def test_output_beyond_the_sphere_is_finite(task, event_table, output):
    decoded = task.decode(
        np.array([output], dtype=np.float32), event_table(pointing_alt=70, pointing_az=180)
    )
    assert -90 <= decoded["alt"].value[0] <= 90
    assert 0 <= decoded["az"].value[0] < 360


def test_no_truth_no_target(task, event_table):
    events = event_table(
        pointing_alt=70, pointing_az=180, true_alt=[np.nan, 70], true_az=[np.nan, 180]
    )
    assert np.isnan(task.targets(events)).all(axis=1).tolist() == [True, False]


def test_no_output_no_direction(task, event_table):
    events = event_table(pointing_alt=[70, 70], pointing_az=180)
    decoded = task.decode(np.array([[np.nan, np.nan], [0, 0]], dtype=np.float32), events)
    assert np.isnan(decoded["alt"].value).tolist() == [True, False]
    assert np.isnan(decoded["az"].value).tolist() == [True, False]


def test_no_events(task, event_table):
    none = event_table(pointing_alt=70, pointing_az=180)[:0]
    assert task.targets(none).shape == (0, 2)
    assert len(task.decode(np.zeros((0, 2), dtype=np.float32), none)["alt"]) == 0


def separation(output, target):
    """Of astropy, in deg."""
    (lon, lat), (true_lon, true_lat) = np.deg2rad(output).T, np.deg2rad(target).T
    return np.rad2deg(angular_separation(lon, lat, true_lon, true_lat))


def test_loss_is_the_angle_on_the_sphere(task):
    rng = np.random.default_rng(1)
    target = rng.uniform(-5, 5, (200, 2))
    output = target + rng.normal(size=(200, 2)) * 10.0 ** rng.uniform(-3, 1, (200, 1))
    loss = task.loss(torch.from_numpy(output), torch.from_numpy(target))
    np.testing.assert_allclose(loss, separation(output, target), rtol=1e-9)
    single = task.loss(torch.from_numpy(output).float(), torch.from_numpy(target).float())
    np.testing.assert_allclose(single, loss, rtol=1e-4, atol=2e-5)
    # A degree of longitude is less the nearer to the pole.
    high = task.loss(torch.tensor([[1.0, 60.0]]), torch.tensor([[0.0, 60.0]]))
    assert high.item() == pytest.approx(0.5, rel=1e-3)


def test_gradient_of_the_loss_points_away_from_the_truth(task):
    output = torch.tensor([[0.03, 0.04], [1.0, 1.0]], requires_grad=True)
    task.loss(output, torch.tensor([[0.0, 0.0], [1.0, 1.0]])).sum().backward()
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0]])
    torch.testing.assert_close(output.grad, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("n_events", [1, 2, 50])
def test_metrics(task, n_events):
    output, target = np.random.default_rng(n_events).normal(size=(2, n_events, 2))
    expected = np.quantile(separation(output, target), 0.682689492)
    metrics = task.metrics(torch.from_numpy(output), torch.from_numpy(target))
    assert metrics == {"angular_resolution": pytest.approx(expected)}


def test_metrics_of_no_events(task):
    metrics = task.metrics(torch.zeros(0, 2), torch.zeros(0, 2))
    assert list(metrics) == ["angular_resolution"] and np.isnan(metrics["angular_resolution"])
