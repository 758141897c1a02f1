"""Cleaned images in data sets: masks of files, masks that are made, and the packed cache."""

import numpy as np
import pytest
from ctapipe.io import read_table, write_table

from gammalearn.data import EventDataset, pack_images
from gammalearn.errors import InputFileError
from gammalearn.settings import DataSettings

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"


def test_masks_of_a_file_are_found_again(dl1, make):
    """ctapipe made this file with these levels."""
    found = make(
        RUN202,
        channels=["cleaning_mask"],
        cleaning={
            "method": "tailcuts_clean",
            "parameters": {
                "picture_thresh": {"LSTCam": 8.5, "*": 9},
                "boundary_thresh": {"LSTCam": 4.25, "*": 4.5},
                "min_number_picture_neighbors": 2,
            },
        },
    )[[0, 1, 2]]
    expected = make(RUN202, channels=["cleaning_mask"])[[0, 1, 2]]
    assert len(expected.images) == 2
    for name, images in expected.images.items():
        assert images.pixels.any()
        assert np.array_equal(found.images[name].pixels, images.pixels), name


def test_the_packed_cache_needs_no_mask(dl1, build_index, tmp_path):
    settings = DataSettings(
        cache_directory=tmp_path, cleaning={"method": "tailcuts_clean", "applied_to": ["charge"]}
    )
    index = build_index([dl1(RUN201)], settings)
    folders = pack_images(index, settings, progress=False)
    assert not (folders[0] / "cleaning_mask").exists()
    packed, plain = EventDataset(index, settings, packed=folders), EventDataset(index, settings)
    for name, images in plain[[0]].images.items():
        mine = packed[[0]].images[name].pixels
        np.testing.assert_allclose(mine, images.pixels, rtol=1e-3, atol=1e-2)
        assert (mine[:, 0] == 0).float().mean() > 0.5
    packed.close(), plain.close()


def test_a_file_without_masks_says_what_to_do(altered, make):
    def remove(file):
        path = "/dl1/event/telescope/images/tel_007"
        table = read_table(file, path)
        table.remove_column("image_mask")
        file.remove_node(path)
        write_table(table, file, path)

    dataset = make(altered(RUN201, remove), cleaning={"applied_to": ["charge"]})
    with pytest.raises(InputFileError, match="no image_mask of telescope 7.*data.cleaning.method"):
        dataset[[0]]
