"""Rows of compressed HDF5 tables, chunk by chunk.

HDF5's own filters take several times as long as the decompression itself: each chunk passes through
the library's buffers, one call a read. Here a chunk is fetched as it lies in the file and unpacked
in place. That is done for the filters of ctapipe and lstchain alone: Blosc without checksum, with
one of what is compressed (PyTables before 3.10), or with one of what is stored (3.10 and later).
PyTables reads all other tables, and all chunks that are not as their filters say.
"""

from functools import lru_cache

import blosc2
import numpy as np
import tables
from tables.utilsextension import get_filters

__all__ = ["TableChunks"]

#: HDF5 writes a checksum behind what it is of.
CHECKSUM_BYTES = 4

#: Filters, in the order in which a chunk passes them when it is written, and how many checksums
#: then stand inside of what is compressed and outside of it.
CHECKSUMS = {("blosc",): (0, 0), ("fletcher32", "blosc"): (1, 0), ("blosc", "fletcher32"): (0, 1)}

BYTE_ORDERS = {"little": "<", "big": ">", "irrelevant": "|"}

#: A Blosc chunk begins with its version, flags and sizes.
BLOSC_HEADER_BYTES = 16


class TableChunks:
    """Reads rows of a table.

    Parameters
    ----------
    table : tables.Table
    """

    def __init__(self, table: tables.Table) -> None:
        self._table = table
        self._rows = int(table.chunkshape[0])
        filters = get_filters(table._v_parent._v_objectid, table.name) or {}
        self._checksums = CHECKSUMS.get(tuple(filters))
        # PyTables gives numbers in the machine's byte order, whatever that of the file is.
        byte_order = BYTE_ORDERS.get(table.byteorder)
        self._stored_dtype = table.dtype.newbyteorder(byte_order or "=")
        # Times are stored in other ways than they are read.
        times = any(kind.startswith("time") for kind in table.coltypes.values())
        self._direct = self._checksums is not None and byte_order is not None and not times
        # Several processes share the machine, each with one thread.
        blosc2.set_nthreads(1)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            In increasing order; those of one chunk are read together.

        Returns
        -------
        structured ndarray, shape (n,)

        Raises
        ------
        ValueError, tables.HDF5ExtError
            If a chunk is damaged.
        """
        out = np.empty(len(rows), dtype=self._table.dtype)
        if len(rows) == 0:
            return out
        chunk = rows // self._rows
        starts = np.flatnonzero(np.diff(chunk, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            first = int(chunk[start]) * self._rows
            out[start:stop] = self._chunk(first)[rows[start:stop] - first]
        return out

    def _chunk(self, first: int) -> np.ndarray:
        """The rows of the chunk that begins with this row."""
        if self._direct:
            stored = self._table.read_chunk((first,))
            info = self._table.chunk_info((first,))
            # A bit in the mask: a filter had nothing to gain and was left out.
            unpacked = None if info.filter_mask else self._unpack(memoryview(stored), first)
            if unpacked is not None:
                return unpacked
        return self._table.read(first, min(first + self._rows, self._table.nrows))

    def _unpack(self, stored: memoryview, first: int) -> np.ndarray | None:
        """The rows of a chunk, None if its sizes are not those of the table and its filters."""
        inside, outside = (n * CHECKSUM_BYTES for n in self._checksums or (0, 0))
        n_compressed, n_rows_bytes = len(stored) - outside, self._rows * self._stored_dtype.itemsize
        if n_compressed < BLOSC_HEADER_BYTES:
            return None
        compressed = stored[:n_compressed]
        n_unpacked, n_frame, _ = blosc2.get_cbuffer_sizes(compressed)
        if (n_unpacked, n_frame) != (n_rows_bytes + inside, n_compressed):
            return None
        if outside:
            _check(compressed, stored[n_compressed:], first)
        unpacked = np.empty(n_unpacked, dtype=np.uint8)
        blosc2.decompress(compressed, dst=unpacked)
        rows = unpacked[:n_rows_bytes]
        if inside:
            _check(rows, unpacked[n_rows_bytes:].tobytes(), first)
        return rows.view(self._stored_dtype)


def _check(data: bytes | memoryview | np.ndarray, checksum: bytes | memoryview, first: int) -> None:
    """Refuse the rows from ``first`` where a checksum is not theirs."""
    if not _is_checksum(data, checksum):
        raise ValueError(f"the checksum of the rows from {first} is wrong")


def _is_checksum(data: bytes | memoryview | np.ndarray, checksum: bytes | memoryview) -> bool:
    """Whether HDF5's variant of Fletcher's checksum belongs to the data.

    Two sums of 16-bit words, of the words and of the sums so far, modulo 2¹⁶ − 1.
    """
    words = np.frombuffer(data, dtype=">u2", count=len(data) // 2).astype(np.int64)
    total, moment = int(words.sum()), int(np.dot(words, _numbers(len(words))))
    n_words = len(words)
    if len(data) % 2:
        last = int(data[-1]) << 8
        total, moment, n_words = total + last, moment + n_words * last, n_words + 1
    found = int.from_bytes(checksum, "little")
    first, second = found & 0xFFFF, found >> 16
    # Word i is in all but i of the sums so far.
    return (total - first) % 0xFFFF == 0 and (n_words * total - moment - second) % 0xFFFF == 0


@lru_cache(maxsize=1)
def _longest_numbers(power: int) -> np.ndarray:
    return np.arange(2**power)


def _numbers(n: int) -> np.ndarray:
    """The integers below n."""
    return _longest_numbers(max(n - 1, 1).bit_length())[:n]
