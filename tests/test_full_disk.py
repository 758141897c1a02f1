"""A disk that is full: each command says so in one sentence, leaves nothing that is half-written,
and does its work when it is repeated with room."""

import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest
import tables

from gammalearn.cli import main

NETWORK = "lst4-stereo"

KIB = 1024

#: Bytes that a file may have before the disk is full; what is told goes to files too.
ROOM = (8 * KIB, 100 * KIB)


@contextmanager
def full_disk(n_bytes):
    """No file grows beyond some bytes, by the operating system itself."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="module")
def dl1(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


@pytest.fixture(scope="module")
def dl2(dl1, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dl2")
    assert main(["predict", NETWORK, str(dl1), "-o", str(folder), "-q"]) == 0
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def command(dl1, dl2, tmp_path, blank_pictures):
    """Function that gives the words of a command, and of how it is repeated."""
    out = str(tmp_path / "out")
    known = {
        "simulate": [
            *("simulate", "--particle", "gamma", "--n-showers", "4", "--energy", "1 TeV", "2 TeV"),
            *("-o", f"{out}/gamma.dl1.h5"),
        ],
        "predict": ["predict", NETWORK, str(dl1), "-o", out],
        "evaluate": ["evaluate", str(dl2), "-o", out],
        "compare": ["compare", str(dl2), str(dl2), "--labels", "a", "b", "-o", out],
        "slim": ["slim", NETWORK, "-o", f"{out}.ckpt"],
    }
    again = {"evaluate": ["--overwrite"], "compare": ["--overwrite"]}
    return lambda name: (known[name], [*known[name], *again.get(name, [])])


def damaged(folder):
    """Files of their final names that cannot be read."""
    readers = {
        ".h5": lambda path: tables.open_file(path).close(),
        ".json": lambda path: json.loads(path.read_text("utf-8")),
        ".html": lambda path: path.read_text("utf-8").rindex("</html>"),
        ".ecsv": lambda path: path.read_text("utf-8").index("# %ECSV"),
    }
    found = []
    for path in folder.rglob("*"):
        if path.suffix in readers:
            try:
                readers[path.suffix](path)
            except Exception as error:  # damage takes many forms
                found.append((path.name, error))
    return found


@pytest.mark.parametrize("name", ["simulate", "predict", "evaluate", "compare", "slim"])
@pytest.mark.parametrize("room", ROOM)
def test_a_full_disk(name, room, command, tmp_path, capfd):
    words, again = command(name)
    with full_disk(room):
        status = main(words)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert damaged(tmp_path) == []
    assert [path.name for path in tmp_path.rglob(".*")] == [], "nothing half-written is left"
    if status == 0:
        assert room == max(ROOM), "whoever writes little has room"
        return
    assert status == 2
    last = said.strip().splitlines()[-1]
    assert last.startswith("gammalearn: "), last
    assert "cannot be written" in last and "File too large" in last or "disk full" in last, last
    assert main(again) == 0
    assert damaged(tmp_path) == []


def test_compiled_code_that_has_no_room(tmp_path):
    """numba keeps what it compiles, on a disk that may be another one."""
    words = ["simulate", "--particle", "gamma", "--n-showers", "4", "--energy", "1 TeV", "2 TeV"]
    with full_disk(min(ROOM)):
        done = subprocess.run(
            [sys.executable, "-m", "gammalearn", *words, "-o", str(tmp_path / "gamma.dl1.h5")],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "cannot be written (File too large)" in done.stderr.splitlines()[-1]
    assert str(tmp_path / "compiled") in done.stderr.splitlines()[-1]
