"""The reader of lstchain DL1: the columns of the file, and the showers that ctapipe sees."""

import shutil

import numpy as np
import pytest
import tables
from ctapipe.io import read_table

from gammalearn.data import EventDataset, EventIndex
from gammalearn.data.formats import open_reader
from gammalearn.data.lstchain_dl1 import IMAGES, PARAMETERS, LstchainDL1Reader
from gammalearn.data.reader import TRUTH_UNITS, event_keys, match_rows
from gammalearn.errors import CutError, EmptySelectionError, InputFileError
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
        assert set(reader.events["particle"]) == {""}
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
    # Here the position of the telescope goes by this name, and there is nothing like it.
    place = DataSettings(grouping="mono", cuts={"image": ["x > 0"]})
    with pytest.raises(CutError, match="names 'x', by which .* cannot be cut\\.$"):
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
