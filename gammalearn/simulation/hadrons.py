"""The hadronic cascade: interactions of nucleons and mesons with air, and the flight of muons.

An interaction is parametric and fluctuates: the projectile survives with a share of its kinetic
energy, the nucleus takes a little, and the rest is cut into a negative-binomial number of
secondaries, whose shares x follow (1 - x)^5 / x and whose transverse momentum is exponential.
Energy is conserved in each interaction, and what is not followed is counted. Neutral pions
become photons at once.

The constants were chosen so that pions, photons, kaons and nucleons carry the energy that
microscopic models give them on air: SIBYLL 2.3d from 0.1 to 100 TeV, UrQMD 3.4 from 3 to 50 GeV.
Proton showers of 0.1 to 10 TeV then put the same share of their energy into photons and
electrons, within 5 %, and have the same number of muons, within 10 %, as showers made of those
models' interactions.
"""

import math

import numpy as np
from numba import njit

from . import stack as st
from .atmosphere import TOP, density, refractivity
from .decays import DROPPED, KAON_SHORT, LIFETIME, MASS, PION_ZERO, decay, release
from .electromagnetic import (
    ELECTRON_MASS,
    RADIATION_LENGTH,
    SCATTERING_ENERGY,
    Site,
    note_first,
    turn,
)
from .light import SPEED_OF_LIGHT, Light, emit

__all__ = ["fly", "follow_hadron", "hadron_interaction", "interaction_length", "ionisation"]

#: How a flight ends: too slow to be followed, at the ground (or out of the air), or in products.
STOPPED, GROUNDED, INTERACTS, DECAYS = range(4)

#: Mean free path (g/cm²) times cross-section (mb): the mean mass of the nuclei of air.
GRAMS_PER_MILLIBARN = 24_145.0

#: Tables have a row each for pions, kaons and nucleons.
#:
#: Cross-section on air (mb) for making particles, quasi-elastic scattering left out: at SLOW
#: (GeV) and below, and its growth with ln²(E / SLOW).
CROSS_SECTION = np.array([206.0, 184.0, 279.0])
GROWTH = np.array([1.0, 1.0, 0.8])
SLOW = 20.0

#: The share x of its kinetic energy that a projectile keeps is less than x with probability
#: 1 - (1 - x^a)^b. Of nucleons b is multiplied by T / (T + LEADING_ENERGY) at kinetic energy T
#: (GeV): slow ones keep more.
LEADING_A = np.array([0.95, 0.85, 1.2])
LEADING_B = np.array([2.2, 2.2, 2.2])
LEADING_ENERGY = np.array([0.0, 0.0, 5.0])

#: How often the projectile changes its charge: a pion to a neutral pion, a kaon between charged
#: and neutral, a nucleon between proton and neutron.
EXCHANGE = np.array([0.15, 0.35, 0.35])

#: Mean energy that the nucleus takes (GeV), mostly for slow nucleons that leave it.
NUCLEAR_LOSS = np.array([1.8, 1.8, 1.0])

#: Charged secondaries on air for each of a collision of two protons with the same energy to
#: spend; what nuclei add to 1 / k, where k is the parameter of the negative binomial.
NUCLEAR_ENHANCEMENT = 1.8
NUCLEAR_SPREAD = 0.3

#: More secondaries than ever come: their mean is 80 at 1 PeV.
MOST = 2_000

#: Secondaries' shares x of the energy: dN ~ (1 - x)^SOFTNESS / x, from SOFTEST (GeV) upwards.
SOFTNESS = 5
SOFTEST = 0.3

#: Kaons and nucleons (with antinucleons) among secondaries at high energy, and the energy (GeV)
#: at which they are half as many; the rest are pions. Of pions NEUTRAL_PIONS are neutral, the
#: photons of eta mesons counted with theirs.
KAONS, KAON_ENERGY = 0.13, 20.0
NUCLEONS, NUCLEON_ENERGY = 0.12, 100.0
NEUTRAL_PIONS = 0.395

#: Half of the mean transverse momentum (GeV): pT follows pT exp(-pT / b).
TRANSVERSE = np.array([0.18, 0.21, 0.25])

#: Longest step (m) of a charged particle that can radiate, along which the Cherenkov angle is
#: taken as constant, and of any other; largest part of its kinetic energy that a step may cost.
LIGHT_STEP = 400.0
DARK_STEP = 2_000.0
STEP_LOSS = 0.15

#: No light is collected from above (m): the few photons that a primary makes there.
LIGHT_TOP = 30_000.0

#: Bethe's formula in air: K Z / A (GeV cm²/g) and the mean excitation energy (GeV).
BETHE = 0.307075e-3 * 0.49919
EXCITATION = 85.7e-9

