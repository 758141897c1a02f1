"""Rows of compressed HDF5 tables, chunk by chunk.

HDF5's own filters take several times as long as the decompression itself: each chunk passes through
the library's buffers, one call a read. Here a chunk is fetched as it lies in the file and unpacked
in place. Tables of other filters than ctapipe's and lstchain's (Blosc, with or without checksum)
are read by PyTables.
"""

from functools import lru_cache

import blosc2
import numpy as np
import tables

__all__ = ["TableChunks"]

#: HDF5 writes the checksum of a chunk behind it.
CHECKSUM_BYTES = 4

#: A Blosc chunk begins with its version, flags and sizes.
BLOSC_HEADER_BYTES = 16


class TableChunks:
    """Reads rows of a table.

    Parameters
    ----------
    table : tables.Table
    """

    def __init__(self, table: tables.Table):
        self._table = table
        filters = table.filters
        self._direct = (filters.complib or "").split(":")[0] == "blosc" and filters.complevel > 0
        self._checksum = filters.fletcher32
        self._rows = int(table.chunkshape[0])
        # Several processes share the machine, each with one thread.
        blosc2.set_nthreads(1)

    @property
    def rows_of_a_chunk(self) -> int:
        """What is read at the least."""
        return self._rows

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
        ValueError
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
            if not info.filter_mask:
                return self._unpack(stored, first)
        return self._table.read(first, min(first + self._rows, self._table.nrows))

    def _unpack(self, stored, first: int) -> np.ndarray:
        stored = memoryview(stored)
        if self._checksum:
            stored, checksum = stored[:-CHECKSUM_BYTES], stored[-CHECKSUM_BYTES:]
            if not _is_checksum(stored, checksum):
                raise ValueError(f"the checksum of the rows from {first} is wrong")
        expected = self._rows * self._table.dtype.itemsize
        if len(stored) < BLOSC_HEADER_BYTES or blosc2.get_cbuffer_sizes(stored)[0] != expected:
            raise ValueError(f"the rows from {first} are damaged")
        unpacked = np.empty(self._rows, dtype=self._table.dtype)
        blosc2.decompress(stored, dst=unpacked.view(np.uint8))
        return unpacked


def _is_checksum(data, checksum) -> bool:
    """Whether HDF5's variant of Fletcher's checksum belongs to the data.

    Two sums of 16-bit words, of the words and of the sums so far, modulo 2¹⁶ − 1.
    """
    words = np.frombuffer(data, dtype=">u2", count=len(data) // 2).astype(np.int64)
    total, moment = int(words.sum()), int(np.dot(words, _numbers(len(words))))
    n_words = len(words)
    if len(data) % 2:
        last = data[-1] << 8
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
