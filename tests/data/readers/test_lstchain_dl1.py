"""The reader of lstchain DL1: the columns of the file, and the showers that ctapipe sees."""

import shutil

import numpy as np
import pytest
import tables
from ctapipe.containers import ImageParametersContainer
from ctapipe.coordinates import TelescopeFrame
from ctapipe.image import (
    concentration_parameters,
    hillas_parameters,
    leakage_parameters,
    morphology_parameters,
    tailcuts_clean,
    timing_parameters,
)
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table

from gammalearn.data import EventDataset, EventIndex
from gammalearn.data.readers.formats import open_reader
from gammalearn.data.readers.lstchain_dl1 import LstchainDL1Reader
from gammalearn.data.readers.parameters import flat_parameters
from gammalearn.data.readers.reader import TRUTH_UNITS, event_keys, match_rows
from gammalearn.errors import CutError, EmptySelectionError, InputFileError
from gammalearn.io.lstchain_tables import IMAGES, PARAMETERS
from gammalearn.settings import DataSettings

FILES = [
    "gamma_diffuse_run10_6.0.0_4tel",
    "gamma_lsts_run7_7.0.0_4tel",
    "proton_run1_7.0.0_4tel",
    "proton_run202_prod5_1tel",
    "proton_run202_prod5_4tel",
    "proton_run202_prod5_4tel_pe",
]

GAMMAS = "gamma_lsts_run7_7.0.0"

PIXELS = ["charge", "peak_time", "cleaning_mask"]


@pytest.fixture(scope="session")
def lstchain(data_dir):
    """Path of an lstchain DL1 file."""
    return lambda name: data_dir / "dl1_lstchain" / f"dl1_{name}.h5"


@pytest.fixture
def changed(lstchain, tmp_path):
    """A copy of the gammas' file after ``change(file)`` has been at it."""

    def change_it(change, name=f"{GAMMAS}_4tel"):
        path = tmp_path / "changed.h5"
        shutil.copyfile(lstchain(name), path)
        path.chmod(0o644)
        with tables.open_file(path, "a") as file:
            change(file)
        return path

    return change_it


def replace(file, path, change):
    """Write a table anew, with other columns or rows."""
    node = file.get_node(path)
    rows, parent, name = change(node.read()), node._v_parent._v_pathname, node._v_name
    file.remove_node(path)
    file.create_table(parent, name, obj=rows)


def without(columns):
    """Rows without some columns, which are chosen by their names."""

    def change(rows):
        names = [name for name in rows.dtype.names if not columns(name)]
        kept = np.empty(len(rows), dtype=[(n, *rows.dtype.fields[n][0:1]) for n in names])
        for name in names:
            kept[name] = rows[name]
        return kept

    return change


@pytest.mark.parametrize("name", FILES)
def test_everything_is_as_the_columns_say(lstchain, name):
    with tables.open_file(lstchain(name)) as file:
        parameters, images = read_table(file, PARAMETERS), file.get_node(IMAGES).read()
    with open_reader(lstchain(name)) as reader:
        assert isinstance(reader, LstchainDL1Reader)
        assert reader.telescopes_with_images() == sorted(set(parameters["tel_id"].tolist()))
        n_images = 0
        for tel_id in reader.telescopes_with_images():
            mine = np.flatnonzero(parameters["tel_id"] == tel_id)
            table = reader.images(tel_id, ["intensity", "hillas_intensity", "length", "no_such"])
            n_images += reader.n_images(tel_id)
            assert len(table) == reader.n_images(tel_id) == len(mine)
            assert "no_such" not in table.colnames
            np.testing.assert_array_equal(event_keys(table), event_keys(parameters[mine]))
            for column in ("intensity", "hillas_intensity"):
                np.testing.assert_array_equal(table[column], parameters["intensity"][mine])
            np.testing.assert_array_equal(table["length"], parameters["length"][mine])
            for angle in ("alt", "az"):
                expected = np.rad2deg(parameters[f"{angle}_tel"][mine].astype(float)) % 360
                np.testing.assert_allclose(table[f"pointing_{angle}"], expected, rtol=1e-12)
            pixels = reader.pixels(tel_id, np.arange(len(mine)), PIXELS)
            np.testing.assert_array_equal(pixels["charge"], images["image"][mine])
            np.testing.assert_array_equal(pixels["cleaning_mask"], images["image_mask"][mine])
            np.testing.assert_array_equal(event_keys(pixels), event_keys(table))
            np.testing.assert_array_equal(pixels["peak_time"], images["peak_time"][mine])
            last = reader.pixels(tel_id, np.array([len(mine) - 1]), ["peak_time"])
            np.testing.assert_array_equal(last["peak_time"], images["peak_time"][mine[-1:]])
            row = match_rows(event_keys(table), event_keys(reader.events))
            for column in TRUTH_UNITS:
                expected = parameters[column.replace("true_", "mc_")][mine].astype(float)
                if column in ("true_alt", "true_az"):
                    expected = np.rad2deg(expected)
                np.testing.assert_array_equal(reader.events[column][row], expected)
        assert n_images == len(parameters)
        assert set(reader.events["particle"]) == {name.split("_")[0]}


