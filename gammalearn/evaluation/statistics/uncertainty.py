"""Predicted uncertainties: whether events are as far off as their reconstruction says."""

from collections.abc import Sequence

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import QTable
from matplotlib.figure import Figure
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE
from scipy.stats import chi2, norm

from ...plotting.style import DIAGONAL_STYLE, PALETTE, count_events, say_empty
from .differences import MIN_SHOWERS, N_RESAMPLES_OF_CURVE
from .resampling import bootstrap

__all__ = [
    "ONE_SIGMA",
    "coverage",
    "draw_uncertainty",
    "pull_moments",
]

#: Nominal probabilities at which the coverage is measured; one of them is that of 1 σ.
ONE_SIGMA = float(ONE_SIGMA_QUANTILE)
NOMINAL = tuple(sorted([*np.round(np.arange(0.05, 1, 0.05), 2).tolist(), ONE_SIGMA]))

#: Range and bins of the pulls' histogram.
PULL_RANGE, PULL_BINS = 5.0, 50


def pull_moments(pulls: np.ndarray, shower: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of pulls, with errors by a bootstrap over showers.

    Parameters
    ----------
    pulls : numpy.ndarray
        Shape (n_events, n_coordinates).
    shower : numpy.ndarray of int
        Shower of each event, shape (n_events,).

    Returns
    -------
    moments : dict
        ``mean``, ``mean_error``, ``width``, ``width_error``; NaN without events, errors below 10
        showers.
    """
    moments = dict.fromkeys(("mean", "mean_error", "width", "width_error"), np.nan)
    if len(pulls) == 0:
        return moments
    moments["mean"] = float(np.mean(pulls))
    if len(pulls) > 1:
        moments["width"] = float(np.std(pulls))
    _, number = np.unique(shower, return_inverse=True)
    strata = np.zeros(number.max() + 1, dtype=int)
    if len(strata) >= MIN_SHOWERS:
        sums = np.column_stack([pulls.mean(axis=1), (pulls**2).mean(axis=1)])

        def statistic(repeats: Sequence[np.ndarray]) -> np.ndarray:
            mean, square = (repeats[0] @ sums / repeats[0].sum(axis=1)[:, None]).T
            return np.column_stack([mean, np.sqrt(np.maximum(square - mean**2, 0))])

        draws = bootstrap(statistic, [number.reshape(-1)], strata, N_RESAMPLES_OF_CURVE)
        moments["mean_error"], moments["width_error"] = map(float, np.std(draws, axis=0, ddof=1))
    return moments


def coverage(pulls: np.ndarray, nominal: Sequence[float] = NOMINAL) -> QTable:
    """How many events lie within the interval, or circle, that should hold such a fraction.

    An event lies within that of probability p where its squared pull, summed over the coordinates,
    is below the quantile of χ² with as many degrees of freedom: in one dimension the interval of
    ±Φ⁻¹((1+p)/2) σ, in two the circle of the radius r √(−ln(1−p)).

    Parameters
    ----------
    pulls : numpy.ndarray
        Shape (n_events, n_coordinates), one or two coordinates.
    nominal : sequence of float
        Probabilities.

    Returns
    -------
    table : astropy.table.QTable
        One row a probability: ``nominal``, ``n_events``, ``n_within``, ``coverage`` with its 68 %
        binomial (Wilson) interval ``coverage_low`` and ``_high``; NaN without events.
    """
    probability = np.asarray(nominal, dtype=float)
    limits = chi2.ppf(probability, pulls.shape[1])
    distance = np.sum(pulls**2, axis=1)
    within = np.array([np.sum(distance <= limit) for limit in limits], dtype=int)
    table = QTable({"nominal": probability})
    table["n_events"], table["n_within"] = len(pulls), within
    if len(pulls) == 0:
        for name in ("coverage", "coverage_low", "coverage_high"):
            table[name] = np.full(len(nominal), np.nan)
        return table
    table["coverage"] = within / len(pulls)
    low, high = binom_conf_interval(within, len(pulls), interval="wilson")
    table["coverage_low"], table["coverage_high"] = low, high
    return table


def draw_uncertainty(
    pulls: np.ndarray, table: QTable, moments: dict[str, float], quantity: str, particle: str
) -> Figure:
    """Picture of the pulls beside a standard normal, and of a table from `coverage`."""
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(f"Uncertainty of the {quantity}, {count_events(len(pulls), particle)}")
    for axes in (left, right):
        axes.grid(True)
    left.set_xlabel("pull: error / predicted uncertainty")
    left.set_ylabel("density")
    left.set_xlim(-PULL_RANGE, PULL_RANGE)
    right.set_xlabel("nominal probability")
    right.set_ylabel("fraction of events within")
    right.set_xlim(0, 1)
    right.set_ylim(0, 1)
    if len(pulls) == 0:
        say_empty(left, "no events")
        return figure
    edges = np.linspace(-PULL_RANGE, PULL_RANGE, PULL_BINS + 1)
    counts = np.histogram(pulls, edges)[0]
    label = f"mean {moments['mean']:.2g}, width {moments['width']:.3g}".replace("-", "−")
    density = counts / pulls.size / np.diff(edges)
    left.stairs(density, edges, fill=True, color=PALETTE[0], alpha=0.4, label=label)
    x = np.linspace(-PULL_RANGE, PULL_RANGE, 200)
    left.plot(x, norm.pdf(x), color="0.35", linewidth=1, linestyle="--", label="standard normal")
    left.legend(loc="upper right")
    right.plot([0, 1], [0, 1], label="as predicted", **DIAGONAL_STYLE)
    values = np.asarray(table["coverage"])
    errors = [values - table["coverage_low"], table["coverage_high"] - values]
    right.errorbar(
        table["nominal"],
        values,
        yerr=np.maximum(errors, 0),
        fmt="o",
        color=PALETTE[0],
        markersize=4,
    )
    right.legend(loc="upper left")
    return figure
