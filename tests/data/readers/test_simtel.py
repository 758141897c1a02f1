"""sim_telarray files: what ctapipe makes of them, once."""

import gzip
import shutil

import numpy as np
import pytest
import tables
import zstandard
from ctapipe.calib import CameraCalibrator
from ctapipe.io import EventSource
from eventio import EventIOFile
from eventio.histograms import Histograms
from eventio.iact.objects import AtmosphericProfile

from gammalearn.cli import main
from gammalearn.data import EventIndex
from gammalearn.data.readers import simtel
from gammalearn.data.readers.formats import open_reader
from gammalearn.data.readers.reader import TRUTH_UNITS, event_keys
from gammalearn.data.readers.simtel import SimtelReader
from gammalearn.dl2 import check_input, dl2_name
from gammalearn.errors import InputFileError
from gammalearn.settings import DataSettings, Experiment

COLUMNS = ["charge", "peak_time", "cleaning_mask"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def simtel_file(data_dir):
    return lambda name: data_dir / "simtel" / f"{name}.simtel.zst"


@pytest.mark.parametrize(
    "name",
    [
        "aux_traces_2029",
        "gamma_diffuse_run10_6.0.0",
        "gamma_lsts_run7_7.0.0",
        "gamma_with_obslevel_particles",
        "lst_with_photons",
        "proton_run1_6.0.2",
        "proton_run201_prod5",
        "proton_run202_prod5",
    ],
)
def test_is_what_ctapipe_process_makes(simtel_file, dl1, cache, name):
    """The DL1 file of the same name was made by it, with the same settings."""
    with open_reader(simtel_file(name), cache) as mine, open_reader(dl1(name)) as theirs:
        assert isinstance(mine, SimtelReader)
        np.testing.assert_array_equal(event_keys(mine.events), event_keys(theirs.events))
        for column in TRUTH_UNITS:
            np.testing.assert_array_equal(mine.events[column], theirs.events[column])
        assert mine.telescopes_with_images() == theirs.telescopes_with_images()
        for tel_id in mine.telescopes_with_images():
            rows = np.arange(mine.n_images(tel_id))
            parameters = ["hillas_intensity", "hillas_length", "leakage_pixels_width_2"]
            one, other = (reader.images(tel_id, parameters) for reader in (mine, theirs))
            for column in other.colnames:
                np.testing.assert_allclose(one[column], other[column], rtol=1e-5, err_msg=column)
            one, other = (reader.pixels(tel_id, rows, COLUMNS) for reader in (mine, theirs))
            for column in COLUMNS:
                np.testing.assert_allclose(one[column], other[column], rtol=1e-5, atol=1e-5)


def test_charges_are_those_of_ctapipes_event_source(simtel_file, cache):
    path = simtel_file("proton_run201_prod5")
    with open_reader(path, cache) as reader, EventSource(path) as source:
        extractors = [("type", "*", "FlashCamExtractor")]
        calibrate = CameraCalibrator(source.subarray, image_extractor_type=extractors)
        (event,) = source
        calibrate(event)
        assert sorted(event.dl1.tel) == reader.telescopes_with_images()
        for tel_id, expected in event.dl1.tel.items():
            pixels = reader.pixels(tel_id, np.array([0]), COLUMNS)
            np.testing.assert_allclose(pixels["charge"][0], expected.image, rtol=1e-6)
            np.testing.assert_allclose(pixels["peak_time"][0], expected.peak_time, rtol=1e-6)


def test_is_made_once(simtel_file, cache, monkeypatch, capsys):
    path = simtel_file("lst_with_photons")
    open_reader(path, cache).close()
    capsys.readouterr()
    monkeypatch.setattr(simtel, "_process", None)
    with open_reader(path, cache) as reader:
        assert reader.path == path
        assert reader.dl1_path != path and reader.dl1_path.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", ["bytes", "shorter", "no checksum"])
def test_a_damaged_one_is_made_anew(simtel_file, tmp_path, damage):
    path = simtel_file("gamma_with_obslevel_particles")

    def images():
        with open_reader(path, str(tmp_path)) as reader:
            (tel_id,) = reader.telescopes_with_images()
            rows = np.arange(reader.n_images(tel_id))
            return reader.pixels(tel_id, rows, ["charge"])["charge"]

    whole = images()
    (made,) = tmp_path.rglob(simtel.DL1)
    content = made.read_bytes()
    if damage == "bytes":
        half = len(content) // 2
        made.write_bytes(content[:half] + bytes(255 - value for value in content[half:]))
    elif damage == "shorter":
        made.write_bytes(content[:-1])
    else:
        (made.parent / simtel.DIGEST).unlink()
    np.testing.assert_array_equal(images(), whole)


def test_names_do_not_matter(simtel_file, dl1, cache, tmp_path):
    shutil.copyfile(simtel_file("lst_with_photons"), tmp_path / "events.h5")
    shutil.copyfile(dl1("lst_with_photons"), tmp_path / "events.simtel.gz")
    files = [tmp_path / "events.h5", tmp_path / "events.simtel.gz"]
    index = EventIndex.build(files, DataSettings(cache_directory=cache))
    first, second = index.events["event_id"]
    assert first == second and index.events["file"].tolist() == [0, 1]


def test_however_it_is_compressed(simtel_file, cache, tmp_path):
    original = simtel_file("proton_run201_prod5")
    with original.open("rb") as file:
        content = zstandard.ZstdDecompressor().stream_reader(file).read()
    plain, gz = tmp_path / "events.simtel", tmp_path / "events.simtel.gz"
    plain.write_bytes(content)
    gz.write_bytes(gzip.compress(content, 1))
    charges = []
    for path in (original, plain, gz):
        with open_reader(path, cache) as reader:
            charges.append(reader.pixels(7, np.array([0]), ["charge"])["charge"])
    np.testing.assert_array_equal(charges[1], charges[0])
    np.testing.assert_array_equal(charges[2], charges[0])


def test_dl2_can_be_made(simtel_file, cache):
    settings = DataSettings(cache_directory=cache)
    check_input(simtel_file("lst_with_photons"), Experiment(data=settings))
    assert dl2_name(simtel_file("lst_with_photons")) == "lst_with_photons.dl2.h5"


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated(simtel_file, tmp_path, share):
    data = simtel_file("lst_with_photons").read_bytes()
    path = tmp_path / "cut.simtel.zst"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputFileError, match=r"cut\.simtel\.zst"):
        open_reader(path, str(tmp_path / "cache"))
    assert not list((tmp_path / "cache").rglob("*.h5*"))


