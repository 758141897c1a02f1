"""Image head: from the last feature map to numbers that describe an image."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..camera import PixelGrid
from .attention import PointwiseConv
from .layout import CellsToPixels

__all__ = ["N_SKY", "Keypoints", "ImageHead", "SkyEstimate", "pixel_positions", "pooled_sky"]

#: Numbers of an image's estimate of the direction: the place in the sky (fov_lon, fov_lat) in deg
#: and the precision matrix (lon lon, lon lat, lat lat).
N_SKY = 5


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
    positions : ndarray, shape (n_pixels, 2)
        Where the feature map's pixels are.
    """

    #: Mean of both coordinates, their variances and covariance.
    N_MOMENTS = 5

    def __init__(self, channels: int, n_keypoints: int, positions: np.ndarray) -> None:
        super().__init__()
        self.maps = PointwiseConv(channels, n_keypoints)
        x, y = positions.T
        moments = torch.tensor(np.column_stack([x, y, x * x, x * y, y * y]))
        self.register_buffer("moments", moments.to(torch.get_default_dtype()), persistent=False)

    def forward(self, features: Tensor) -> Tensor:  # (n_images, channels, n_pixels)
        weights = self.maps(features).softmax(dim=2)
        x, y, xx, xy, yy = (weights @ self.moments).unbind(dim=2)
        moments = [x, y, xx - x * x, xy - x * y, yy - y * y]
        return torch.stack(moments, dim=2)  # (n_images, n_keypoints, N_MOMENTS)


class SkyEstimate(nn.Module):
    """What one image tells of the direction: a place in the sky, and how sure it is of it.

    The place is the first keypoint's and a step from there. The precision begins as that of the
    axis of the first keypoint's map: an image knows across its axis far better than along.

    Parameters
    ----------
    channels : int
        Channels of the feature map.
    n_keypoints : int
    hidden : int
        Hidden features of what decides on the step and the precision.
    """

    #: Share of a round image in the extent, which keeps the precision of a line finite, and the
    #: variance in deg² of a point.
    ROUND, POINT = 0.02, 1e-3

    def __init__(self, channels: int, n_keypoints: int, hidden: int = 64) -> None:
        super().__init__()
        n_features = channels + Keypoints.N_MOMENTS * n_keypoints - 2
        self.decide = nn.Sequential(
            nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, 3 + N_SKY)
        )

    def forward(self, features: Tensor, keypoints: Tensor) -> Tensor:
        """Estimate from a feature map (n_images, channels, n_pixels) and its keypoints.

        Returns
        -------
        Tensor, shape (n_images, N_SKY)
        """
        place = keypoints[:, 0, :2]
        # Relative to the place, so that what is decided is the same all over the camera.
        others = (keypoints[:, 1:, :2] - place[:, None]).flatten(1)
        extents = keypoints[:, :, 2:]
        known = torch.cat([others, extents.flatten(1), features.mean(dim=2)], dim=1)
        decided = self.decide(known.to(self.decide.get_parameter("0.weight").dtype)).to(place.dtype)
        step, weight, (a, b, c) = decided[:, :2], decided[:, 2], decided[:, 3:6].unbind(dim=1)
        # The inverse of the extent's square, the extent as a matrix of trace 1.
        xx, xy, yy = extents[:, 0].unbind(dim=1)
        xx, yy = xx.clamp(min=0) + self.POINT, yy.clamp(min=0) + self.POINT
        trace = xx + yy
        xx, xy, yy = xx / trace + self.ROUND, xy / trace, yy / trace + self.ROUND
        scale = torch.exp(weight.clamp(-6, 6)) / (xx * yy - xy * xy) ** 2
        # And a matrix of its own, as its Cholesky factor.
        p, q = F.softplus(a), F.softplus(c)
        precision = [
            scale * (yy * yy + xy * xy) + p * p,
            -scale * xy * (xx + yy) + p * b,
            scale * (xx * xx + xy * xy) + b * b + q * q,
        ]
        return torch.cat([place + step, torch.stack(precision, dim=1)], dim=1)


def pooled_sky(sky: np.ndarray | None, times: int) -> np.ndarray | None:
    """Where the pixels of a grid look that was pooled with stride 2 some times."""
    return None if sky is None else sky * np.array([[2.0**times], [2.0**times], [1.0]])


def pixel_positions(grid: PixelGrid, sky: np.ndarray | None = None) -> np.ndarray:
    """Where the pixels of a feature map are: in the sky, or in units of the camera's radius."""
    if sky is not None:
        return np.column_stack([grid.rows, grid.cols, np.ones(grid.n_pixels)]) @ sky
    e_row = np.exp(-2j * np.pi / 3) if grid.lattice == "hexagonal" else -1j
    z = grid.cols + grid.rows * e_row
    z = (z - z.mean()) / max(np.abs(z - z.mean()).max(), 1)
    return np.column_stack([z.real, z.imag])


class ImageHead(nn.Module):
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
    sky : ndarray, shape (3, 2), optional
        ``(row, col, 1) @ sky`` is where a pixel of the feature map looks, (fov_lon, fov_lat) in
        deg. With keypoints the output then ends with a `SkyEstimate`.
    """

    def __init__(
        self,
        channels: int,
        grid: PixelGrid,
        embedding: int,
        n_keypoints: int = 0,
        sky: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.to_pixels = CellsToPixels(grid)
        n_features = channels * grid.n_pixels + Keypoints.N_MOMENTS * n_keypoints
        self.keypoints = self.estimate = None
        if n_keypoints:
            self.keypoints = Keypoints(channels, n_keypoints, pixel_positions(grid, sky))
            if sky is not None:
                self.estimate = SkyEstimate(channels, n_keypoints)
        self.linear = nn.Linear(n_features, embedding)

    def forward(self, features: Tensor) -> Tensor:  # (n_images, channels, n_pixels), or on cells
        features = self.to_pixels(features)
        flat = features.flatten(1)
        if self.keypoints is None:
            return self.linear(flat)  # (n_images, embedding)
        # In full precision, whatever the network's: moments are differences of numbers alike.
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.linear.weight.dtype)
            keypoints = self.keypoints(features)
            estimate = None if self.estimate is None else self.estimate(features, keypoints)
        embedding = self.linear(torch.cat([flat, keypoints.flatten(1)], dim=1))
        if estimate is None:
            return embedding
        return torch.cat([embedding, estimate], dim=1)  # (n_images, embedding + N_SKY)
