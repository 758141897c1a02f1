"""What PyTables must not do with a file that anyone may have made.

PyTables runs the pickles in a file's attributes, HDF5 follows links and reads raw data out of any
file that a file names, and a table is as large as it says. Importing this module forbids that to
PyTables in the whole process, so that it holds for what ctapipe opens too:

- pickles give plain values (see :mod:`gammalearn.io.plain_pickle`);
- external links lead to regular HDF5 files, and from there no further;
- data lie in the file itself;
- nothing is larger than a file of its size can hold.

Each is refused in one sentence as a node is opened, before its data are read.
"""

import contextlib
import ctypes
import functools
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import tables
from tables import atom, attributeset, hdf5extension
from tables.attributeset import AttributeSet
from tables.file import File
from tables.file import _open_files as opened_files
from tables.group import Group, RootGroup
from tables.node import Node

from ..errors import InputFileError
from . import plain_pickle
from .plain_pickle import NotPlainError

__all__ = ["distrust_files"]

#: Bytes in memory for each byte of the file: ctapipe's tables are compressed by less than 100.
MOST_COMPRESSED = 1000

#: Bytes that any file may claim: empty chunks of many rows cost nothing.
ALWAYS_ALLOWED = 2**26

#: HDF5's numbers of a data set that is made of others, and of the whole of one.
VIRTUAL, ALL = 3, 0

#: Soft links that lead to each other; HDF5 gives up after as many.
MOST_LINKS = 16

#: Of the library that PyTables itself uses, called while Python's lock is held, as PyTables does.
_HDF5 = ctypes.PyDLL(hdf5extension.__file__)
_HDF5.H5Dget_create_plist.argtypes = [ctypes.c_int64]
_HDF5.H5Dget_create_plist.restype = ctypes.c_int64
for _function in (_HDF5.H5Pget_layout, _HDF5.H5Pget_external_count, _HDF5.H5Pclose):
    _function.argtypes = [ctypes.c_int64]
_HDF5.H5Dget_num_chunks.argtypes = [
    ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_uint64)
]  # fmt: skip


class _Refused(BaseException):
    """Passes PyTables, which takes any Exception for a text that only looks like a pickle."""


@functools.cache
def distrust_files() -> None:
    """Forbid all this to PyTables, from now on; a second call does nothing."""
    attributeset.pickle = SimpleNamespace(loads=_loads_attribute)
    atom.pickle = SimpleNamespace(
        loads=plain_pickle.loads, dumps=atom.pickle.dumps, HIGHEST_PROTOCOL=4
    )
    AttributeSet.__getattr__ = _checked_attribute(AttributeSet.__getattr__)
    Group._g_check_has_child = _checked_path(Group._g_check_has_child)
    RootGroup._g_load_child = _checked_node(RootGroup._g_load_child)
    File.__init__ = _closed_on_failure(File.__init__)
    Node.__del__ = _forgiven(Node.__del__)


def _loads_attribute(data: bytes, **options: Any) -> Any:
    try:
        return plain_pickle.loads(data, **options)
    except NotPlainError as error:
        raise _Refused(str(error)) from error


def _checked_attribute(
    get: Callable[[AttributeSet, str], Any],
) -> Callable[[AttributeSet, str], Any]:
    """Have pickles refused by the names of file, node and attribute."""

    @functools.wraps(get)
    def checked(self: AttributeSet, name: str) -> Any:
        try:
            return get(self, name)
        except _Refused as refused:
            raise InputFileError(
                f"{_place(self, name)} holds {refused}, not a plain value; code in a file never "
                "runs. Remove the attribute, or leave the file out."
            ) from None
        except UnicodeDecodeError as error:
            raise InputFileError(f"{_place(self, name)} is no text in UTF-8.") from error

    return checked


def _place(attributes: AttributeSet, name: str) -> str:
    node = attributes._v_node
    return f"'{node._v_file.filename}': the attribute {name!r} of {node._v_pathname}"


def _closed_on_failure(open_file: Callable[..., None]) -> Callable[..., None]:
    """Have files closed that turn out to be damaged as they are opened.

    PyTables keeps them among the open ones and stumbles over them as the process ends.
    """

    @functools.wraps(open_file)
    def closed_on_failure(self: File, *arguments: Any, **options: Any) -> None:
        try:
            open_file(self, *arguments, **options)
        except BaseException:
            if self in opened_files.handlers:
                opened_files.remove(self)
                self._close_file()
                self.isopen = 0
            raise

    return closed_on_failure


def _forgiven(delete: Callable[[Node], None]) -> Callable[[Node], None]:
    """Have nodes of damaged files dropped without the traceback that Python prints at that.

    The error by which the file was found damaged has told it.
    """

    @functools.wraps(delete)
    def forgiven(self: Node) -> None:
        with contextlib.suppress(tables.HDF5ExtError):
            delete(self)

    return forgiven


