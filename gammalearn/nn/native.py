"""Convolution and normalisation of the pixels of a camera, compiled for this CPU.

A hexagonal kernel on the cells of a round camera's index matrix spends half of its multiplications
on cells without a pixel and on corners of the square that are no neighbours. Here only neighbours
count. Features are (n_images, n_pixels + 1, channels): the values of a pixel side by side, and
behind the last pixel one of zeros that stands for neighbours that are not there. The inner loop
multiplies the inputs of a few pixels with weights loaded once for all of them, sums staying in
registers (Goto & van de Geijn 2008), as libraries of dense convolutions do. Normalisation reads
and writes the features as few times as it can: an image at a time, which stays in the cache.

Numba compiles it; loops run on the OpenMP threads of torch, as two pools would fight for the cores.
"""

import ctypes
import functools
import math

import llvmlite.binding
import numpy as np
import torch
from llvmlite import ir
from numba import carray, cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

__all__ = ["affine", "convolve", "is_available", "lookup", "normalise", "takes", "transposed"]

_INT = ir.IntType(64)
_INDEX = ir.IntType(32)


def _vector_unit() -> tuple[int, int]:
    """Bytes of a vector register of this CPU and how many there are."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx2"):
        return 32, 16
    return 16, 16


VECTOR_BYTES, N_REGISTERS = _vector_unit()


@functools.cache
def _openmp():
    """The OpenMP runtime that torch runs on, None where it is none of GNU's interface."""
    try:
        library = ctypes.CDLL(torch._C.__file__)
        library.GOMP_parallel.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_uint,
        ]
    except (AttributeError, OSError):
        return None
    return library


def is_available() -> bool:
    """Whether the CPU has vectors wide enough for this to pay, and torch's threads can be used."""
    return VECTOR_BYTES >= 32 and _openmp() is not None


def takes(features: Tensor, weight: Tensor) -> bool:
    """Whether features and weights are on the CPU and of types that the loops are made for."""
    return (
        features.device.type == "cpu"
        and features.dtype == weight.dtype
        and features.dtype in (torch.float32, torch.float64)
    )


# -- which pixels are seen -------------------------------------------------------------------------


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


# -- inner loops, in LLVM's language ---------------------------------------------------------------


