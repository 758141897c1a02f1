"""Separation of gammas from other particles by their gammaness."""

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import QTable
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from ...plotting.style import DIAGONAL_STYLE, PALETTE, count_events, particle_colors, say_empty

__all__ = [
    "add_fraction",
    "area_under_curve",
    "draw_gammaness",
    "draw_roc_curve",
    "draw_roc_curves_by_energy",
    "gammaness_histogram",
    "mean_gammaness",
    "ordered_particles",
    "roc_curve",
]

#: What a gammaness of 1 means.
POSITIVE = "gamma"

#: Points of a ROC curve that are kept; more are not seen.
MAX_POINTS = 1000

#: Bins of the gammaness between 0 and 1, for many events and for few.
GAMMANESS_BINS, FEW_GAMMANESS_BINS = 50, 20
MANY_EVENTS = 1000


def _is_gamma(events: QTable) -> np.ndarray:
    return np.asarray(events["particle"] == POSITIVE, dtype=bool).reshape(len(events))


def roc_curve(events: QTable) -> QTable:
    """Efficiency for gammas against that for all other particles, by threshold of gammaness.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``particle`` and ``gammaness``.

    Returns
    -------
    curve : astropy.table.QTable
        One row a threshold: ``threshold``, ``false_positive_rate``, ``true_positive_rate`` and
        the 68 % binomial (Wilson) interval of the latter, ``true_positive_rate_low`` and
        ``_high``. At most 1001 points, evenly along the curve. A row of NaN unless there are
        gammas and others. ``meta``: ``n_gamma``, ``n_other``.
    """
    is_gamma = _is_gamma(events)
    n_gamma, n_other = int(is_gamma.sum()), int((~is_gamma).sum())
    names = ["threshold", "false_positive_rate", "true_positive_rate"]
    names += ["true_positive_rate_low", "true_positive_rate_high"]
    if n_gamma == 0 or n_other == 0:
        curve = QTable({name: [np.nan] for name in names})
    else:
        false_positive, true_positive, threshold = sklearn_roc_curve(
            is_gamma, events["gammaness"], drop_intermediate=True
        )
        kept = _evenly_along(false_positive + true_positive)
        false_positive, true_positive = false_positive[kept], true_positive[kept]
        detected = np.rint(true_positive * n_gamma).astype(int)
        low, high = binom_conf_interval(detected, n_gamma, interval="wilson")
        values = [threshold[kept], false_positive, true_positive, low, high]
        curve = QTable(values, names=names)
    curve.meta["n_gamma"], curve.meta["n_other"] = n_gamma, n_other
    return curve


def _evenly_along(length: np.ndarray) -> np.ndarray:
    """Indices of at most `MAX_POINTS` + 1 points at even steps of a growing length."""
    if len(length) <= MAX_POINTS:
        return np.arange(len(length))
    steps = np.linspace(length[0], length[-1], MAX_POINTS)
    return np.unique(np.append(np.searchsorted(length, steps), len(length) - 1))


def area_under_curve(events: QTable) -> dict[str, float]:
    """Area under the ROC curve: the chance that a gamma has more gammaness than another particle.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``particle`` and ``gammaness``.

    Returns
    -------
    area : dict
        ``auc``, NaN unless there are gammas and others.
    """
    is_gamma = _is_gamma(events)
    if np.all(is_gamma) or not np.any(is_gamma):
        return {"auc": np.nan}
    return {"auc": float(roc_auc_score(is_gamma, events["gammaness"]))}


def mean_gammaness(events: QTable, particle: str) -> float:
    """Mean gammaness of one kind of particle; NaN without any."""
    values = events["gammaness"][np.asarray(events["particle"] == particle, dtype=bool)]
    return float(np.mean(values)) if len(values) else np.nan


def ordered_particles(events: QTable) -> list[str]:
    """The particles of some events, gammas first, then by name."""
    present = [str(name) for name in np.unique(np.asarray(events["particle"], dtype=str))]
    return sorted(present, key=lambda name: (name != POSITIVE, name))


def add_fraction(table: QTable, name: str, kept: ArrayLike, number: ArrayLike) -> None:
    """Add columns of a fraction and its 68 % binomial (Wilson) interval, NaN of none."""
    kept, number = np.broadcast_arrays(np.asarray(kept, dtype=int), np.asarray(number, dtype=int))
    known = number > 0
    values = np.full((3, len(kept)), np.nan)
    if known.any():
        values[0, known] = kept[known] / number[known]
        values[1:, known] = binom_conf_interval(kept[known], number[known], interval="wilson")
    for ending, column in zip(("", "_low", "_high"), values, strict=True):
        table[f"{name}{ending}"] = column


