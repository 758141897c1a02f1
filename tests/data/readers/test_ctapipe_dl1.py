"""The reader of ctapipe DL1: what ctapipe reads, and a sentence for what is no good."""

import random
import shutil

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import Table
from ctapipe.containers import CoordinateFrameType
from ctapipe.io import read_table, write_table
from ctapipe.io.tableio import FixedPointColumnTransform
from ctapipe.monitoring.interpolation import PointingInterpolator
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.cli import main
from gammalearn.data import EventDataset, EventIndex
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.data.readers.reader import TRUTH_UNITS, match_rows
from gammalearn.errors import DataError, EmptySelectionError, InputFileError
from gammalearn.image.parameters import IMAGE_PARAMETERS
from gammalearn.io.ctapipe_tables import (
    FIXED_POINTING,
    IMAGES,
    PARAMETERS,
    SHOWER,
    TEL_TRIGGER,
    TRIGGER,
)
from gammalearn.settings import DataSettings

WITH_IMAGES = [
    "aux_traces_2029",
    "gamma_diffuse_run10_6.0.0",
    "gamma_lsts_run7_7.0.0",
    "gamma_with_obslevel_particles",
    "lst_with_photons",
    "proton_run1_6.0.2",
    "proton_run1_7.0.0",
    "proton_run201_prod5",
    "proton_run202_prod5",
    "proton_run202_prod5.camera_frame",
    "proton_run202_prod5.ctapipe0.19.3",
    "protons_prod5_merged",
]

PIXELS = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}

OLD, NEW = "proton_run202_prod5.ctapipe0.19.3", "proton_run202_prod5"


def keys(table):
    return np.column_stack([table["obs_id"], table["event_id"]])


def everything(path):
    """Index a file and read all its pixels."""
    settings = DataSettings(channels=["charge", "peak_time", "cleaning_mask"])
    index = EventIndex.build([path], settings)
    dataset = EventDataset(index, settings)
    try:
        return index, dataset[np.arange(len(index))]
    finally:
        dataset.close()


class TestMatchRows:
    @given(
        st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=20),
        st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=20, unique=True),
    )
    def test_is_a_dictionary(self, wanted, known):
        rows = {key: row for row, key in enumerate(known)}
        found = match_rows(
            np.array(wanted, dtype=np.int64).reshape(-1, 2),
            np.array(known, dtype=np.int64).reshape(-1, 2),
        )
        assert found.dtype == np.int64
        assert found.tolist() == [rows.get(key, -1) for key in wanted]

    def test_large_keys_stay_apart(self):
        # Neighbours that a float64 cannot tell apart.
        known = np.array([[2**60, 1], [2**60 + 1, 1]])
        assert match_rows(known[::-1], known).tolist() == [1, 0]

    def test_one_column(self):
        assert match_rows(np.array([[7], [8], [7]]), np.array([[8], [7]])).tolist() == [1, 0, 1]


