"""How a layer computes what its kernel sees; all backends give the same result.

``indexedconv``
    The IndexedConv package's own code, the reference.
``gather``
    What each output pixel sees is gathered, then multiplied: for any grid, and pixels only.
``dense``
    Features laid on the cells of the index matrix, the kernel on a square with some weights zero:
    a plain convolution, which cuDNN and oneDNN do fastest. Three of five cells of a round camera
    hold a pixel, and still it takes two fifths of the time of the reference.
``native``
    Loops over pixels and neighbours alone, compiled for this CPU: on hexagonal pixels half the time
    of dense. On square ones dense has no empty cells or corners to skip, and is the faster one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..camera import PixelGrid
from ..errors import MissingPackageError
from . import native
from .layout import (
    CellsToPixels,
    PixelsToCells,
    occupied_cells,
    on_cells,
    on_row,
    pixels_to_row,
    row_shape,
)

if TYPE_CHECKING:
    from .indexed import _Indexed

__all__ = ["BACKENDS", "chosen_backend", "make_backend"]

#: Least share of the cells that hold a pixel for the dense backend to be chosen.
LEAST_FILL = 0.25


#: What is the fastest on a CPU: of the rows of lattice, most pixels, most channels and backend the
#: first one that fits. Measured by ``benchmarks/engine.py --figures auto``.
FASTEST = (
    ("hexagonal", np.inf, np.inf, "native"),
    ("square", np.inf, np.inf, "dense"),
)


def chosen_backend(backend: str, grid: PixelGrid, channels: int) -> str:
    """The backend that ``backend`` means on a grid.

    Parameters
    ----------
    backend : {"auto", "indexedconv", "gather", "dense", "native"}
        ``auto`` is what is the fastest by the table `FASTEST`, with dense in the place of native
        where the CPU has not what it takes, but gather for grids that leave most of their index
        matrix empty.
    grid : PixelGrid
    channels : int
        Most channels that a layer takes or gives: of a network, whose layers share where their
        features lie, those of its widest stage.
    """
    if backend == "auto":
        if grid.n_pixels < LEAST_FILL * grid.index_matrix.size:
            return "gather"
        fastest = next(
            name
            for lattice, most_pixels, most_channels, name in FASTEST
            if grid.lattice == lattice
            and grid.n_pixels <= most_pixels
            and channels <= most_channels
        )
        return "dense" if fastest == "native" and not native.is_available() else fastest
    if backend not in BACKENDS:
        raise ValueError(f"A backend is 'auto', {', '.join(map(repr, BACKENDS))}, not {backend!r}.")
    return backend


def make_backend(backend: str, layer: "_Indexed", channels: int) -> "Backend":
    """The backend of a layer, see `chosen_backend`; ``layer`` tells grid, out_grid and kernel."""
    return BACKENDS[chosen_backend(backend, layer.grid, channels)](layer)


def _finished(convolved: Tensor, plus: Tensor | None, relu: bool) -> Tensor:
    """What comes after a convolution, where it does not do it itself."""
    if plus is not None:
        convolved = convolved + plus
    return torch.relu(convolved) if relu else convolved


class Backend(nn.Module, ABC):
    """What computes a layer."""

    @abstractmethod
    def convolve(
        self,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        groups: int,
        plus: Tensor | None,
        relu: bool,
    ) -> Tensor:
        """A convolution; ``plus`` is added to it, before a ReLU."""

    @abstractmethod
    def largest(self, images: Tensor) -> Tensor:
        """The largest value under the kernel."""

    @abstractmethod
    def mean(self, images: Tensor) -> Tensor:
        """The mean of the values under the kernel."""


class GatherBackend(Backend):
    """Gathers what each output pixel sees."""

    neighbours: Tensor

    def __init__(self, layer: "_Indexed") -> None:
        super().__init__()
        neighbours = torch.from_numpy(
            layer.grid.neighbours(layer.radius, layer.stride, layer.dilation, layer.kernel)
        )
        # An absent pixel is the one behind the last, which `seen` makes zero. The table follows
        # from the grid, so that it is no part of the state_dict.
        neighbours[neighbours < 0] = layer.grid.n_pixels
        self.register_buffer("neighbours", neighbours, persistent=False)  # (K, n_out)

    def seen(self, images: Tensor) -> Tensor:
        """What each output pixel sees, shape (n_images, channels, K, n_out)."""
        padded = F.pad(images, (0, 1))
        return padded.index_select(-1, self.neighbours.flatten()).unflatten(
            -1, self.neighbours.shape
        )

    def convolve(
        self,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        groups: int,
        plus: Tensor | None,
        relu: bool,
    ) -> Tensor:
        seen = self.seen(images).unflatten(1, (groups, -1)).flatten(2, 3)
        # (groups, out, in · K) @ (n_images, groups, in · K, n_out)
        convolved = (weight.flatten(1).unflatten(0, (groups, -1)) @ seen).flatten(1, 2)
        convolved = convolved if bias is None else convolved + bias[:, None]
        return _finished(convolved, plus, relu)

    def largest(self, images: Tensor) -> Tensor:
        return self.seen(images).max(dim=2).values

    def mean(self, images: Tensor) -> Tensor:
        return self.seen(images).mean(dim=2)


class PackageBackend(Backend):
    """Runs the code of the IndexedConv package on our tables and weights."""

    indices: Tensor
    mask: Tensor

    def __init__(self, layer: "_Indexed") -> None:
        super().__init__()
        try:
            import indexedconv.engine
            import indexedconv.utils
        except ImportError as error:
            raise MissingPackageError(
                "network.backend=indexedconv needs the IndexedConv package; install it with "
                "pip install --no-deps IndexedConv h5py, or set another backend."
            ) from error
        # The functions and not their module, which cannot be copied or sent to other processes.
        self._convolution = indexedconv.engine.IndexedConv.forward
        self._largest = indexedconv.engine.IndexedMaxPool2d.forward
        self._mean = indexedconv.engine.IndexedAveragePool2d.forward
        indices, mask = indexedconv.utils.prepare_mask(
            torch.from_numpy(
                layer.grid.neighbours(layer.radius, layer.stride, layer.dilation, layer.kernel)
            )
        )
        self.register_buffer("indices", indices, persistent=False)
        self.register_buffer("mask", mask.to(torch.get_default_dtype()), persistent=False)

    def _layer(self, **parameters: Any) -> SimpleNamespace:
        """What the package's layers know of themselves."""
        return SimpleNamespace(
            indices_=self.indices,
            mask_=self.mask,
            output_width=self.indices.shape[1],
            logger=SimpleNamespace(debug=lambda *_: None),
            **parameters,
        )

    def convolve(
        self,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        groups: int,
        plus: Tensor | None,
        relu: bool,
    ) -> Tensor:
        if groups > 1:
            raise ValueError("The IndexedConv package has no convolution in groups.")
        layer = self._layer(weight=weight, bias=bias, out_channels=weight.shape[0])
        return _finished(self._convolution(layer, images), plus, relu)

    def largest(self, images: Tensor) -> Tensor:
        return self._largest(self._layer(), images)

    def mean(self, images: Tensor) -> Tensor:
        return self._mean(self._layer(), images)


