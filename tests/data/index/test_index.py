"""The event index: what is selected, grouped and counted."""

import numpy as np
import pytest
from astropy.table import Table
from ctapipe.coordinates import TelescopeFrame
from ctapipe.instrument import SubarrayDescription

from gammalearn.data import EventIndex
from gammalearn.data.index.selection import _add_references
from gammalearn.errors import CameraError, CutError, DataError, EmptySelectionError, InputFileError
from gammalearn.io.ctapipe_tables import (
    FIXED_POINTING,
    IMAGES,
    PARAMETERS,
    SHOWER,
    TEL_TRIGGER,
    TRIGGER,
)
from gammalearn.settings import DataSettings

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"
NORTH, SOUTH = "gamma_diffuse_run10_6.0.0", "gamma_lsts_run7_7.0.0"

#: The telescopes that saw each event of run 202: 1 to 4 are LSTs, the others MSTs.
TELESCOPES = {
    904: [7, 8, 12],
    909: [6, 12],
    913: list(range(1, 20)),
    914: [5, 6, 7, 12, 14, 16, 17, 18],
    3906: [1, 4],
    5801: [13, 15],
}


@pytest.fixture
def index(dl1, build_index):
    def build(*names, cameras=None, allow_empty=False, **settings):
        files = [dl1(name) if isinstance(name, str) else name for name in names]
        settings = DataSettings(**settings)
        if cameras is None and not allow_empty:
            return build_index(files, settings)
        return EventIndex.build(files, settings, cameras, allow_empty)

    return build


def seen(index):
    """Telescopes of each event."""
    return {
        int(event_id): index.images["tel_id"][index.images["event"] == row].tolist()
        for row, event_id in enumerate(index.events["event_id"])
    }


def check_rows(index):
    """What holds for every index: images and events point to one another."""
    images, events = index.images, index.events
    assert np.all(np.diff(images["event"]) >= 0)
    assert np.bincount(images["event"], minlength=len(events)).tolist() == list(
        events["multiplicity"]
    )
    for row, event in enumerate(events):
        mine = np.flatnonzero(images["event"] == row)
        assert event["first_image"] == mine[0]
        assert set(images["file"][mine]) == {event["file"]}
    assert not images.has_masked_values and not events.has_masked_values


class TestGrouping:
    def test_stereo_has_one_event_a_shower(self, index):
        stereo = index(RUN202)
        assert seen(stereo) == TELESCOPES
        assert set(stereo.events["tel_id"]) == {-1}
        check_rows(stereo)

    def test_mono_has_one_event_an_image(self, index):
        mono = index(RUN202, grouping="mono")
        expected = [(event, tel_id) for event, tel_ids in TELESCOPES.items() for tel_id in tel_ids]
        keys = zip(mono.events["event_id"], mono.events["tel_id"], strict=True)
        assert list(keys) == expected
        assert list(mono.images["tel_id"]) == [tel_id for _, tel_id in expected]
        assert set(mono.events["multiplicity"]) == {1}
        check_rows(mono)

    @pytest.mark.parametrize("grouping", ["mono", "stereo"])
    def test_files_follow_one_another(self, index, grouping):
        names = [RUN202, RUN201, NORTH]
        together = index(*names, grouping=grouping)
        apart = [index(name, grouping=grouping) for name in names]
        check_rows(together)
        for table in ("events", "images"):
            assert list(getattr(together, table)["file"]) == [
                number for number, part in enumerate(apart) for _ in getattr(part, table)
            ]
        for column in ("event_id", "shower_id", "particle", "true_energy", "multiplicity"):
            assert list(together.events[column]) == [
                value for part in apart for value in part.events[column]
            ]
        assert together.particle_counts() == (
            {"proton": 38, "gamma": 8} if grouping == "mono" else {"proton": 7, "gamma": 2}
        )

    def test_positions_are_those_of_the_telescopes(self, index, dl1):
        subarray = SubarrayDescription.from_hdf(dl1(RUN202))
        for image in index(RUN202).images:
            expected = subarray.positions[image["tel_id"]].to_value("m")
            assert [image["x"], image["y"], image["z"]] == pytest.approx(expected)


