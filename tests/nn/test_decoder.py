"""The decoder: which number goes to which pixel, and that every encoder learns with it."""

import numpy as np
import pytest
import torch

from gammalearn.camera import PixelGrid, pixel_patches
from gammalearn.nn.decoder import PatchDecoder
from gammalearn.nn.encoders import build_encoder
from gammalearn.settings import NetworkSettings

GRIDS = {
    "hexagonal": PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]]),
    "square": PixelGrid(np.random.default_rng(1).permutation(81).reshape(9, 9), "square"),
    "gaps": PixelGrid(np.where(np.arange(100) % 3 < 2, np.cumsum(np.arange(100) % 3 < 2) - 1, -1)
                      .reshape(10, 10)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_each_pixel_has_the_number_of_its_place_in_its_patch(name):
    """With the layers set so that a patch says the numbers of its places."""
    grid = GRIDS[name]
    patches = pixel_patches(grid)
    decoder = PatchDecoder(grid, 8, 2, width=16)
    n = patches.n_places
    with torch.no_grad():
        decoder.values.bias[:] = torch.cat([torch.arange(n), 100 + torch.arange(n)]).float()
    decoded = decoder(torch.randn(3, 8))
    assert decoded.shape == (3, 2, grid.n_pixels)
    for image in decoded:
        assert image[0].tolist() == patches.place.tolist()
        assert image[1].tolist() == (100 + patches.place).tolist()


def test_at_first_all_is_dark():
    assert not PatchDecoder(GRIDS["square"], 8, 2)(torch.randn(3, 8)).any()


def test_no_image_is_no_trouble():
    decoder = PatchDecoder(GRIDS["square"], 8, 2)
    decoder(torch.zeros(0, 8)).sum().backward()
    assert not decoder.values.weight.grad.any()


@pytest.mark.parametrize("encoder", ["gammaphysnet_light", "conv4", "convnext", "transformer"])
def test_every_encoder_learns_where_the_light_is(encoder):
    """A bright patch somewhere in each image is found again after some steps."""
    torch.manual_seed(3)
    grid = PixelGrid(np.arange(20 * 20).reshape(20, 20))
    images = torch.zeros(8, 1, grid.n_pixels)
    for number, middle in enumerate(torch.randint(100, 300, (8,)).tolist()):
        seen = grid.neighbours(2)[:, middle]
        images[number, 0, seen[seen >= 0]] = 3.0
    settings = NetworkSettings(encoder=encoder, embedding=32)
    network = torch.nn.Sequential(build_encoder(settings, grid, 1), PatchDecoder(grid, 32, 1))
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        loss = (network(images) - images).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
