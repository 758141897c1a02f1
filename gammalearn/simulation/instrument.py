"""Arrays of telescopes: which stand where, as ctapipe describes them."""

from dataclasses import dataclass

import numpy as np
from ctapipe.instrument import SubarrayDescription

from .telescopes import TelescopeModel

__all__ = ["Array", "TelescopeModel", "array"]


@dataclass(frozen=True, eq=False)
class Array:
    """An array of telescopes and its site.

    Parameters
    ----------
    name : str
    models : tuple of TelescopeModel, length n_tel
        The same object for telescopes of the same type.
    positions : ndarray, shape (n_tel, 3)
        In m, ground frame (x North, y West, z up from the observation level).
    tel_ids : ndarray of int, shape (n_tel,)
    subarray : ctapipe.instrument.SubarrayDescription
    height : float
        Observation level in m above sea level.
    magnetic_field : ndarray, shape (3,)
        In tesla, ground frame (north, west, up).
    """

    name: str
    models: tuple[TelescopeModel, ...]
    positions: np.ndarray
    tel_ids: np.ndarray
    subarray: SubarrayDescription
    height: float
    magnetic_field: np.ndarray


def array(name_or_path) -> Array:
    """An array by its name (lst1, lst4, lst4_mst9) or from a YAML layout."""
    raise NotImplementedError
