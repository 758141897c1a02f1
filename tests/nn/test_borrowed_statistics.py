"""Images that are left out of the statistics of a batch, against torch's batch normalisation."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gammalearn.camera import PixelGrid
from gammalearn.nn import CellsToPixels, IndexedBatchNorm, PixelsToCells
from gammalearn.nn.encoders import build_encoder
from gammalearn.nn.layout import PixelsToRow
from gammalearn.nn.normalisation import borrowed_statistics, kept_statistics, synchronise
from gammalearn.settings import NetworkSettings

GRID = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
CLOSE = {"rtol": 0, "atol": 1e-12}


def pair(relu=False, channels=3):
    """Our layer and torch's, with the same random weights."""
    torch.manual_seed(0)
    ours, theirs = IndexedBatchNorm(channels, GRID, relu), torch.nn.BatchNorm1d(channels)
    with torch.no_grad():
        ours.weight.normal_()
        ours.bias.normal_()
    theirs.load_state_dict(ours.state_dict())
    return ours.double(), theirs.double()


def with_statistics_of(theirs, counted, others, relu):
    """torch: normalise some images, and others with the mean and variance of those."""
    normalised = theirs(counted)
    mean, variance = counted.mean(dim=(0, 2)).detach(), counted.var(dim=(0, 2), unbiased=False)
    borrowed = F.batch_norm(others, mean, variance.detach(), theirs.weight, theirs.bias)
    return [torch.relu(x) if relu else x for x in (normalised, borrowed)]


@pytest.mark.parametrize("layout", [None, PixelsToCells, PixelsToRow])
@pytest.mark.parametrize("relu", [False, True])
def test_others_are_normalised_as_those_that_count(layout, relu):
    """Outputs, gradients and running statistics; the others are 100 times brighter."""
    ours, theirs = pair(relu)
    counted, others = torch.randn(4, 3, 7).double() + 2, 100 * torch.randn(5, 3, 7).double()
    mine = [x.clone().requires_grad_() for x in (counted, others)]
    other = [x.clone().requires_grad_() for x in (counted, others)]
    lay = layout(GRID) if layout else torch.nn.Identity()
    with kept_statistics(ours):
        first = ours(lay(mine[0]))
        with borrowed_statistics(ours):
            second = ours(lay(mine[1]))
    to_pixels = CellsToPixels(GRID)
    found = [to_pixels(x) for x in (first, second)]
    expected = with_statistics_of(theirs, *other, relu)
    cotangents = [torch.randn_like(x) for x in expected]
    for ours_x, theirs_x in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_x, theirs_x, rtol=1e-12, atol=1e-12)
    for outputs in (found, expected):
        sum((x * c).sum() for x, c in zip(outputs, cotangents, strict=True)).backward()
    for ours_x, theirs_x in zip(mine, other, strict=True):
        torch.testing.assert_close(ours_x.grad, theirs_x.grad, **CLOSE)
    for ours_p, theirs_p in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours_p.grad, theirs_p.grad, rtol=1e-12, atol=1e-12)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-7, atol=0)


def test_cells_without_a_pixel_stay_empty():
    ours, _ = pair()
    empty = torch.from_numpy(GRID.index_matrix < 0)
    cells = PixelsToCells(GRID)(torch.randn(4, 3, 7).double())
    with kept_statistics(ours):
        ours(cells)
        with borrowed_statistics(ours):
            assert not ours(cells)[..., empty].any()


def test_without_images_that_count_the_running_statistics_are_used():
    ours, theirs = pair()
    theirs.running_mean.fill_(3.0), ours.running_mean.fill_(3.0)
    images = torch.randn(4, 3, 7).double()
    with kept_statistics(ours), borrowed_statistics(ours):
        found = ours(images)
    torch.testing.assert_close(found, theirs.eval()(images), **CLOSE)
    assert ours.num_batches_tracked == 0
    # Nothing stays of it.
    torch.testing.assert_close(ours(images), theirs.train()(images), **CLOSE)


def test_layers_of_torch_use_their_running_statistics():
    layer = torch.nn.BatchNorm1d(2)
    images = 10 * torch.randn(4, 2, 7)
    with borrowed_statistics(torch.nn.Sequential(layer)):
        torch.testing.assert_close(layer(images), images, rtol=1e-4, atol=0)
    assert layer.training and layer.num_batches_tracked == 0


@pytest.mark.parametrize("layout", [None, PixelsToCells, PixelsToRow])
@pytest.mark.parametrize("shares", [(3, 2), (0, 4)])
def test_several_processes_have_the_statistics_of_one(processes, layout, shares):
    """Also where a process has no image that counts."""
    first, theirs = pair()
    counted, others = torch.randn(sum(shares), 3, 7).double() + 3, torch.randn(4, 3, 7).double()
    layers = [pair()[0] for _ in shares]
    for layer in layers:
        layer.load_state_dict(first.state_dict())
        synchronise(torch.nn.Sequential(layer))
    lay = layout(GRID) if layout else torch.nn.Identity()

    def step(part):
        layer, mine, more = part
        with kept_statistics(layer):
            layer(lay(mine))
            with borrowed_statistics(layer):
                return CellsToPixels(GRID)(layer(lay(more)))

    parts = zip(layers, counted.split(shares), others.split(2), strict=True)
    found = torch.cat(processes(step, list(parts)))
    _, expected = with_statistics_of(theirs, counted, others, relu=False)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for layer in layers:
        torch.testing.assert_close(layer.running_mean, theirs.running_mean, rtol=1e-7, atol=0)


@pytest.mark.parametrize("encoder", ["gammaphysnet_light", "conv4", "convnext", "transformer"])
@pytest.mark.parametrize("backend", ["native", "dense"])
def test_an_encoder_learns_from_those_that_count_as_if_they_were_alone(encoder, backend):
    """Outputs, running statistics and gradients of all encoders, beside bright other images."""
    grid = PixelGrid(np.arange(144).reshape(12, 12))
    torch.manual_seed(1)
    settings = NetworkSettings(encoder=encoder, backend=backend, embedding=8)
    alone, beside = (build_encoder(settings, grid, 1).double() for _ in range(2))
    beside.load_state_dict(alone.state_dict())
    counted, others = torch.randn(4, 1, 144).double(), 50 * torch.randn(3, 1, 144).double()
    expected = alone(counted)
    with kept_statistics(beside):
        found = beside(counted)
        with borrowed_statistics(beside):
            assert torch.isfinite(beside(others)).all()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    expected.square().sum().backward()
    found.square().sum().backward()
    for (name, ours), theirs in zip(beside.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-7, msg=name)
    for (name, ours), theirs in zip(beside.named_buffers(), alone.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7, msg=name)
