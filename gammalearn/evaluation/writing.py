"""Files that appear under their name only when they are complete."""

import os
from collections.abc import Callable
from pathlib import Path

from ..errors import OutputError

__all__ = ["make_folder", "write_whole"]


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they are there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output folder '{path}' cannot be made ({error.strerror}); give another one."
        ) from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` write a file beside ``path``, then give it that name.

    Parameters
    ----------
    path : pathlib.Path
        The file to write; what it held before is replaced at once.
    write : callable
        Gets the path to write to, in the same folder and with the same suffix.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    # The suffix stays last, as libraries choose the format by it.
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"The file '{path}' cannot be written ({error.strerror}).") from error
    finally:
        beside.unlink(missing_ok=True)
