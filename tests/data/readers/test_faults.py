"""Faults of files: named with their number, and what they concern is left out, nothing else."""

import logging
import shutil

import numpy as np
import pytest
import tables
import torch
from ctapipe.visualization import CameraDisplay
from matplotlib.figure import Figure

from gammalearn.cli import main
from gammalearn.data import EventDataset, EventIndex
from gammalearn.dl2 import check_ids
from gammalearn.errors import EmptySelectionError, InputFileError
from gammalearn.inspection.info import describe
from gammalearn.inspection.show import show_event
from gammalearn.io.ctapipe_tables import IMAGES, PARAMETERS, SHOWER, TEL_TRIGGER, TRIGGER
from gammalearn.io.lstchain_tables import IMAGES as LST_IMAGES
from gammalearn.io.lstchain_tables import PARAMETERS as LST_PARAMETERS
from gammalearn.run.report import faulty_files, selection_sections
from gammalearn.settings import DataSettings, Experiment

PROTONS, GAMMAS = "proton_run202_prod5", "gamma_lsts_run7_7.0.0"
POINTING = "/configuration/telescope/pointing"
SKIP = DataSettings(on_error="skip")


@pytest.fixture
def lstchain(data_dir, tmp_path):
    """A copy of an lstchain file of four gammas after ``change(images, parameters)``.

    The function is given all rows of the two tables and returns new ones.
    """

    def make(change):
        path = tmp_path / "lstchain.h5"
        shutil.copyfile(data_dir / "dl1_lstchain" / f"dl1_{GAMMAS}_4tel.h5", path)
        path.chmod(0o644)
        with tables.open_file(path, "a") as file:
            nodes = [file.get_node(where) for where in (LST_IMAGES, LST_PARAMETERS)]
            for node, rows in zip(nodes, change(*(node.read() for node in nodes)), strict=True):
                node.remove_rows()
                node.append(rows)
        return path

    return make


@pytest.fixture
def told(capsys):
    """What `gammalearn info` says of a file, without the blanks that align it."""

    def info(path, status=0):
        assert main(["info", str(path)]) == status
        return " ".join(capsys.readouterr().out.split())

    return info


def modify(file, path, column, rows, value):
    values = file.get_node(path).read()
    values[column][rows] = value
    file.get_node(path).modify_rows(0, len(values), rows=values)


def ids(index):
    names = ("obs_id", "event_id")
    return list(zip(*(index.events[name].tolist() for name in names), strict=True))


def assert_left_out(index, whole, rows):
    """The events are the whole file's but for some, with the same truth and images."""
    kept = np.setdiff1d(np.arange(len(whole)), rows)
    assert ids(index) == [ids(whole)[row] for row in kept]
    for name in ("particle", "true_energy", "true_alt", "multiplicity", "pointing_az"):
        np.testing.assert_array_equal(index.events[name], whole.events[name][kept])


@pytest.fixture
def whole(dl1, build_index):
    return build_index([dl1(PROTONS)], DataSettings())


