"""The cache folder: its owner's alone, no link is followed, what is damaged is made anew."""

import os
import random
import shutil

import numpy as np
import pytest

from gammalearn.data.index.events import EventIndex
from gammalearn.data.index.file_index import FileIndex
from gammalearn.data.loading.cache import cache_entry
from gammalearn.data.loading.packed import PackedImages, pack_images
from gammalearn.errors import OutputError
from gammalearn.settings import DataSettings

RUN201 = "proton_run201_prod5"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("first")
    return path


@pytest.fixture
def precious(tmp_path):
    """A folder that is none of the cache's."""
    (tmp_path / "precious" / "1-1").mkdir(parents=True)
    (tmp_path / "precious" / "1-1" / "thesis").write_text("")
    return tmp_path / "precious"


def test_nobody_else_may_look_in(tmp_path, file):
    (tmp_path / "cache" / "kind").mkdir(parents=True, mode=0o777)
    entry = cache_entry(tmp_path / "cache", "kind", file, 1)
    for folder in (entry, *entry.parents[:3]):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


@pytest.mark.parametrize("level", range(4))
def test_a_link_is_refused(tmp_path, file, precious, level):
    """What it leads to stays."""
    entry = cache_entry(tmp_path / "cache", "kind", file, 1)
    place = (entry, *entry.parents)[level]
    shutil.rmtree(place)
    place.symlink_to(precious)
    with pytest.raises(OutputError, match=f"'{place}' in the cache is a link"):
        cache_entry(tmp_path / "cache", "kind", file, 1)
    assert (precious / "1-1" / "thesis").exists()


def test_only_entries_are_removed(tmp_path, file, precious):
    of_file = cache_entry(tmp_path / "cache", "kind", file, 1).parents[1]
    (of_file / "notes").mkdir()
    (of_file / "2-2").symlink_to(precious)
    file.write_text("another")
    entry = cache_entry(tmp_path / "cache", "kind", file, 1)
    left = {path.name for path in of_file.iterdir()}
    assert left == {"notes", "2-2", entry.parent.name}
    assert (precious / "1-1" / "thesis").exists()


def test_any_name(tmp_path):
    path = tmp_path / ("a;b\n" + "x" * 240)
    path.write_text("")
    assert cache_entry(tmp_path / "cache;d", "kind", path, 1).is_dir()


def test_a_linked_lock_is_not_emptied(tmp_path, dl1, build_index):
    settings = DataSettings(cache_directory=tmp_path / "cache")
    index = build_index([dl1(RUN201)], settings)
    (folder,) = pack_images(index, settings, progress=False)
    (tmp_path / "diary").write_text("dear diary")
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(tmp_path / "diary")
    (folder / "charge").unlink()
    with pytest.raises(OutputError, match="cannot be packed"):
        pack_images(index, settings, progress=False)
    assert (tmp_path / "diary").read_text() == "dear diary"


def damage(path, seed):
    """Change, cut or lengthen a file."""
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    if seed % 3 == 0:
        data[place] ^= 1 << rng.randrange(8)
    elif seed % 3 == 1:
        del data[place:]
    else:
        data[place:place] = rng.randbytes(9)
    path.write_bytes(data)


def test_damaged_packed_images_are_made_anew(tmp_path, dl1, build_index):
    settings = DataSettings(cache_directory=tmp_path / "cache")
    index = build_index([dl1(RUN201)], settings)

    def pixels():
        (folder,) = pack_images(index, settings, progress=False)
        images = PackedImages(folder)
        found = images.pixels(7, np.arange(1), ["charge", "peak_time"])
        images.close()
        return folder, found

    folder, whole = pixels()
    names = sorted(path.name for path in folder.iterdir() if path.name != ".lock")
    assert names == ["charge", "digests.json", "keys", "layout.json", "peak_time"]
    for seed in range(30):
        damage(folder / names[seed % len(names)], seed // len(names))
        _, found = pixels()
        for name, values in whole.items():
            np.testing.assert_array_equal(found[name], values)


def test_damaged_indices_are_made_anew(tmp_path, dl1):
    settings = DataSettings(cache_directory=tmp_path / "cache")
    whole = EventIndex.build([dl1(RUN201)], settings)
    (folder,) = (path.parent for path in (tmp_path / "cache" / "index").rglob("index.json"))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["events.npy", "images.npy", "index.json"]
    for seed in range(12):
        damage(folder / names[seed % 3], seed)
        assert FileIndex.cached(dl1(RUN201), settings) is None
        found = EventIndex.build([dl1(RUN201)], settings)
        for column in whole.images.colnames:
            np.testing.assert_array_equal(found.images[column], whole.images[column])
    assert FileIndex.cached(dl1(RUN201), settings) is not None


def test_no_pickle_in_an_index_runs(tmp_path, dl1):
    settings = DataSettings(cache_directory=tmp_path / "cache")
    EventIndex.build([dl1(RUN201)], settings)
    (table,) = (tmp_path / "cache" / "index").rglob("images.npy")

    class Canary:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    np.save(table, np.array([Canary()], dtype=object), allow_pickle=True)
    assert len(EventIndex.build([dl1(RUN201)], settings)) > 0
    assert not (tmp_path / "ran").exists()


class TestNoCache:
    """Where there is a file in place of the folder, nothing can be kept."""

    @pytest.fixture
    def settings(self, tmp_path):
        (tmp_path / "cache").write_text("a file")
        return DataSettings(cache_directory=tmp_path / "cache")

    def test_an_index_is_made_each_time(self, dl1, settings):
        for _ in range(2):
            assert len(EventIndex.build([dl1(RUN201)], settings)) > 0

    def test_images_cannot_be_packed(self, dl1, settings):
        index = EventIndex.build([dl1(RUN201)], settings)
        with pytest.raises(OutputError, match="cache folder '.*' cannot be used.*cache_directory"):
            pack_images(index, settings)

    def test_dl1_cannot_be_made(self, data_dir, settings):
        path = data_dir / "simtel" / "lst_with_photons.simtel.zst"
        with pytest.raises(OutputError, match="cache folder '.*' cannot be used.*cache_directory"):
            EventIndex.build([path], settings)
