"""Rows of tables, the same as PyTables reads, and damage noticed."""

import numpy as np
import pytest
import tables

from gammalearn.data.chunks import TableChunks

ROW = np.dtype([("event_id", "i8"), ("image", "f4", 37), ("mask", "?", 37)])


def filters(complib="blosc:zstd", level=5, checksum=True):
    return tables.Filters(complevel=level, complib=complib, fletcher32=checksum)


FILTERS = {
    "ctapipe's": filters(),
    "no checksum": filters(checksum=False),
    "lz4": filters("blosc:lz4", 1),
    "blosclz": filters("blosc", 1),
    "bit shuffle": tables.Filters(complevel=1, complib="blosc:zstd", bitshuffle=True),
    "blosc2": filters("blosc2:zstd"),
    "zlib": filters("zlib"),
    "lzo or bzip2": filters("bzip2"),
    "none": tables.Filters(complevel=0),
    "checksum alone": filters(level=0),
}


@pytest.fixture
def table(tmp_path):
    """A table of 100 rows in chunks of 7, noise and zeros."""
    files = []

    def make(filters, path="table.h5"):
        rows = np.zeros(100, dtype=ROW)
        rng = np.random.default_rng(1)
        rows["event_id"] = np.arange(100)
        rows["image"][:60] = rng.normal(size=(60, 37))
        rows["mask"] = rng.random((100, 37)) > 0.5
        with tables.open_file(tmp_path / path, "w") as file:
            file.create_table("/", "t", obj=rows, filters=filters, chunkshape=(7,))
        files.append(tables.open_file(tmp_path / path))
        return files[-1].root.t

    yield make
    for file in files:
        file.close()


@pytest.mark.parametrize("name", FILTERS)
def test_rows_are_those_of_pytables(table, name):
    made = table(FILTERS[name])
    chunks = TableChunks(made)
    for rows in ([], [0], [99], [3, 4, 50, 98, 99], range(100), [6, 7, 13, 14]):
        rows = np.array(rows, dtype=int)
        expected = made.read()[rows]
        np.testing.assert_array_equal(chunks.read(rows), expected)


def test_a_chunk_that_compression_would_only_lengthen(tmp_path):
    """Blosc then leaves it as it is, and HDF5 notes that."""
    rows = np.zeros(20, dtype=[("x", "i8", 4)])
    rows["x"] = np.random.default_rng(1).integers(-(2**62), 2**62, (20, 4))
    with tables.open_file(tmp_path / "noise.h5", "w") as file:
        made = file.create_table("/", "t", obj=rows, filters=filters(), chunkshape=(3,))
        file.flush()
        np.testing.assert_array_equal(TableChunks(made).read(np.arange(20)), rows)


@pytest.mark.parametrize("where", [0, 5, 0.3, 0.7, -1])
def test_one_wrong_bit_is_noticed(table, tmp_path, where):
    made = table(FILTERS["ctapipe's"])
    info = made.chunk_info((14,))
    made._v_file.close()
    path = tmp_path / "table.h5"
    data = bytearray(path.read_bytes())
    place = info.offset + (where if isinstance(where, int) else int(where * info.size))
    place += info.size if where == -1 else 0
    data[place] ^= 4
    path.write_bytes(data)
    with tables.open_file(path) as file:
        chunks = TableChunks(file.root.t)
        assert chunks.read(np.array([13, 21]))["event_id"].tolist() == [13, 21]
        with pytest.raises(ValueError, match="checksum of the rows from 14"):
            chunks.read(np.array([15]))
