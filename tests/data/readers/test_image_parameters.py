"""DL1 parameters of images in the index: those of the files, or computed from their images."""

import numpy as np
import pytest
import torch
from ctapipe.image import ImageProcessor
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table, write_table
from traitlets.config import Config

from gammalearn.data import EventDataset, EventIndex, columns_of, event_loader
from gammalearn.data.images.descriptors import ALL_DESCRIPTORS, describe_images
from gammalearn.data.index import file_index
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.image.parameters import IMAGE_PARAMETERS
from gammalearn.image.processing import image_processing
from gammalearn.io.ctapipe_tables import IMAGES, PARAMETERS
from gammalearn.settings import DataSettings

RUN202, GAMMAS = "proton_run202_prod5", "gamma_lsts_run7_7.0.0"
COLUMNS = columns_of(ALL_DESCRIPTORS)

#: ctapipe fits times to pixels that it draws at random.
FITTED = ("timing_slope", "timing_deviation")


def in_files(index, files):
    """Parameters of the index's images as ctapipe reads them in files with the same events."""
    values = {name: np.full(len(index.images), np.nan) for name in COLUMNS}
    for row, image in enumerate(index.images):
        event = index.events[image["event"]]
        path = f"{PARAMETERS}/tel_{image['tel_id']:03d}"
        table = read_table(files[image["file"]], path)
        same = (table["obs_id"] == event["obs_id"]) & (table["event_id"] == event["event_id"])
        (found,) = table[same]
        for name in COLUMNS:
            values[name][row] = found[name]
    return values


@pytest.mark.parametrize("grouping", ["mono", "stereo"])
def test_are_those_of_the_files(dl1, grouping):
    files = [dl1(RUN202), dl1(GAMMAS)]
    settings = DataSettings(grouping=grouping)
    index = EventIndex.build(files, settings, parameters=COLUMNS)
    for name, expected in in_files(index, files).items():
        assert index.images[name].dtype == np.float32
        np.testing.assert_array_equal(index.images[name], expected.astype(np.float32), name)
    without = EventIndex.build(files, settings)
    assert not set(COLUMNS) & set(without.images.colnames)
    for name in without.images.colnames:
        np.testing.assert_array_equal(index.images[name], without.images[name], name)


@pytest.mark.parametrize("change", ["parameters", "camera frame"])
def test_what_a_file_lacks_is_computed_from_its_images(dl1, altered, change):
    """All of it, or what is told in the camera's frame: as the file of the same images has it."""
    lacking = dl1(f"{RUN202}.camera_frame")
    if change == "parameters":
        lacking = altered(RUN202, lambda file: file.remove_node(PARAMETERS, recursive=True))
    index = EventIndex.build([lacking], DataSettings(), parameters=COLUMNS)
    expected = in_files(index, [dl1(RUN202)])
    found = {name: np.asarray(index.images[name]) for name in COLUMNS}
    missing = np.isnan(expected["hillas_intensity"])
    assert 0 < missing.sum() < len(missing)
    for name in set(COLUMNS) - set(FITTED):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name in FITTED:
        assert np.array_equal(np.isnan(found[name]), missing)
        close = np.isclose(found[name], expected[name], rtol=0.1)
        assert close[~missing].mean() > 0.8, name
    # A difference in the sign of the axis would show in the vectors.
    for one, other in zip(
        describe_images(found, ALL_DESCRIPTORS),
        describe_images(expected, ALL_DESCRIPTORS),
        strict=True,
    ):
        assert np.array_equal(np.isnan(one), np.isnan(other))
        assert np.isclose(one, other, rtol=1e-3, atol=1e-3, equal_nan=True).mean() > 0.95


@pytest.mark.parametrize(
    ("name", "focal_length"),
    [
        (RUN202, "EFFECTIVE"),
        (GAMMAS, "EFFECTIVE"),
        ("gamma_diffuse_run10_6.0.0", "EFFECTIVE"),
        ("gamma_with_obslevel_particles", "EFFECTIVE"),
        # The file has no effective focal length.
        ("lst_with_photons", "EQUIVALENT"),
    ],
)
def test_all_that_a_file_lacks_are_those_of_ctapipes_image_processor(
    altered, in_ctapipe, name, focal_length
):
    """To single precision and better, also where pixels are missing."""

    def change(file):
        file.remove_node(PARAMETERS, recursive=True)
        for table in file.iter_nodes(IMAGES):
            rows = table.read()
            rows["image"][0, 100:200], rows["peak_time"][0, 200:300] = np.nan, np.inf
            table[:] = rows

    path = altered(name, change)
    subarray = SubarrayDescription.from_hdf(path, focal_length_choice=focal_length)
    processor = ImageProcessor(subarray, config=Config(image_processing(subarray)))
    n_described = 0
    with CtapipeDL1Reader(path) as reader:
        for tel_id in reader.telescopes_with_images():
            found = reader.images(tel_id, IMAGE_PARAMETERS.names)
            for row, image in enumerate(read_table(path, f"{IMAGES}/tel_{tel_id:03d}")):
                light, time = (np.asarray(image[n], dtype=float) for n in ("image", "peak_time"))
                missing = ~(np.isfinite(light) & np.isfinite(time))
                light[missing] = time[missing] = 0
                expected, _ = in_ctapipe(processor, tel_id, image["event_id"], light, time)
                n_described += np.isfinite(expected["hillas_width"])
                for column in IMAGE_PARAMETERS.names:
                    value = found[column][row]
                    np.testing.assert_allclose(value, expected[column], 1e-5, 1e-9, err_msg=column)
    assert n_described > 0


