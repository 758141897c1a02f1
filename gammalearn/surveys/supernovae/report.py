"""Report: figures, pictures and the page, of one table of predictions or of several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import NullFormatter
from sklearn.metrics import precision_recall_curve, roc_curve

from ...errors import EvaluationError
from ...evaluation.report.page import (
    Report,
    ReportFigure,
    ReportMetric,
    ReportSection,
    Worded,
    render_report,
)
from ...evaluation.report.provenance import InputFile, versions
from ...evaluation.report.results import plain_numbers, write_numbers
from ...io.writing import make_folder, write_whole
from ...plotting.style import DIAGONAL_STYLE, PALETTE, picture_style
from ...settings.surveys import SupernovaEvaluation
from .evaluation import Figure, accuracy_by, calibration, confusion, figures, with_truth
from .types import TYPES

__all__ = ["BASELINE", "Classified", "compare_tables", "evaluate_tables"]

#: What the trees are called, next to the network.
BASELINE = "trees on features"

#: Edges of the bins.
REDSHIFT_EDGES = np.array([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5])
SIGNIFICANCE_EDGES = np.array([0.0, 5, 7, 10, 15, 20, 30, 50, 100, 1e6])

SOURCES = (
    ("by_redshift", "true_redshift", REDSHIFT_EDGES, "redshift", False),
    ("by_signal_to_noise", "signal_to_noise", SIGNIFICANCE_EDGES, "largest signal to noise", True),
)


@dataclass(frozen=True)
class Classified:
    """A table of predictions with what it comes from.

    Attributes
    ----------
    label : str
    table : Table
    file : InputFile or None
    """

    label: str
    table: Table
    file: InputFile | None = None


def evaluate_tables(
    sets: Sequence[Classified],
    folder: Path,
    settings: SupernovaEvaluation,
    sections: Sequence[ReportSection] = (),
    warnings: Sequence[str] = (),
    names: tuple[str, str, str] = ("metrics.json", "report.html", "evaluation"),
    title: str = "Supernovae",
) -> dict[str, object]:
    """Write figures, tables, pictures and the page of some classifications of the same objects.

    Parameters
    ----------
    sets : sequence of Classified
        The first one is the one that the figures are of.
    folder : Path
    settings : SupernovaEvaluation
    sections : sequence of ReportSection
        Such as the learning curve.
    warnings : sequence of str
    names : tuple of str
        Files of the figures and the page, and folder of the pictures.
    title : str

    Returns
    -------
    dict
        The figures, as in ``metrics.json``.

    Raises
    ------
    EvaluationError
        If no type is known.
    """
    known = [Classified(s.label, with_truth(s.table, f"'{s.label}'"), s.file) for s in sets]
    found = {s.label: figures(s.table, settings) for s in known}
    pictures = folder / names[2]
    make_folder(pictures)
    drawn = _draw(known, pictures, settings, found)
    numbers = _numbers(known, found)
    first = known[0]
    page = Report(
        title=title,
        lead=f"{len(first.table)} objects of known type; errors are of {settings.n_bootstrap} "
        "bootstrap samples.",
        warnings=list(warnings),
        metrics=[
            ReportMetric(f.label, _worded(f), "", f.definition) for f in found[first.label].values()
        ]
        if len(known) == 1
        else [],
        results=_results(known, found) if len(known) > 1 else (),
        figures=drawn,
        events=_numbers_of_objects(first.table),
        provenance={**versions(), "threshold": settings.threshold},
        files=[s.file for s in known if s.file is not None],
        sections=[*_confusion_sections(known), *sections],
    )
    html = render_report(page)
    written = write_numbers(numbers, folder / names[0])
    write_whole(folder / names[1], lambda part: part.write_text(html, encoding="utf-8"))
    return written


def compare_tables(
    sets: Sequence[Classified], folder: Path, settings: SupernovaEvaluation
) -> dict[str, object]:
    """Compare several classifications, on the objects that all of them have.

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
        alike.append(Classified(s.label, s.table[order[np.isin(ids[order], shared)]], s.file))
    return evaluate_tables(
        alike,
        folder,
        settings,
        _differences(alike, settings),
        warnings,
        ("comparison.json", "compare.html", "comparison"),
        "Comparison of classifications of supernovae",
    )


def _differences(sets: Sequence[Classified], settings: SupernovaEvaluation) -> list[ReportSection]:
    """Differences to the first one, whose errors are of the same bootstrap samples."""
    tables = [with_truth(s.table, f"'{s.label}'") for s in sets]
    if len({len(table) for table in tables}) > 1:
        return []
    rng = np.random.default_rng(2)
    samples = [rng.integers(len(tables[0]), size=len(tables[0])) for _ in range(50)]
    quick = settings.model_copy(update={"n_bootstrap": 2})
    names = ("auc", "accuracy")

    def values(rows: np.ndarray | slice) -> np.ndarray:
        each = [figures(table[rows], quick) for table in tables]
        return np.array([[found[name].value for name in names] for found in each])

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
            text="The errors are of 50 bootstrap samples, which are the same for all.",
            heading=["", "AUC", "accuracy"],
            table=table,
        )
    ]


def _worded(figure: Figure) -> Worded:
    return Worded(figure.value, f"{figure.value:.4f} ± {figure.error:.4f}")


def _results(
    sets: Sequence[Classified], found: Mapping[str, Mapping[str, Figure]]
) -> list[list[object]]:
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    rows: list[list[object]] = [["", *(s.label for s in sets)]]
    for name in names:
        label = next(one[name].label for one in found.values() if name in one)
        cells = [found[s.label].get(name) for s in sets]
        rows.append([label, *(_worded(cell) if cell else None for cell in cells)])
    return rows


