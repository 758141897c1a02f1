"""Batches: the images that ctapipe gives, in any order, each once an epoch."""

import pickle

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import spherical_to_cartesian

from gammalearn.cli import main
from gammalearn.data import EventIndex
from gammalearn.data.images import reading
from gammalearn.data.images.channels import image_channels
from gammalearn.errors import InputFileError
from gammalearn.io.ctapipe_tables import FIXED_POINTING, IMAGES
from gammalearn.settings import DataSettings

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"
NAMES = [RUN202, "gamma_diffuse_run10_6.0.0", RUN201, "gamma_lsts_run7_7.0.0"]
CHANNELS = ["charge", "peak_time", "cleaning_mask"]
COLUMNS = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}


def check(batch, dataset, image_in_ctapipe):
    """Compare each image of a batch with ctapipe's."""
    index, settings = dataset.index, dataset.settings
    n_images = np.zeros(batch.n_events, dtype=int)
    for name, images in batch.images.items():
        for event in images.event.unique():
            row = int(batch.index[event])
            mine = index.images[index.images["event"] == row]
            mine = mine[[index.cameras[number].name == name for number in mine["camera"]]]
            which = torch.nonzero(images.event == event)[:, 0]
            assert len(which) == len(mine)
            n_images[event] += len(mine)
            for place, image in zip(which, mine, strict=True):
                key = (
                    index.files[image["file"]],
                    index.events["obs_id"][row],
                    index.events["event_id"][row],
                    image["tel_id"],
                )
                pixels = {
                    ours: image_in_ctapipe(*key, theirs)[None] for ours, theirs in COLUMNS.items()
                }
                expected = image_channels(pixels, settings)[0]
                np.testing.assert_array_equal(images.pixels[place], expected)
                assert images.tel_id[place] == image["tel_id"]
    assert n_images.tolist() == index.events["multiplicity"][batch.index.numpy()].tolist()


class TestImages:
    @pytest.mark.parametrize("grouping", ["mono", "stereo"])
    def test_are_those_that_ctapipe_reads(self, make, image_in_ctapipe, grouping):
        dataset = make(*NAMES, grouping=grouping)
        batch = dataset[np.arange(len(dataset))]
        check(batch, dataset, image_in_ctapipe)
        assert {name: i.pixels.shape[1:] for name, i in batch.images.items()} == {
            "LSTCam": (2, 1855),
            "FlashCam": (2, 1764),
            "MSTx-NectarCam": (2, 1855),
        }

    def test_linear_charge_is_ctapipes_image(self, make, image_in_ctapipe):
        dataset = make(RUN201, channels=["charge"], charge_scale="linear", grouping="mono")
        for item, tel_id in ((0, 7), (1, 12)):
            pixels = dataset[item].images["FlashCam"].pixels[0, 0]
            expected = image_in_ctapipe(dataset.index.files[0], 201, 8615, tel_id)
            np.testing.assert_array_equal(pixels, expected)

    @pytest.mark.parametrize("seed", range(3))
    def test_in_any_order_and_repeatedly(self, make, image_in_ctapipe, seed):
        dataset = make(*NAMES, channels=["cleaning_mask", "peak_time", "charge"])
        items = np.random.default_rng(seed).integers(0, len(dataset), 9)
        batch = dataset[items]
        assert batch.index.tolist() == items.tolist()
        check(batch, dataset, image_in_ctapipe)

    def test_of_chosen_events(self, make, image_in_ctapipe):
        dataset = make(*NAMES, rows=[5, 7, 0])
        assert len(dataset) == 3
        batch = dataset[[2, 1]]
        assert batch.index.tolist() == [0, 7]
        check(batch, dataset, image_in_ctapipe)

    def test_one_item_is_a_batch_of_one(self, make, image_in_ctapipe):
        dataset = make(RUN202)
        batch = dataset[2]
        assert (batch.n_events, batch.index.tolist()) == (1, [2])
        check(batch, dataset, image_in_ctapipe)

    def test_images_tell_where_their_telescopes_point(self, make):
        """By the unit vector of astropy: North, East and up."""
        dataset = make(RUN202)
        batch = dataset[np.arange(4)]
        event = dataset.index.events[batch.index.numpy()]
        for images in batch.images.values():
            mine = event[images.event.numpy()]
            north, east, up = spherical_to_cartesian(
                1,
                np.radians(mine["pointing_alt"]) * u.rad,
                np.radians(mine["pointing_az"]) * u.rad,
            )
            expected = np.column_stack([-np.log(up), north, east])
            np.testing.assert_allclose(images.sky, expected, atol=2e-3)

    def test_a_camera_that_saw_nothing_is_left_out(self, make):
        dataset = make(RUN202)
        # 904: FlashCams only; 3906: LSTs only.
        assert set(dataset[0].images) == {"FlashCam"}
        assert set(dataset[4].images) == {"LSTCam"}
        assert set(dataset[[0, 4]].images) == {"FlashCam", "LSTCam"}

    def test_targets_go_with_their_events(self, make):
        targets = {"energy": np.arange(6, dtype=np.float32)[:, None]}
        dataset = make(RUN202, rows=[1, 3, 5], targets=targets)
        assert dataset[[2, 0, 1]].targets["energy"].tolist() == [[5], [1], [3]]

    def test_missing_pixels_have_no_light(self, make, altered):
        def lose(file):
            table = file.root.dl1.event.telescope.images.tel_007
            rows = table.read()
            rows["image"][0, :10] = np.nan
            rows["peak_time"][0, 20:30] = np.inf
            table.modify_rows(0, 1, rows=rows)

        dataset = make(altered(RUN201, lose))
        pixels = dataset[0].images["FlashCam"].pixels
        assert torch.isfinite(pixels).all()
        assert not pixels[0, :, :10].any() and not pixels[0, 1, 20:30].any()


