"""Packed images: what the file holds, to half precision, as long as the file is the same."""

import logging
import os
from types import SimpleNamespace

import numpy as np
import pytest

from gammalearn.data import EventDataset, event_loader, pack_images
from gammalearn.data.loading import packed
from gammalearn.data.loading.packed import PackedImages
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.errors import DataError, OutputError
from gammalearn.io.ctapipe_tables import IMAGES
from gammalearn.settings import DataSettings

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"
COLUMNS = ["charge", "peak_time", "cleaning_mask"]


@pytest.fixture
def pack(dl1, build_index, tmp_path):
    """Function that packs files; returns the index, the settings and the folders."""

    def packing(*names, processes=0, **settings):
        settings = DataSettings(cache_directory=tmp_path / "cache", **settings)
        files = [dl1(name) if isinstance(name, str) else name for name in names]
        index = build_index(files, settings)
        return index, settings, pack_images(index, settings, processes, progress=False)

    return packing


def change_pixels(change):
    """A change of the first image of telescope 7."""

    def at(file):
        table = file.get_node(f"{IMAGES}/tel_007")
        rows = table.read()
        change(rows[0])
        table.modify_rows(0, len(rows), rows=rows)

    return at


def test_pixels_are_the_files_to_half_precision(pack):
    index, _, folders = pack(RUN202, channels=COLUMNS)
    images = PackedImages(folders[0])
    with CtapipeDL1Reader(index.files[0]) as reader:
        for tel_id in reader.telescopes_with_images():
            n_rows = reader.n_images(tel_id)
            for rows in (np.arange(n_rows), np.array([n_rows - 1]), np.arange(0, n_rows, 2)):
                mine = images.pixels(tel_id, rows, COLUMNS)
                theirs = reader.pixels(tel_id, rows, COLUMNS)
                for name in ("obs_id", "event_id", "cleaning_mask"):
                    np.testing.assert_array_equal(mine[name], theirs[name])
                for name in ("charge", "peak_time"):
                    assert mine[name].dtype == np.float32
                    np.testing.assert_allclose(mine[name], theirs[name], rtol=2**-11, atol=2**-25)
                    np.testing.assert_array_equal(mine[name], theirs[name].astype(np.float16))
    images.close()


def test_rows_far_apart(pack, monkeypatch):
    index, _, folders = pack(RUN202)
    whole = PackedImages(folders[0]).pixels(1, np.arange(2), ["charge"])
    monkeypatch.setattr(packed, "GAP", 0)
    apart = PackedImages(folders[0]).pixels(1, np.arange(2), ["charge"])
    np.testing.assert_array_equal(whole["charge"], apart["charge"])


def test_missing_pixels_stay_missing_and_bright_ones_are_counted(pack, altered, caplog):
    def change(row):
        row["image"][:4] = np.nan, np.inf, -np.inf, 1e6
        row["peak_time"][0] = np.nan

    with caplog.at_level(logging.WARNING):
        _, _, folders = pack(altered(RUN201, change_pixels(change)))
    assert "1 pixels of more than 65504 p.e. are packed as 65504 p.e." in caplog.text
    pixels = PackedImages(folders[0]).pixels(7, np.array([0]), ["charge", "peak_time"])
    np.testing.assert_array_equal(pixels["charge"][0, :4], [np.nan, np.nan, np.nan, 65504])
    assert np.isnan(pixels["peak_time"][0, 0])


def test_times_that_would_be_lost(pack, altered):
    def change(row):
        row["peak_time"][3] = 2000

    with pytest.raises(DataError, match=r"telescope 7 is 2000 ns.*data.packed_cache to false"):
        pack(altered(RUN201, change_pixels(change)))


def test_batches_are_those_of_the_files(pack):
    index, settings, folders = pack(RUN202, RUN201, grouping="mono")
    mine, theirs = (EventDataset(index, settings, packed=p) for p in (folders, None))
    for batch in event_loader(mine, 5, shuffle_seed=1):
        expected = theirs[batch.index.numpy()]
        for name, images in batch.images.items():
            pixels = expected.images[name].pixels
            # asinh has the relative error of the charge at the most, times a time to 0.03 ns.
            np.testing.assert_allclose(images.pixels[:, 0], pixels[:, 0], rtol=6e-4, atol=1e-6)
            np.testing.assert_allclose(images.pixels[:, 1], pixels[:, 1], rtol=0, atol=4e-3)
    theirs.close()
    mine.close()


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}


