"""Convolution of the pixels of a camera with their neighbours.

The inner loop multiplies the inputs of a few pixels with weights loaded once for all of them, sums
staying in registers (Goto & van de Geijn 2008), as libraries of dense convolutions do.
"""

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import carray, types
from numba.core.base import BaseContext
from numba.core.typing import BaseContext as TypingContext
from numba.core.typing import Signature
from torch import Tensor, library

from .loops import (
    INT,
    N_REGISTERS,
    Constant,
    Emitter,
    Intrinsic,
    Loop,
    compiled,
    count,
    fill,
    integers,
    intrinsic,
    largest_divisor,
    numbers,
    vectors,
)

__all__ = ["convolve", "lookup", "transposed"]


def transposed(seen: np.ndarray, n_inputs: int) -> np.ndarray:
    """For each input and member of the kernel the output that sees it so, -1 for none.

    Parameters
    ----------
    seen : ndarray of int, shape (K, n_outputs)
        Input under each member of the kernel, -1 for none.
    n_inputs : int

    Returns
    -------
    ndarray of int, shape (K, n_inputs)
    """
    outputs = np.full((len(seen), n_inputs), -1)
    member, output = np.nonzero(seen >= 0)
    outputs[member, seen[member, output]] = output
    return outputs


def lookup(seen: np.ndarray, n_inputs: int) -> Tensor:
    """What `convolve` reads of a kernel: outputs that see the same members, one group each.

    The gradient of a convolution of stride 2 is one of groups: a pixel between two outputs
    belongs to two members of the kernel only. Absent ones at a camera's border count as zero.

    Parameters
    ----------
    seen : ndarray of int, shape (K, n_outputs)
        Input under each member of the kernel, -1 for none.
    n_inputs : int

    Returns
    -------
    Tensor of int32, shape (2 + 2 · n_groups + n_groups · K + n_outputs + n_outputs · K,)
        Number of groups and of outputs; number of outputs of each group; of members; the members;
        outputs, sorted by group; for each of these what it sees.
    """
    n_members, n_outputs = seen.shape
    present = seen >= 0
    # Rather than one group for every shape of border, few: those of members often seen.
    patterns, pattern = np.unique(present, axis=1, return_inverse=True)
    often = np.bincount(pattern.ravel(), minlength=patterns.shape[1]) >= n_outputs / 16
    groups = []
    rest = np.ones(n_outputs, dtype=bool)
    for members in sorted(patterns[:, often].T, key=np.sum):
        within = rest & ~present[~members].any(axis=0)
        if within.any():
            groups.append((members, np.flatnonzero(within)))
            rest &= ~within
    if rest.any():
        groups.append((present[:, rest].any(axis=1), np.flatnonzero(rest)))
    # Members of a group come first, in what it sees too.
    members = [np.argsort(~members, kind="stable") for members, _ in groups]
    inputs = [
        np.where(seen < 0, n_inputs, seen)[order][:, outputs].T
        for order, (_, outputs) in zip(members, groups, strict=True)
    ]
    parts = [
        np.array([len(groups), n_outputs]),
        [len(outputs) for _, outputs in groups],
        [members.sum() for members, _ in groups],
        *members,
        *(outputs for _, outputs in groups),
        *(rows.ravel() for rows in inputs),
    ]
    return torch.from_numpy(np.concatenate(parts).astype(np.int32))


