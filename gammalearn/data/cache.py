"""Cache folder: what was made from a file once and need not be made again.

An entry belongs to one file as it is now, told by its size and the time of its last change, and to
all that decides what the entry holds. Entries of the file as it was before are removed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError

__all__ = ["cache_entry", "cache_folder", "whole_file"]


def cache_folder(directory: str | None) -> Path:
    """The folder of the setting, or the user's: ``~/.cache/gammalearn``.

    Parameters
    ----------
    directory : str, optional
        ``data.cache_directory``.
    """
    if directory is not None:
        return Path(directory).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "gammalearn"


def cache_entry(folder: Path, kind: str, path: Path, content) -> Path:
    """The folder of one entry, made if it is not there.

    Parameters
    ----------
    folder : Path
        The cache's.
    kind : str
        What entries of this kind are called.
    path : Path
        The file that the entry is made from.
    content
        All that decides what the entry holds beside the file; plain values.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    path = Path(path).resolve()
    stat = path.stat()
    stamp = f"{stat.st_size}-{stat.st_mtime_ns}"
    of_file = folder / kind / f"{path.name}-{_digest(str(path))}"
    entry = of_file / stamp / _digest(content)
    try:
        entry.mkdir(parents=True, exist_ok=True)
        for other in of_file.iterdir():
            if other.name != stamp:
                shutil.rmtree(other, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"The cache folder '{folder}' cannot be used: {error}; set data.cache_directory to "
            "another one."
        ) from error
    return entry


def _digest(content) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to; the file has its own name when it is complete."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
