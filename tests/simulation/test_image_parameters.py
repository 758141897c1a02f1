"""Image parameters: those of ctapipe's ImageProcessor, computed faster."""

import ctapipe.fitting
import numpy as np
import pytest
from ctapipe.containers import (
    ArrayEventContainer,
    DL1CameraContainer,
    SimulatedCameraContainer,
    SimulatedEventContainer,
)
from ctapipe.io import TableLoader

from gammalearn.simulation.block import TelescopeImages
from gammalearn.simulation.image_parameters import PARAMETERS, UNITS, Parametrizer, image_processor

#: ctapipe adds up charges and times in single precision.
RTOL, ATOL = 1e-5, 1e-5
SKEWNESS_ATOL = 1e-4

TIMING = [name for name in PARAMETERS.names if name.startswith("timing")]
TIMES = [name for name in PARAMETERS.names if name.startswith(("timing", "peak_time"))]


@pytest.fixture(scope="module")
def toy(toy_simulation, toy_settings):
    """A block of toy images, the event_id of its events, and the telescopes."""
    simulation = toy_simulation(toy_settings(n_showers=20))
    block = simulation.block(1, 21)
    return block.telescopes, block.events["event_id"], simulation.array.subarray


def by_ctapipe(processor, images, event_id, row):
    """Parameters of an image and its true image, by name, and its mask, as ctapipe has them."""
    tel_id = images.tel_id[row]
    event = ArrayEventContainer(simulation=SimulatedEventContainer())
    event.dl1.tel[tel_id] = DL1CameraContainer(
        image=images.image[row], peak_time=images.peak_time[row]
    )
    event.simulation.tel[tel_id] = SimulatedCameraContainer(true_image=images.true_image[row])
    # The random numbers of ctapipe's fit of the time gradient, made those of this image.
    random = np.random.default_rng((event_id[images.event[row]], tel_id))
    ctapipe.fitting.FIT_RNG.bit_generator.state = random.bit_generator.state
    processor(event)
    reconstructed = event.dl1.tel[tel_id]
    true = event.simulation.tel[tel_id].true_parameters
    return names(reconstructed.parameters), names(true), reconstructed.image_mask


def names(parameters):
    flat = parameters.as_dict(recursive=True, flatten=True, add_prefix=True)
    flat = {name.removeprefix("true_"): value for name, value in flat.items()}
    return {
        name: flat[name].to_value(UNITS[name]) if name in UNITS else flat[name]
        for name in PARAMETERS.names
        if name in flat
    }


def without(some):
    return [name for name in PARAMETERS.names if name not in some]


def assert_same(ours, theirs, some_names=PARAMETERS.names):
    for name in some_names:
        atol = SKEWNESS_ATOL if name.endswith(("skewness", "kurtosis")) else ATOL
        np.testing.assert_allclose(ours[name], theirs[name], RTOL, atol, err_msg=name)


def test_are_those_of_ctapipe(toy):
    telescopes, event_id, subarray = toy
    processor = image_processor(subarray)
    described, statistics = Parametrizer(processor)(telescopes, event_id)
    n_described = 0
    for kind, images in telescopes.items():
        ours = described[kind]
        for row in range(len(images.image)):
            theirs, true, mask = by_ctapipe(processor, images, event_id, row)
            np.testing.assert_array_equal(ours.image_mask[row], mask)
            assert ours.is_described[row] == np.isfinite(theirs["hillas_intensity"])
            assert ours.true_is_described[row] == np.isfinite(true["hillas_intensity"])
            if ours.is_described[row]:
                assert_same(ours.parameters[row], theirs)
                n_described += 1
            if ours.true_is_described[row]:
                assert_same(ours.true_parameters[row], true, without(TIMES))
    n_images = sum(len(images.image) for images in telescopes.values())
    assert 10 < n_described < n_images
    reference = processor.check_image.to_table(functions=True)
    for name in ("criteria", "counts", "cumulative_counts", "func"):
        np.testing.assert_array_equal(statistics[name], reference[name])


@pytest.mark.parametrize(
    "name, telescopes",
    [("gamma_lsts_run7_7.0.0", [1, 2, 3, 4]), ("proton_run202_prod5", [1, 4, 6, 7, 12])],
)
def test_of_real_simulations_are_those_in_their_files(data_dir, name, telescopes):
    path = data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"
    loader = TableLoader(path)
    parametrize = Parametrizer(image_processor(loader.subarray))
    columns = {"dl1_images": True, "dl1_parameters": True, "true_images": True}
    events = loader.read_telescope_events_by_id(telescopes, true_parameters=True, **columns)
    n_described = 0
    for tel_id, table in events.items():
        images = TelescopeImages(
            event=np.arange(len(table)),
            tel_id=np.full(len(table), tel_id),
            image=np.asarray(table["image"]),
            peak_time=np.asarray(table["peak_time"]),
            true_image=np.asarray(table["true_image"]),
            trigger_time=np.zeros(len(table)),
        )
        described, _ = parametrize({"": images}, np.asarray(table["event_id"]))
        ours = described[""]
        np.testing.assert_array_equal(ours.image_mask, table["image_mask"])
        is_described = np.isfinite(table["hillas_width"])
        np.testing.assert_array_equal(ours.is_described, is_described)
        assert_same(ours.parameters[is_described], table[is_described], without(TIMING))
        n_described += is_described.sum()

        is_described = np.isfinite(table["true_hillas_width"])
        np.testing.assert_array_equal(ours.true_is_described, is_described)
        true = {name: table[f"true_{name}"][is_described] for name in without(TIMES)}
        assert_same(ours.true_parameters[is_described], true, without(TIMES))
    assert n_described > 0


def test_do_not_depend_on_the_other_images(toy):
    telescopes, event_id, subarray = toy
    parametrize = Parametrizer(image_processor(subarray))
    together, _ = parametrize(telescopes, event_id)
    kind, images = next(iter(telescopes.items()))
    some = [3, 5]
    few = TelescopeImages(**{name: values[some] for name, values in vars(images).items()})
    apart, _ = parametrize({kind: few}, event_id)
    np.testing.assert_array_equal(apart[kind].parameters, together[kind].parameters[some])


def test_of_a_straight_line_of_pixels(toy):
    """The ellipse has no width, and ctapipe's answers to that are ours."""
    _, _, subarray = toy
    processor = image_processor(subarray)
    geometry = subarray.tel[1].camera.geometry
    x, y = geometry.pix_x.value, geometry.pix_y.value
    on_line = np.isclose(x - y / np.sqrt(3), x[np.argmin(np.abs(x - 0.2) + np.abs(y))])
    image = np.where(on_line, 30, 0).astype(np.float32)[np.newaxis]
    one = TelescopeImages(
        event=np.zeros(1, dtype=int),
        tel_id=np.ones(1, dtype=int),
        image=image,
        peak_time=(10 + x[np.newaxis]).astype(np.float32),
        true_image=image.astype(np.int32),
        trigger_time=np.zeros(1),
    )
    event_id = np.array([1])
    theirs, _, _ = by_ctapipe(processor, one, event_id, 0)
    ours, _ = Parametrizer(processor)({"": one}, event_id)
    assert theirs["hillas_width"] == 0
    # The spread of equal charges is rounding.
    spread = [name for name in PARAMETERS.names if name.startswith("intensity")]
    assert_same(ours[""].parameters[0], theirs, without(spread))
