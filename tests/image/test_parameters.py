"""Image parameters: those of ctapipe's ImageProcessor, of many images at once."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation
from ctapipe.containers import ImageParametersContainer
from ctapipe.coordinates import CameraFrame
from ctapipe.image import ImageProcessor
from ctapipe.image.toymodel import Gaussian
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    OpticsDescription,
    ReflectorShape,
    SizeType,
    SubarrayDescription,
    TelescopeDescription,
)
from ctapipe.io import TableLoader
from traitlets.config import Config

from gammalearn.image.parameters import IMAGE_PARAMETERS, TIMES, UNITS, ImageParametrizer
from gammalearn.image.processing import image_processing

#: Real simulations of LSTCam, two more LSTs, FlashCam, NectarCam and a camera of H.E.S.S.
FILES = [
    "aux_traces_2029",
    "gamma_diffuse_run10_6.0.0",
    "gamma_lsts_run7_7.0.0",
    "gamma_with_obslevel_particles",
    "lst_with_photons",
    "proton_run1_7.0.0",
    "proton_run202_prod5",
]

#: Where ctapipe adds up in double precision.
RTOL, ATOL = 1e-5, 1e-9

#: Where it adds up in single precision, as it does with the charges of files.
SINGLE_ATOL, SINGLE_SKEWNESS_ATOL = 1e-5, 1e-4


def processor_of(subarray):
    return ImageProcessor(subarray, config=Config(image_processing(subarray)))


def telescope_images(path):
    """The subarray of a file and the images of its telescopes, with the stored parameters."""
    with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
        events = loader.read_telescope_events_by_id(
            dl1_images=True, dl1_parameters=True, true_images=True, true_parameters=True
        )
        return loader.subarray, events


def assert_same(found, row, expected, names=IMAGE_PARAMETERS.names):
    for name in names:
        value = expected[name]
        if expected["morphology_n_pixels"] == 3 and name.startswith("timing"):
            # ctapipe keeps two pixels, any two fit, and rounding chooses.
            assert np.isfinite(found[name][row])
            continue
        np.testing.assert_allclose(found[name][row], value, RTOL, ATOL, err_msg=f"{name}, {row}")


def assert_all_same(in_ctapipe, subarray, tel_id, images, times, event_id):
    """Ours and ctapipe's parameters and masks of some images; returns ours."""
    processor, parametrizer = processor_of(subarray), ImageParametrizer(subarray)
    masks = parametrizer.clean(tel_id, images)
    found, criteria = parametrizer.describe(tel_id, images, masks, times, event_id)
    for row, (image, time) in enumerate(zip(images, times, strict=True)):
        image, time = image.astype(np.float64), time.astype(np.float64)
        expected, mask = in_ctapipe(processor, tel_id, event_id[row], image, time)
        np.testing.assert_array_equal(masks[row], mask)
        assert criteria[row].all() == np.isfinite(expected["hillas_intensity"])
        assert_same(found, row, expected)
    counts = processor.check_image.to_table()["counts"]
    assert list(counts) == [len(images), *criteria.sum(axis=0)]
    return found


def test_are_all_that_ctapipe_computes():
    """But the core, which ImageProcessor leaves alone; in the units of ctapipe's tables."""
    parts = ImageParametersContainer()
    columns = {
        f"{part.prefix}_{name}": field.unit
        for key, part in parts.items()
        if key != "core"
        for name, field in part.fields.items()
    }
    assert set(IMAGE_PARAMETERS.names) == set(columns)
    for name, unit in columns.items():
        assert u.Unit(unit or "") == u.Unit(UNITS.get(name, "")), name
    assert set(TIMES) == {n for n in columns if n.split("_")[0] in ("timing", "peak")}


@pytest.mark.parametrize("name", FILES)
def test_of_real_simulations_are_those_of_ctapipe(in_ctapipe, dl1, name):
    subarray, events = telescope_images(dl1(name))
    n_described = 0
    for tel_id, table in events.items():
        images, times = np.asarray(table["image"]), np.asarray(table["peak_time"])
        event_id = np.asarray(table["event_id"])
        found = assert_all_same(in_ctapipe, subarray, tel_id, images, times, event_id)
        n_described += np.isfinite(found["timing_slope"]).sum()
    assert n_described > 0


@pytest.mark.parametrize("name", ["gamma_lsts_run7_7.0.0", "proton_run202_prod5"])
def test_of_real_simulations_are_those_in_their_files(data_dir, dl1, name):
    """Which ctapipe-process wrote; its fits of time gradients had other random numbers."""
    with TableLoader(dl1(name)) as loader:
        subarray = loader.subarray
    parametrizer, (_, events) = ImageParametrizer(subarray), telescope_images(dl1(name))
    fitted = {name for name in TIMES if name.startswith("timing")}
    for tel_id, table in events.items():
        image, true_image = np.asarray(table["image"]), np.asarray(table["true_image"])
        mask = parametrizer.clean(tel_id, image)
        np.testing.assert_array_equal(mask, table["image_mask"])
        times, event_id = np.asarray(table["peak_time"]), np.asarray(table["event_id"])
        found, _ = parametrizer.describe(tel_id, image, mask, times, event_id)
        true, criteria = parametrizer.describe(tel_id, true_image, true_image > 0)
        np.testing.assert_array_equal(
            criteria.all(axis=1), np.isfinite(table["true_hillas_intensity"])
        )
        known = criteria.all(axis=1)
        for column in set(IMAGE_PARAMETERS.names) - fitted:
            shape = column.endswith(("skewness", "kurtosis"))
            atol = SINGLE_SKEWNESS_ATOL if shape else SINGLE_ATOL
            np.testing.assert_allclose(found[column], table[column], RTOL, atol, err_msg=column)
            if column not in TIMES:
                values = table[f"true_{column}"][known]
                np.testing.assert_allclose(true[column][known], values, RTOL, atol, err_msg=column)


