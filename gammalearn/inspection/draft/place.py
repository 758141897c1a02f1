"""Where an experiment may be written: found out before anything is looked into."""

import os
from pathlib import Path

from ...errors import OutputError, SettingsError
from ...run.folder import check_place

__all__ = ["check_place_of_draft"]


def check_place_of_draft(path: Path, overwrite: bool) -> None:
    """Refuse a file that must not be written, or cannot.

    Raises
    ------
    SettingsError
        If its name does not end in .py.
    OutputError
        If it exists and is not to be replaced, or cannot be written.
    """
    if path.suffix != ".py":
        raise SettingsError(f"The experiment '{path}' must end in .py; give another name with -o.")
    if path.is_dir():
        raise OutputError(f"'{path}' is a directory; give the name of a file with -o.")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(
            f"'{path}' exists; give another name with -o, or --overwrite to replace it."
        )
    check_place(path.parent)
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' does not exist; make it first.")
