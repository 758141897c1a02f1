"""Features weighed by one number a pixel and one a channel."""

import ctypes
import functools
from collections.abc import Sequence
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

__all__ = ["weigh"]


@intrinsic(prefer_literal=True)
def _weigh_tile(
    context: TypingContext,
    x: types.Type,
    of_pixel: types.Type,
    of_channel: types.Type,
    out: types.Type,
    n_pixels: types.Type,
    double: Constant,
    lanes: Constant,
    n_vectors: Constant,
    n_channels: Constant,
) -> Intrinsic | None:
    """Values of an image times one number a pixel and one a channel."""
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
        x, of_pixel, of_channel, out, n_pixels = arguments[:5]
        emit = Emitter(builder, double, lanes)
        step = n_channels * emit.size
        places = [vector * lanes * emit.size for vector in range(n_vectors)]
        factors = [emit.load(emit.plus(of_channel, place), emit.vector) for place in places]

        def pixel(p: ir.Value) -> None:
            number = emit.broadcast(builder.add(of_pixel, emit.times(p, emit.size)))
            shift = emit.times(p, step)
            for place, factor in zip(places, factors, strict=True):
                value = emit.load(emit.plus(builder.add(x, shift), place), emit.vector)
                value = builder.fmul(builder.fmul(value, factor), number)
                emit.store(value, emit.plus(builder.add(out, shift), place))

        emit.loop(n_pixels, pixel)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5, *constants), generate


@intrinsic(prefer_literal=True)
def _weigh_gradient_tile(
    context: TypingContext,
    x: types.Type, gradient: types.Type, of_pixel: types.Type, of_channel: types.Type,
    by_x: types.Type, by_pixel: types.Type, by_channel: types.Type, n_pixels: types.Type,
    double: Constant, lanes: Constant, n_vectors: Constant, n_channels: Constant,
) -> Intrinsic | None:  # fmt: skip
    """Gradients of what `_weigh_tile` does; that of the pixels' numbers is added up."""
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
        x, gradient, of_pixel, of_channel, by_x, by_pixel, by_channel, n_pixels = arguments[:8]
        emit = Emitter(builder, double, lanes)
        step = n_channels * emit.size
        places = [vector * lanes * emit.size for vector in range(n_vectors)]
        factors = [emit.load(emit.plus(of_channel, place), emit.vector) for place in places]
        (totals,) = emit.sums(1, n_vectors)
        for variable in totals:
            builder.store(emit.zeros, variable)

        def pixel(p: ir.Value) -> None:
            number = emit.broadcast(builder.add(of_pixel, emit.times(p, emit.size)))
            shift = emit.times(p, step)
            products = emit.zeros
            for place, factor, variable in zip(places, factors, totals, strict=True):
                value = emit.load(emit.plus(builder.add(x, shift), place), emit.vector)
                slope = emit.load(emit.plus(builder.add(gradient, shift), place), emit.vector)
                weighed = builder.fmul(slope, factor)
                products = emit.fma(weighed, value, products)
                product = emit.fma(builder.fmul(slope, value), number, builder.load(variable))
                builder.store(product, variable)
                address = emit.plus(builder.add(by_x, shift), place)
                emit.store(builder.fmul(weighed, number), address)
            address = builder.add(by_pixel, emit.times(p, emit.size))
            before = emit.load(address, emit.scalar)
            emit.store_scalar(builder.fadd(before, emit.total(products)), address)

        emit.loop(n_pixels, pixel)
        for place, variable in zip(places, totals, strict=True):
            emit.store(builder.load(variable), emit.plus(by_channel, place))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8, *constants), generate


@functools.cache
def _weighing(n_channels: int, double: bool) -> Loop:
    """Compiled weighing; a unit of the job is an image."""
    size = 8 if double else 4
    lanes, n_vectors = vectors(n_channels, double)
    n_blocks = n_channels // (lanes * n_vectors)

    @compiled("x", "of_pixel", "of_channel", "out", "n_pixels", "n_images")
    def work(pointer: "ctypes._Pointer") -> None:
        job = carray(pointer, 1)[0]
        while True:
            image = count(pointer)
            if image >= job.n_images:
                break
            shift = image * (job.n_pixels + 1) * n_channels * size
            pixels = image * (job.n_pixels + 1) * size
            for block in range(n_blocks):
                place = block * n_vectors * lanes * size
                _weigh_tile(
                    x=job.x + shift + place,
                    of_pixel=job.of_pixel + pixels,
                    of_channel=job.of_channel + image * n_channels * size + place,
                    out=job.out + shift + place,
                    n_pixels=job.n_pixels,
                    double=double, lanes=lanes, n_vectors=n_vectors, n_channels=n_channels,
                )  # fmt: skip
            fill(job.out + shift + job.n_pixels * n_channels * size, n_channels * size)

    return work


