"""Interleaved pedestals: the noise that they tell, and that they are nothing else."""

import logging
import shutil
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
import tables
import torch
from astropy.table import Table
from ctapipe.containers import EventType
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from gammalearn.data import EventDataset, EventIndex, columns_for, index_unlabelled
from gammalearn.data.readers.pedestals import PEDESTAL_NOISE, pedestal_noise
from gammalearn.inspection.info import describe_file
from gammalearn.nn.conditioning import ImageConditioning
from gammalearn.settings import DataSettings, NetworkSettings

PEDESTAL, SHOWER = EventType.SKY_PEDESTAL.value, EventType.SUBARRAY.value
MONO = DataSettings(telescopes=["LST"], grouping="mono")
NSB = columns_for(NetworkSettings(condition=["nsb"]))


class Images:
    """Images of a telescope: pedestals of some noise, in turns with others."""

    has_pixels = True

    def __init__(self, time, sigma, obs_id=None, pedestal=None):
        n, random = len(time), np.random.default_rng(0)
        self.time = np.asarray(time, dtype=float)
        pedestal = np.arange(n) % 2 == 0 if pedestal is None else pedestal
        self.charge = random.normal(0.2, np.broadcast_to(sigma, n)[:, None], (n, 2000))
        self.charge[~pedestal] = 1000.0
        self.events = Table({"event_type": np.where(pedestal, PEDESTAL, SHOWER)})
        obs_id = np.ones(n, dtype=int) if obs_id is None else obs_id
        self.table = Table({"event": np.arange(n), "obs_id": obs_id})

    def times(self, tel_id):
        return self.time

    def pixels(self, tel_id, rows, names):
        return {"charge": self.charge[rows]}

    def noise(self):
        return pedestal_noise(self, 1, self.table)


def test_the_noise_follows_the_time():
    """It grows from 1 to 3 p.e. in 100 s; the file is not in the order of time."""
    order = np.random.default_rng(1).permutation(1000)
    time = np.linspace(0, 100, 1000)[order]
    images = Images(time, 1 + 0.02 * time)
    inside = (time > 5) & (time < 95)
    np.testing.assert_allclose(images.noise()[inside], 1 + 0.02 * time[inside], rtol=0.03)
    # The nearest one at both ends: of the mean of the first and of the last twenty pedestals.
    noise = images.noise()
    assert noise[time == 0] == pytest.approx(noise[time < 1].mean())
    assert noise[time == 100] == pytest.approx(3 - 0.02 * 2, rel=0.03)


def test_each_observation_has_its_own():
    obs_id = np.repeat([1, 2, 3], 100)
    pedestal = (np.arange(300) % 2 == 0) & (obs_id < 3)
    images = Images(np.arange(300), np.where(obs_id == 1, 1.0, 4.0), obs_id, pedestal)
    noise = images.noise()
    np.testing.assert_allclose(noise[:100], 1, rtol=0.05)
    np.testing.assert_allclose(noise[100:200], 4, rtol=0.05)
    assert np.isnan(noise[200:]).all()


def test_without_times_it_is_the_mean():
    noise = Images(np.full(40, np.nan), np.linspace(1, 3, 40)).noise()
    np.testing.assert_allclose(noise, noise[0])
    assert noise[0] == pytest.approx(2, rel=0.05)


def test_without_pedestals_there_is_none():
    images = Images(np.arange(10), 1.0, pedestal=np.zeros(10, dtype=bool))
    assert np.isnan(images.noise()).all()


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def observed(data_dir, tmp_path_factory):
    """A file without truth, every other event of which is a pedestal of 3 p.e. noise."""
    source = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    if not source.exists():
        pytest.skip(f"no {source.name} in the test data")
    path = tmp_path_factory.mktemp("observed") / "observed.dl1.h5"
    shutil.copyfile(source, path)
    path.chmod(0o644)
    random = np.random.default_rng(0)
    with tables.open_file(path, "a") as file:
        file.remove_node("/simulation", recursive=True)
        trigger = file.root.dl1.event.subarray.trigger
        kind = np.where(np.arange(trigger.nrows) % 2, SHOWER, PEDESTAL)
        trigger.modify_column(colname="event_type", column=kind)
        pedestals = set(trigger.col("event_id")[kind == PEDESTAL].tolist())
        for table in file.iter_nodes("/dl1/event/telescope/images", "Table"):
            stored = get_column_transforms(get_column_attrs(table)).get("image")
            image = table.col("image")
            for row in np.flatnonzero(np.isin(table.col("event_id"), list(pedestals))):
                charge = random.normal(0.2, 3.0, image.shape[1]).astype(np.float32)
                image[row] = stored(charge) if stored else charge
            table.modify_column(colname="image", column=image)
    return SimpleNamespace(path=path, pedestals=pedestals)


def test_pedestals_are_no_events(observed):
    """They are neither learned from, with truth or without it, nor reconstructed."""
    for build in (EventIndex.build, index_unlabelled):
        index = build([observed.path], MONO)
        assert len(index) > 0
        assert not observed.pedestals & set(index.events["event_id"].tolist())
        steps = {step.label: step.n_events for step in index.cut_flow}
        assert steps["with images"] > steps["showers (no calibration)"]


def test_showers_have_the_noise_of_the_pedestals(observed, caplog):
    with caplog.at_level(logging.INFO, "gammalearn"):
        index = EventIndex.build([observed.path], MONO, parameters=NSB)
    noise = np.asarray(index.images[PEDESTAL_NOISE])
    known = np.isfinite(noise)
    assert known.any()
    np.testing.assert_allclose(noise[known], 3, rtol=0.1)
    assert f"by interleaved pedestals for {known.sum()} images" in caplog.text
    with closing(EventDataset(index, MONO)) as dataset:
        batch = dataset[np.arange(len(index))]
    (images,) = batch.images.values()
    np.testing.assert_allclose(images.noise.numpy(), noise)
    assert "interleaved pedestals" in describe_file(observed.path)


def test_simulated_images_have_their_own(data_dir):
    path = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    index = EventIndex.build([path], MONO, parameters=NSB)
    assert np.isnan(index.images[PEDESTAL_NOISE]).all()
    with closing(EventDataset(EventIndex.build([path], MONO), MONO)) as dataset:
        without = dataset[[0]]
    assert all(images.noise is None for images in without.images.values())


def test_added_noise_is_not_that_of_the_pedestals(observed):
    """With augmented pixels only these know."""
    index = EventIndex.build([observed.path], MONO, parameters=NSB)
    dataset = EventDataset(index, MONO)

    def pixels(camera, images):
        return torch.zeros(len(images), 2, index.cameras[camera].n_pixels)

    batch = dataset.batch(np.arange(len(index)), pixels, more_noise=True)
    assert all(images.noise is None for images in batch.images.values())


def test_the_network_takes_it_where_it_is_known():
    torch.manual_seed(0)
    conditioning = ImageConditioning(["nsb"], 4, 0, "linear")
    pixels = 2 * torch.randn(3, 1, 4000)
    own = conditioning.values(pixels)
    values = conditioning.values(pixels, noise=torch.tensor([5.0, torch.nan, 0.0]))
    assert values[0, 0].item() == pytest.approx(np.log(5))
    assert values[1, 0] == own[1, 0]
    # The smallest noise that is told from none.
    assert values[2, 0].item() == pytest.approx(np.log(0.05))
