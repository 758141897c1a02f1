"""What tests of several rooms need."""

import fcntl
import logging
import os
from functools import cache
from pathlib import Path

# Before torch is imported. Else their number follows what other programs leave free, and sums of
# a resumed training are rounded otherwise than before.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import astropy.units as u
import ctapipe.fitting
import numpy as np
import pytest
from ctapipe.containers import (
    ArrayEventContainer,
    DL1CameraContainer,
    SimulatedCameraContainer,
    SimulatedEventContainer,
)
from ctapipe.io import TableLoader
from hypothesis import settings
from matplotlib.figure import Figure

# The same examples each time and no limit of their time, so that a test fails for a change and not
# for the day. New ones are looked for with PYTEST_ARGS=--hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def data_dir():
    """Folder of simulated test data: GAMMALEARN_TEST_DATA, or shared/data beside the repository."""
    default = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("GAMMALEARN_TEST_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no test data in {path}: set GAMMALEARN_TEST_DATA to where they are")
    return path


@pytest.fixture(scope="session")
def dl1(data_dir):
    """Path of a ctapipe DL1 file by the first part of its name."""
    return lambda name: data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"


@cache
def _telescope_events(path, parameters=False):
    with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
        return loader.read_telescope_events_by_id(
            dl1_images=True,
            dl1_parameters=parameters,
            true_images=False,
            true_parameters=False,
            observation_info=False,
        )


@pytest.fixture(scope="session")
def telescope_events():
    """What ctapipe's TableLoader reads in a file: a table for each telescope.

    Image parameters only if asked for, as they take most of the time.
    """
    return _telescope_events


def _flat(parameters):
    """ctapipe's parameters by the names and in the units of its tables."""
    flat = {}
    for part in parameters.values():
        prefix = part.prefix.removeprefix("true_")
        for name, value in part.items():
            unit = part.fields[name].unit
            is_quantity = isinstance(value, u.Quantity)
            flat[f"{prefix}_{name}"] = value.to_value(unit) if is_quantity else value
    return flat


@pytest.fixture(scope="session")
def in_ctapipe():
    """What ctapipe's ImageProcessor says of an image: its parameters by name, and its mask.

    If a true image is given, its parameters stand in place of the others. The random numbers of
    ctapipe's fit of the time gradient are made those of this image.
    """

    def describe(processor, tel_id, event_id, image, peak_time, true_image=None):
        event = ArrayEventContainer(simulation=SimulatedEventContainer())
        event.dl1.tel[tel_id] = DL1CameraContainer(image=image, peak_time=peak_time)
        event.simulation.tel[tel_id] = SimulatedCameraContainer(true_image=true_image)
        random = np.random.default_rng((event_id, tel_id))
        ctapipe.fitting.FIT_RNG.bit_generator.state = random.bit_generator.state
        processor(event)
        found = event.dl1.tel[tel_id]
        if true_image is not None:
            return _flat(event.simulation.tel[tel_id].true_parameters), true_image > 0
        return _flat(found.parameters), found.image_mask

    return describe


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Nothing of the tests goes to the user's cache, nor comes from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_inventory():
    """Writing many files does without ctapipe's list of all installed packages for each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctapipe.core.provenance._get_python_packages", list, raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_logging():
    """No test starts with what the command line set for its process in another."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(handler)  # Its stream was closed with the test that made it.
    logging.getLogger("gammalearn").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Function that gives a folder of files, made once for all processes that run the tests."""
    ours = tmp_path_factory.getbasetemp()
    shared = ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours

    def folder(name, make):
        path = shared / name
        with open(shared / f"{name}.made", "a+") as made:
            fcntl.flock(made, fcntl.LOCK_EX)
            if not os.fstat(made.fileno()).st_size:
                path.mkdir(exist_ok=True)
                make(path)
                made.write("made")
        return path

    return folder


@pytest.fixture(scope="session")
def simulated_files(once):
    """DL1 of 40 gammas and 60 protons: eight and twelve showers over four LSTs, each five times."""

    def make(folder):
        from gammalearn.settings.reading import read_simulation
        from gammalearn.simulation import simulate

        for run, (particle, n_showers) in enumerate((("gamma", 8), ("proton", 12)), 1):
            settings = {
                "particle": particle,
                "array": "lst4",
                "n_showers": n_showers,
                "reuse": 5,
                "energy": [0.5, 3],
                "scatter": "150 m",
                "viewcone": "1 deg",
                "run": run,
                "output": str(folder / f"{particle}.dl1.h5"),
            }
            simulate(read_simulation(settings, "test"), processes=1, progress=False)

    folder = once("simulated", make)
    return [folder / f"{particle}.dl1.h5" for particle in ("gamma", "proton")]


@pytest.fixture
def blank_pictures(monkeypatch):
    """To draw takes most of the time of an evaluation: for tests that look at no picture."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: Path(path).write_bytes(b""))


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """A job of SLURM, and what it is asked to do."""
    asked = tmp_path / "asked"
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    for name, value in {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "training",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NTASKS_PER_NODE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return asked
