"""Readers: from files of surveys to a catalogue, one file for each format."""

from collections.abc import Sequence
from pathlib import Path

from ...errors import InputFileError
from ...io.isolated import read_isolated
from ..catalogue import Catalogue, is_catalogue, join_catalogues, read_catalogue
from .snana_fits import is_snana_head, read_snana_fits
from .snana_text import read_snana_text

__all__ = ["REMEDY", "read_objects"]

#: What to do where there are no files.
REMEDY = "give a catalogue (.h5), or SNANA's files"

#: Endings of SNANA's text files, one object each.
TEXT = (".dat", ".txt")


def read_objects(paths: Sequence[Path]) -> Catalogue:
    """The objects of some files: catalogues, SNANA's text files (.DAT) or FITS files (HEAD).

    Raises
    ------
    InputFileError
        If a file is damaged or of another kind, or two objects have one name.
    """
    parts = []
    texts = [path for path in paths if path.suffix.lower() in TEXT]
    if texts:
        parts.append(read_snana_text(texts))
    for path in paths:
        if path.suffix.lower() in TEXT:
            continue
        if is_catalogue(path):
            # In a child process: damage may crash the HDF5 library.
            parts.append(read_isolated(read_catalogue, path))
        elif is_snana_head(path):
            parts.append(read_snana_fits(path))
        elif not is_photometry(path, paths):
            raise InputFileError(
                f"'{path}' holds no objects of a survey; give a catalogue (.h5), SNANA's text "
                "files (.DAT) or its FITS files (*_HEAD.FITS with *_PHOT.FITS beside)."
            )
    return join_catalogues(parts)


def is_photometry(path: Path, paths: Sequence[Path]) -> bool:
    """Whether a file is the PHOT file of a HEAD file that is given too."""
    name = path.name.upper()
    return "_PHOT.FITS" in name and any(
        other.name.upper() == name.replace("_PHOT.FITS", "_HEAD.FITS") for other in paths
    )