#: Density effect in air, which begins and saturates at log10(beta gamma) of DENSITY_RANGE;
#: Sternheimer, Berger and Seltzer, Atomic Data 30 (1984) 261.
DENSITY_RANGE = (1.7418, 4.2759)
DENSITY_CONSTANT, DENSITY_FACTOR, DENSITY_POWER = 10.5961, 0.10914, 3.3994


@njit(cache=True, fastmath=True, error_model="numpy")
def _family(kind: int) -> int:
    """Row in the tables of pions, kaons and nucleons."""
    if kind == st.NEUTRON or kind == st.PROTON:
        return 2
    return 0 if kind <= st.PION_PLUS or kind == PION_ZERO else 1


@njit(cache=True, fastmath=True, error_model="numpy")
def interaction_length(kind: int, energy: float) -> float:
    """Return the mean free path (g/cm²) in air of a hadron of some energy (GeV)."""
    family = _family(kind)
    growth = math.log(max(energy / SLOW, 1.0))
    return GRAMS_PER_MILLIBARN / (CROSS_SECTION[family] + GROWTH[family] * growth * growth)


@njit(cache=True, fastmath=True, error_model="numpy")
def ionisation(momentum: float, mass: float) -> float:
    """Return what a charged particle heavier than an electron loses in air (GeV cm²/g).

    Bethe's formula with the density effect, for a momentum and a mass in GeV.
    """
    speed = momentum / mass  # beta gamma
    speed2 = speed * speed
    gamma = math.sqrt(1.0 + speed2)
    beta2 = speed2 / (1.0 + speed2)
    ratio = ELECTRON_MASS / mass
    most = 2.0 * ELECTRON_MASS * speed2 / (1.0 + 2.0 * gamma * ratio + ratio * ratio)
    bracket = math.log(2.0 * ELECTRON_MASS * speed2 * most / (EXCITATION * EXCITATION))
    decade = math.log10(speed)
    if decade > DENSITY_RANGE[0]:
        bracket -= 2.0 * math.log(speed) - DENSITY_CONSTANT
        if decade < DENSITY_RANGE[1]:
            bracket -= DENSITY_FACTOR * (DENSITY_RANGE[1] - decade) ** DENSITY_POWER
    return BETHE / beta2 * (0.5 * bracket - beta2)


@njit(cache=True, fastmath=True, error_model="numpy")
def _leading_share(family: int, kinetic: float, rng: np.random.Generator) -> float:
    """Draw the share of its kinetic energy (GeV) that a projectile keeps."""
    power = LEADING_B[family] * kinetic / (kinetic + LEADING_ENERGY[family])
    return (1.0 - (1.0 - rng.random()) ** (1.0 / power)) ** (1.0 / LEADING_A[family])


@njit(cache=True, fastmath=True, error_model="numpy")
def mean_multiplicity(available: float) -> float:
    """Return the mean number of charged secondaries on air for an energy (GeV) to make them.

    0.88 + 0.44 ln s + 0.118 ln² s of two colliding protons, s in GeV², less its value where the
    energy vanishes, times NUCLEAR_ENHANCEMENT.
    """
    nucleon = MASS[st.PROTON]
    log_s = math.log(2.0 * nucleon * (available + 2.0 * nucleon))
    low = math.log(4.0 * nucleon * nucleon)
    return NUCLEAR_ENHANCEMENT * (0.44 * (log_s - low) + 0.118 * (log_s * log_s - low * low))


@njit(cache=True, fastmath=True, error_model="numpy")
def _multiplicity(available: float, rng: np.random.Generator) -> int:
    """Draw the number of secondaries, neutral ones included, for an energy (GeV) to make them.

    Negative binomial with 1 / k = -0.104 + 0.058 ln(root of s) of two protons, more on air.
    """
    mean = 1.5 * mean_multiplicity(available)
    log_root = 0.5 * math.log(2.0 * MASS[st.PROTON] * (available + 2.0 * MASS[st.PROTON]))
    spread = max(-0.104 + 0.058 * log_root, 0.0) + NUCLEAR_SPREAD
    # Going up until the probabilities add up to a random number.
    odds = mean * spread / (1.0 + mean * spread)
    probability = (1.0 - odds) ** (1.0 / spread)
    left = rng.random() - probability
    n = 0
    while left > 0.0 and n < MOST:
        probability *= odds * (n + 1.0 / spread) / (n + 1.0)
        left -= probability
        n += 1
    # One secondary would take all the energy: fewer than two are not made of high energy.
    return min(max(n, 2), max(int(available / SOFTEST), 1))


