"""Folded networks give the output of those they were made from."""

import numpy as np
import pytest
import torch

from gammalearn.camera import PixelGrid
from gammalearn.nn import IndexedBatchNorm, for_inference
from gammalearn.nn.encoders import build_encoder
from gammalearn.settings import NetworkSettings


@pytest.mark.parametrize("backend", ["native", "dense", "gather", "indexedconv"])
@pytest.mark.parametrize("encoder", ["gammaphysnet", "conv4"])
def test_output_is_that_of_the_network(encoder, backend):
    torch.manual_seed(0)
    col, row = np.mgrid[-6:7, -6:7].reshape(2, -1)
    inside = np.abs(col - row) <= 6
    grid = PixelGrid.from_positions((col - row / 2)[inside], (-np.sqrt(0.75) * row)[inside])
    settings = NetworkSettings(encoder=encoder, embedding=16, backend=backend)
    network = build_encoder(settings, grid, 2).double()
    images = torch.randn(5, 2, grid.n_pixels, dtype=torch.float64)
    for _ in range(3):  # statistics that are not those of the beginning
        network(3 * images + 1)
    state = {name: value.clone() for name, value in network.state_dict().items()}

    folded = for_inference(network)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-10, atol=1e-10)
    n_before, n_after = (
        sum(isinstance(m, IndexedBatchNorm) for m in net.modules()) for net in (network, folded)
    )
    # All but those of the residual stream, of which a block has one, and the last.
    assert (n_before, n_after) == {"gammaphysnet": (19, 10), "conv4": (4, 0)}[encoder]
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