class TestAgainstTableLoader:
    @pytest.mark.parametrize("name", WITH_IMAGES)
    def test_pixels(self, name, dl1, telescope_events):
        expected = telescope_events(dl1(name))
        with CtapipeDL1Reader(dl1(name)) as reader:
            tel_ids = reader.telescopes_with_images()
            assert tel_ids == sorted(expected)
            for tel_id in tel_ids:
                images, table = reader.images(tel_id), expected[tel_id]
                row = match_rows(keys(images), keys(table))
                assert sorted(row) == list(range(len(table)))
                pixels = reader.pixels(tel_id, np.arange(len(images)), list(PIXELS))
                np.testing.assert_array_equal(pixels["obs_id"], images["obs_id"])
                np.testing.assert_array_equal(pixels["event_id"], images["event_id"])
                for ours, theirs in PIXELS.items():
                    np.testing.assert_array_equal(pixels[ours], table[theirs][row])

    @pytest.mark.parametrize("name", [n for n in WITH_IMAGES if n != OLD])
    def test_pointing(self, name, dl1, telescope_events):
        with CtapipeDL1Reader(dl1(name)) as reader:
            for tel_id, table in telescope_events(dl1(name)).items():
                images = reader.images(tel_id)
                row = match_rows(keys(images), keys(table))
                alt = table["telescope_pointing_altitude"].quantity[row].astype(float)
                az = table["telescope_pointing_azimuth"].quantity[row].astype(float)
                assert images["pointing_alt"] == pytest.approx(alt.to_value(u.deg), abs=1e-5)
                assert images["pointing_az"] == pytest.approx(az.to_value(u.deg) % 360, abs=1e-5)

    @pytest.mark.parametrize("name", WITH_IMAGES)
    def test_truth(self, name, dl1, telescope_events):
        with CtapipeDL1Reader(dl1(name)) as reader:
            events = reader.events
            for table in telescope_events(dl1(name)).values():
                row = match_rows(keys(table), keys(events))
                for column, unit in TRUTH_UNITS.items():
                    expected = table[column].quantity.to_value(unit)
                    np.testing.assert_array_equal(events[column][row], expected)
                names = {0: "gamma", 1: "electron", 101: "proton"}
                primaries = table["true_shower_primary_id"]
                for primary, particle in zip(primaries, events["particle"][row], strict=True):
                    if primary in names:
                        assert particle == names[primary]
                    else:
                        assert particle not in ["", *names.values()]

    @pytest.mark.parametrize("name", [NEW, "proton_run202_prod5.camera_frame"])
    def test_image_parameters(self, name, dl1, telescope_events):
        with CtapipeDL1Reader(dl1(name)) as reader:
            names = reader.parameter_names()
            for tel_id, table in telescope_events(dl1(name), parameters=True).items():
                images = reader.images(tel_id, [*names, "no_such_parameter"])
                row = match_rows(keys(images), keys(table))
                assert "no_such_parameter" not in images.colnames
                for column in names:
                    np.testing.assert_array_equal(images[column], table[column][row])

    @pytest.mark.parametrize("name", ["gamma_diffuse_run10_6.0.0"])
    def test_parameters_that_a_file_lacks_are_those_that_ctapipe_writes(
        self, name, dl1, altered, telescope_events
    ):
        """Computed from the images as the file was made."""
        path = altered(name, lambda file: file.remove_node(PARAMETERS, recursive=True))
        with CtapipeDL1Reader(path) as reader:
            assert reader.parameter_names() == []
            for tel_id, table in telescope_events(dl1(name), parameters=True).items():
                names = sorted(IMAGE_PARAMETERS.names)
                images = reader.images(tel_id, [*names, "no_such_parameter"])
                row = match_rows(keys(images), keys(table))
                assert set(names) <= set(images.colnames)
                for column in names:
                    if column.startswith("timing"):
                        # Fitted to pixels that ctapipe draws at random.
                        continue
                    np.testing.assert_allclose(
                        images[column], np.asarray(table[column], dtype=float)[row], rtol=1e-4,
                        atol=1e-6, err_msg=column,
                    )  # fmt: skip

    def test_images_may_be_read_in_any_order_and_repeatedly(self, dl1):
        with CtapipeDL1Reader(dl1(NEW)) as reader:
            tel_id = reader.telescopes_with_images()[0]
            n_images = len(reader.images(tel_id))
            every = reader.pixels(tel_id, np.arange(n_images), ["charge"])["charge"]
            rows = np.array([n_images - 1, 0, 0, n_images - 1])
            some = reader.pixels(tel_id, rows, ["charge"])["charge"]
        np.testing.assert_array_equal(some, every[rows])

    def test_zenith_is_not_overshot(self, dl1):
        """π/2 in single precision is beyond the zenith: seen so, the telescope has turned."""
        with CtapipeDL1Reader(dl1("lst_with_photons")) as reader:
            (image,) = reader.images(1)
        assert (image["pointing_alt"], image["pointing_az"]) == (90, 0)


