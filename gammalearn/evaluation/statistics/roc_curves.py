"""ROC curves in bands of true energy, of several reconstructions at the same points."""

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import QTable, vstack

from .differences import MIN_SHOWERS
from .separation import roc_curve

__all__ = ["BANDS_PER_DECADE", "roc_curves_by_energy"]

#: Bands of a separation: half decades, as each needs many events of two kinds.
BANDS_PER_DECADE = 2

#: Fractions of other particles at which ROC curves are compared.
N_ROC_POINTS = 201


def roc_curves_by_energy(
    reconstructions: Sequence[Sequence[QTable]], energy_bands: u.Quantity
) -> QTable:
    """ROC curves in bands of true energy, at the same fractions of other particles.

    Parameters
    ----------
    reconstructions : sequence of sequence of astropy.table.QTable
        As in `differences`.
    energy_bands : astropy.units.Quantity
        Edges in true energy, shape (n_bands + 1,).

    Returns
    -------
    table : astropy.table.QTable
        One row a band, reconstruction and fraction; bands with fewer than 10 gammas or others are
        left out: ``true_energy_low``, ``true_energy_high``, ``reconstruction`` (position),
        ``false_positive_rate``, ``true_positive_rate`` (mean of the runs), its 68 % binomial
        (Wilson) interval ``true_positive_rate_low`` and ``_high``, ``ratio`` to the first
        reconstruction's (NaN where that is 0), ``n_gamma``, ``n_other``.
    """
    grid = np.linspace(0, 1, N_ROC_POINTS)
    edges = energy_bands.to_value(u.TeV)
    tables = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        reference = None
        for reconstruction, runs in enumerate(reconstructions):
            energies = [run["true_energy"].to_value(u.TeV) for run in runs]
            curves = [
                roc_curve(run[(low <= energy) & (energy < high)])
                for run, energy in zip(runs, energies, strict=True)
            ]
            n_gamma, n_other = (curves[0].meta[name] for name in ("n_gamma", "n_other"))
            if min(n_gamma, n_other) < MIN_SHOWERS:
                continue
            kept = np.mean(
                [
                    np.interp(grid, c["false_positive_rate"], c["true_positive_rate"])
                    for c in curves
                ],
                axis=0,
            )
            reference = kept if reference is None else reference
            interval = binom_conf_interval(
                np.rint(kept * n_gamma).astype(int), n_gamma, interval="wilson"
            )
            table = QTable()
            table["true_energy_low"] = np.full(len(grid), low) * u.TeV
            table["true_energy_high"] = np.full(len(grid), high) * u.TeV
            table["reconstruction"] = reconstruction
            table["false_positive_rate"], table["true_positive_rate"] = grid, kept
            table["true_positive_rate_low"], table["true_positive_rate_high"] = interval
            ratio = np.full(len(grid), np.nan)
            table["ratio"] = np.divide(kept, reference, out=ratio, where=reference > 0)
            table["n_gamma"], table["n_other"] = n_gamma, n_other
            tables.append(table)
    return vstack(tables) if tables else QTable({"true_energy_low": [] * u.TeV})
