"""Decays of muons and mesons, with exact kinematics.

A particle that decays into two sends them back to back, isotropically in its rest frame; one that
decays into three is a chain of two such steps, with the invariant mass of the first pair drawn
from phase space. Polarisation is neglected. Lifetimes and branching ratios are those of the
Particle Data Group; what remains of rare modes goes to the one named last.
"""

import math

import numpy as np
from numba import njit

from . import stack as st
from .electromagnetic import CUTOFF, turn

__all__ = ["decay", "release", "two_body"]

#: Products that are never followed: they decay at once, or leave no light.
PION_ZERO, KAON_SHORT, NEUTRINO = 12, 13, 14

#: Rest masses (GeV) in the order of the kinds.
MASS = np.append(st.MASS, [0.1349768, 0.497611, 0.0])

#: Mean life times the speed of light (m), in the order of the kinds; without end where stable.
LIFETIME = np.full(12, 1e30)
LIFETIME[st.MUON_MINUS : st.MUON_PLUS + 1] = 658.638
LIFETIME[st.PION_MINUS : st.PION_PLUS + 1] = 7.8045
LIFETIME[st.KAON_MINUS : st.KAON_PLUS + 1] = 3.711
LIFETIME[st.KAON_LONG] = 15.34

#: Kinetic energy (GeV) below which a particle is dropped, in the order of the kinds: it makes no
#: light, nor anything that does.
DROPPED = np.zeros(12)
DROPPED[: st.POSITRON + 1] = CUTOFF
DROPPED[st.MUON_MINUS : st.MUON_PLUS + 1] = 0.2
DROPPED[st.PION_MINUS : st.KAON_LONG + 1] = 0.3
DROPPED[st.NEUTRON :] = 1.0


@njit(cache=True, fastmath=True, error_model="numpy")
def _momentum(mass: float, first: float, second: float) -> float:
    """Momentum of the two particles that another decays into, in its rest frame (GeV)."""
    energy = (mass * mass + first * first - second * second) / (2.0 * mass)
    return math.sqrt(max(energy * energy - first * first, 0.0))


@njit(cache=True, fastmath=True, error_model="numpy")
def boost(
    energy: float,
    mass: float,
    ux: float,
    uy: float,
    uz: float,
    rest_energy: float,
    rest_momentum: float,
    cosine: float,
    phi: float,
) -> tuple[float, float, float, float]:
    """Return the energy and direction in the laboratory of a product of a moving particle.

    Parameters
    ----------
    energy, mass : float
        Of what moves (GeV); ux, uy, uz is its direction.
    rest_energy, rest_momentum : float
        Of the product in its rest frame (GeV), sent at an angle with this cosine to the motion,
        and phi about it.
    """
    gamma = energy / mass
    drift = math.sqrt(max(gamma * gamma - 1.0, 0.0))
    along = drift * rest_energy + gamma * rest_momentum * cosine
    across = rest_momentum * math.sqrt(max(1.0 - cosine * cosine, 0.0))
    momentum = max(math.sqrt(along * along + across * across), 1e-12)
    vx, vy, vz = turn(ux, uy, uz, across / momentum, along / momentum, phi)
    return gamma * rest_energy + drift * rest_momentum * cosine, vx, vy, vz


@njit(cache=True, fastmath=True, error_model="numpy")
def two_body(
    energy: float,
    mass: float,
    first: float,
    second: float,
    ux: float,
    uy: float,
    uz: float,
    rng: np.random.Generator,
) -> tuple[float, float, float, float, float, float, float, float]:
    """Decay a moving particle into two of given masses, isotropically in its rest frame.

    Returns
    -------
    tuple of float
        Energy (GeV) and direction of the first, then those of the second.
    """
    momentum = _momentum(mass, first, second)
    rest_energy = math.sqrt(momentum * momentum + first * first)
    cosine = 2.0 * rng.random() - 1.0
    phi = 2.0 * math.pi * rng.random()
    e1, x1, y1, z1 = boost(energy, mass, ux, uy, uz, rest_energy, momentum, cosine, phi)
    e2, x2, y2, z2 = boost(
        energy, mass, ux, uy, uz, mass - rest_energy, momentum, -cosine, phi + math.pi
    )
    return e1, x1, y1, z1, e2, x2, y2, z2


