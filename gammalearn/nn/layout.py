"""Where features lie: one value a pixel, or laid out on the cells of the grid's index matrix.

*Pixels*, (n_images, channels, n_pixels), is how images come and what the IndexedConv package works
on. *Cells*, (n_images, channels, n_rows, n_cols), is the index matrix filled in: a hexagonal kernel
is then a square one without two corners, which a dense convolution computes at once. Cells without
a pixel hold zero, and every layer leaves them so. Layers take either and return what they were
given.

A *row*, (n_images, channels, 1, n_pixels + 1), is cells of another kind: all pixels one after the
other and an empty cell that stands for absent neighbours, which the native backend works on.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..camera import PixelGrid

__all__ = [
    "CellsToPixels",
    "PixelsToCells",
    "PixelsToRow",
    "layout_for",
    "occupied_cells",
    "on_cells",
    "on_row",
    "pixel_mean",
    "pixels_to_row",
    "row_shape",
]


def on_cells(features: Tensor) -> bool:
    """Whether features lie on cells, (n_images, channels, n_rows, n_cols)."""
    return features.ndim == 4


def row_shape(grid: PixelGrid) -> tuple[int, int]:
    """Shape of a row of cells, turned where cells of the index matrix have it."""
    shape = (1, grid.n_pixels + 1)
    return shape[::-1] if grid.index_matrix.shape == shape else shape


def on_row(features: Tensor, shape: tuple[int, int]) -> bool:
    """Whether features lie in a row, (n_images, channels) and the two of `row_shape`."""
    return features.ndim == 4 and features.shape[2:] == shape


def occupied_cells(grid: PixelGrid) -> Tensor:
    """1 for cells with a pixel and 0 for others, shape (1, 1, n_rows, n_cols)."""
    return torch.from_numpy(grid.index_matrix >= 0).to(torch.get_default_dtype())[None, None]


def pixel_mean(features: Tensor, n_pixels: int, row: tuple[int, int]) -> Tensor:
    """Mean over the pixels of each image, shape (n_images, channels)."""
    if on_row(features, row):
        # A product, whose gradient in the empty cell is zero: convolutions need it so.
        share = nn.functional.pad(features.new_full((1, n_pixels), 1 / n_pixels), (0, 1))
        pixels = features.flatten(2).transpose(1, 2)
        return (share.expand(len(features), 1, -1) @ pixels).squeeze(1)
    if on_cells(features):
        return features.sum(dim=(2, 3)) / n_pixels
    return features.mean(dim=2)


class PixelsToCells(nn.Module):
    """From (n_images, channels, n_pixels) to (n_images, channels, n_rows, n_cols), channels last.

    Parameters
    ----------
    grid : gammalearn.camera.PixelGrid
    """

    pixels: Tensor

    def __init__(self, grid: PixelGrid) -> None:
        super().__init__()
        self.n_pixels = grid.n_pixels
        # Numbers, not the grid itself: torch.compile takes no arrays that cannot be written.
        self.shape = grid.index_matrix.shape
        # An empty cell takes the value behind the last pixel, which is made zero.
        index = np.where(grid.index_matrix < 0, grid.n_pixels, grid.index_matrix)
        self.register_buffer("pixels", torch.from_numpy(index.ravel()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 3 or images.shape[2] != self.n_pixels:
            raise ValueError(
                f"The network expects images of shape (n_images, n_channels, {self.n_pixels}), "
                f"got {tuple(images.shape)}."
            )
        padded = nn.functional.pad(images, (0, 1))
        cells = padded.index_select(2, self.pixels).unflatten(2, self.shape)
        return cells.contiguous(memory_format=torch.channels_last)


class PixelsToRow(PixelsToCells):
    """From (n_images, channels, n_pixels) to (n_images, channels, 1, n_pixels + 1), channels last.

    To cells of the index matrix instead where the native backend does not compute: on other devices
    than the CPU, in other types than float32 and float64, and for export.

    Parameters
    ----------
    grid : gammalearn.camera.PixelGrid
    """

    def __init__(self, grid: PixelGrid) -> None:
        super().__init__(grid)
        self.row = row_shape(grid)

    def forward(self, images: Tensor) -> Tensor:
        if (
            images.ndim != 3
            or images.shape[2] != self.n_pixels
            or images.device.type != "cpu"
            or images.dtype not in (torch.float32, torch.float64)
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_exporting()
            or torch.onnx.is_in_onnx_export()
        ):
            return super().forward(images)
        return pixels_to_row(images, self.row)


def layout_for(backend: str, grid: PixelGrid) -> nn.Module:
    """From images to where the layers of a backend have their features."""
    layouts = {"native": PixelsToRow, "dense": PixelsToCells}
    return layouts[backend](grid) if backend in layouts else nn.Identity()


def pixels_to_row(images: Tensor, shape: tuple[int, int]) -> Tensor:
    """From (n_images, channels, n_pixels) to (n_images, channels, 1, n_pixels + 1) or turned."""
    padded = nn.functional.pad(images.transpose(1, 2), (0, 0, 0, 1))
    return padded.transpose(1, 2).unflatten(2, shape)


class CellsToPixels(nn.Module):
    """From (n_images, channels, n_rows, n_cols) to (n_images, channels, n_pixels).

    Parameters
    ----------
    grid : gammalearn.camera.PixelGrid
    """

    cells: Tensor

    def __init__(self, grid: PixelGrid) -> None:
        super().__init__()
        cells = grid.rows * grid.index_matrix.shape[1] + grid.cols
        self.row = row_shape(grid)
        self.register_buffer("cells", torch.from_numpy(cells), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        if not on_cells(features):
            return features
        if on_row(features, self.row):
            return features.flatten(2)[..., :-1]
        return features.flatten(2).index_select(2, self.cells)
