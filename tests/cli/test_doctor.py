"""Examination of the installation: versions, machine, cache, and what is wrong."""

import subprocess
import sys
from collections import namedtuple

import pytest
from packaging.requirements import Requirement

from gammalearn import __version__
from gammalearn.cli import main
from gammalearn.data.loading.cache import cache_entries, cache_entry, cache_folder, clear_cache
from gammalearn.inspection import doctor
from gammalearn.inspection.doctor import examine, import_all, out_of_bounds


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of our own, with what was made of one file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "gamma.dl1.h5"
    file.write_text("events")
    folder = cache_folder(None)
    for kind in ("index", "dl1"):
        entry = cache_entry(folder, kind, file, "settings")
        (entry / "made.npy").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def healthy(monkeypatch):
    """A machine where nothing is wrong, whatever this one is."""
    usage = namedtuple("usage", "total used free")(10**12, 0, 10**12)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(doctor, "import_all", lambda names: ({}, {"cuda": None, "gpus": []}))
    monkeypatch.setattr(doctor, "out_of_bounds", lambda needed: [])
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)


def test_a_healthy_machine(cache, healthy, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for words in (__version__, sys.executable, str(cache), "processor cores", "memory", "none"):
        assert words in out
    assert out.endswith("Nothing is wrong.\n")
    assert doctor.examine().sections["Cache"]["index"] == "1 kB, entries for files: 1"


def test_what_is_wrong_has_a_remedy(cache, healthy, monkeypatch, capsys):
    error = "RuntimeError: operator torchvision::nms does not exist"
    failures = {"torchvision": error}
    monkeypatch.setattr(doctor, "import_all", lambda names: (failures, {"cuda": None, "gpus": []}))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert main(["doctor"]) == 2
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 2
    assert f"torchvision cannot be imported ({error})" in sentences[0]
    assert "pip uninstall torchvision" in sentences[0]
    assert "NVIDIA GPU that torch cannot use (torch is built for the CPU alone)" in sentences[1]


def test_a_full_disk_is_told(cache, healthy, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**12, 10**12, 10**6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    said = "\n".join(map(str, examine().errors))
    assert "--clear-cache" in said and "(the working directory)" in said


def test_versions_are_compared_with_what_is_needed():
    needed = [Requirement(line) for line in ("pytest>=1", "pytest>=10000", "no-such-package>=2")]
    old, missing = out_of_bounds(needed)
    assert "GammaLearn needs pytest>=10000: pip install 'pytest>=10000'" in old
    assert "no-such-package is not installed" in missing


def test_packages_that_crash_do_not_end_the_examination(tmp_path, monkeypatch):
    """One raises an error, one ends the process, the last one is there."""
    (tmp_path / "raises_it.py").write_text("raise RuntimeError('no such operator')")
    (tmp_path / "crashes.py").write_text("import os; os.abort()")
    (tmp_path / "works.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    failures, gpus = import_all(["raises_it", "crashes", "works"])
    assert failures == {
        "raises_it": "RuntimeError: no such operator",
        "crashes": "the process ends with status -6",
    }
    assert gpus == {}


# The cache


def test_the_cache_is_cleared(cache, healthy, capsys):
    assert len(list(cache_entries(cache))) == 2
    assert main(["doctor", "--clear-cache"]) == 0
    assert f"Entries deleted from the cache '{cache}': 2\n" in capsys.readouterr().out
    assert list(cache.iterdir()) == []
    assert main(["doctor", "--clear-cache"]) == 0
    assert "': 0\n" in capsys.readouterr().out


def test_nothing_but_entries_is_deleted(cache, tmp_path):
    """Neither what has other names, nor what links lead to."""
    precious = tmp_path / "precious"
    (precious / "gamma-0123456789abcdef" / "1-2").mkdir(parents=True)
    thesis = precious / "gamma-0123456789abcdef" / "1-2" / "thesis.tex"
    thesis.write_text("years of work")
    (cache / "images").symlink_to(precious)
    (cache / "index" / "mine-0123456789abcdef").symlink_to(precious / "gamma-0123456789abcdef")
    (of_file,) = (cache / "dl1").iterdir()
    (of_file / "3-4").symlink_to(thesis.parent)
    (entry,) = (path for path in of_file.iterdir() if not path.is_symlink())
    (entry / "link").symlink_to(thesis.parent)
    (entry / "linked.tex").symlink_to(thesis)
    (cache / "index" / "notes.txt").write_text("mine")
    (cache / "other").mkdir()
    assert clear_cache(cache) == 2
    assert thesis.read_text() == "years of work"
    assert (cache / "index" / "notes.txt").exists() and (cache / "other").exists()
    assert (of_file / "3-4").is_symlink() and not entry.exists()


def test_other_users_entries_stay(cache, monkeypatch):
    monkeypatch.setattr("gammalearn.data.loading.cache.os.getuid", lambda: 12345)
    assert clear_cache(cache) == 0
    monkeypatch.undo()
    assert len(list((cache / "index").iterdir())) == 1


def test_there_is_no_cache(tmp_path):
    assert clear_cache(tmp_path / "nothing") == 0


def test_a_doctor_needs_no_torch_of_its_own():
    """What is wrong with torch is to be told, not to be met."""
    code = "import sys; import gammalearn.inspection.doctor; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
