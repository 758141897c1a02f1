"""Evaluation: bias, scatter, outliers, CRPS and PIT of redshifts, from tables of predictions alone.

The definitions are those of Pasquet et al. (2019): errors are divided by 1 + z.
"""

from collections.abc import Callable

import numpy as np
from astropy.table import Table

from ...settings.surveys import RedshiftEvaluation
from ..evaluation import Figure, bootstrap_error, bootstrap_samples
from .predictions import bins_of

__all__ = [
    "Errors",
    "SOURCES",
    "by_source",
    "edges_of",
    "errors_of",
    "figures",
    "ks_of",
    "with_truth",
]

#: From the median absolute deviation to the standard deviation of a normal distribution.
NORMAL = 1.4826

#: What the figures may depend on: column, and words.
SOURCES = {
    "signal_to_noise": "signal to noise",
    "ellipticity": "ellipticity",
    "n_neighbours": "number of neighbours",
    "ebv": "E(B-V) of the Milky Way (mag)",
    "true_redshift": "redshift",
}

#: Bins of equal numbers of galaxies, and those of the number of neighbours.
N_BINS, NEIGHBOURS = 8, np.array([-0.5, 0.5, 1.5, 2.5, np.inf])


def with_truth(table: Table) -> Table:
    """The galaxies whose redshift is known."""
    if "true_redshift" not in table.colnames:
        return table[:0]
    return table[np.isfinite(np.asarray(table["true_redshift"], dtype=float))]


class Errors:
    """Errors of some galaxies.

    Parameters
    ----------
    apart : ndarray, shape (n,)
        Predicted less true redshift, divided by 1 + the true one.
    crps, pit : ndarray, shape (n,)
    """

    def __init__(self, apart: np.ndarray, crps: np.ndarray, pit: np.ndarray):
        self.apart, self.crps, self.pit = apart, crps, pit

    def measures(self, outlier: float) -> dict[str, tuple[str, str, Callable[[np.ndarray], float]]]:
        """Label, definition, and the figure of some rows, by name."""
        apart = self.apart
        return {
            "bias": ("bias", "mean error", lambda rows: float(apart[rows].mean())),
            "sigma_mad": (
                "sigma_MAD",
                f"{NORMAL} times the median absolute deviation of the errors from their median",
                lambda rows: scatter(apart[rows]),
            ),
            "eta": (
                "eta",
                f"fraction of outliers, whose error is above {outlier:g}",
                lambda rows: float((np.abs(apart[rows]) > outlier).mean()),
            ),
            "crps": (
                "CRPS",
                "mean continuous ranked probability score of the densities",
                lambda rows: float(self.crps[rows].mean()),
            ),
            "pit_ks": (
                "KS of the PIT",
                "largest distance of the distribution of the PIT from a uniform one",
                lambda rows: ks_of(self.pit[rows]),
            ),
        }


def errors_of(table: Table) -> Errors:
    """The errors of a table of `with_truth`."""
    truth = np.asarray(table["true_redshift"], dtype=float)
    density, bins = np.asarray(table["density"], dtype=float), bins_of(table)
    apart = (np.asarray(table["redshift"], dtype=float) - truth) / (1 + truth)
    return Errors(apart, bins.crps(density, truth), bins.below(density, truth))


def scatter(apart: np.ndarray) -> float:
    """Standard deviation by the median absolute deviation."""
    return float(NORMAL * np.median(np.abs(apart - np.median(apart))))


def ks_of(pit: np.ndarray) -> float:
    """Statistic of Kolmogorov and Smirnov against a uniform distribution."""
    ordered, n = np.sort(pit), len(pit)
    above, below = np.arange(1, n + 1) / n - ordered, ordered - np.arange(n) / n
    return float(max(above.max(), below.max()))


def figures(table: Table, settings: RedshiftEvaluation) -> dict[str, Figure]:
    """The figures of a table of predictions, with errors by bootstrap.

    Parameters
    ----------
    table : Table
        From `with_truth`.
    settings : RedshiftEvaluation
    """
    samples = bootstrap_samples(len(table), settings.n_bootstrap)
    everyone = np.arange(len(table))
    return {
        name: Figure(label, definition, measure(everyone), bootstrap_error(measure, samples))
        for name, (label, definition, measure) in errors_of(table)
        .measures(settings.outlier)
        .items()
    }


def edges_of(values: np.ndarray, column: str) -> np.ndarray:
    """Edges of bins with about as many galaxies each."""
    if column == "n_neighbours":
        return NEIGHBOURS
    known = values[np.isfinite(values)]
    if not len(known):
        return np.array([0.0, 1.0])
    edges = np.unique(np.quantile(known, np.linspace(0, 1, N_BINS + 1)))
    # The largest is within the last bin.
    return np.append(edges[:-1], np.nextafter(edges[-1], np.inf))


def by_source(table: Table, column: str, edges: np.ndarray, settings: RedshiftEvaluation) -> Table:
    """The figures in bins of a column.

    Returns
    -------
    Table
        ``low``, ``high``, ``middle`` (median of the column), ``n_objects``, and each figure with
        its ``_error`` (bootstrap); NaN in bins with fewer than two galaxies.
    """
    values = np.asarray(table[column], dtype=float)
    measures = errors_of(table).measures(settings.outlier)
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = np.flatnonzero((values >= low) & (values < high))
        row = {"low": low, "high": high, "middle": np.nan, "n_objects": len(inside)}
        if len(inside):
            row["middle"] = float(np.median(values[inside]))
        samples = bootstrap_samples(len(inside), settings.n_bootstrap) if len(inside) > 1 else []
        for name, (_, _, measure) in measures.items():

            def of_sample(
                rows: np.ndarray,
                measure: Callable[[np.ndarray], float] = measure,
                inside: np.ndarray = inside,
            ) -> float:
                return measure(inside[rows])

            some = len(inside) > 1
            row[name] = measure(inside) if some else np.nan
            row[f"{name}_error"] = bootstrap_error(of_sample, samples)
        rows.append(row)
    return Table(rows=rows)
