"""Pickles of plain values, read without running anything that they name.

A pickle is a program: it may call any function that Python can import. PyTables keeps what HDF5 has
no type for as pickles, and ctapipe the kinds of its enumerations. Here the program runs, but on
stand-ins of ours: of what it names, they are NumPy's arrays of numbers and text and ctapipe's
enumerations; it calls nothing else.
"""

import enum
import io
import pickle
import re
import sys
from typing import Any

import numpy as np

__all__ = ["NotPlainError", "loads"]

#: Where ctapipe has its enumerations.
ENUMERATIONS = "ctapipe.containers"

#: Containers in containers, and values in all: pickles of a few bytes can be exponentially many.
DEEPEST, MOST = 20, 100_000

#: Numbers, truth values and text, as NumPy writes their types.
PLAIN_DTYPE = re.compile(r"[biufcSU][0-9]{1,6}")

#: How Python writes the name of what it imports: a text that only looks like a pickle has others.
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class NotPlainError(pickle.UnpicklingError):
    """A pickle holds other things than plain values."""


def loads(data: bytes, **options: Any) -> Any:
    """The plain value in a pickle.

    Parameters
    ----------
    data : bytes
    **options
        As of :func:`pickle.loads`.

    Returns
    -------
    value
        None, numbers, text, bytes, arrays of them, an enumeration of ctapipe, and lists, tuples
        and dictionaries of all these.

    Raises
    ------
    NotPlainError
        If it holds anything else, or too much.
    Exception
        Of any kind, if this is no pickle.
    """
    unpickler = _Unpickler(io.BytesIO(data), **options)
    return _Plain().of(unpickler.load())


class _Dtype:
    """Stands for a NumPy type while it is read."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or not PLAIN_DTYPE.fullmatch(name):
            raise NotPlainError(f"an array of type {name!r:.40}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        # The version of the state, the byte order, and what only composite types have.
        if any(part is not None for part in state[2:5]):
            raise NotPlainError("an array of a composite type")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for a NumPy array while it is read."""

    __slots__ = ("values",)

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, in_columns, data = state
        values = np.frombuffer(data, dtype=dtype.dtype)
        self.values = values.reshape(shape, order="F" if in_columns else "C").copy()


def _scalar(dtype: _Dtype, data: bytes) -> _Array:
    """Stands for NumPy's function of this name."""
    array = _Array()
    array.values = np.frombuffer(data, dtype=dtype.dtype)[0]
    return array


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes, as protocols without them write them."""
    if encoding != "latin1":
        raise NotPlainError(f"bytes encoded in {encoding!r:.40}")
    return text.encode("latin1")


#: What a pickle may name, with our stand-in.
STAND_INS = {
    "_codecs.encode": _encode,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": None,
    **{
        f"numpy.{core}.multiarray.{name}": stand_in
        for core in ("core", "_core")
        for name, stand_in in {"_reconstruct": _Array, "scalar": _scalar}.items()
    },
}


# The one in C cannot be kept from changing what it is given, and believes a pickle's sizes.
class _Unpickler(pickle._Unpickler):
    """Knows our stand-ins only."""

    # What makes objects, or as much memory as a pickle asks for, is not there.
    dispatch = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if code
        not in b"".join(
            (pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.BYTEARRAY8)
        )
    }

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name in STAND_INS:
            return STAND_INS[full_name]
        if module == ENUMERATIONS:
            found = getattr(sys.modules.get(module), name, None)
            if isinstance(found, type) and issubclass(found, enum.Enum):
                return _Enumeration(found)
        if not NAME.fullmatch(full_name):
            raise pickle.UnpicklingError("no pickle, but a text")
        raise NotPlainError(f"a Python object ({full_name:.100})")

    def load_build(self) -> None:
        # What follows is of pickle's own Unpickler in Python, of which typeshed knows a part.
        if not isinstance(self.stack[-2], _Array | _Dtype):  # type: ignore[attr-defined]  # see above
            raise NotPlainError("a Python object")
        super().load_build()  # type: ignore[misc]  # see above

    dispatch[pickle.BUILD[0]] = load_build  # type: ignore[assignment]  # of a subclass


class _Enumeration:
    """Stands for an enumeration, which a pickle could otherwise call."""

    __slots__ = ("kind",)

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __call__(self, value: object) -> "_Enumeration":
        """One of its members."""
        return _Enumeration(self.kind(value))


class _Plain:
    """Puts values in the place of stand-ins, and counts them."""

    def __init__(self) -> None:
        self.left = MOST

    def of(self, value: Any, depth: int = 0) -> Any:
        self.left -= 1
        if depth > DEEPEST or self.left < 0:
            raise NotPlainError("too many values in each other")
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return value
        if isinstance(value, _Array):
            return value.values
        if isinstance(value, _Dtype):
            return value.dtype
        if isinstance(value, _Enumeration):
            return value.kind
        if isinstance(value, list | tuple):
            return type(value)(self.of(part, depth + 1) for part in value)
        if isinstance(value, dict):
            return {
                self.of(name, depth + 1): self.of(part, depth + 1) for name, part in value.items()
            }
        raise NotPlainError("a Python object")
