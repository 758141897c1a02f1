"""The common look of all pictures."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..io.particles import plural

__all__ = [
    "DIAGONAL_STYLE",
    "FEW_IN_BIN",
    "PALETTE",
    "PICTURE_DPI",
    "ROUND_NUMBERS",
    "TRUE_ENERGY",
    "count_events",
    "draw_after_cuts",
    "draw_binned",
    "finish_binned",
    "make_logarithmic",
    "new_binned_axes",
    "particle_colors",
    "picture_style",
    "say_empty",
]

#: The palette of Okabe and Ito, distinct to colour-blind eyes.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

#: Numbers with a label within a decade, on an axis that rarely spans one.
ROUND_NUMBERS = (1.0, 2.0, 3.0, 5.0)

#: Particles keep their colour in all pictures.
PARTICLE_COLORS = {"gamma": PALETTE[0], "proton": PALETTE[1], "electron": PALETTE[2]}

PICTURE_DPI = 150

DIAGONAL_STYLE: dict[str, Any] = {"color": "0.35", "linestyle": "--", "linewidth": 1}

#: Bins with fewer events are drawn hollow, as their quantiles say little; so are those without
#: an error, which are of fewer showers, however often these were used.
FEW_IN_BIN = 10

#: What the bins of most curves are of.
TRUE_ENERGY = "true_energy"

#: Bins that have whole numbers.
MULTIPLICITY = "multiplicity"

#: Event numbers beyond this are drawn on a logarithmic axis.
MANY_EVENTS = 50

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "legend.framealpha": 0.85,
    "legend.edgecolor": "0.8",
    "legend.fontsize": 9,
    "savefig.dpi": PICTURE_DPI,
}


def picture_style() -> AbstractContextManager[None]:
    """A context within which pictures are drawn and saved in the common look."""
    return matplotlib.rc_context(STYLE)


def count_events(number: int, particle: str) -> str:
    """E.g. ``1 gamma`` or ``12 345 protons``; ``event`` is of any particle."""
    several = "events" if particle == "event" else plural(particle)
    name = particle if number == 1 else several
    return f"{number:,} {name}".replace(",", "\N{NO-BREAK SPACE}")


def particle_colors(particles: Sequence[str]) -> dict[str, str]:
    """Colour of each particle, the same in all pictures for those met often."""
    spare = PALETTE[len(PARTICLE_COLORS) :]
    others = [particle for particle in particles if particle not in PARTICLE_COLORS]
    chosen = {particle: spare[i % len(spare)] for i, particle in enumerate(others)}
    return {particle: {**PARTICLE_COLORS, **chosen}[particle] for particle in particles}


def make_logarithmic(axes: Axes, which: str, labelled: tuple[float, ...] = (1.0,)) -> None:
    """Make an axis (``"x"`` or ``"y"``) logarithmic with plain numbers (0.1, 1, 10) or powers.

    ``labelled`` are the numbers that get a label in each decade.
    """
    axes.set(**{f"{which}scale": "log"})
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(LogLocator(base=10, subs=labelled))
    axis.set_major_formatter(FuncFormatter(_number_on_axis))
    axis.set_minor_formatter(NullFormatter())


def _number_on_axis(value: float, _position: int | None) -> str:
    if 1e-4 < value < 1e4:
        return f"{value:g}"
    digits, exponent = f"{value:.0e}".split("e")
    times = "" if digits == "1" else rf"{digits} \times "
    return rf"${times}10^{{{int(exponent)}}}$"


def say_empty(axes: Axes, sentence: str) -> None:
    """Write in the middle of empty axes why they are empty."""
    axes.text(
        0.5,
        0.5,
        sentence,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color="0.35",
        bbox={"facecolor": "white", "edgecolor": "none"},
    )


def new_binned_axes(
    table: QTable, particle: str, along: str = TRUE_ENERGY, label: str | None = None
) -> tuple[Figure, Axes]:
    """A picture along true energy whose lower panel shows the events of each bin.

    Parameters
    ----------
    table : astropy.table.QTable
        With ``true_energy_low``, ``true_energy_high`` (TeV) and ``n_events``.
    particle : str
        Whose events these are.
    along : str
        Another quantity that the bins are of, if not the true energy; other than energies are
        drawn on a linear axis.
    label : str, optional
        What the axis is called then.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes
        The upper panel, to draw on.
    """
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes, numbers = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    if along.endswith("energy"):
        make_logarithmic(axes, "x")
    axes.grid(True, which="major")
    axes.tick_params(labelbottom=False)

    low, high = _ends(table, along)
    edges = np.append(low, high[-1:])
    n_events = np.asarray(table["n_events"])
    numbers.stairs(n_events, edges, fill=True, color="0.75")
    if n_events.max(initial=0) > MANY_EVENTS:
        numbers.set_yscale("log")
        # Bins of one event need a height too.
        numbers.set_ylim(0.5, 3 * n_events.max())
    else:
        numbers.set_ylim(bottom=0, top=None if np.any(n_events) else 1)
        numbers.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True, min_n_ticks=2))
    numbers.set_ylabel("events")
    numbers.set_xlabel(label or f"true energy of the {plural(particle)} (TeV)")
    numbers.set_xlim(edges[0], edges[-1])
    if along == MULTIPLICITY:
        numbers.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    return figure, axes


def _ends(table: QTable, along: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the bins."""
    columns = (table[f"{along}_{end}"] for end in ("low", "high"))
    low, high = (np.asarray(getattr(c, "value", c), dtype=float) for c in columns)
    return low, high


