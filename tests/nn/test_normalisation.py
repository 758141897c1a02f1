"""Batch normalisation on cells, against torch's on pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammalearn.camera import PixelGrid
from gammalearn.nn import CellsToPixels, IndexedBatchNorm, PixelsToCells
from gammalearn.nn.layout import PixelsToRow
from gammalearn.nn.normalisation import synchronise

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def pair(grid, channels, relu, dtype=torch.float64):
    """Our layer and torch's, with the same random weights."""
    ours, theirs = IndexedBatchNorm(channels, grid, relu), torch.nn.BatchNorm1d(channels)
    with torch.no_grad():
        ours.weight.normal_()
        ours.bias.normal_()
    theirs.load_state_dict(ours.state_dict())
    if relu:
        theirs = torch.nn.Sequential(theirs, torch.nn.ReLU())
    return ours.to(dtype), theirs.to(dtype)


@st.composite
def grids(draw):
    """Any index matrix with at least two pixels."""
    n_rows, n_cols = draw(st.integers(1, 6)), draw(st.integers(2, 6))
    n_pixels = draw(st.integers(2, n_rows * n_cols))
    cells = np.random.default_rng(draw(st.integers(0, 99))).permutation(n_rows * n_cols)
    matrix = np.full(n_rows * n_cols, -1)
    matrix[cells[:n_pixels]] = np.arange(n_pixels)
    return PixelGrid(matrix.reshape(n_rows, n_cols))


def assert_same(ours, theirs, dtype, least=1.0):
    scale = max(least, theirs.abs().max().item())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@settings(deadline=None, max_examples=40)
@given(
    grid=grids(),
    n_images=st.integers(1, 4),
    channels=st.integers(1, 5),
    relu=st.booleans(),
    offset=st.sampled_from([0.0, 30.0]),
)
def test_on_cells_as_on_pixels(dtype, grid, n_images, channels, relu, offset):
    """Output, gradients, running statistics; in training and after it; empty cells stay zero."""
    torch.manual_seed(0)
    ours, theirs = pair(grid, channels, relu, dtype)
    images = torch.randn(n_images, channels, grid.n_pixels, dtype=dtype) + offset
    to_cells, to_pixels = PixelsToCells(grid), CellsToPixels(grid)
    least = 1 + offset  # differences of large numbers are rounded as these are
    empty = torch.from_numpy(grid.index_matrix < 0)
    for train in (True, False):
        ours.train(train), theirs.train(train)
        mine, other = (images.clone().requires_grad_() for _ in range(2))
        cells = ours(to_cells(mine))
        assert not cells[..., empty].any()
        expected = theirs(other)
        assert_same(to_pixels(cells), expected, dtype, least)
        cotangent = torch.randn_like(expected)
        to_pixels(cells).backward(cotangent)
        expected.backward(cotangent)
        assert_same(mine.grad, other.grad, dtype, least)
        for ours_p, theirs_p in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_same(ours_p.grad, theirs_p.grad, dtype, least)
            ours_p.grad = theirs_p.grad = None
    for buffer, expected in zip(ours.buffers(), theirs.buffers(), strict=False):
        assert_same(buffer.to(dtype), expected.to(dtype), dtype, least)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("layout", [None, PixelsToCells, PixelsToRow])
@pytest.mark.parametrize("both", [True, False])
def test_a_way_around_it_has_its_gradient_too(layout, relu, both):
    """norm(x) · a + x · b, as around a residual block, and x · b alone."""
    torch.manual_seed(0)
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    ours, theirs = pair(grid, 3, relu)
    mine = torch.randn(4, 3, 7, dtype=torch.float64, requires_grad=True)
    other = mine.detach().clone().requires_grad_()
    a, b = torch.randn(2, 4, 3, 7, dtype=torch.float64)
    to_pixels = CellsToPixels(grid)
    normalised, around = map(to_pixels, ours.and_input(layout(grid)(mine) if layout else mine))
    torch.testing.assert_close(around, mine)
    (both * (normalised * a) + around * b).sum().backward()
    (both * (theirs(other) * a) + other * b).sum().backward()
    torch.testing.assert_close(mine.grad, other.grad, rtol=0, atol=1e-12)
    alone = torch.autograd.grad((ours.and_input(mine)[1] * b).sum(), mine)[0]
    torch.testing.assert_close(alone, b)


