"""ConvNeXt, against plain convolutions on a camera of square pixels."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gammalearn.camera import PixelGrid
from gammalearn.nn.encoders.convnext import ConvNeXt, ConvNeXtBlock

N_ROWS, N_COLS = 9, 12


@pytest.fixture(scope="module")
def square():
    return PixelGrid(np.arange(N_ROWS * N_COLS).reshape(N_ROWS, N_COLS), "square")


def on_square(features):
    return features.unflatten(2, (N_ROWS, N_COLS))


def block_of_torch(ours, x):
    """The block as the paper has it: 7 x 7 depthwise, and 1 x 1 convolutions; but normalised over
    the batch."""
    channels = x.shape[1]
    wider, _, back = ours.at_each_pixel
    depthwise = ours.conv.weight.unflatten(2, (7, 7))
    y = F.conv2d(x, depthwise, ours.conv.bias, padding=3, groups=channels)
    y = F.batch_norm(y, None, None, ours.norm.weight, ours.norm.bias, training=True)
    y = F.gelu(F.conv2d(y, wider.weight[:, :, None, None], wider.bias))
    return x + F.conv2d(y, back.weight[:, :, None, None], back.bias)


@pytest.mark.parametrize("backend", ["gather", "dense", "native"])
def test_block_is_that_of_the_paper_on_square_pixels(square, backend):
    torch.manual_seed(0)
    block = ConvNeXtBlock(6, square, backend).double()
    nn.init.normal_(block.norm.weight)
    nn.init.normal_(block.norm.bias)
    x = torch.randn(3, 6, square.n_pixels, dtype=torch.float64)
    torch.testing.assert_close(on_square(block(x)), block_of_torch(block, on_square(x)))


def test_stages_halve_the_grid(square):
    encoder = ConvNeXt(square, 2, 16, widths=(4, 8, 12), blocks=2)
    blocks = [layer.conv for layer in encoder if isinstance(layer, ConvNeXtBlock)]
    quarter = square.pooled().pooled()
    sizes = [square.pooled().n_pixels, quarter.n_pixels, quarter.pooled().n_pixels]
    assert [conv.grid.n_pixels for conv in blocks] == np.repeat(sizes, 2).tolist()
    assert [conv.in_channels for conv in blocks] == [4, 4, 8, 8, 12, 12]
    assert encoder[-1].linear.in_features == 12 * sizes[-1]
