"""The hadronic cascade: interactions of nucleons and mesons with air, and the flight of muons.

An interaction is parametric and fluctuates: the projectile survives with a share of its energy,
the rest is cut into secondaries, a negative-binomial number of them, whose shares are flat in
rapidity but for a power of 1 - x, and which have an exponential transverse momentum. Energy is
conserved in each interaction, and what is not followed is counted. Neutral pions become photons
at once. The shapes of the shares and the size of what the nucleus takes were chosen so that the
flows of energy into pions, photons, kaons and nucleons agree with those of microscopic models
(SIBYLL 2.3d from 0.1 to 100 TeV, UrQMD 3.4 from 5 to 50 GeV, on air).
"""

import math

import numpy as np
from numba import njit

from . import stack as st
from .atmosphere import TOP, density, refractivity
from .decays import DROPPED, KAON_SHORT, LIFETIME, MASS, PION_ZERO, decay, release
from .electromagnetic import RADIATION_LENGTH, SCATTERING_ENERGY, note_first, turn
from .light import SPEED_OF_LIGHT, emit

__all__ = ["follow_hadron", "hadron_interaction", "interaction_length", "ionisation"]

#: g/cm² per interaction length and mb of cross-section: the mean mass of the nuclei of air.
GRAMS_PER_MILLIBARN = 24_145.0

#: Cross-sections on air for making particles (mb), quasi-elastic scattering left out: at low
#: energy, and their growth with the square of ln(E / SLOW); of pions, kaons and nucleons.
CROSS_SECTION = np.array([206.0, 184.0, 279.0])
GROWTH = np.array([1.0, 1.0, 0.8])
SLOW = 20.0

#: Share x of its kinetic energy that the projectile keeps: 1 - (1 - x^a)^b of the interactions
#: leave it less than x; of pions, kaons and nucleons.
LEADING_A = np.array([0.95, 0.85, 1.2])
LEADING_B = np.array([2.2, 2.2, 2.2])
LEADING_ENERGY = np.array([0.0, 0.0, 5.0])

#: How often the projectile changes its charge: pion to neutral pion, charged to neutral kaon and
#: back, proton to neutron and back.
EXCHANGE = np.array([0.15, 0.35, 0.35])

#: Kinetic energy that the nucleus takes on average (GeV), for nucleons it throws out.
NUCLEAR_LOSS = np.array([1.8, 1.8, 1.0])

#: Charged particles on air for each of a collision of two protons.
NUCLEAR_ENHANCEMENT = 1.8

#: What nuclei add to 1 / k, k the parameter of the negative binomial distribution.
NUCLEAR_SPREAD = 0.3

#: Secondaries' shares x of energy: dN ~ (1 - x)^SOFTNESS / x, from this energy (GeV) upwards.
SOFTNESS = 5
SOFTEST = 0.3

#: Shares of kaons and of nucleons (with antinucleons) among secondaries at high energy, and the
#: energy (GeV) at which half of them are there; the rest are pions. Photons of eta mesons and
#: other resonances are counted with those of neutral pions, which are so many of all pions.
KAONS, KAON_ENERGY = 0.13, 20.0
NUCLEONS, NUCLEON_ENERGY = 0.12, 100.0
NEUTRAL_PIONS = 0.395

#: Half of the mean transverse momentum (GeV) of secondary pions, kaons and nucleons.
TRANSVERSE = np.array([0.18, 0.21, 0.25])

#: Longest step (m) of a charged particle that can radiate, and of any other; the greatest share
#: of its kinetic energy that it may lose in a step.
LIGHT_STEP = 400.0
DARK_STEP = 2_000.0
STEP_LOSS = 0.15

#: No light is made above this height (m): what a primary makes there is spread too thin.
LIGHT_TOP = 30_000.0

#: How a flight ends: too slow to be followed, at the ground (or out of the atmosphere), ...
STOPPED, GROUNDED, INTERACTS, DECAYS = range(4)

ELECTRON_MASS = 0.51099895e-3

#: Bethe's formula in air: half of K Z / A (GeV cm²/g), mean excitation energy (GeV), and the
#: density effect, 2 ln(10) times log10(beta gamma) - 1.742 in the middle of its range, with half
#: its constant term at high energy; Sternheimer, Berger and Seltzer 1984.
BETHE = 0.5 * 0.307075e-3 * 0.49919
EXCITATION = 85.7e-9


@njit(cache=True, fastmath=True, error_model="numpy")
def _family(kind):
    """Row in the tables of pions, kaons and nucleons."""
    if kind >= st.NEUTRON:
        return 2
    return 0 if kind <= st.PION_PLUS else 1


@njit(cache=True, fastmath=True, error_model="numpy")
def interaction_length(kind, energy):
    """Return the mean free path (g/cm²) in air of a hadron of some energy (GeV)."""
    family = _family(kind)
    growth = math.log(max(energy / SLOW, 1.0))
    return GRAMS_PER_MILLIBARN / (CROSS_SECTION[family] + GROWTH[family] * growth * growth)


