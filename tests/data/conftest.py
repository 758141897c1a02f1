"""DL1 files, altered copies of them, and what ctapipe itself reads there."""

import shutil
from functools import cache

import astropy.units as u
import numpy as np
import pytest
import tables
import torch
from astropy.coordinates import AltAz, SkyCoord
from ctapipe.coordinates import GroundFrame, TiltedGroundFrame

from gammalearn.data import EventDataset, EventIndex, columns_of
from gammalearn.settings import DataSettings


@pytest.fixture
def altered(dl1, tmp_path):
    """A copy of a DL1 file after ``change(file)`` has been at it."""

    def alter(name, change, copy="altered"):
        path = tmp_path / f"{copy}.dl1.h5"
        shutil.copyfile(dl1(name), path)
        path.chmod(0o644)
        with tables.open_file(path, "a") as file:
            change(file)
        return path

    return alter


@cache
def _index(files, settings, parameters):
    settings = DataSettings.model_validate_json(settings)
    return EventIndex.build(list(files), settings, parameters=parameters)


@pytest.fixture(scope="session")
def build_index(data_dir):
    """Index files; those of the test data are only indexed once for the same settings."""

    def build(files, settings, parameters=()):
        if all(path.is_relative_to(data_dir) for path in files):
            return _index(tuple(files), settings.model_dump_json(), tuple(parameters))
        return EventIndex.build(files, settings, parameters=parameters)

    return build


@pytest.fixture(scope="session")
def image_in_ctapipe(telescope_events):
    """A column of one image, as ctapipe's TableLoader reads it."""

    def image(path, obs_id, event_id, tel_id, column="image"):
        table = telescope_events(path)[int(tel_id)]
        (row,) = np.flatnonzero((table["obs_id"] == obs_id) & (table["event_id"] == event_id))
        return np.asarray(table[column][row])

    return image


@pytest.fixture
def make(dl1, build_index):
    """A data set of some files; it is closed after the test."""
    made = []

    def dataset(*names, rows=None, targets=None, parameters=(), tasks=None, **settings):
        settings = DataSettings(**settings)
        files = [dl1(name) if isinstance(name, str) else name for name in names]
        index = build_index(files, settings, columns_of(parameters))
        made.append(
            EventDataset(index, settings, targets, rows, tasks=tasks, parameters=parameters)
        )
        return made[-1]

    yield dataset
    for dataset in made:
        dataset.close()


@pytest.fixture
def assert_same_batch():
    """Compare two batches bit by bit."""

    def check(batch, other):
        assert batch.index.tolist() == other.index.tolist()
        assert set(batch.images) == set(other.images)
        for name, images in batch.images.items():
            for part, tensor in vars(images).items():
                expected = getattr(other.images[name], part)
                if expected is None:
                    assert tensor is None, (name, part)
                    continue
                assert torch.equal(tensor, expected), (name, part)

    return check


@pytest.fixture(scope="session")
def seen_from_the_sky():
    """Positions in the ground frame along fov_lon and fov_lat of a pointing, by ctapipe."""

    def along_axes(position, alt, az):
        pointing = SkyCoord(alt=alt * u.deg, az=az * u.deg, frame=AltAz())
        ground = SkyCoord(*np.transpose(position) * u.m, frame=GroundFrame())
        tilted = ground.transform_to(TiltedGroundFrame(pointing_direction=pointing))
        # Its y grows to the left, against fov_lon; its x down, against fov_lat.
        return np.column_stack([-tilted.y.to_value(u.m), -tilted.x.to_value(u.m)])

    return along_axes
