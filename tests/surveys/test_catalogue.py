"""The catalogue of a survey: what is written is read, and what is wrong is told."""

from dataclasses import replace

import numpy as np
import pytest
import tables
from astropy.table import Table

from gammalearn.errors import InputFileError
from gammalearn.surveys.catalogue import (
    Catalogue,
    is_catalogue,
    join_catalogues,
    read_catalogue,
    write_catalogue,
)
from gammalearn.surveys.cutouts import ArrayCutouts


def catalogue(names=("a", "b"), bands=("g", "r"), **others):
    """Two objects; a has g at 1 d and r at 2 d, b has g at 5 d."""
    return Catalogue.build(
        Table({"object_id": list(names), "type": ["Ia", "II"], "redshift": [0.1, 0.2]}),
        bands,
        np.array([0, 0, 1]),
        np.array([1.0, 2.0, 5.0]),
        np.array([0, 1, 0]),
        np.array([10.0, 20.0, 30.0]),
        np.array([1.0, 2.0, 3.0]),
        **others,
    )


def test_what_is_written_is_read(tmp_path):
    cutouts = np.arange(2 * 2 * 4 * 4, dtype=np.float32).reshape(2, 2, 4, 4)
    cutouts[1, 1] = np.nan
    write_catalogue(catalogue(cutouts=cutouts, pixel_scale=0.2, survey="DES"), tmp_path / "c.h5")
    assert is_catalogue(tmp_path / "c.h5")
    found = read_catalogue(tmp_path / "c.h5")
    assert list(found.objects["object_id"]) == ["a", "b"]
    assert list(found.objects["type"]) == ["Ia", "II"]
    assert found.objects["redshift"].tolist() == [0.1, 0.2]
    assert found.bands == ("g", "r")
    assert found.start.tolist() == [0, 2, 3]
    assert found.time.tolist() == [1, 2, 5]
    assert found.band.tolist() == [0, 1, 0]
    assert found.flux.tolist() == [10, 20, 30]
    assert found.flux_error.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(found.cutouts, cutouts)
    assert (found.pixel_scale, found.survey, found.faults) == (0.2, "DES", {})


def test_what_is_wrong_with_observations_is_put_right_and_counted():
    found = Catalogue.build(
        Table({"object_id": ["a", "b", "empty"]}),
        ("g",),
        np.array([0, 0, 0, 0, 1, 1, 1]),
        np.array([3.0, 1.0, 1.0, 2.0, 7.0, 8.0, np.nan]),
        np.zeros(7, dtype=int),
        np.array([30.0, 10.0, 11.0, np.nan, 70.0, 80.0, 90.0]),
        np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]),
    )
    assert list(found.objects["object_id"]) == ["a", "b"]
    assert found.time.tolist() == [1, 3, 8]
    assert found.flux.tolist() == [10, 30, 80]
    assert found.faults == {
        "observations without flux, time or error (left out)": 3,
        "objects with observations out of order (sorted)": 1,
        "observations of one band at one time (the first is used)": 1,
        "objects without observations (left out)": 1,
    }


def test_objects_are_chosen_with_their_observations():
    found = catalogue().select(np.array([1, 0]))
    assert list(found.objects["object_id"]) == ["b", "a"]
    assert found.start.tolist() == [0, 1, 3]
    assert found.time.tolist() == [5, 1, 2]


def test_catalogues_of_other_bands_are_joined_in_the_order_of_wavelengths():
    joined = join_catalogues([catalogue(), catalogue(("c", "d"), ("z", "u"))])
    assert joined.bands == ("u", "g", "r", "z")
    # c has z at 1 d and u at 2 d, d has z at 5 d.
    assert joined.band.tolist() == [1, 2, 1, 3, 0, 3]


def test_two_objects_of_one_name_are_refused():
    with pytest.raises(InputFileError, match="Two objects of the catalogue have the name 'a'"):
        join_catalogues([catalogue(), catalogue()])


def test_an_unknown_band_is_refused():
    with pytest.raises(InputFileError, match="'x.h5' has observations in the band 'r'"):
        catalogue().with_bands(["g", "i"], "'x.h5'")


def test_cutouts_of_several_sizes_are_refused():
    parts = [
        catalogue(names, cutouts=np.zeros((2, 2, size, size), dtype=np.float32))
        for names, size in ((("a", "b"), 4), (("c", "d"), 6))
    ]
    with pytest.raises(InputFileError, match="cut-outs of several sizes"):
        join_catalogues(parts)


@pytest.mark.parametrize("what", ["band", "number", "cutouts"])
def test_damaged_catalogues_are_refused(tmp_path, what):
    good = catalogue(cutouts=np.zeros((2, 2, 4, 4), dtype=np.float32))
    if what == "cutouts":
        good = replace(good, cutouts=ArrayCutouts(np.zeros((2, 2, 4, 5))))
    write_catalogue(good, tmp_path / "c.h5")
    with tables.open_file(tmp_path / "c.h5", "a") as file:
        if what == "band":
            file.root.observations.modify_column(0, 1, column=[7], colname="band")
        if what == "number":
            file.root.objects.modify_column(0, 1, column=[9], colname="n_observations")
    with pytest.raises(InputFileError, match="is damaged: its|is damaged: it has the bands"):
        read_catalogue(tmp_path / "c.h5")


def test_another_hdf5_file_is_no_catalogue(tmp_path):
    with tables.open_file(tmp_path / "c.h5", "w"):
        pass
    assert not is_catalogue(tmp_path / "c.h5")
    with pytest.raises(InputFileError, match="is no catalogue"):
        read_catalogue(tmp_path / "c.h5")