@njit(cache=True, fastmath=True, error_model="numpy")
def ionisation(momentum, mass):
    """Return the loss of energy in air (GeV cm²/g) of a singly charged heavy particle."""
    speed = momentum / mass  # beta gamma
    speed2 = speed * speed
    gamma = math.sqrt(1.0 + speed2)
    beta2 = speed2 / (1.0 + speed2)
    ratio = ELECTRON_MASS / mass
    most = 2.0 * ELECTRON_MASS * speed2 / (1.0 + 2.0 * gamma * ratio + ratio * ratio)
    bracket = math.log(2.0 * ELECTRON_MASS * speed2 * most / (EXCITATION * EXCITATION))
    # Density effect of a gas: nothing below beta gamma = 10^1.742, 2 ln(beta gamma) - 10.5961 at
    # infinity, a cubic in between.
    decade = math.log10(speed)
    if decade > 1.742:
        bracket -= 2.0 * math.log(speed) - 10.5961
        if decade < 4.2759:
            bracket -= 0.10914 * (4.2759 - decade) ** 3.3994
    return 2.0 * BETHE / beta2 * (0.5 * bracket - beta2)


@njit(cache=True, fastmath=True, error_model="numpy")
def mean_multiplicity(available):
    """Return the mean number of charged secondaries on air for an energy (GeV) to make them.

    0.88 + 0.44 ln s + 0.118 ln² s of two colliding protons, s in GeV², less its value where the
    energy vanishes, times NUCLEAR_ENHANCEMENT.
    """
    nucleon = MASS[st.PROTON]
    log_s = math.log(2.0 * nucleon * (available + 2.0 * nucleon))
    low = math.log(4.0 * nucleon * nucleon)
    return NUCLEAR_ENHANCEMENT * (
        0.44 * (log_s - low) + 0.118 * (log_s * log_s - low * low)
    )


@njit(cache=True, fastmath=True, error_model="numpy")
def _multiplicity(available, rng):
    """Draw the number of secondaries, neutral ones included."""
    mean = 1.5 * mean_multiplicity(available)
    log_root = 0.5 * math.log(2.0 * MASS[st.PROTON] * (available + 2.0 * MASS[st.PROTON]))
    spread = max(-0.104 + 0.058 * log_root, 0.0) + NUCLEAR_SPREAD
    n = rng.poisson(mean * spread * rng.gamma(1.0 / spread))
    return min(max(n, 2), int(available / SOFTEST))


@njit(cache=True, fastmath=True, error_model="numpy")
def _tilt(ux, uy, uz, energy, mass, transverse, rng):
    """Return the direction of a secondary with a transverse momentum of mean 2 transverse."""
    momentum = math.sqrt(max(energy * energy - mass * mass, 0.0))
    across = -transverse * math.log((1.0 - rng.random()) * (1.0 - rng.random()))
    # The energy gives the momentum along: slow particles may go far aside, none backwards.
    norm = math.sqrt(momentum * momentum + across * across)
    if norm <= 0.0:
        return ux, uy, uz
    return turn(ux, uy, uz, across / norm, momentum / norm, 2.0 * math.pi * rng.random())


@njit(cache=True, fastmath=True, error_model="numpy")
def _exchanged(kind, rng):
    """Return the kind of a projectile that has changed its charge."""
    if kind >= st.NEUTRON:
        return st.NEUTRON if kind == st.PROTON else st.PROTON
    if kind <= st.PION_PLUS:
        return PION_ZERO
    if kind == st.KAON_LONG:
        return st.KAON_PLUS if rng.random() < 0.5 else st.KAON_MINUS
    return st.KAON_LONG if rng.random() < 0.5 else KAON_SHORT


@njit(cache=True, fastmath=True, error_model="numpy")
def _secondary(energy, rng):
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
def hadron_interaction(kind, energy, x, y, z, t, ux, uy, uz, stack, n, rng):
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
    power = LEADING_B[family] * kinetic / (kinetic + LEADING_ENERGY[family])
    share = (1.0 - (1.0 - rng.random()) ** (1.0 / power)) ** (1.0 / LEADING_A[family])
    kept = MASS[kind] + share * kinetic
    available = energy - kept
    lost = min(-NUCLEAR_LOSS[family] * math.log(1.0 - rng.random()), available)
    available -= lost

    leading = _exchanged(kind, rng) if rng.random() < EXCHANGE[family] else kind
    vx, vy, vz = _tilt(ux, uy, uz, kept, MASS[leading], TRANSVERSE[family], rng)
    n, more = _release(stack, n, leading, kept, x, y, z, t, vx, vy, vz, rng)
    lost += more
    if available <= SOFTEST:
        return n, lost + available

    count = _multiplicity(available, rng)
    shares = np.empty(count)
    total = 0.0
    span = math.log(min(SOFTEST / available, 0.5))
    for i in range(count):
        while True:
            part = math.exp(span * rng.random())
            if rng.random() < (1.0 - part) ** SOFTNESS:
                break
        shares[i] = part
        total += part
    for i in range(count):
        part = available * shares[i] / total
        made = _secondary(energy, rng)
        family = 0 if made == PION_ZERO else (1 if made == KAON_SHORT else _family(made))
        vx, vy, vz = _tilt(ux, uy, uz, part, MASS[made], TRANSVERSE[family], rng)
        n, more = _release(stack, n, made, part, x, y, z, t, vx, vy, vz, rng)
        lost += more
    return n, lost


@njit(cache=True, fastmath=True, error_model="numpy")
def _release(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng):
    """Put a product on the stack, or what it decays into if that is at once."""
    if kind == KAON_SHORT:
        if energy <= MASS[kind]:
            return n, energy
        return decay(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng)
    return release(stack, n, kind, energy, x, y, z, t, ux, uy, uz, rng)


@njit(cache=True, fastmath=True, error_model="numpy")
def fly(site, light, row, rng):
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
def follow_hadron(site, light, stack, n, rng):
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
