"""Descriptors of images: by hand, and of images that ctapipe describes."""

from typing import get_args

import astropy.units as u
import numpy as np
import pytest
import torch
from ctapipe.containers import ImageParametersContainer, PeakTimeStatisticsContainer
from ctapipe.coordinates import CameraFrame, TelescopeFrame
from ctapipe.image import (
    concentration_parameters,
    descriptive_statistics,
    hillas_parameters,
    leakage_parameters,
    morphology_parameters,
    timing_parameters,
)
from ctapipe.instrument import CameraGeometry, PixelShape
from hypothesis import given, settings
from hypothesis import strategies as st

from gammalearn.camera import CameraType
from gammalearn.data import Rotation, columns_of
from gammalearn.data.images.descriptors import (
    ALL_DESCRIPTORS,
    SCALARS,
    VECTORS,
    count_scalars,
    describe_images,
)
from gammalearn.data.readers.parameters import flat_parameters
from gammalearn.image.parameters import IMAGE_PARAMETERS
from gammalearn.settings.network import Descriptor

#: Parameters of an image, and what each descriptor makes of them by hand.
IMAGE = {
    "hillas_intensity": 1000.0,
    "hillas_length": 0.2,
    "hillas_width": 0.05,
    "hillas_kurtosis": 3.0,
    "concentration_cog": 0.4,
    "concentration_core": 0.3,
    "concentration_pixel": 0.2,
    "leakage_intensity_width_1": 0.01,
    "leakage_intensity_width_2": 0.02,
    "timing_deviation": 10.0,
    "peak_time_std": 0.1,
    "morphology_n_pixels": 200,
    "morphology_n_islands": 1,
    "hillas_fov_lon": 1.5,
    "hillas_fov_lat": -0.5,
    "hillas_psi": 30.0,
    "hillas_skewness": -2.0,
    "timing_slope": 10.0,
}

COS, SIN = np.sqrt(0.75), 0.5
SLOPE = np.log(1 + np.sqrt(2))  # asinh(1)

BY_HAND = {
    "light": [1.0],
    "length": [np.log10(2)],
    "width": [-np.log10(2)],
    "kurtosis": [0.5],
    "concentration": [0.4, 0.3, 0.2],
    "leakage": [0.01, 0.02],
    "time": [1.0, -1.0],
    "islands": [1.0, 0.0],
    "centroid": [[1.5, -0.5]],
    "axis": [[COS, SIN]],
    "skewness": [[-2 * COS, -2 * SIN]],
    "time_slope": [[SLOPE * COS, SLOPE * SIN]],
}


def columns(**others):
    """The image, and the same with other values."""
    return {name: np.array([value, others.get(name, value)]) for name, value in IMAGE.items()}


@pytest.mark.parametrize("name", ALL_DESCRIPTORS)
def test_values_by_hand(name):
    scalars, vectors = describe_images(columns(), [name])
    assert scalars.dtype == vectors.dtype == np.float32
    found, other = (vectors, scalars) if name in VECTORS else (scalars, vectors)
    np.testing.assert_allclose(found, 2 * [BY_HAND[name]], rtol=1e-6, atol=1e-7)
    assert other.size == 0 and len(other) == 2
    assert count_scalars([name]) == scalars.shape[1]


def test_the_settings_name_those_that_there_are():
    assert get_args(Descriptor) == ALL_DESCRIPTORS == (*SCALARS, *VECTORS)


