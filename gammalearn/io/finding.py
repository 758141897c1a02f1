"""Finding files by their names, without what reads them: wrong names are told at once."""

import fnmatch
import glob
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputFileError

__all__ = ["check_file", "find_files", "is_meant"]

#: What to do where there are no events to learn from or to reconstruct.
MAKE_DL1 = (
    "put ctapipe DL1 files (charge and peak time images) there, which `gammalearn simulate` makes, "
    "or name your own"
)


def find_files(patterns: Sequence[str], setting: str, remedy: str = MAKE_DL1) -> list[Path]:
    """The files that names and globs stand for, each once, globs in sorted order.

    A file of several names (``a/b.h5`` and ``./a/b.h5``, links) goes by the first.

    Parameters
    ----------
    patterns : sequence of str
        File names or globs.
    setting : str
        Where they were given, for the error.
    remedy : str
        What to do where nothing matches a glob.

    Raises
    ------
    InputFileError
        If none is given, one does not exist, is a directory, or matches nothing.
    """
    if not patterns:
        raise InputFileError(
            f"{setting} is empty; give one or more DL1 files, e.g. "
            f"--set {setting}='[\"path/to/*.dl1.h5\"]'."
        )
    found: dict[Path, Path] = {}
    for pattern in patterns:
        path = Path(os.path.expanduser(pattern))
        if path.is_dir():
            raise InputFileError(
                f"{setting}: '{pattern}' is a directory; give its files, e.g. '{pattern}/*.h5'."
            )
        if path.exists():
            found.setdefault(path.resolve(), path)
            continue
        if not glob.has_magic(pattern):
            raise InputFileError(f"{setting}: the file '{pattern}' does not exist.")
        matches = [
            p for p in map(Path, sorted(glob.glob(str(path), recursive=True))) if p.is_file()
        ]
        if not matches:
            raise InputFileError(
                f"{setting}: no file matches '{pattern}' in '{Path.cwd()}'; {remedy}."
            )
        for match in matches:
            found.setdefault(match.resolve(), match)
    return list(found.values())


def is_meant(path: str | Path, pattern: str) -> bool:
    """Whether a name or glob stands for a file, which need not exist yet."""
    name, wanted = (Path(os.path.abspath(os.path.expanduser(p))).parts for p in (path, pattern))
    return _parts_match(name, wanted)


def _parts_match(name: Sequence[str], wanted: Sequence[str]) -> bool:
    if not name or not wanted:
        return not name and not wanted
    first, *rest = wanted
    if first == "**":
        # Any number of folders, none included.
        return any(_parts_match(name[n:], rest) for n in range(len(name)))
    return (name[0] == first or fnmatch.fnmatchcase(name[0], first)) and _parts_match(
        name[1:], rest
    )


def check_file(path: str | Path) -> None:
    """Refuse what is no file.

    Raises
    ------
    InputFileError
        If it is missing, a directory, a pipe or a device.
    """
    path = Path(path)
    if path.is_dir():
        raise InputFileError(f"'{path}' is a directory; give a file.")
    if not path.exists():
        raise InputFileError(f"The file '{path}' does not exist.")
    if not path.is_file():
        raise InputFileError(f"'{path}' is no regular file, but a pipe or a device; give a file.")
