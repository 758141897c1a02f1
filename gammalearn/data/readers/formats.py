"""Formats: which reader a file needs, by what it holds."""

from pathlib import Path

import tables

from ...errors import InputFileError
from ...io.files import open_hdf5, reading
from .ctapipe_dl1 import CtapipeDL1Reader
from .lstchain_dl1 import LstchainDL1Reader
from .reader import Reader
from .simtel import SimtelReader

__all__ = ["OTHER_HDF5", "is_ctapipe", "open_reader"]

#: Readers of HDF5 files that are not ctapipe's. Each knows its own, and has a method
#: ``write_ctapipe`` for a DL2 file to begin with.
OTHER_HDF5 = (LstchainDL1Reader,)


def open_reader(path: Path, cache_directory: str | None = None, waveforms: bool = False) -> Reader:
    """Open a file with the reader of its format.

    Parameters
    ----------
    path : Path
        ctapipe or lstchain DL1, or sim_telarray's output; its name does not matter.
    cache_directory : str, optional
        Setting ``data.cache_directory``.
    waveforms : bool
        Whether DL1 that is made of a file has its waveforms too.

    Raises
    ------
    InputFileError
        If the file is missing, damaged or of another format.
    EmptySelectionError
        If it holds no events.
    """
    path = Path(path)
    if path.is_file() and not tables.is_hdf5_file(str(path)):
        if SimtelReader.is_format_of(path):
            return SimtelReader(path, cache_directory, waveforms)
        raise InputFileError(
            f"'{path}' cannot be read as HDF5 or as a file of sim_telarray: it is truncated, "
            "corrupted or of another format."
        )
    reader = _hdf5_reader(path)
    return reader(path)


def is_ctapipe(path: Path) -> bool:
    """Whether a file is HDF5, and in no other format that can be read than ctapipe's.

    Raises
    ------
    InputFileError
        If it is damaged.
    """
    return tables.is_hdf5_file(str(path)) and _hdf5_reader(path) is CtapipeDL1Reader


def _hdf5_reader(path: Path) -> type[LstchainDL1Reader] | type[CtapipeDL1Reader]:
    with open_hdf5(path) as file, reading(path, "the table of contents"):
        return next((kind for kind in OTHER_HDF5 if kind.is_format_of(file)), CtapipeDL1Reader)
