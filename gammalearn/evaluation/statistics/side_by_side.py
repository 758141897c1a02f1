"""Pictures of several reconstructions of the same events."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...io.particles import plural
from ...plotting.style import (
    DIAGONAL_STYLE,
    PALETTE,
    ROUND_NUMBERS,
    count_events,
    make_logarithmic,
    say_empty,
)
from ..report.reference_curves import draw_references
from .differences import Statistic
from .migration import COLOR_LABEL, draw_cells

__all__ = [
    "SIGNIFICANT",
    "draw_differences",
    "draw_migrations",
    "draw_roc_curves",
    "with_labels",
]

MARKERS = "os^Dvp*"

#: How far the points of one bin stand apart, as a fraction of the bin.
DODGE = 0.12

#: Panels of a row; four make a square.
MAX_COLUMNS = 3

LEGEND_COLUMNS = 2

#: Significance (σ) from which a point of the lower panel is filled.
SIGNIFICANT = 3


def with_labels(table: QTable, labels: Sequence[str]) -> QTable:
    """The table with the reconstructions' labels in place of their positions."""
    table = table.copy()
    table.replace_column("reconstruction", np.asarray(labels)[np.asarray(table["reconstruction"])])
    table.meta["reference"] = labels[0]
    return table


def _style(reconstruction: int) -> dict[str, Any]:
    return {
        "color": PALETTE[reconstruction % len(PALETTE)],
        "marker": MARKERS[reconstruction % len(MARKERS)],
    }


def _arrange(n_panels: int) -> tuple[int, int]:
    """Columns and rows of so many panels."""
    n_columns = 2 if n_panels == 4 else min(n_panels, MAX_COLUMNS)
    return n_columns, math.ceil(n_panels / n_columns)


def draw_differences(
    table: QTable,
    statistic: Statistic,
    labels: Sequence[str],
    particle: str,
    references: Sequence[str] = (),
) -> Figure:
    """Picture of a statistic by true energy, with its relation to the reference's below.

    Parameters
    ----------
    table : astropy.table.QTable
        From `differences_by_energy`.
    statistic : Statistic
        The one to draw.
    labels : sequence of str
        Of the reconstructions, the reference first.
    particle : str
        Whose events these are; none for all.
    references : sequence of str
        Names of published curves to draw, see `draw_references`.
    """
    table = table[table["statistic"] == statistic.name]
    figure = Figure(figsize=(6.4, 7.0), layout="constrained")
    axes, below, numbers = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1])
    make_logarithmic(axes, "x")
    own = f" ({statistic.unit})" if statistic.unit else ""
    axes.set_ylabel(f"{statistic.title[0].lower()}{statistic.title[1:]}{own}")
    n_events = _draw_numbers(numbers, table, particle)
    axes.set_title(f"{statistic.title}, {count_events(n_events, particle or 'event')}")
    for panel in (axes, below):
        panel.grid(True, which="major")
        panel.tick_params(labelbottom=False)
    if not np.any(np.isfinite(table["value"])):
        say_empty(axes, "nothing to compare in the energy range")
        return figure

    for reconstruction, label in enumerate(labels):
        mine = table[table["reconstruction"] == reconstruction]
        n_runs = mine.meta.get("n_runs", {}).get(label, 1)
        _draw_points(
            axes, mine, reconstruction, len(labels), "value", "error", _many(label, n_runs), True
        )
        if reconstruction:
            _draw_points(
                below, mine, reconstruction, len(labels), "relation", "relation_error", None, False
            )
    draw_references(axes, references, statistic.name)
    if statistic.unit == "deg":
        make_logarithmic(axes, "y", ROUND_NUMBERS)
    if statistic.relation == "difference":
        axes.axhline(0, color="0.35", linewidth=1, zorder=0)
        below.axhline(0, **DIAGONAL_STYLE)
        below.set_ylabel("difference")
    else:
        below.axhline(1, **DIAGONAL_STYLE)
        of = "ratio of 1 − AUC" if "1 − x" in statistic.relation else "ratio"
        below.set_ylabel(of)
    below.set_title(
        f"relative to {labels[0]}; filled: beyond {SIGNIFICANT} σ", fontsize=9, loc="left"
    )
    for panel in (axes, below):
        panel.margins(y=0.12)
    # So many points leave no room for it among them.
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=LEGEND_COLUMNS
    )
    figure.align_ylabels()
    return figure


