"""Predictions: the table of classified objects."""

from collections.abc import Mapping

import numpy as np
from astropy.table import Table

from ..catalogue import Catalogue
from .types import TYPES, class_of

__all__ = ["table_of_objects"]


def table_of_objects(catalogue: Catalogue, columns: Mapping[str, np.ndarray]) -> Table:
    """A table of predictions: the columns given, and what is known of the objects.

    The last are ``host_redshift``, ``n_observations``, ``signal_to_noise`` (the largest),
    ``confirmed``, and the truth if some is known: ``true_type`` and ``true_redshift``.
    """
    table = Table({"object_id": catalogue.objects["object_id"], **columns})
    if f"probability_type_{TYPES[0]}" in columns:
        chances = np.stack([columns[f"probability_type_{name}"] for name in TYPES])
        table["type"] = np.array(TYPES)[chances.argmax(axis=0)]
    table["host_redshift"] = catalogue.objects["host_redshift"]
    table["n_observations"] = np.diff(catalogue.start)
    significance = catalogue.flux / catalogue.flux_error
    has_some = len(significance) > 0
    table["signal_to_noise"] = (
        np.maximum.reduceat(significance, catalogue.start[:-1]) if has_some else np.empty(0)
    )
    table["confirmed"] = catalogue.objects["confirmed"]
    kinds = class_of(catalogue.objects["type"])
    if (kinds != "").any():
        table["true_type"] = kinds
        table["true_redshift"] = catalogue.objects["redshift"]
    table.meta["survey"] = "supernovae"
    return table
