"""Finding and opening files."""

import gc
import os
import sys
from pathlib import Path

import pytest
import tables

from gammalearn.errors import InputFileError
from gammalearn.io.files import open_hdf5, sha256
from gammalearn.io.finding import find_files, is_meant


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("b.h5", "a.h5", "c.txt", "deep/er/d.h5", "odd[1].h5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.h5").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "deep"))
    return tmp_path


def found(*patterns):
    return [str(path) for path in find_files(patterns, "data.train")]


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["b.h5", "a.h5"], ["b.h5", "a.h5"]),
        (["?.h5"], ["a.h5", "b.h5"]),
        (["b.h5", "?.h5"], ["b.h5", "a.h5"]),
        (["a.h5", "a.h5", "./a.h5", "deep/../a.h5"], ["a.h5"]),
        (["*.h5"], ["a.h5", "b.h5", "odd[1].h5"]),
        (["[bc].*"], ["b.h5", "c.txt"]),
        (["odd[1].h5"], ["odd[1].h5"]),
        (["deep/**/*.h5"], ["deep/er/d.h5"]),
    ],
)
def test_finds(folder, patterns, files):
    assert found(*patterns) == files


def test_home(folder):
    expected = str(folder / "deep" / "er" / "d.h5")
    assert found("~/er/d.h5") == found("~/er/*.h5") == [expected]


def test_a_link_is_the_file_it_points_to(folder):
    os.symlink("a.h5", "link.h5")
    assert found("link.h5", "a.h5") == ["link.h5"]


def test_paths_are_returned_as_paths(folder):
    assert find_files(["a.h5"], "data.train") == [Path("a.h5")]


@pytest.mark.parametrize(
    ("patterns", "sentence"),
    [
        ([], "data.train is empty"),
        (["missing.h5"], "data.train: the file 'missing.h5' does not exist"),
        (["a.h5", "missing.h5"], "'missing.h5' does not exist"),
        (["~nobody_of_this_name/a.h5"], "does not exist"),
        (["deep"], "'deep' is a directory; give its files, e.g. 'deep/\\*.h5'"),
        (["~"], "is a directory"),
        (["nothing*.h5"], "no file matches 'nothing\\*.h5'"),
        (["folder*"], "no file matches 'folder\\*'"),
    ],
)
def test_refuses(folder, patterns, sentence):
    with pytest.raises(InputFileError, match=sentence):
        found(*patterns)


@pytest.mark.parametrize(
    ("path", "pattern", "meant"),
    [
        ("data/train/gamma.h5", "data/train/*.h5", True),
        ("data/train/gamma.h5", "data/*/gamma.h5", True),
        ("data/train/gamma.h5", "./data/test/../train/gamma.h5", True),
        ("data/train/gamma.h5", "data/**/*.h5", True),
        ("data/train/gamma.h5", "**/train/**/gamma.h5", True),
        ("data/train/gamma.h5", "data/*.h5", False),
        ("data/train/gamma.h5", "data/**/proton.h5", False),
        ("data/train/gamma.h5", "data/train", False),
        ("data/train/gamma.h5", "data/train/gamma.h5/*", False),
        ("odd[1].h5", "odd[1].h5", True),
        ("odd1.h5", "odd[1].h5", True),
        ("~/gamma.h5", "~/*.h5", True),
    ],
)
def test_what_a_name_or_glob_stands_for(folder, path, pattern, meant):
    assert is_meant(path, pattern) == meant


@pytest.mark.parametrize("pattern", ["*.h5", "[ab].h5", "deep/**/*.h5", "deep/er/?.h5", "a.h5"])
def test_it_stands_for_what_is_found(folder, pattern):
    everything = [path for path in Path().rglob("*") if path.is_file()]
    meant = {str(path) for path in everything if is_meant(path, pattern)}
    assert meant == set(found(pattern))


def test_opens_hdf5(folder):
    tables.open_file("new.h5", "w").close()
    with open_hdf5(Path("new.h5")) as file:
        assert file.mode == "r"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.h5", "'missing.h5' does not exist"),
        ("deep", "'deep' is a directory"),
        ("a.h5", "'a.h5' cannot be read as HDF5"),
    ],
)
def test_opens_nothing_else(folder, name, sentence):
    with pytest.raises(InputFileError, match=sentence):
        open_hdf5(Path(name))


def test_a_damaged_file_is_refused_without_a_traceback(data_dir, tmp_path, monkeypatch):
    """Where zeros stand in place of its root group, PyTables cannot even close what it opened."""
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    content = bytearray((data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5").read_bytes())
    content[262008 : 262008 + 23251] = bytes(23251)
    path = tmp_path / "zeros.dl1.h5"
    path.write_bytes(content)
    with pytest.raises(InputFileError, match="cannot be read as HDF5"):
        open_hdf5(path)
    gc.collect()
    assert [str(args.exc_value) for args in ignored] == []
    assert str(path) not in tables.file._open_files.filenames, "nor is there one at the end"


def test_checksums_are_those_of_the_standard(tmp_path):
    """Of FIPS 180-4: of nothing, and of "abc"."""
    (tmp_path / "none").write_bytes(b"")
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "none").startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        sha256(tmp_path / "lacking")