def test_packed_once(pack, altered, tmp_path):
    path = altered(RUN201, lambda file: None)
    pack(path)
    before = written(tmp_path / "cache")
    assert pack(path)[2][0] in before
    assert written(tmp_path / "cache") == before
    assert not [name for name in before if name.suffix == ".part"]


def test_a_column_more_is_added(pack, altered):
    path = altered(RUN201, lambda file: None)
    _, _, (before,) = pack(path)
    charge = (before / "charge").stat().st_mtime_ns
    _, _, (after,) = pack(path, channels=COLUMNS)
    assert after == before and (after / "charge").stat().st_mtime_ns == charge
    assert (after / "cleaning_mask").exists()


def test_other_telescopes_are_another_entry(pack):
    _, _, (all_of_them,) = pack(RUN202)
    _, _, (lsts,) = pack(RUN202, telescopes=["LST"])
    assert all_of_them != lsts
    assert (lsts / "charge").stat().st_size == 6 * 1855 * 2
    assert (all_of_them / "charge").stat().st_size == (6 * 1855 + 30 * 1764) * 2


@pytest.mark.parametrize("how", ["content", "time"])
def test_a_file_that_has_changed_is_packed_anew(pack, altered, how):
    def brighten(row):
        row["image"][0] = 777

    path = altered(RUN201, lambda file: None)
    _, _, (before,) = pack(path)
    if how == "content":
        assert altered(RUN201, change_pixels(brighten)) == path
    else:
        os.utime(path, ns=(1, 1))
    _, _, (after,) = pack(path)
    assert not before.exists(), "what is stale is removed"
    charge = PackedImages(after).pixels(7, np.array([0]), ["charge"])["charge"]
    assert (charge[0, 0] == 777) == (how == "content")


def test_interrupted_packing_leaves_no_half_file(pack, altered, monkeypatch, tmp_path):
    path = altered(RUN201, lambda file: None)
    original, calls = CtapipeDL1Reader.pixels, []

    def interrupted(self, tel_id, *args):
        calls.append(tel_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, tel_id, *args)

    monkeypatch.setattr(CtapipeDL1Reader, "pixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(path)
    files = {p.name for p in (tmp_path / "cache" / "images").rglob("*") if p.is_file()}
    assert files == {".lock"}
    monkeypatch.undo()
    _, _, (folder,) = pack(path)
    assert PackedImages(folder).pixels(12, np.array([0]), ["charge"])["charge"].any()


def test_no_room(pack, monkeypatch, tmp_path):
    monkeypatch.setattr(
        packed.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000), raising=True
    )
    with pytest.raises(OutputError, match=r"need 1\.41e-05 GB.*data.cache_directory"):
        pack(RUN201)


def test_a_cache_that_cannot_be_written(dl1, build_index, tmp_path):
    (tmp_path / "file").write_text("")
    settings = DataSettings(cache_directory=tmp_path / "file")
    with pytest.raises(OutputError, match=r"cannot be used.*set data.cache_directory"):
        pack_images(build_index([dl1(RUN201)], settings), settings, progress=False)


def test_a_packed_file_that_was_cut(pack):
    _, _, (folder,) = pack(RUN201)
    os.truncate(folder / "charge", 100)
    with pytest.raises(DataError, match="are damaged; delete that folder"):
        PackedImages(folder).pixels(7, np.array([0]), ["charge"])


def test_the_use_of_disk_is_announced(dl1, build_index, tmp_path, capsys):
    settings = DataSettings(cache_directory=tmp_path)
    pack_images(build_index([dl1(RUN201)], settings), settings)
    assert (
        f"Packing the images of 1 file(s) into '{tmp_path}': 1.41e-05 GB."
        in capsys.readouterr().err
    )


def test_by_another_process(pack):
    _, _, one = pack(RUN202, RUN201, processes=1)
    with CtapipeDL1Reader(pack(RUN201)[0].files[0]) as reader:
        expected = reader.pixels(7, np.array([0]), ["charge"])["charge"].astype(np.float16)
    found = PackedImages(one[1]).pixels(7, np.array([0]), ["charge"])["charge"]
    np.testing.assert_array_equal(found, expected)
