"""Formats: which reader a file needs, by what it holds."""

from pathlib import Path

import tables

from ...errors import InputFileError
from ...io.files import open_hdf5, reading
from .ctapipe_dl1 import CtapipeDL1Reader
from .lstchain_dl1 import LstchainDL1Reader
from .reader import Reader
from .simtel import SimtelReader

__all__ = ["open_reader"]


def open_reader(path: Path, cache_directory: str | None = None) -> Reader:
    """Open a file with the reader of its format.

    Parameters
    ----------
    path : Path
        ctapipe or lstchain DL1, or sim_telarray's output; its name does not matter.
    cache_directory : str, optional
        Setting ``data.cache_directory``.

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
            return SimtelReader(path, cache_directory)
        raise InputFileError(
            f"'{path}' cannot be read as HDF5 or as a file of sim_telarray: it is truncated, "
            "corrupted or of another format."
        )
    with open_hdf5(path) as file, reading(path, "the table of contents"):
        is_lstchain = LstchainDL1Reader.is_format_of(file)
    return LstchainDL1Reader(path) if is_lstchain else CtapipeDL1Reader(path)