class TestPlaces:
    def test_positions_are_relative_to_the_mean_of_the_telescopes(self, make, seen_from_the_sky):
        """Along fov_lon, fov_lat and the pointing, which is 70 deg high in the north."""
        dataset = make(RUN202)
        up, north = np.sin(np.deg2rad(70)), np.cos(np.deg2rad(70))
        for item in range(len(dataset)):
            images = dataset.index.images[dataset.index.images["event"] == item]
            absolute = np.column_stack([images[axis] for axis in "xyz"])
            batch = dataset[item].images
            relative = torch.cat([batch[name].position for name in ("LSTCam", "FlashCam")
                                  if name in batch])  # fmt: skip
            assert relative.mean(axis=0).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
            expected = np.column_stack(
                [seen_from_the_sky(absolute, 70, 0), absolute @ [north, 0, up]]
            )
            np.testing.assert_allclose(
                relative - relative[0], expected - expected[0], rtol=0, atol=2e-3
            )

    def test_mono_is_at_the_origin(self, make):
        batch = make(RUN202, grouping="mono")[np.arange(36)]
        for images in batch.images.values():
            assert not images.position.any()
            assert images.pointing.abs().max() < 1e-4

    @pytest.mark.parametrize("name", [RUN202, "gamma_lsts_run7_7.0.0", "lst_with_photons"])
    def test_parallel_telescopes_have_no_offset(self, make, name):
        dataset = make(name)
        for images in dataset[np.arange(len(dataset))].images.values():
            assert images.pointing.abs().max() < 1e-4

    @pytest.mark.parametrize(
        ("pointings", "offsets"),
        [
            # One above the other: half the distance up, half down.
            ([(70.5, 20), (69.5, 20)], [(0, 0.5), (0, -0.5)]),
            # Side by side just above the horizon: a degree of azimuth is a degree.
            ([(0.01, 19), (0.01, 21)], [(-1, 0), (1, 0)]),
            # Across north, at an altitude where a degree of azimuth is half of one.
            ([(60, 359.9), (60, 0.1)], [(-0.05, 0), (0.05, 0)]),
            # Across the zenith: behind is seen above.
            ([(89, 0), (88, 180)], None),
        ],
    )
    def test_divergent_telescopes(self, make, altered, pointings, offsets):
        def diverge(file):
            for tel_id, (alt, az) in zip((7, 12), pointings, strict=True):
                table = file.get_node(f"{FIXED_POINTING}/tel_{tel_id:03d}")
                for name, angle in (("altitude", alt), ("azimuth", az)):
                    column = np.array([np.deg2rad(angle)])
                    table.modify_column(colname=f"telescope_pointing_{name}", column=column)

        pointing = make(altered(RUN201, diverge))[0].images["FlashCam"].pointing.numpy()
        if offsets is None:
            # Three degrees between them, the mean in the middle.
            assert np.hypot(*pointing.T) == pytest.approx([1.5, 1.5], abs=1e-3)
            assert pointing.sum(axis=0) == pytest.approx([0, 0], abs=1e-3)
        else:
            np.testing.assert_allclose(pointing, offsets, rtol=0, atol=2e-4)


class TestDescriptors:
    @pytest.mark.parametrize("grouping", ["mono", "stereo"])
    def test_are_those_of_the_image_beside_them(self, make, telescope_events, grouping):
        """Two cameras and files, in any order: what ctapipe reads of the image with these ids."""
        dataset = make(RUN202, "gamma_lsts_run7_7.0.0", grouping=grouping,
                       parameters=["centroid", "light", "axis"])  # fmt: skip
        index = dataset.index
        items = np.random.default_rng(0).permutation(len(dataset))[:12]
        batch, n_images, n_missing = dataset[items], 0, 0
        for images in batch.images.values():
            assert images.scalars.dtype == images.vectors.dtype == torch.float32
            assert images.vectors.shape == (len(images.event), 2, 2)
            for row, event in enumerate(batch.index[images.event].tolist()):
                path = index.files[index.events["file"][event]]
                table = telescope_events(path, parameters=True)[int(images.tel_id[row])]
                same = (table["obs_id"] == index.events["obs_id"][event]) & (
                    table["event_id"] == index.events["event_id"][event]
                )
                (image,) = table[same]
                psi = np.deg2rad(image["hillas_psi"])
                expected = [
                    np.log10(image["hillas_intensity"] / 100),
                    image["hillas_fov_lon"],
                    image["hillas_fov_lat"],
                    np.cos(psi),
                    np.sin(psi),
                ]
                found = [*images.scalars[row], *images.vectors[row].flatten()]
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
                n_images += 1
                n_missing += bool(np.isnan(expected).all())
        assert set(batch.images) == {"LSTCam", "FlashCam"}
        assert n_images == index.events["multiplicity"][items].sum()
        assert 0 < n_missing < n_images

    def test_are_not_there_where_none_are_asked_for(self, make):
        (images,) = make(RUN201)[0].images.values()
        assert images.scalars is None and images.vectors is None

    def test_scalars_alone(self, make):
        (images,) = make(RUN201, parameters=["light", "width"])[0].images.values()
        assert images.scalars.shape == (2, 2) and images.vectors.shape == (2, 0, 2)