def _many(label: str, n_runs: int) -> str:
    return label if n_runs == 1 else f"{label} (mean of {n_runs} runs, band: their spread)"


def _bins(table: QTable) -> tuple[np.ndarray, np.ndarray]:
    return table["true_energy_low"].to_value("TeV"), table["true_energy_high"].to_value("TeV")


def _draw_numbers(axes: Axes, table: QTable, particle: str) -> int:
    """The events of each bin; returns how many there are."""
    mine = table[table["reconstruction"] == 0]
    low, high = _bins(mine)
    n_events = np.asarray(mine["n_events"])
    axes.stairs(n_events, np.append(low, high[-1:]), fill=True, color="0.75")
    axes.set_ylabel("events")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(
        f"true energy of the {plural(particle)} (TeV)" if particle else "true energy (TeV)"
    )
    # Bins of nothing at the ends would squeeze the others.
    low_edges = table["true_energy_low"][np.isfinite(table["value"])]
    filled = np.flatnonzero(np.isin(low, low_edges.to_value("TeV")))
    if len(filled):
        axes.set_xlim(low[filled[0]], high[filled[-1]])
    return int(n_events.sum())


def _draw_points(
    axes: Axes,
    table: QTable,
    reconstruction: int,
    n_contenders: int,
    name: str,
    error: str,
    label: str | None,
    is_value: bool,
) -> None:
    low, high = _bins(table)
    aside = (reconstruction - (n_contenders - 1) / 2) * DODGE
    place = np.sqrt(low * high) * (high / low) ** aside
    values, errors = np.asarray(table[name]), np.nan_to_num(np.asarray(table[error]))
    style = _style(reconstruction)
    known = np.isfinite(values)
    if is_value:
        filled = np.isfinite(table["error"])
        spread = np.asarray(table["spread"])
        band = known & np.isfinite(spread)
        axes.fill_between(
            place,
            np.where(band, values - spread, np.nan),
            np.where(band, values + spread, np.nan),
            color=style["color"],
            alpha=0.2,
            linewidth=0,
        )
        axes.plot(place, values, color=style["color"], linewidth=0.8, alpha=0.6)
    else:
        filled = np.abs(np.nan_to_num(np.asarray(table["significance"]))) >= SIGNIFICANT
    for chosen, face in ((known & filled, style["color"]), (known & ~filled, "white")):
        axes.errorbar(
            place[chosen],
            values[chosen],
            yerr=errors[chosen],
            fmt=style["marker"],
            color=style["color"],
            markerfacecolor=face,
            markersize=5,
            linewidth=1.2,
        )
    if label:
        axes.plot([], [], label=label, **style, linewidth=1.2, markersize=5)


def draw_roc_curves(table: QTable, labels: Sequence[str]) -> Figure:
    """Picture of the ROC curves of each band of true energy, with the ratios below.

    Parameters
    ----------
    table : astropy.table.QTable
        From `roc_curves_by_energy`.
    labels : sequence of str
        Of the reconstructions, the reference first.
    """
    lows = np.unique(table["true_energy_low"].to_value("TeV"))
    n_columns, n_rows = _arrange(max(len(lows), 1))
    figure = Figure(figsize=(4.0 * max(n_columns, 1.4), 5.4 * n_rows + 0.5), layout="constrained")
    figure.suptitle("ROC curves by true energy")
    if len(lows) == 0:
        say_empty(figure.add_subplot(), "no energy band has gammas and others enough")
        return figure
    grid = figure.add_gridspec(2 * n_rows, n_columns, height_ratios=[2.2, 1] * n_rows)
    for position, low in enumerate(lows):
        row, column = divmod(position, n_columns)
        upper = figure.add_subplot(grid[2 * row, column])
        lower = figure.add_subplot(grid[2 * row + 1, column], sharex=upper)
        band = table[table["true_energy_low"].to_value("TeV") == low]
        _draw_band(upper, lower, band, labels)
        if column == 0:
            upper.set_ylabel("fraction of gammas kept")
            lower.set_ylabel("ratio")
        lower.set_xlabel("fraction of others kept")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=LEGEND_COLUMNS)
    return figure


