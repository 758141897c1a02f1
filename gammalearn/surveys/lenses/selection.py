"""Selection: galaxies whose type can be learned; the others are counted."""

import numpy as np

from ..catalogue import Catalogue
from ..galaxies.selection import kept
from .types import is_lens

__all__ = ["with_known_type"]


def with_known_type(catalogue: Catalogue) -> Catalogue:
    """The galaxies that can be learned from; the others are counted."""
    known = np.isfinite(is_lens(catalogue.objects["type"]))
    return kept(catalogue, {"galaxies without a type (not learned from)": known})
