"""Report: pictures and tables of classified supernovae."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import NullFormatter
from sklearn.metrics import precision_recall_curve, roc_curve

from ...evaluation.report.page import ReportSection
from ...plotting.style import DIAGONAL_STYLE
from ...settings.surveys import SupernovaEvaluation
from ..evaluation import Figure
from ..pictures import colors, picture_with_axes, word, write_table
from ..survey import ResultSet
from .evaluation import accuracy_by, calibration, confusion
from .types import TYPES

__all__ = ["confusion_sections", "counts", "pictures"]

#: Edges of the bins.
REDSHIFT_EDGES = np.array([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5])
SIGNIFICANCE_EDGES = np.array([0.0, 5, 7, 10, 15, 20, 30, 50, 100, 1e6])

SOURCES = (
    ("by_redshift", "true_redshift", REDSHIFT_EDGES, "redshift", False),
    ("by_signal_to_noise", "signal_to_noise", SIGNIFICANCE_EDGES, "largest signal to noise", True),
)


def counts(table: Table) -> list[list[object]]:
    """Numbers of objects by type."""
    kinds = np.asarray(table["true_type"])
    confirmed = np.asarray(table["confirmed"]) if "confirmed" in table.colnames else kinds == ""
    rows: list[list[object]] = [["Type", "Objects", "With a spectrum"]]
    for kind in [*TYPES, "other"]:
        n = int((kinds == kind).sum())
        if n:
            rows.append([kind, n, int((confirmed & (kinds == kind)).sum())])
    return rows


def confusion_sections(sets: Sequence[ResultSet]) -> list[ReportSection]:
    """How often each type is taken for which."""
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


def pictures(
    sets: Sequence[ResultSet],
    folder: Path,
    settings: SupernovaEvaluation,
    found: Mapping[str, Mapping[str, Figure]],
) -> Iterator[tuple[str, Picture, str]]:
    """Name, picture and caption of each."""
    picture, axes = picture_with_axes(
        "ROC curve", "false type Ia / all others", "found type Ia / all type Ia"
    )
    axes.plot([0, 1], [0, 1], **DIAGONAL_STYLE)
    for color, s in zip(colors(sets), sets, strict=True):
        false, true, _ = roc_curve(*_truth_and_chance(s.table))
        axes.plot(false, true, color=color, label=f"{s.label}: {found[s.label]['auc'].value:.3f}")
    axes.legend(title="AUC")
    yield "roc_curve", picture, "Area under the curve in the legend."

    picture, axes = picture_with_axes("Precision and recall", "recall of type Ia", "precision")
    for color, s in zip(colors(sets), sets, strict=True):
        precision, recall, _ = precision_recall_curve(*_truth_and_chance(s.table))
        axes.plot(recall[:-1], precision[:-1], color=color, label=s.label)
    for wanted in settings.precisions:
        axes.axhline(wanted, **DIAGONAL_STYLE)
    axes.set_ylim(0.5, 1.01)
    axes.legend()
    yield "precision_recall", picture, "Dashed: the precisions at which the recall is given."

    picture, axes = picture_with_axes(
        "Calibration", "predicted probability of type Ia", "fraction of type Ia"
    )
    axes.plot([0, 1], [0, 1], **DIAGONAL_STYLE)
    for color, s in zip(colors(sets), sets, strict=True):
        table = calibration(s.table)
        write_table(table, folder / f"calibration_{word(s.label)}.ecsv")
        axes.plot(table["predicted"], table["true"], "o-", color=color, label=s.label)
    axes.legend()
    yield "calibration", picture, "On the dashed line, probabilities are as they should be."

    for name, column, edges, label, is_wide in SOURCES:
        if not all(column in s.table.colnames for s in sets):
            continue
        picture, axes = picture_with_axes(f"Accuracy by {label}", label, "accuracy")
        for color, s in zip(colors(sets), sets, strict=True):
            table = accuracy_by(s.table, column, edges, settings.threshold)
            write_table(table, folder / f"{name}_{word(s.label)}.ecsv")
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


def _truth_and_chance(table: Table) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(table["true_type"]) == "Ia", np.asarray(table["probability_Ia"], dtype=float)