class TestTelescopes:
    @pytest.mark.parametrize(
        ("telescopes", "expected"),
        [
            (None, range(1, 20)),
            ("LST", range(1, 5)),
            ("LSTCam", range(1, 5)),
            ("LST_LST_LSTCam", range(1, 5)),
            (["FlashCam"], range(5, 20)),
            (["LST", "MST"], range(1, 20)),
            (3, [3]),
            ([12, 5, "LST", 1], [1, 2, 3, 4, 5, 12]),
        ],
    )
    def test_selected_by_id_type_or_name(self, index, telescopes, expected):
        expected = {
            event: [tel_id for tel_id in tel_ids if tel_id in expected]
            for event, tel_ids in TELESCOPES.items()
        }
        selection = index(RUN202, telescopes=telescopes)
        assert seen(selection) == {event: tel_ids for event, tel_ids in expected.items() if tel_ids}
        check_rows(selection)

    def test_a_name_of_two_types_selects_both(self, index, dl1):
        subarray = SubarrayDescription.from_hdf(dl1(NORTH))
        assert len([t for t in subarray.telescope_types if t.name == "LSTN-design"]) == 2
        assert seen(index(NORTH, telescopes="LSTN-design")) == {4312: [2, 3]}

    @pytest.mark.parametrize("unknown", [20, "SST", "lst", ""])
    def test_unknown_is_refused_with_those_there(self, index, unknown):
        with pytest.raises(DataError, match=r"no telescope .* which has: 1 \(LST_LST_LSTCam\)"):
            index(RUN202, telescopes=[unknown, "LST"])

    def test_a_file_without_images_of_the_selected(self, index):
        """Run 201 has LSTs, but none of them saw anything."""
        cuts = {"image": ["hillas_intensity > 0", "true_energy > 0"], "event": "multiplicity > 0"}
        lsts = index(RUN201, RUN202, telescopes="LST", cuts=cuts)
        assert set(seen(lsts)) == {913, 3906}
        assert set(lsts.events["file"]) == {1}
        check_rows(lsts)
        with pytest.raises(EmptySelectionError, match="triggered: 0 events"):
            index(RUN201, telescopes="LST")
        assert len(index(RUN201, telescopes="LST", cuts=cuts, allow_empty=True)) == 0


