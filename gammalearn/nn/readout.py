"""Readout: from the last feature map to numbers that describe an image."""

import numpy as np
import torch
from torch import Tensor, nn

from ..camera import PixelGrid
from .attention import PointwiseConv
from .layout import CellsToPixels

__all__ = ["Keypoints", "Readout", "pixel_positions"]


def pixel_positions(grid: PixelGrid) -> np.ndarray:
    """Where pixels are, from the camera's middle and in units of its radius.

    Returns
    -------
    ndarray, shape (n_pixels, 2)
        x along e_col and y at a right angle to it, counterclockwise.
    """
    e_row = np.exp(-2j * np.pi / 3) if grid.lattice == "hexagonal" else -1j
    z = grid.cols + grid.rows * e_row
    z = z - z.mean()
    z = z / max(np.abs(z).max(), 1)
    return np.column_stack([z.real, z.imag])


class Keypoints(nn.Module):
    """Places in the camera that the network looks for, and their extent (Finn et al. 2016).

    Each of some maps is turned into weights that add up to one over the pixels; what comes out are
    the weighted mean of the pixels' positions and its second moments, as Hillas parameters are of
    the charge. What moves in the camera moves its keypoints as far, wherever it is: the network
    need not learn each place by itself.

    Parameters
    ----------
    channels : int
        Channels of the feature map.
    n_keypoints : int
        Number of maps.
    grid : PixelGrid
        The grid of the feature map's pixels.
    """

    #: Mean x and y, and the second moments xx, xy, yy.
    N_MOMENTS = 5

    def __init__(self, channels: int, n_keypoints: int, grid: PixelGrid):
        super().__init__()
        self.maps = PointwiseConv(channels, n_keypoints)
        x, y = pixel_positions(grid).T
        moments = torch.tensor(np.column_stack([x, y, x * x, x * y, y * y]))
        self.register_buffer("moments", moments.to(torch.get_default_dtype()), persistent=False)
        self.n_features = n_keypoints * self.N_MOMENTS

    def forward(self, features: Tensor) -> Tensor:  # (n_images, channels, n_pixels)
        # In single precision: moments are differences of numbers alike.
        weights = self.maps(features).to(self.moments.dtype).softmax(dim=2)
        x, y, xx, xy, yy = (weights @ self.moments).unbind(dim=2)  # (n_images, n_keypoints)
        return torch.cat([x, y, xx - x * x, xy - x * y, yy - y * y], dim=1)


class Readout(nn.Module):
    """The flattened feature map and its keypoints, weighed to an embedding.

    Parameters
    ----------
    channels : int
        Channels of the feature map.
    grid : PixelGrid
        The grid of the feature map's pixels.
    embedding : int
        Features of the output.
    n_keypoints : int
        Keypoints beside the flattened map; 0 for none.
    """

    def __init__(self, channels: int, grid: PixelGrid, embedding: int, n_keypoints: int = 0):
        super().__init__()
        self.to_pixels = CellsToPixels(grid)
        self.keypoints = Keypoints(channels, n_keypoints, grid) if n_keypoints else None
        n_features = channels * grid.n_pixels
        n_features += self.keypoints.n_features if self.keypoints is not None else 0
        self.linear = nn.Linear(n_features, embedding)

    def forward(self, features: Tensor) -> Tensor:  # (n_images, channels, n_pixels), or on cells
        features = self.to_pixels(features)
        flat = features.flatten(1)
        if self.keypoints is not None:
            flat = torch.cat([flat, self.keypoints(features)], dim=1)
        return self.linear(flat)  # (n_images, embedding)