def _checked_node(load: Callable[[RootGroup, str], Node]) -> Callable[[RootGroup, str], Node]:
    """Have nodes refused whose data lie elsewhere or are larger than their file can hold."""

    @functools.wraps(load)
    def checked(self: RootGroup, path: str) -> Node:
        node = load(self, path)
        if isinstance(node, tables.UnImplemented):
            # PyTables does not say why; it may be one of the attributes.
            for name in node._v_attrs._v_attrnames:
                getattr(node._v_attrs, name)
        elif isinstance(node, tables.Leaf):
            _check_place(node)
            _check_size(node)
        return node

    return checked


def _check_place(leaf: tables.Leaf) -> None:
    properties = _HDF5.H5Dget_create_plist(leaf._v_objectid)
    try:
        outside = (
            _HDF5.H5Pget_external_count(properties) != 0
            or _HDF5.H5Pget_layout(properties) == VIRTUAL
        )
    finally:
        _HDF5.H5Pclose(properties)
    if outside:
        raise InputFileError(
            f"'{leaf._v_file.filename}': the data of {leaf._v_pathname} are in another file, "
            "which is not read; copy them into this file (h5repack), or leave the file out."
        )


def _check_size(leaf: tables.Leaf) -> None:
    """Refuse what is larger than its file can hold, and tables whose rows are not there: HDF5 would
    fill in zeros."""
    row = 1 if isinstance(leaf, tables.VLArray) else leaf.dtype.itemsize
    claimed = row * max(math.prod(map(int, leaf.shape)), math.prod(leaf.chunkshape or (0,)))
    in_file = leaf._v_file.get_filesize()
    if claimed > max(ALWAYS_ALLOWED, MOST_COMPRESSED * in_file):
        raise InputFileError(
            f"'{leaf._v_file.filename}': {leaf._v_pathname} claims {claimed:.3g} bytes, more than "
            f"a file of {in_file} bytes can hold; it is damaged, leave it out."
        )
    if isinstance(leaf, tables.Table) and leaf.chunkshape:
        expected, stored = math.ceil(leaf.nrows / leaf.chunkshape[0]), ctypes.c_uint64()
        _HDF5.H5Dget_num_chunks(leaf._v_objectid, ALL, ctypes.byref(stored))
        if stored.value < expected:
            raise InputFileError(
                f"'{leaf._v_file.filename}': {leaf._v_pathname} claims {leaf.nrows} rows in "
                f"{expected} chunks, and has {stored.value} of them; it is damaged, leave it out."
            )


def _checked_path(find: Callable[[Group, str], Any]) -> Callable[[Group, str], Any]:
    """Have links refused that lead elsewhere than to regular HDF5 files.

    HDF5 opens what is linked as it goes along a path: a pipe would never answer.
    """

    @functools.wraps(find)
    def checked(self: Group, path: str) -> Any:
        _check_links(self._v_file, PurePosixPath(self._v_pathname, path).parts[1:])
        return find(self, path)

    return checked


def _check_links(
    file: tables.File, parts: Sequence[str], n_links: int = 0, linked: bool = False
) -> None:
    """Look at each part of a path that others are below; of a linked path, at the last one too."""
    for number in range(1, len(parts) + linked):
        place = "/".join(parts[:number])
        kind = file.root._g_get_objinfo(place)
        if kind == "SoftLink":
            if n_links < MOST_LINKS:
                target = PurePosixPath("/", *parts[: number - 1], file.get_node(f"/{place}").target)
                rest = (*target.parts[1:], *parts[number:])
                _check_links(file, rest, n_links + 1, linked)
            return
        if kind == "ExternalLink":
            if linked:
                raise InputFileError(
                    f"'{file.filename}' is linked from another file and links to a third one at "
                    f"/{place}, which is not followed; link the third one itself."
                )
            name, _, target = file.get_node(f"/{place}").target.rpartition(":/")
            for path in _linked_files(file, name):
                with _open_linked(file, path) as other:
                    rest = (*PurePosixPath(target).parts, *parts[number:])
                    _check_links(other, rest, n_links, linked=True)
            return


def _linked_files(file: tables.File, name: str) -> list[Path]:
    """Where HDF5 looks for a file that is linked, as far as there is something."""
    folders = (Path(file.filename).parent, Path(), Path(file.filename).resolve().parent)
    # What is not where an absolute path says may lie beside the file.
    names = (name, Path(name).name) if Path(name).is_absolute() else (name,)
    found = (folder / name for name in names for folder in folders)
    return [path for path in dict.fromkeys(found) if os.path.lexists(path)]


def _open_linked(file: tables.File, path: Path) -> tables.File:
    if not (path.is_file() and tables.is_hdf5_file(str(path))):
        raise InputFileError(
            f"'{file.filename}' links to '{path}', which is no regular HDF5 file and is not "
            "opened; remove the link, or leave the file out."
        )
    return tables.open_file(str(path))
