"""Tables of predictions: the probability of a lens, and what is known."""

import numpy as np
from astropy.table import Table

from ..catalogue import Catalogue

__all__ = ["table_of_lenses"]


def table_of_lenses(catalogue: Catalogue, chance: np.ndarray) -> Table:
    """A table of predictions.

    It has ``object_id``, ``ra`` and ``dec`` (deg), ``probability_lens``, and the truth if some is
    known: ``true_type``, ``einstein_radius`` (arcsec) and ``arc_signal_to_noise``.
    """
    objects = catalogue.objects
    table = Table({name: objects[name] for name in ("object_id", "ra", "dec")})
    table["probability_lens"] = chance
    if (np.asarray(objects["type"]) != "").any():
        table["true_type"] = objects["type"]
        for name in ("einstein_radius", "arc_signal_to_noise"):
            table[name] = np.asarray(objects[name], dtype=float)
    table.meta["survey"] = "lenses"
    return table