def test_on_pixels_it_is_that_of_torch():
    torch.manual_seed(0)
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    ours, theirs = pair(grid, 3, relu=True)
    images = torch.randn(4, 3, 7, dtype=torch.float64)
    torch.testing.assert_close(ours(images), theirs(images))


def test_gradients_that_reach_empty_cells_count_for_nothing():
    """What follows may give a gradient to cells that hold no pixel, as a mean over cells does."""
    torch.manual_seed(0)
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    ours, _ = pair(grid, 2, relu=False)
    images = torch.randn(3, 2, 7, dtype=torch.float64, requires_grad=True)
    ours(PixelsToCells(grid)(images)).sum().backward()
    torch.testing.assert_close(images.grad, torch.zeros_like(images), rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.bias.grad, torch.full((2,), 21.0, dtype=torch.float64))


def test_half_precision_keeps_its_type_and_exact_statistics():
    torch.manual_seed(0)
    grid = PixelGrid(np.arange(400).reshape(20, 20), "square")
    ours, theirs = pair(grid, 2, relu=False, dtype=torch.float32)
    images = torch.randn(8, 2, 400) + 5
    normalised = ours(PixelsToCells(grid)(images).bfloat16())
    assert normalised.dtype == torch.bfloat16
    theirs(images.bfloat16().float())
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=2e-2, atol=1e-3)


def test_one_value_has_no_statistics():
    with pytest.raises(ValueError, match="two values, got 1"):
        IndexedBatchNorm(2, PixelGrid([[0, -1]]))(torch.zeros(1, 2, 1, 2))


# -- several processes -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [None, PixelsToCells, PixelsToRow])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shares", [(5, 2), (0, 4), (1, 3, 2)])
def test_several_processes_normalise_as_one(processes, layout, relu, shares):
    """Each with its share of the images, which may be none: output, gradients and running
    statistics are those of `torch.nn.BatchNorm1d` on all images."""
    torch.manual_seed(0)
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    images, cotangent = torch.randn(2, sum(shares), 3, 7, dtype=torch.float64)
    images += 3
    first, theirs = pair(grid, 3, relu)
    layers = [pair(grid, 3, relu)[0] for _ in shares]
    for layer in layers:
        layer.load_state_dict(first.state_dict())
        synchronise(torch.nn.Sequential(layer))

    def step(part):
        layer, mine, cotangent = part
        mine = mine.clone().requires_grad_()
        normalised = CellsToPixels(grid)(layer(layout(grid)(mine) if layout else mine))
        (normalised * cotangent).sum().backward()
        return normalised.detach(), mine.grad

    parts = zip(layers, images.split(shares), cotangent.split(shares), strict=True)
    steps = zip(*processes(step, list(parts)), strict=True)
    normalised, gradients = (torch.cat(part) for part in steps)
    images.requires_grad_()
    expected = theirs(images)
    (expected * cotangent).sum().backward()
    close = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(normalised, expected.detach(), **close)
    torch.testing.assert_close(gradients, images.grad, **close)
    theirs = theirs[0] if relu else theirs
    for name, parameter in theirs.named_parameters():
        of_all = sum(layer.get_parameter(name).grad for layer in layers)
        torch.testing.assert_close(of_all, parameter.grad, **close)
    for layer in layers:
        assert layer.num_batches_tracked == 1
        # Their momentum is a number of single precision here.
        torch.testing.assert_close(layer.running_mean, theirs.running_mean, rtol=1e-7, atol=0)
        torch.testing.assert_close(layer.running_var, theirs.running_var, rtol=1e-7, atol=0)


def test_a_camera_that_no_process_sees_changes_nothing(processes):
    layer = IndexedBatchNorm(2, PixelGrid([[0, 1, 2]]))
    synchronise(layer)
    (normalised,) = processes(layer, [torch.zeros(0, 2, 1, 3)])
    normalised.sum().backward()
    assert normalised.shape == (0, 2, 1, 3)
    assert layer.num_batches_tracked == 0
    torch.testing.assert_close(layer.running_mean, torch.zeros(2))
    torch.testing.assert_close(layer.running_var, torch.ones(2))
    torch.testing.assert_close(layer.weight.grad, torch.zeros(2))
