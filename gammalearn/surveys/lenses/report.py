"""Report: pictures and tables of lenses."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import NullFormatter
from sklearn.metrics import roc_curve

from ...evaluation.report.page import ReportSection
from ...plotting.style import DIAGONAL_STYLE
from ...settings.surveys import LensEvaluation
from ..evaluation import Figure
from ..pictures import colors, picture_with_axes, word, write_table
from ..survey import ResultSet
from .evaluation import (
    SOURCES,
    by_source,
    per_cent,
    taken_for_lenses,
    truth_and_chance,
)
from .types import LENS

__all__ = ["counts", "pictures", "sections"]

#: Bins of the probability, and smallest rate of false positives that is shown.
N_BINS, SMALLEST_RATE = 25, 1e-4


def counts(table: Table) -> list[list[object]]:
    """Numbers of galaxies by type."""
    kinds = np.asarray(table["true_type"])
    order = sorted(set(kinds), key=lambda kind: (kind != LENS, kind))
    return [["Type", "Galaxies"], *([str(kind), int((kinds == kind).sum())] for kind in order)]


def sections(sets: Sequence[ResultSet], settings: LensEvaluation) -> list[ReportSection]:
    """How often galaxies of each type are taken for lenses."""
    return [
        ReportSection(
            title=f"Taken for lenses: {s.label}",
            text="Number of galaxies by type: all, and those that are taken for lenses where such "
            "a part of all that are none is.",
            heading=["Type", "all", *map(per_cent, settings.false_positive_rates)],
            table=taken_for_lenses(s.table, settings),
        )
        for s in sets
    ]


def pictures(
    sets: Sequence[ResultSet],
    folder: Path,
    settings: LensEvaluation,
    found: Mapping[str, Mapping[str, Figure]],
) -> Iterator[tuple[str, Picture, str]]:
    """Name, picture and caption of each."""
    yield _roc(sets, settings, found)
    yield from _probabilities(sets)
    for column in SOURCES:
        if all(_some_known(s.table, column) for s in sets):
            yield _against(sets, folder, settings, column)


def _some_known(table: Table, column: str) -> bool:
    if column not in table.colnames:
        return False
    return bool(np.isfinite(np.asarray(table[column], dtype=float)).any())


def _roc(
    sets: Sequence[ResultSet],
    settings: LensEvaluation,
    found: Mapping[str, Mapping[str, Figure]],
) -> tuple[str, Picture, str]:
    picture, axes = picture_with_axes(
        "ROC curve", "taken for lenses / all that are none", "found lenses / all lenses"
    )
    for color, s in zip(colors(sets), sets, strict=True):
        is_so, chance = truth_and_chance(s.table)
        label = f"{s.label}: {found[s.label]['auc'].value:.3f}"
        # A curve needs both kinds.
        false, true = ([], []) if is_so.all() or not is_so.any() else roc_curve(is_so, chance)[:2]
        axes.step(false, true, where="post", color=color, label=label)
    for rate in settings.false_positive_rates:
        axes.axvline(rate, **DIAGONAL_STYLE)
    axes.set(xscale="log", xlim=(SMALLEST_RATE, 1), ylim=(0, 1.01))
    axes.legend(title="AUC")
    return "roc_curve", picture, "Dashed: the rates at which the completeness is given."


def _probabilities(sets: Sequence[ResultSet]) -> Iterator[tuple[str, Picture, str]]:
    edges = np.linspace(0, 1, N_BINS + 1)
    for number, (color, s) in enumerate(zip(colors(sets), sets, strict=True)):
        title = f"Probability of a lens: {s.label}"
        picture, axes = picture_with_axes(title, "probability", "galaxies")
        is_so, chance = truth_and_chance(s.table)
        lenses, _ = np.histogram(chance[is_so], edges)
        others, _ = np.histogram(chance[~is_so], edges)
        axes.stairs(lenses, edges, color=color, fill=True, alpha=0.6, label="lenses")
        axes.stairs(others, edges, color="0.3", label="others")
        axes.set_yscale("symlog", linthresh=1)
        axes.legend()
        yield f"probability_{number}_{word(s.label)}", picture, "Lenses and other galaxies."


def _against(
    sets: Sequence[ResultSet], folder: Path, settings: LensEvaluation, column: str
) -> tuple[str, Picture, str]:
    words, edges = SOURCES[column]
    rates = settings.false_positive_rates
    picture = Picture(figsize=(4.0 * (len(rates) + 1), 3.8), layout="constrained")
    picture.suptitle(f"Completeness by {words}")
    panels = picture.subplots(1, len(rates) + 1)
    quick = settings.model_copy(update={"n_bootstrap": min(settings.n_bootstrap, 50)})
    for color, s in zip(colors(sets), sets, strict=True):
        table = by_source(s.table, column, edges, quick)
        write_table(table, folder / f"by_{column}_{word(s.label)}.ecsv")
        for axes, rate in zip(panels, rates, strict=False):
            name = f"completeness_at_{100 * rate:g}"
            axes.errorbar(
                table["middle"], table[name], table[f"{name}_error"], fmt="o-", ms=3, color=color
            )
        panels[-1].step(table["middle"], table["n_lenses"], where="mid", color=color)
        panels[-1].plot([], [], color=color, label=s.label)
    labels = [*(f"completeness at {per_cent(rate)}" for rate in rates), "lenses"]
    for axes, label in zip(panels, labels, strict=True):
        axes.set(xlabel=words, ylabel=label)
        axes.grid(alpha=0.3)
        if column == "arc_signal_to_noise":
            axes.set_xscale("log")
            # The labels between powers of ten would be on top of each other.
            axes.xaxis.set_minor_formatter(NullFormatter())
    for axes in panels[:-1]:
        axes.set_ylim(0, 1.02)
    panels[-1].legend()
    return f"by_{column}", picture, "Errors are of bootstrap samples."
