"""Waveforms (R1) behind images: those of ctapipe's own event sources, or refused."""

import re
import shutil

import numpy as np
import pytest
import tables
from ctapipe.io import EventSource

from gammalearn.cli import main
from gammalearn.data import EventDataset, EventIndex, event_loader
from gammalearn.data.images.waveforms import image_samples
from gammalearn.data.loading.packed import pack_images
from gammalearn.data.readers.ctapipe_event import CtapipeEventReader
from gammalearn.data.readers.formats import open_reader
from gammalearn.errors import InputFileError
from gammalearn.settings import DataSettings, Experiment

NAME = "proton_run202_prod5"

#: Samples of a readout by camera, in this file.
N_SAMPLES = {"LSTCam": 40, "FlashCam": 25}


@pytest.fixture(scope="module")
def simtel(data_dir):
    """Six protons, seen by LSTs and by MSTs with FlashCam."""
    return data_dir / "simtel" / f"{NAME}.simtel.zst"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def r1(simtel):
    """Waveforms by event and telescope, as ctapipe calibrates them and chooses a gain."""
    with EventSource(simtel, focal_length_choice="EFFECTIVE") as source:
        return {
            (event.index.event_id, tel_id): camera.waveform[0].copy()
            for event in source
            for tel_id, camera in event.r1.tel.items()
        }


@pytest.fixture(scope="module")
def hdf5(simtel, cache):
    """The DL1 file with waveforms that is made of it."""
    with open_reader(simtel, cache, waveforms=True) as reader:
        return reader.dl1_path


@pytest.fixture
def data(cache):
    return lambda **changes: DataSettings(input="waveforms", cache_directory=cache, **changes)


def test_of_sim_telarray_are_those_of_ctapipes_event_source(simtel, cache, r1):
    seen = 0
    with open_reader(simtel, cache, waveforms=True) as reader:
        for tel_id in reader.telescopes_with_images():
            n = reader.n_images(tel_id)
            camera = reader.subarray.tel[tel_id].camera
            assert reader.n_samples(tel_id) == N_SAMPLES[camera.name]
            pixels = reader.pixels(tel_id, np.arange(n), ["charge", "waveform"])
            for event_id, waveform in zip(pixels["event_id"], pixels["waveform"], strict=True):
                np.testing.assert_array_equal(waveform, r1[event_id, tel_id])
            seen += n
    assert seen == len(r1) == 36


def test_of_an_event_in_memory_are_those_of_ctapipe(hdf5, r1):
    with EventSource(hdf5) as source:
        event = next(iter(source))
        reader = CtapipeEventReader(event, source.subarray)
        for tel_id in reader.telescopes_with_images():
            pixels = reader.pixels(tel_id, np.array([0]), ["charge", "waveform"])
            expected = r1[event.index.event_id, tel_id]
            assert reader.n_samples(tel_id) == expected.shape[1]
            np.testing.assert_array_equal(pixels["waveform"][0], expected)


def test_dl1_without_waveforms_stays_as_it_was(simtel, cache, hdf5):
    with open_reader(simtel, cache) as reader:
        assert reader.dl1_path != hdf5
        assert reader.n_samples(reader.telescopes_with_images()[0]) == 0


def test_loader_gives_samples_after_the_channels(hdf5, data, r1):
    settings = data(samples=30)
    index = EventIndex.build([hdf5], settings)
    batches = list(event_loader(EventDataset(index, settings), 4, shuffle_seed=1))
    seen = 0
    for batch in batches:
        for name, images in batch.images.items():
            assert images.pixels.shape[1] == 2 + 30
            event_ids = np.asarray(index.events["event_id"])[batch.index[images.event]]
            for event_id, tel_id, pixels in zip(
                event_ids, images.tel_id, images.pixels, strict=True
            ):
                samples = pixels[2:].numpy()
                expected = r1[int(event_id), int(tel_id)].T
                n = min(30, N_SAMPLES[name])
                np.testing.assert_array_equal(samples[:n], expected[:n])
                assert not samples[n:].any()
                seen += 1
    assert seen == 36


def test_samples_that_are_left_out_are_told(hdf5, data, caplog):
    settings = data(samples=30, telescopes="LSTCam")
    EventDataset(EventIndex.build([hdf5], settings), settings)[[0]]
    assert "the first 30 of 40 samples of telescope" in caplog.text


