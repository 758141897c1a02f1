"""Convolution and pooling on the pixels of a camera, those of the IndexedConv package.

Each output pixel sees the pixels under a kernel centred on it; absent ones count as zero. With the
same weights the output is that of the package, so that networks trained with it can be loaded.
"""

import math

import torch
from torch import nn

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

    Attributes
    ----------
    out_grid : gammalearn.camera.PixelGrid
        The grid of the output's pixels: ``grid`` itself for stride 1.
    kernel_size : int
        Number of members of the kernel, K.
    """

    def __init__(self, grid, radius=1, stride=1, dilation=1, kernel=None):
        super().__init__()
        self.grid = grid
        self.radius, self.dilation, self.kernel = radius, dilation, kernel
        self.stride = 2 if kernel == "pool" else stride
        self.out_grid = grid.pooled(stride, kernel, radius)
        neighbours = torch.from_numpy(grid.neighbours(radius, stride, dilation, kernel))
        self.kernel_size = neighbours.shape[0]
        # An absent pixel is the one behind the last, which `gather` makes zero. The table follows
        # from the grid, so that it is no part of the state_dict.
        neighbours[neighbours < 0] = grid.n_pixels
        self.register_buffer("neighbours", neighbours, persistent=False)  # (K, n_out)

    def gather(self, images):
        """What each output pixel sees.

        Parameters
        ----------
        images : torch.Tensor, shape (n_images, n_channels, n_pixels)

        Returns
        -------
        torch.Tensor, shape (n_images, n_channels, K, n_out)
        """
        if images.ndim != 3 or images.shape[-1] != self.grid.n_pixels:
            raise ValueError(
                f"{type(self).__name__} expects images of shape (n_images, n_channels, "
                f"{self.grid.n_pixels}), got {tuple(images.shape)}."
            )
        padded = nn.functional.pad(images, (0, 1))
        return padded.index_select(-1, self.neighbours.flatten()).unflatten(
            -1, self.neighbours.shape
        )

    def extra_repr(self):
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

    Attributes
    ----------
    weight : torch.nn.Parameter, shape (out_channels, in_channels, K)
        Members of the kernel from its upper left to its lower right, row by row.
    bias : torch.nn.Parameter, shape (out_channels,), or None
    out_grid : gammalearn.camera.PixelGrid
        The grid of the output's pixels: ``grid`` itself for stride 1.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        grid,
        radius=1,
        stride=1,
        dilation=1,
        bias=True,
        kernel=None,
    ):
        super().__init__(grid, radius, stride, dilation, kernel)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, self.kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weights and bias uniformly within 1 / sqrt(in_channels * K) of zero."""
        bound = 1 / math.sqrt(self.in_channels * self.kernel_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, images):
        """Convolve images (n_images, in_channels, n_pixels) to (n_images, out_channels, n_out)."""
        if images.ndim == 3 and images.shape[1] != self.in_channels:
            raise ValueError(
                f"IndexedConv expects images of {self.in_channels} channels, got "
                f"{images.shape[1]} in shape {tuple(images.shape)}."
            )
        seen = self.gather(images).flatten(1, 2)  # (n_images, in_channels * K, n_out)
        convolved = self.weight.flatten(1) @ seen
        return convolved if self.bias is None else convolved + self.bias[:, None]

    def extra_repr(self):
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in_channels}, {self.out_channels}, {super().extra_repr()}{bias}"


class _IndexedPool(_Indexed):
    def __init__(self, grid, radius=1, stride=2, dilation=1, kernel=None):
        super().__init__(grid, radius, stride, dilation, kernel)


class IndexedMaxPool(_IndexedPool):
    """Largest value under the kernel, absent pixels being zero.

    Parameters are those of `IndexedConv` that say what the kernel covers; the stride is 2 unless
    told otherwise.
    """

    def forward(self, images):
        """Pool images (n_images, n_channels, n_pixels) to (n_images, n_channels, n_out)."""
        return self.gather(images).max(dim=2).values


class IndexedAveragePool(_IndexedPool):
    """Mean over the K members of the kernel, absent pixels being zero.

    Parameters are those of `IndexedConv` that say what the kernel covers; the stride is 2 unless
    told otherwise.
    """

    def forward(self, images):
        """Pool images (n_images, n_channels, n_pixels) to (n_images, n_channels, n_out)."""
        return self.gather(images).mean(dim=2)