def gammaness_histogram(events: QTable, edges: np.ndarray | None = None) -> QTable:
    """Numbers of events of each particle by gammaness.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``particle`` and ``gammaness``.
    edges : numpy.ndarray, optional
        Bin edges, shape (n_bins + 1,); by default 50 bins (20 of few events) that cover 0 to 1 and
        whatever values lie outside.

    Returns
    -------
    histogram : astropy.table.QTable
        One row a bin: ``low``, ``high`` and, for each particle, gammas first, the number of its
        events, and its ``PARTICLE_fraction`` of all of the particle with the 68 % binomial (Wilson)
        interval ``_low`` and ``_high``. ``meta``: ``particles``.
    """
    values = np.asarray(events["gammaness"], dtype=float)
    if edges is None:
        n_bins = GAMMANESS_BINS if len(events) > MANY_EVENTS else FEW_GAMMANESS_BINS
        # Other software may step out of 0-1; such values are to be seen, not dropped.
        ends = min(0.0, values.min(initial=0)), max(1.0, values.max(initial=1))
        edges = np.linspace(*ends, n_bins + 1)
    histogram = QTable({"low": edges[:-1], "high": edges[1:]})
    particles = ordered_particles(events)
    for particle in particles:
        chosen = values[np.asarray(events["particle"] == particle)]
        histogram[particle] = np.histogram(chosen, edges)[0]
        add_fraction(histogram, f"{particle}_fraction", histogram[particle], len(chosen))
    histogram.meta["particles"] = particles
    return histogram


def _new_roc_axes(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_box_aspect(1)
    axes.grid(True)
    axes.set_title(title)
    axes.set_xlabel("fraction of other particles kept")
    axes.set_ylabel("fraction of gammas kept")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.plot([0, 1], [0, 1], label="no separation", **DIAGONAL_STYLE)
    return figure, axes


def draw_roc_curve(curve: QTable, area: dict[str, float]) -> Figure:
    """Picture of a curve from `roc_curve` with the area ``auc`` and its ``auc_uncertainty``."""
    n_gamma, n_other = curve.meta["n_gamma"], curve.meta["n_other"]
    others = f"{n_other:,}".replace(",", "\N{NO-BREAK SPACE}")
    figure, axes = _new_roc_axes(
        f"Gamma separation, {count_events(n_gamma, POSITIVE)} from {others} others"
    )
    if n_gamma == 0 or n_other == 0:
        lacking = "gammas" if n_gamma == 0 else "other particles"
        say_empty(axes, f"no curve: there are no {lacking}")
        return figure
    axes.fill_between(
        curve["false_positive_rate"],
        curve["true_positive_rate_low"],
        curve["true_positive_rate_high"],
        color=PALETTE[0],
        alpha=0.25,
        linewidth=0,
        label="68 % binomial interval",
    )
    error = area["auc_uncertainty"]
    label = f"AUC = {area['auc']:.3f}" + (f" ± {error:.1g}" if np.isfinite(error) else "")
    axes.plot(
        curve["false_positive_rate"], curve["true_positive_rate"], color=PALETTE[0], label=label
    )
    axes.legend(loc="lower right")
    return figure


def draw_roc_curves_by_energy(table: QTable) -> Figure:
    """Picture of the curves of `roc_curves_by_energy`, of one reconstruction."""
    figure, axes = _new_roc_axes("Gamma separation by true energy")
    lows = np.unique(table["true_energy_low"])
    if len(lows) == 0:
        say_empty(axes, "no energy band has gammas and others enough")
        return figure
    # The last colours of the map are too light for lines.
    for low, color in zip(lows, colormaps["viridis"](np.linspace(0, 0.9, len(lows))), strict=True):
        band = table[table["true_energy_low"] == low]
        ends = " – ".join(f"{band[f'true_energy_{end}'][0].value:.3g}" for end in ("low", "high"))
        others = f"{band['n_other'][0]:,}".replace(",", "\N{NO-BREAK SPACE}")
        numbers = f"{count_events(int(band['n_gamma'][0]), POSITIVE)}, {others} others"
        kept = np.asarray(band["false_positive_rate"])
        lower, upper = (np.asarray(band[f"true_positive_rate_{end}"]) for end in ("low", "high"))
        axes.fill_between(kept, lower, upper, color=color, alpha=0.18, linewidth=0)
        label = f"{ends} TeV ({numbers})"
        axes.plot(kept, band["true_positive_rate"], color=color, label=label)
    axes.legend(loc="lower right", fontsize="small")
    return figure


def draw_gammaness(histogram: QTable) -> Figure:
    """Picture of a table from `gammaness_histogram`: each particle normalised to its own events."""
    edges = np.append(histogram["low"], histogram["high"][-1:])
    particles = histogram.meta["particles"]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True)
    axes.set_title("Gammaness by particle")
    axes.set_xlabel("gammaness (1 = gamma)")
    axes.set_ylabel("fraction of the particle's events")
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    if not particles:
        say_empty(axes, "no events")
        return figure
    for particle, color in particle_colors(particles).items():
        fractions = np.asarray(histogram[f"{particle}_fraction"])
        label = count_events(int(histogram[particle].sum()), particle)
        axes.stairs(fractions, edges, color=color, alpha=0.2, fill=True)
        axes.stairs(fractions, edges, color=color, linewidth=1.5, label=label)
        ends = [histogram[f"{particle}_fraction_{end}"] for end in ("low", "high")]
        lengths = np.maximum([fractions - ends[0], ends[1] - fractions], 0)
        centre = (edges[:-1] + edges[1:]) / 2
        axes.errorbar(centre, fractions, yerr=lengths, fmt="none", color=color, linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure
