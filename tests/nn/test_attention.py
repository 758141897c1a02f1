"""Attention within an image, against the formulas of the papers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.camera import PixelGrid
from gammalearn.nn.attention import (
    DualAttention,
    SpatialAttention,
    SqueezeExcitation,
    image_attention,
)
from gammalearn.nn.layout import CellsToPixels, PixelsToCells


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def values(layer):
    """Weight, without the kernel's axis of one pixel, and bias."""
    weight = layer.weight.detach().numpy()
    return weight.reshape(weight.shape[:2]), layer.bias.detach().numpy()


def channel_attention(layer, x):
    """x_c · σ(W₂ relu(W₁ mean(x) + b₁) + b₂)_c, Hu et al. 2018."""
    (w1, b1), (w2, b2) = values(layer.gate[0]), values(layer.gate[2])
    out = np.empty_like(x)
    for image, pixels in enumerate(x):
        hidden = np.maximum(w1 @ pixels.mean(axis=1) + b1, 0)
        out[image] = pixels * sigmoid(w2 @ hidden + b2)[:, np.newaxis]
    return out


def spatial_attention(layer, x):
    """x_p · (1 + σ(W₂ relu(W₁ x_p + b₁) + b₂)), Sun et al. 2020."""
    (w1, b1), (w2, b2) = values(layer[0]), values(layer[2])
    hidden = np.maximum(np.einsum("hc,ncp->nhp", w1, x) + b1[:, np.newaxis], 0)
    return (1 + sigmoid(np.einsum("oh,nhp->nop", w2, hidden) + b2[:, np.newaxis])) * x


def dual_attention(layer, x):
    """(1 + spatial) · channel, Sun et al. 2020."""
    return spatial_attention(layer.spatial, x) / x * channel_attention(layer.channel, x)


def line(n_pixels):
    """Pixels in every second cell of a row."""
    index_matrix = np.full((1, 2 * n_pixels), -1)
    index_matrix[0, ::2] = np.arange(n_pixels)
    return PixelGrid(index_matrix)


def spatial(channels, grid, ratio=4):
    return SpatialAttention(channels)


FORMULAS = {
    SqueezeExcitation: channel_attention,
    spatial: spatial_attention,
    DualAttention: dual_attention,
}


@pytest.mark.parametrize("attention", FORMULAS)
@given(
    n_images=st.integers(1, 3),
    channels=st.integers(1, 9),
    n_pixels=st.integers(1, 20),
    ratio=st.integers(1, 12),
)
def test_attention_is_its_formula(attention, n_images, channels, n_pixels, ratio):
    torch.manual_seed(0)
    grid = line(n_pixels)
    layer = attention(channels, grid, ratio).double()
    x = torch.randn(n_images, channels, n_pixels, dtype=torch.float64)
    expected = FORMULAS[attention](layer, x.numpy())
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    cells = layer(PixelsToCells(grid)(x))
    assert not cells[..., 1::2].any(), "empty cells stay zero"
    on_cells = CellsToPixels(grid)(cells)
    np.testing.assert_allclose(on_cells.detach().numpy(), expected, rtol=1e-12, atol=1e-14)


def test_hidden_features_are_a_quarter_of_the_channels():
    assert SqueezeExcitation(16, line(3)).gate[0].weight.shape == (4, 16)
    assert SqueezeExcitation(2, line(3)).gate[0].weight.shape == (1, 2), "at least one"


@pytest.mark.parametrize("attention", FORMULAS)
def test_images_do_not_see_each_other(attention):
    torch.manual_seed(0)
    layer, x = attention(8, line(10)), torch.randn(3, 8, 10)
    alone = torch.cat([layer(image[None]) for image in x])
    torch.testing.assert_close(layer(x), alone)


def test_kinds():
    assert isinstance(image_attention("dual", 8, line(5)), DualAttention)
    assert isinstance(image_attention("squeeze_excitation", 8, line(5)), SqueezeExcitation)
    assert isinstance(image_attention("spatial", 8, line(5)), SpatialAttention)
    x = torch.randn(2, 8, 5)
    assert image_attention("none", 8, line(5))(x) is x
    with pytest.raises(ValueError, match=r"dual, spatial, squeeze_excitation or none, got 'self'"):
        image_attention("self", 8, line(5))
