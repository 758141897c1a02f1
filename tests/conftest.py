"""What tests of several rooms need."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time, so that a test fails for a change and not for the day. New ones are
# looked for with PYTEST_ARGS=--hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True)
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


@pytest.fixture(autouse=True)
def _own_logging():
    """No test starts with what the command line set for its process in another."""
    logging.getLogger("gammalearn").setLevel(logging.NOTSET)
