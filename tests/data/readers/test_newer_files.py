"""Newer files: DL1 of ctapipe's data models 7.4 to 7.6, made by the releases that write them."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tables
from ctapipe import __version__ as installed
from ctapipe.io import TableLoader, read_table
from packaging.version import Version

from gammalearn.cli import main
from gammalearn.data.readers.formats import open_reader
from gammalearn.errors import InputFileError

#: Their data models.
RELEASES = {"0.30.0": "v7.4.0", "0.31.0": "v7.6.0", "0.32.0": "v7.6.0"}

#: Of which release on ctapipe can read them: from 0.31 on, cameras are described in another way.
READ_FROM = {"0.30.0": "0.28", "0.31.0": "0.31", "0.32.0": "0.31"}

#: What is said where the installed one is older.
REFUSED = r"was made by ctapipe 0\.3\d\.0, newer than .*; install ctapipe 0\.3\d\.0 or newer\.\n?$"

TELESCOPE = 1


@pytest.fixture(params=RELEASES)
def newer(request):
    """Path of a release's file."""
    folder = os.environ.get("GAMMALEARN_NEWER_FILES")
    path = Path(folder or "") / f"ctapipe-{request.param}.dl1.h5"
    if folder is None or not path.is_file():
        pytest.skip(
            "no file of a newer ctapipe: make it by tests/data/make_newer_files.py FOLDER with "
            "Python 3.12, and set GAMMALEARN_NEWER_FILES to the folder"
        )
    with tables.open_file(path) as file:
        attributes = file.root._v_attrs
        assert attributes["CTA PRODUCT DATA MODEL VERSION"] == RELEASES[request.param]
        assert attributes["CTA ACTIVITY SOFTWARE VERSION"] == request.param
    return path


def is_read(path):
    release = path.name.removeprefix("ctapipe-").removesuffix(".dl1.h5")
    return Version(installed) >= Version(READ_FROM[release])


@pytest.fixture(scope="module")
def older(data_dir):
    """The same events in the data model 7.0."""
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


def test_what_is_read_is_what_the_file_holds(newer, older):
    """By PyTables, and the same showers as in the older file; or it is refused."""
    if not is_read(newer):
        with pytest.raises(InputFileError, match=REFUSED), open_reader(newer) as reader:
            reader.subarray  # noqa: B018  read when it is asked for
        return
    with open_reader(newer) as reader, open_reader(older) as before:
        events, images = reader.events, reader.images(TELESCOPE)
        rows = np.arange(reader.n_images(TELESCOPE))
        pixels = reader.pixels(TELESCOPE, rows, ["charge", "peak_time"])
        for name in ("event_id", "particle", "true_energy", "true_alt", "true_az"):
            np.testing.assert_array_equal(events[name], before.events[name])
        for name in ("event_id", "pointing_alt", "pointing_az"):
            np.testing.assert_array_equal(images[name], before.images(TELESCOPE)[name])
        for tel_id, position in before.subarray.positions.items():
            assert np.all(reader.subarray.positions[tel_id] == position)
    with tables.open_file(newer) as file:
        shower = file.root.simulation.event.subarray.shower
        np.testing.assert_array_equal(events["true_energy"], shower.col("true_energy"))
    stored = read_table(newer, f"/dl1/event/telescope/images/tel_{TELESCOPE:03d}")
    np.testing.assert_array_equal(pixels["charge"], stored["image"])
    np.testing.assert_array_equal(pixels["peak_time"], stored["peak_time"])
    assert len(stored) and np.ptp(stored["image"]) > 10


def test_its_events_are_reconstructed(newer, tmp_path, capsys):
    """DL2 that ctapipe opens beside the events, or one sentence that says what to install."""
    output = tmp_path / "dl2"
    status = main(["predict", "lst4-stereo", str(newer), "-o", str(output), "-q"])
    error = capsys.readouterr().err
    if not is_read(newer):
        assert status == 2 and error.count("\n") == 1 and re.search(REFUSED, error), error
        return
    assert status == 0, error
    with tables.open_file(newer) as file:
        trigger = file.root.dl1.event.subarray.trigger
        ids, energy = trigger.col("event_id"), file.root.simulation.event.subarray.shower
        energy = dict(zip(energy.col("event_id"), energy.col("true_energy"), strict=True))
    (made,) = output.iterdir()
    with TableLoader(made) as loader:
        events = loader.read_subarray_events(dl2=True, simulated=True)
    np.testing.assert_array_equal(events["event_id"], ids)
    np.testing.assert_array_equal(events["true_energy"], [energy[i] for i in ids])
    assert np.isfinite(events["GammaLearn_energy"]).any()
