"""Simulated pointings: what events of several nodes of zenith and azimuth are, node by node.

An effective area over several nodes would depend on how many showers each node has, and so would a
sensitivity. Both are given for each node alone.
"""

from collections.abc import Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack
from matplotlib.figure import Figure

from ...io.particles import plural
from ...plotting.style import (
    FEW_IN_BIN,
    PALETTE,
    draw_binned,
    finish_binned,
    make_logarithmic,
    new_binned_axes,
)
from ...settings import EvaluationSettings
from ..quantities import MAIN_QUANTITIES
from ..report.results import Result
from ..statistics.differences import bootstrap_errors_along
from .observation import Performance, evaluate_performance
from .production import Node

__all__ = ["draw_pointings", "evaluate_pointings", "find_nodes", "performance_by_pointing"]

#: Most nodes that are told apart: a telescope that follows a source has a pointing for each event.
MOST_NODES = 100

#: Of curves and points, one for each node or azimuth.
MARKERS = "osD^vPX"

#: Figures that are drawn against the zenith angle, with their axis.
DRAWN = {
    "angular_resolution_68": "angular resolution (deg)",
    "energy_bias": "energy bias",
    "energy_resolution": "energy resolution",
    "auc": "area under the ROC curve",
}


def find_nodes(events: QTable) -> tuple[list[Node], np.ndarray]:
    """The pointings that events were simulated at.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`, with ``pointing_alt`` and ``pointing_az``.

    Returns
    -------
    nodes : list of Node
        By zenith and azimuth; none where the pointing is not known of all events, or follows a
        source.
    node : ndarray of int, shape (n_events,)
        The node of each event.
    """
    alt, az = (events[f"pointing_{name}"].to_value(u.deg) for name in ("alt", "az"))
    nothing: tuple[list[Node], np.ndarray] = [], np.zeros(len(events), dtype=int)
    if not len(events) or not np.all(np.isfinite(alt) & np.isfinite(az)):
        return nothing
    rounded = np.round(np.column_stack([90 - alt, az % 360]), 2)
    pointings, place = np.unique(rounded, axis=0, return_inverse=True)
    nodes: list[Node] = []
    of_pointing = []
    for zenith, azimuth in pointings:
        near = [n for n, node in enumerate(nodes) if node.holds(90 - zenith, azimuth)]
        if not near:
            near = [len(nodes)]
            nodes.append(Node(float(zenith), float(azimuth)))
            if len(nodes) > MOST_NODES:
                return nothing
        of_pointing.append(near[0])
    return nodes, np.array(of_pointing)[place.reshape(-1)]


def evaluate_pointings(
    paths: Sequence[Path], events: QTable, signal: str, settings: EvaluationSettings
) -> Performance:
    """What `evaluate_performance` finds; of each pointing alone if there are several.

    Parameters
    ----------
    paths, events, signal, settings
        As in `evaluate_performance`.
    """
    nodes, of_event = find_nodes(events)
    if len(nodes) < 2:
        return evaluate_performance(paths, events, signal, settings)
    found = [
        evaluate_performance(paths, events[of_event == number], signal, settings, node)
        for number, node in enumerate(nodes)
    ]
    table = performance_by_pointing(events, nodes, of_event, signal)
    table["n_simulated"] = [_number(f.metrics["n_simulated_signal"]) for f in found]
    table["best_relative_sensitivity"] = [
        _number(f.metrics["best_relative_sensitivity"]) for f in found
    ]
    numbers = table["n_simulated"][np.isfinite(table["n_simulated"])]
    results = [
        Result(
            "by_pointing",
            draw_pointings(table, signal),
            f"Figures of all {plural(signal)} (and of the separation) at each simulated pointing, "
            f"by zenith; hollow points stand for fewer than {FEW_IN_BIN} events. Errors: bootstrap "
            "over showers.",
            table,
        ),
        *_joined(nodes, found, "effective_area", "effective_area_reconstructed", signal),
        *_joined(nodes, found, "sensitivity", "relative_sensitivity", signal),
    ]
    told = (
        f"The events are of {len(nodes)} pointings, {', '.join(map(str, nodes[:3]))}"
        f"{', …' if len(nodes) > 3 else ''}: effective area and sensitivity are given for each "
        "(by_pointing), and other figures are of all together."
    )
    warnings = dict.fromkeys([told, *(w for f in found for w in f.warnings)])
    return Performance(
        {
            "n_simulated_signal": int(numbers.sum()) if len(numbers) else None,
            "best_relative_sensitivity": None,
        },
        results,
        list(warnings),
    )


def _number(value: object) -> float:
    """NaN for none."""
    return float(value) if isinstance(value, int | float) else np.nan