@pytest.fixture(scope="module")
def sst():
    """A telescope with square pixels, of which there are no files."""
    geometry = CameraGeometry.make_rectangular(24, 24, (-0.15, 0.15), (-0.15, 0.15))
    geometry = CameraGeometry(
        **{key: getattr(geometry, key) for key in ("pix_id", "pix_x", "pix_y", "pix_area")},
        name="CHEC",
        pix_type="square",
        frame=CameraFrame(focal_length=2.15 * u.m),
    )
    optics = OpticsDescription(
        name="ASTRI",
        size_type=SizeType.SST,
        n_mirrors=2,
        equivalent_focal_length=2.15 * u.m,
        effective_focal_length=2.15 * u.m,
        mirror_area=8 * u.m**2,
        n_mirror_tiles=1,
        reflector_shape=ReflectorShape.SCHWARZSCHILD_COUDER,
    )
    camera = CameraDescription(name="CHEC", geometry=geometry, readout=None)
    return SubarrayDescription(
        name="sst",
        tel_positions={1: np.zeros(3) * u.m},
        tel_descriptions={1: TelescopeDescription(name="ASTRI", optics=optics, camera=camera)},
        reference_location=EarthLocation(0, 0, 0),
    )


@pytest.fixture(scope="module")
def lst(dl1):
    return SubarrayDescription.from_hdf(dl1("gamma_lsts_run7_7.0.0"))


def showers(geometry, n_images, seed):
    """Two elliptic spots of light each, anywhere in a camera and at its edge, faint and bright."""
    rng = np.random.default_rng(seed)
    radius = geometry.guess_radius().to_value(u.m)
    images, times = [], []
    for _ in range(n_images):
        image = np.zeros(geometry.n_pixels)
        for _ in range(2):
            x, y, angle = *rng.uniform(-radius, radius, 2), rng.uniform(0, 180)
            width, length = np.sort(rng.uniform(0.02, 0.2, 2) * radius)
            spot = Gaussian(x * u.m, y * u.m, length * u.m, width * u.m, angle * u.deg)
            image += spot.generate_image(geometry, 10 ** rng.uniform(1, 4), 2, rng)[0]
        images.append(image)
        times.append(20 + 30 * geometry.pix_x.value + rng.normal(0, 2, len(image)))
    return np.array(images, np.float32), np.array(times, np.float32)


@pytest.mark.parametrize("array", ["sst", "lst"])
def test_of_spots_of_light_are_those_of_ctapipe(in_ctapipe, request, array):
    subarray = request.getfixturevalue(array)
    images, times = showers(subarray.tel[1].camera.geometry, 40, seed=1)
    found = assert_all_same(in_ctapipe, subarray, 1, images, times, np.arange(100, 140))
    described = np.isfinite(found["hillas_intensity"])
    assert 10 < described.sum() < 40
    assert (found["leakage_pixels_width_1"][described] > 0).sum() > 1
    assert (found["morphology_n_islands"] > 1).any()


def odd_images(geometry):
    """Images that few pixels are left of, or whose shape is no ellipse, by name."""
    x, y = geometry.pix_x.value, geometry.pix_y.value
    middle = np.argmin(np.hypot(x, y))
    edge = np.flatnonzero(geometry.get_border_pixel_mask(1))[0]
    around, around_edge = geometry.neighbors[middle], geometry.neighbors[edge]
    beside = next(n for n in around[1:] if n in geometry.neighbors[around[0]])
    triangle = [middle, around[0], beside]

    def lit(pixels, charge):
        image = np.zeros(len(x))
        image[pixels] = charge
        return image

    return {
        "empty": lit([], 0),
        "one pixel": lit([middle], 500),
        "two pixels": lit(triangle[:2], 500),
        "negative": lit(slice(None), -3),
        "three pixels": lit(triangle, [60, 70, 90]),
        "three faint pixels": lit(triangle, 10),
        "of 50 p.e.": lit([middle, *around[:3]], 12.5),
        "of equal charges": lit(around, 32),
        "at the edge": lit(around_edge, 40 + 10 * np.arange(len(around_edge))),
        "everywhere": 20 + x - y,
        "two islands": lit(around, 32) + lit(around_edge, 64),
    }


