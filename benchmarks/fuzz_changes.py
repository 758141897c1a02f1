"""Changes of files for `fuzz.py`: damage, values that cannot be, and pickles that run code.

Each takes a file and a generator of random numbers, changes the file in its place, and says how.
"""

import os
import pickle
import re
from pathlib import Path

import numpy as np
import tables
from astropy.io import fits

__all__ = ["CHANGES", "NOT_MADE", "canary"]


def change_bytes(path: Path, rng: np.random.Generator) -> str:
    """Some bytes of the file are others."""
    content = bytearray(path.read_bytes())
    where = rng.integers(0, len(content), rng.integers(1, 17))
    for place in where:
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    return f"bytes {sorted(where.tolist())}"


def cut_off(path: Path, rng: np.random.Generator) -> str:
    """The end is missing."""
    size = int(rng.integers(0, path.stat().st_size))
    os.truncate(path, size)
    return f"{size} bytes are left"


def zero_piece(path: Path, rng: np.random.Generator) -> str:
    """A piece holds zeros, as after a crash of the machine."""
    content = bytearray(path.read_bytes())
    start, length = int(rng.integers(0, len(content))), int(2 ** rng.uniform(4, 16))
    content[start : start + length] = bytes(len(content[start : start + length]))
    path.write_bytes(content)
    return f"zeros from {start}, {length} bytes"


def lose_piece(path: Path, rng: np.random.Generator) -> str:
    """A piece is missing in the middle."""
    content = path.read_bytes()
    start, length = int(rng.integers(0, len(content))), int(2 ** rng.uniform(0, 16))
    path.write_bytes(content[:start] + content[start + length :])
    return f"{length} bytes are missing from {start} on"


def _nodes(file: tables.File) -> list[tables.Node]:
    return [node for node in file.walk_nodes("/") if node._v_pathname != "/"]


def lose_node(path: Path, rng: np.random.Generator) -> str:
    """A table or group is missing."""
    with tables.open_file(path, "a") as file:
        nodes = _nodes(file)
        node = nodes[int(rng.integers(len(nodes)))]
        name = node._v_pathname
        file.remove_node(node, recursive=True)
    return f"without {name}"


def rename_node(path: Path, rng: np.random.Generator) -> str:
    """A table or group has another name."""
    with tables.open_file(path, "a") as file:
        nodes = _nodes(file)
        node = nodes[int(rng.integers(len(nodes)))]
        name = node._v_pathname
        node._f_rename(f"{node._v_name}_2")
    return f"{name} renamed"


#: What may stand in a table where nobody expects it.
ODD = (np.nan, np.inf, -np.inf, -1, 0, 1e300, -1e30, 2**31 - 1)


def odd_value(path: Path, rng: np.random.Generator) -> str:
    """A value of a table is none that can be."""
    with tables.open_file(path, "a") as file:
        candidates = [table for table in file.walk_nodes("/", "Table") if table.nrows]
        table = candidates[int(rng.integers(len(candidates)))]
        column = str(rng.choice(table.colnames))
        row, value = int(rng.integers(table.nrows)), ODD[int(rng.integers(len(ODD)))]
        values = table.read(row, row + 1)
        if values.dtype[column].base.kind not in "iuf":
            values[column] = np.zeros_like(values[column])
        else:
            with np.errstate(all="ignore"):
                values[column] = np.array(value).astype(values.dtype[column].base)
        table.modify_rows(row, row + 1, rows=values)
        return f"{table._v_pathname}, row {row}: {column} = {value}"


def repeat_or_lose_row(path: Path, rng: np.random.Generator) -> str:
    """A row of a table is there twice, or not at all."""
    with tables.open_file(path, "a") as file:
        candidates = [table for table in file.walk_nodes("/", "Table") if table.nrows > 1]
        table = candidates[int(rng.integers(len(candidates)))]
        row = int(rng.integers(table.nrows))
        if rng.random() < 0.5:
            table.remove_row(row)
            return f"{table._v_pathname} without row {row}"
        table.append(table.read(row, row + 1))
        return f"{table._v_pathname} with row {row} twice"


#: Attributes that are no sense.
NONSENSE = ("", "\x1b[2J\x07", "9" * 30, -1, np.nan, b"\xff\xfe", np.arange(5))


def odd_attribute(path: Path, rng: np.random.Generator) -> str:
    """An attribute has another value."""
    with tables.open_file(path, "a") as file:
        nodes = [node for node in [file.root, *_nodes(file)] if node._v_attrs._v_attrnames]
        node = nodes[int(rng.integers(len(nodes)))]
        name = str(rng.choice(node._v_attrs._v_attrnames))
        value = NONSENSE[int(rng.integers(len(NONSENSE)))]
        node._v_attrs[name] = value
        return f"{node._v_pathname}: {name} = {value!r}"