class TestDataModels:
    def test_an_old_file_holds_what_a_new_one_of_the_run_holds(self, dl1):
        with CtapipeDL1Reader(dl1(OLD)) as old, CtapipeDL1Reader(dl1(NEW)) as new:
            assert old.telescopes_with_images() == new.telescopes_with_images()
            assert set(map(tuple, keys(old.events))) == set(map(tuple, keys(new.events)))
            same = match_rows(keys(new.events), keys(old.events))
            assert list(old.events["particle"][same]) == list(new.events["particle"])
            for name in TRUTH_UNITS:
                assert old.events[name][same] == pytest.approx(new.events[name], rel=1e-6)
            for tel_id in new.telescopes_with_images():
                mine, theirs = old.images(tel_id), new.images(tel_id)
                row = match_rows(keys(theirs), keys(mine))
                for angle in ("pointing_alt", "pointing_az"):
                    assert mine[angle][row] == pytest.approx(theirs[angle], abs=1e-5)
                ours = old.pixels(tel_id, row, ["charge"])["charge"]
                charge = new.pixels(tel_id, np.arange(len(theirs)), ["charge"])["charge"]
                # Calibration and integration changed a little between the releases.
                assert np.corrcoef(ours.ravel(), charge.ravel())[0, 1] > 0.99

    def test_a_merged_file_holds_what_its_parts_hold(self, dl1):
        with CtapipeDL1Reader(dl1("protons_prod5_merged")) as merged:
            n_images = 0
            for name in ("proton_run201_prod5", NEW):
                with CtapipeDL1Reader(dl1(name)) as part:
                    row = match_rows(keys(part.events), keys(merged.events))
                    assert np.all(row >= 0)
                    for column in part.events.colnames:
                        assert list(merged.events[column][row]) == list(part.events[column])
                    for tel_id in part.telescopes_with_images():
                        images = part.images(tel_id, ["hillas_intensity"])
                        row = match_rows(keys(images), keys(merged.images(tel_id)))
                        whole = merged.images(tel_id, ["hillas_intensity"])[row]
                        # The event is its row in each file's own table.
                        for column in set(images.colnames) - {"event"}:
                            np.testing.assert_array_equal(whole[column], images[column])
                        np.testing.assert_array_equal(
                            merged.pixels(tel_id, row, ["charge"])["charge"],
                            part.pixels(tel_id, np.arange(len(row)), ["charge"])["charge"],
                        )
                        n_images += len(row)
            assert n_images == sum(
                len(merged.images(tel_id)) for tel_id in merged.telescopes_with_images()
            )

    def test_scaled_integers_with_missing_values(self, altered, telescope_events):
        """As ctapipe stores images to save space, NaN and infinity as reserved numbers."""
        path = f"{IMAGES}/tel_007"
        transform = FixedPointColumnTransform(10, 100, np.float32, np.uint16)

        def scale(file):
            stored = file.get_node(path).read()
            stored["image"][0, :3] = np.nan, np.inf, -np.inf
            columns = {name: stored[name] for name in stored.dtype.names}
            columns["image"] = transform(columns["image"])
            file.remove_node(path)
            write_table(Table(columns), file, path)
            table = file.get_node(path)
            place = table.colnames.index("image")
            for name, value in transform.get_meta(place).items():
                table.attrs[name] = value
            assert table.coldtypes["image"].base == np.uint16

        changed = altered("proton_run201_prod5", scale)
        expected = np.asarray(telescope_events(changed)[7]["image"])
        with CtapipeDL1Reader(changed) as reader:
            charge = reader.pixels(7, np.arange(1), ["charge"])["charge"]
        np.testing.assert_array_equal(charge, expected)
        assert np.isnan(charge[0, 0]) and charge[0, 1] == np.inf and charge[0, 2] == -np.inf
        assert np.allclose(charge[0, 3:] * 10, np.round(charge[0, 3:] * 10), atol=1e-3)

    def test_observation_has_no_truth(self, altered):
        path = altered("proton_run201_prod5", lambda file: file.remove_node("/simulation", None, 1))
        with CtapipeDL1Reader(path) as reader:
            assert list(reader.events["particle"]) == [""]
            assert all(np.isnan(reader.events[name]).all() for name in TRUTH_UNITS)

    def test_a_telescope_without_parameters_has_nan(self, altered):
        path = altered(
            "proton_run201_prod5", lambda file: file.remove_node(f"{PARAMETERS}/tel_007")
        )
        with CtapipeDL1Reader(path) as reader:
            assert np.isnan(reader.images(7, ["hillas_intensity"])["hillas_intensity"]).all()
            assert np.isfinite(reader.images(12, ["hillas_intensity"])["hillas_intensity"]).all()

    def test_more_triggers_than_images(self, altered, dl1):
        """Some telescopes that triggered may have been left without an image."""

        def drop_first_image(file):
            file.get_node(f"{IMAGES}/tel_012").remove_rows(0, 1)

        path = altered(NEW, drop_first_image)
        with CtapipeDL1Reader(path) as some, CtapipeDL1Reader(dl1(NEW)) as every:
            images, whole = some.images(12), every.images(12)
            np.testing.assert_array_equal(keys(images), keys(whole)[1:])
            np.testing.assert_array_equal(
                some.pixels(12, [0], ["charge"])["charge"],
                every.pixels(12, [1], ["charge"])["charge"],
            )