@pytest.mark.parametrize("name", [GAMMAS, "gamma_diffuse_run10_6.0.0", "proton_run202_prod5"])
def test_showers_are_those_of_ctapipes_file(lstchain, dl1, name):
    """Same truth, same places; other extractors, so charges are correlated, not equal."""
    with open_reader(lstchain(f"{name}_4tel")) as theirs, open_reader(dl1(name)) as ours:
        row = match_rows(event_keys(theirs.events), event_keys(ours.events))
        assert np.all(row >= 0)
        for column in TRUTH_UNITS:
            np.testing.assert_allclose(
                theirs.events[column], ours.events[column][row], rtol=1e-5, err_msg=column
            )
        assert theirs.events["particle"].tolist() == ours.events["particle"][row].tolist()
        for tel_id in theirs.telescopes_with_images():
            places = [reader.subarray.positions[tel_id].to_value("m") for reader in (theirs, ours)]
            # lstchain writes positions relative to another height.
            np.testing.assert_allclose(places[0][:2], places[1][:2], atol=0.01)
            mine, other = theirs.images(tel_id), ours.images(tel_id)
            rows = match_rows(event_keys(mine), event_keys(other))
            for angle in ("pointing_alt", "pointing_az"):
                assert mine[angle] == pytest.approx(np.asarray(other[angle][rows]), abs=1e-4)
            charge = theirs.pixels(tel_id, np.arange(len(mine)), ["charge"])["charge"]
            expected = ours.pixels(tel_id, np.arange(len(other)), ["charge", "cleaning_mask"])
            for image, row in zip(charge, rows, strict=True):
                light = expected["cleaning_mask"][row]
                if light.sum() > 3:
                    reference = expected["charge"][row][light]
                    assert np.corrcoef(image[light], reference)[0, 1] > 0.99
                    assert image[light].sum() == pytest.approx(reference.sum(), rel=0.05)


#: What is made of lstchain's parameters.
CONVERTED = [
    "hillas_intensity", "hillas_skewness", "hillas_kurtosis", "hillas_fov_lon", "hillas_fov_lat",
    "hillas_r", "hillas_phi", "hillas_length", "hillas_width", "hillas_psi", "timing_slope",
    "timing_intercept", "concentration_cog", "concentration_core", "concentration_pixel",
    "leakage_intensity_width_1", "leakage_intensity_width_2", "leakage_pixels_width_1",
    "leakage_pixels_width_2", "morphology_n_pixels", "morphology_n_islands",
]  # fmt: skip


def described_by_ctapipe(geometry, image, time, mask):
    """Parameters in the telescope frame of the pixels that lstchain's cleaning left."""
    sky = geometry.transform_to(TelescopeFrame())
    hillas = hillas_parameters(sky[mask], image[mask])
    return flat_parameters(
        ImageParametersContainer(
            hillas=hillas,
            timing=timing_parameters(sky[mask], image[mask], time[mask], hillas),
            leakage=leakage_parameters(sky, image, mask),
            concentration=concentration_parameters(sky, image * mask, hillas),
            morphology=morphology_parameters(sky, mask),
        )
    )


@pytest.mark.parametrize("name", FILES)
def test_parameters_by_ctapipes_names_are_what_ctapipe_has(lstchain, name):
    """Of lstchain's pixels, with the effective focal length and ctapipe's ends of the axes."""
    subarray = SubarrayDescription.from_hdf(lstchain(name), focal_length_choice="EFFECTIVE")
    n_images = 0
    columns = ["x", "y", "psi", "time_gradient", "intercept"]
    with tables.open_file(lstchain(name)) as file:
        theirs = read_table(file, PARAMETERS)
    with open_reader(lstchain(name)) as reader:
        assert set(CONVERTED) <= set(reader.parameter_names())
        for tel_id in reader.telescopes_with_images():
            rows = np.arange(reader.n_images(tel_id))
            table, pixels = reader.images(tel_id, CONVERTED), reader.pixels(tel_id, rows, PIXELS)
            geometry = subarray.tel[tel_id].camera.geometry
            for row in rows:
                found = {column: table[column][row] for column in CONVERTED}
                mask = pixels["cleaning_mask"][row]
                if mask.sum() < 5:
                    continue
                # Times on the line that lstchain found: to real ones, ctapipe fits a choice of
                # pixels that it draws at random.
                x, y, psi, gradient, intercept = theirs[theirs["tel_id"] == tel_id][columns][row]
                along = (geometry.pix_x.to_value("m") - x) * np.cos(psi)
                along += (geometry.pix_y.to_value("m") - y) * np.sin(psi)
                time = intercept + gradient * along
                expected = described_by_ctapipe(geometry, pixels["charge"][row], time, mask)
                n_images += 1
                for column in CONVERTED:
                    # lstchain takes the arc tangent of widths, so that it knows their size in m.
                    assert found[column] == pytest.approx(expected[column], rel=1e-5, abs=1e-6), (
                        column
                    )
    assert n_images > 0