def test_packed_samples_are_those_of_the_file_in_half_precision(hdf5, data):
    settings = data(packed_cache=True)
    index = EventIndex.build([hdf5], settings)
    packed = pack_images(index, settings, progress=False)
    rows = np.arange(len(index))
    plain = EventDataset(index, settings)[rows]
    fast = EventDataset(index, settings, packed=packed)[rows]
    for name, images in plain.images.items():
        packed_samples, samples = (part.images[name].pixels[:, 2:] for part in (fast, plain))
        np.testing.assert_allclose(packed_samples, samples, rtol=2**-11, atol=1e-6)
        assert images.pixels[:, 2:].any()


def test_missing_pixels_have_no_samples():
    waveform = np.ones((1, 3, 10))
    waveform[0, 1, 4] = np.inf
    pixels = {"charge": np.array([[1.0, 2.0, np.nan]]), "waveform": waveform}
    (samples,) = image_samples(pixels, DataSettings(input="waveforms", samples=12))
    assert samples.shape == (12, 3)
    np.testing.assert_array_equal(samples[:, 0], [1] * 10 + [0, 0])
    np.testing.assert_array_equal(samples[:, 1], [1] * 4 + [0] + [1] * 5 + [0, 0])
    assert not samples[:, 2].any()


def test_samples_of_a_pixel_have_its_gain(hdf5, data):
    """Each has the gain of its charge, and a dropped pixel has none."""
    augmentation = {"gain_jitter": 0.3, "pixel_dropout": 0.2}
    settings = data(telescopes="LSTCam", charge_scale="linear", augmentation=augmentation)
    index = EventIndex.build([hdf5], settings)
    dataset = EventDataset(index, settings)
    rows = np.arange(4)
    plain, varied = (dataset.reader.read(rows, *how)[0].numpy() for how in ((), (7, 3)))
    dropped = varied[:, 0] == 0
    assert 0.1 < dropped.mean() < 0.3
    gain = np.where(dropped, 0, varied[:, 0] / plain[:, 0])
    np.testing.assert_allclose(varied[:, 2:], plain[:, 2:] * gain[:, None], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("dl1_ctapipe/proton_run202_prod5.dl1.h5", "--DataWriter.write_r1_waveforms=True"),
        ("dl1_lstchain/dl1_proton_run202_prod5_4tel.h5", "data.input=images"),
    ],
)
def test_a_file_without_them_is_refused_on_the_command_line(
    data_dir, tmp_path, capsys, monkeypatch, file, words
):
    monkeypatch.chdir(tmp_path)
    path = data_dir / file
    data = DataSettings(input="waveforms", train=[str(path)], test=[str(path)])
    experiment = Experiment(data=data)
    (tmp_path / "e.yaml").write_text(experiment.to_yaml())
    assert main(["run", "e.yaml", "-q"]) == 2
    told = capsys.readouterr().err
    assert f"'{path}' holds no waveforms (R1) of telescope" in told and words in told
    assert "Traceback" not in told


def _gains(file):
    table = file.get_node("/r1/event/telescope/tel_001")
    rows = table[:]
    shape = (2, *rows["waveform"].shape[-2:])
    dtype = np.dtype([("obs_id", "i4"), ("event_id", "i8"), ("waveform", "f4", shape)])
    twice = np.zeros(len(rows), dtype)
    twice["obs_id"], twice["event_id"] = rows["obs_id"], rows["event_id"]
    table.remove()
    file.create_table("/r1/event/telescope", "tel_001", twice)


def _others(file):
    table = file.get_node("/r1/event/telescope/tel_001")
    table.modify_column(0, colname="event_id", column=[99])


def _fewer(file):
    file.get_node("/r1/event/telescope/tel_001").remove_rows(0, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_gains, "must have one gain and 1855 pixels"),
        (_others, "waveforms of telescope 1 are not in the order of its images"),
        (_fewer, r"\d+ images and \d+ waveforms of telescope 1"),
    ],
)
def test_waveforms_that_are_not_those_of_the_images_are_refused(
    hdf5, data, tmp_path, change, words
):
    path = tmp_path / "changed.dl1.h5"
    shutil.copyfile(hdf5, path)
    with tables.open_file(path, "a") as file:
        change(file)
    settings = data(telescopes=1)
    with pytest.raises(InputFileError) as error:
        index = EventIndex.build([path], settings)
        EventDataset(index, settings)[np.arange(len(index))]
    assert re.search(words, str(error.value))