def performance_by_pointing(
    events: QTable, nodes: Sequence[Node], of_event: np.ndarray, signal: str
) -> QTable:
    """How good a reconstruction is at each pointing.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`.
    nodes : sequence of Node
    of_event : ndarray of int, shape (n_events,)
        The node of each event.
    signal : str
        The particle to judge by.

    Returns
    -------
    table : astropy.table.QTable
        One row a node: ``zenith``, ``azimuth`` (deg), ``n_events`` (of the signal) and the
        statistics of the main quantities that the events have, with ``_error``.
    """
    table = QTable()
    table["zenith"] = [node.zenith for node in nodes] * u.deg
    table["azimuth"] = [node.azimuth for node in nodes] * u.deg
    is_signal = np.asarray(events["particle"] == signal)
    table["n_events"] = np.bincount(of_event[is_signal], minlength=len(nodes))
    edges = np.arange(len(nodes) + 1) - 0.5
    for quantity in MAIN_QUANTITIES.values():
        if not quantity.is_in(events):
            continue
        chosen = quantity.is_known(events) & (is_signal if quantity.of_signal else True)
        selected, place = events[chosen], of_event[chosen]
        values = [quantity.measure(selected[place == number]) for number in range(len(nodes))]
        errors = bootstrap_errors_along(selected, quantity, place, edges)
        for statistic in quantity.statistics:
            unit = u.Unit(statistic.unit) if statistic.unit == "deg" else u.one
            table[statistic.name] = [found[statistic.name] for found in values] * unit
            table[f"{statistic.name}_error"] = errors[statistic.name] * unit
    table.meta["particle"] = signal
    return table


def draw_pointings(table: QTable, particle: str) -> Figure:
    """Picture of a table from `performance_by_pointing`, against the zenith angle.

    Parameters
    ----------
    table : astropy.table.QTable
    particle : str
        Whose events these are.
    """
    names = [name for name in DRAWN if name in table.colnames]
    figure = Figure(figsize=(8, 3.2 * ((len(names) + 1) // 2)), layout="constrained")
    panels = np.atleast_1d(figure.subplots((len(names) + 1) // 2, 2, sharex=True)).reshape(-1)
    azimuths = np.unique(table["azimuth"].to_value(u.deg))
    for axes, name in zip(panels, names, strict=False):
        for number, azimuth in enumerate(azimuths):
            color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
            mine = table[table["azimuth"].to_value(u.deg) == azimuth]
            few = mine["n_events"] < FEW_IN_BIN
            for chosen, face in ((~few, color), (few, "white")):
                axes.errorbar(
                    mine["zenith"][chosen].to_value(u.deg),
                    u.Quantity(mine[name][chosen]).value,
                    yerr=np.nan_to_num(u.Quantity(mine[f"{name}_error"][chosen]).value),
                    fmt=marker,
                    color=color,
                    markerfacecolor=face,
                    label=f"azimuth {azimuth:g} deg" if face == color else None,
                )
        axes.set_ylabel(DRAWN[name])
        axes.set_xlabel("zenith angle (deg)")
        axes.grid(True)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    if len(names) and len(azimuths) > 1:
        panels[0].legend()
    figure.suptitle(f"By pointing, {plural(particle)}")
    return figure


def _joined(
    nodes: Sequence[Node], found: Sequence[Performance], name: str, column: str, signal: str
) -> list[Result]:
    """A curve of each node, in one table and one picture."""
    tables = []
    for node, performance in zip(nodes, found, strict=True):
        for result in performance.results:
            if result.name == name and result.table is not None:
                part = result.table.copy()
                part.add_column(np.full(len(part), node.azimuth) * u.deg, 0, "azimuth")
                part.add_column(np.full(len(part), node.zenith) * u.deg, 0, "zenith")
                tables.append((node, part))
    if not tables:
        return []
    words = name.replace("_", " ")
    return [
        Result(
            f"{name}_by_pointing",
            _draw_curves(tables, column, words, signal),
            f"The {words} at each simulated pointing.",
            vstack([part for _, part in tables], metadata_conflicts="silent"),
        )
    ]


def _draw_curves(
    tables: Sequence[tuple[Node, QTable]], column: str, words: str, signal: str
) -> Figure:
    first = tables[0][1]
    along = "true_energy" if "true_energy_low" in first.colnames else "reco_energy"
    figure, axes = new_binned_axes(first, signal, along)
    for number, (node, part) in enumerate(tables):
        shown = part.copy()
        unknown = ~(u.Quantity(shown[column]).value > 0)
        shown[column][unknown] = np.nan
        color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        draw_binned(axes, shown, column, str(node), color, marker, along)
    axes.set_title(f"{words.capitalize()} by pointing")
    axes.set_ylabel(f"{words} (m²)" if "area" in words else words)
    make_logarithmic(axes, "y")
    finish_binned(axes, first)
    return figure