class TestSeveralPointingsInOneFile:
    """lstchain's merged files repeat obs_id and event_id."""

    @staticmethod
    def second_node(images, parameters):
        """Other showers under the same ids, seen from another pointing, after the first."""
        again = parameters.copy()
        again["mc_energy"] *= 3
        again["mc_alt"] -= 0.1
        again["alt_tel"] -= 0.1
        brighter = images.copy()
        brighter["image"] *= 3
        return np.concatenate([images, brighter]), np.concatenate([parameters, again])

    def test_events_are_told_apart_by_truth(self, lstchain, data_dir, build_index, told):
        one = build_index([data_dir / "dl1_lstchain" / f"dl1_{GAMMAS}_4tel.h5"], DataSettings())
        path = lstchain(self.second_node)
        both = EventIndex.build([path], DataSettings())
        n = len(one)
        assert (n, len(one.images)) == (4, 13) and (len(both), len(both.images)) == (8, 26)
        assert ids(both) == 2 * ids(one) and both.faults == []
        energy, alt, pointing = (
            np.asarray(both.events[name]) for name in ("true_energy", "true_alt", "pointing_alt")
        )
        np.testing.assert_allclose(energy[n:], 3 * energy[:n], rtol=1e-6)
        np.testing.assert_allclose(alt[n:], alt[:n] - np.rad2deg(0.1), rtol=1e-6)
        np.testing.assert_allclose(pointing[n:], pointing[:n] - np.rad2deg(0.1), rtol=1e-5)
        assert both.events["multiplicity"].tolist() == 2 * one.events["multiplicity"].tolist()
        assert "8 gamma" in told(path)

    def test_each_event_has_its_own_pixels(self, lstchain):
        path = lstchain(self.second_node)
        settings = DataSettings(channels=["charge"], charge_scale="linear")
        dataset = EventDataset(EventIndex.build([path], settings), settings)
        for event in range(4):
            first, second = (
                next(iter(dataset[row].images.values())).pixels for row in (event, event + 4)
            )
            np.testing.assert_allclose(second, 3 * first, rtol=1e-5)
        dataset.close()

    def test_the_same_shower_seen_from_two_pointings(self, lstchain):
        def look_elsewhere(images, parameters):
            again = parameters.copy()
            again["alt_tel"] -= 0.01
            return np.concatenate([images, images]), np.concatenate([parameters, again])

        index = EventIndex.build([lstchain(look_elsewhere)], DataSettings())
        assert len(index) == 8 and index.faults == []
        pointing = np.asarray(index.events["pointing_alt"])
        np.testing.assert_allclose(pointing[4:], pointing[:4] - np.rad2deg(0.01), rtol=1e-5)

    def test_one_shower_is_drawn(self, lstchain, tmp_path, monkeypatch):
        """Not the images of two in one picture."""
        path = lstchain(self.second_node)
        titles = []
        monkeypatch.setattr(Figure, "suptitle", lambda _, title: titles.append(title))
        monkeypatch.setattr(CameraDisplay, "add_colorbar", lambda *_, **__: None)
        show_event(path, 1000, tmp_path / "event.png")
        (title,) = titles
        assert title.startswith("Observation 7, event 1000 (the first of 2 of these ids): gamma, ")

    def test_ctapipes_dl2_is_refused_with_the_remedy(self, lstchain):
        path = lstchain(self.second_node)
        for grouping in ("mono", "stereo"):
            experiment = Experiment.model_validate({"data": {"grouping": grouping}})
            index = EventIndex.build([path], experiment.data)
            with pytest.raises(InputFileError, match="several events .*--format lstchain"):
                check_ids(index, experiment)
        layout = Experiment.model_validate({"output": {"dl2_format": "lstchain"}})
        check_ids(index, layout)

    def test_ctapipes_dl1_is_refused_with_the_remedy(self, altered, refused_by_info):
        def repeat(file):
            file.get_node(TRIGGER).append(file.get_node(TRIGGER).read(1, 3))

        error = refused_by_info(altered(PROTONS, repeat))
        assert "2 obs_id and event_id with several events" in error
        assert "give the files that it was merged of" in error


