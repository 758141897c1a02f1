"""Batch normalisation, with as few passes over the features as it takes.

An image at a time is read for the statistics and stays in the cache meanwhile.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from llvmlite import ir
from numba import carray, types
from numba.core.base import BaseContext
from numba.core.typing import BaseContext as TypingContext
from numba.core.typing import Signature
from torch import Tensor, library

from .loops import (
    Constant,
    Emitter,
    Intrinsic,
    Loop,
    compiled,
    count,
    fill,
    intrinsic,
    numbers,
    vectors,
)

__all__ = ["affine", "normalise"]


def _scaled(
    relu: bool, emit: Emitter, x: ir.Value, scale: ir.Value, offset: ir.Value
) -> tuple[ir.Value, tuple[()]]:
    value = emit.fma(x, scale, offset)
    return emit.where_positive(value, value) if relu else value, ()


def _rectified(
    emit: Emitter, x: ir.Value, gradient: ir.Value, scale: ir.Value, offset: ir.Value
) -> ir.Value:
    """A gradient where the ReLU behind ``_scaled`` let pass what the same operation gives again."""
    return emit.where_positive(emit.fma(x, scale, offset), gradient)


def _sums_of_gradient(
    relu: bool,
    emit: Emitter,
    x: ir.Value,
    gradient: ir.Value,
    mean: ir.Value,
    scale: ir.Value,
    offset: ir.Value,
) -> tuple[None, tuple[ir.Value, ir.Value]]:
    """Sums of a gradient, and of it times what it is the gradient of."""
    if relu:
        gradient = _rectified(emit, x, gradient, scale, offset)
    centred = emit.builder.fsub(x, mean)
    return None, (gradient, emit.builder.fmul(gradient, centred))


def _gradient_of_input(
    relu: bool, emit: Emitter, x: ir.Value, gradient: ir.Value, *rest: ir.Value
) -> tuple[ir.Value, tuple[()]]:
    """What comes on another way to the input, if anything, is added."""
    *other, mean, scale, offset, slope, shift = rest
    if relu:
        gradient = _rectified(emit, x, gradient, scale, offset)
    centred = emit.builder.fsub(x, mean)
    value = emit.fma(gradient, scale, emit.fma(centred, slope, shift))
    return emit.builder.fadd(value, *other) if other else value, ()


#: What is done with each value: streams read, constants and sums of a channel, whether something
#: is written, and the function.
_PASSES: dict[str, tuple[Any, ...]] = {
    f"{name}{', relu' if relu else ''}": (*numbers_of, functools.partial(function, relu))
    for relu in (False, True)
    for name, *numbers_of, function in (
        ("affine", 1, 2, 0, True, _scaled),
        ("sums", 2, 3, 2, False, _sums_of_gradient),
        ("gradient", 2, 5, 0, True, _gradient_of_input),
        ("gradient, plus", 3, 5, 0, True, _gradient_of_input),
    )
}


@intrinsic(prefer_literal=True)
def _moments_tile(
    context: TypingContext,
    x: types.Type,
    out: types.Type,
    n_pixels: types.Type,
    double: Constant,
    lanes: Constant,
    n_vectors: Constant,
    n_channels: Constant,
) -> Intrinsic | None:
    """Mean of an image's pixels and sum of the squared differences from it."""
    constants = (double, lanes, n_vectors, n_channels)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_vectors, n_channels = numbers(constants)

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        x, out, n_pixels = arguments[:3]
        emit = Emitter(builder, double, lanes)
        step = n_channels * emit.size
        places = [vector * lanes * emit.size for vector in range(n_vectors)]

        def total_of(term: Callable[[int, ir.Value], ir.Value]) -> list[ir.Value]:
            """Loop over the pixels and add up what ``term`` makes of the values of each."""
            (totals,) = emit.sums(1, n_vectors)
            for variable in totals:
                builder.store(emit.zeros, variable)

            def pixel(p: ir.Value) -> None:
                address = builder.add(x, emit.times(p, step))
                for vector, (place, variable) in enumerate(zip(places, totals, strict=True)):
                    value = emit.load(emit.plus(address, place), emit.vector)
                    total = builder.fadd(builder.load(variable), term(vector, value))
                    builder.store(total, variable)

            emit.loop(n_pixels, pixel)
            return [builder.load(variable) for variable in totals]

        def squared(vector: int, value: ir.Value) -> ir.Value:
            difference = builder.fsub(value, means[vector])
            return builder.fmul(difference, difference)

        number = emit.repeat(builder.sitofp(n_pixels, emit.scalar))
        means = [builder.fdiv(total, number) for total in total_of(lambda _, value: value)]
        squares = total_of(squared)
        for place, mean, square in zip(places, means, squares, strict=True):
            emit.store(mean, emit.plus(out, place))
            emit.store(square, emit.plus(out, step + place))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3, *constants), generate