def test_the_order_is_ours_and_not_that_of_the_names():
    scalars, vectors = describe_images(columns(), ALL_DESCRIPTORS)
    expected = [BY_HAND[name] for name in SCALARS]
    np.testing.assert_allclose(scalars[0], np.concatenate(expected), rtol=1e-6, atol=1e-7)
    expected = [BY_HAND[name] for name in VECTORS]
    np.testing.assert_allclose(vectors[0], np.concatenate(expected), rtol=1e-6)
    for one, other in zip(
        describe_images(columns(), ["axis", "time", "centroid", "light"]),
        describe_images(columns(), ["light", "centroid", "axis", "time"]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert count_scalars(ALL_DESCRIPTORS) == scalars.shape[1] == 13


def test_they_are_made_of_parameters_that_can_be_computed():
    assert columns_of(ALL_DESCRIPTORS) == sorted(IMAGE)
    assert set(IMAGE) <= set(IMAGE_PARAMETERS.names)
    assert columns_of(["centroid", "axis", "skewness"]) == [
        "hillas_fov_lat", "hillas_fov_lon", "hillas_psi", "hillas_skewness",
    ]  # fmt: skip
    assert columns_of([]) == []


@pytest.mark.parametrize("name", ALL_DESCRIPTORS)
def test_what_is_missing_is_nan_and_leaves_the_rest(name):
    """Each parameter makes its descriptor missing, and no other's."""
    for column in columns_of([name]):
        whole, missing = describe_images(columns(**{column: np.nan}), ALL_DESCRIPTORS)
        both = np.column_stack([whole, missing.reshape(2, -1)])
        assert np.isfinite(both[0]).all()
        uses = [n for n in ALL_DESCRIPTORS if column in columns_of([n])]
        places = np.concatenate(
            [np.full(np.size(BY_HAND[n]), n in uses) for n in (*SCALARS, *VECTORS)]
        )
        lost = np.isnan(both[1])
        assert lost.any() and not lost[~places].any()
    of_its_own = describe_images(dict.fromkeys(IMAGE, np.full(1, np.nan)), [name])
    assert all(np.isnan(values).all() for values in of_its_own)


def test_ctapipe_counts_missing_images_as_minus_one():
    scalars, _ = describe_images(
        columns(morphology_n_pixels=-1, morphology_n_islands=-1), ["islands"]
    )
    assert np.isnan(scalars[1]).all() and np.isfinite(scalars[0]).all()


def test_odd_images_have_no_wild_values():
    odd = columns(
        hillas_intensity=1e20,
        hillas_width=0.0,
        hillas_kurtosis=-50.0,
        hillas_skewness=1e3,
        timing_slope=-np.inf,
    )
    names = ["light", "width", "kurtosis", "skewness", "time_slope"]
    scalars, vectors = describe_images(odd, names)
    # No width at all is as good as a ten thousandth of the unit.
    np.testing.assert_allclose(scalars[1], [8.0, -4.0, -8.0])
    np.testing.assert_array_equal(vectors[1], [[8.0, 8.0], [np.nan, np.nan]])


def hexagon(radius=15):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    z = (col + row * np.exp(-2j * np.pi / 3))[np.abs(col - row) <= radius]
    z = 0.05 * z * np.exp(0.3j)
    return CameraType("hexagon", z.real, z.imag, "hexagonal", 28.0)


CAMERA = hexagon()

#: Its pixels in the sky, by ctapipe.
GEOMETRY = CameraGeometry(
    name=CAMERA.name,
    pix_id=np.arange(CAMERA.n_pixels),
    pix_x=CAMERA.pix_x * u.m,
    pix_y=CAMERA.pix_y * u.m,
    pix_area=np.full(CAMERA.n_pixels, 2e-3) * u.m**2,
    pix_type=PixelShape.HEXAGON,
    frame=CameraFrame(focal_length=29.3 * u.m),
).transform_to(TelescopeFrame())


def described(image, time, names=ALL_DESCRIPTORS):
    """Descriptors of one cleaned image, from what ctapipe's functions say of it."""
    lit = image > 0
    hillas = hillas_parameters(GEOMETRY[lit], image[lit])
    parameters = ImageParametersContainer(
        hillas=hillas,
        timing=timing_parameters(GEOMETRY, image, time, hillas, lit),
        leakage=leakage_parameters(GEOMETRY, image, lit),
        concentration=concentration_parameters(GEOMETRY[lit], image[lit], hillas),
        morphology=morphology_parameters(GEOMETRY, lit),
        peak_time_statistics=descriptive_statistics(
            time[lit], container_class=PeakTimeStatisticsContainer
        ),
    )
    flat = flat_parameters(parameters)
    return describe_images({n: np.array([flat[n]]) for n in columns_of(names)}, names)


def shower(x, y, angle, length, asymmetry):
    """Light of a shower in the camera: more of it, and later, to one side."""
    along = (CAMERA.pix_x - x) + 1j * (CAMERA.pix_y - y)
    along = along * np.exp(-1j * angle)
    image = 300 * np.exp(-((along.real / length) ** 2) / 2 - ((along.imag / 0.06) ** 2) / 2)
    image *= 1 + asymmetry * np.tanh(along.real / length)
    image[image < 5] = 0
    return image


@settings(deadline=None, max_examples=15)
@given(
    st.floats(-0.3, 0.3),
    st.floats(-0.3, 0.3),
    st.floats(0, 2 * np.pi),
    st.floats(0.12, 0.2),
    st.floats(0.2, 0.9),
    st.floats(-8, 8),
    st.sampled_from([60.0, 120.0, 180.0, 300.0]),
)
def test_they_turn_as_the_image_does(x, y, angle, length, asymmetry, slope, turn):
    image = shower(x, y, angle, length, asymmetry)
    # Times that are a line along the axis: any choice of pixels that ctapipe draws fits the same.
    hillas = hillas_parameters(GEOMETRY[image > 0], image[image > 0])
    psi = hillas.psi.rad
    time = 20 + slope * (
        (GEOMETRY.pix_x - hillas.fov_lon).to_value(u.deg) * np.cos(psi)
        + (GEOMETRY.pix_y - hillas.fov_lat).to_value(u.deg) * np.sin(psi)
    )
    (symmetry,) = (s for s in CAMERA.grid.symmetries if s.turn == turn and not s.mirrored)
    assert symmetry.complete
    scalars, vectors = described(image, time)
    turned_scalars, turned_vectors = described(image[symmetry.pixels], time[symmetry.pixels])
    assert np.isfinite(scalars).all() and np.isfinite(vectors).all()
    # Times lie on the line but for rounding, so that the logarithm of their scatter is at its end.
    np.testing.assert_allclose(turned_scalars, scalars, atol=2e-4)

    # Counterclockwise in the camera, whose x is along fov_lat and y along fov_lon.
    lon, lat = vectors[0].T
    expected = (lat + 1j * lon) * np.exp(1j * np.deg2rad(turn))
    expected = np.stack([expected.imag, expected.real], axis=1)
    names = list(VECTORS)
    for name, found, place in zip(names, turned_vectors[0], expected, strict=True):
        if name == "axis" and found @ place < 0:
            found = -found  # either end of it
        np.testing.assert_allclose(found, place, atol=2e-4, err_msg=name)
    by_turn = Rotation(torch.tensor([turn]))(torch.from_numpy(vectors))
    np.testing.assert_allclose(by_turn[0], expected, atol=1e-5)


def test_skewness_and_time_slope_point_to_where_light_and_time_go():
    """More light to one side of the middle: the long tail is on the other. Later is along +."""
    for angle in np.deg2rad([10, 100, 190, 280]):
        image = shower(0.1, -0.1, angle, 0.15, 0.8)
        # In the sky, (fov_lon, fov_lat) is (y, x) in the camera.
        way = np.array([np.sin(angle), np.cos(angle)])
        time = 10 + 5 * (GEOMETRY.pix_x.value * way[0] + GEOMETRY.pix_y.value * way[1])
        _, vectors = described(image, time, ["skewness", "time_slope"])
        skewness, time_slope = vectors[0]
        assert skewness @ way < -0.03
        assert time_slope @ way == pytest.approx(np.arcsinh(5 / 10), rel=1e-2)
        for vector in vectors[0]:
            assert abs(vector @ [way[1], -way[0]]) < 0.02 * np.hypot(*vector)