def _draw_band(upper: Axes, lower: Axes, band: QTable, labels: Sequence[str]) -> None:
    low, high = (band[f"true_energy_{end}"][0].to_value("TeV") for end in ("low", "high"))
    numbers = f"{band['n_gamma'][0]} gammas, {band['n_other'][0]} others"
    upper.set_title(f"{low:.3g} – {high:.3g} TeV\n{numbers}", fontsize=10)
    for reconstruction, label in enumerate(labels):
        mine = band[band["reconstruction"] == reconstruction]
        color = _style(reconstruction)["color"]
        kept = np.asarray(mine["false_positive_rate"])
        upper.plot(kept, mine["true_positive_rate"], color=color, label=label)
        upper.fill_between(
            kept,
            mine["true_positive_rate_low"],
            mine["true_positive_rate_high"],
            color=color,
            alpha=0.18,
            linewidth=0,
        )
        lower.plot(kept, mine["ratio"], color=color)
    upper.plot([0, 1], [0, 1], **DIAGONAL_STYLE)
    upper.tick_params(labelbottom=False)
    upper.set_ylim(-0.02, 1.02)
    ratios = np.asarray(band["ratio"])[np.asarray(band["false_positive_rate"]) >= 0.05]
    ratios = ratios[np.isfinite(ratios)]
    if len(ratios):
        # Below 5 % of the others, a few events make any ratio.
        reach = max(0.05, 1.1 * np.max(np.abs(ratios - 1)))
        lower.set_ylim(1 - reach, 1 + reach)
    for axes in (upper, lower):
        axes.grid(True)
        axes.set_xlim(-0.01, 1.01)


def draw_migrations(
    matrices: Sequence[QTable],
    spreads: Sequence[QTable],
    labels: Sequence[str],
    quantity: str,
    particle: str,
    logarithmic: bool = False,
) -> Figure:
    """Picture of migration matrices side by side, on one scale of colours.

    Parameters
    ----------
    matrices, spreads : sequence of astropy.table.QTable
        One a reconstruction, see `draw_cells`.
    labels : sequence of str
        Of the reconstructions.
    quantity : str
        What the axes show.
    particle : str
        Whose events these are.
    logarithmic : bool
        Whether the axes are.
    """
    n_columns, n_rows = _arrange(len(matrices))
    figure = Figure(figsize=(4.1 * n_columns + 0.9, 4.3 * n_rows + 0.3), layout="constrained")
    figure.suptitle(f"{quantity.capitalize()} migration of {plural(particle)}")
    panels = np.atleast_1d(figure.subplots(n_rows, n_columns, squeeze=False)).ravel()
    largest = max(np.nanmax(np.append(matrix["probability"], 0)) for matrix in matrices)
    mesh = None
    for axes, matrix, spread, label in zip(panels, matrices, spreads, labels, strict=False):
        drawn = draw_cells(axes, matrix, spread, quantity, logarithmic, largest)
        mesh = mesh if drawn is None else drawn
        inside = matrix.meta["n_events"] - matrix.meta["n_out_of_range"]
        unit = "images" if matrix.meta["of_images"] else "events"
        axes.set_title(f"{label}\n{inside} {unit}", fontsize=10)
    for axes in panels[len(matrices) :]:
        axes.remove()
    if mesh is not None:
        shown = list(panels[: len(matrices)])
        figure.colorbar(mesh, ax=shown, label=COLOR_LABEL, shrink=0.85)
    return figure