@njit(cache=True, fastmath=True, error_model="numpy")
def release(
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
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Put a new particle on the stack, or the photons of a neutral pion, if fast enough.

    Returns
    -------
    n : int
        Particles on the stack.
    lost : float
        Energy (GeV) of what is not followed.
    """
    if kind == PION_ZERO:
        if energy <= MASS[PION_ZERO]:
            return n, energy
        e1, x1, y1, z1, e2, x2, y2, z2 = two_body(
            energy, MASS[PION_ZERO], 0.0, 0.0, ux, uy, uz, rng
        )
        lost = 0.0
        if e1 > CUTOFF:
            n = st.push(stack, n, st.GAMMA, e1, x, y, z, t, x1, y1, z1)
        else:
            lost += e1
        if e2 > CUTOFF:
            n = st.push(stack, n, st.GAMMA, e2, x, y, z, t, x2, y2, z2)
        else:
            lost += e2
        return n, lost
    if kind == NEUTRINO or energy - MASS[kind] <= DROPPED[kind]:
        return n, energy
    return st.push(stack, n, kind, energy, x, y, z, t, ux, uy, uz), 0.0


@njit(cache=True, fastmath=True, error_model="numpy")
def _into_two(
    stack: np.ndarray,
    n: int,
    parent: int,
    energy: float,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
    first: int,
    second: int,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Release two products of a decay."""
    e1, x1, y1, z1, e2, x2, y2, z2 = two_body(
        energy, MASS[parent], MASS[first], MASS[second], ux, uy, uz, rng
    )
    n, lost1 = release(stack, n, first, e1, x, y, z, t, x1, y1, z1, rng)
    n, lost2 = release(stack, n, second, e2, x, y, z, t, x2, y2, z2, rng)
    return n, lost1 + lost2


@njit(cache=True, fastmath=True, error_model="numpy")
def _into_three(
    stack: np.ndarray,
    n: int,
    parent: int,
    energy: float,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
    first: int,
    second: int,
    third: int,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Release three products of a decay, evenly over phase space.

    With m the invariant mass of the first two, dN/dm is proportional to their momentum in their
    rest frame times the third's momentum in the parent's.
    """
    mass = MASS[parent]
    m1, m2, m3 = MASS[first], MASS[second], MASS[third]
    low = m1 + m2
    high = mass - m3
    bound = _momentum(high, m1, m2) * _momentum(mass, low, m3)
    while True:
        pair = low + (high - low) * rng.random()
        if rng.random() * bound < _momentum(pair, m1, m2) * _momentum(mass, pair, m3):
            break
    e12, x12, y12, z12, e3, x3, y3, z3 = two_body(energy, mass, pair, m3, ux, uy, uz, rng)
    e1, x1, y1, z1, e2, x2, y2, z2 = two_body(e12, pair, m1, m2, x12, y12, z12, rng)
    n, lost1 = release(stack, n, first, e1, x, y, z, t, x1, y1, z1, rng)
    n, lost2 = release(stack, n, second, e2, x, y, z, t, x2, y2, z2, rng)
    n, lost3 = release(stack, n, third, e3, x, y, z, t, x3, y3, z3, rng)
    return n, lost1 + lost2 + lost3


@njit(cache=True, fastmath=True, error_model="numpy")
def _muon_decay(
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
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Release the electron of a muon: Michel's spectrum dN/ds = 2 s² (3 - 2 s), 2 E / m = s."""
    while True:
        share = rng.random()
        if rng.random() < share * share * (3.0 - 2.0 * share):
            break
    mass = MASS[kind]
    cosine = 2.0 * rng.random() - 1.0
    phi = 2.0 * math.pi * rng.random()
    electron = 0.5 * mass * share
    e1, x1, y1, z1 = boost(energy, mass, ux, uy, uz, electron, electron, cosine, phi)
    product = st.ELECTRON if kind == st.MUON_MINUS else st.POSITRON
    n, lost = release(stack, n, product, e1, x, y, z, t, x1, y1, z1, rng)
    return n, energy - e1 + lost


@njit(cache=True, fastmath=True, error_model="numpy")
def decay(
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
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Replace a muon, pion or kaon (K short included) by what it decays into.

    Parameters
    ----------
    stack : ndarray (capacity, N_COLUMNS)
    n : int
        Particles on the stack, of which this is none.
    kind : int
    energy, x, y, z, t, ux, uy, uz : float
        As on the stack.
    rng : numpy.random.Generator

    Returns
    -------
    n : int
        Particles on the stack.
    lost : float
        Energy (GeV) of neutrinos and of what is too slow to be followed.
    """
    if kind == st.MUON_MINUS or kind == st.MUON_PLUS:
        return _muon_decay(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng)
    # The lepton has the sign of its parent; a neutral kaon has either.
    positive = kind == st.PION_PLUS or kind == st.KAON_PLUS
    if kind == st.KAON_LONG:
        positive = rng.random() < 0.5
    muon = st.MUON_PLUS if positive else st.MUON_MINUS
    electron = st.POSITRON if positive else st.ELECTRON
    pion = st.PION_PLUS if positive else st.PION_MINUS
    other = st.PION_MINUS if positive else st.PION_PLUS

    first, second, third = muon, NEUTRINO, -1
    mode = rng.random()
    if kind == KAON_SHORT:
        first, second = (pion, other) if mode < 0.692 else (PION_ZERO, PION_ZERO)
    elif kind == st.KAON_LONG:
        if mode < 0.4055:
            first, second, third = other, electron, NEUTRINO
        elif mode < 0.6759:
            first, second, third = other, muon, NEUTRINO
        elif mode < 0.8711:
            first, second, third = PION_ZERO, PION_ZERO, PION_ZERO
        else:
            first, second, third = pion, other, PION_ZERO
    elif kind == st.KAON_MINUS or kind == st.KAON_PLUS:
        if mode < 0.2067:
            first, second = pion, PION_ZERO
        elif mode < 0.2625:
            first, second, third = pion, pion, other
        elif mode < 0.3132:
            first, second, third = PION_ZERO, electron, NEUTRINO
        elif mode < 0.3467:
            first, second, third = PION_ZERO, muon, NEUTRINO
        elif mode < 0.3643:
            first, second, third = PION_ZERO, PION_ZERO, pion
    if third < 0:
        return _into_two(stack, n, kind, energy, x, y, z, t, ux, uy, uz, first, second, rng)
    return _into_three(stack, n, kind, energy, x, y, z, t, ux, uy, uz, first, second, third, rng)
