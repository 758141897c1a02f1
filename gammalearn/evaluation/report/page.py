"""The report: one page that holds all it shows and needs no network."""

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

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

#: More input files than this are folded away.
MANY_FILES = 8

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
    template = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(report.title),
        lead=escape(report.lead),
        warnings=_render_warnings(report.warnings),
        metrics=_render_results(report),
        figures="\n".join(_render_figure(f.picture, f.alt, f.caption) for f in report.figures),
        events=_render_table(report.events[0], report.events[1:]),
        provenance=_render_provenance(report.provenance, report.files),
        sections="\n".join(_render_section(section) for section in report.sections),
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


def _is_number(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float | Worded) and not isinstance(value, bool)
    )


def _cell(value: object) -> str:
    text = escape(format_value(value))
    if not _is_number(value):
        kind = "hash" if CHECKSUM.fullmatch(str(value)) else "name"
        return f'<td class="{kind}">{text}</td>'
    # What tables are sorted by; where there is no value, nothing.
    number = value.value if isinstance(value, Worded) else value
    known = number is not None and not math.isnan(number)
    return f'<td class="number"{f" data-value={float(number)!r}" if known else ""}>{text}</td>'


def _render_table(heading: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    rows = list(rows)
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(heading))]
    head = "".join(
        f"<th{' class=number' if is_numeric else ''}>{escape(str(text))}</th>"
        for text, is_numeric in zip(heading, numeric, strict=True)
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(heading) else ""
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _render_warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="warning"><h2>Read with care</h2><ul>{items}</ul></section>'


def _render_results(report: Report) -> str:
    parts = [_render_metrics(report.metrics)] if report.metrics else []
    if report.results:
        parts.append(_render_table(report.results[0], report.results[1:]))
    return "".join(parts)


def _render_metrics(metrics: Sequence[ReportMetric]) -> str:
    head = "<tr><th>Result</th><th class=number>Value</th><th>Definition</th></tr>"
    rows = "".join(
        f"<tr><td>{escape(metric.label)}</td>"
        f"{_cell(_with_unit(metric))}"
        f'<td class="note">{escape(metric.definition)}</td></tr>'
        for metric in metrics
    )
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll metrics">{table}</div>'


def _with_unit(metric: ReportMetric) -> object:
    text = format_value(metric.value)
    if not metric.unit or text == NO_VALUE:
        return metric.value
    return Worded(metric.value, f"{text} {metric.unit}")


def _render_figure(picture: Path, alt: str, caption: str = "") -> str:
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
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img src="data:{media_type};base64,{content}" alt="{escape(alt)}">'
    return f"<figure>{image}{text}</figure>"


def _render_provenance(provenance: Mapping[str, object], files: Sequence[InputFile]) -> str:
    rows = _render_table(["", ""], provenance.items())
    heading = f"{len(files)} DL2 file{'' if len(files) == 1 else 's'}"
    columns = {
        "File": [file.name for file in files],
        "Made by": [file.software or NO_VALUE for file in files],
        "Seed": [file.seed for file in files],
        "SHA-256": [file.sha256 for file in files],
    }
    if any(file.checkpoint for file in files):
        columns["Checkpoint (BLAKE2b)"] = [file.checkpoint or NO_VALUE for file in files]
    inputs = _render_table([*columns], zip(*columns.values(), strict=True))
    if len(files) > MANY_FILES:
        inputs = f"<details><summary>{heading}</summary>{inputs}</details>"
    else:
        inputs = f"<p>{heading}:</p>{inputs}"
    return "".join([rows, inputs, *_render_settings(files)])


def _render_settings(files: Sequence[InputFile]) -> Iterable[str]:
    """The settings of the networks, folded away, each once."""
    for settings in dict.fromkeys(file.settings for file in files if file.settings):
        names = ", ".join(file.name for file in files if file.settings == settings)
        yield (
            f"<details><summary>Settings of the network that made {escape(names)}</summary>"
            f"<pre>{escape(settings)}</pre></details>"
        )


def _render_section(section: ReportSection) -> str:
    parts = [f"<section><h2>{escape(section.title)}</h2>"]
    paragraphs = [text.strip() for text in section.text.split("\n\n")]
    parts += [f"<p>{escape(text)}</p>" for text in paragraphs if text]
    if section.table:
        rows = [
            [name, *value] if isinstance(value, list | tuple) else [name, value]
            for name, value in section.table.items()
        ]
        width = max(len(row) for row in rows)
        rows = [[*row, *[""] * (width - len(row))] for row in rows]
        heading = [*section.heading, *[""] * (width - len(section.heading))]
        parts.append(_render_table(heading, rows))
    if section.picture is not None:
        parts.append(_render_figure(Path(section.picture), section.alt or section.title))
    return "".join([*parts, "</section>"])