def test_what_cannot_be_computed_is_nan(altered):
    """There are no images to compute it from, or ctapipe has no such parameter."""

    def lose(file):
        for table in file.list_nodes(PARAMETERS):
            path, values = table._v_pathname, read_table(file, table._v_pathname)
            values.remove_column("hillas_width")
            file.remove_node(path)
            write_table(values, file, path)

    names = ["hillas_width", "no_such", "hillas_length"]
    index = EventIndex.build(
        [altered(f"{RUN202}.params_only", lose)], DataSettings(channels=[]), parameters=names
    )
    finite = {name: int(np.isfinite(index.images[name]).sum()) for name in names}
    assert finite == {"hillas_width": 0, "no_such": 0, "hillas_length": 31}


def test_are_kept_in_the_cache(dl1, tmp_path, monkeypatch):
    settings = DataSettings(cache_directory=tmp_path)
    files = [dl1(RUN202), dl1(GAMMAS)]
    made = EventIndex.build(files, settings, parameters=["hillas_width", "hillas_psi"])
    monkeypatch.setattr(file_index, "open_reader", None)
    again = EventIndex.build(files, settings, parameters=["hillas_psi", "hillas_width"])
    assert again.images.colnames == made.images.colnames
    for name in made.images.colnames:
        np.testing.assert_array_equal(again.images[name], made.images[name], name)
    for others in ([], ["hillas_psi"], ["hillas_psi", "hillas_length"]):
        with pytest.raises(TypeError):
            EventIndex.build(files, settings, parameters=others)


def test_may_be_cut_on_too(dl1):
    settings = DataSettings(cuts={"image": "hillas_width > 0.1"})
    index = EventIndex.build([dl1(RUN202)], settings, parameters=["hillas_width", "hillas_psi"])
    assert len(index.images) > 5 and (index.images["hillas_width"] > 0.1).all()
    empty = DataSettings(cuts={"image": "hillas_width > 100"})
    index = EventIndex.build(
        [dl1(RUN202)], empty, parameters=["hillas_width", "hillas_psi"], allow_empty=True
    )
    assert len(index) == 0 and {"hillas_width", "hillas_psi"} <= set(index.images.colnames)


def test_stay_with_their_images_where_events_are_left_out(dl1):
    index = EventIndex.build([dl1(RUN202)], DataSettings(), parameters=COLUMNS)
    some = index.limited(2, seed=3)
    assert 0 < len(some) < len(index)
    for name, expected in in_files(some, [dl1(RUN202)]).items():
        np.testing.assert_array_equal(some.images[name], expected.astype(np.float32), name)


class TestFileOfParametersAlone:
    """For a network without pixels it is as good as the file with images."""

    def test_has_the_same_events(self, dl1):
        settings = DataSettings(channels=[], min_multiplicity=2)
        alone, whole = (
            EventIndex.build([dl1(name)], settings, parameters=COLUMNS)
            for name in (f"{RUN202}.params_only", RUN202)
        )
        assert alone.cut_flow == whole.cut_flow
        for one, other in ((alone.images, whole.images), (alone.events, whole.events)):
            assert one.colnames == other.colnames
            for name in one.colnames:
                np.testing.assert_array_equal(one[name], other[name], name)

    def test_makes_batches_without_pixels(self, dl1, assert_same_batch):
        settings = DataSettings(channels=[])
        for_both = []
        for name in (f"{RUN202}.params_only", RUN202):
            index = EventIndex.build([dl1(name)], settings, parameters=COLUMNS)
            dataset = EventDataset(index, settings, parameters=ALL_DESCRIPTORS)
            for_both.append(list(event_loader(dataset, 2, shuffle_seed=1)))
            dataset.close()
        for alone, whole in zip(*for_both, strict=True):
            for images in alone.images.values():
                assert images.pixels.shape[:2] == (len(images.event), 0)
                assert images.scalars.shape == (len(images.event), 13)
                assert images.vectors.shape == (len(images.event), 4, 2)
            for batch in (alone, whole):
                # NaN is like NaN here.
                batch.images = {n: i.map(torch.nan_to_num) for n, i in batch.images.items()}
            assert_same_batch(alone, whole)

    def test_pixels_that_are_there_are_not_looked_for(self, dl1):
        settings = DataSettings(channels=[])
        dataset = EventDataset(EventIndex.build([dl1(RUN202)], settings), settings)
        batch = dataset[np.arange(len(dataset))]
        assert batch.n_events == 6 and not dataset.reader._readers
