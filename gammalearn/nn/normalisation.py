"""Batch normalisation that counts real pixels only, wherever the features lie.

Some images of a step can be left out of its statistics, see `borrowed_statistics`: those are then
of the other images alone.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, library, nn

from ..camera import PixelGrid
from . import native
from .layout import occupied_cells, on_cells, on_row, row_shape

__all__ = [
    "IndexedBatchNorm",
    "borrowed_statistics",
    "is_synchronised",
    "kept_statistics",
    "synchronise",
]

#: Axes of features on cells that statistics are taken over.
ALL_BUT_CHANNELS = (0, 2, 3)


class IndexedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the images and pixels of a batch (Ioffe & Szegedy 2015).

    On pixels it is `torch.nn.BatchNorm1d`, whose parameters and buffers it has; on cells the result
    is the same, and empty cells stay zero.

    Parameters
    ----------
    channels : int
        Number of channels.
    grid : gammalearn.camera.PixelGrid
        The grid of the pixels.
    relu : bool
        Whether to go on with a ReLU, which is faster here than after.
    """

    #: Whether statistics are of the batches of all processes together, see `synchronise`.
    synchronised = False

    #: Whether mean and variance of the batch are kept for other images, and whether they are used
    #: in place of the batch's own.
    keeps, borrows = False, False
    last: tuple[Tensor, Tensor] | None = None

    occupied: Tensor
    occupied_row: Tensor
    #: There are always statistics here, and they follow with a momentum.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, channels: int, grid: PixelGrid, relu: bool = False) -> None:
        super().__init__(channels)
        self.n_pixels, self.relu = grid.n_pixels, relu
        self.register_buffer("occupied", occupied_cells(grid), persistent=False)
        self.row = row_shape(grid)
        row = nn.functional.pad(torch.ones(1, 1, grid.n_pixels), (0, 1)).unflatten(2, self.row)
        self.register_buffer("occupied_row", row, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.and_input(features)[0]

    def and_input(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The normalised features, and those that came.

        Where these go on by another way, around a residual block, the gradients of both ways are
        added in one pass.
        """
        if self.training and self.borrows:
            return self._borrowing(features), features
        if not on_cells(features):
            if self.training and (self.synchronised or self.keeps):
                pixels = features.unsqueeze(2)
                everywhere = pixels.new_ones(1, 1, 1, self.n_pixels)
                return self._normalised(pixels, everywhere).squeeze(2), features
            normalised = super().forward(features)
            return torch.relu(normalised) if self.relu else normalised, features
        in_row = on_row(features, self.row)
        is_native = in_row and native.takes(features, self.weight)
        occupied = self.occupied_row if in_row else self.occupied
        if not self.training:
            scale, offset = self.scale_and_offset()
            if is_native and not torch.is_grad_enabled():
                row = native.affine(features.flatten(2).transpose(1, 2), scale, offset, self.relu)
                return row.transpose(1, 2).unflatten(2, self.row), features
            return _affine(features, scale, offset, occupied, self.relu), features
        if not is_native or self.synchronised:
            return self._normalised(features, occupied), features
        n_values = self._number_of_values(features)
        row = features.flatten(2).transpose(1, 2)
        normalised, mean, variance, row = native.normalise(
            row, self.weight, self.bias, self.eps, self.relu
        )
        self._see(mean, variance, n_values)
        normalised, features = (x.transpose(1, 2).unflatten(2, self.row) for x in (normalised, row))
        return normalised, features

    def _borrowing(self, features: Tensor) -> Tensor:
        """The features normalised with the statistics that were kept, which get no gradient."""
        mean, variance = self.last or (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        offset = self.bias - mean * scale
        if on_cells(features):
            in_row = on_row(features, self.row)
            occupied = self.occupied_row if in_row else self.occupied
            return _affine(features, scale, offset, occupied, self.relu)
        normalised = torch.addcmul(offset[:, None], features, scale[:, None]).to(features.dtype)
        return torch.relu(normalised) if self.relu else normalised

    def _normalised(self, features: Tensor, occupied: Tensor) -> Tensor:
        """The features normalised with the statistics of the batch."""
        n_values = self._number_of_values(features)
        options = self.eps, self.relu, self.synchronised
        normalised, *statistics = _OccupiedNorm.apply(
            features, self.weight, self.bias, occupied, n_values, *options
        )
        self._see(*statistics)
        return normalised

    def _number_of_values(self, features: Tensor) -> int:
        n_values = features.shape[0] * self.n_pixels
        if n_values < 2 and not self.synchronised:
            raise ValueError(f"Statistics of a batch need two values, got {n_values}.")
        return n_values

    @torch.no_grad()
    def _see(self, mean: Tensor, variance: Tensor, n_values: int | Tensor) -> None:
        """Let the running statistics follow, unless no process has an image."""
        counted = 1 * (n_values > 1)
        if self.keeps:
            self.last = mean, variance
            if isinstance(n_values, Tensor):
                # Where no process has an image, those of the steps before.
                before = self.running_mean, self.running_var
                seen = n_values > 1
                self.last = (
                    torch.where(seen, mean, before[0]),
                    torch.where(seen, variance, before[1]),
                )
        self.num_batches_tracked.add_(counted)
        self.running_mean.lerp_(mean, self.momentum * counted)
        unbiased = variance * (n_values / (n_values - counted))
        self.running_var.lerp_(unbiased, self.momentum * counted)

    def scale_and_offset(self) -> tuple[Tensor, Tensor]:
        """What evaluation multiplies each channel with and then adds."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, relu={self.relu}"


def synchronise(network: nn.Module) -> None:
    """Take the statistics of training steps over all processes, which are then as one.

    Each process must run the same layers in each step, with no image where it has none of them.
    """
    for module in network.modules():
        if isinstance(module, IndexedBatchNorm):
            module.synchronised = True


def is_synchronised(network: nn.Module) -> bool:
    """Whether some statistics are of all processes together, see `synchronise`."""
    return any(layer.synchronised for layer in _normalisations(network))


def _normalisations(network: nn.Module) -> Iterator[IndexedBatchNorm]:
    return (module for module in network.modules() if isinstance(module, IndexedBatchNorm))


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Have the layers keep the statistics of the images that they see, for other images.

    Within, `borrowed_statistics` uses them.
    """
    layers = [layer for layer in _normalisations(network) if not layer.keeps]
    for layer in layers:
        layer.keeps, layer.last = True, None
    try:
        yield
    finally:
        for layer in layers:
            layer.keeps, layer.last = False, None


@contextmanager
def borrowed_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise images as those before them, and leave the running statistics as they are.

    In training the images are normalised with the statistics that the layers have kept of the
    images before (`kept_statistics`), which get no gradient; with the running statistics where
    there were none. Batch normalisations of torch, which an encoder of the user's own may have, use
    their running statistics. Other networks, and networks that do not train, compute as always.
    """
    ours = list(_normalisations(network))
    others = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and not isinstance(module, IndexedBatchNorm)
        and module.training
        and module.track_running_stats
    ]
    _set(ours, True)
    for module in others:
        module.eval()
    try:
        yield
    finally:
        _set(ours, False)
        for module in others:
            module.train()


def _set(layers: Iterable[IndexedBatchNorm], borrows: bool) -> None:
    for layer in layers:
        layer.borrows = borrows


# An operation of ours, which torch.compile takes as it is.
@library.custom_op("gammalearn::sum_over_processes", mutates_args=())
def sum_over_processes(values: Tensor) -> Tensor:
    """Sum of what each process has."""
    total = values.clone()
    distributed.all_reduce(total)
    return total


@sum_over_processes.register_fake
def _(values: Tensor) -> Tensor:
    return torch.empty_like(values)


def _channels(values: Tensor) -> Tensor:
    """One value a channel, in the shape of features on cells."""
    return values[:, None, None]


def _affine(
    features: Tensor, scale: Tensor, offset: Tensor, occupied: Tensor, relu: bool
) -> Tensor:
    """``scale`` times features plus ``offset`` where there is a pixel, in the features' type."""
    # The offset is small enough with its zeros to stay in the cache: one pass over the features.
    offset = (_channels(offset) * occupied).contiguous(memory_format=torch.channels_last)
    result = torch.addcmul(offset, features, _channels(scale)).to(features.dtype)
    return result.relu_() if relu else result


def _of_one_process(values: Tensor) -> Tensor:
    return values


class _OccupiedNorm(torch.autograd.Function):
    """Normalisation with the statistics of the batch, empty cells being zero and not counted.

    The gradient of batch normalisation written out: autograd's would take twice the passes over
    memory. Statistics are kept in single precision where features are in half.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        occupied: Tensor,
        n_values: int | Tensor,
        eps: float,
        relu: bool,
        synchronised: bool,
    ) -> tuple[Tensor, Tensor, Tensor, int | Tensor]:
        of_all = sum_over_processes if synchronised else _of_one_process
        precision = torch.promote_types(features.dtype, torch.float32)
        total = features.sum(ALL_BUT_CHANNELS, dtype=precision)
        if synchronised:
            # One sum waits for the other: compiled or not, processes add up in the same order.
            number = total.new_full((1,), n_values)  # type: ignore[arg-type]  # not torch's yet
            sums = of_all(torch.cat([total, number]))
            total, n_values = sums[:-1], sums[-1].clamp(min=1)
        mean = total / n_values
        shift = (_channels(mean) * occupied).contiguous(memory_format=torch.channels_last)
        centred = features - shift
        variance = of_all(centred.square().sum(ALL_BUT_CHANNELS)) / n_values
        inverse = torch.rsqrt(variance + eps)
        normalised = _affine(centred, inverse * weight, bias, occupied, relu).to(features.dtype)
        centred = centred.to(features.dtype)
        ctx.save_for_backward(centred, weight, inverse, occupied, normalised if relu else None)
        ctx.n_values, ctx.of_all = n_values, of_all
        ctx.mark_non_differentiable(mean, variance)
        return normalised, mean, variance, n_values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        centred, weight, inverse, occupied, rectified = ctx.saved_tensors
        if rectified is None:
            gradient = gradient * occupied.to(gradient.dtype)
        else:  # which is zero in empty cells too
            gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
        by_bias = gradient.sum(ALL_BUT_CHANNELS, dtype=inverse.dtype)
        by_scale = (gradient * centred).sum(ALL_BUT_CHANNELS, dtype=inverse.dtype)
        scale = weight * inverse
        mean_by_scale, mean_by_bias = ctx.of_all(torch.stack([by_scale, by_bias])) / ctx.n_values
        by_features = _affine(
            centred,
            -scale * inverse.square() * mean_by_scale,
            -scale * mean_by_bias,
            occupied,
            relu=False,
        )
        by_features = torch.addcmul(by_features, gradient, _channels(scale)).to(centred.dtype)
        return by_features, by_scale * inverse, by_bias, *(None,) * 5
