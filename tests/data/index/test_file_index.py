"""The index of each file: kept in the cache, made in several processes, or left out."""

import logging
import os
import shutil
import tracemalloc

import numpy as np
import pytest
import tables

from gammalearn.data import EventIndex
from gammalearn.data.index import file_index
from gammalearn.data.readers.formats import open_reader
from gammalearn.errors import CameraError, CutError, DataError, EmptySelectionError, InputFileError
from gammalearn.io.ctapipe_tables import TRIGGER
from gammalearn.settings import DataSettings

RUN202, RUN201, GAMMAS = "proton_run202_prod5", "proton_run201_prod5", "gamma_lsts_run7_7.0.0"


def assert_same_index(one, other):
    assert one.cut_flow == other.cut_flow
    assert [c.name for c in one.cameras] == [c.name for c in other.cameras]
    for table, expected in ((one.images, other.images), (one.events, other.events)):
        assert table.colnames == expected.colnames
        for name in table.colnames:
            np.testing.assert_array_equal(table[name], expected[name], err_msg=name)


@pytest.fixture
def settings(tmp_path):
    return lambda **values: DataSettings(cache_directory=tmp_path / "cache", **values)


class TestCache:
    def test_is_read_instead_of_the_file(self, dl1, settings, monkeypatch):
        files = [dl1(RUN202), dl1(GAMMAS)]
        cuts = {"image": "hillas_intensity > 100", "event": "multiplicity_LST >= 1"}
        first = EventIndex.build(files, settings(cuts=cuts))
        monkeypatch.setattr(file_index, "open_reader", None)
        assert_same_index(EventIndex.build(files, settings(cuts=cuts)), first)
        with pytest.raises(TypeError):
            EventIndex.build(files, settings(cuts={"image": "hillas_intensity > 101"}))

    def test_goes_with_the_file(self, altered, settings):
        path = altered(RUN202, lambda file: None)
        before = EventIndex.build([path], settings())
        shutil.copyfile(altered(RUN201, lambda file: None, copy="other"), path)
        assert len(EventIndex.build([path], settings())) < len(before)

    def test_goes_with_the_time_of_the_files_change(self, altered, settings, tmp_path):
        path = altered(RUN201, lambda file: None)
        EventIndex.build([path], settings())
        (before,) = (tmp_path / "cache").rglob("index.json")
        os.utime(path, ns=(1, 1))
        EventIndex.build([path], settings())
        (after,) = (tmp_path / "cache").rglob("index.json")
        assert after != before, "what is stale is removed"

    def test_damaged_is_made_anew(self, dl1, settings, tmp_path):
        first = EventIndex.build([dl1(RUN201)], settings())
        saved = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert {path.name for path in saved} == {"index.json", "images.npy", "events.npy"}
        for path in saved:
            for damaged in (path.read_bytes()[:200], b"", b"text"):
                path.write_bytes(damaged)
                assert_same_index(EventIndex.build([dl1(RUN201)], settings()), first)

    def test_no_cache_folder_is_no_trouble(self, dl1, tmp_path):
        (tmp_path / "file").write_text("")
        settings = DataSettings(cache_directory=tmp_path / "file")
        assert len(EventIndex.build([dl1(RUN201)], settings)) == 1


def test_memory_is_that_of_the_tables(dl1, settings):
    """44 bytes an image, 124 and the name an event; of a file nothing is held beside its rows."""
    path, mono = dl1("protons_prod5_merged"), settings(grouping="mono")
    one = EventIndex.build([path], mono)
    assert sum(column.dtype.itemsize for column in one.images.columns.values()) == 44
    per_event = sum(column.dtype.itemsize for column in one.events.columns.values())
    assert per_event - one.events["particle"].dtype.itemsize == 124
    n_files = 200
    tracemalloc.start()
    index = EventIndex.build([path] * n_files, mono)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index.images) == n_files * len(one.images)
    tables = len(index) * (44 + per_event)
    assert tables < kept < 1.5 * tables and peak < 2.5 * tables


def test_another_process_makes_the_same(dl1, settings, tmp_path):
    files = [dl1(RUN202), dl1(RUN201), dl1(GAMMAS), tmp_path / "missing.h5"]
    here, there = (
        EventIndex.build(files, DataSettings(cache_directory=tmp_path / name, on_error="skip"),
                         processes=n)
        for name, n in (("one", 0), ("two", 1))
    )  # fmt: skip
    assert_same_index(here, there)
    assert here.skipped == there.skipped and len(here.skipped) == 1