@pytest.fixture
def refused_by_info(capsys):
    """The error of `gammalearn info` on a file, given twice."""

    def refuse(path):
        assert main(["info", str(path), str(path)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"gammalearn: '{path}'") and "Traceback" not in error
        return error

    return refuse


class TestRepeatedImage:
    def test_counts_once(self, altered, whole, told, caplog):
        def repeat(file):
            table = file.get_node(f"{IMAGES}/tel_006")
            table.append(table.read(0, 1))

        path = altered(PROTONS, repeat)
        with caplog.at_level(logging.WARNING):
            index = EventIndex.build([path], DataSettings())
        assert_left_out(index, whole, [])
        words = "1 image has the event of an earlier image of telescope 6"
        assert words in caplog.text and words in told(path)
        assert index.faults[0][0] == path and words in index.faults[0][1]
        assert words in faulty_files("training", [index])[0]
        (section,) = [s for s in selection_sections(index, []) if "Faults" in s.title]
        assert words in section.table[str(path)]

    def test_in_lstchains_tables(self, lstchain, data_dir, build_index):
        one = build_index([data_dir / "dl1_lstchain" / f"dl1_{GAMMAS}_4tel.h5"], DataSettings())
        path = lstchain(lambda *both: [np.concatenate([rows, rows[2:3]]) for rows in both])
        index = EventIndex.build([path], DataSettings())
        assert_left_out(index, one, [])
        assert "1 image has the event of an earlier image" in index.faults[0][1]


class TestLostImages:
    def test_a_renamed_table(self, altered, told):
        path = altered(PROTONS, lambda file: file.rename_node(f"{IMAGES}/tel_007", "seven"))
        with tables.open_file(path) as file:
            n_rows = file.get_node(f"{IMAGES}/seven").nrows
        text = told(path)
        assert f"{n_rows} rows of {IMAGES}/seven are of no telescope of the layout" in text
        assert f"telescope 7 has {n_rows} triggers and no image" in text

    def test_a_telescope_that_the_layout_lacks(self, altered, told):
        def forget(file):
            layout = file.root.configuration.instrument.subarray.layout
            (row,) = layout.get_where_list("tel_id == 7")
            layout.remove_rows(row, row + 1)

        text = told(altered(PROTONS, forget))
        assert "triggers are of telescopes that the layout lacks (7)" in text
        assert f"rows of {IMAGES}/tel_007 are of no telescope" in text

    def test_an_emptied_table_is_named(self, altered, caplog):
        path = altered(PROTONS, lambda file: file.get_node(f"{IMAGES}/tel_007").remove_rows())
        with caplog.at_level(logging.WARNING):
            EventIndex.build([path], DataSettings())
        assert "telescope 7 has" in caplog.text and "triggers and no image" in caplog.text
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            EventIndex.build([path], DataSettings(telescopes=[5, 6]))
        assert caplog.text == ""


class TestFilesOfKilledJobs:
    @pytest.mark.parametrize(
        ("table", "words"),
        [
            (SHOWER, f"1 of 6 events without a row in {SHOWER}"),
            (f"{IMAGES}/tel_006", r"1 of \d triggers of telescope 6 have no image"),
            (f"{PARAMETERS}/tel_006", r"1 of \d images of telescope 6 have no row of parameters"),
        ],
    )
    def test_a_short_table_is_told_or_costs_its_events(self, altered, whole, told, table, words):
        def cut(file):
            node = file.get_node(table)
            lost.append(tuple(node.read(node.nrows - 1)[["obs_id", "event_id"]][0].tolist()))
            node.remove_rows(node.nrows - 1)

        lost = []
        path = altered(PROTONS, cut)
        with pytest.raises(InputFileError, match=f"'{path}' is incomplete.*{words}.*on_error="):
            EventIndex.build([path], DataSettings())
        index = EventIndex.build([path], SKIP)
        assert_left_out(index, whole, [ids(whole).index(lost[0])])
        assert len(index.faults) == 1 and index.skipped == []
        assert "fault 1" in told(path)

    @pytest.mark.parametrize("shorter", [0, 1])
    def test_lstchains_tables_of_two_lengths(self, lstchain, data_dir, build_index, shorter):
        one = build_index([data_dir / "dl1_lstchain" / f"dl1_{GAMMAS}_4tel.h5"], DataSettings())

        def cut(*both):
            return [rows[:-1] if number == shorter else rows for number, rows in enumerate(both)]

        path = lstchain(cut)
        counts = (12, 13) if shorter == 0 else (13, 12)
        words = "{} images do not go with {} rows of parameters".format(*counts)
        with pytest.raises(InputFileError, match=words):
            EventIndex.build([path], DataSettings())
        assert_left_out(EventIndex.build([path], SKIP), one, [3])

    def test_a_repeated_row_of_truth(self, altered, whole):
        def repeat(file):
            file.get_node(SHOWER).append(file.get_node(SHOWER).read(0, 1))

        path = altered(PROTONS, repeat)
        with pytest.raises(InputFileError, match="1 of 6 events with several rows"):
            EventIndex.build([path], DataSettings())
        assert_left_out(EventIndex.build([path], SKIP), whole, [0])


class TestSingleEvents:
    """What is wrong with one event costs that one."""

    def test_an_image_without_trigger(self, altered, whole, told):
        path = altered(PROTONS, lambda file: file.get_node(TEL_TRIGGER).remove_rows(0, 1))
        index = EventIndex.build([path], DataSettings())
        assert_left_out(index, whole, [0])
        assert "1 of" in index.faults[0][1] and "belong to no trigger" in index.faults[0][1]
        assert "belong to no trigger" in told(path)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1.7, 0.0])
    def test_a_pointing_that_is_none(self, lstchain, data_dir, build_index, told, value):
        one = build_index([data_dir / "dl1_lstchain" / f"dl1_{GAMMAS}_4tel.h5"], DataSettings())

        def lose(images, parameters):
            parameters["alt_tel"][0] = value
            return images, parameters

        path = lstchain(lose)
        index = EventIndex.build([path], DataSettings())
        assert_left_out(index, one, [0])
        words = "above the horizon" if value == 0 else "no direction"
        assert words in index.faults[0][1] and words in told(path)

    def test_a_telescope_at_altitude_0_is_not_averaged(self, altered, whole):
        def lower(file):
            modify(file, f"{POINTING}/tel_006", "telescope_pointing_altitude", 0, 0.0)

        index = EventIndex.build([altered(PROTONS, lower)], DataSettings())
        seen = np.unique(whole.images["event"][whole.images["tel_id"] == 6])
        assert_left_out(index, whole, seen)
        np.testing.assert_allclose(index.events["pointing_alt"], 70)

    @pytest.mark.parametrize(
        ("column", "value", "words"),
        [
            ("true_energy", -1.0, "energy that is not positive"),
            ("true_energy", np.inf, "energy that is not positive and finite"),
            ("true_alt", np.nan, "direction that is none"),
            ("true_core_x", np.nan, "core that is not finite"),
        ],
    )
    def test_a_truth_that_no_shower_has(self, altered, whole, column, value, words):
        path = altered(PROTONS, lambda file: modify(file, SHOWER, column, 2, value))
        index = EventIndex.build([path], DataSettings())
        assert_left_out(index, whole, [2])
        assert words in index.faults[0][1]

    def test_that_leave_nothing(self, altered):
        path = altered(PROTONS, lambda file: modify(file, SHOWER, "true_energy", slice(None), -1))
        with pytest.raises(EmptySelectionError, match=f"In '{path}', 6 events have a true energy"):
            EventIndex.build([path], DataSettings())