class DenseBackend(Backend):
    """Plain two-dimensional convolutions on the cells of the index matrix."""

    places: Tensor
    members: Tensor
    occupied: Tensor

    def __init__(self, layer: "_Indexed") -> None:
        super().__init__()
        self.radius, self.stride, self.dilation = layer.radius, layer.stride, layer.dilation
        self.is_pool = layer.kernel == "pool"
        # Kernel "pool" is the output's cell and those right of and below it.
        self.padding = 0 if self.is_pool else layer.radius * layer.dilation
        members = torch.from_numpy(layer.grid.kernel_members(layer.radius, layer.kernel))
        self.size = members.shape[0]
        self.n_members = int(members.sum())
        # For each cell of the square kernel its weight, the zero behind the last where it has none.
        places = torch.where(
            members, members.flatten().cumsum(0).view_as(members) - 1, members.sum()
        )
        self.register_buffer("places", places.flatten(), persistent=False)
        self.register_buffer("members", members, persistent=False)
        self.steps = [tuple(step) for step in members.nonzero().tolist()]
        self.register_buffer("occupied", occupied_cells(layer.out_grid), persistent=False)
        self.to_cells, self.to_pixels = PixelsToCells(layer.grid), CellsToPixels(layer.out_grid)

    def takes(self, cells: Tensor) -> bool:
        """Whether features on cells are of this camera."""
        return cells.shape[2:] == self.to_cells.shape

    def _like(self, images: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Compute on cells, and return pixels where pixels came."""
        computed = compute(images if on_cells(images) else self.to_cells(images))
        # In place: convolutions and sums do not need their result again for the gradient.
        computed = computed.mul_(self.occupied)
        return computed if on_cells(images) else self.to_pixels(computed)

    def _conv2d(self, cells: Tensor, kernel: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        stride = self.stride
        if self.size == 1 and stride > 1:
            # The pixel alone is not centred on the last row and column; a copy, as torch 2.13
            # crashes in the gradient of a 1 x 1 convolution with a stride of part of a tensor.
            cells = cells[..., :-1:stride, :-1:stride]
            cells, stride = cells.contiguous(memory_format=torch.channels_last), 1
        return F.conv2d(cells, kernel, bias, stride, self.padding, self.dilation, groups)

    def convolve(
        self,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        groups: int,
        plus: Tensor | None,
        relu: bool,
    ) -> Tensor:
        if self.n_members < self.size**2:
            weight = F.pad(weight, (0, 1)).index_select(2, self.places)
        kernel = weight.unflatten(2, (self.size, self.size))
        convolved = self._like(images, lambda cells: self._conv2d(cells, kernel, bias, groups))
        return _finished(convolved, plus, relu)

    def mean(self, images: Tensor) -> Tensor:
        channels = images.shape[1]
        kernel = (self.members.to(images.dtype) / self.n_members).expand(channels, 1, -1, -1)
        return self._like(images, lambda cells: self._conv2d(cells, kernel, None, channels))

    def largest(self, images: Tensor) -> Tensor:
        return self._like(images, self._largest)

    def _largest(self, cells: Tensor) -> Tensor:
        n_rows, n_cols = self.occupied.shape[2:]
        padded = F.pad(cells, [self.padding] * 4)
        seen = [
            padded[
                ...,
                row * self.dilation :: self.stride,
                col * self.dilation :: self.stride,
            ][..., :n_rows, :n_cols]
            for row, col in self.steps
        ]
        return torch.stack(seen).max(dim=0).values


class NativeBackend(DenseBackend):
    """Compiled loops over neighbours; dense for other devices and types, groups and maxima."""

    def __init__(self, layer: "_Indexed") -> None:
        super().__init__(layer)
        seen = layer.grid.neighbours(layer.radius, layer.stride, layer.dilation, layer.kernel)
        n_inputs, n_outputs = layer.grid.n_pixels, seen.shape[1]
        neighbours = np.ascontiguousarray(np.where(seen < 0, n_inputs, seen).T, dtype=np.int32)
        seen_by = native.lookup(native.transposed(seen, n_inputs), n_outputs)
        self.register_buffer("neighbours", torch.from_numpy(neighbours), persistent=False)
        self.register_buffer("seen", native.lookup(seen, n_inputs), persistent=False)
        self.register_buffer("seen_by", seen_by, persistent=False)
        self.row, self.out_row = row_shape(layer.grid), row_shape(layer.out_grid)

    def takes(self, cells: Tensor) -> bool:
        return on_row(cells, self.row) or super().takes(cells)

    def convolve(
        self,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        groups: int,
        plus: Tensor | None,
        relu: bool,
    ) -> Tensor:
        if groups == 1 and self._is_native(images, weight):
            return self._native(images, weight.permute(2, 1, 0), bias, plus, relu)
        dense = super().convolve
        convolved = self._dense(
            images, lambda images: dense(images, weight, bias, groups, None, False)
        )
        return _finished(convolved, plus, relu)

    def mean(self, images: Tensor) -> Tensor:
        if self._is_native(images, images):
            weight = torch.eye(images.shape[1], dtype=images.dtype) / self.n_members
            return self._native(images, weight.expand(self.n_members, -1, -1), None)
        return self._dense(images, super().mean)

    def largest(self, images: Tensor) -> Tensor:
        return self._dense(images, super().largest)

    def _is_native(self, images: Tensor, weight: Tensor) -> bool:
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            return False
        in_place = not on_cells(images) or on_row(images, self.row)
        return in_place and native.takes(images, weight)

    def _native(
        self,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        plus: Tensor | None = None,
        relu: bool = False,
    ) -> Tensor:
        """Convolve pixels or a row with a weight of shape (K, in_channels, out_channels)."""
        row = images if on_cells(images) else pixels_to_row(images, self.row)
        if plus is not None:
            plus = plus if on_cells(plus) else pixels_to_row(plus, self.out_row)
            plus = plus.flatten(2).transpose(1, 2)
        x = row.flatten(2).transpose(1, 2)
        tables = self.seen, self.seen_by, self.neighbours
        convolved = native.convolve(x, weight, bias, plus, relu, *tables)
        convolved = convolved.transpose(1, 2)
        if on_cells(images):
            return convolved.unflatten(2, self.out_row)
        return convolved[..., :-1].contiguous()

    def _dense(self, images: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Compute on cells of the index matrix what came in a row."""
        if not on_row(images, self.row):
            return compute(images)
        return pixels_to_row(compute(images.flatten(2)[..., :-1]), self.out_row)


BACKENDS: dict[str, Callable[..., Backend]] = {
    "indexedconv": PackageBackend,
    "gather": GatherBackend,
    "dense": DenseBackend,
    "native": NativeBackend,
}
