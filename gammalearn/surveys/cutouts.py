"""Cut-outs: images of the objects, of which only those that are asked for are in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tables

from ..errors import InputFileError
from ..io.files import open_hdf5, reading

__all__ = ["ArrayCutouts", "Cutouts", "JoinedCutouts", "StoredCutouts", "blocks", "write_cutouts"]

#: Name of the array in a file, and objects that are in memory at a time.
NAME, BLOCK = "cutouts", 64

#: Largest number of pixels of a side: files may say anything.
MOST_PIXELS = 1024


class Cutouts(ABC):
    """Cut-outs in units of the flux in a pixel, NaN where a band is missing.

    Attributes
    ----------
    shape : tuple of int
        (n_objects, n_bands, n_pixels, n_pixels)
    """

    shape: tuple[int, ...]

    @abstractmethod
    def read(self, rows: np.ndarray) -> np.ndarray:
        """Those of some objects, float32, shape (n_rows, n_bands, n_pixels, n_pixels)."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> "Cutouts":
        """Those of some objects, without reading them."""

    def with_bands(self, order: Sequence[int]) -> "Cutouts":
        """The same with bands in another order."""
        if list(order) == list(range(self.shape[1])):
            return self
        return OrderedCutouts(self, tuple(order))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.read(np.arange(len(self))).astype(dtype or np.float32)


def blocks(cutouts: Cutouts) -> Iterator[np.ndarray]:
    """All of them, some at a time."""
    for first in range(0, len(cutouts), BLOCK):
        yield cutouts.read(np.arange(first, min(first + BLOCK, len(cutouts))))


@dataclass(frozen=True)
class ArrayCutouts(Cutouts):
    """Cut-outs in memory."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # what it has is known
        return self.values.shape

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[rows], dtype=np.float32)

    def __getitem__(self, rows: Any) -> "ArrayCutouts":
        return ArrayCutouts(self.values[rows])


@dataclass(frozen=True)
class StoredCutouts(Cutouts):
    """Cut-outs in a catalogue's file.

    Attributes
    ----------
    path : Path
    rows : ndarray of int
        Their rows in the file.
    one : tuple of int
        Shape of one object's.
    """

    path: Path
    rows: np.ndarray
    one: tuple[int, ...]

    @classmethod
    def of(cls, file: tables.File, path: Path, n_objects: int, n_bands: int) -> "StoredCutouts":
        """Those of an open file.

        Raises
        ------
        InputFileError
            If they are not of so many objects and bands, or not square.
        """
        shape = tuple(int(number) for number in file.root.cutouts.shape)
        square = len(shape) == 4 and shape[2] == shape[3] <= MOST_PIXELS
        if not square or shape[:2] != (n_objects, n_bands):
            raise InputFileError(
                f"'{path}' is damaged: its cut-outs have the shape {shape}, and not ({n_objects} "
                f"objects, {n_bands} bands, pixels, pixels), with up to {MOST_PIXELS} pixels."
            )
        if file.root.cutouts.dtype.kind != "f":
            raise InputFileError(f"'{path}' is damaged: its cut-outs are no numbers with a point.")
        return cls(Path(path), np.arange(n_objects), shape[1:])

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # what it has is known
        return (len(self.rows), *self.one)

    def read(self, rows: np.ndarray) -> np.ndarray:
        wanted = self.rows[rows]
        found = np.empty((len(wanted), *self.one), dtype=np.float32)
        # Opened each time: many files need not be open, and processes do not share one.
        with open_hdf5(self.path) as file, reading(self.path, "the cut-outs"):
            stored = file.root.cutouts
            for place in np.argsort(wanted, kind="stable"):
                found[place] = stored[wanted[place]]
        return found

    def __getitem__(self, rows: Any) -> "StoredCutouts":
        return replace(self, rows=self.rows[rows])


@dataclass(frozen=True)
class JoinedCutouts(Cutouts):
    """Cut-outs of several catalogues.

    Attributes
    ----------
    parts : sequence of Cutouts
    part, row : ndarray of int
        Which of them each object is in, and where.
    """

    parts: Sequence[Cutouts]
    part: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[Cutouts]) -> "JoinedCutouts":
        """All of them, one after the other."""
        part = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
        return cls(parts, part, np.concatenate([np.arange(len(one)) for one in parts]))

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # what it has is known
        return (len(self.row), *self.parts[0].shape[1:])

    def read(self, rows: np.ndarray) -> np.ndarray:
        part, row = self.part[rows], self.row[rows]
        found = np.empty((len(row), *self.shape[1:]), dtype=np.float32)
        for number in np.unique(part):
            found[part == number] = self.parts[number].read(row[part == number])
        return found

    def __getitem__(self, rows: Any) -> "JoinedCutouts":
        return replace(self, part=self.part[rows], row=self.row[rows])


@dataclass(frozen=True)
class OrderedCutouts(Cutouts):
    """Cut-outs with bands in another order."""

    cutouts: Cutouts
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # what it has is known
        return (len(self.cutouts), len(self.order), *self.cutouts.shape[2:])

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.cutouts.read(rows)[:, list(self.order)]

    def __getitem__(self, rows: Any) -> "OrderedCutouts":
        return replace(self, cutouts=self.cutouts[rows])


def write_cutouts(cutouts: Cutouts, file: tables.File) -> None:
    """Write cut-outs, a chunk for each object, some of them in memory at a time."""
    stored = file.create_earray(
        "/",
        NAME,
        tables.Float32Atom(),
        (0, *cutouts.shape[1:]),
        filters=tables.Filters(5, "blosc:zstd", bitshuffle=True),
        expectedrows=len(cutouts),
        chunkshape=(1, *cutouts.shape[1:]),
    )
    for block in blocks(cutouts):
        stored.append(_rounded(block))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Numbers of 11 bits, whose others are zeros and cost nothing when compressed.

    That is half of the size, and less than a thousandth of each pixel is lost.
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    kept = ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(values), kept, values)
