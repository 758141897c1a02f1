"""Which files are of a survey: a quick look, which what reads them checks."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ..settings.surveys import SURVEYS

__all__ = ["are_predictions", "is_survey_checkpoint", "is_survey_file"]

#: Endings of tables of predictions.
TABLES = (".ecsv", ".fits")

#: How the values of a checkpoint name its kind, and bytes of them that are looked at.
KIND = re.compile(rb"kind.{1,12}?(" + "|".join(SURVEYS).encode() + rb")", re.DOTALL)
MOST_BYTES = 2**24

#: Bytes of a text that are looked at.
BEGINNING = 2**14


def is_survey_checkpoint(path: str | Path) -> bool:
    """Whether a file looks like the checkpoint of a network for a survey."""
    path = Path(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    with archive.open(name) as values:
                        return KIND.search(values.read(MOST_BYTES)) is not None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        # Names that are no UTF-8, and what zipfile cannot unpack; what reads the file says what is
        # wrong.
        pass
    return False


def are_predictions(paths: Sequence[str | Path]) -> bool:
    """Whether all are tables of predictions, or folders of a survey's run."""
    return bool(paths) and all(_are_predictions(Path(path)) for path in paths)


def _are_predictions(path: Path) -> bool:
    if path.is_dir():
        names = ("predictions", *(f"predictions{ending}" for ending in TABLES))
        return any((path / name).exists() for name in names)
    return path.suffix in TABLES


def _is_light_curve(path: Path) -> bool:
    """Whether a file looks like SNANA's text: other programs write files of this ending too."""
    if path.suffix.lower() != ".dat" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
    except OSError:
        return False
    return b"SNID:" in beginning or b"VARLIST:" in beginning


def is_survey_file(path: Path) -> bool:
    """Whether a file looks like a catalogue, a table of predictions, or such a checkpoint."""
    # Slow to import, and not needed for the other two.
    from .catalogue import is_catalogue

    return (
        "_HEAD.FITS" in path.name.upper()
        or _is_light_curve(path)
        or (path.is_file() and path.suffix in TABLES)
        or is_catalogue(path)
        or is_survey_checkpoint(path)
    )
