"""Rows of tables, the same as PyTables reads, and damage noticed."""

import lzma
from pathlib import Path

import blosc2
import numpy as np
import pytest
import tables
from ctapipe.io import TableLoader

from gammalearn.cli import main
from gammalearn.data.readers.chunks import TableChunks
from gammalearn.data.readers.formats import open_reader

pytestmark = pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")

#: Four images that `gammalearn simulate --particle gamma --array lst1 --n-showers 4
#: --energy 0.05 0.06 --reuse 1 --scatter 30` made, copied by PyTables 3.8.0 into a new file
#: (root._f_copy_children) and compressed with xz.
OLD = Path(__file__).parents[1] / "golden" / "pytables_3.8.dl1.h5.xz"

IMAGES = "/dl1/event/telescope/images/tel_001"

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


@pytest.fixture
def old(tmp_path):
    """A file that PyTables 3.8 wrote: the checksum stands inside of what is compressed."""
    path = tmp_path / "old.dl1.h5"
    path.write_bytes(lzma.decompress(OLD.read_bytes()))
    return path


def written_anew(source, byte_order):
    """A copy with all its tables written by the installed PyTables."""
    path = source.with_name(f"{byte_order}.dl1.h5")
    with tables.open_file(source) as file, tables.open_file(path, "w") as copy:
        file.root._v_attrs._f_copy(copy.root)
        for node in file.walk_nodes("/"):
            if isinstance(node, tables.Table):
                made = copy.create_table(
                    node._v_parent._v_pathname,
                    node.name,
                    node.description,
                    filters=node.filters,
                    chunkshape=node.chunkshape,
                    byteorder=byte_order,
                    createparents=True,
                )
                made.append(node.read())
                node.attrs._f_copy(made)
    return path


class TestFilesOfOtherVersions:
    """As a user meets them, the pixels beside what ctapipe reads."""

    @pytest.fixture(params=["3.8", "little", "big"])
    def path(self, request, old):
        return old if request.param == "3.8" else written_anew(old, request.param)

    def test_have_the_values_that_ctapipe_reads(self, path):
        with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
            expected = loader.read_telescope_events_by_id(dl1_images=True)[1]
        names = {"charge": "image", "peak_time": "peak_time", "cleaning_mask": "image_mask"}
        with open_reader(path) as reader:
            pixels = reader.pixels(1, np.arange(4), list(names))
        assert expected["image"].shape == (4, 1855) and expected["image"].max() > 10
        for name, column in {**names, "event_id": "event_id"}.items():
            np.testing.assert_array_equal(pixels[name], expected[column])

    def test_are_shown(self, path, tmp_path):
        with tables.open_file(path) as file:
            event_id = file.get_node(IMAGES).col("event_id")[-1]
        assert main(["show", str(path), "--event", str(event_id), "-o", f"{tmp_path}/x.png"]) == 0
        assert main(["info", str(path)]) == 0

    def test_are_unpacked_without_the_library(self, path):
        """Whose own way takes several times as long."""
        with tables.open_file(path) as file:
            table = file.get_node(IMAGES)
            expected = table.read()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(table, "read", None)
                np.testing.assert_array_equal(TableChunks(table).read(np.arange(4)), expected)


@pytest.mark.parametrize("byte", [0, 1000, -5, -1])
def test_one_wrong_bit_inside_of_an_old_chunk_is_noticed(old, byte):
    """In a frame that is whole: its checksum alone knows."""
    with tables.open_file(old) as file, pytest.MonkeyPatch.context() as patch:
        table = file.get_node(IMAGES)
        rows = bytearray(blosc2.decompress(table.read_chunk((0,))))
        rows[byte] ^= 1
        patch.setattr(table, "read_chunk", lambda _: blosc2.compress(rows, typesize=1))
        with pytest.raises(ValueError, match="checksum of the rows from 0 is wrong"):
            TableChunks(table).read(np.arange(4))


@pytest.mark.parametrize("column", ["time64", "time32"])
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_times_are_those_of_pytables(tmp_path, column, byte_order):
    """It stores them in another way than it gives them."""
    description = {"t": tables.Col.from_kind("time", itemsize=int(column[-2:]) // 8)}
    with tables.open_file(tmp_path / "t.h5", "w") as file:
        made = file.create_table("/", "t", description, filters=filters(), byteorder=byte_order)
        made.append([(1.5e9 + i / 4,) for i in range(100)])
        made.flush()
        np.testing.assert_array_equal(TableChunks(made).read(np.arange(100)), made.read())


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
        with pytest.raises((ValueError, tables.HDF5ExtError)):
            chunks.read(np.array([15]))
