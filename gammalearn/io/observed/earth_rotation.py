"""Directions on the sky by the tables of the Earth's rotation that are installed with astropy."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from astropy.utils import iers
from astropy.utils.exceptions import AstropyWarning

__all__ = ["offline"]


@contextmanager
def offline() -> Iterator[None]:
    """Let astropy work with the tables of the Earth's rotation that are installed with it.

    Nothing is downloaded. After the end of the tables, a year after they were packed, directions
    are good to some arc seconds.
    """
    with (
        iers.conf.set_temp("auto_download", False),
        # However old the predictions in the tables are.
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Tried to get polar motions", AstropyWarning)
        yield
