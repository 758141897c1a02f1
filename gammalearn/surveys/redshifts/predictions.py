"""Tables of predicted redshifts: density, point estimate, and what is measured."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from ...errors import InputFileError
from ..catalogue import Catalogue
from .density import N_BINS, Bins

__all__ = ["bins_of", "check_predictions", "table_of_galaxies"]


def bins_of(table: Table) -> Bins:
    """The bins of a table's densities; FITS has names of metadata in capitals."""
    return Bins(float(table.meta.get("zmax", table.meta.get("ZMAX"))))


def table_of_galaxies(
    catalogue: Catalogue, bins: Bins, density: np.ndarray, measured: dict[str, np.ndarray]
) -> Table:
    """A table of predictions.

    It has ``object_id``, ``redshift`` (the median of the density), ``redshift_low`` and
    ``redshift_high`` (its quantiles 0.16 and 0.84), ``density`` (probability in each bin, whose end
    is ``zmax`` of the table's metadata), ``ebv``, `MEASURED`, and ``true_redshift`` if some
    is known.
    """
    table = Table({"object_id": catalogue.objects["object_id"]})
    table["redshift"] = bins.quantile(density, 0.5)
    table["redshift_low"] = bins.quantile(density, 0.16)
    table["redshift_high"] = bins.quantile(density, 0.84)
    table["density"] = density.astype(np.float32)
    table["ebv"] = np.asarray(catalogue.objects["ebv"], dtype=float)
    for name, values in measured.items():
        table[name] = values
    truth = np.asarray(catalogue.objects["redshift"], dtype=float)
    if np.isfinite(truth).any():
        table["true_redshift"] = truth
    table.meta |= {"survey": "redshifts", "zmax": float(bins.largest)}
    return table


def check_predictions(table: Table, path: Path) -> None:
    """Refuse impossible redshifts and densities.

    Raises
    ------
    InputFileError
    """
    density = np.asarray(table["density"], dtype=float)
    if density.ndim != 2 or density.shape[1] != N_BINS:
        raise InputFileError(f"'{path}': density has not {N_BINS} bins in each row.")
    total = density.sum(axis=1)
    if not ((density >= 0).all() and np.allclose(total, 1, atol=1e-3)):
        raise InputFileError(f"'{path}': the densities are negative, or their sum is not 1.")
    largest = table.meta.get("zmax", table.meta.get("ZMAX"))
    if not isinstance(largest, int | float) or not largest > 0:
        raise InputFileError(
            f"'{path}' does not say where the bins of the density end (zmax); make it again "
            "with `gammalearn predict`."
        )
