"""Cleaning masks: those that ctapipe's functions and its ImageCleaner give, image by image."""

import numpy as np
import pytest
import yaml
from ctapipe.image import TailcutsImageCleaner, cleaning
from ctapipe.instrument import SubarrayDescription
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gammalearn.camera import CameraType
from gammalearn.data import EventIndex
from gammalearn.errors import SettingsError
from gammalearn.image.cleaning import Cleaning
from gammalearn.settings import CleaningSettings, DataSettings, Experiment

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"

#: Methods, each with some parameter of another value than ctapipe's own.
METHODS = {
    "tailcuts_clean": {"picture_thresh": 8, "min_number_picture_neighbors": 2},
    "mars_cleaning_1st_pass": {"picture_thresh": 6, "keep_isolated_pixels": True},
    "fact_image_cleaning": {},
    "time_constrained_clean": {"time_limit_core": 3},
    "nsb_image_cleaning": {"time_limit": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def lstcam(dl1):
    subarray = SubarrayDescription.from_hdf(dl1(RUN202), focal_length_choice="EQUIVALENT")
    return subarray, subarray.tel[1].camera.geometry


@pytest.fixture(scope="module")
def camera(lstcam):
    subarray, geometry = lstcam
    return CameraType.from_geometry(geometry, subarray.tel[1].optics.equivalent_focal_length)


@pytest.mark.parametrize("method", METHODS)
def test_is_ctapipes_of_each_image(telescope_events, dl1, lstcam, camera, method):
    table = telescope_events(dl1(RUN202))[1]
    charge, time = np.asarray(table["image"]), np.asarray(table["peak_time"])
    settings = CleaningSettings(method=method, parameters=METHODS[method])
    mask = Cleaning(settings, camera)({"charge": charge, "peak_time": time})
    assert mask.dtype == bool and mask.any() and not mask.all()
    of_times = [] if method in ("tailcuts_clean", "mars_cleaning_1st_pass") else [time]
    for found, *image in zip(mask, charge, *of_times, strict=True):
        expected = getattr(cleaning, method)(lstcam[1], *image, **METHODS[method])
        np.testing.assert_array_equal(found, expected)


@examples(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_images=st.integers(0, 5),
    picture=st.floats(0, 10),
    share=st.floats(0, 1),
    neighbours=st.integers(0, 4),
)
def test_many_images_at_once_are_those_of_ctapipes_cleaner(
    lstcam, camera, seed, n_images, picture, share, neighbours
):
    subarray, geometry = lstcam
    charge = np.random.default_rng(seed).normal(0, 6, (n_images, geometry.n_pixels))
    parameters = {
        "picture_thresh": picture,
        "boundary_thresh": share * picture,
        "min_number_picture_neighbors": neighbours,
    }
    settings = CleaningSettings(method="tailcuts_clean", parameters=parameters)
    theirs = TailcutsImageCleaner(
        subarray,
        picture_threshold_pe=picture,
        boundary_threshold_pe=share * picture,
        min_picture_neighbors=neighbours,
    )
    found = Cleaning(settings, camera)({"charge": charge})
    assert found.shape == charge.shape
    for mask, image in zip(found, charge, strict=True):
        np.testing.assert_array_equal(mask, theirs(1, image))


@pytest.mark.parametrize("name", ["gamma_diffuse_run10_6.0.0", RUN201])
def test_neighbours_are_those_of_the_files_cameras(dl1, name):
    """Of all kinds of pixels: the geometry is made anew of the positions that a network keeps."""
    subarray = SubarrayDescription.from_hdf(dl1(name), focal_length_choice="EQUIVALENT")
    for telescope in subarray.telescope_types:
        theirs = telescope.camera.geometry
        ours = CameraType.from_geometry(theirs, telescope.optics.equivalent_focal_length).geometry
        assert (ours.neighbor_matrix_sparse != theirs.neighbor_matrix_sparse).nnz == 0
        np.testing.assert_allclose(
            ours.pix_area.to_value("m2"), theirs.pix_area.to_value("m2"), rtol=0.1
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_missing_pixels_hold_no_light(camera, lstcam, method, missing):
    charge = np.zeros((1, camera.n_pixels), dtype=np.float32)
    around = [900, *np.flatnonzero(lstcam[1].neighbor_matrix[900])]
    charge[0, around] = 50
    whole = charge.copy()
    charge[0, 900] = missing
    settings = CleaningSettings(method=method)
    pixels = {"peak_time": np.full_like(charge, 20)}
    assert Cleaning(settings, camera)(pixels | {"charge": whole})[0, 900]
    mask = Cleaning(settings, camera)(pixels | {"charge": charge})
    assert np.flatnonzero(mask[0]).tolist() == sorted(around[1:])


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"picture_thresh": {"LSTCam": 8}}, "no value for camera 'FlashCam'; give one, or .*'\\*'"),
        ({"picture_thresh": {"LSTC": 8, "*": 8}}, "no camera 'LSTC'; the cameras are LSTCam, Flas"),
        ({"picture": 8}, "tailcuts_clean has no 'picture'; it has picture_thresh, boundary_thresh"),
        ({"image": 8}, "tailcuts_clean has no 'image'"),
    ],
)
def test_mistakes_are_found_with_the_index(dl1, parameters, sentence):
    """Before anything is written."""
    cleaned = {"method": "tailcuts_clean", "parameters": parameters}
    settings = DataSettings(channels=["cleaning_mask"], cleaning=cleaned)
    with pytest.raises(SettingsError, match=sentence):
        EventIndex.build([dl1(RUN202)], settings)


def test_settings_survive_yaml():
    """They travel in the checkpoint."""
    cleaned = {
        "method": "nsb_image_cleaning",
        "parameters": {
            "time_limit": None,
            "bright_cleaning_n_pixels": 3,
            "keep_isolated_pixels": True,
            "boundary_thresh": {"LSTCam": 4.5, "*": 4},
        },
    }
    experiment = Experiment(data=DataSettings(cleaning=cleaned))
    again = Experiment.model_validate(yaml.safe_load(experiment.to_yaml()))
    assert again == experiment
    parameters = again.data.cleaning.parameters
    assert parameters["keep_isolated_pixels"] is True
    assert type(parameters["bright_cleaning_n_pixels"]) is int
