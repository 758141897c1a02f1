"""What compiled loops are made of: vectors, addresses, and the threads of torch."""

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import llvmlite.binding
import numpy as np
import torch
from llvmlite import ir
from numba import cfunc, extending, from_dtype, types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import BaseContext as TypingContext
from numba.core.typing import Signature
from torch import Tensor

__all__ = [
    "INDEX",
    "INT",
    "N_REGISTERS",
    "Constant",
    "Emitter",
    "Loop",
    "compiled",
    "count",
    "fill",
    "integers",
    "intrinsic",
    "is_available",
    "largest_divisor",
    "numbers",
    "takes",
    "vectors",
]

#: By numba's annotations a caller gives the context too, which numba itself does.
intrinsic: Any = extending.intrinsic

# What numba wants of an intrinsic: its signature, and what writes its code.
Intrinsic = tuple[Signature, Callable[..., ir.Value]]

#: A constant argument of an intrinsic: numba's literal type, then the number itself.
Constant: TypeAlias = Any

INT = ir.IntType(64)
INDEX = ir.IntType(32)


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
def _openmp() -> ctypes.CDLL | None:
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


class Emitter:
    """Writes loads, stores and loops on vectors of some lanes at addresses in bytes."""

    def __init__(self, builder: ir.IRBuilder, double: bool, lanes: int) -> None:
        self.builder = builder
        self.scalar, self.size = (ir.DoubleType(), 8) if double else (ir.FloatType(), 4)
        self.lanes = lanes
        self.vector = ir.VectorType(self.scalar, lanes)
        self.undefined = ir.Constant(self.vector, ir.Undefined)
        self.zeros = ir.Constant(self.vector, [0.0] * lanes)
        name = f"llvm.fma.v{lanes}f{8 * self.size}"
        signature = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, signature, name)

    def plus(self, address: ir.Value, offset: int) -> ir.Value:
        return self.builder.add(address, ir.Constant(INT, offset)) if offset else address

    def times(self, index: ir.Value, step: int) -> ir.Value:
        return self.builder.mul(index, ir.Constant(INT, step))

    def load(self, address: ir.Value, kind: ir.Type) -> ir.Value:
        value = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        value.align = 4 if kind is INDEX else self.size
        return value

    def store(self, value: ir.Value, address: ir.Value) -> None:
        self.builder.store(
            value, self.builder.inttoptr(address, self.vector.as_pointer())
        ).align = self.size

    def store_scalar(self, value: ir.Value, address: ir.Value) -> None:
        pointer = self.builder.inttoptr(address, self.scalar.as_pointer())
        self.builder.store(value, pointer).align = self.size

    def index(self, address: ir.Value) -> ir.Value:
        return self.builder.sext(self.load(address, INDEX), INT)

    def broadcast(self, address: ir.Value) -> ir.Value:
        """A vector of the value at an address."""
        return self.repeat(self.load(address, self.scalar))

    def repeat(self, value: ir.Value) -> ir.Value:
        """A vector of one value."""
        one = self.builder.insert_element(self.undefined, value, ir.Constant(INDEX, 0))
        zeros = ir.Constant(ir.VectorType(INDEX, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, self.undefined, zeros)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self.builder.call(self._fma, [a, b, c])

    def total(self, value: ir.Value) -> ir.Value:
        """The sum over a vector's lanes."""
        name = f"llvm.vector.reduce.fadd.v{self.lanes}f{8 * self.size}"
        signature = ir.FunctionType(self.scalar, [self.scalar, self.vector])
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        zero = ir.Constant(self.scalar, 0.0)
        return self.builder.call(function, [zero, value], fastmath=("reassoc",))

    def where_positive(self, condition: ir.Value, value: ir.Value) -> ir.Value:
        """``value`` where ``condition`` is above zero or no number, and zero elsewhere."""
        # No number must stay none: that something went wrong is not to be hidden.
        positive = self.builder.fcmp_unordered(">", condition, self.zeros)
        return self.builder.select(positive, value, self.zeros)

    def sums(self, n_rows: int, n_vectors: int) -> list[list[ir.Value]]:
        """Variables; LLVM keeps them in registers."""
        return [
            [cgutils.alloca_once(self.builder, self.vector) for _ in range(n_vectors)]
            for _ in range(n_rows)
        ]

    def loop(self, count: ir.Value, body: Callable[[ir.Value], None]) -> None:
        with cgutils.for_range(self.builder, count, intp=INT) as loop:
            body(loop.index)


def numbers(arguments: Sequence[Constant]) -> list[Any]:
    return [argument.literal_value for argument in arguments]


@intrinsic
def count(context: TypingContext, pointer: types.Type) -> Intrinsic:
    """Take the next unit of a job: its number, which no other thread gets."""

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        number = builder.bitcast(arguments[0], INT.as_pointer())
        return builder.atomic_rmw("add", number, ir.Constant(INT, 1), "monotonic")

    return types.int64(pointer), generate


@intrinsic
def fill(context: TypingContext, address: types.Type, n_bytes: types.Type) -> Intrinsic:
    """Set bytes to zero."""

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        address, n_bytes = arguments
        bytes_ = builder.inttoptr(address, ir.IntType(8).as_pointer())
        cgutils.memset(builder, bytes_, n_bytes, 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@intrinsic
def integers(context: TypingContext, address: types.Type) -> Intrinsic:
    """The pointer to 32-bit integers at an address."""
    pointer = types.CPointer(types.int32)

    def generate(
        context: BaseContext,
        builder: ir.IRBuilder,
        signature: Signature,
        arguments: Sequence[ir.Value],
    ) -> ir.Value:
        return builder.inttoptr(arguments[0], INDEX.as_pointer())

    return pointer(types.intp), generate


def largest_divisor(number: int, limit: int) -> int:
    return max(d for d in range(1, max(1, min(number, limit)) + 1) if number % d == 0)


def vectors(n_channels: int, double: bool) -> tuple[int, int]:
    """Lanes of a vector and vectors at a time, for so many channels of the output."""
    lanes = math.gcd(n_channels, VECTOR_BYTES // (8 if double else 4))
    return lanes, largest_divisor(n_channels // lanes, N_REGISTERS // 8)


class Loop:
    """A compiled loop over the units of a job, which the threads of torch share.

    Parameters
    ----------
    function : callable
        From a pointer to the job to nothing. It takes units with `count` until none is left.
    names : tuple of str
        Addresses and numbers that the loop reads of the job.
    """

    def __init__(self, function: Callable, names: tuple[str, ...]) -> None:
        self.names, self._known = names, frozenset(names)
        # The counter of `count` comes first.
        layout = np.dtype([(name, np.int64) for name in ("n_taken", *names)], align=True)
        self._job = ctypes.c_int64 * (1 + len(names))
        # The layout is a part of the signature: numba compiles again what it kept for another one.
        signature = types.void(types.CPointer(from_dtype(layout)))
        self._function = cfunc(signature, cache=True)(function)
        self._on_one_thread = self._function.ctypes

    def run(self, **arguments: Tensor | int | None) -> None:
        """Work on a job with all threads of torch, and return when it is done.

        Parameters
        ----------
        **arguments
            Each of the names. The loop gets the address of a tensor, which must be contiguous, and
            zero for None.

        Raises
        ------
        TypeError
            If a name is missing, or one is given that the loop has not.
        """
        if arguments.keys() != self._known:
            raise TypeError(f"The loop takes {self.names}, not {tuple(arguments)}.")
        job = self._job(0, *[_number(arguments[name]) for name in self.names])
        address, n_threads = ctypes.addressof(job), torch.get_num_threads()
        if n_threads == 1 or (openmp := _openmp()) is None:
            self._on_one_thread(address)
        else:
            openmp.GOMP_parallel(self._function.address, address, n_threads, 0)


def _number(argument: Tensor | int | None) -> int:
    if isinstance(argument, Tensor):
        return argument.data_ptr()
    return 0 if argument is None else argument


def compiled(*names: str) -> Callable[[Callable], Loop]:
    """Decorator that makes a `Loop` of a function; it reads ``carray(pointer, 1)[0]`` by names."""
    return lambda function: Loop(function, names)
