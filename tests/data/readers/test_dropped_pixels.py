"""Pixels that data-volume reduction has dropped are missing: by ctapipe's own reducer."""

import numpy as np
import pytest
from ctapipe.calib import CameraCalibrator
from ctapipe.containers import PixelStatus
from ctapipe.io import DataWriter, EventSource
from traitlets.config import Config

from gammalearn.data.readers.bad_pixels import without_dropped
from gammalearn.data.readers.ctapipe_event import CtapipeEventReader
from gammalearn.data.readers.formats import open_reader

#: ctapipe's reduction to pixels around those with much light.
REDUCTION = Config(
    {
        "CameraCalibrator": {"data_volume_reducer_type": "TailCutsDataVolumeReducer"},
        "TailCutsDataVolumeReducer": {
            "TailcutsImageCleaner": {"picture_threshold_pe": 8, "boundary_threshold_pe": 4}
        },
    }
)


@pytest.fixture(scope="module", params=[False, True], ids=["floats", "scaled integers"])
def reduced(request, data_dir, tmp_path_factory):
    """A DL1 file of reduced data, and for each image which pixels the reducer has kept."""
    pytest.importorskip("eventio")
    path = tmp_path_factory.mktemp("reduced") / "gamma.dl1.h5"
    simtel = data_dir / "simtel" / "gamma_lsts_run7_7.0.0.simtel.zst"
    stored = {}
    with EventSource(simtel, max_events=4, focal_length_choice="EQUIVALENT") as source:
        calibrate = CameraCalibrator(source.subarray, config=REDUCTION)
        images = {"write_dl1_images": True, "transform_image": request.param}
        with DataWriter(source, output_path=path, write_dl1_parameters=False, **images) as writer:
            for event in source:
                calibrate(event)
                writer(event)
                reader = CtapipeEventReader(event, source.subarray)
                for tel_id, dl0 in event.dl0.tel.items():
                    kept = PixelStatus.get_dvr_status(dl0.pixel_status) != 0
                    charge = reader.pixels(tel_id, np.array([0]), ["charge"])["charge"][0]
                    stored[event.index.event_id, tel_id] = kept, charge
    return path, stored, request.param


def test_pixels_that_the_reducer_dropped_are_missing(reduced):
    path, stored, is_rounded = reduced
    n_images = 0
    with open_reader(path) as reader:
        for tel_id in reader.telescopes_with_images():
            rows = np.arange(reader.n_images(tel_id))
            pixels = reader.pixels(tel_id, rows, ["charge"])
            for event_id, charge in zip(pixels["event_id"], pixels["charge"], strict=True):
                kept, _ = stored[event_id, tel_id]
                assert 0 < kept.sum() < 0.5 * len(kept)
                found = np.isfinite(charge)
                assert not found[~kept].any()
                # Of scaled integers some of those kept are 0 too.
                assert found[kept].mean() > 0.9 if is_rounded else found[kept].all()
                n_images += 1
    assert n_images == len(stored) > 3


def test_events_in_memory_tell_the_same(reduced):
    _, stored, _ = reduced
    for kept, charge in stored.values():
        np.testing.assert_array_equal(np.isfinite(charge), kept)


def test_dark_pixels_of_whole_images_stay(data_dir):
    """Of files without a reduction, scaled or not."""
    for name in ("gamma_lsts_run7_7.0.0", "proton_run1_6.0.2"):
        with open_reader(data_dir / "dl1_ctapipe" / f"{name}.dl1.h5") as reader:
            tel_id = reader.telescopes_with_images()[0]
            rows = np.arange(min(reader.n_images(tel_id), 5))
            charge = reader.pixels(tel_id, rows, ["charge"])["charge"]
            assert np.isfinite(charge).mean() > 0.99


def test_zeros_by_rounding_are_dark():
    charge = np.round(np.random.default_rng(0).normal(0, 1.5, (4, 2000)), 1)
    assert 0.01 < (charge == 0).mean() < 0.05
    np.testing.assert_array_equal(without_dropped(charge, is_rounded=True), charge)
    charge[2, :1500] = 0
    found = np.isnan(without_dropped(charge, is_rounded=True))
    assert found[2, :1500].all() and not found[[0, 1, 3]].any()
