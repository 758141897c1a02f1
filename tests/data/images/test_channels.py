"""What each pixel carries into the network, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gammalearn.data.images.channels import image_channels, pixel_columns, without_impossible
from gammalearn.settings import CleaningSettings, DataSettings


def image(**pixels):
    return {name: np.array([values], dtype=np.float32) for name, values in pixels.items()}


def asked(names, scale="linear", **settings):
    return DataSettings(channels=names, charge_scale=scale, **settings)


def channels(pixels, names, scale="linear", **settings):
    made = image_channels(pixels, asked(names, scale, **settings))
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


def test_charge_as_square_root_with_its_sign():
    (charge,) = channels(image(charge=[0, 4, -9, 1e4]), ["charge"], "sqrt")
    assert charge == pytest.approx([0, 2, -3, 100])


def test_peak_time_does_not_depend_on_the_charge_scale_or_other_images():
    one = image(charge=[1, 3], peak_time=[10, 20])
    two = {k: np.concatenate([v, 7 * v]) for k, v in one.items()}
    expected = image_channels(one, asked(["peak_time"], "linear"))
    assert np.array_equal(image_channels(two, asked(["peak_time"], "asinh"))[:1], expected)


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
    assert image_channels(pixels, asked(["charge", "peak_time"], "asinh")).shape == (0, 2, 7)


@given(
    arrays(np.float32, (2, 4), elements=st.floats(width=32)),
    arrays(np.float32, (2, 4), elements=st.floats(-1e4, 1e4, width=32) | st.just(np.nan)),
)
def test_nothing_that_is_not_finite_enters(charge, peak_time):
    pixels = {"charge": charge, "peak_time": peak_time}
    assert np.isfinite(image_channels(pixels, asked(["charge", "peak_time"], "asinh"))).all()


def test_input_is_left_alone():
    pixels = image(charge=[1, np.nan], peak_time=[np.nan, 20])
    before = {name: values.copy() for name, values in pixels.items()}
    image_channels(pixels, asked(["charge", "peak_time"], "linear"))
    for name, values in before.items():
        np.testing.assert_array_equal(pixels[name], values)


def test_charge_as_logarithm():
    """Of a negative charge that of its size, and negative."""
    (charge,) = channels(image(charge=[0, np.e - 1, -3, 99]), ["charge"], "log")
    assert charge == pytest.approx([0, 1, -np.log(4), np.log(100)], rel=1e-6)


def test_absolute_peak_time_is_the_files_in_units_of_10_ns():
    pixels = image(charge=[1, 3, -5], peak_time=[10, 20, 50])
    absolute, relative = channels(pixels, ["absolute_peak_time", "peak_time"])
    assert absolute == pytest.approx([1, 2, 5])
    assert relative == pytest.approx([-0.9, 0.1, 3.1], rel=1e-6)


@pytest.mark.parametrize("charge", [[1, 3, np.nan, 0.5], [1, 3, 0.5, np.nan]])
def test_pixels_below_the_threshold_and_missing_ones_have_the_images_own_time(charge):
    """The own time is the mean of 10 and 20 ns with weights 1² and 3², 19 ns."""
    pixels = image(charge=charge, peak_time=[10, 20, 50, 60])
    names = ["peak_time", "absolute_peak_time"]
    relative, absolute = channels(pixels, names, peak_time_threshold=1)
    assert relative == pytest.approx([-0.9, 0.1, 0, 0], rel=1e-6)
    assert absolute == pytest.approx([1, 2, 1.9, 1.9], rel=1e-6)


def test_an_image_without_light_keeps_its_absolute_times():
    pixels = image(charge=[0, -1, np.nan], peak_time=[10, 20, 30])
    assert channels(pixels, ["absolute_peak_time"]) == [[1, 2, 0]]


def masked(applied_to):
    pixels = image(charge=[1, 3, 2, 5], peak_time=[10, 20, 40, 50])
    pixels["cleaning_mask"] = np.array([[True, True, False, False]])
    names = ["charge", "peak_time", "has_charge"]
    return channels(pixels, names, cleaning=CleaningSettings(applied_to=applied_to))


def test_the_mask_applied_to_charges():
    """The time is then relative to the light that is left; pixels outside are not missing."""
    charge, time, has_charge = masked(["charge"])
    assert charge == [1, 3, 0, 0] and has_charge == [1, 1, 1, 1]
    assert time == pytest.approx([-0.9, 0.1, 2.1, 3.1], rel=1e-6)


def test_the_mask_applied_to_times():
    charge, time, _ = masked(["peak_time"])
    assert charge == [1, 3, 2, 5]
    assert time == pytest.approx([-0.9, 0.1, 0, 0], rel=1e-6)


def test_the_mask_applied_to_both():
    charge, time, _ = masked(["charge", "peak_time"])
    assert charge == [1, 3, 0, 0]
    assert time == pytest.approx([-0.9, 0.1, 0, 0], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        ({"channels": ["peak_time"]}, ["charge", "peak_time"]),
        ({"channels": ["absolute_peak_time"]}, ["charge", "peak_time"]),
        ({"channels": ["cleaning_mask", "charge"]}, ["charge", "cleaning_mask"]),
        ({"channels": ["has_charge"]}, ["charge"]),
        ({"cleaning": {"applied_to": ["charge"]}}, ["charge", "peak_time", "cleaning_mask"]),
        ({"channels": ["cleaning_mask"], "cleaning": {"method": "tailcuts_clean"}}, ["charge"]),
        (
            {"channels": ["cleaning_mask"], "cleaning": {"method": "fact_image_cleaning"}},
            ["charge", "peak_time"],
        ),
        ({"channels": ["charge"], "cleaning": {"method": "fact_image_cleaning"}}, ["charge"]),
    ],
)  # fmt: skip
def test_no_more_is_read_than_the_channels_need(settings, columns):
    assert pixel_columns(DataSettings(**settings)) == columns


@pytest.mark.parametrize("name", ["charge", "peak_time"])
@pytest.mark.parametrize("value", [1e30, -1e30, np.inf, 2e7])
def test_impossible_values_are_missing_and_counted(name, value):
    pixels = image(charge=[1, 2, 3], peak_time=[10, 20, 30]) | {"other": np.full((1, 3), 1e30)}
    pixels[name][0, 1] = value
    found, counts = without_impossible(pixels)
    assert counts == {name: 1}
    assert np.isnan(found[name]).tolist() == [[False, True, False]]
    assert pixels[name][0, 1] == value, "the caller's own stay as they are"
    assert np.array_equal(found["other"], pixels["other"])


@pytest.mark.parametrize("value", [np.nan, 1e5, -20, 0])
def test_what_may_be_measured_stays(value):
    pixels = image(charge=[1, value, 3], peak_time=[10, 20, 30])
    found, counts = without_impossible(pixels)
    assert counts == {}
    np.testing.assert_array_equal(found["charge"], pixels["charge"])