class TestFiles:
    def test_few_stay_open(self, make, image_in_ctapipe, monkeypatch):
        monkeypatch.setattr(reading, "MAX_OPEN_FILES", 2)
        dataset = make(*NAMES)
        for items in (np.arange(len(dataset)), [0, 12, 6, 8], [0, 12, 6, 8]):
            check(dataset[items], dataset, image_in_ctapipe)
            assert len(dataset.reader._readers) == 2
        dataset.close()
        assert not dataset.reader._readers

    def test_do_not_travel_to_other_processes(self, make, assert_same_batch):
        dataset = make(RUN202)
        before = dataset[[0, 3]]
        copy = pickle.loads(pickle.dumps(dataset))
        assert dataset.reader._readers and not copy.reader._readers
        assert_same_batch(copy[[0, 3]], before)
        copy.close()

    def test_a_file_that_has_changed_is_noticed(self, make, altered):
        path = altered(RUN201, lambda file: None)
        dataset = make(path)

        def renumber(file):
            table = file.root.dl1.event.telescope.images.tel_012
            table.modify_column(colname="event_id", column=np.array([1]))

        assert altered(RUN201, renumber) == path
        with pytest.raises(InputFileError, match="has changed since it was indexed"):
            dataset[0]

    def test_a_file_that_has_gone_is_missed(self, make, altered):
        path = altered(RUN201, lambda file: None)
        dataset = make(path)
        path.unlink()
        with pytest.raises(InputFileError, match="does not exist"):
            dataset[0]


class TestBatch:
    def test_a_batch_moves_as_a_whole(self, make):
        targets = {"energy": np.zeros((6, 1), dtype=np.float32)}
        moved = make(RUN202, targets=targets, parameters=["light"])[[0, 2]].to("meta")
        assert moved.n_events == 2
        tensors = [moved.index, moved.targets["energy"]]
        tensors += [t for images in moved.images.values() for t in vars(images).values()]
        assert {t.device.type for t in tensors if t is not None} == {"meta"}


class TestPixelsInAnotherOrder:
    """The same camera, numbered differently, as different programs do."""

    @pytest.fixture
    def permuted(self, altered):
        """Those of FlashCam, in the geometry and in all its images."""

        def permute(file):
            geometries = "/configuration/instrument/telescope/camera"
            (geometry,) = [
                table
                for table in file.iter_nodes(geometries, "Table")
                if table.name.startswith("geometry") and table.nrows == 1764
            ]
            order = np.random.default_rng(1).permutation(1764)
            geometry.modify_rows(0, 1764, rows=geometry.read()[order])
            for table in file.iter_nodes(IMAGES):
                rows = table.read()
                if rows["image"].shape[1] == 1764 and len(rows):
                    for name in ("image", "peak_time", "image_mask"):
                        rows[name] = rows[name][:, order]
                    table.modify_rows(0, len(rows), rows=rows)

        return altered(RUN202, permute)

    def test_gives_the_same_images(self, make, permuted):
        """Cleaned ones too, which need each pixel's neighbours."""
        settings = {"cleaning": {"method": "tailcuts_clean"}, "channels": CHANNELS}
        one, both = make(RUN202, **settings), make(RUN202, permuted, **settings)
        assert [camera.name for camera in both.index.cameras] == ["LSTCam", "FlashCam"]
        for event in range(len(one)):
            expected, found = one[event], both[len(one) + event]
            for camera, images in expected.images.items():
                assert torch.equal(found.images[camera].pixels, images.pixels)

    def test_by_a_network_that_knows_the_camera(self, make, build_index, permuted):
        known = make(RUN202).index.cameras
        index = EventIndex.build([permuted], DataSettings(), cameras=known)
        assert {camera.name for camera in index.cameras} == {"LSTCam", "FlashCam"}
        assert set(index.pixel_orders) == {
            (0, int(t)) for t in np.unique(index.images["tel_id"]) if t > 4
        }

    def test_is_one_camera_in_the_table_of_files(self, dl1, permuted, capsys):
        assert main(["info", str(dl1(RUN202)), str(permuted)]) == 0
        assert capsys.readouterr().out.count("images of FlashCam") == 1
