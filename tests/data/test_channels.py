"""What each pixel carries into the network, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gammalearn.data.channels import image_channels, pixel_columns


def image(**pixels):
    return {name: np.array([values], dtype=np.float32) for name, values in pixels.items()}


def channels(pixels, names, scale="linear"):
    made = image_channels(pixels, names, scale)
    assert made.dtype == np.float32
    return made[0].tolist()


def test_charge_as_it_is():
    assert channels(image(charge=[0, 1.5, -2]), ["charge"]) == [[0, 1.5, -2]]


def test_charge_as_asinh():
    """Linear where there is noise, the logarithm of twice the charge where there is light."""
    (charge,) = channels(image(charge=[0, 1e-3, -1e-3, 1e4]), ["charge"], "asinh")
    assert charge == pytest.approx([0, 1e-3, -1e-3, np.log(2e4)], rel=1e-6)


def test_peak_time_is_relative_to_the_light_in_units_of_10_ns():
    # The mean of 10 and 20 ns with weights 1² and 3² is 19 ns; the noise at 50 ns has none.
    pixels = image(charge=[1, 3, -5], peak_time=[10, 20, 50])
    assert channels(pixels, ["peak_time"])[0] == pytest.approx([-0.9, 0.1, 3.1], rel=1e-6)


def test_peak_time_does_not_depend_on_the_charge_scale_or_other_images():
    one = image(charge=[1, 3], peak_time=[10, 20])
    two = {k: np.concatenate([v, 7 * v]) for k, v in one.items()}
    expected = image_channels(one, ["peak_time"], "linear")
    assert np.array_equal(image_channels(two, ["peak_time"], "asinh")[:1], expected)


def test_peak_time_does_not_depend_on_the_clock():
    early, late = (image(charge=[1, 3], peak_time=[10 + t, 20 + t]) for t in (0, 1000))
    assert channels(early, ["peak_time"])[0] == pytest.approx(channels(late, ["peak_time"])[0])


def test_cleaning_mask_is_zero_or_one():
    pixels = {"charge": np.zeros((1, 3)), "cleaning_mask": np.array([[True, False, True]])}
    assert channels(pixels, ["cleaning_mask"]) == [[1, 0, 1]]


def test_missing_pixels_can_be_told_from_dark_ones():
    pixels = image(charge=[0, np.nan, -np.inf, -3], peak_time=[np.nan, 1, 1, 1])
    assert channels(pixels, ["charge", "has_charge"]) == [[0, 0, 0, -3], [1, 0, 0, 1]]


def test_channels_stand_in_the_order_asked_for():
    pixels = image(charge=[2, 4], peak_time=[5, 5], cleaning_mask=[0, 1])
    names = ["cleaning_mask", "charge", "peak_time"]
    assert channels(pixels, names) == [[0, 1], [2, 4], [0, 0]]


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_a_pixel_without_charge_is_one_without_light(missing):
    pixels = image(charge=[1, missing, 3], peak_time=[10, 90, 20])
    charge, time = channels(pixels, ["charge", "peak_time"])
    assert charge == [1, 0, 3]
    assert time == pytest.approx([-0.9, 0, 0.1], rel=1e-6)


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_a_pixel_without_time_counts_in_no_mean(missing):
    pixels = image(charge=[1, 100, 3], peak_time=[10, missing, 20])
    assert channels(pixels, ["peak_time"])[0] == pytest.approx([-0.9, 0, 0.1], rel=1e-6)


@pytest.mark.parametrize("charge", [[0, 0], [-1, -2], [np.nan, np.nan]])
def test_an_image_without_light(charge):
    """There is no own time to be relative to, and nothing is divided by zero."""
    (time,) = channels(image(charge=charge, peak_time=[10, 20]), ["peak_time"])
    assert time == [0, 0]


def test_no_images():
    pixels = {"charge": np.zeros((0, 7)), "peak_time": np.zeros((0, 7))}
    assert image_channels(pixels, ["charge", "peak_time"], "asinh").shape == (0, 2, 7)


@given(
    arrays(np.float32, (2, 4), elements=st.floats(width=32)),
    arrays(np.float32, (2, 4), elements=st.floats(-1e4, 1e4, width=32) | st.just(np.nan)),
)
def test_nothing_that_is_not_finite_enters(charge, peak_time):
    pixels = {"charge": charge, "peak_time": peak_time}
    assert np.isfinite(image_channels(pixels, ["charge", "peak_time"], "asinh")).all()


def test_input_is_left_alone():
    pixels = image(charge=[1, np.nan], peak_time=[np.nan, 20])
    before = {name: values.copy() for name, values in pixels.items()}
    image_channels(pixels, ["charge", "peak_time"], "linear")
    for name, values in before.items():
        np.testing.assert_array_equal(pixels[name], values)


def test_unknown_channel():
    with pytest.raises(ValueError, match="got 'colour'"):
        image_channels(image(charge=[1]), ["colour"], "linear")


def test_charge_is_read_for_every_channel():
    assert pixel_columns(["peak_time"]) == ["charge", "peak_time"]
    assert pixel_columns(["cleaning_mask", "charge"]) == ["charge", "cleaning_mask"]
    assert pixel_columns(["has_charge"]) == ["charge"], "it is no column of a file"