class TestMonitoredPointing:
    """Pointing against time, as telescopes report it."""

    @staticmethod
    def monitor(file, time, alt, az, group="/dl0/monitoring/telescope/pointing"):
        """Make an observation of a simulation, with these reports of telescope 1."""
        file.remove_node("/simulation", recursive=True)
        table = Table({"time": time, "altitude": alt * u.deg, "azimuth": az * u.deg})
        for angle in ("altitude", "azimuth"):
            table[angle] = table[angle].to(u.rad)
        write_table(table, file, f"{group}/tel_001", append=False, overwrite=True)
        return table

    @pytest.fixture
    def tracks(self, altered):
        """A file with pointing every 5 s, across north, and what ctapipe interpolates."""

        def make(order):
            expected = {}

            def change(file):
                trigger = read_table(file, TEL_TRIGGER)
                time = trigger["time"][trigger["tel_id"] == 1]
                when = time.min() + np.arange(-5, 30, 5) * u.s
                alt, az = 70 + 0.1 * np.arange(7), (359.7 + 0.13 * np.arange(7)) % 360
                table = self.monitor(file, when[order], alt[order], az[order])
                interpolator = PointingInterpolator()
                interpolator.add_table(1, table)
                expected["alt"], expected["az"] = interpolator(1, time)

            return altered(NEW, change), expected

        return make

    @pytest.mark.parametrize("order", [np.arange(7), np.array([3, 1, 6, 0, 2, 5, 4])])
    def test_is_interpolated_as_ctapipe_does(self, tracks, order):
        path, expected = tracks(order)
        with CtapipeDL1Reader(path) as reader:
            images = reader.images(1)
        assert len(images) == 2
        alt, az = expected["alt"].to_value(u.deg), expected["az"].to_value(u.deg)
        assert images["pointing_alt"] == pytest.approx(alt, abs=1e-5)
        assert images["pointing_az"] == pytest.approx(az % 360, abs=1e-5)
        assert np.ptp(images["pointing_alt"]) > 0.1

    def test_reports_without_a_value_are_left_out(self, altered):
        def change(file):
            trigger = read_table(file, TEL_TRIGGER)
            time = trigger["time"][trigger["tel_id"] == 1].min()
            when = time + np.arange(-10, 20, 10) * u.s
            self.monitor(file, when, np.array([60, np.nan, 62]), np.array([10, np.nan, 12]))

        with CtapipeDL1Reader(altered(NEW, change)) as reader:
            first = reader.images(1)[0]
        assert first["pointing_alt"] == pytest.approx(61, abs=1e-3)
        assert first["pointing_az"] == pytest.approx(11, abs=1e-3)

    def test_none_at_all_is_refused(self, altered):
        def change(file):
            time = read_table(file, TEL_TRIGGER)["time"][:1]
            self.monitor(file, time, np.array([np.nan]), np.array([np.nan]))

        with (
            CtapipeDL1Reader(altered(NEW, change)) as reader,
            pytest.raises(InputFileError, match="holds no pointing"),
        ):
            reader.images(1)


