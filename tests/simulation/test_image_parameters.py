"""Image parameters of simulated events: those that ctapipe's ImageProcessor writes."""

import numpy as np
import pytest
from ctapipe.image import ImageProcessor
from traitlets.config import Config

from gammalearn.image.parameters import IMAGE_PARAMETERS, TIMES
from gammalearn.image.processing import image_processing
from gammalearn.simulation.block import TelescopeImages
from gammalearn.simulation.image_parameters import BlockParametrizer

#: ctapipe adds up charges and times in single precision.
RTOL, ATOL = 1e-5, 1e-5
SKEWNESS_ATOL = 1e-4


@pytest.fixture(scope="module")
def toy(toy_simulation, toy_settings):
    """A block of toy images, the event_id of its events, and the telescopes."""
    simulation = toy_simulation(toy_settings(n_showers=20))
    block = simulation.block(1, 21)
    return block.telescopes, block.events["event_id"], simulation.array.subarray


def assert_same(ours, theirs, names=IMAGE_PARAMETERS.names):
    for name in names:
        atol = SKEWNESS_ATOL if name.endswith(("skewness", "kurtosis")) else ATOL
        np.testing.assert_allclose(ours[name], theirs[name], RTOL, atol, err_msg=name)


def test_are_those_of_ctapipe(toy, in_ctapipe):
    telescopes, event_id, subarray = toy
    processor = ImageProcessor(subarray, config=Config(image_processing(subarray)))
    described, statistics = BlockParametrizer(subarray)(telescopes, event_id)
    n_described = 0
    for kind, images in telescopes.items():
        ours = described[kind]
        for row in range(len(images.image)):
            where = processor, images.tel_id[row], event_id[images.event[row]]
            pixels = images.image[row], images.peak_time[row]
            theirs, mask = in_ctapipe(*where, *pixels)
            np.testing.assert_array_equal(ours.image_mask[row], mask)
            assert ours.is_described[row] == np.isfinite(theirs["hillas_intensity"])
            if ours.is_described[row]:
                assert_same(ours.parameters[row], theirs)
                n_described += 1
            true, _ = in_ctapipe(*where, *pixels, true_image=images.true_image[row])
            assert ours.true_is_described[row] == np.isfinite(true["hillas_intensity"])
            if ours.true_is_described[row]:
                without = [name for name in IMAGE_PARAMETERS.names if name not in TIMES]
                assert_same(ours.true_parameters[row], true, without)
    n_images = sum(len(images.image) for images in telescopes.values())
    assert 10 < n_described < n_images
    assert statistics["counts"][0] == 2 * n_images


def test_are_counted_as_ctapipe_counts(toy, in_ctapipe):
    telescopes, event_id, subarray = toy
    processor = ImageProcessor(subarray, config=Config(image_processing(subarray)))
    _, statistics = BlockParametrizer(subarray)(telescopes, event_id)
    for images in telescopes.values():
        for row in range(len(images.image)):
            in_ctapipe(
                processor,
                images.tel_id[row],
                0,
                images.image[row],
                images.peak_time[row],
                images.true_image[row],
            )
    reference = processor.check_image.to_table(functions=True)
    for name in ("criteria", "counts", "cumulative_counts", "func"):
        np.testing.assert_array_equal(statistics[name], reference[name])


def test_do_not_depend_on_the_other_images(toy):
    telescopes, event_id, subarray = toy
    parametrize = BlockParametrizer(subarray)
    together, _ = parametrize(telescopes, event_id)
    kind, images = next(iter(telescopes.items()))
    some = [3, 5]
    columns = {name: values[some] for name, values in vars(images).items() if values is not None}
    few = TelescopeImages(**columns)
    apart, _ = parametrize({kind: few}, event_id)
    np.testing.assert_array_equal(apart[kind].parameters, together[kind].parameters[some])