@pytest.mark.parametrize("name", [GAMMAS, "proton_run1_7.0.0", "proton_run202_prod5"])
def test_parameters_are_near_those_of_ctapipes_file(lstchain, dl1, name):
    """Of images that both cleanings found as bright: same place in the sky, same axis and extent,
    and the same end of the axis where the image is not symmetrical."""
    names = ["hillas_intensity", "hillas_fov_lon", "hillas_fov_lat", "hillas_psi", "hillas_length",
             "hillas_skewness", "morphology_n_pixels"]  # fmt: skip
    n_alike = 0
    with open_reader(lstchain(f"{name}_4tel")) as theirs, open_reader(dl1(name)) as ours:
        for tel_id in theirs.telescopes_with_images():
            one, other = (reader.images(tel_id, names) for reader in (theirs, ours))
            other = other[match_rows(event_keys(one), event_keys(other))]
            same = np.abs(one["hillas_intensity"] / other["hillas_intensity"] - 1) < 0.02
            for a, b in zip(one[same], other[same], strict=True):
                n_alike += 1
                assert a["hillas_fov_lon"] == pytest.approx(b["hillas_fov_lon"], abs=0.015)
                assert a["hillas_fov_lat"] == pytest.approx(b["hillas_fov_lat"], abs=0.015)
                turn = (a["hillas_psi"] - b["hillas_psi"] + 90) % 180 - 90
                assert abs(turn) < 3
                # The equivalent focal length would make them 4.5 % longer.
                assert a["hillas_length"] == pytest.approx(b["hillas_length"], rel=0.03)
                if abs(b["hillas_skewness"]) > 0.05 and abs(b["hillas_psi"]) < 80:
                    assert a["hillas_skewness"] * b["hillas_skewness"] > 0
    assert n_alike >= 1


def test_what_lstchain_has_no_parameters_for_is_computed(lstchain):
    """By ctapipe's cleaning, so that another image may be too faint."""
    with open_reader(lstchain(f"{GAMMAS}_4tel")) as reader:
        assert "peak_time_std" not in reader.parameter_names()
        n_images = 0
        for tel_id in reader.telescopes_with_images():
            rows = np.arange(reader.n_images(tel_id))
            found = reader.images(tel_id, ["peak_time_std", "timing_deviation", "no_such"])
            assert "no_such" not in found.colnames
            pixels = reader.pixels(tel_id, rows, ["charge", "peak_time"])
            geometry = reader.subarray.tel[tel_id].camera.geometry
            for row, charge, time in zip(rows, *(pixels[n] for n in PIXELS[:2]), strict=True):
                lit = tailcuts_clean(geometry, charge, 8.5, 4.25, False, 2)
                if lit.sum() < 3 or charge[lit].sum() < 50:
                    assert np.isnan(found["peak_time_std"][row])
                    continue
                assert found["peak_time_std"][row] == pytest.approx(time[lit].std(), rel=1e-5)
                assert found["timing_deviation"][row] > 0
                n_images += 1
    assert n_images > 8


def test_unknown_effective_focal_length_is_the_equivalent_one(changed):
    def forget(file):
        optics = file.root.configuration.instrument.telescope.optics
        nothing = np.full(optics.nrows, np.nan)
        optics.modify_column(colname="effective_focal_length", column=nothing)

    path = changed(forget)
    with tables.open_file(path) as file:
        parameters = read_table(file, PARAMETERS)
    with open_reader(path) as reader:
        table = reader.images(2, ["hillas_fov_lon", "hillas_length", "peak_time_std"])
    mine = parameters[parameters["tel_id"] == 2]
    np.testing.assert_allclose(table["hillas_fov_lon"], np.rad2deg(mine["y"] / 28))
    np.testing.assert_allclose(table["hillas_length"], mine["length"], rtol=1e-5)
    assert np.isfinite(table["peak_time_std"]).any()