@intrinsic(prefer_literal=True)
def _convolve_tile(
    context: TypingContext,
    x: types.Type, seen: types.Type, members: types.Type, n_members: types.Type,
    weight: types.Type, bias: types.Type, plus: types.Type, out: types.Type, outputs: types.Type,
    double: Constant, lanes: Constant, n_tile: Constant, n_vectors: Constant, n_kernel: Constant,
    n_in: Constant, n_out: Constant, adds: Constant, relu: Constant,
) -> Intrinsic | None:  # fmt: skip
    """Outputs of ``n_tile`` pixels in ``n_vectors`` vectors of channels, all addresses in bytes."""
    constants = (double, lanes, n_tile, n_vectors, n_kernel, n_in, n_out, adds, relu)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_tile, n_vectors, n_kernel, n_in, n_out, adds, relu = numbers(constants)

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        x, seen, members, n_members, weight, bias, plus, out, outputs = arguments[:9]
        emit = Emitter(builder, double, lanes)
        size = emit.size
        sums = emit.sums(n_tile, n_vectors)
        places = [
            emit.times(emit.index(emit.plus(outputs, 4 * p)), n_out * size) for p in range(n_tile)
        ]
        for place, row in zip(places, sums, strict=True):
            for vector, variable in enumerate(row):
                offset = vector * lanes * size
                start = emit.load(emit.plus(bias, offset), emit.vector)
                if adds:
                    address = emit.plus(builder.add(plus, place), offset)
                    start = builder.fadd(start, emit.load(address, emit.vector))
                builder.store(start, variable)
        n_unrolled = math.gcd(n_in, 8)

        def member(k: ir.Value) -> None:
            column = builder.add(seen, emit.times(k, 4))
            inputs = [
                builder.add(
                    x, emit.times(emit.index(emit.plus(column, 4 * n_kernel * p)), n_in * size)
                )
                for p in range(n_tile)
            ]
            of_member = emit.index(builder.add(members, emit.times(k, 4)))
            weights = builder.add(weight, emit.times(of_member, n_in * n_out * size))

            def channels(c: ir.Value) -> None:
                place = emit.times(c, n_unrolled * size)
                row = builder.add(weights, emit.times(c, n_unrolled * n_out * size))
                values = [[builder.load(variable) for variable in row] for row in sums]
                for u in range(n_unrolled):
                    factors = [
                        emit.load(emit.plus(row, (u * n_out + vector * lanes) * size), emit.vector)
                        for vector in range(n_vectors)
                    ]
                    for p, address in enumerate(inputs):
                        value = emit.broadcast(emit.plus(builder.add(address, place), u * size))
                        for vector, factor in enumerate(factors):
                            values[p][vector] = emit.fma(value, factor, values[p][vector])
                for row, row_values in zip(sums, values, strict=True):
                    for variable, value in zip(row, row_values, strict=True):
                        builder.store(value, variable)

            emit.loop(ir.Constant(INT, n_in // n_unrolled), channels)

        emit.loop(n_members, member)
        for place, row in zip(places, sums, strict=True):
            address = builder.add(out, place)
            for vector, variable in enumerate(row):
                value = builder.load(variable)
                if relu:
                    value = emit.where_positive(value, value)
                emit.store(value, emit.plus(address, vector * lanes * size))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 9, *constants), generate


@intrinsic(prefer_literal=True)
def _outer_tile(
    context: TypingContext,
    x: types.Type, seen: types.Type, gradient: types.Type, n_pixels: types.Type, out: types.Type,
    double: Constant, lanes: Constant, n_rows: Constant, n_members: Constant, n_vectors: Constant,
    n_kernel: Constant, n_in: Constant, n_out: Constant,
) -> Intrinsic | None:  # fmt: skip
    """Add the gradient of some weights: ``n_members`` of the kernel, ``n_rows`` of its inputs."""
    constants = (double, lanes, n_rows, n_members, n_vectors, n_kernel, n_in, n_out)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_rows, n_members, n_vectors, n_kernel, n_in, n_out = numbers(constants)

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        x, seen, gradient, n_pixels, out = arguments[:5]
        emit = Emitter(builder, double, lanes)
        size = emit.size
        places = [(k, c) for k in range(n_members) for c in range(n_rows)]
        sums = emit.sums(len(places), n_vectors)
        for row in sums:
            for variable in row:
                builder.store(emit.zeros, variable)

        def pixel(p: ir.Value) -> None:
            address = builder.add(gradient, emit.times(p, n_out * size))
            factors = [
                emit.load(emit.plus(address, vector * lanes * size), emit.vector)
                for vector in range(n_vectors)
            ]
            column = builder.add(seen, emit.times(p, 4 * n_kernel))
            inputs = [
                builder.add(x, emit.times(emit.index(emit.plus(column, 4 * k)), n_in * size))
                for k in range(n_members)
            ]
            for (k, c), row in zip(places, sums, strict=True):
                value = emit.broadcast(emit.plus(inputs[k], c * size))
                for factor, variable in zip(factors, row, strict=True):
                    builder.store(emit.fma(value, factor, builder.load(variable)), variable)

        emit.loop(n_pixels, pixel)
        for (k, c), row in zip(places, sums, strict=True):
            for vector, variable in enumerate(row):
                address = emit.plus(out, ((k * n_in + c) * n_out + vector * lanes) * size)
                total = builder.fadd(emit.load(address, emit.vector), builder.load(variable))
                emit.store(total, address)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5, *constants), generate