class TestColumnsOfTruth:
    @staticmethod
    def replace(file, dtype):
        """Another column in the place of the true energies."""
        rows = file.get_node(SHOWER).read()
        described = [dtype if n == "true_energy" else (n, rows.dtype[n]) for n in rows.dtype.names]
        new = np.zeros(len(rows), dtype=described)
        for name in set(rows.dtype.names) - {"true_energy"}:
            new[name] = rows[name]
        where, node = SHOWER.rsplit("/", 1)
        file.remove_node(SHOWER)
        file.create_table(where, node, obj=new)

    @pytest.mark.parametrize(
        ("dtype", "words"),
        [
            (("energy", "<f8"), "has no column true_energy"),
            (("true_energy", "<f8", (2,)), "true_energy .* must hold one number in each row"),
            (("true_energy", "S5"), "true_energy .* must hold one number in each row"),
        ],
    )
    def test_renamed_or_misshapen(self, altered, dtype, words):
        path = altered(PROTONS, lambda file: self.replace(file, dtype))
        with pytest.raises(InputFileError, match=f"'{path}'.*{words}"):
            EventIndex.build([path], DataSettings())

    def test_in_lstchains_table(self, lstchain, tmp_path):
        path = lstchain(lambda *both: both)
        with tables.open_file(path, "a") as file:
            rows = file.get_node(LST_PARAMETERS).read()
            rows.dtype.names = [n.replace("mc_energy", "energy") for n in rows.dtype.names]
            where, name = LST_PARAMETERS.rsplit("/", 1)
            file.remove_node(LST_PARAMETERS)
            file.create_table(where, name, obj=rows)
        with pytest.raises(InputFileError, match="has no column mc_energy"):
            EventIndex.build([path], DataSettings())