class _Emitter:
    """Writes loads, stores and loops on vectors of some lanes at addresses in bytes."""

    def __init__(self, builder, double, lanes):
        self.builder = builder
        self.scalar, self.size = (ir.DoubleType(), 8) if double else (ir.FloatType(), 4)
        self.lanes = lanes
        self.vector = ir.VectorType(self.scalar, lanes)
        self.undefined = ir.Constant(self.vector, ir.Undefined)
        self.zeros = ir.Constant(self.vector, [0.0] * lanes)
        name = f"llvm.fma.v{lanes}f{8 * self.size}"
        signature = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, signature, name)

    def plus(self, address, offset):
        return self.builder.add(address, ir.Constant(_INT, offset)) if offset else address

    def times(self, index, step):
        return self.builder.mul(index, ir.Constant(_INT, step))

    def load(self, address, kind):
        value = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        value.align = 4 if kind is _INDEX else self.size
        return value

    def store(self, value, address):
        self.builder.store(
            value, self.builder.inttoptr(address, self.vector.as_pointer())
        ).align = self.size

    def index(self, address):
        return self.builder.sext(self.load(address, _INDEX), _INT)

    def broadcast(self, address):
        """A vector of one value."""
        value = self.load(address, self.scalar)
        one = self.builder.insert_element(self.undefined, value, ir.Constant(_INDEX, 0))
        zeros = ir.Constant(ir.VectorType(_INDEX, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, self.undefined, zeros)

    def fma(self, a, b, c):
        return self.builder.call(self._fma, [a, b, c])

    def where_positive(self, condition, value):
        """``value`` where ``condition`` is above zero, and zero elsewhere."""
        positive = self.builder.fcmp_ordered(">", condition, self.zeros)
        return self.builder.select(positive, value, self.zeros)

    def sums(self, n_rows, n_vectors):
        """Variables; LLVM keeps them in registers."""
        return [
            [cgutils.alloca_once(self.builder, self.vector) for _ in range(n_vectors)]
            for _ in range(n_rows)
        ]

    def loop(self, count, body):
        with cgutils.for_range(self.builder, count, intp=_INT) as loop:
            body(loop.index)


def _numbers(arguments):
    return [argument.literal_value for argument in arguments]


@intrinsic(prefer_literal=True)
def _convolve_tile(
    context, x, seen, members, n_members, weight, start, out, outputs,
    double, lanes, n_tile, n_vectors, n_kernel, n_in, n_out,
):  # fmt: skip
    """Outputs of ``n_tile`` pixels in ``n_vectors`` vectors of channels, all addresses in bytes."""
    constants = (double, lanes, n_tile, n_vectors, n_kernel, n_in, n_out)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_tile, n_vectors, n_kernel, n_in, n_out = _numbers(constants)

    def generate(context, builder, signature, arguments):
        x, seen, members, n_members, weight, start, out, outputs = arguments[:8]
        emit = _Emitter(builder, double, lanes)
        size = emit.size
        sums = emit.sums(n_tile, n_vectors)
        for row in sums:
            for vector, variable in enumerate(row):
                offset = vector * lanes * size
                builder.store(emit.load(emit.plus(start, offset), emit.vector), variable)
        n_unrolled = math.gcd(n_in, 8)

        def member(k):
            column = builder.add(seen, emit.times(k, 4))
            inputs = [
                builder.add(
                    x, emit.times(emit.index(emit.plus(column, 4 * n_kernel * p)), n_in * size)
                )
                for p in range(n_tile)
            ]
            of_member = emit.index(builder.add(members, emit.times(k, 4)))
            weights = builder.add(weight, emit.times(of_member, n_in * n_out * size))

            def channels(c):
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

            emit.loop(ir.Constant(_INT, n_in // n_unrolled), channels)

        emit.loop(n_members, member)
        for p, row in enumerate(sums):
            address = emit.times(emit.index(emit.plus(outputs, 4 * p)), n_out * size)
            address = builder.add(out, address)
            for vector, variable in enumerate(row):
                emit.store(builder.load(variable), emit.plus(address, vector * lanes * size))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8, *constants), generate


@intrinsic(prefer_literal=True)
def _outer_tile(
    context, x, seen, gradient, n_pixels, out,
    double, lanes, n_rows, n_members, n_vectors, n_kernel, n_in, n_out,
):  # fmt: skip
    """Add the gradient of some weights: ``n_members`` of the kernel, ``n_rows`` of its inputs."""
    constants = (double, lanes, n_rows, n_members, n_vectors, n_kernel, n_in, n_out)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_rows, n_members, n_vectors, n_kernel, n_in, n_out = _numbers(constants)

    def generate(context, builder, signature, arguments):
        x, seen, gradient, n_pixels, out = arguments[:5]
        emit = _Emitter(builder, double, lanes)
        size = emit.size
        places = [(k, c) for k in range(n_members) for c in range(n_rows)]
        sums = emit.sums(len(places), n_vectors)
        for row in sums:
            for variable in row:
                builder.store(emit.zeros, variable)

        def pixel(p):
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


def _moments(emit, x, shift):
    """Sums of values and of their squares, from a shift."""
    difference = emit.builder.fsub(x, shift)
    return None, (difference, emit.builder.fmul(difference, difference))


def _scaled(relu, emit, x, scale, offset):
    value = emit.fma(x, scale, offset)
    return emit.where_positive(value, value) if relu else value, ()


def _sums_of_gradient(relu, emit, x, gradient, normalised, mean):
    """Sums of a gradient, and of it times what it is the gradient of."""
    if relu:
        gradient = emit.where_positive(normalised, gradient)
    centred = emit.builder.fsub(x, mean)
    return None, (gradient, emit.builder.fmul(gradient, centred))


def _gradient_of_input(relu, emit, x, gradient, normalised, mean, scale, slope, offset):
    if relu:
        gradient = emit.where_positive(normalised, gradient)
    centred = emit.builder.fsub(x, mean)
    return emit.fma(gradient, scale, emit.fma(centred, slope, offset)), ()


#: What is done with each value: (streams read, constants of a channel, sums, written?, function).
_PASSES = {
    "moments": (1, 1, 2, False, _moments),
    "affine": (1, 2, 0, True, functools.partial(_scaled, False)),
    "affine, relu": (1, 2, 0, True, functools.partial(_scaled, True)),
    "sums": (3, 1, 2, False, functools.partial(_sums_of_gradient, False)),
    "sums, relu": (3, 1, 2, False, functools.partial(_sums_of_gradient, True)),
    "gradient": (3, 4, 0, True, functools.partial(_gradient_of_input, False)),
    "gradient, relu": (3, 4, 0, True, functools.partial(_gradient_of_input, True)),
}


@intrinsic(prefer_literal=True)
def _pass_tile(
    context, x, second, third, parameters, out, sums, n_pixels,
    double, lanes, n_vectors, n_channels, kind,
):  # fmt: skip
    """One of the passes over the pixels of an image, for ``n_vectors`` vectors of channels."""
    constants = (double, lanes, n_vectors, n_channels, kind)
    if not all(isinstance(constant, types.Literal) for constant in constants):
        return None
    double, lanes, n_vectors, n_channels, kind = _numbers(constants)
    n_streams, n_parameters, n_sums, writes, function = _PASSES[kind]

    def generate(context, builder, signature, arguments):
        *streams, parameters, out, sums, n_pixels = arguments[:7]
        emit = _Emitter(builder, double, lanes)
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

        def pixel(p):
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


@intrinsic
def _count(context, pointer):
    """Add one to the number at an address and return what it was, whatever other threads do."""

    def generate(context, builder, signature, arguments):
        number = builder.bitcast(arguments[0], _INT.as_pointer())
        return builder.atomic_rmw("add", number, ir.Constant(_INT, 1), "monotonic")

    return types.int64(types.voidptr), generate


@intrinsic
def _fill(context, address, n_bytes):
    """Set bytes to zero."""

    def generate(context, builder, signature, arguments):
        address, n_bytes = arguments
        bytes_ = builder.inttoptr(address, ir.IntType(8).as_pointer())
        cgutils.memset(builder, bytes_, n_bytes, 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@intrinsic
def _integers(context, address):
    """The pointer to 32-bit integers at an address."""
    pointer = types.CPointer(types.int32)

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], _INDEX.as_pointer())

    return pointer(types.intp), generate


# -- loops over images and pixels, the same for all threads ----------------------------------------


def _largest_divisor(number: int, limit: int) -> int:
    return max(d for d in range(1, max(1, min(number, limit)) + 1) if number % d == 0)


def _vectors(n_channels: int, double: bool) -> tuple[int, int]:
    """Lanes of a vector and vectors at a time, for so many channels of the output."""
    lanes = math.gcd(n_channels, VECTOR_BYTES // (8 if double else 4))
    return lanes, _largest_divisor(n_channels // lanes, N_REGISTERS // 8)


def _compiled(function):
    return cfunc(types.void(types.voidptr), cache=True)(function)


@functools.cache
def _convolution(n_kernel: int, n_in: int, n_out: int, double: bool):
    """Compiled convolution, a function of the address of its arguments."""
    size = 8 if double else 4
    lanes, n_vectors = _vectors(n_out, double)
    n_tile = min(12, (N_REGISTERS - 1 - n_vectors) // n_vectors)
    n_blocks = n_out // (lanes * n_vectors)

    def work(pointer):
        arguments = carray(pointer, 9, np.int64)
        x, weight, bias, out, place = arguments[1:6]
        n_inputs, n_images, n_parts = arguments[6:9]
        head = carray(_integers(place), 2)
        n_groups, n_outputs = head[0], head[1]
        table = carray(_integers(place), 2 + (2 + n_kernel) * n_groups)
        while True:
            unit = _count(pointer)
            if unit >= n_images * n_parts:
                break
            image, part = unit // n_parts, unit % n_parts
            of_image = x + image * (n_inputs + 1) * n_in * size
            result = out + image * (n_outputs + 1) * n_out * size
            members = place + 4 * (2 + 2 * n_groups)
            outputs = members + 4 * n_groups * n_kernel
            seen = outputs + 4 * n_outputs
            for group in range(n_groups):
                n_pixels, n_members = table[2 + group], table[2 + n_groups + group]
                start, stop = n_pixels * part // n_parts, n_pixels * (part + 1) // n_parts
                for block in range(n_blocks):
                    shift = block * n_vectors * lanes * size
                    if stop - start >= n_tile:
                        for pixel in range(start, stop, n_tile):
                            # The last tile overlaps the one before.
                            first = min(pixel, stop - n_tile)
                            _convolve_tile(
                                of_image, seen + 4 * n_kernel * first, members, n_members,
                                weight + shift, bias + shift,
                                result + shift, outputs + 4 * first,
                                double, lanes, n_tile, n_vectors, n_kernel, n_in, n_out,
                            )  # fmt: skip
                    else:
                        for first in range(start, stop):
                            _convolve_tile(
                                of_image, seen + 4 * n_kernel * first, members, n_members,
                                weight + shift, bias + shift,
                                result + shift, outputs + 4 * first,
                                double, lanes, 1, n_vectors, n_kernel, n_in, n_out,
                            )  # fmt: skip
                members += 4 * n_kernel
                outputs += 4 * n_pixels
                seen += 4 * n_kernel * n_pixels
            if part == 0:
                _fill(result + n_outputs * n_out * size, n_out * size)

    return _compiled(work)


@functools.cache
def _outer_product(n_kernel: int, n_in: int, n_out: int, double: bool):
    """Compiled gradient of weights, a function of the address of its arguments."""
    size = 8 if double else 4
    lanes, n_vectors = _vectors(n_out, double)
    n_sums = 3 * N_REGISTERS // 4
    n_rows = _largest_divisor(n_in, n_sums // n_vectors)
    n_members = _largest_divisor(n_kernel, n_sums // n_vectors // n_in)
    n_blocks = n_out // (lanes * n_vectors)

    def work(pointer):
        arguments = carray(pointer, 9, np.int64)
        x, gradient, out, seen = arguments[1:5]
        n_inputs, n_outputs, n_images, n_parts = arguments[5:9]
        while True:
            part = _count(pointer)
            if part >= n_parts:
                break
            own = out + part * n_kernel * n_in * n_out * size
            _fill(own, n_kernel * n_in * n_out * size)
            for image in range(n_images * part // n_parts, n_images * (part + 1) // n_parts):
                of_image = x + image * (n_inputs + 1) * n_in * size
                of_output = gradient + image * (n_outputs + 1) * n_out * size
                for member in range(0, n_kernel, n_members):
                    for row in range(0, n_in, n_rows):
                        for block in range(n_blocks):
                            shift = block * n_vectors * lanes * size
                            _outer_tile(
                                of_image + row * size, seen + 4 * member, of_output + shift,
                                n_outputs, own + (member * n_in + row) * n_out * size + shift,
                                double, lanes, n_rows, n_members, n_vectors,
                                n_kernel, n_in, n_out,
                            )  # fmt: skip

    return _compiled(work)


@functools.cache
def _pass(kind: str, n_channels: int, double: bool):
    """Compiled pass over images, a function of the address of its arguments."""
    size = 8 if double else 4
    lanes, n_vectors = _vectors(n_channels, double)
    n_blocks = n_channels // (lanes * n_vectors)
    n_sums, writes = _PASSES[kind][2:4]

    def work(pointer):
        arguments = carray(pointer, 9, np.int64)
        x, second, third, parameters, out, sums, n_pixels, n_images = arguments[1:9]
        while True:
            image = _count(pointer)
            if image >= n_images:
                break
            shift = image * (n_pixels + 1) * n_channels * size
            of_sums = sums + image * n_sums * n_channels * size
            for block in range(n_blocks):
                place = block * n_vectors * lanes * size
                _pass_tile(
                    x + shift + place, second + shift + place, third + shift + place,
                    parameters + place, out + shift + place, of_sums + place, n_pixels,
                    double, lanes, n_vectors, n_channels, kind,
                )  # fmt: skip
            if writes:
                _fill(out + shift + n_pixels * n_channels * size, n_channels * size)

    return _compiled(work)


def _run(function, *arguments) -> None:
    """Let the threads of torch work on what a function counts off."""
    arguments = np.array([0, *arguments], dtype=np.int64)
    n_threads = torch.get_num_threads()
    if n_threads == 1 or _openmp() is None:
        function.ctypes(arguments.ctypes.data)
    else:
        _openmp().GOMP_parallel(function.address, arguments.ctypes.data, n_threads, 0)


# -- as operators of torch -------------------------------------------------------------------------


@torch.library.custom_op("gammalearn::convolve", mutates_args=(), device_types="cpu")
def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    seen: Tensor,
    seen_by: Tensor,
    neighbours: Tensor,
) -> Tensor:
    """Convolution of features with their neighbours.

    Parameters
    ----------
    x : Tensor, shape (n_images, n_inputs + 1, in_channels)
        float32 or float64; zeros behind the last pixel.
    weight : Tensor, shape (K, in_channels, out_channels)
    bias : Tensor, shape (out_channels,), or None
    seen, seen_by : Tensor of int32
        `lookup` of the kernel and of its transpose.
    neighbours : Tensor of int32, shape (n_outputs, K)
        Input under each member of the kernel, ``n_inputs`` for none.

    Returns
    -------
    Tensor, shape (n_images, n_outputs + 1, out_channels)
        Zeros behind the last pixel.
    """
    return _convolved(x, weight, bias, seen, len(neighbours))


@convolve.register_fake
def _(x, weight, bias, seen, seen_by, neighbours):
    return x.new_empty(x.shape[0], neighbours.shape[0] + 1, weight.shape[2])


@torch.library.custom_op("gammalearn::convolve_backward", mutates_args=(), device_types="cpu")
def _by_input(gradient: Tensor, weight: Tensor, seen_by: Tensor, n_inputs: int) -> Tensor:
    # What follows, a mean over pixels say, may give a gradient to what stands for absent pixels.
    if gradient[:, -1].any():
        gradient = torch.nn.functional.pad(gradient[:, :-1], (0, 0, 0, 1))
    return _convolved(gradient, weight.transpose(1, 2), None, seen_by, n_inputs)


@_by_input.register_fake
def _(gradient, weight, seen_by, n_inputs):
    return gradient.new_empty(gradient.shape[0], n_inputs + 1, weight.shape[1])


@torch.library.custom_op("gammalearn::convolve_weight", mutates_args=(), device_types="cpu")
def _by_weight(x: Tensor, gradient: Tensor, neighbours: Tensor) -> Tensor:
    x, gradient = x.contiguous(), gradient.contiguous()
    n_images, n_in, n_out, n_kernel = len(x), x.shape[2], gradient.shape[2], neighbours.shape[1]
    n_parts = min(max(1, n_images), 2 * torch.get_num_threads())
    sums = x.new_empty(n_parts, n_kernel, n_in, n_out)
    _run(
        _outer_product(n_kernel, n_in, n_out, x.dtype == torch.float64),
        x.data_ptr(), gradient.data_ptr(), sums.data_ptr(), neighbours.data_ptr(),
        x.shape[1] - 1, gradient.shape[1] - 1, n_images, n_parts,
    )  # fmt: skip
    return sums.sum(0)


@_by_weight.register_fake
def _(x, gradient, neighbours):
    return x.new_empty(neighbours.shape[1], x.shape[2], gradient.shape[2])


def _setup(ctx, inputs, output):
    x, weight, _, _, seen_by, neighbours = inputs
    ctx.save_for_backward(x, weight, seen_by, neighbours)


def _backward(ctx, gradient):
    x, weight, seen_by, neighbours = ctx.saved_tensors
    by_x = by_weight = by_bias = None
    if ctx.needs_input_grad[0]:
        by_x = _by_input(gradient, weight, seen_by, x.shape[1] - 1)
    if ctx.needs_input_grad[1]:
        by_weight = _by_weight(x, gradient, neighbours)
    if ctx.needs_input_grad[2]:
        by_bias = gradient[:, :-1].sum((0, 1))
    return by_x, by_weight, by_bias, None, None, None


convolve.register_autograd(_backward, setup_context=_setup)


def _convolved(x, weight, bias, seen, n_outputs):
    x, weight = x.contiguous(), weight.contiguous()
    n_kernel, n_in, n_out = weight.shape
    bias = x.new_zeros(n_out) if bias is None else bias.contiguous()
    out = x.new_empty(len(x), n_outputs + 1, n_out)
    # Parts of an image, so that there is work for all threads.
    n_parts = max(1, 2 * torch.get_num_threads() // max(1, len(x)))
    _run(
        _convolution(n_kernel, n_in, n_out, x.dtype == torch.float64),
        x.data_ptr(), weight.data_ptr(), bias.data_ptr(), out.data_ptr(), seen.data_ptr(),
        x.shape[1] - 1, len(x), n_parts,
    )  # fmt: skip
    return out


@torch.library.custom_op("gammalearn::affine", mutates_args=(), device_types="cpu")
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
def _(x, scale, offset, relu):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op("gammalearn::normalise", mutates_args=(), device_types="cpu")
def normalise(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
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
    """
    x = x.contiguous()
    n_pixels = x.shape[1] - 1
    # The squares are those of differences from the mean, whatever its size.
    mean = _passed("moments", (x,), x.new_zeros(1, x.shape[2]))[0] / (len(x) * n_pixels)
    _, squares = _passed("moments", (x,), mean[None])
    variance = squares / (len(x) * n_pixels)
    scale = weight * torch.rsqrt(variance + eps)
    kind = "affine, relu" if relu else "affine"
    return _passed(kind, (x,), torch.stack([scale, bias - mean * scale])), mean, variance


@normalise.register_fake
def _(x, weight, bias, eps, relu):
    normalised = torch.empty_like(x, memory_format=torch.contiguous_format)
    return normalised, torch.empty_like(weight), torch.empty_like(weight)


@torch.library.custom_op("gammalearn::normalise_backward", mutates_args=(), device_types="cpu")
def _normalise_backward(
    gradient: Tensor,
    x: Tensor,
    normalised: Tensor,
    weight: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    streams = x.contiguous(), gradient.contiguous(), normalised
    n_values = len(x) * (x.shape[1] - 1)
    inverse = torch.rsqrt(variance + eps)
    scale = weight * inverse
    after = ", relu" if relu else ""
    by_bias, by_scale = _passed(f"sums{after}", streams, mean[None])
    slope, offset = -scale * inverse.square() * by_scale / n_values, -scale * by_bias / n_values
    parameters = torch.stack([mean, scale, slope, offset])
    by_x = _passed(f"gradient{after}", streams, parameters)
    return by_x, by_scale * inverse, by_bias


@_normalise_backward.register_fake
def _(gradient, x, normalised, weight, mean, variance, eps, relu):
    by_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    return by_x, torch.empty_like(weight), torch.empty_like(weight)


def _setup_normalise(ctx, inputs, output):
    x, weight, _, ctx.eps, ctx.relu = inputs
    normalised, mean, variance = output
    ctx.mark_non_differentiable(mean, variance)
    ctx.save_for_backward(x, normalised, weight, mean, variance)


def _backward_normalise(ctx, gradient, *_):
    by_x, by_weight, by_bias = _normalise_backward(
        gradient, *ctx.saved_tensors, ctx.eps, ctx.relu
    )
    return by_x, by_weight, by_bias, None, None


normalise.register_autograd(_backward_normalise, setup_context=_setup_normalise)


def _passed(kind, streams, parameters):
    """The output of a pass, or its sums over images and pixels, shape (n_sums, channels)."""
    x = streams[0].contiguous()
    n_images, n_cells, n_channels = x.shape
    n_sums, writes = _PASSES[kind][2:4]
    out = torch.empty_like(x) if writes else x
    sums = x.new_empty(n_images, n_sums, n_channels)
    addresses = [stream.data_ptr() for stream in (x, *streams[1:])]
    parameters = parameters.to(x.dtype).contiguous()
    _run(
        _pass(kind, n_channels, x.dtype == torch.float64),
        *addresses, *[0] * (3 - len(addresses)), parameters.data_ptr(), out.data_ptr(),
        sums.data_ptr(), n_cells - 1, n_images,
    )  # fmt: skip
    return out if writes else sums.sum(0, dtype=torch.float64).to(x.dtype)
