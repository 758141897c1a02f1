"""The report: one page that holds all it shows and needs no network."""

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from jinja2 import Environment, PackageLoader

from ...errors import EvaluationError
from .provenance import InputFile

__all__ = [
    "Report",
    "ReportFigure",
    "ReportMetric",
    "ReportSection",
    "Worded",
    "format_value",
    "render_report",
]

MEDIA_TYPES = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}

#: Figures that are shown at once; the others are folded away, as are more input files than this.
FIRST_FIGURES, MANY_FILES = 6, 8

#: What is set in a typeface of its own.
CHECKSUM = re.compile("[0-9a-f]{16}|[0-9a-f]{64}")

#: What stands in a table where there is no value.
NO_VALUE = "–"


@dataclass(frozen=True)
class Worded:
    """A number that stands in words of its own in a table, such as with its error."""

    value: float
    """What the table is sorted by."""

    text: str


@dataclass(frozen=True)
class ReportSection:
    """A section that the caller adds, such as the training's learning curve."""

    title: str
    text: str = ""
    """Paragraphs, separated by empty lines."""

    table: Mapping[str, object] | None = None
    """Rows: name → value, or name → list of the values of several columns."""

    heading: Sequence[str] = ()
    """What stands above the columns of the table, that of the names included."""

    picture: Path | None = None
    """A PNG, SVG or JPEG file, embedded in the page."""

    alt: str = ""
    """What the picture shows, for those who cannot see it."""


@dataclass(frozen=True)
class ReportFigure:
    """A picture with its caption."""

    picture: Path
    alt: str
    caption: str


@dataclass(frozen=True)
class ReportMetric:
    """A number, what it is called and how it is defined."""

    label: str
    value: object
    unit: str
    definition: str


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    title: str
    lead: str
    warnings: Sequence[str]
    metrics: Sequence[ReportMetric]
    figures: Sequence[ReportFigure]
    events: Sequence[Sequence[object]]
    """Table of events: a row of headings, then one row a particle."""

    provenance: Mapping[str, object]
    files: Sequence[InputFile]
    sections: Sequence[ReportSection] = field(default_factory=tuple)
    results: Sequence[Sequence[object]] = field(default_factory=tuple)
    """Table of results where a list of metrics does not do: a row of headings, then the rows."""


def render_report(report: Report) -> str:
    """The page as HTML.

    Raises
    ------
    EvaluationError
        If a section's picture is missing or of a kind that pages do not show.
    """
    environment = Environment(
        loader=PackageLoader("gammalearn.evaluation.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [_figure(f.picture, f.alt, f.caption) for f in report.figures]
    return environment.get_template("report.html").render(
        report=report,
        metrics=[(metric, _with_unit(metric)) for metric in report.metrics],
        results=_table(report.results[0], report.results[1:]) if report.results else None,
        figures=figures[:FIRST_FIGURES],
        more_figures=figures[FIRST_FIGURES:],
        events=_table(report.events[0], report.events[1:]),
        sections=[_section(section) for section in report.sections],
        provenance=_table(["", ""], report.provenance.items()),
        files=_files(report.files),
        many_files=len(report.files) > MANY_FILES,
        settings=_settings(report.files),
    )


def format_value(value: object) -> str:
    """A value as text: four digits of a number, – for none."""
    if isinstance(value, Worded):
        return value.text
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NO_VALUE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    return str(value)


def _is_number(value: object) -> TypeGuard[Worded | float | None]:
    return value is None or (
        isinstance(value, int | float | Worded) and not isinstance(value, bool)
    )


@dataclass(frozen=True)
class _Cell:
    """A cell of a table: its class, its text and what the table is sorted by."""

    kind: str
    text: str
    number: float | None = None


def _cell(value: object) -> _Cell:
    text = format_value(value)
    if not _is_number(value):
        return _Cell("hash" if CHECKSUM.fullmatch(str(value)) else "name", text)
    # Where there is no value, nothing.
    number = value.value if isinstance(value, Worded) else value
    if number is None or math.isnan(number):
        return _Cell("number", text)
    return _Cell("number", text, float(number))


def _table(heading: Sequence[object], rows: Iterable[Sequence[object]]) -> dict[str, list]:
    """A table as the template has it: headings, each with whether its column is of numbers."""
    rows = [list(row) for row in rows]
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(heading))]
    return {
        "heading": list(zip(heading, numeric, strict=True)) if any(heading) else [],
        "rows": [[_cell(value) for value in row] for row in rows],
    }


def _with_unit(metric: ReportMetric) -> str:
    text = format_value(metric.value)
    return f"{text} {metric.unit}" if metric.unit and text != NO_VALUE else text


def _figure(picture: Path, alt: str, caption: str = "") -> dict[str, str]:
    media_type = MEDIA_TYPES.get(picture.suffix.lower())
    if media_type is None:
        raise EvaluationError(
            f"The picture '{picture}' cannot be shown in a report; give one of "
            f"{', '.join(MEDIA_TYPES)}."
        )
    try:
        content = base64.b64encode(picture.read_bytes()).decode("ascii")
    except OSError as error:
        raise EvaluationError(
            f"The picture '{picture}' for the report cannot be read ({error.strerror})."
        ) from error
    return {"source": f"data:{media_type};base64,{content}", "alt": alt, "caption": caption}


def _section(section: ReportSection) -> dict[str, object]:
    paragraphs = [text.strip() for text in section.text.split("\n\n")]
    found: dict[str, object] = {
        "title": section.title,
        "paragraphs": [text for text in paragraphs if text],
    }
    if section.table:
        rows = [
            [name, *value] if isinstance(value, list | tuple) else [name, value]
            for name, value in section.table.items()
        ]
        width = max(len(row) for row in rows)
        rows = [[*row, *[""] * (width - len(row))] for row in rows]
        found["table"] = _table([*section.heading, *[""] * (width - len(section.heading))], rows)
    if section.picture is not None:
        found["figure"] = _figure(Path(section.picture), section.alt or section.title)
    return found


def _files(files: Sequence[InputFile]) -> dict[str, list]:
    columns: dict[str, list[object]] = {
        "File": [file.name for file in files],
        "Made by": [file.software or NO_VALUE for file in files],
        "Seed": [file.seed for file in files],
        "SHA-256": [file.sha256 for file in files],
    }
    if any(file.checkpoint for file in files):
        columns["Checkpoint (BLAKE2b)"] = [file.checkpoint or NO_VALUE for file in files]
    return _table([*columns], zip(*columns.values(), strict=True))


def _settings(files: Sequence[InputFile]) -> list[tuple[str, str]]:
    """The settings of the networks, each once, and the names of the files that they made."""
    return [
        (", ".join(file.name for file in files if file.settings == settings), settings)
        for settings in dict.fromkeys(file.settings for file in files if file.settings)
    ]
