"""Types of supernovae."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["OTHER", "TYPES", "class_of", "counted_types"]

#: Classes that are told apart: thermonuclear ones, and those of a collapsed core without and with
#: hydrogen.
TYPES = ("Ia", "Ibc", "II")

#: What is none of them, such as a superluminous supernova.
OTHER = "other"

_UNKNOWN = ("", "-9", "unknown", "none")


def class_of(kinds: ArrayLike) -> np.ndarray:
    """The class of each type, empty where the type is not known.

    Parameters
    ----------
    kinds : array-like of str
        Such as Ia, Ib, Ic, Ibc, II, IIn, IIP, IIL.
    """

    def one(kind: str) -> str:
        kind = kind.strip().removeprefix("SN")
        if kind.lower() in _UNKNOWN:
            return ""
        if kind.startswith("II"):
            return "II"
        if kind == "Ia" or kind.startswith(("Ia-", "Ia ")):
            return "Ia"
        return "Ibc" if kind.startswith(("Ib", "Ic")) else OTHER

    return np.array([one(str(kind)) for kind in np.asarray(kinds)], dtype="U5")


def counted_types(kinds: np.ndarray) -> str:
    """How many there are of each type, in words."""
    names, counts = np.unique(kinds, return_counts=True)
    return ", ".join(f"{k} {n or 'unknown'}" for n, k in zip(names, counts, strict=True))
