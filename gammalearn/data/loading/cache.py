"""Cache folder: what was made from a file once and need not be made again.

An entry belongs to one file as it is now, told by its size and the time of its last change, and to
all that decides what the entry holds. Entries of the file as it was before are removed.

Folders here are their owner's alone, so that nobody else puts anything there; a link, which may
lead anywhere, is refused.
"""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...errors import OutputError

__all__ = ["cache_entries", "cache_entry", "cache_folder", "clear_cache"]

#: Kinds of entries: events of sim_telarray files as DL1, unpacked images, and indices of events.
KINDS = ("dl1", "images", "index")

#: How the folder is called that holds the entries of a file as it was at one time.
STAMP = re.compile(r"\d+-\d+")

#: How the folder is called that holds the entries of a file: its name, and a digest of its place.
OF_FILE = re.compile(r".*-[0-9a-f]{16}")

#: Characters of a file's name that are kept in that of its entries, for people who look.
LONGEST_NAME = 60


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


def cache_entry(folder: Path, kind: str, path: Path, content: object) -> Path:
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
    name = re.sub(r"[^\w.+-]", "_", path.name)[:LONGEST_NAME]
    of_file = folder / kind / f"{name}-{_digest(str(path))}"
    entry = of_file / stamp / _digest(content)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in (folder / kind, of_file, of_file / stamp, entry):
            _make_own(place)
        for other in of_file.iterdir():
            # rmtree itself follows no link; other names are none of ours.
            if other.name != stamp and STAMP.fullmatch(other.name) and not other.is_symlink():
                shutil.rmtree(other, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"The cache folder '{folder}' cannot be used: {error}; set data.cache_directory to "
            "another one."
        ) from error
    return entry


def _make_own(folder: Path) -> None:
    """Have a folder that is ours alone.

    Raises
    ------
    OutputError
        If there is a link or somebody else's folder.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(
            f"'{folder}' in the cache is a link, which is not followed; delete it, or set "
            "data.cache_directory to another folder."
        )
    if status.st_uid != os.getuid():
        raise OutputError(
            f"'{folder}' in the cache is another user's; set data.cache_directory to a folder of "
            "your own."
        )
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def cache_entries(folder: Path) -> Iterator[Path]:
    """What a cache holds: a folder for each file, as it was at one time.

    Links, folders of other users and what has another name are none of ours.

    Parameters
    ----------
    folder : Path
        The cache's.
    """
    for kind in KINDS:
        for of_file in _own_folders(folder / kind, OF_FILE):
            yield from _own_folders(of_file, STAMP)


def clear_cache(folder: Path) -> int:
    """Delete all entries of a cache, and nothing else; no link is followed.

    Parameters
    ----------
    folder : Path
        The cache's.

    Returns
    -------
    int
        Number of entries that were deleted.

    Raises
    ------
    OutputError
        If one cannot be deleted.
    """
    entries = list(cache_entries(folder))
    for entry in entries:
        try:
            # It follows no link, and refuses one in the place of the folder.
            shutil.rmtree(entry)
        except OSError as error:
            raise OutputError(
                f"'{entry}' in the cache cannot be deleted ({error.strerror}); delete it yourself."
            ) from error
        for parent in (entry.parent, entry.parent.parent):
            with suppress(OSError):  # others are in it
                parent.rmdir()
    return len(entries)


def _own_folders(folder: Path, names: re.Pattern[str]) -> list[Path]:
    """Folders of ours with such names in a folder, if that is ours too."""
    if not _is_own(folder):
        return []
    named = (path for path in sorted(folder.iterdir()) if names.fullmatch(path.name))
    return list(filter(_is_own, named))


def _is_own(path: Path) -> bool:
    """Whether there is a folder of this user, and no link."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