def draw_binned(
    axes: Axes,
    table: QTable,
    name: str,
    label: str,
    color: str,
    marker: str,
    along: str = TRUE_ENERGY,
) -> None:
    """Draw a column along true energy, hollow where a bin has few events, nothing where NaN.

    A column of the same name and ``_error`` gives the error bars, or ``_low`` and ``_high`` their
    ends. Where there is one and it is NaN, points are hollow too: they would look exact.
    """
    low, high = _ends(table, along)
    values = np.asarray(getattr(table[name], "value", table[name]), dtype=float)
    centre = np.sqrt(low * high) if along.endswith("energy") else (low + high) / 2
    known = np.isfinite(values)
    errors = _errors(table, name, values)
    few = known & ((np.asarray(table["n_events"]) < FEW_IN_BIN) | np.isnan(errors).any(axis=0))
    errors = np.nan_to_num(errors)
    style: dict[str, Any] = {"fmt": marker, "color": color, "markersize": 6, "linewidth": 1.2}
    for chosen, face, text in ((known & ~few, color, label), (few, "white", None)):
        axes.errorbar(
            centre[chosen],
            values[chosen],
            yerr=errors[:, chosen],
            xerr=[centre[chosen] - low[chosen], high[chosen] - centre[chosen]],
            markerfacecolor=face,
            label=text,
            **style,
        )


def draw_after_cuts(axes: Axes, table: QTable, name: str, label: str, color: str) -> None:
    """Draw a column, as `draw_binned` does, of what cuts on gammaness have left, if it is there."""
    column = f"{name}_selected"
    if column not in table.colnames:
        return
    shown = table.copy()
    shown["n_events"] = table["n_selected"]
    draw_binned(axes, shown, column, f"{label}, after the gammaness cuts", color, "^")


def _errors(table: QTable, name: str, values: np.ndarray) -> np.ndarray:
    """Lengths of the error bars to both sides, shape (2, n_bins)."""

    def column(ending: str) -> np.ndarray:
        found = table[f"{name}_{ending}"]
        return np.asarray(getattr(found, "value", found), dtype=float)

    if f"{name}_low" in table.colnames:
        return np.maximum([values - column("low"), column("high") - values], 0)
    if f"{name}_error" in table.colnames:
        return np.stack([column("error")] * 2)
    return np.zeros((2, len(values)))


def _lacks_error(table: QTable) -> np.ndarray:
    """The bins in which a column has a value without its error."""
    lacks = np.zeros(len(table), dtype=bool)
    for name in table.colnames:
        if f"{name}_error" in table.colnames:
            lacks |= np.isfinite(table[name]) & np.isnan(table[f"{name}_error"])
    return lacks


def finish_binned(axes: Axes, table: QTable) -> None:
    """Leave space around what was drawn, and explain it."""
    # The few points of a small sample would else lie on the frame.
    axes.margins(y=0.15)
    n_events = np.asarray(table["n_events"])
    few_events = (n_events > 0) & (n_events < FEW_IN_BIN)
    few_showers = (n_events >= FEW_IN_BIN) & _lacks_error(table)
    if np.any(few_events | few_showers):
        what = "events or showers" if np.any(few_showers) else "events"
        few = f"hollow: fewer than {FEW_IN_BIN} {what}"
        axes.plot([], [], "o", color="0.35", markerfacecolor="white", label=few)
    axes.legend()
