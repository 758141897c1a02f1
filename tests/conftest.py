"""What tests of several rooms need."""

import logging
import os
from pathlib import Path

import pytest
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
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("gammalearn").setLevel(logging.NOTSET)


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