def content(path):
    """A file unpacked, and where each of its blocks begins: (type, start, stop)."""
    with EventIOFile(path) as file:
        headers = [block.header for block in file]
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    stops = np.cumsum([header.total_size for header in headers]).tolist()
    return data, [
        (header.type, start, stop)
        for header, start, stop in zip(headers, [0, *stops[:-1]], stops, strict=True)
    ]


class TestOptionalBlocks:
    """The pixels are what they were; what is left out is told."""

    @pytest.fixture
    def changed(self, simtel_file, tmp_path):
        def change(old, new):
            data, _ = content(simtel_file("lst_with_photons"))
            assert data.count(old) == 1
            path = tmp_path / "changed.simtel"
            path.write_bytes(data.replace(old, new))
            return path

        return change

    def check(self, path, whole, capfd, told):
        assert main(["info", str(path), str(whole)]) == 0
        assert told in capfd.readouterr().err
        with open_reader(path) as reader, open_reader(whole) as expected:
            (tel_id,) = reader.telescopes_with_images()
            pixels, same = (r.pixels(tel_id, np.array([0]), COLUMNS) for r in (reader, expected))
            np.testing.assert_array_equal(reader.events, expected.events)
        for name in COLUMNS:
            np.testing.assert_array_equal(pixels[name], same[name])

    def test_the_name_of_the_atmosphere_is_no_text(self, changed, simtel_file, capfd):
        whole = simtel_file("lst_with_photons")
        with EventIOFile(whole) as file:
            (name,) = [b.parse()["name"] for b in file if isinstance(b, AtmosphericProfile)]
        length = bytes([len(name)])
        path = changed(length + name, length + name[:-1] + b"\xfc")
        self.check(path, whole, capfd, "without its profile of the atmosphere")

    def test_a_title_of_the_histograms_is_no_text(self, changed, simtel_file, capfd):
        whole = simtel_file("lst_with_photons")
        with EventIOFile(whole) as file:
            (histograms,) = [b.parse() for b in file if isinstance(b, Histograms)]
        title = histograms[0]["title"].encode()
        path = changed(title, title[:-1] + b"\xfc")
        self.check(path, whole, capfd, "without its histogram of thrown showers")


class TestNamed:
    def test_without_events(self, simtel_file, tmp_path, capsys):
        data, blocks = content(simtel_file("lst_with_photons"))
        path = tmp_path / "empty.simtel"
        path.write_bytes(
            b"".join(data[a:b] for kind, a, b in blocks if kind < 2009 and kind != 1204)
        )
        assert main(["info", str(path)]) == 2
        assert f"'{path}' holds no events" in capsys.readouterr().err

    def test_histograms_alone(self, simtel_file, tmp_path, capsys):
        data, blocks = content(simtel_file("lst_with_photons"))
        path = tmp_path / "histograms.hdata"
        path.write_bytes(b"".join(data[a:b] for kind, a, b in blocks if kind in (70, 100)))
        assert main(["info", str(path)]) == 2
        assert "is not sim_telarray's output: it holds no events" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "name",
        [
            "3_gammas_reuse_5.dat",
            "gamma_100gev_1216.eventio",
            "proton_500GeV_iactext.eventio.gz",
        ],
    )
    def test_showers_of_corsika(self, data_dir, name, capsys):
        assert main(["info", str(data_dir / "corsika" / name)]) == 2
        told = capsys.readouterr().err
        assert f"{name}' is not sim_telarray's output: it holds CORSIKA's photons" in told


def test_neither_format(tmp_path):
    for content in (b"", b"obs_id,event_id\n", b"\x1f\x8b garbage"):
        (tmp_path / "text.h5").write_bytes(content)
        with pytest.raises(InputFileError, match=r"text\.h5'"):
            open_reader(tmp_path / "text.h5")


def test_nothing_of_it_stays_open(simtel_file, cache):
    open_reader(simtel_file("lst_with_photons"), cache).close()
    assert not [name for name in tables.file._open_files.filenames if cache in name]
