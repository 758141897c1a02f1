"""The transformer on pixels: its blocks are torch's, its places are of the camera."""

import numpy as np
import torch
from torch import nn

from gammalearn.camera import PixelGrid
from gammalearn.nn.encoders.transformer import PixelTransformer, Places, TransformerBlock


def hexagon(radius, turn=0.0):
    """A hexagonal camera, turned about its centre."""
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    z = ((col - row / 2) - 1j * np.sqrt(0.75) * row)[inside] * np.exp(1j * turn)
    return PixelGrid.from_positions(z.real, z.imag)


class OverTheBatch(nn.BatchNorm1d):
    """Normalisation of (n_images, n_patches, width)."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def test_block_is_that_of_torch():
    """But normalised over the batch."""
    torch.manual_seed(0)
    grid = hexagon(2)
    ours = TransformerBlock(16, grid).double()
    nn.init.normal_(ours.norm1.weight)
    nn.init.normal_(ours.norm2.bias)
    theirs = nn.TransformerEncoderLayer(
        16, 4, dim_feedforward=32, dropout=0, activation="gelu", batch_first=True, norm_first=True
    )
    theirs.norm1, theirs.norm2 = OverTheBatch(16), OverTheBatch(16)
    theirs.double()
    names = {
        "norm1": "norm1",
        "norm2": "norm2",
        "self_attn.in_proj_": "query_key_value.",
        "self_attn.out_proj": "project",
        "linear1": "wider",
        "linear2": "back",
    }
    state = {}
    for name in theirs.state_dict():
        (prefix,) = (prefix for prefix in names if name.startswith(prefix))
        state[name] = ours.state_dict()[name.replace(prefix, names[prefix])]
    theirs.load_state_dict(state)
    patches = torch.randn(2, grid.n_pixels, 16, dtype=torch.float64)
    torch.testing.assert_close(ours(patches), theirs(patches))


def test_patches_are_of_all_pixels_and_each_of_its_surroundings():
    """A patch sees 19 pixels in all directions; none is seen by no patch."""
    torch.manual_seed(0)
    grid = hexagon(8)
    encoder = PixelTransformer(grid, 1, 8, widths=(8,), blocks=1)
    images = torch.randn(1, 1, grid.n_pixels, requires_grad=True)
    patches = encoder.patches(images)
    seen = []
    for patch in range(patches.shape[2]):
        (gradient,) = torch.autograd.grad(patches[..., patch].sum(), images, retain_graph=True)
        seen.append((gradient != 0)[0, 0])
    seen = torch.stack(seen)
    assert len(seen) == grid.pooled().pooled().n_pixels
    assert seen.any(dim=0).all()
    # Radius 1, and radius 1 in steps of 2: radius 3, 37 pixels, without its corners between.
    assert seen.sum(dim=1).max() == 37


def test_places_are_the_same_function_for_any_camera():
    """Also for more patches than it was learnt with."""
    torch.manual_seed(0)
    few = np.random.default_rng(0).uniform(-1, 1, (7, 2))
    many = np.concatenate([few[::-1], np.random.default_rng(1).uniform(-1, 1, (20, 2))])
    learnt, other = Places(few, 16), Places(many, 16)
    other.load_state_dict(learnt.state_dict())
    torch.testing.assert_close(other()[:7], learnt().flip(0))
    assert learnt().std(dim=0).min() > 0, "places differ"


def test_moved_light_is_another_image():
    """Patches alone are a set; their places make an image of them."""
    torch.manual_seed(0)
    grid = hexagon(8)
    encoder = PixelTransformer(grid, 1, 8, widths=(8,), blocks=1)
    patches = torch.randn(1, encoder.places.positions.shape[0], 8)
    shuffled = patches[:, torch.randperm(patches.shape[1])]

    def mean(patches):
        return encoder.blocks(patches).mean(dim=1)

    torch.testing.assert_close(mean(shuffled), mean(patches))
    places = encoder.places()
    assert not torch.allclose(mean(shuffled + places), mean(patches + places), atol=1e-3)
