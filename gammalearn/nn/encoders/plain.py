"""Plain convolutional networks."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from ...camera import PixelGrid
from ..backends import chosen_backend
from ..image_head import ImageHead, pooled_sky
from ..indexed import IndexedAveragePool, IndexedConv
from ..layout import layout_for
from ..normalisation import IndexedBatchNorm
from .registry import encoder

__all__ = ["PlainConvNet"]


@encoder("conv4", widths=(16, 32, 64, 128))
@encoder("conv5", widths=(16, 32, 32, 64, 128))
class PlainConvNet(nn.Sequential):
    """Layers of convolution, batch normalisation, ReLU and average pooling.

    The networks of the first GammaLearn results, with four or five layers::

        pixels ─► [conv 7 ─► norm ─► ReLU ─► mean of 7, stride 2] × layers ─► flat ─► embedding

    Parameters
    ----------
    grid : PixelGrid
        The camera's pixels.
    in_channels : int
        Channels of the image.
    embedding : int
        Features of the output.
    widths : sequence of int
        Features of each layer.
    keypoints : int
        Keypoints of the image head beside the flattened map, see `gammalearn.nn.image_head`.
    sky : ndarray, shape (3, 2), optional
        Where pixels look, `gammalearn.camera.CameraType.sky_of_cells`: with keypoints, the output
        ends with an estimate of the direction.
    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        How the layers are computed, see `gammalearn.nn.backends`.
    """

    def __init__(
        self,
        grid: PixelGrid,
        in_channels: int,
        embedding: int,
        widths: Sequence[int],
        keypoints: int = 0,
        sky: np.ndarray | None = None,
        backend: str = "auto",
    ) -> None:
        backend = chosen_backend(backend, grid, max(widths))
        layers = [layout_for(backend, grid)]
        for out_channels in widths:
            pool = IndexedAveragePool(grid, backend=backend)
            layers += [
                IndexedConv(in_channels, out_channels, grid, bias=False, backend=backend),
                IndexedBatchNorm(out_channels, grid, relu=True),
                pool,
            ]
            in_channels, grid = out_channels, pool.out_grid
        sky = pooled_sky(sky, len(widths))
        super().__init__(*layers, ImageHead(in_channels, grid, embedding, keypoints, sky))
