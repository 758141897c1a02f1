"""Selection: galaxies whose redshift can be learned; the others are counted."""

import numpy as np

from ..catalogue import Catalogue
from ..galaxies.selection import kept

__all__ = ["with_known_redshift"]


def with_known_redshift(catalogue: Catalogue, redshift_max: float) -> Catalogue:
    """The galaxies that can be learned from; the others are counted."""
    redshift = np.asarray(catalogue.objects["redshift"], dtype=float)
    known = np.isfinite(redshift) & (redshift >= 0)
    return kept(
        catalogue,
        {
            "galaxies without a redshift (not learned from)": known,
            f"galaxies beyond data.redshift_max={redshift_max:g} (not learned from)": ~known
            | (redshift < redshift_max),
        },
    )
