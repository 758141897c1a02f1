"""Report: pictures of redshifts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure as Picture

from ...plotting.style import DIAGONAL_STYLE
from ...settings.surveys import RedshiftEvaluation
from ..evaluation import Figure
from ..pictures import colors, picture_with_axes, word, write_table
from ..survey import ResultSet
from .evaluation import SOURCES, by_source, edges_of, errors_of

__all__ = ["counts", "pictures"]

#: Bins of the PIT.
PIT_BINS = 20

#: Figures of a picture of what they depend on, beside the PIT's.
PANELS = ("bias", "sigma_mad", "eta", "crps", "pit_ks")


def counts(table: Table) -> list[list[object]]:
    """Numbers of galaxies by redshift."""
    truth = np.asarray(table["true_redshift"], dtype=float)
    edges = np.linspace(0, max(float(truth.max()), 1e-3), 6)
    numbers, _ = np.histogram(truth, edges)
    return [
        ["Redshift", "Galaxies"],
        *(
            [f"{low:.2f} to {high:.2f}", int(n)]
            for low, high, n in zip(edges[:-1], edges[1:], numbers, strict=True)
        ),
    ]


def pictures(
    sets: Sequence[ResultSet],
    folder: Path,
    settings: RedshiftEvaluation,
    found: Mapping[str, Mapping[str, Figure]],
) -> Iterator[tuple[str, Picture, str]]:
    """Name, picture and caption of each."""
    yield from _points(sets, settings)
    yield from _pit(sets, folder, found)
    for column, words in SOURCES.items():
        if all(column in s.table.colnames for s in sets):
            yield _against(sets, folder, settings, column, words)


def _points(
    sets: Sequence[ResultSet], settings: RedshiftEvaluation
) -> Iterator[tuple[str, Picture, str]]:
    for number, (color, s) in enumerate(zip(colors(sets), sets, strict=True)):
        title = f"Predicted and true redshift: {s.label}"
        picture, axes = picture_with_axes(title, "true redshift", "predicted redshift")
        truth = np.asarray(s.table["true_redshift"], dtype=float)
        axes.plot(truth, s.table["redshift"], ".", ms=2, color=color, rasterized=True)
        line = np.array([0, truth.max()])
        axes.plot(line, line, **DIAGONAL_STYLE)
        for sign in (-1, 1):
            axes.plot(line, line + sign * settings.outlier * (1 + line), **DIAGONAL_STYLE)
        yield f"redshift_{number}_{word(s.label)}", picture, "Outliers are beyond the outer lines."


def _pit(
    sets: Sequence[ResultSet], folder: Path, found: Mapping[str, Mapping[str, Figure]]
) -> Iterator[tuple[str, Picture, str]]:
    title = "Probability integral transform"
    picture, axes = picture_with_axes(title, "probability below the true redshift", "density")
    edges = np.linspace(0, 1, PIT_BINS + 1)
    axes.axhline(1, **DIAGONAL_STYLE)
    for color, s in zip(colors(sets), sets, strict=True):
        density, _ = np.histogram(errors_of(s.table).pit, edges, density=True)
        label = f"{s.label}: {found[s.label]['pit_ks'].value:.3f}"
        axes.stairs(density, edges, color=color, label=label)
        table = Table({"low": edges[:-1], "high": edges[1:], "density": density})
        write_table(table, folder / f"pit_{word(s.label)}.ecsv")
    axes.legend(title="Kolmogorov-Smirnov")
    yield "pit", picture, "On the dashed line, densities are as wide as they should be."


def _against(
    sets: Sequence[ResultSet],
    folder: Path,
    settings: RedshiftEvaluation,
    column: str,
    words: str,
) -> tuple[str, Picture, str]:
    picture = Picture(figsize=(9.0, 5.4), layout="constrained")
    picture.suptitle(f"Figures by {words}")
    panels = picture.subplots(2, 3).ravel()
    values = np.asarray(sets[0].table[column], dtype=float)
    edges = edges_of(values, column)
    quick = settings.model_copy(update={"n_bootstrap": min(settings.n_bootstrap, 50)})
    for color, s in zip(colors(sets), sets, strict=True):
        table = by_source(s.table, column, edges, quick)
        write_table(table, folder / f"by_{column}_{word(s.label)}.ecsv")
        for axes, name in zip(panels, PANELS, strict=False):
            axes.errorbar(
                table["middle"], table[name], table[f"{name}_error"], fmt="o-", ms=3, color=color
            )
        panels[-1].step(table["middle"], table["n_objects"], where="mid", color=color)
        panels[-1].plot([], [], color=color, label=s.label)
    labels = [measure[0] for measure in errors_of(sets[0].table).measures(0.1).values()]
    for axes, label in zip(panels, [*labels, "galaxies"], strict=True):
        axes.set(xlabel=words, ylabel=label)
        axes.grid(alpha=0.3)
        if column == "signal_to_noise":
            axes.set_xscale("log")
    panels[0].axhline(0, **DIAGONAL_STYLE)
    panels[-1].legend()
    return f"by_{column}", picture, "Errors are of bootstrap samples."