@intrinsic(prefer_literal=True)
def _pass_tile(
    context: TypingContext,
    x: types.Type, second: types.Type, third: types.Type, parameters: types.Type,
    out: types.Type, sums: types.Type, n_pixels: types.Type,
    double: Constant, lanes: Constant, n_vectors: Constant, n_channels: Constant, kind: Constant,
) -> Intrinsic | None:  # fmt: skip
    """One of the passes over the pixels of an image, for ``n_vectors`` vectors of channels."""
    constants = (double, lanes, n_vectors, n_channels, kind)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_vectors, n_channels, kind = numbers(constants)
    n_streams, n_parameters, n_sums, writes, function = _PASSES[kind]

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        *streams, parameters, out, sums, n_pixels = arguments[:7]
        emit = Emitter(builder, double, lanes)
        step = n_channels * emit.size
        places = [vector * lanes * emit.size for vector in range(n_vectors)]
        values = [
            [emit.load(emit.plus(parameters, number * step + place), emit.vector)
             for number in range(n_parameters)]
            for place in places
        ]  # fmt: skip
        totals = emit.sums(n_vectors, n_sums)
        for row in totals:
            for variable in row:
                builder.store(emit.zeros, variable)

        def pixel(p: ir.Value) -> None:
            shift = emit.times(p, step)
            for place, of_channel, row in zip(places, values, totals, strict=True):
                addresses = [builder.add(stream, shift) for stream in streams[:n_streams]]
                read = [emit.load(emit.plus(address, place), emit.vector) for address in addresses]
                written, terms = function(emit, *read, *of_channel)
                if writes:
                    emit.store(written, emit.plus(builder.add(out, shift), place))
                for variable, term in zip(row, terms, strict=True):
                    builder.store(builder.fadd(builder.load(variable), term), variable)

        emit.loop(n_pixels, pixel)
        for place, row in zip(places, totals, strict=True):
            for number, variable in enumerate(row):
                address = emit.plus(sums, number * step + place)
                emit.store(builder.load(variable), address)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7, *constants), generate


@functools.cache
def _moments(n_channels: int, double: bool) -> Loop:
    """Compiled moments; a unit of the job is an image."""
    size = 8 if double else 4
    lanes, n_vectors = vectors(n_channels, double)
    n_blocks = n_channels // (lanes * n_vectors)

    @compiled("x", "out", "n_pixels", "n_images")
    def work(pointer: "ctypes._Pointer") -> None:
        job = carray(pointer, 1)[0]
        while True:
            image = count(pointer)
            if image >= job.n_images:
                break
            for block in range(n_blocks):
                place = block * n_vectors * lanes * size
                _moments_tile(
                    x=job.x + image * (job.n_pixels + 1) * n_channels * size + place,
                    out=job.out + image * 2 * n_channels * size + place,
                    n_pixels=job.n_pixels,
                    double=double, lanes=lanes, n_vectors=n_vectors, n_channels=n_channels,
                )  # fmt: skip

    return work


@functools.cache
def _pass(kind: str, n_channels: int, double: bool) -> Loop:
    """Compiled pass over the pixels; a unit of the job is an image."""
    size = 8 if double else 4
    lanes, n_vectors = vectors(n_channels, double)
    n_blocks = n_channels // (lanes * n_vectors)
    n_sums, writes = _PASSES[kind][2:4]

    @compiled("x", "second", "third", "parameters", "out", "sums", "n_pixels", "n_images")
    def work(pointer: "ctypes._Pointer") -> None:
        job = carray(pointer, 1)[0]
        while True:
            image = count(pointer)
            if image >= job.n_images:
                break
            shift = image * (job.n_pixels + 1) * n_channels * size
            for block in range(n_blocks):
                place = block * n_vectors * lanes * size
                _pass_tile(
                    x=job.x + shift + place,
                    second=job.second + shift + place,
                    third=job.third + shift + place,
                    parameters=job.parameters + place,
                    out=job.out + shift + place,
                    sums=job.sums + image * n_sums * n_channels * size + place,
                    n_pixels=job.n_pixels, kind=kind,
                    double=double, lanes=lanes, n_vectors=n_vectors, n_channels=n_channels,
                )  # fmt: skip
            if writes:
                fill(job.out + shift + job.n_pixels * n_channels * size, n_channels * size)

    return work


@library.custom_op("gammalearn::affine", mutates_args=(), device_types="cpu")
def affine(x: Tensor, scale: Tensor, offset: Tensor, relu: bool) -> Tensor:
    """``scale`` times features plus ``offset``, without a gradient.

    Parameters
    ----------
    x : Tensor, shape (n_images, n_pixels + 1, channels)
        float32 or float64.
    scale, offset : Tensor, shape (channels,)
    relu : bool
        Whether what is below zero becomes zero.

    Returns
    -------
    Tensor, shape (n_images, n_pixels + 1, channels)
        Zeros behind the last pixel.
    """
    kind = "affine, relu" if relu else "affine"
    return _passed(kind, (x,), torch.stack([scale, offset]))