@functools.cache
def _convolution(
    n_kernel: int, n_in: int, n_out: int, double: bool, adds: bool, relu: bool
) -> Loop:
    """Compiled convolution; a unit of the job is one of ``n_parts`` parts of an image."""
    size = 8 if double else 4
    lanes, n_vectors = vectors(n_out, double)
    n_tile = min(12, (N_REGISTERS - 1 - n_vectors) // n_vectors)
    n_blocks = n_out // (lanes * n_vectors)

    @compiled("x", "weight", "bias", "plus", "out", "table", "n_inputs", "n_images", "n_parts")
    def work(pointer: "ctypes._Pointer") -> None:
        job = carray(pointer, 1)[0]
        head = carray(integers(job.table), 2)
        n_groups, n_outputs = head[0], head[1]
        sizes = carray(integers(job.table), 2 + 2 * n_groups)
        while True:
            unit = count(pointer)
            if unit >= job.n_images * job.n_parts:
                break
            image, part = unit // job.n_parts, unit % job.n_parts
            of_image = job.x + image * (job.n_inputs + 1) * n_in * size
            of_outputs = image * (n_outputs + 1) * n_out * size
            plus, out = job.plus + of_outputs, job.out + of_outputs
            members = job.table + 4 * (2 + 2 * n_groups)
            outputs = members + 4 * n_groups * n_kernel
            seen = outputs + 4 * n_outputs
            for group in range(n_groups):
                n_pixels, n_members = sizes[2 + group], sizes[2 + n_groups + group]
                start = n_pixels * part // job.n_parts
                stop = n_pixels * (part + 1) // job.n_parts
                for block in range(n_blocks):
                    shift = block * n_vectors * lanes * size
                    weight, bias = job.weight + shift, job.bias + shift
                    if stop - start >= n_tile:
                        for pixel in range(start, stop, n_tile):
                            # The last tile overlaps the one before.
                            first = min(pixel, stop - n_tile)
                            _convolve_tile(
                                x=of_image, seen=seen + 4 * n_kernel * first,
                                members=members, n_members=n_members,
                                weight=weight, bias=bias, plus=plus + shift,
                                out=out + shift, outputs=outputs + 4 * first,
                                double=double, lanes=lanes, n_tile=n_tile, n_vectors=n_vectors,
                                n_kernel=n_kernel, n_in=n_in, n_out=n_out, adds=adds, relu=relu,
                            )  # fmt: skip
                    else:
                        for first in range(start, stop):
                            _convolve_tile(
                                x=of_image, seen=seen + 4 * n_kernel * first,
                                members=members, n_members=n_members,
                                weight=weight, bias=bias, plus=plus + shift,
                                out=out + shift, outputs=outputs + 4 * first,
                                double=double, lanes=lanes, n_tile=1, n_vectors=n_vectors,
                                n_kernel=n_kernel, n_in=n_in, n_out=n_out, adds=adds, relu=relu,
                            )  # fmt: skip
                members += 4 * n_kernel
                outputs += 4 * n_pixels
                seen += 4 * n_kernel * n_pixels
            if part == 0:
                fill(out + n_outputs * n_out * size, n_out * size)

    return work


@functools.cache
def _outer_product(n_kernel: int, n_in: int, n_out: int, double: bool) -> Loop:
    """Compiled gradient of weights; a unit of the job is one of ``n_parts`` parts of the images."""
    size = 8 if double else 4
    lanes, n_vectors = vectors(n_out, double)
    n_sums = 3 * N_REGISTERS // 4
    n_rows = largest_divisor(n_in, n_sums // n_vectors)
    n_members = largest_divisor(n_kernel, n_sums // n_vectors // n_in)
    n_blocks = n_out // (lanes * n_vectors)

    @compiled("x", "gradient", "out", "seen", "n_inputs", "n_outputs", "n_images", "n_parts")
    def work(pointer: "ctypes._Pointer") -> None:
        job = carray(pointer, 1)[0]
        while True:
            part = count(pointer)
            if part >= job.n_parts:
                break
            own = job.out + part * n_kernel * n_in * n_out * size
            fill(own, n_kernel * n_in * n_out * size)
            start = job.n_images * part // job.n_parts
            stop = job.n_images * (part + 1) // job.n_parts
            for image in range(start, stop):
                of_image = job.x + image * (job.n_inputs + 1) * n_in * size
                of_output = job.gradient + image * (job.n_outputs + 1) * n_out * size
                for member in range(0, n_kernel, n_members):
                    for row in range(0, n_in, n_rows):
                        for block in range(n_blocks):
                            shift = block * n_vectors * lanes * size
                            _outer_tile(
                                x=of_image + row * size,
                                seen=job.seen + 4 * member,
                                gradient=of_output + shift,
                                n_pixels=job.n_outputs,
                                out=own + (member * n_in + row) * n_out * size + shift,
                                double=double, lanes=lanes, n_rows=n_rows, n_members=n_members,
                                n_vectors=n_vectors, n_kernel=n_kernel, n_in=n_in, n_out=n_out,
                            )  # fmt: skip

    return work


@library.custom_op("gammalearn::convolve", mutates_args=(), device_types="cpu")
def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plus: Tensor | None,
    relu: bool,
    seen: Tensor,
    seen_by: Tensor,
    neighbours: Tensor,
) -> Tensor:
    """Convolution of features with their neighbours, and what comes with it.

    Parameters
    ----------
    x : Tensor, shape (n_images, n_inputs + 1, in_channels)
        float32 or float64; zeros behind the last pixel.
    weight : Tensor, shape (K, in_channels, out_channels)
    bias : Tensor, shape (out_channels,), or None
    plus : Tensor, shape (n_images, n_outputs + 1, out_channels), or None
        Added to the convolution.
    relu : bool
        Whether what is below zero becomes zero then.
    seen, seen_by : Tensor of int32
        `lookup` of the kernel and of its transpose.
    neighbours : Tensor of int32, shape (n_outputs, K)
        Input under each member of the kernel, ``n_inputs`` for none.

    Returns
    -------
    Tensor, shape (n_images, n_outputs + 1, out_channels)
        Zeros behind the last pixel.
    """
    return _convolved(x, weight, bias, plus, relu, seen, len(neighbours))


@convolve.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plus: Tensor | None,
    relu: bool,
    seen: Tensor,
    seen_by: Tensor,
    neighbours: Tensor,
) -> Tensor:
    return x.new_empty(x.shape[0], neighbours.shape[0] + 1, weight.shape[2])


@library.custom_op("gammalearn::convolve_backward", mutates_args=(), device_types="cpu")
def _by_input(gradient: Tensor, weight: Tensor, seen_by: Tensor, n_inputs: int) -> Tensor:
    # What follows, a mean over pixels say, may give a gradient to what stands for absent pixels.
    if gradient[:, -1].any():
        gradient = torch.nn.functional.pad(gradient[:, :-1], (0, 0, 0, 1))
    return _convolved(gradient, weight.transpose(1, 2), None, None, False, seen_by, n_inputs)


@_by_input.register_fake
def _(gradient: Tensor, weight: Tensor, seen_by: Tensor, n_inputs: int) -> Tensor:
    return gradient.new_empty(gradient.shape[0], n_inputs + 1, weight.shape[1])


@library.custom_op("gammalearn::convolve_weight", mutates_args=(), device_types="cpu")
def _by_weight(x: Tensor, gradient: Tensor, neighbours: Tensor) -> Tensor:
    x, gradient = x.contiguous(), gradient.contiguous()
    n_images, n_in, n_out, n_kernel = len(x), x.shape[2], gradient.shape[2], neighbours.shape[1]
    n_parts = min(max(1, n_images), 2 * torch.get_num_threads())
    sums = x.new_empty(n_parts, n_kernel, n_in, n_out)
    _outer_product(n_kernel, n_in, n_out, x.dtype == torch.float64).run(
        x=x, gradient=gradient, out=sums, seen=neighbours,
        n_inputs=x.shape[1] - 1, n_outputs=gradient.shape[1] - 1,
        n_images=n_images, n_parts=n_parts,
    )  # fmt: skip
    return sums.sum(0)


@_by_weight.register_fake
def _(x: Tensor, gradient: Tensor, neighbours: Tensor) -> Tensor:
    return x.new_empty(neighbours.shape[1], x.shape[2], gradient.shape[2])


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, _, relu, _, seen_by, neighbours = inputs
    ctx.save_for_backward(x, weight, seen_by, neighbours, output if relu else None)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, seen_by, neighbours, rectified = ctx.saved_tensors
    if rectified is not None:
        gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
    by_x = by_weight = by_bias = None
    if ctx.needs_input_grad[0]:
        by_x = _by_input(gradient, weight, seen_by, x.shape[1] - 1)
    if ctx.needs_input_grad[1]:
        by_weight = _by_weight(x, gradient, neighbours)
    if ctx.needs_input_grad[2]:
        by_bias = gradient[:, :-1].sum((0, 1))
    by_plus = gradient if ctx.needs_input_grad[3] else None
    return by_x, by_weight, by_bias, by_plus, None, None, None, None


convolve.register_autograd(_backward, setup_context=_setup)


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plus: Tensor | None,
    relu: bool,
    seen: Tensor,
    n_outputs: int,
) -> Tensor:
    x, weight = x.contiguous(), weight.contiguous()
    n_kernel, n_in, n_out = weight.shape
    bias = x.new_zeros(n_out) if bias is None else bias.contiguous()
    plus = None if plus is None else plus.contiguous()
    out = x.new_empty(len(x), n_outputs + 1, n_out)
    # Parts of an image, so that there is work for all threads.
    n_parts = max(1, 2 * torch.get_num_threads() // max(1, len(x)))
    _convolution(n_kernel, n_in, n_out, x.dtype == torch.float64, plus is not None, relu).run(
        x=x, weight=weight, bias=bias, plus=plus, out=out, table=seen,
        n_inputs=x.shape[1] - 1, n_images=len(x), n_parts=n_parts,
    )  # fmt: skip
    return out