@pytest.mark.parametrize("time", ["rising", "the same"])
def test_of_odd_images_are_those_of_ctapipe(in_ctapipe, lst, time):
    geometry = lst.tel[1].camera.geometry
    images = odd_images(geometry)
    stacked = np.array(list(images.values()), np.float32)
    times = np.full(stacked.shape, 16, dtype=np.float32)
    if time == "rising":
        # With some noise: of a line through all pixels, rounding would choose the best.
        noise = np.random.default_rng(0).normal(0, 0.5, stacked.shape)
        times += (geometry.pix_x.value + noise).astype(np.float32)
    found = assert_all_same(in_ctapipe, lst, 1, stacked, times, np.arange(len(images)))
    described = dict(zip(images, np.isfinite(found["hillas_intensity"]), strict=True))
    assert not any(described[name] for name in ("empty", "negative", "one pixel", "two pixels"))
    assert described["three pixels"] and described["two islands"] and described["everywhere"]


def test_of_true_images_of_few_pixels_are_those_of_ctapipe(in_ctapipe, lst):
    """Which are not cleaned."""
    geometry = lst.tel[1].camera.geometry
    images = {n: i.astype(np.int32) for n, i in odd_images(geometry).items() if i.min() >= 0}
    true = np.array(list(images.values()))
    found, criteria = ImageParametrizer(lst).describe(1, true, true > 0)
    processor = processor_of(lst)
    for row, image in enumerate(true):
        expected, _ = in_ctapipe(processor, 1, 0, 0.0 * image, 0.0 * image, true_image=image)
        assert criteria[row].all() == np.isfinite(expected["hillas_intensity"])
        if criteria[row].all():
            assert_same(found, row, expected, [n for n in IMAGE_PARAMETERS.names if n not in TIMES])
        assert all(np.isnan(found[name][row]) for name in TIMES)
    assert list(criteria.all(axis=1)[:3]) == [False, False, False]


def test_of_a_straight_line_of_pixels(in_ctapipe, sst):
    """The ellipse has no width, and ctapipe's answers to that are ours."""
    geometry = sst.tel[1].camera.geometry
    line = np.flatnonzero(geometry.pix_y == geometry.pix_y[300])[4:10]
    image = np.zeros((1, geometry.n_pixels), np.int32)
    image[0, line] = np.arange(32, 38)
    found, _ = ImageParametrizer(sst).describe(1, image, image > 0)
    dark = np.zeros(geometry.n_pixels)
    expected, _ = in_ctapipe(processor_of(sst), 1, 0, dark, dark, true_image=image[0])
    assert expected["hillas_width"] == 0 and np.isnan(expected["hillas_width_uncertainty"])
    assert_same(found, 0, expected, [name for name in IMAGE_PARAMETERS.names if name not in TIMES])


def test_do_not_depend_on_the_other_images(lst):
    images, times = showers(lst.tel[1].camera.geometry, 10, seed=2)
    event_id, parametrizer = np.arange(10), ImageParametrizer(lst)
    mask = parametrizer.clean(1, images)
    together, _ = parametrizer.describe(1, images, mask, times, event_id)
    some = np.flatnonzero(np.isfinite(together["timing_slope"]))[[0, -1]]
    assert some[1] > some[0]
    apart, _ = parametrizer.describe(1, images[some], mask[some], times[some], event_id[some])
    np.testing.assert_array_equal(apart, together[some])


def test_of_no_images(lst):
    parametrizer = ImageParametrizer(lst)
    none = np.zeros((0, lst.tel[1].camera.geometry.n_pixels))
    mask = parametrizer.clean(1, none)
    found, criteria = parametrizer.describe(1, none, mask, none, np.zeros(0, int))
    assert mask.shape == none.shape and found.shape == (0,) and criteria.shape == (0, 2)


def test_angles_are_those_of_the_focal_length_of_each_telescope(in_ctapipe, sst):
    """Two telescopes with the same camera at other distances from the mirror."""
    telescope = sst.tel[1]
    geometry = telescope.camera.geometry
    far = CameraGeometry(
        **{key: getattr(geometry, key) for key in ("pix_id", "pix_x", "pix_y", "pix_area")},
        name=geometry.name,
        pix_type=geometry.pix_type,
        frame=CameraFrame(focal_length=4.3 * u.m),
    )
    camera = CameraDescription(name="CHEC", geometry=far, readout=None)
    other = TelescopeDescription(name="ASTRI", optics=telescope.optics, camera=camera)
    both = SubarrayDescription(
        name="two",
        tel_positions=dict.fromkeys((1, 2), np.zeros(3) * u.m),
        tel_descriptions={1: telescope, 2: other},
        reference_location=EarthLocation(0, 0, 0),
    )
    images, times = showers(geometry, 5, seed=3)
    parametrizer, processor = ImageParametrizer(both), processor_of(both)
    for tel_id in both.tel:
        mask = parametrizer.clean(tel_id, images)
        found, _ = parametrizer.describe(tel_id, images, mask, times, np.arange(5))
        for row in range(5):
            image, time = images[row].astype(float), times[row].astype(float)
            expected, _ = in_ctapipe(processor, tel_id, row, image, time)
            assert_same(found, row, expected)