@njit(cache=True, fastmath=True, error_model="numpy")
def _tilt(
    ux: float,
    uy: float,
    uz: float,
    energy: float,
    mass: float,
    transverse: float,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Turn a direction aside, by a transverse momentum (GeV) of twice this mean."""
    momentum = math.sqrt(max(energy * energy - mass * mass, 0.0))
    across = -transverse * math.log((1.0 - rng.random()) * (1.0 - rng.random()))
    # The energy gives the momentum along: slow particles may go far aside, none backwards.
    norm = math.sqrt(momentum * momentum + across * across)
    if norm <= 0.0:
        return ux, uy, uz
    return turn(ux, uy, uz, across / norm, momentum / norm, 2.0 * math.pi * rng.random())


@njit(cache=True, fastmath=True, error_model="numpy")
def _exchanged(kind: int, rng: np.random.Generator) -> int:
    """Return the kind of a projectile that has changed its charge."""
    if kind >= st.NEUTRON:
        return st.NEUTRON if kind == st.PROTON else st.PROTON
    if kind <= st.PION_PLUS:
        return PION_ZERO
    if kind == st.KAON_LONG:
        return st.KAON_PLUS if rng.random() < 0.5 else st.KAON_MINUS
    return st.KAON_LONG if rng.random() < 0.5 else KAON_SHORT


@njit(cache=True, fastmath=True, error_model="numpy")
def _secondary(energy: float, rng: np.random.Generator) -> int:
    """Draw the kind of a secondary of a projectile of some energy (GeV)."""
    nucleons = NUCLEONS * energy / (energy + NUCLEON_ENERGY)
    kaons = KAONS * energy / (energy + KAON_ENERGY)
    part = rng.random()
    if part < nucleons:
        return st.NEUTRON if part < 0.5 * nucleons else st.PROTON
    part -= nucleons
    if part < kaons:
        quarter = int(4.0 * part / kaons)
        if quarter == 0:
            return KAON_SHORT
        return st.KAON_LONG if quarter == 1 else st.KAON_MINUS + quarter - 2
    part = (part - kaons) / (1.0 - nucleons - kaons)
    if part < NEUTRAL_PIONS:
        return PION_ZERO
    return st.PION_MINUS if part < 0.5 * (1.0 + NEUTRAL_PIONS) else st.PION_PLUS


@njit(cache=True, fastmath=True, error_model="numpy")
def hadron_interaction(
    kind: int,
    energy: float,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
    stack: np.ndarray,
    n: int,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Let a hadron interact with a nucleus of the air.

    Parameters
    ----------
    kind : int
    energy, x, y, z, t, ux, uy, uz : float
        As on the stack.
    stack : ndarray (capacity, N_COLUMNS)
    n : int
        Particles on the stack, of which this is none.
    rng : numpy.random.Generator

    Returns
    -------
    n : int
        Particles on the stack, the products included.
    lost : float
        Energy (GeV) of what is not followed: with the products it adds up to the hadron's.
    """
    family = _family(kind)
    kinetic = energy - MASS[kind]
    kept = MASS[kind] + _leading_share(family, kinetic, rng) * kinetic
    available = energy - kept
    lost = min(-NUCLEAR_LOSS[family] * math.log(1.0 - rng.random()), available)
    available -= lost

    # The projectile comes first, then what is made of the energy that is left.
    count = 0
    if available > SOFTEST:
        count = _multiplicity(available, rng)
    else:
        lost += available
    energies = np.empty(count + 1)
    energies[0] = kept
    span = math.log(min(SOFTEST / max(available, SOFTEST), 0.5))
    total = 0.0
    for i in range(1, count + 1):
        while True:
            part = math.exp(span * rng.random())
            if rng.random() < (1.0 - part) ** SOFTNESS:
                break
        energies[i] = part
        total += part
    for i in range(count + 1):
        share = energies[i]
        if i > 0:
            made = _secondary(energy, rng)
            share *= available / total
        elif rng.random() < EXCHANGE[family]:
            made = _exchanged(kind, rng)
        else:
            made = kind
        vx, vy, vz = _tilt(ux, uy, uz, share, MASS[made], TRANSVERSE[_family(made)], rng)
        n, more = _release(stack, n, made, share, x, y, z, t, vx, vy, vz, rng)
        lost += more
    return n, lost


@njit(cache=True, fastmath=True, error_model="numpy")
def _release(
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
    """Put a product on the stack, or what it decays into if that is at once."""
    if kind == KAON_SHORT:
        if energy <= MASS[kind]:
            return n, energy
        return decay(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng)
    return release(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng)


@njit(cache=True, fastmath=True, error_model="numpy")
def fly(site: Site, light: Light, row: np.ndarray, rng: np.random.Generator) -> int:
    """Let a hadron or muon fly until it interacts, decays, or need not be followed any more.

    If charged, it loses energy, scatters and bends on its way, and its Cherenkov light is
    collected.

    Parameters
    ----------
    site : Site
    light : Light
    row : ndarray (N_COLUMNS,)
        The particle, as on the stack; in place it becomes what it is at the end of its flight.
    rng : numpy.random.Generator

    Returns
    -------
    fate : int
        STOPPED, GROUNDED (or out of the atmosphere), INTERACTS or DECAYS.
    """
    kind = int(row[st.KIND])
    mass = MASS[kind]
    charge = st.CHARGE[kind]
    energy = row[st.ENERGY]
    x, y, z, t = row[st.X], row[st.Y], row[st.Z], row[st.T]
    ux, uy, uz = row[st.UX], row[st.UY], row[st.UZ]

    # What it has left: air to cross before it interacts (g/cm²), own time before it decays (m).
    grams_left = 1e30
    if kind > st.MUON_PLUS:
        grams_left = rng.exponential() * interaction_length(kind, energy)
    time_left = rng.exponential() * LIFETIME[kind]
    # Slower than this it does not radiate even at the observation level.
    ground = refractivity(density(site.observation_height))
    slowest = mass / math.sqrt(2.0 * ground)

    fate = STOPPED
    while fate == STOPPED and energy - mass > DROPPED[kind]:
        momentum = math.sqrt(energy * energy - mass * mass)
        beta = momentum / energy
        height = z + site.observation_height
        radiates = charge != 0.0 and momentum > slowest and height < LIGHT_TOP
        length = LIGHT_STEP if radiates else DARK_STEP
        loss = 0.0
        if charge != 0.0:
            loss = ionisation(momentum, mass)
            length = min(length, STEP_LOSS * (energy - mass) / (loss * density(height)))
        lifetime = time_left * momentum / mass
        if lifetime <= length:
            length = lifetime
            fate = DECAYS
        # The density in the middle is that of the step but for one part in a thousand.
        grams = density(max(height + 0.5 * length * uz, 0.0)) * length
        if grams >= grams_left:
            length *= grams_left / grams
            grams = grams_left
            fate = INTERACTS
        if z + length * uz <= 0.0:
            grams *= z / (-uz * length)
            length = z / -uz
            fate = GROUNDED

        if radiates:
            emit(light, x, y, z, t, ux, uy, uz, length, beta, rng)
        x += length * ux
        y += length * uy
        z += length * uz
        t += length / (beta * SPEED_OF_LIGHT)
        grams_left -= grams
        time_left -= length * mass / momentum
        if z + site.observation_height > TOP:
            fate = GROUNDED
        if charge != 0.0:
            energy -= loss * grams
            sigma = SCATTERING_ENERGY / (momentum * beta) * math.sqrt(grams / RADIATION_LENGTH)
            angle = sigma * math.sqrt(-2.0 * math.log(1.0 - rng.random()))
            vx, vy, vz = turn(
                ux, uy, uz, math.sin(angle), math.cos(angle), 2.0 * math.pi * rng.random()
            )
            bend = charge * SPEED_OF_LIGHT * length / momentum  # per tesla, in GeV and m
            vx += bend * (uy * site.bz - uz * site.by)
            vy += bend * (uz * site.bx - ux * site.bz)
            vz += bend * (ux * site.by - uy * site.bx)
            norm = 1.0 / math.sqrt(vx * vx + vy * vy + vz * vz)
            ux, uy, uz = vx * norm, vy * norm, vz * norm

    row[st.ENERGY] = energy
    row[st.X], row[st.Y], row[st.Z], row[st.T] = x, y, z, t
    row[st.UX], row[st.UY], row[st.UZ] = ux, uy, uz
    return fate


@njit(cache=True, fastmath=True, error_model="numpy")
def follow_hadron(
    site: Site, light: Light, stack: np.ndarray, n: int, rng: np.random.Generator
) -> int:
    """Follow the hadron or muon on top of the stack, and replace it by what it makes.

    Parameters
    ----------
    site : Site
    light : Light
    stack : ndarray (capacity, N_COLUMNS)
    n : int
        Particles on the stack.
    rng : numpy.random.Generator

    Returns
    -------
    n : int
        Particles on the stack.
    """
    n -= 1
    row = stack[n]
    fate = fly(site, light, row, rng)
    if fate != INTERACTS and fate != DECAYS:
        return n
    kind = int(row[st.KIND])
    energy, x, y, z, t = row[st.ENERGY], row[st.X], row[st.Y], row[st.Z], row[st.T]
    ux, uy, uz = row[st.UX], row[st.UY], row[st.UZ]
    if fate == INTERACTS:
        note_first(site, z)
        n, _ = hadron_interaction(kind, energy, x, y, z, t, ux, uy, uz, stack, n, rng)
    else:
        n, _ = decay(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng)
    return n
