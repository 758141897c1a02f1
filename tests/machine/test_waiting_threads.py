"""A thread that waits leaves its core to others, unless the user wants it otherwise."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

#: Load what torch's wheel has of OpenMP, as torch would, after gammalearn.
PROGRAM = "import ctypes, sys, gammalearn; ctypes.CDLL(sys.argv[1])"


@pytest.fixture(scope="module")
def libgomp():
    folder = Path(importlib.util.find_spec("torch").origin).parent / "lib"
    found = sorted(folder.glob("libgomp*.so*"))
    if not found:
        pytest.skip("this torch brings no OpenMP of GNU's")
    return found[0]


@pytest.mark.parametrize(
    ("set_by_user", "spins"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "passive"}, "0"),
        ({"OMP_WAIT_POLICY": "active"}, "30000000000"),
        ({"KMP_BLOCKTIME": "200"}, "300000"),
        ({"OMP_NUM_THREADS": "2"}, "1000"),
    ],
)
def test_openmp_waits_as_it_is_told(libgomp, set_by_user, spins):
    """What the library itself says that it has understood."""
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "OMP_NUM_THREADS")
    environment = {name: text for name, text in os.environ.items() if name not in names}
    environment |= {"OMP_DISPLAY_ENV": "verbose", **set_by_user}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(libgomp)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert re.search(r"GOMP_SPINCOUNT = '(.*)'", done.stderr)[1] == spins