def _numbers(
    sets: Sequence[Classified], found: Mapping[str, Mapping[str, Figure]]
) -> dict[str, object]:
    """Figures of the first one by their names, those of the others by label and name."""
    numbers: dict[str, object] = {"n_objects": len(sets[0].table)}
    for number, s in enumerate(sets):
        before = "" if number == 0 else f"{s.label.replace(' ', '_')}_"
        for name, figure in found[s.label].items():
            numbers[f"{before}{name}"] = figure.value
            numbers[f"{before}{name}_error"] = figure.error
    return plain_numbers(numbers)


def _numbers_of_objects(table: Table) -> list[list[object]]:
    kinds = np.asarray(table["true_type"])
    confirmed = np.asarray(table["confirmed"]) if "confirmed" in table.colnames else kinds == ""
    rows: list[list[object]] = [["Type", "Objects", "With a spectrum"]]
    for kind in [*TYPES, "other"]:
        n = int((kinds == kind).sum())
        if n:
            rows.append([kind, n, int((confirmed & (kinds == kind)).sum())])
    return rows


def _confusion_sections(sets: Sequence[Classified]) -> list[ReportSection]:
    sections = []
    for s in sets:
        table = confusion(s.table)
        if table:
            sections.append(
                ReportSection(
                    title=f"Types: {s.label}",
                    text="Number of objects by true type (rows) and likeliest type (columns).",
                    heading=["True type", *TYPES],
                    table=table,
                )
            )
    return sections


def _draw(
    sets: Sequence[Classified],
    folder: Path,
    settings: SupernovaEvaluation,
    found: Mapping[str, Mapping[str, Figure]],
) -> list[ReportFigure]:
    """Write pictures, with the tables that they show."""
    drawn = []
    with picture_style():
        for name, picture, caption in _pictures(sets, folder, settings, found):
            path = folder / f"{name}.png"
            write_whole(path, partial(picture.savefig, dpi=150))
            title = picture.axes[0].get_title()
            drawn.append(ReportFigure(path, title, caption))
    return drawn


def _pictures(
    sets: Sequence[Classified],
    folder: Path,
    settings: SupernovaEvaluation,
    found: Mapping[str, Mapping[str, Figure]],
) -> Iterator[tuple[str, Picture, str]]:
    """Name, picture and caption of each."""
    picture, axes = _axes("ROC curve", "false type Ia / all others", "found type Ia / all type Ia")
    axes.plot([0, 1], [0, 1], **DIAGONAL_STYLE)
    for color, s in zip(_colors(sets), sets, strict=True):
        false, true, _ = roc_curve(*_truth_and_chance(s.table))
        axes.plot(false, true, color=color, label=f"{s.label}: {found[s.label]['auc'].value:.3f}")
    axes.legend(title="AUC")
    yield "roc_curve", picture, "Area under the curve in the legend."

    picture, axes = _axes("Precision and recall", "recall of type Ia", "precision")
    for color, s in zip(_colors(sets), sets, strict=True):
        precision, recall, _ = precision_recall_curve(*_truth_and_chance(s.table))
        axes.plot(recall[:-1], precision[:-1], color=color, label=s.label)
    for wanted in settings.precisions:
        axes.axhline(wanted, **DIAGONAL_STYLE)
    axes.set_ylim(0.5, 1.01)
    axes.legend()
    yield "precision_recall", picture, "Dashed: the precisions at which the recall is given."

    picture, axes = _axes("Calibration", "predicted probability of type Ia", "fraction of type Ia")
    axes.plot([0, 1], [0, 1], **DIAGONAL_STYLE)
    for color, s in zip(_colors(sets), sets, strict=True):
        table = calibration(s.table)
        _write_table(table, folder / f"calibration_{_word(s.label)}.ecsv")
        axes.plot(table["predicted"], table["true"], "o-", color=color, label=s.label)
    axes.legend()
    yield "calibration", picture, "On the dashed line, probabilities are as they should be."

    for name, column, edges, label, is_wide in SOURCES:
        if not all(column in s.table.colnames for s in sets):
            continue
        picture, axes = _axes(f"Accuracy by {label}", label, "accuracy")
        for color, s in zip(_colors(sets), sets, strict=True):
            table = accuracy_by(s.table, column, edges, settings.threshold)
            _write_table(table, folder / f"{name}_{_word(s.label)}.ecsv")
            some = table["n_objects"] > 0
            high = np.minimum(table["high"], 300) if is_wide else table["high"]
            axes.errorbar(
                (np.maximum(table["low"], 1) * high) ** 0.5
                if is_wide
                else (table["low"] + high) / 2,
                np.where(some, table["accuracy"], np.nan),
                table["error"],
                fmt="o-",
                color=color,
                label=s.label,
            )
        if is_wide:
            axes.set_xscale("log")
            # The labels between powers of ten would be on top of each other.
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend()
        yield name, picture, "Errors are those of a fraction of so many objects."


def _axes(title: str, x: str, y: str) -> tuple[Picture, Axes]:
    picture = Picture(figsize=(5.2, 4.2), layout="constrained")
    axes = picture.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return picture, axes


def _colors(sets: Sequence[Classified]) -> list[str]:
    return [PALETTE[number % len(PALETTE)] for number in range(len(sets))]


def _word(label: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in label)


def _truth_and_chance(table: Table) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(table["true_type"]) == "Ia", np.asarray(table["probability_Ia"], dtype=float)


def _write_table(table: Table, path: Path) -> None:
    write_whole(path, lambda part: table.write(part, format="ascii.ecsv", overwrite=True))