class TestFileOfParametersAlone:
    """For a network without pixels it is as good as the file with images."""

    @pytest.fixture
    def alone(self, changed):
        return changed(lambda file: file.remove_node(IMAGES))

    def test_has_the_same_events(self, alone, lstchain):
        settings = DataSettings(channels=[], telescopes=[2, 3], min_multiplicity=2)
        names = ["hillas_fov_lon", "hillas_psi", "leakage_intensity_width_2", "timing_slope"]
        one, whole = (
            EventIndex.build([path], settings, parameters=names)
            for path in (alone, lstchain(f"{GAMMAS}_4tel"))
        )
        assert len(one) == 2 and one.cut_flow == whole.cut_flow
        for table, expected in ((one.images, whole.images), (one.events, whole.events)):
            assert table.colnames == expected.colnames
            for name in table.colnames:
                np.testing.assert_array_equal(table[name], expected[name], name)

    def test_has_nothing_to_compute_from(self, alone):
        index = EventIndex.build(
            [alone], DataSettings(channels=[]), parameters=["peak_time_std", "hillas_width"]
        )
        assert np.isnan(index.images["peak_time_std"]).all()
        assert np.isfinite(index.images["hillas_width"]).sum() == 12

    def test_has_no_pixels(self, alone):
        with pytest.raises(InputFileError, match="image parameters only.*data.channels="):
            EventIndex.build([alone], DataSettings())
        with (
            open_reader(alone) as reader,
            pytest.raises(InputFileError, match="no DL1 images; make the file again"),
        ):
            reader.pixels(1, np.arange(1), ["charge"])

    def test_without_rows_is_refused(self, changed):
        def empty(file):
            file.remove_node(IMAGES)
            file.get_node(PARAMETERS).remove_rows()

        with pytest.raises(EmptySelectionError, match="holds no events"):
            EventIndex.build([changed(empty)], DataSettings(channels=[]))


def test_batches_beside_those_of_ctapipe(lstchain, dl1):
    """One index of both formats, one cut for both, one camera."""
    settings = DataSettings(
        grouping="mono", telescopes=["LST"], cuts={"image": "hillas_intensity > 100"}
    )
    index = EventIndex.build([lstchain(f"{GAMMAS}_4tel"), dl1(GAMMAS)], settings)
    assert len(index.cameras) == 1
    counts = np.bincount(index.events["file"])
    assert counts.min() >= 5 and abs(counts[0] - counts[1]) <= 2
    dataset = EventDataset(index, settings)
    batch = dataset[np.arange(len(index))]
    assert batch.images[index.cameras[0].name].pixels.shape == (counts.sum(), 2, 1855)
    dataset.close()


def test_observation_of_lst1(changed):
    """No truth and other times; columns as lstchain has them for real data."""

    def observe(file):
        replace(file, PARAMETERS, without(lambda name: "mc_" in name or name.startswith("disp")))
        file.remove_node("/simulation", recursive=True)
        table = file.get_node(PARAMETERS)
        rows = table.read()
        rows["event_type"][:2] = 2  # a pedestal
        table.modify_rows(0, len(rows), rows=rows)

    with open_reader(changed(observe)) as reader:
        assert set(reader.events["particle"]) == {"", "calibration"}
        assert np.isnan(reader.events["true_energy"]).all()
        assert reader.is_shower().tolist() == [False, *[True] * (len(reader.events) - 1)]


def test_images_without_keys_go_by_their_rows(changed, lstchain):
    path = changed(
        lambda file: replace(file, IMAGES, without(lambda name: name in ("obs_id", "event_id")))
    )
    with open_reader(path) as reader, open_reader(lstchain(f"{GAMMAS}_4tel")) as whole:
        one, other = (r.pixels(2, np.arange(3), ["charge"]) for r in (reader, whole))
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name])


def test_cuts_by_lstchains_names(lstchain):
    settings = DataSettings(grouping="mono", cuts={"image": ["wl > 0.1", "n_islands == 1"]})
    index = EventIndex.build([lstchain(f"{GAMMAS}_4tel")], settings)
    assert 0 < len(index) < 13
    # Here the position of the telescope goes by this name.
    place = DataSettings(grouping="mono", cuts={"image": ["x > 0"]})
    with pytest.raises(CutError, match="names 'x', by which .* cannot be cut"):
        EventIndex.build([lstchain(f"{GAMMAS}_4tel")], place)
    wrong = DataSettings(cuts={"image": ["intensitty > 1"]})
    with pytest.raises(CutError, match="intensity"):
        EventIndex.build([lstchain(f"{GAMMAS}_4tel")], wrong)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.remove_node(IMAGES), InputFileError, "holds no DL1 images"),
        (lambda f: f.get_node(PARAMETERS).remove_rows(0, 1), InputFileError, "13 images do not go"),
        (
            lambda f: [f.get_node(p).remove_rows() for p in (IMAGES, PARAMETERS)],
            EmptySelectionError,
            "holds no events",
        ),
        (
            lambda f: replace(f, PARAMETERS, without(lambda name: name == "alt_tel")),
            InputFileError,
            "has no column alt_tel",
        ),
    ],
)
def test_refused(changed, change, error, message):
    with pytest.raises(error, match=message):
        EventIndex.build([changed(change)], DataSettings())
