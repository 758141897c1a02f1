"""Features: the numbers that trees see are those that they are called."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from ctapipe.coordinates import altaz_to_righthanded_cartesian
from ctapipe.coordinates.impact_distance import impact_distance as by_ctapipe
from ctapipe.reco.preprocessing import horizontal_to_telescope

from gammalearn.baseline.features import (
    PARAMETERS,
    axes_towards,
    image_features,
    impact_of_images,
    source_features,
    stereo_features,
    weighted_mean,
)
from gammalearn.baseline.sky import frames, separation, to_altaz, to_offset, to_vector, vector_of
from gammalearn.data import EventIndex


def images_of(n_images, **columns):
    """An image table that looks at altitude 70 deg and azimuth 30 deg, 0 where nothing is said."""
    columns = {"pointing_alt": 70.0, "pointing_az": 30.0, "camera": 0, **columns}
    names = {*PARAMETERS, *columns}
    return Table({name: np.broadcast_to(columns.get(name, 0.0), n_images) for name in names})


def test_offsets_are_those_of_ctapipe():
    random = np.random.default_rng(1)
    pointing = Table(
        {"pointing_alt": random.uniform(20, 88, 9), "pointing_az": np.arange(9) * 40.0}
    )
    alt = np.asarray(pointing["pointing_alt"]) + random.uniform(-2, 2, 9)
    az = np.asarray(pointing["pointing_az"]) + random.uniform(-2, 2, 9)
    offset = to_offset(vector_of(alt, az), frames(pointing))
    lon, lat = horizontal_to_telescope(
        alt * u.deg, az * u.deg, pointing["pointing_alt"] * u.deg, pointing["pointing_az"] * u.deg
    )
    np.testing.assert_allclose(offset[:, 0], lon.wrap_at(180 * u.deg).deg, atol=1e-9)
    np.testing.assert_allclose(offset[:, 1], lat.deg, atol=1e-9)
    back = to_altaz(to_vector(offset, frames(pointing)))
    np.testing.assert_allclose(back, [alt, az % 360], atol=1e-9)


def test_impact_distance_is_that_of_ctapipe():
    geometry = QTable(
        {"alt": [70, 55] * u.deg, "az": [20, 300] * u.deg}
        | {"core_x": [30, -200] * u.m, "core_y": [-50, 120] * u.m}
    )
    images = images_of(2, x=[100.0, -80.0], y=[20.0, 70.0], z=[5.0, -12.0])
    for row, found in enumerate(impact_of_images(images, geometry)):
        axis = altaz_to_righthanded_cartesian(geometry["alt"][row], geometry["az"][row])
        core = np.array([geometry["core_x"][row].value, geometry["core_y"][row].value, 0])
        telescope = np.array([[images[name][row] for name in "xyz"]])
        assert found == pytest.approx(by_ctapipe(core, axis, telescope)[0])


def test_images_and_a_source():
    """An image at (1, 0) deg along fov_lat; sources beside it, and on its axis."""
    images = images_of(
        2, hillas_fov_lon=1.0, hillas_psi=90.0, timing_slope=[5.0, 5.0], hillas_skewness=-0.3
    )
    source = to_vector(np.array([[0.7, 0.4], [1.0, -0.5]]), frames(images))
    features = source_features(images, source)
    np.testing.assert_allclose(features["disp"], [0.5, 0.5], atol=1e-3)
    np.testing.assert_allclose(features["miss"], [0.3, 0], atol=1e-3)
    # Seen from a source on the other side, times run the other way.
    np.testing.assert_allclose(features["slope_to_source"], [5, -5])
    np.testing.assert_allclose(features["skewness_to_source"], [-0.3, 0.3])
    np.testing.assert_allclose(axes_towards(images, source), [[0, 1], [0, -1]], atol=1e-12)


def test_signs_without_a_source_mean_nothing():
    images = images_of(2, timing_slope=[-7.0, 7.0], hillas_skewness=[0.5, -0.5])
    features = image_features(images)
    assert features["slope"].tolist() == [7, 7]
    assert features["skewness"].tolist() == [0.5, 0.5]


def test_what_cannot_be_computed_is_nan():
    features = image_features(images_of(1, hillas_length=0.2))
    assert np.isnan(features["elongation"][0]) and np.isnan(features["log_intensity"][0])


def test_the_brightest_image_comes_first():
    images = images_of(5, hillas_intensity=[200.0, 800.0, 100.0, np.nan, 300.0])
    images["event"] = [0, 0, 0, 1, 1]
    events = Table({"multiplicity": [3, 2], "first_image": [0, 3]})
    index = EventIndex([], [], images, events)
    of_images = {
        name: np.array([1.0, 2.0, 4.0, 8.0, 16.0])
        for name in ("length", "width", "leakage", "impact", "disp", "miss", "slope", "spread")
    }
    features = stereo_features(index, of_images, {"h_max": np.array([9.0, 10.0])})
    assert [features[f"length_{n}"][0] for n in (1, 2, 3)] == [2, 1, 4]
    assert [features[f"length_{n}"][1] for n in (1, 2)] == [16, 8]
    assert np.isnan(features["length_4"]).all() and np.isnan(features["length_3"][1])
    assert features["h_max"].tolist() == [9, 10]
    assert features["multiplicity"].tolist() == [3, 2]
    np.testing.assert_allclose(features["log_total_intensity"], np.log10([1100, 300]))
    np.testing.assert_allclose(features["mean_length"], [(200 + 1600 + 400) / 1100, 16])


def test_a_mean_of_nothing_is_nan():
    event = np.array([0, 0, 2])
    mean = weighted_mean(np.array([1.0, np.nan, 3.0]), np.array([2.0, 5.0, 0.0]), event, 3)
    np.testing.assert_array_equal(mean, [1, np.nan, np.nan])


def test_separation():
    found = separation(vector_of([70.0, 0.0], [0.0, 0.0]), vector_of([71.0, 0.0], [0.0, 90.0]))
    np.testing.assert_allclose(found, [1, 90])
