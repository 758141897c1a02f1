"""Pixels that a file's own calibration flags are missing, in each format."""

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import Table
from ctapipe.io import read_table, write_table

from gammalearn.data import EventDataset, EventIndex
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.data.readers.lstchain_dl1 import LstchainDL1Reader
from gammalearn.io.ctapipe_tables import TEL_TRIGGER
from gammalearn.settings import DataSettings

FILE, TELESCOPE = "proton_run202_prod5", 1
COEFFICIENTS = f"/dl1/monitoring/telescope/calibration/camera/coefficients/tel_{TELESCOPE:03d}"
N_PIXELS = 1855


def masks(*broken):
    """Masks of two gains, from (gain, pixel) of each row's broken pixel; None for none."""
    rows = np.zeros((len(broken), 2, N_PIXELS), dtype=bool)
    for row, place in zip(rows, broken, strict=True):
        if place is not None:
            row[place] = True
    return rows


def calibrated(seconds, *broken):
    """Brings into a file calibrations so many seconds after the first image."""

    def change(file):
        trigger = read_table(file, TEL_TRIGGER)
        time = trigger["time"][trigger["tel_id"] == TELESCOPE].min() + np.array(seconds) * u.s
        write_table(Table({"time": time, "outlier_mask": masks(*broken)}), file, COEFFICIENTS)

    return change


def missing(reader, tel_id=TELESCOPE):
    """(image, pixel) of charges that are not there."""
    rows = np.arange(reader.n_images(tel_id))
    return np.argwhere(np.isnan(reader.pixels(tel_id, rows, ["charge"])["charge"])).tolist()


def test_simulated_events_have_the_first_calibration(altered):
    path = altered(FILE, calibrated([-9, -5], (1, 7), (0, 9)))
    with CtapipeDL1Reader(path) as reader:
        assert missing(reader) == [[0, 7], [1, 7]]


def test_observed_events_have_the_latest_calibration_before_them(altered):
    def change(file):
        trigger = read_table(file, TEL_TRIGGER)
        time = trigger["time"][trigger["tel_id"] == TELESCOPE]
        between = (time.max() - time.min()).to_value(u.s) / 2
        # Not in the order of time; and one that comes after all.
        calibrated([between, -9, 4 * between], (0, 5), (1, 3), (0, 1))(file)
        file.remove_node("/simulation", recursive=True)

    with CtapipeDL1Reader(altered(FILE, change)) as reader:
        first, second = missing(reader)
        trigger = read_table(reader.path, TEL_TRIGGER)
        early, late = np.argsort(trigger["time"][trigger["tel_id"] == TELESCOPE])
    assert sorted([first, second]) == sorted([[early, 3], [late, 5]])


def test_events_before_the_first_calibration_have_that(altered):
    def change(file):
        calibrated([1000, 2000], (0, 5), (0, 6))(file)
        file.remove_node("/simulation", recursive=True)

    with CtapipeDL1Reader(altered(FILE, change)) as reader:
        assert missing(reader) == [[0, 5], [1, 5]]


@pytest.mark.parametrize("broken", [(), (None,)])
def test_nothing_is_missing_where_nothing_is_flagged(altered, broken):
    with CtapipeDL1Reader(altered(FILE, calibrated([0] * len(broken), *broken))) as reader:
        assert missing(reader) == []


def test_other_pixels_stay_as_they_are_and_the_network_is_told(altered, dl1):
    settings = DataSettings(channels=["charge", "has_charge"], telescopes=[TELESCOPE])
    images = []
    for path in (dl1(FILE), altered(FILE, calibrated([0], (0, 7)))):
        index = EventIndex.build([path], settings)
        dataset = EventDataset(index, settings)
        (of_camera,) = dataset[np.arange(len(dataset))].images.values()
        images.append(of_camera.pixels.numpy())
        dataset.close()
    whole, broken = images
    assert (broken[:, :, 7] == 0).all() and (whole[:, 1] == 1).all()
    others = np.delete(np.arange(N_PIXELS), 7)
    np.testing.assert_array_equal(broken[:, :, others], whole[:, :, others])


def test_lstchain_images_say_which_calibration_is_theirs(data_dir, tmp_path):
    path = tmp_path / "changed.h5"
    source = data_dir / "dl1_lstchain" / "dl1_proton_run202_prod5_1tel.h5"
    path.write_bytes(source.read_bytes())
    with tables.open_file(path, "a") as file:
        node = file.get_node("/dl1/event/telescope/parameters/LST_LSTCam")
        n_images = node.nrows
        assert n_images > 1
        node.modify_column(colname="calibration_id", column=np.arange(n_images) % 2)
        calibration = np.zeros(2, dtype=[("unusable_pixels", "?", (2, N_PIXELS))])
        calibration["unusable_pixels"] = masks((0, 4), (1, 6))
        group = "/dl1/event/telescope/monitoring"
        file.create_table(group, "calibration", obj=calibration, createparents=True)
    with LstchainDL1Reader(path) as reader:
        tel_id = reader.telescopes_with_images()[0]
        expected = [[image, 4 if image % 2 == 0 else 6] for image in range(n_images)]
        assert missing(reader, tel_id) == expected
