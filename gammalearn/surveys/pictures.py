"""Pictures of a survey's report."""

from collections.abc import Sequence
from pathlib import Path

from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from ..io.writing import write_whole
from ..plotting.style import PALETTE
from .survey import ResultSet

__all__ = ["colors", "picture_with_axes", "word", "write_table"]


def picture_with_axes(title: str, x: str, y: str) -> tuple[Picture, Axes]:
    """A picture with one diagram."""
    picture = Picture(figsize=(5.2, 4.2), layout="constrained")
    axes = picture.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return picture, axes


def colors(sets: Sequence[ResultSet]) -> list[str]:
    """A colour for each table."""
    return [PALETTE[number % len(PALETTE)] for number in range(len(sets))]


def word(label: str) -> str:
    """A label as a part of a file's name."""
    return "".join(letter if letter.isalnum() else "_" for letter in label)


def write_table(table: Table, path: Path) -> None:
    """Write the table that a picture shows."""
    write_whole(path, lambda part: table.write(part, format="ascii.ecsv", overwrite=True))
