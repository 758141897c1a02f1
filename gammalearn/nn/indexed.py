"""Convolution and pooling on the pixels of a camera, those of the IndexedConv package.

Each output pixel sees the pixels under a kernel centred on it; absent ones count as zero. With the
same weights the output is that of the package, so that networks trained with it can be loaded.
Features come and go as pixels or, where the backend is dense or native, laid out for it, see
`gammalearn.nn.layout`.
"""

import math

import torch
from torch import Tensor, nn

from ..camera import PixelGrid
from .backends import DenseBackend, make_backend
from .layout import on_cells

__all__ = ["IndexedAveragePool", "IndexedConv", "IndexedMaxPool"]


class _Indexed(nn.Module):
    """General form: a layer that sees the pixels under a kernel.

    Parameters
    ----------
    grid : gammalearn.camera.PixelGrid
        The grid of the input's pixels.
    radius : int
        Reach of the kernel around its centre, in pixels; 0 for the pixel alone.
    stride : int
        Step between output pixels along rows and columns of the grid.
    dilation : int
        Step between members of the kernel; 1 for adjacent ones.
    kernel : {None, "hex", "square", "pool"}
        Hexagonal, square or 2 x 2 with stride 2. None is the lattice's own.

    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        How it is computed, see `gammalearn.nn.backends`.
    channels : int
        Most channels of input and output, by which ``auto`` chooses.

    Attributes
    ----------
    out_grid : gammalearn.camera.PixelGrid
        The grid of the output's pixels: ``grid`` itself for stride 1.
    kernel_size : int
        Number of members of the kernel, K.
    """

    def __init__(
        self,
        grid: PixelGrid,
        radius: int = 1,
        stride: int = 1,
        dilation: int = 1,
        kernel: str | None = None,
        backend: str = "auto",
        channels: int = 1,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.n_pixels = grid.n_pixels
        self.radius, self.dilation, self.kernel = radius, dilation, kernel
        self.out_grid = grid.pooled(stride, kernel, radius)
        self.stride = 2 if kernel == "pool" else stride
        self.kernel_size = int(grid.kernel_members(radius, kernel).sum())
        self.backend = make_backend(backend, self, channels)

    def _check(self, images: Tensor) -> None:
        """Refuse images of another camera."""
        if on_cells(images) and isinstance(self.backend, DenseBackend):
            fits = self.backend.takes(images)
        else:
            fits = images.ndim == 3 and images.shape[2] == self.n_pixels
        if not fits:
            raise ValueError(
                f"{type(self).__name__} expects images of shape (n_images, n_channels, "
                f"{self.n_pixels}), got {tuple(images.shape)}."
            )

    def __repr__(self) -> str:
        # In one line: how it is computed is no part of what it is.
        return f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        kernel = "" if self.kernel is None else f", kernel={self.kernel!r}"
        return (
            f"{self.grid.n_pixels} -> {self.out_grid.n_pixels} pixels, radius={self.radius}, "
            f"stride={self.stride}, dilation={self.dilation}{kernel}"
        )


class IndexedConv(_Indexed):
    """Convolution on the pixels of a camera.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels of the input's and the output's images.
    grid, radius, stride, dilation, kernel
        The grid of the input's pixels and what the kernel covers of it, see
        `gammalearn.camera.PixelGrid.neighbours`.
    bias : bool
        Whether to add a learned constant to each output channel.
    groups : int
        Groups that channels are divided into, each seeing its own inputs only; as many as channels
        for a depthwise convolution.
    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        How it is computed, see `gammalearn.nn.backends`.
    relu : bool
        Whether to go on with a ReLU, which is faster here than after.

    Attributes
    ----------
    weight : torch.nn.Parameter, shape (out_channels, in_channels / groups, K)
        Members of the kernel from its upper left to its lower right, row by row.
    bias : torch.nn.Parameter, shape (out_channels,), or None
    out_grid : gammalearn.camera.PixelGrid
        The grid of the output's pixels: ``grid`` itself for stride 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        grid: PixelGrid,
        radius: int = 1,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        kernel: str | None = None,
        groups: int = 1,
        backend: str = "auto",
        relu: bool = False,
    ) -> None:
        widest = max(in_channels, out_channels)
        super().__init__(grid, radius, stride, dilation, kernel, backend, widest)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups must divide the channels, {in_channels} and {out_channels}; got {groups}."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.relu = relu
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias uniformly within 1 / sqrt(in_channels / groups * K) of zero."""
        bound = 1 / math.sqrt(self.in_channels // self.groups * self.kernel_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, images: Tensor, plus: Tensor | None = None) -> Tensor:
        """Convolve images (n_images, in_channels, n_pixels) to (n_images, out_channels, n_out).

        Features on cells, (n_images, in_channels, n_rows, n_cols), become such. ``plus``, of the
        output's shape, is added, before the ReLU.
        """
        if images.ndim >= 3 and images.shape[1] != self.in_channels:
            raise ValueError(
                f"IndexedConv expects images of {self.in_channels} channels, got "
                f"{images.shape[1]} in shape {tuple(images.shape)}."
            )
        self._check(images)
        return self.backend.convolve(images, self.weight, self.bias, self.groups, plus, self.relu)

    def extra_repr(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        groups = "" if self.groups == 1 else f", groups={self.groups}"
        relu = ", relu=True" if self.relu else ""
        return (
            f"{self.in_channels}, {self.out_channels}, {super().extra_repr()}{bias}{groups}{relu}"
        )


class _IndexedPool(_Indexed):
    def __init__(
        self,
        grid: PixelGrid,
        radius: int = 1,
        stride: int = 2,
        dilation: int = 1,
        kernel: str | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__(grid, radius, stride, dilation, kernel, backend)


class IndexedMaxPool(_IndexedPool):
    """Largest value under the kernel, absent pixels being zero.

    Parameters are those of `IndexedConv` that say what the kernel covers, and the backend; the
    stride is 2 unless told otherwise.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Pool images (n_images, n_channels, n_pixels) to (n_images, n_channels, n_out)."""
        self._check(images)
        return self.backend.largest(images)


class IndexedAveragePool(_IndexedPool):
    """Mean over the K members of the kernel, absent pixels being zero.

    Parameters are those of `IndexedConv` that say what the kernel covers, and the backend; the
    stride is 2 unless told otherwise.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Pool images (n_images, n_channels, n_pixels) to (n_images, n_channels, n_out)."""
        self._check(images)
        return self.backend.mean(images)