class TestSkip:
    @pytest.fixture
    def bad_files(self, dl1, altered, tmp_path):
        """Files that cannot be used, and the word that says why."""
        cut = tmp_path / "cut.h5"
        cut.write_bytes(dl1(RUN202).read_bytes()[:200_000])
        text = tmp_path / "text.h5"
        text.write_text("no HDF5")
        empty = altered(RUN201, lambda f: f.get_node(TRIGGER).remove_rows(), copy="empty")
        return {
            cut: "truncated",
            text: "another format",
            empty: "no events",
            dl1("proton_run202_prod5.params_only"): "no DL1 images",
            tmp_path / "missing.h5": "does not exist",
        }

    def test_leaves_bad_files_out_and_says_so(self, bad_files, dl1, settings, caplog):
        first, *others = bad_files
        files = [first, dl1(RUN202), *others, dl1(GAMMAS)]
        with caplog.at_level(logging.WARNING):
            index = EventIndex.build(files, settings(on_error="skip"))
        assert_same_index(index, EventIndex.build([dl1(RUN202), dl1(GAMMAS)], settings()))
        assert index.files == [dl1(RUN202), dl1(GAMMAS)]
        assert [path for path, _ in index.skipped] == list(bad_files)
        for (path, why), word in zip(index.skipped, bad_files.values(), strict=True):
            assert str(path) in why and word in why
        assert len([r for r in caplog.records if r.message.startswith("Skipped: ")]) == 5

    def test_otherwise_the_first_stops_the_run(self, bad_files, dl1, settings):
        for path in bad_files:
            with pytest.raises((InputFileError, EmptySelectionError)):
                EventIndex.build([dl1(RUN202), path], settings())

    def test_all_bad(self, bad_files, settings):
        with pytest.raises(EmptySelectionError, match=r"None of 5 file\(s\) can be used.*'.*cut"):
            EventIndex.build(list(bad_files), settings(on_error="skip"))

    def test_cameras_that_a_network_does_not_know(self, dl1, settings):
        cameras = EventIndex.build([dl1(GAMMAS)], settings()).cameras
        files = [dl1(GAMMAS), dl1("gamma_with_obslevel_particles")]
        index = EventIndex.build(files, settings(on_error="skip"), cameras)
        assert index.files == files[:1] and "not trained on" in index.skipped[0][1]
        with pytest.raises(CameraError):
            EventIndex.build(files, settings(), cameras)

    def test_mistakes_in_the_settings_are_no_bad_files(self, dl1, settings):
        for wrong in ({"cuts": {"image": "hilas > 1"}}, {"telescopes": ["SST"]}):
            with pytest.raises((CutError, DataError)):
                EventIndex.build([dl1(RUN202)], settings(on_error="skip", **wrong))


class TestByTelescopeType:
    def test_cuts(self, dl1, settings):
        cuts = {"telescope": {"LST": "hillas_intensity > 1000", "FlashCam": "hillas_width > 0.1"}}
        index = EventIndex.build([dl1(RUN202)], settings(cuts=cuts))
        with open_reader(dl1(RUN202)) as reader:
            expected = 0
            for tel_id, telescope in reader.subarray.tel.items():
                if tel_id not in reader.telescopes_with_images():
                    continue
                images = reader.images(tel_id, ["hillas_intensity", "hillas_width"])
                is_lst = telescope.type == "LST"
                name, least = ("hillas_intensity", 1000) if is_lst else ("hillas_width", 0.1)
                expected += int((np.asarray(images[name]) > least).sum())
        assert 0 < len(index.images) == expected
        labels = [label for label, *_ in index.cut_flow]
        assert "LST image: hillas_intensity > 1000" in labels

    def test_no_such_telescope(self, dl1, settings):
        cuts = {"telescope": {"LTS": "hillas_intensity > 1000"}}
        with pytest.raises(DataError, match="no telescope 'LTS' in any"):
            EventIndex.build([dl1(RUN202)], settings(cuts=cuts))

    @pytest.mark.parametrize("name", ["LST", "MST", "SST"])
    def test_multiplicity(self, dl1, settings, name):
        everything = EventIndex.build([dl1(RUN202)], settings())
        cuts = {"event": f"multiplicity_{name} >= 2"}
        with open_reader(dl1(RUN202)) as reader:
            of_type = [t for t, tel in reader.subarray.tel.items() if tel.type == name]
        count = np.bincount(
            everything.images["event"][np.isin(everything.images["tel_id"], of_type)],
            minlength=len(everything),
        )
        kept = everything.events["event_id"][count >= 2].tolist()
        if kept:
            index = EventIndex.build([dl1(RUN202)], settings(cuts=cuts))
            assert index.events["event_id"].tolist() == kept
            return
        with pytest.raises(EmptySelectionError):
            EventIndex.build([dl1(RUN202)], settings(cuts=cuts))


class TestLimited:
    def test_so_many_of_each_particle(self, dl1, settings):
        whole = EventIndex.build([dl1(RUN202), dl1(GAMMAS)], settings(grouping="mono"))
        assert whole.limited(None, 1) is whole
        index = whole.limited(8, seed=1)
        counts = index.particle_counts()
        assert 0 < counts["gamma"] <= 8 and 0 < counts["proton"] <= 8
        # Whole showers, their images still with them, in the same order.
        for shower in np.unique(index.events["shower_id"]):
            mine = (index.events["shower_id"] == shower).sum()
            assert mine == (whole.events["shower_id"] == shower).sum()
        np.testing.assert_array_equal(index.images["event"], np.arange(len(index)))
        np.testing.assert_array_equal(index.images["tel_id"], index.events["tel_id"])
        assert np.all(np.diff(index.events["file"]) >= 0)
        assert index.cut_flow[-1] == ("at most 8 events a particle", len(index), len(index))

    def test_depends_on_the_seed_alone(self, dl1, settings):
        index = EventIndex.build([dl1(RUN202)], settings())
        chosen = {seed: index.limited(1, seed).events["event_id"].tolist() for seed in range(9)}
        assert chosen[0] == index.limited(1, 0).events["event_id"].tolist()
        assert len(set(map(tuple, chosen.values()))) > 1
        assert {len(ids) for ids in chosen.values()} == {1}


def test_files_are_closed_after_indexing(dl1, settings):
    EventIndex.build([dl1(RUN202)], settings())
    assert str(dl1(RUN202)) not in tables.file._open_files.filenames