@functools.cache
def _weighing_gradient(n_channels: int, double: bool) -> Loop:
    """Compiled gradient of a weighing; a unit of the job is an image."""
    size = 8 if double else 4
    lanes, n_vectors = vectors(n_channels, double)
    n_blocks = n_channels // (lanes * n_vectors)

    @compiled(
        "x", "gradient", "of_pixel", "of_channel", "by_x", "by_pixel", "by_channel",
        "n_pixels", "n_images",
    )  # fmt: skip
    def work(pointer: "ctypes._Pointer") -> None:
        job = carray(pointer, 1)[0]
        while True:
            image = count(pointer)
            if image >= job.n_images:
                break
            shift = image * (job.n_pixels + 1) * n_channels * size
            pixels = image * (job.n_pixels + 1) * size
            fill(job.by_pixel + pixels, (job.n_pixels + 1) * size)
            for block in range(n_blocks):
                place = block * n_vectors * lanes * size
                of_image = image * n_channels * size + place
                _weigh_gradient_tile(
                    x=job.x + shift + place,
                    gradient=job.gradient + shift + place,
                    of_pixel=job.of_pixel + pixels,
                    of_channel=job.of_channel + of_image,
                    by_x=job.by_x + shift + place,
                    by_pixel=job.by_pixel + pixels,
                    by_channel=job.by_channel + of_image,
                    n_pixels=job.n_pixels,
                    double=double, lanes=lanes, n_vectors=n_vectors, n_channels=n_channels,
                )  # fmt: skip
            fill(job.by_x + shift + job.n_pixels * n_channels * size, n_channels * size)

    return work


@library.custom_op("gammalearn::weigh", mutates_args=(), device_types="cpu")
def weigh(x: Tensor, of_pixel: Tensor, of_channel: Tensor) -> Tensor:
    """Features times one number a pixel and one a channel.

    Parameters
    ----------
    x : Tensor, shape (n_images, n_pixels + 1, channels)
        float32 or float64.
    of_pixel : Tensor, shape (n_images, n_pixels + 1)
    of_channel : Tensor, shape (n_images, channels)

    Returns
    -------
    Tensor, shape (n_images, n_pixels + 1, channels)
        Zeros behind the last pixel.
    """
    x, of_pixel, of_channel = x.contiguous(), of_pixel.contiguous(), of_channel.contiguous()
    n_images, n_cells, n_channels = x.shape
    out = torch.empty_like(x)
    _weighing(n_channels, x.dtype == torch.float64).run(
        x=x, of_pixel=of_pixel, of_channel=of_channel, out=out,
        n_pixels=n_cells - 1, n_images=n_images,
    )  # fmt: skip
    return out


@weigh.register_fake
def _(x: Tensor, of_pixel: Tensor, of_channel: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@library.custom_op("gammalearn::weigh_backward", mutates_args=(), device_types="cpu")
def _weigh_backward(
    gradient: Tensor, x: Tensor, of_pixel: Tensor, of_channel: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    x, of_pixel, of_channel = x.contiguous(), of_pixel.contiguous(), of_channel.contiguous()
    by_x, by_pixel, by_channel = map(torch.empty_like, (x, of_pixel, of_channel))
    n_images, n_cells, n_channels = x.shape
    _weighing_gradient(n_channels, x.dtype == torch.float64).run(
        x=x, gradient=gradient.contiguous(), of_pixel=of_pixel, of_channel=of_channel,
        by_x=by_x, by_pixel=by_pixel, by_channel=by_channel,
        n_pixels=n_cells - 1, n_images=n_images,
    )  # fmt: skip
    return by_x, by_pixel, by_channel


@_weigh_backward.register_fake
def _(gradient: Tensor, x: Tensor, of_pixel: Tensor, of_channel: Tensor) -> tuple[Tensor, ...]:
    return tuple(
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        for tensor in (x, of_pixel, of_channel)
    )


def _setup_weigh(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward_weigh(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
    return _weigh_backward(gradient, *ctx.saved_tensors)


weigh.register_autograd(_backward_weigh, setup_context=_setup_weigh)