class TestPointingOfMergedSimulations:
    """Of data model 5.0, which keeps pointing against a time that all runs share."""

    BLOCK, RUN = "/configuration/observation/observation_block", "/configuration/simulation/run"

    #: Altitude and azimuth (deg) by observation.
    POINTINGS = {1: (70.0, 0.0), 2: (70.0, 180.0), 3: (52.0, 10.0)}

    @pytest.fixture
    def merged(self, altered):
        """The events of one run as of three; the block of the last is without pointing."""
        alt, az = np.transpose(list(self.POINTINGS.values()))

        def change(file):
            for table in list(file.walk_nodes("/", "Table")):
                rows = table.read()
                if table._v_pathname in (self.BLOCK, self.RUN) or "/pointing/tel" in str(table):
                    rows = np.repeat(rows[:1], 3)
                    table.append(rows[:2])
                if table._v_pathname == self.BLOCK:
                    rows["obs_id"] = list(self.POINTINGS)
                    rows["subarray_pointing_lat"], rows["subarray_pointing_lon"] = alt, az
                    rows["subarray_pointing_frame"][2] = CoordinateFrameType.ICRS.value
                    rows["subarray_pointing_lat"][2] = 0
                elif table._v_pathname == self.RUN:
                    rows["obs_id"] = list(self.POINTINGS)
                    for end in ("min", "max"):
                        rows[f"{end}_alt"], rows[f"{end}_az"] = np.deg2rad(alt), np.deg2rad(az)
                elif "/pointing/tel" in str(table):
                    rows["altitude"], rows["azimuth"] = np.deg2rad(alt), np.deg2rad(az)
                    rows["time"] += [0, 1, 2]
                elif {"obs_id", "event_id"} <= set(table.colnames):
                    rows["obs_id"] = rows["event_id"] % 3 + 1
                table.modify_rows(0, len(rows), rows=rows)

        return altered(OLD, change)

    def test_is_that_of_the_run(self, merged):
        seen = set()
        with CtapipeDL1Reader(merged) as reader:
            for tel_id in (1, 7, 12):
                images = reader.images(tel_id)
                for obs_id, alt, az in images["obs_id", "pointing_alt", "pointing_az"]:
                    assert (alt, az) == pytest.approx(self.POINTINGS[obs_id], abs=1e-5)
                    seen.add(int(obs_id))
        assert seen == {1, 2, 3}

    def test_is_that_of_the_run_in_the_table_of_files(self, merged, dl1, capsys):
        assert main(["info", str(merged), str(dl1(NEW))]) == 0
        assert "alt 52.0 to 70.0, az 0.0 to 180.0 deg" in capsys.readouterr().out

    def test_a_run_without_is_refused(self, merged):
        with tables.open_file(merged, "a") as file:
            for path in (self.BLOCK, self.RUN):
                file.get_node(path).remove_rows(1, 2)
        with pytest.raises(InputFileError, match="no pointing of telescope .* observation 2"):
            EventIndex.build([merged], DataSettings())