class TestCameras:
    def test_one_type_for_all_lsts(self, index):
        """North, South and prod5 differ in name, and a little in the pixels' positions."""
        lsts = index(RUN202, NORTH, SOUTH, "proton_run1_7.0.0", telescopes="LST")
        assert [camera.name for camera in lsts.cameras] == ["LSTCam"]
        assert set(lsts.images["camera"]) == {0}
        assert set(lsts.images["file"]) == {0, 1, 2, 3}

    def test_different_cameras_of_as_many_pixels(self, index):
        both = index(NORTH)
        assert [(c.name, c.n_pixels) for c in both.cameras] == [
            ("LSTN-design", 1855),
            ("MSTx-NectarCam", 1855),
        ]
        assert [both.cameras[i].name[:3] for i in both.images["camera"]] == [
            "LST" if tel_id <= 4 else "MST" for tel_id in both.images["tel_id"]
        ]

    def test_a_camera_that_numbers_its_pixels_otherwise_is_the_same(self, index):
        """LSTCam of this file has the pixels of the others to 5 um, in another order."""
        both = index(RUN202, "lst_with_photons", telescopes="LST")
        assert [camera.name for camera in both.cameras] == ["LSTCam"]
        assert set(both.images["camera"]) == {0}

    def test_several_arrays(self, index):
        names = [RUN202, NORTH, SOUTH, "gamma_with_obslevel_particles", "lst_with_photons"]
        cameras = index(*names).cameras
        assert [c.name for c in cameras] == [
            "LSTCam", "FlashCam", "MSTx-NectarCam", "HESS-1U",
        ]  # fmt: skip

    @pytest.mark.parametrize("choice", ["effective", "equivalent"])
    def test_pixels_look_where_ctapipe_has_them(self, index, dl1, choice):
        """By the effective focal length, which one of the files does not know."""
        name = RUN202 if choice == "effective" else "lst_with_photons"
        subarray = SubarrayDescription.from_hdf(dl1(name), focal_length_choice=choice.upper())
        found = index(name)
        for number, camera in enumerate(found.cameras):
            tel_id = found.images["tel_id"][found.images["camera"] == number][0]
            sky = subarray.tel[tel_id].camera.geometry.transform_to(TelescopeFrame())
            expected = np.column_stack([sky.pix_x.to_value("deg"), sky.pix_y.to_value("deg")])
            cells = np.column_stack([camera.grid.rows, camera.grid.cols, np.ones(camera.n_pixels)])
            apart = np.hypot(*(cells @ camera.sky_of_cells - expected).T)
            assert apart.max() < 0.01 * np.hypot(*expected.T).max(), camera.name

    def test_a_network_keeps_to_its_cameras(self, index):
        known = index(RUN202, telescopes="LST").cameras
        again = index(SOUTH, cameras=known)
        assert [camera.name for camera in again.cameras] == ["LSTCam"]
        with pytest.raises(CameraError, match="Telescope 6 .*NectarCam.*knows LSTCam"):
            index(NORTH, cameras=known)
        assert [c.name for c in index("lst_with_photons", cameras=known).cameras] == ["LSTCam"]
        assert len(index(NORTH, cameras=known, telescopes="LST")) == 1

    def test_a_network_keeps_the_order_of_its_cameras(self, index):
        known = index(RUN202).cameras[::-1]
        again = index(RUN202, cameras=known)
        assert [camera.name for camera in again.cameras] == ["FlashCam", "LSTCam"]
        assert [again.cameras[i].name == "LSTCam" for i in again.images["camera"]] == [
            tel_id <= 4 for tel_id in again.images["tel_id"]
        ]


