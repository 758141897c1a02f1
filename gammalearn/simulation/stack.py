"""The particles still to be followed: one row each, the last one in is the first one out.

A stack is a float64 array of shape (capacity, N_COLUMNS) beside the number of rows in use, so
that compiled code may hand it around. Following the last particle first keeps it short: its
depth grows with the logarithm of the shower's energy.
"""

import numpy as np
from numba import njit

__all__ = ["new_stack", "push"]

#: Columns: energy is total energy in GeV, positions in m in the ground frame (z = 0 is the
#: observation level), time in ns, then the unit vector of the momentum.
KIND, ENERGY, X, Y, Z, T, UX, UY, UZ = range(9)
N_COLUMNS = 9

#: Kinds of particles; antinucleons count as nucleons.
GAMMA, ELECTRON, POSITRON = 0, 1, 2
MUON_MINUS, MUON_PLUS = 3, 4
PION_MINUS, PION_PLUS, KAON_MINUS, KAON_PLUS, KAON_LONG = 5, 6, 7, 8, 9
NEUTRON, PROTON = 10, 11

#: Rest masses (GeV), Particle Data Group, in the order of the kinds.
MASS = np.array(
    [
        0.0,
        0.51099895e-3,
        0.51099895e-3,
        0.1056583755,
        0.1056583755,
        0.13957039,
        0.13957039,
        0.493677,
        0.493677,
        0.497611,
        0.93956542,
        0.93827209,
    ]
)

#: Electric charge in units of the elementary charge, in the order of the kinds.
CHARGE = np.array([0.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0, 1.0])

#: Enough for primaries of any energy that is allowed: a 1 PeV proton reached 400 rows.
CAPACITY = 20_000


def new_stack(capacity: int = CAPACITY) -> np.ndarray:
    """Return an empty stack, float64 of shape (capacity, N_COLUMNS)."""
    return np.empty((capacity, N_COLUMNS))


@njit(cache=True)
def push(
    stack: np.ndarray,
    n: int,
    kind: int,
    energy: float,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
) -> int:
    """Put a particle on top and return the new number of rows.

    Raises
    ------
    OverflowError
        If the stack is full.
    """
    if n >= stack.shape[0]:
        raise OverflowError("the stack of particles is full")
    row = stack[n]
    row[KIND] = kind
    row[ENERGY] = energy
    row[X] = x
    row[Y] = y
    row[Z] = z
    row[T] = t
    row[UX] = ux
    row[UY] = uy
    row[UZ] = uz
    return n + 1