class TestRefused:
    def test_parameters_only_where_a_network_sees_pixels(self, dl1):
        path = dl1("proton_run202_prod5.params_only")
        with pytest.raises(InputFileError) as error:
            EventIndex.build([path], DataSettings())
        assert str(error.value) == (
            f"'{path}' holds no DL1 images (image parameters only); make it again with "
            "images (ctapipe-process --write-images), or train a network of parameters alone "
            "(network.encoder=none and data.channels=[])."
        )

    def test_pixels_of_a_file_of_parameters(self, dl1):
        with (
            CtapipeDL1Reader(dl1("proton_run202_prod5.params_only")) as reader,
            pytest.raises(InputFileError, match="holds no DL1 images; make the file again"),
        ):
            reader.pixels(1, np.arange(1), ["charge"])

    def test_neither_images_nor_parameters(self, altered):
        path = altered(
            "proton_run202_prod5.params_only",
            lambda file: file.remove_node(PARAMETERS, recursive=True),
        )
        with pytest.raises(InputFileError, match="nor their parameters.*--write-parameters"):
            CtapipeDL1Reader(path)

    def test_hdf5_of_another_kind(self, tmp_path):
        with tables.open_file(tmp_path / "other.h5", "w") as file:
            file.create_array("/", "numbers", [1, 2, 3])
        with pytest.raises(InputFileError, match="not a ctapipe DL1 file"):
            CtapipeDL1Reader(tmp_path / "other.h5")

    def test_not_hdf5(self, tmp_path):
        (tmp_path / "text.h5").write_text("obs_id,event_id\n")
        with pytest.raises(InputFileError, match="cannot be read as HDF5"):
            CtapipeDL1Reader(tmp_path / "text.h5")

    def test_a_file_is_closed_when_refused(self, altered):
        path = altered(
            "proton_run202_prod5.params_only",
            lambda file: file.remove_node(PARAMETERS, recursive=True),
        )
        with pytest.raises(InputFileError):
            CtapipeDL1Reader(path)
        # PyTables would refuse to write a file that is open elsewhere.
        tables.open_file(path, "a").close()

    def test_no_triggers(self, altered):
        path = altered(NEW, lambda file: file.get_node(TRIGGER).remove_rows())
        with pytest.raises(EmptySelectionError, match="holds no events"):
            EventIndex.build([path], DataSettings())

    def test_nothing_written_where_nothing_triggered(self, altered):
        """As ctapipe-process leaves a run without a triggered event."""

        def empty(file):
            file.remove_node("/dl1", recursive=True)
            file.remove_node("/simulation/event", recursive=True)

        with pytest.raises(EmptySelectionError, match="holds no events"):
            EventIndex.build([altered(NEW, empty)], DataSettings())

    def test_one_key_for_two_events(self, altered):
        def repeat(file):
            table = file.get_node(TRIGGER)
            table.append(table.read(0, 1))

        with pytest.raises(InputFileError, match="1 obs_id and event_id with several events"):
            EventIndex.build([altered(NEW, repeat)], DataSettings())

    @pytest.mark.parametrize("change", ["node", "row", "nan"])
    def test_no_pointing(self, altered, change):
        def remove(file):
            path = f"{FIXED_POINTING}/tel_007"
            if change == "node":
                file.remove_node(path)
            elif change == "row":
                file.get_node(path).remove_rows()
            else:
                file.get_node(path).modify_column(0, 1, colname="telescope_pointing_azimuth",
                                                  column=[np.nan])  # fmt: skip

        with pytest.raises(DataError, match="pointing of telescope 7"):
            EventIndex.build([altered("proton_run201_prod5", remove)], DataSettings())

    @pytest.mark.parametrize(
        ("path", "column"),
        [
            (TRIGGER, "event_type"),
            (TRIGGER, "event_id"),
            (TEL_TRIGGER, "tel_id"),
            (TEL_TRIGGER, "time"),
            (SHOWER, "true_shower_primary_id"),
            (f"{FIXED_POINTING}/tel_007", "telescope_pointing_altitude"),
            (f"{IMAGES}/tel_007", "event_id"),
            (f"{IMAGES}/tel_007", "image"),
            (f"{IMAGES}/tel_007", "peak_time"),
            (f"{IMAGES}/tel_007", "image_mask"),
        ],
    )
    def test_missing_column(self, altered, path, column):
        def remove(file):
            table = read_table(file, path)
            table.remove_column(column)
            file.remove_node(path)
            write_table(table, file, path)

        with pytest.raises(InputFileError, match=f"no (column )?{column}"):
            everything(altered("proton_run201_prod5", remove))

    @pytest.mark.parametrize(
        "path",
        [
            TEL_TRIGGER,
            "/configuration/instrument/subarray/layout",
            "/configuration/instrument/telescope/optics",
            "/configuration/instrument/telescope/camera/geometry_0",
        ],
    )
    def test_missing_table(self, altered, path):
        with pytest.raises(InputFileError, match="is damaged"):
            everything(altered("proton_run201_prod5", lambda file: file.remove_node(path)))

    def test_missing_truth_is_unknown(self, altered):
        """Not all that is known of a shower is needed of it."""

        def remove(file):
            table = read_table(file, SHOWER)
            table.remove_columns(["true_x_max", "true_h_first_int"])
            file.remove_node(SHOWER)
            write_table(table, file, SHOWER)

        index, _ = everything(altered("proton_run201_prod5", remove))
        assert np.isnan(index.events["true_x_max"]).all()
        assert "no column true_x_max" in index.faults[1][1]
        assert np.isfinite(index.events["true_energy"]).all()

    @pytest.mark.parametrize("lost", [SHOWER, "/simulation/event"])
    def test_simulated_events_without_truth(self, altered, lost):
        """They would pass for observed ones."""
        path = altered(NEW, lambda file: file.remove_node(lost, recursive=True))
        with pytest.raises(InputFileError, match="simulated events, but has no .*shower"):
            EventIndex.build([path], DataSettings())

    def test_images_in_another_order_than_their_triggers(self, altered):
        def reverse(file):
            table = file.get_node(f"{IMAGES}/tel_012")
            rows = table.read()[::-1]
            table.remove_rows()
            table.append(rows)

        with pytest.raises(InputFileError, match="not in the order"):
            everything(altered(NEW, reverse))

    def test_images_of_no_event(self, altered, dl1):
        def forget(file):
            file.get_node(TRIGGER).remove_rows(0, 1)

        index = EventIndex.build([altered(NEW, forget)], DataSettings())
        assert len(index) == len(EventIndex.build([dl1(NEW)], DataSettings())) - 1
        assert all("belong to no trigger" in what for _, what in index.faults)