@affine.register_fake
def _(x: Tensor, scale: Tensor, offset: Tensor, relu: bool) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def normalise(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Batch normalisation with the statistics of the batch.

    Parameters
    ----------
    x : Tensor, shape (n_images, n_pixels + 1, channels)
        float32 or float64; what lies behind the last pixel does not count.
    weight, bias : Tensor, shape (channels,)
    eps : float
        Added to the variance.
    relu : bool
        Whether a ReLU follows.

    Returns
    -------
    normalised : Tensor, shape (n_images, n_pixels + 1, channels)
        Zeros behind the last pixel.
    mean, variance : Tensor, shape (channels,)
        Of the batch, the variance divided by the number of values; without gradients.
    x : Tensor, shape (n_images, n_pixels + 1, channels)
        As it came, for another way around: the gradients of both ways are added in one pass.
    """
    return _Normalisation.apply(x, weight, bias, eps, relu)


@library.custom_op("gammalearn::normalise", mutates_args=(), device_types="cpu")
def _normalise(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    x = x.contiguous()
    n_images, n_cells, n_channels = x.shape
    moments = x.new_empty(n_images, 2, n_channels)
    _moments(n_channels, x.dtype == torch.float64).run(
        x=x, out=moments, n_pixels=n_cells - 1, n_images=n_images
    )
    # Those of images make those of the batch (Chan, Golub & LeVeque 1983).
    means, squares = moments.double().unbind(dim=1)
    within = squares.sum(dim=0) / (n_images * (n_cells - 1))
    mean, variance = means.mean(dim=0), within + means.var(dim=0, correction=0)
    mean, variance = mean.to(x.dtype), variance.to(x.dtype)
    kind = "affine, relu" if relu else "affine"
    parameters = _scale_and_offset(weight, bias, mean, variance, eps)
    return _passed(kind, (x,), torch.stack(parameters)), mean, variance


@_normalise.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    normalised = torch.empty_like(x, memory_format=torch.contiguous_format)
    return normalised, torch.empty_like(weight), torch.empty_like(weight)


@library.custom_op("gammalearn::normalise_backward", mutates_args=(), device_types="cpu")
def _normalise_backward(
    gradient: Tensor,
    other: Tensor | None,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    streams = [x.contiguous(), gradient.contiguous()]
    n_values = len(x) * (x.shape[1] - 1)
    inverse = torch.rsqrt(variance + eps)
    # Those of the forward pass to the last bit, as what its ReLU let pass depends on them.
    scale, offset = _scale_and_offset(weight, bias, mean, variance, eps)
    after = ", relu" if relu else ""
    by_bias, by_scale = _passed(f"sums{after}", streams, torch.stack([mean, scale, offset]))
    slope, shift = -scale * inverse.square() * by_scale / n_values, -scale * by_bias / n_values
    kind = "gradient"
    if other is not None:
        kind = "gradient, plus"
        streams.append(other.contiguous())
    parameters = torch.stack([mean, scale, offset, slope, shift])
    by_x = _passed(f"{kind}{after}", streams, parameters)
    return by_x, by_scale * inverse, by_bias


@_normalise_backward.register_fake
def _(
    gradient: Tensor,
    other: Tensor | None,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    by_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    return by_x, torch.empty_like(weight), torch.empty_like(weight)


class _Normalisation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        normalised, mean, variance = _normalise(x, weight, bias, eps, relu)
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.eps, ctx.relu = eps, relu
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return normalised, mean, variance, x

    @staticmethod
    def backward(
        ctx: Any,
        gradient: Tensor | None,
        _mean: Tensor | None,
        _variance: Tensor | None,
        other: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return other, None, None, None, None
        by_input = _normalise_backward(gradient, other, *ctx.saved_tensors, ctx.eps, ctx.relu)
        return *by_input, None, None


def _scale_and_offset(
    weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    scale = weight * torch.rsqrt(variance + eps)
    return scale, bias - mean * scale


def _passed(kind: str, streams: Sequence[Tensor], parameters: Tensor) -> Tensor:
    """The output of a pass, or its sums over images and pixels, shape (n_sums, channels)."""
    x = streams[0].contiguous()
    n_images, n_cells, n_channels = x.shape
    n_sums, writes = _PASSES[kind][2:4]
    out = torch.empty_like(x) if writes else x
    sums = x.new_empty(n_images, n_sums, n_channels)
    _, second, third = (*streams, None, None)[:3]
    _pass(kind, n_channels, x.dtype == torch.float64).run(
        x=x, second=second, third=third, parameters=parameters.to(x.dtype).contiguous(),
        out=out, sums=sums, n_pixels=n_cells - 1, n_images=n_images,
    )  # fmt: skip
    return out if writes else sums.sum(0, dtype=torch.float64).to(x.dtype)
