"""Parameters and multiply-adds of a network, counted by hand."""

import numpy as np
import pytest
import torch

from gammalearn.camera import CameraType
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training.model_summary import Part, in_words, summarise


@pytest.fixture(scope="module")
def camera():
    """A hexagon of 91 pixels."""
    col, row = np.mgrid[-5:6, -5:6].reshape(2, -1)
    inside = np.abs(col - row) <= 5
    x, y = 0.05 * (col - row / 2)[inside], -0.05 * np.sqrt(0.75) * row[inside]
    return CameraType("Small", x, y, "hexagonal", focal_length=28.0)


@pytest.fixture
def count(camera):
    """Function that summarises a network of two tasks: (parameters, multiply-adds) by part."""

    def count(**network):
        made = Experiment(
            tasks=["energy", "particle_type"], network={"embedding": 8, "head": 6, **network}
        )
        parts = summarise(made, [camera], build_tasks(made.tasks))
        return {part.name: (part.parameters, part.multiply_adds) for part in parts}

    return count


def pixels(camera, times):
    """Numbers of pixels after so many poolings."""
    grid, numbers = camera.grid, [camera.n_pixels]
    for _ in range(times):
        grid = grid.pooled()
        numbers.append(grid.n_pixels)
    return numbers


@pytest.mark.parametrize("backend", ["auto", "dense", "native"])
def test_plain_network_by_hand(camera, count, backend):
    """Seven neighbours times channels in and out for each pixel, whoever computes them."""
    n = pixels(camera, 4)
    assert n[0] == 91 and n[4] >= 1
    parts = count(encoder="conv4", widths=[2, 3, 4, 5], fusion="mean", backend=backend)
    convolutions = 7 * (2 * 2 * n[0] + 2 * 3 * n[1] + 3 * 4 * n[2] + 4 * 5 * n[3])
    weights = 7 * (2 * 2 + 2 * 3 + 3 * 4 + 4 * 5) + 2 * (2 + 3 + 4 + 5)
    readout = 5 * n[4] * 8
    assert parts == {
        "encoders.Small": (weights + readout + 8, convolutions + readout),
        "place": (5 * 8 + 8, 5 * 8),
        "fusion": (2 * 8 + 8 * 8 + 8, 8 * 8),
        "heads": (2 * (2 * 8 + 8 * 6 + 6 + 6 * 1 + 1), 2 * (8 * 6 + 6 * 1)),
        "image_heads": (2 * (2 * 8 + 8 * 6 + 6 + 6 * 2 + 2), 2 * (8 * 6 + 6 * 2)),
    }


def test_residual_network_by_hand(camera, count):
    """The second stage halves the grid; its shortcut is a convolution of single pixels."""
    n = pixels(camera, 1)
    parts = count(encoder="gammaphysnet", widths=[4, 6], blocks=1, attention="none")
    convolutions = 7 * (n[0] * (2 * 4 + 4 * 4 + 4 * 4) + n[1] * (4 * 6 + 6 * 6))
    assert parts["encoders.Small"][1] == convolutions + n[1] * 4 * 6 + 6 * n[1] * 8


def test_attention_among_telescopes_by_hand(count):
    """Of one telescope: four products of features with themselves, one score and its value for each
    feature, and a feed-forward network of twice the features; the last has no such."""
    parts = count(encoder="conv4", widths=[2] * 4, fusion="attention", fusion_layers=2)
    attention = 4 * 8 * 8 + 2 * 8
    assert parts["fusion"][1] == 2 * (attention + 2 * 8 * 16) + attention


def test_slots_of_telescopes_by_hand(count):
    """Side by side are the features of all, whether they are there or not."""
    parts = count(encoder="conv4", widths=[2] * 4, fusion="concatenation", telescopes=[3, 1, 7])
    assert parts["fusion"] == (3 * 8 * 8 + 8, 3 * 8 * 8)


def test_a_grid_that_ends_as_one_pixel(camera, count):
    n = pixels(camera, 5)
    assert n[5] == 1
    parts = count(encoder="gammaphysnet", widths=[4] * 6, blocks=1, attention="none")
    convolutions = 7 * (n[0] * (2 * 4 + 4 * 4 + 4 * 4) + sum(n[1:]) * (4 * 4 + 4 * 4))
    assert parts["encoders.Small"][1] == convolutions + sum(n[1:]) * 4 * 4 + 4 * n[5] * 8


def test_counting_changes_no_random_numbers(count):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    count(encoder="conv4", widths=[2] * 4)
    assert torch.equal(torch.rand(3), expected)


def test_in_words():
    parts = [Part("encoders.LSTCam", 12_345, 67_890_000), Part("heads", 55, 999)]
    assert in_words(parts) == {
        "encoders.LSTCam": "12,345 parameters, 67.9 M multiply-adds",
        "heads": "55 parameters, 999 multiply-adds",
        "all": "12,400 parameters, 67.9 M multiply-adds",
    }