class TestDamaged:
    @pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.99, 0.99999])
    def test_truncated(self, dl1, tmp_path, share):
        whole = dl1("proton_run201_prod5").read_bytes()
        path = tmp_path / "truncated.h5"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputFileError, match="truncated"):
            CtapipeDL1Reader(path)

    def test_garbage_in_any_table(self, dl1, tmp_path):
        """The file is refused by name, or the table is none that we read."""
        whole = dl1("gamma_with_obslevel_particles").read_bytes()
        with tables.open_file(dl1("gamma_with_obslevel_particles")) as file:
            chunks = {
                table._v_pathname: table.chunk_info((0,))
                for table in file.walk_nodes("/", "Table")
                if table.nrows
            }
        refused = set()
        for number, (node, chunk) in enumerate(chunks.items()):
            path = tmp_path / f"damaged{number}.h5"
            garbage = random.Random(number).randbytes(chunk.size)
            path.write_bytes(whole[: chunk.offset] + garbage + whole[chunk.offset + chunk.size :])
            try:
                everything(path)
            except InputFileError as error:
                assert f"'{path}' is damaged" in str(error)
                refused.add(node)
        assert refused >= {TRIGGER, TEL_TRIGGER, SHOWER, f"{IMAGES}/tel_001"}
        assert f"{PARAMETERS}/tel_001" not in refused

    @pytest.mark.parametrize(
        ("node", "named"),
        [
            (TRIGGER, TRIGGER),
            (TEL_TRIGGER, TEL_TRIGGER),
            (SHOWER, SHOWER),
            (f"{FIXED_POINTING}/tel_007", "pointing/tel_007"),
            (f"{IMAGES}/tel_007", "images/tel_007"),
            ("/configuration/instrument/subarray/layout", "description of the telescopes"),
            ("/configuration/instrument/telescope/camera/geometry_0", "description of the tele"),
        ],
    )
    def test_garbage_in_a_table(self, dl1, tmp_path, node, named):
        """It only shows when the table is read, through checksums or the decompression."""
        path = tmp_path / "damaged.h5"
        shutil.copyfile(dl1("proton_run201_prod5"), path)
        path.chmod(0o644)
        with tables.open_file(path) as file:
            chunk = file.get_node(node).chunk_info((0,))
        with path.open("r+b") as file:
            file.seek(chunk.offset)
            file.write(bytes(chunk.size))
        with pytest.raises(InputFileError, match=f"is damaged: .*{named}"):
            everything(path)
