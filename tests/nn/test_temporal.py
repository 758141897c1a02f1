"""Temporal convolution: a filter by hand is the integral, and what is missing stays so."""

import numpy as np
import pytest
import torch

from gammalearn.camera import PixelGrid
from gammalearn.nn.encoders import build_encoder
from gammalearn.nn.temporal import FEATURES, TemporalConvolution
from gammalearn.settings import NetworkSettings


@torch.no_grad()
def boxcar(n_samples, first, length):
    """A temporal convolution that adds up some samples, an even number from an even one on.

    A rectifier keeps what is positive, so one feature has the samples and another their negatives;
    the second convolution adds pairs of them.
    """
    layer = TemporalConvolution(n_samples, 1)
    one, two = (layer.filters[number].weight.zero_()[..., 0] for number in (0, 2))
    one[:2, 0, 2] = torch.tensor([1.0, -1.0])
    for sign, row in ((1.0, 0), (-1.0, 1)):
        two[row, 0, 2:4], two[row, 1, 2:4] = sign, -sign
    weights = layer.project.weight.zero_().view(FEATURES, -1)
    pairs = slice(first // 2, (first + length) // 2)
    weights[0, pairs], weights[1, pairs] = 1.0, -1.0
    return layer


@torch.no_grad()
def test_a_boxcar_is_the_sum_of_numpy():
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 3, (2, 40, 50)).astype(np.float32)
    charge = np.sinh(boxcar(40, first=10, length=8)(torch.from_numpy(samples)).numpy())
    np.testing.assert_allclose(charge[:, 0], samples[:, 10:18].sum(axis=1), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("n_samples", [25, 40])
def test_each_pixel_is_by_itself_and_one_without_samples_gives_nothing(n_samples):
    layer = TemporalConvolution(n_samples, 3)
    samples = torch.randn(4, n_samples, 9)
    samples[:, :, 5] = 0
    found = layer(samples)
    assert found.shape == (4, 3, 9)
    assert not found[:, :, 5].any()
    order = torch.randperm(9)
    torch.testing.assert_close(layer(samples[:, :, order]), found[:, :, order])


@pytest.fixture(scope="module")
def grid():
    """A rhombus of hexagonal pixels."""
    col, row = np.mgrid[:17, :17].reshape(2, -1)
    return PixelGrid.from_positions(col - row / 2, -np.sqrt(0.75) * row)


@pytest.mark.parametrize("backend", ["native", "dense"])
def test_its_channels_join_those_of_the_image(grid, backend):
    """Backends agree, as the samples are gone before pixels have neighbours."""
    settings = NetworkSettings(encoder="conv4", backend=backend, temporal_channels=3)
    torch.manual_seed(1)
    encoder = build_encoder(settings, grid, 2, n_samples=20).eval()
    reference = build_encoder(settings.model_copy(update={"backend": "gather"}), grid, 5)
    reference.load_state_dict(encoder.encoder.state_dict())
    pixels = torch.randn(2, 22, grid.n_pixels)
    with torch.no_grad():
        joined = torch.cat([pixels[:, :2], encoder.temporal(pixels[:, 2:])], dim=1)
        torch.testing.assert_close(encoder(pixels), reference.eval()(joined), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="2 channels and 20 samples"):
        encoder(pixels[:, :-1])