class TestSelection:
    def test_cut_flow(self, index):
        """Counted by hand: which of the 36 images have more than 100 p.e., and how many left."""
        selection = index(
            RUN202,
            cuts={"image": "hillas_intensity > 100", "event": "true_energy > 1"},
            min_multiplicity=2,
        )
        assert selection.cut_flow == [
            ("triggered", 6, 36),
            ("with images", 6, 36),
            ("showers (no calibration)", 6, 36),
            ("image: hillas_intensity > 100", 5, 29),
            ("multiplicity >= 2", 3, 27),
            ("event: true_energy > 1", 3, 27),
        ]
        check_rows(selection)

    def test_image_cuts_leave_the_images_that_ctapipe_has(self, index, dl1, telescope_events):
        bright = {
            (int(row["event_id"]), tel_id)
            for tel_id, table in telescope_events(dl1(RUN202), parameters=True).items()
            for row in table
            if row["hillas_intensity"] > 100
        }
        images = index(RUN202, cuts={"image": "hillas_intensity > 100"})
        assert {(e, tel_id) for e, tel_ids in seen(images).items() for tel_id in tel_ids} == bright
        assert len(bright) == 29

    @pytest.mark.parametrize(
        ("minimum", "events"), [(1, 6), (2, 6), (3, 3), (4, 2), (9, 1), (19, 1)]
    )
    def test_multiplicity(self, index, minimum, events):
        selection = index(RUN202, min_multiplicity=minimum)
        assert len(selection) == events
        assert selection.events["multiplicity"].min() >= minimum
        check_rows(selection)

    def test_multiplicity_counts_what_the_image_cuts_leave(self, index):
        cuts = {"image": "tel_id <= 4", "event": "multiplicity > 2"}
        assert seen(index(RUN202, cuts=cuts)) == {913: [1, 2, 3, 4]}

    def test_cuts_on_either_table(self, index):
        cuts = {
            "image": ["particle == 'proton'", "event_id != 913", "true_energy < 1"],
            "event": ["event_id > 4000", "pointing_alt > 60"],
        }
        assert seen(index(RUN202, cuts=cuts)) == {5801: [13, 15]}

    def test_flows_of_files_are_added(self, index):
        flow = index(RUN202, RUN201, cuts={"event": "true_energy > 1"}).cut_flow
        assert flow == [
            ("triggered", 7, 38),
            ("with images", 7, 38),
            ("showers (no calibration)", 7, 38),
            ("event: true_energy > 1", 4, 32),
        ]

    def test_nothing_left(self, index):
        cuts = {"event": "true_energy > 1000"}
        with pytest.raises(
            EmptySelectionError, match="event: true_energy > 1000: 0 events.*Loosen"
        ):
            index(RUN202, cuts=cuts)
        nothing = index(RUN202, cuts=cuts, allow_empty=True)
        assert len(nothing) == len(nothing.images) == 0
        assert nothing.cut_flow[-1] == ("event: true_energy > 1000", 0, 0)

    @pytest.mark.parametrize("cuts", [{"image": "hillas_size > 5"}, {"event": "hillas_size > 5"}])
    def test_unknown_column(self, index, cuts):
        with pytest.raises(CutError, match="'hillas_size'.*proton_run202_prod5"):
            index(RUN202, cuts=cuts)

    def test_the_rows_of_our_tables_are_no_columns_of_a_cut(self, index):
        with pytest.raises(CutError, match="'shower_id'"):
            index(RUN202, cuts={"event": "shower_id > 5"})

    def test_a_telescope_without_parameters_is_told(self, index, altered):
        """Its images would pass no cut, without a word."""
        path = altered(RUN201, lambda file: file.remove_node(f"{PARAMETERS}/tel_007"))
        with pytest.raises(InputFileError, match="1 of 1 images of telescope 7 have no row of par"):
            index(path)

    def test_calibration_is_left_out_and_counted(self, index, altered):
        def calibrate(file):
            # Flat field, sky pedestal and muon; a shower of each type: subarray, unknown, long.
            types = np.array([0, 5, 32, 16, 255, 33])
            file.get_node(TRIGGER).modify_column(colname="event_type", column=types)

        showers = index(altered(RUN202, calibrate))
        assert list(showers.events["event_id"]) == [913, 3906, 5801]
        assert showers.cut_flow == [
            ("triggered", 6, 36),
            ("with images", 6, 36),
            ("showers (no calibration)", 3, 23),
        ]
        check_rows(showers)

    def test_calibration_alone(self, index, altered):
        def calibrate(file):
            file.get_node(TRIGGER).modify_column(colname="event_type", column=np.zeros(6))

        with pytest.raises(EmptySelectionError, match=r"showers \(no calibration\): 0 events"):
            index(altered(RUN202, calibrate))


class TestShowers:
    def test_reuses_are_one_shower(self, index):
        events = index(RUN202).events
        showers = {}
        for event in events:
            showers.setdefault(event["shower_id"], []).append(event["event_id"])
        assert sorted(showers.values()) == [[904, 909, 913, 914], [3906], [5801]]
        # The cores differ.
        assert len(np.unique(events["true_core_x"])) == 6

    def test_reuses_in_different_files_are_one_shower(self, index, altered):
        """The same run, once without the first reuses: as from a smaller array."""

        def start_later(file):
            for table in [
                *(file.get_node(path) for path in (TRIGGER, TEL_TRIGGER, SHOWER)),
                *file.iter_nodes(IMAGES),
            ]:
                for row in np.flatnonzero(np.isin(table.col("event_id"), [904, 909]))[::-1]:
                    table.remove_row(int(row))

        later = altered(RUN202, start_later)
        whole, part = index(RUN202), index(later)
        assert list(part.events["event_id"]) == [913, 914, 3906, 5801]
        assert list(part.events["shower_id"]) == list(whole.events["shower_id"][2:])

    def test_does_not_depend_on_the_cuts(self, index):
        whole, part = index(RUN202), index(RUN202, telescopes="LST")
        assert list(part.events["shower_id"]) == list(whole.events["shower_id"][[2, 4]])

    def test_a_missing_height_does_not_tear_them_apart(self, index, altered):
        def forget(file):
            values = np.full(6, np.nan)
            file.get_node(SHOWER).modify_column(colname="true_h_first_int", column=values)

        assert len(set(index(altered(RUN202, forget)).events["shower_id"])) == 3

    def test_without_truth_each_event_is_one(self, index, altered):
        path = altered(RUN202, lambda file: file.remove_node("/simulation", recursive=True))
        events = index(path).events
        assert len(set(events["shower_id"])) == 6
        assert list(events["particle"]) == [""] * 6