class _RunsCode:
    """An object whose pickle makes a file where it is opened."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def hostile_attribute(path: Path, rng: np.random.Generator) -> str:
    """An attribute is a pickle that runs code."""
    content = pickle.dumps(_RunsCode(canary(path)), protocol=0)
    with tables.open_file(path, "a") as file:
        nodes = [file.root, *_nodes(file)]
        node = nodes[int(rng.integers(len(nodes)))]
        names = ["TITLE", "VERSION", "hostile", *node._v_attrs._v_attrnamesuser]
        name = str(rng.choice(names))
        where = node._v_pathname
    import h5py

    with h5py.File(path, "a") as file:
        file[where].attrs.create(name, np.bytes_(content))
    return f"{where}: {name} is a pickle"


def canary(path: Path) -> Path:
    """What a pickle in a copy makes when it is run."""
    return path.with_name("canary")


def _tables(hdus: fits.HDUList) -> list[fits.BinTableHDU]:
    return [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU) and len(hdu.data)]


def odd_cell(path: Path, rng: np.random.Generator) -> str:
    """A value of a FITS table is none that can be."""
    with fits.open(path, mode="update", memmap=False) as hdus:
        candidates = _tables(hdus)
        hdu = candidates[int(rng.integers(len(candidates)))]
        name = str(rng.choice(hdu.columns.names))
        values = hdu.data[name]
        place = tuple(int(rng.integers(size)) for size in values.shape)
        value = ODD[int(rng.integers(len(ODD)))]
        if values.dtype.kind in "iuf":
            with np.errstate(all="ignore"):
                values[place] = np.array(value).astype(values.dtype)
        else:
            values[place] = values.dtype.type()
        return f"{hdu.name}, {list(place)}: {name} = {value}"


def lose_hdu(path: Path, rng: np.random.Generator) -> str:
    """A table of a FITS file is missing."""
    with fits.open(path, mode="update", memmap=False) as hdus:
        place = int(rng.integers(1, len(hdus)))
        name = hdus[place].name
        del hdus[place]
    return f"without {name or place}"


#: What a card of a header may say that is no sense.
CARDS = ("", "nonsense", "1e999", -1, 2**31 - 1, 0.5, True)


def odd_card(path: Path, rng: np.random.Generator) -> str:
    """A card of a FITS header has another value."""
    content = bytearray(path.read_bytes())
    cards = [m.start() for m in re.finditer(rb"[A-Z][A-Z0-9-]{1,7} *= ", content)]
    cards = [place for place in cards if place % 80 == 0]
    place = cards[int(rng.integers(len(cards)))]
    name = content[place : place + 8].decode("ascii").strip()
    value = CARDS[int(rng.integers(len(CARDS)))]
    content[place : place + 80] = fits.Card(name, value).image.encode("ascii")
    path.write_bytes(content)
    return f"{name} = {value!r}"


def odd_word(path: Path, rng: np.random.Generator) -> str:
    """A number of a text is none that can be."""
    content = path.read_bytes()
    numbers = list(re.finditer(rb"(?<=[ ,])[-+]?[0-9][-+.0-9e]*(?=[ ,\n])", content))
    match = numbers[int(rng.integers(len(numbers)))]
    value = str(ODD[int(rng.integers(len(ODD)))])
    path.write_bytes(content[: match.start()] + value.encode() + content[match.end() :])
    return f"{match[0].decode()} at {match.start()} = {value}"


def repeat_or_lose_line(path: Path, rng: np.random.Generator) -> str:
    """A line of a text is there twice, or not at all."""
    lines = path.read_bytes().splitlines(keepends=True)
    place, n = int(rng.integers(len(lines))), 2 * int(rng.integers(2))
    path.write_bytes(b"".join([*lines[:place], *[lines[place]] * n, *lines[place + 1 :]]))
    return f"line {place} is there {n} times"


OF_ANY = (change_bytes, cut_off, zero_piece, lose_piece)

#: By the format of a file.
CHANGES = {
    "other": OF_ANY,
    "HDF5": (
        *OF_ANY,
        lose_node,
        rename_node,
        odd_value,
        odd_value,
        repeat_or_lose_row,
        odd_attribute,
        hostile_attribute,
    ),
    "FITS": (*OF_ANY, odd_cell, odd_cell, odd_card, lose_hdu),
    "text": (*OF_ANY, odd_word, odd_word, repeat_or_lose_line),
}

#: What HDF5 and PyTables raise where a change cannot be made in a file.
NOT_MADE = (
    *(tables.HDF5ExtError, tables.NodeError),
    *(AttributeError, OSError, ValueError, TypeError),
)
