"""What reports say of files that were left out."""

from collections.abc import Sequence
from pathlib import Path

from .page import ReportSection

__all__ = ["section_of_skipped", "skipped_files"]


def skipped_files(what: str, skipped: Sequence[tuple[Path, str]]) -> list[str]:
    """A sentence on the files that could not be used.

    Parameters
    ----------
    what : str
        Kind of the files.
    skipped : sequence of (Path, str)
        Files, and why they were left out.
    """
    if not skipped:
        return []
    return [f"{len(skipped)} {what} file(s) were left out. The first one: {skipped[0][1]}"]


def section_of_skipped(what: str, skipped: Sequence[tuple[Path, str]]) -> list[ReportSection]:
    """A section with all of these files by their whole path, none where there is none."""
    if not skipped:
        return []
    return [
        ReportSection(
            title=f"{what[0].upper()}{what[1:]} files left out",
            text="Files that could not be used, and why (on_error is skip).",
            table={str(Path(path).absolute()): why for path, why in skipped},
        )
    ]