def references(images):
    """Event columns of one event of telescopes with (x, y, z, alt, az)."""
    table = Table(np.array(images, dtype=float), names=[*"xyz", "pointing_alt", "pointing_az"])
    table["event"] = 0
    events = Table({"multiplicity": [len(images)]})
    _add_references(table, events)
    return events[0]


class TestReferences:
    def test_ground_reference_is_the_mean_position(self):
        event = references([(0, 0, 10, 70, 0), (100, 0, 10, 70, 0), (50, 90, 40, 70, 0)])
        reference = [event[f"reference_{axis}"] for axis in "xyz"]
        assert reference == pytest.approx([50, 30, 20])

    @pytest.mark.parametrize(
        ("pointings", "mean"),
        [
            ([(70, 123)], (70, 123)),
            ([(70, 180), (70, 180), (70, 180)], (70, 180)),
            ([(69, 40), (71, 40)], (70, 40)),
            # Across north; the great circle is a little nearer to the zenith than its ends.
            ([(70, 359), (70, 1)], (np.rad2deg(np.arctan2(np.sin(np.deg2rad(70)), np.cos(
                np.deg2rad(70)) * np.cos(np.deg2rad(1)))), 0)),
            # Across the zenith.
            ([(89, 0), (89, 180)], (90, None)),
            ([(88, 90), (90, 0)], (89, 90)),
            ([(90, 30)], (90, 30)),
        ],
    )  # fmt: skip
    def test_pointing_is_the_mean_direction(self, pointings, mean):
        event = references([(0, 0, 0, alt, az) for alt, az in pointings])
        assert event["pointing_alt"] == pytest.approx(mean[0], abs=1e-9)
        if mean[1] is not None:
            difference = (event["pointing_az"] - mean[1] + 180) % 360 - 180
            assert difference == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("name", [RUN202, "gamma_with_obslevel_particles", "lst_with_photons"])
    def test_mono_has_the_telescopes_own(self, index, name):
        mono = index(name, grouping="mono")
        for axis in "xyz":
            np.testing.assert_array_equal(mono.events[f"reference_{axis}"], mono.images[axis])
        for angle in ("pointing_alt", "pointing_az"):
            assert list(mono.events[angle]) == pytest.approx(list(mono.images[angle]), abs=1e-9)

    def test_of_the_telescopes_that_are_left(self, index, dl1):
        subarray = SubarrayDescription.from_hdf(dl1(RUN202))
        events = index(RUN202, telescopes=["LST", 5]).events
        for event, tel_ids in zip(events, [[1, 2, 3, 4, 5], [5], [1, 4]], strict=True):
            expected = np.mean([subarray.positions[i].to_value("m") for i in tel_ids], axis=0)
            reference = [event[f"reference_{axis}"] for axis in "xyz"]
            assert reference == pytest.approx(expected.tolist(), abs=1e-4)

    def test_divergent_pointing(self, index, altered):
        def diverge(file):
            for tel_id, alt in ((7, 70.5), (12, 69.5)):
                table = file.get_node(f"{FIXED_POINTING}/tel_{tel_id:03d}")
                column = np.array([np.deg2rad(alt)])
                table.modify_column(colname="telescope_pointing_altitude", column=column)

        diverging = index(altered(RUN201, diverge))
        assert list(diverging.images["pointing_alt"]) == pytest.approx([70.5, 69.5], abs=1e-4)
        assert diverging.events["pointing_alt"][0] == pytest.approx(70, abs=1e-4)