@pytest.mark.parametrize("value", [np.inf, 1e30])
def test_impossible_peak_times_are_named(altered, caplog, value):
    path = altered(PROTONS, lambda file: modify(file, f"{IMAGES}/tel_007", "peak_time", 0, value))
    other = path.with_name("other.h5")
    shutil.copyfile(path, other)
    assert "peak times of the first" in told_table(path, other)
    dataset = EventDataset(EventIndex.build([path], DataSettings()), DataSettings())
    with caplog.at_level(logging.WARNING):
        batch = dataset[np.arange(len(dataset))]
    dataset.close()
    assert "have an infinite or impossible peak time" in caplog.text
    assert all(torch.isfinite(images.pixels).all() for images in batch.images.values())


def told_table(*paths):
    """What `gammalearn info` says of several files."""
    text, errors = describe(list(paths))
    assert errors == []
    return text


class TestLightPulses:
    """Of the type of showers (32), with primary 0 and the energy of a photon: no gammas."""

    @pytest.fixture
    def pulses(self, altered):
        def become(file):
            modify(file, SHOWER, "true_energy", slice(0, 2), 1e-12)
            modify(file, SHOWER, "true_shower_primary_id", slice(0, 2), 0)

        return altered(PROTONS, become)

    def test_are_no_gammas(self, pulses, whole, told):
        index = EventIndex.build([pulses], DataSettings())
        assert_left_out(index, whole, [0, 1])
        assert set(index.events["particle"]) == {"proton"}
        assert index.cut_flow[2][:2] == ("showers (no calibration)", 4)
        text = told(pulses)
        assert "calibration 2 events" in text and " gamma " not in text

    def test_nor_in_the_table_of_files(self, pulses, dl1):
        text = told_table(pulses, dl1(PROTONS))
        assert "4 proton, 2 calibration" in text
        assert "no: there are no gammas" in text and "no: it needs gammas and others" in text

    def test_nor_is_calibration_by_its_type(self, altered, told):
        path = altered(PROTONS, lambda file: modify(file, TRIGGER, "event_type", 0, 0))
        assert "calibration 1 events" in told(path)


@pytest.mark.parametrize("kind", ["ctapipe", "lstchain"])
def test_ids_of_minus_one_and_zero(kind, altered, lstchain, build_index, dl1, data_dir, tmp_path):
    """Identifiers like any: nothing takes them for a mark of what is not there.

    Some tables of ctapipe have no signs.
    """
    obs_id = {"ctapipe": 0, "lstchain": -1}[kind]

    def of_file(file):
        first = file.get_node(TRIGGER).col("event_id").min()
        for table in file.walk_nodes("/", "Table"):
            if "obs_id" in table.colnames:
                rows = table.read()
                rows["obs_id"] = obs_id
                if "event_id" in table.colnames:
                    rows["event_id"] -= first
                table.modify_rows(0, len(rows), rows=rows)

    def of_both(images, parameters):
        for rows in (images, parameters):
            rows["obs_id"] = obs_id
            rows["event_id"] -= 1000
        return images, parameters

    one = {"ctapipe": dl1(GAMMAS), "lstchain": data_dir / f"dl1_lstchain/dl1_{GAMMAS}_4tel.h5"}
    path = lstchain(of_both) if kind == "lstchain" else altered(GAMMAS, of_file)
    whole = build_index([one[kind]], DataSettings())
    index = EventIndex.build([path], DataSettings())
    assert index.faults == []
    first = min(event_id for _, event_id in ids(whole))
    assert ids(index) == [(obs_id, event_id - first) for _, event_id in ids(whole)]
    for name in ("true_energy", "true_alt", "multiplicity", "pointing_alt", "pointing_az"):
        np.testing.assert_array_equal(index.events[name], whole.events[name])
    assert main(["predict", "lst4-stereo", str(path), "-o", str(tmp_path / "dl2"), "-q"]) == 0
    (made,) = (tmp_path / "dl2").iterdir()
    with tables.open_file(made) as file:
        table = file.get_node("/dl2/event/subarray/energy/GammaLearn")
        assert sorted(table.col("event_id")) == sorted(event_id for _, event_id in ids(index))
        assert set(table.col("obs_id")) == {obs_id}
        assert np.isfinite(table.col("GammaLearn_energy")).any()
