"""Report: figures, pictures and the page, of one table of predictions or of several."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EvaluationError
from ..evaluation.report.page import (
    Report,
    ReportFigure,
    ReportMetric,
    ReportSection,
    Worded,
    render_report,
)
from ..evaluation.report.provenance import versions
from ..evaluation.report.results import plain_numbers, write_numbers
from ..io.writing import make_folder, write_whole
from ..plotting.style import picture_style
from .evaluation import Figure, bootstrap_samples
from .survey import ResultSet, Survey

__all__ = ["compare_tables", "evaluate_tables"]

#: Bootstrap samples of differences.
N_DIFFERENCES = 50


def evaluate_tables(
    survey: Survey,
    sets: Sequence[ResultSet],
    folder: Path,
    settings: Any,
    sections: Sequence[ReportSection] = (),
    warnings: Sequence[str] = (),
    names: tuple[str, str, str] = ("metrics.json", "report.html", "evaluation"),
    title: str | None = None,
) -> dict[str, object]:
    """Write figures, tables, pictures and the page of some predictions of the same objects.

    Parameters
    ----------
    survey : Survey
    sets : sequence of ResultSet
        The first one is the one that the figures are of.
    folder : Path
    settings : Settings
        Those of the evaluation of the survey.
    sections : sequence of ReportSection
        Such as the learning curve.
    warnings : sequence of str
    names : tuple of str
        Files of the figures and the page, and folder of the pictures.
    title : str, optional

    Returns
    -------
    dict
        The figures, as in ``metrics.json``.

    Raises
    ------
    EvaluationError
        If no truth is known.
    """
    known = [_with_truth(survey, s) for s in sets]
    found = {s.label: survey.figures(s.table, settings) for s in known}
    pictures = folder / names[2]
    make_folder(pictures)
    drawn = _draw(survey, known, pictures, settings, found)
    numbers = _numbers(known, found)
    first = known[0]
    page = Report(
        title=title or survey.name.capitalize(),
        lead=f"{len(first.table)} {survey.objects} of known {survey.known}; errors are of "
        f"{settings.n_bootstrap} bootstrap samples.",
        warnings=list(warnings),
        metrics=[
            ReportMetric(f.label, _worded(f), "", f.definition) for f in found[first.label].values()
        ]
        if len(known) == 1
        else [],
        results=_results(known, found) if len(known) > 1 else (),
        figures=drawn,
        events=survey.counts(first.table),
        provenance={**versions(), **_choices(settings)},
        files=[s.file for s in known if s.file is not None],
        sections=[*survey.sections(known, settings), *sections],
    )
    html = render_report(page)
    written = write_numbers(numbers, folder / names[0])
    write_whole(folder / names[1], lambda part: part.write_text(html, encoding="utf-8"))
    return written


def compare_tables(
    survey: Survey, sets: Sequence[ResultSet], folder: Path, settings: Any
) -> dict[str, object]:
    """Compare several tables of predictions, on the objects that all of them have.

    Raises
    ------
    EvaluationError
        If they have no object in common.
    """
    names = [set(map(str, s.table["object_id"])) for s in sets]
    shared = sorted(set.intersection(*names))
    if not shared:
        raise EvaluationError(
            "The tables have no object in common; give predictions of the same catalogue."
        )
    warnings = []
    alike = []
    for s, own in zip(sets, names, strict=True):
        if len(own) > len(shared):
            warnings.append(f"{len(own) - len(shared)} objects of {s.label} are not in all tables.")
        ids = np.asarray(s.table["object_id"]).astype(str)
        order = np.argsort(ids)
        alike.append(ResultSet(s.label, s.table[order[np.isin(ids[order], shared)]], s.file))
    return evaluate_tables(
        survey,
        alike,
        folder,
        settings,
        _differences(survey, alike, settings),
        warnings,
        ("comparison.json", "compare.html", "comparison"),
        f"Comparison of {survey.result}",
    )


def _with_truth(survey: Survey, results: ResultSet) -> ResultSet:
    """The objects whose truth is known."""
    table = survey.with_truth(results.table)
    if not len(table):
        raise EvaluationError(
            f"'{results.label}' has no object of known {survey.known}, so that there is nothing to "
            "compare with; give predictions of a catalogue with truth."
        )
    return ResultSet(results.label, table, results.file)


def _choices(settings: Any) -> dict[str, object]:
    """Choices of the evaluation that are single numbers."""
    values = settings.model_dump(exclude={"n_bootstrap", "baseline"})
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _differences(survey: Survey, sets: Sequence[ResultSet], settings: Any) -> list[ReportSection]:
    """Differences to the first one, whose errors are of the same bootstrap samples."""
    tables = [_with_truth(survey, s).table for s in sets]
    if len({len(table) for table in tables}) > 1:
        return []
    samples = bootstrap_samples(len(tables[0]), N_DIFFERENCES)
    quick = settings.model_copy(update={"n_bootstrap": 2})

    labels = survey.figures(tables[0], quick)

    def values(rows: np.ndarray | slice) -> np.ndarray:
        each = [survey.figures(table[rows], quick) for table in tables]
        return np.array([[found[name].value for name in survey.compared] for found in each])

    whole = values(slice(None))
    spread = np.nanstd([(v := values(rows)) - v[0] for rows in samples], axis=0)
    table = {
        s.label: [
            Worded(d, f"{d:+.4f} ± {e:.4f}")
            for d, e in zip(whole[n] - whole[0], spread[n], strict=True)
        ]
        for n, s in enumerate(sets)
        if n
    }
    return [
        ReportSection(
            title=f"Differences to {sets[0].label}",
            text=f"Errors are of {N_DIFFERENCES} bootstrap samples, which are the same for all.",
            heading=["", *(labels[name].label for name in survey.compared)],
            table=table,
        )
    ]


def _worded(figure: Figure) -> Worded:
    return Worded(figure.value, f"{figure.value:.4f} ± {figure.error:.4f}")


def _results(
    sets: Sequence[ResultSet], found: Mapping[str, Mapping[str, Figure]]
) -> list[list[object]]:
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    rows: list[list[object]] = [["", *(s.label for s in sets)]]
    for name in names:
        label = next(one[name].label for one in found.values() if name in one)
        cells = [found[s.label].get(name) for s in sets]
        rows.append([label, *(_worded(cell) if cell else None for cell in cells)])
    return rows


def _numbers(
    sets: Sequence[ResultSet], found: Mapping[str, Mapping[str, Figure]]
) -> dict[str, object]:
    """Figures of the first one by their names, those of the others by label and name."""
    numbers: dict[str, object] = {"n_objects": len(sets[0].table)}
    for number, s in enumerate(sets):
        before = "" if number == 0 else f"{s.label.replace(' ', '_')}_"
        for name, figure in found[s.label].items():
            numbers[f"{before}{name}"] = figure.value
            numbers[f"{before}{name}_error"] = figure.error
    return plain_numbers(numbers)


def _draw(
    survey: Survey,
    sets: Sequence[ResultSet],
    folder: Path,
    settings: Any,
    found: Mapping[str, Mapping[str, Figure]],
) -> list[ReportFigure]:
    """Write pictures, with the tables that they show."""
    drawn = []
    with picture_style():
        for name, picture, caption in survey.pictures(sets, folder, settings, found):
            path = folder / f"{name}.png"
            write_whole(path, partial(picture.savefig, dpi=150))
            title = picture.get_suptitle() or picture.axes[0].get_title()
            drawn.append(ReportFigure(path, title, caption))
    return drawn
