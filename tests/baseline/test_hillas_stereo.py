"""Geometry of stereo events: what ctapipe's own HillasReconstructor gives."""

import numpy as np
import pytest
from ctapipe.io import EventSource
from ctapipe.reco import HillasReconstructor

from gammalearn.baseline.hillas_stereo import GEOMETRY, PARAMETERS, _nearest, hillas_geometry
from gammalearn.data import EventIndex
from gammalearn.settings import DataSettings

FILES = [
    "gamma_diffuse_run10_6.0.0",
    "gamma_lsts_run7_7.0.0",
    "proton_run202_prod5",
    "protons_prod5_merged",
]


@pytest.fixture(scope="module")
def build(data_dir):
    """Index of files with the parameters that the geometry is made of."""

    def build(*names, **settings):
        files = [data_dir / "dl1_ctapipe" / f"{name}.dl1.h5" for name in names]
        return EventIndex.build(files, DataSettings(**settings), parameters=PARAMETERS)

    return build


def by_ctapipe(path):
    """ctapipe's geometry by the event's ids, for the focal lengths that our readers take."""
    found = {}
    with EventSource(path, focal_length_choice="EQUIVALENT") as source:
        reconstruct = HillasReconstructor(source.subarray)
        for event in source:
            reconstruct(event)
            key = int(event.index.obs_id), int(event.index.event_id)
            found[key] = event.dl2.stereo.geometry["HillasReconstructor"]
    return found


@pytest.mark.parametrize("name", FILES)
def test_it_is_that_of_ctapipe(build, name):
    index = build(name)
    geometry = hillas_geometry(index)
    expected = by_ctapipe(index.files[0])
    assert len(geometry) == len(index) > 1
    valid = 0
    for row, event in zip(geometry, index.events, strict=True):
        other = expected[int(event["obs_id"]), int(event["event_id"])]
        valid += other.is_valid
        for column, unit in GEOMETRY.items():
            value = other[column].to_value(unit)
            value = value % 360 if column == "az" else value
            assert row[column].to_value(unit) == pytest.approx(
                value, rel=1e-6, abs=1e-5, nan_ok=True
            ), column
    assert valid > 0


def test_events_of_several_files_stay_apart(build):
    together = hillas_geometry(build(*FILES[1:3]))
    apart = [hillas_geometry(build(name)) for name in FILES[1:3]]
    for name in GEOMETRY:
        expected = np.concatenate([part[name].value for part in apart])
        np.testing.assert_array_equal(together[name].value, expected)


def test_one_usable_image_has_no_geometry(build):
    for column, too_little in (
        ("hillas_intensity", 50),
        ("hillas_width", 0),
        ("hillas_width", np.nan),
        ("morphology_n_pixels", 3),
    ):
        altered = build(FILES[2])
        brightest = np.argmax(altered.images["hillas_intensity"])
        event = altered.images["event"][brightest]
        others = np.flatnonzero(altered.images["event"] == event)
        altered.images[column][others[others != brightest]] = too_little
        geometry = hillas_geometry(altered)
        assert all(np.isnan(geometry[name][event]) for name in GEOMETRY), column


def test_parallel_axes_meet_nowhere():
    point, line = np.array([[0.0, 1], [2, 0], [1, 5], [0, 2]]), np.array([[0.0, 2], [3, 0]] * 2)
    line[2:] = [0, 1]
    found = _nearest(point, line, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found, [[0, 0], [np.nan, np.nan]])


def test_no_event_at_all(build):
    index = build(FILES[1]).limited(1, 0)
    index.images["hillas_intensity"] = 1.0
    assert np.isnan(hillas_geometry(index)["alt"]).all()
