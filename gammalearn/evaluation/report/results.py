"""Tables and pictures as files."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from astropy.io import fits
from astropy.table import QTable, Table
from matplotlib.figure import Figure

from ...errors import OutputError
from ...io.writing import write_whole
from .page import ReportFigure, ReportSection

__all__ = [
    "Findings",
    "Result",
    "ResultsByName",
    "plain_numbers",
    "refuse_existing",
    "write_numbers",
    "write_results",
]


@dataclass
class Result:
    """A table (or none) with its picture (or none)."""

    name: str
    figure: Figure | None
    caption: str
    table: QTable | None = None
    as_fits: bool = False
    """Whether the table is written as FITS too."""


@dataclass
class Findings:
    """What the evaluation of one quantity yields."""

    metrics: Mapping[str, object]
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sections: list[ReportSection] = field(default_factory=list)


class ResultsByName:
    """What has results: their tables and pictures by name."""

    results: list[Result]

    def __repr__(self) -> str:
        # Tables and pictures would fill pages.
        return f"<{type(self).__name__}: {', '.join(result.name for result in self.results)}>"

    @property
    def tables(self) -> dict[str, QTable]:
        """Tables by name, as they are written in ECSV."""
        return {result.name: result.table for result in self.results if result.table is not None}

    @property
    def figures(self) -> dict[str, Figure]:
        """Pictures by name, to be shown, changed or saved."""
        return {result.name: result.figure for result in self.results if result.figure is not None}


def refuse_existing(page: Path, overwrite: bool) -> None:
    """Refuse a folder with results, unless they are to be replaced.

    Raises
    ------
    OutputError
        If the page with the results exists.
    """
    if page.exists() and not overwrite:
        raise OutputError(
            f"'{page.parent}' has results; give another folder, or overwrite=True to replace them."
        )


def write_results(
    results: Sequence[Result], folder: Path, names: Sequence[str]
) -> list[ReportFigure]:
    """Write each table as ECSV, those that are to be as FITS too, and each picture as PNG.

    Parameters
    ----------
    results : sequence of Result
    folder : pathlib.Path
    names : sequence of str
        Of all results that there may be: what is there of an earlier time is removed.

    Returns
    -------
    figures : list of ReportFigure
    """
    figures = []
    written: set[str] = set()
    for result in results:
        if result.figure is not None:
            picture = folder / f"{result.name}.png"
            # The version of matplotlib would make equal pictures differ.
            write_whole(picture, partial(result.figure.savefig, metadata={"Software": None}))
            written.add(picture.name)
            figures.append(ReportFigure(picture, _title(result.figure), result.caption))
        if result.table is not None:
            table = folder / f"{result.name}.ecsv"
            write_whole(table, partial(result.table.write, format="ascii.ecsv"))
            written.add(table.name)
            if result.as_fits:
                write_fits = partial(_write_fits, result.name, result.table)
                write_whole(table.with_suffix(".fits"), write_fits)
                written.add(f"{result.name}.fits")

    # A picture of an earlier evaluation must not pass for one of this.
    for name in names:
        for suffix in (".png", ".ecsv", ".fits"):
            if f"{name}{suffix}" not in written:
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return figures


def _write_fits(name: str, content: QTable, path: Path) -> None:
    """Write a table and its numbers; what is undefined has no place in a FITS header."""
    table = Table(content)
    numbers = {name: value for name, value in table.meta.items() if value == value}
    table.meta.clear()
    hdu = fits.table_to_hdu(table)
    hdu.name = name
    for key, value in numbers.items():
        hdu.header[key if len(key) <= 8 else f"HIERARCH {key}"] = value
    hdu.writeto(path, overwrite=True)


def _title(figure: Figure) -> str:
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    if figure.get_suptitle():
        titles.insert(0, figure.get_suptitle())
    return " and ".join(titles)


def write_numbers(numbers: Mapping[str, object], path: Path) -> dict[str, object]:
    """Write numbers as JSON, null where there is none; returns what the file holds."""
    plain = plain_numbers(numbers)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, lambda p: p.write_text(text, encoding="utf-8"))
    return plain


def plain_numbers(numbers: Mapping[str, object]) -> dict[str, object]:
    """Numbers as JSON has them: what is no finite number is None."""
    return {name: _plain(value) for name, value in numbers.items()}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return plain_numbers(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
