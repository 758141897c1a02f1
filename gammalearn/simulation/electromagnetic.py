"""The electromagnetic cascade, particle by particle.

Photons make pairs (or, at low energy, hit electrons); electrons radiate, lose energy, scatter
and bend in the magnetic field. Everything above `CUTOFF` is followed, which is below the
Cherenkov threshold at any height that matters.

Radiation and pair creation follow Bethe and Heitler with the screening functions of Butcher and
Messel (as in EGS4 and Geant4). Both are drawn from their limit at full screening and accepted
with the ratio of the two, so that the loss of cross-section at low energy comes out by itself.
"""

import math
from collections import namedtuple

import numpy as np
from numba import njit

from . import stack as st
from .atmosphere import TOP, density, height_at, scale_height, thickness, thickness_from_density
from .light import SPEED_OF_LIGHT, Light, emit_scattered

__all__ = ["CUTOFF", "Site", "follow_electron", "follow_photon", "new_site"]

#: Total energy below which electrons and photons are dropped (GeV): the threshold of Cherenkov
#: light is 21 MeV at sea level and rises with height.
CUTOFF = 0.020

ELECTRON_MASS = 0.51099895e-3

#: Radiation length of air (g/cm²) and atomic number of its mean nucleus.
RADIATION_LENGTH = 36.7
ATOMIC_NUMBER = 7.3

#: Ionisation of fast electrons in air (GeV cm²/g).
IONISATION = 2.2e-3

#: Rossi's scattering energy for one projected plane (GeV): 21.2 MeV over the root of two.
SCATTERING_ENERGY = 0.0212 / math.sqrt(2.0)

#: Electrons per gram of air times pi r_e² m_e, for Compton scattering (GeV cm²/g): a quarter of
#: the constant of the Bethe formula times Z/A of air.
COMPTON = 0.25 * 0.30707e-3 * 0.49919

#: Longest step of an electron: in radiation lengths, as a share of its energy, and in m.
STEP = 0.3
STEP_LOSS = 0.4
STEP_LENGTH = 1500.0

#: Width of the depth bins of the longitudinal profile (g/cm², vertical), and their number.
PROFILE_STEP = 10.0
PROFILE_BINS = 110

#: Half of the nucleus' Coulomb term, 8/3 ln Z, and the first screening function at full
#: screening (delta = 0) less that; the unit of delta (GeV).
HALF_COULOMB = 4.0 / 3.0 * math.log(ATOMIC_NUMBER)
FULL_SCREENING = 20.867 - HALF_COULOMB
SCREENING_ENERGY = 136.0 * ELECTRON_MASS / ATOMIC_NUMBER ** (1.0 / 3.0)

#: Widest spread of an electron's direction (rad) that is left to the smeared cone of light;
#: more than this is drawn, as a wide cone would have to be compared with too many mirrors.
SMEARING = 0.0015

#: Where the shower happens, for compiled code: observation_height of z = 0 (m above sea level),
#: the magnetic field bx, by, bz (tesla, ground frame); and of the shower, filled on the way:
#: profile (PROFILE_BINS,), electrons above the cut-off that cross each level of vertical depth,
#: and first (1,), the height of the first interaction (m above sea level), -1 before it.
Site = namedtuple("Site", "observation_height bx by bz profile first")


@njit(cache=True, fastmath=True, error_model="numpy")
def _screening(delta: float) -> tuple[float, float]:
    """Screening functions Phi1 and Phi2 less the Coulomb term, as shares of full screening."""
    if delta <= 1.0:
        phi1 = 20.867 + delta * (-3.242 + 0.625 * delta)
        phi2 = 20.209 + delta * (-1.930 - 0.086 * delta)
    else:
        phi1 = 21.12 - 4.184 * math.log(delta + 0.952)
        phi2 = phi1
    return (
        max(phi1 - HALF_COULOMB, 0.0) / FULL_SCREENING,
        max(phi2 - HALF_COULOMB, 0.0) / FULL_SCREENING,
    )


@njit(cache=True, fastmath=True, error_model="numpy")
def _turn(
    ux: float, uy: float, uz: float, px: float, py: float, pz: float
) -> tuple[float, float, float]:
    """Return the vector with components px, py across u and pz along it."""
    across = math.sqrt(ux * ux + uy * uy)
    if across < 1e-8:
        sign = 1.0 if uz > 0.0 else -1.0
        return px, sign * py, sign * pz
    cos_phi = ux / across
    sin_phi = uy / across
    along = px * uz + pz * across
    return along * cos_phi - py * sin_phi, along * sin_phi + py * cos_phi, pz * uz - px * across


@njit(cache=True, fastmath=True, error_model="numpy")
def turn(
    ux: float, uy: float, uz: float, sine: float, cosine: float, phi: float
) -> tuple[float, float, float]:
    """Return a unit vector at an angle to another (by sine and cosine), turned by phi about it."""
    return _turn(ux, uy, uz, sine * math.cos(phi), sine * math.sin(phi), cosine)


@njit(cache=True, fastmath=True, error_model="numpy")
def note_first(site: Site, z: float) -> None:
    """Keep the height of the shower's first interaction."""
    if site.first[0] < 0.0:
        site.first[0] = z + site.observation_height


@njit(cache=True, fastmath=True, error_model="numpy")
def advance(height: float, uz: float, grams: float) -> float:
    """Return the length (m) in which a particle at a height crosses some g/cm²."""
    if uz < -0.05:
        depth = thickness(height) - grams * uz
        return (height - height_at(depth)) / -uz
    return grams / density(height)


@njit(cache=True, fastmath=True, error_model="numpy")
def follow_photon(site: Site, stack: np.ndarray, n: int, rng: np.random.Generator) -> int:
    """Follow the photon on top of the stack until it makes electrons or is gone.

    It is replaced by what it makes, if that is above the cut-off.

    Returns
    -------
    n : int
        Particles on the stack.
    """
    n -= 1
    row = stack[n]
    energy = row[st.ENERGY]
    x, y, z, t = row[st.X], row[st.Y], row[st.Z], row[st.T]
    ux, uy, uz = row[st.UX], row[st.UY], row[st.UZ]
    if energy < CUTOFF:
        return n
    # With full screening, dN = [e² + (1-e)² + 2/3 e (1-e)] de / X0: uniform shares e are
    # proposed at the rate 1 / X0 and accepted with the screened bracket.
    pair_rate = 1.0 / RADIATION_LENGTH
    compton_rate = COMPTON / energy * (math.log(2.0 * energy / ELECTRON_MASS) + 0.5)
    rate = pair_rate + compton_rate
    while True:
        length = advance(z + site.observation_height, uz, rng.exponential() / rate)
        x += length * ux
        y += length * uy
        z += length * uz
        t += length / SPEED_OF_LIGHT
        height = z + site.observation_height
        if z < 0.0 or height > TOP:
            return n
        if rng.random() * rate < compton_rate:
            note_first(site, z)
            return _compton(stack, n, energy, x, y, z, t, ux, uy, uz, rng)
        share = rng.random()
        rest = 1.0 - share
        if energy * min(share, rest) < ELECTRON_MASS:
            continue
        phi1, phi2 = _screening(SCREENING_ENERGY / (energy * share * rest))
        if rng.random() < (share * share + rest * rest) * phi1 + 2.0 / 3.0 * share * rest * phi2:
            break
    note_first(site, z)
    # The opening angle, about m / E, is small beside the first scattering and left out.
    if energy * share > CUTOFF:
        n = st.push(stack, n, st.ELECTRON, energy * share, x, y, z, t, ux, uy, uz)
    if energy * rest > CUTOFF:
        n = st.push(stack, n, st.POSITRON, energy * rest, x, y, z, t, ux, uy, uz)
    return n


@njit(cache=True, fastmath=True, error_model="numpy")
def _compton(
    stack: np.ndarray,
    n: int,
    energy: float,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
    rng: np.random.Generator,
) -> int:
    """Klein and Nishina: a photon hits an electron at rest."""
    least = 1.0 / (1.0 + 2.0 * energy / ELECTRON_MASS)
    inverse = -math.log(least)
    linear = 0.5 * (1.0 - least * least)
    while True:
        if rng.random() * (inverse + linear) < inverse:
            share = math.exp(-inverse * rng.random())
        else:
            share = math.sqrt(least * least + (1.0 - least * least) * rng.random())
        lost = ELECTRON_MASS * (1.0 - share) / (energy * share)  # 1 - cos of the photon's angle
        if rng.random() < 1.0 - share * lost * (2.0 - lost) / (1.0 + share * share):
            break
    phi = 2.0 * math.pi * rng.random()
    photon = energy * share
    electron = energy - photon + ELECTRON_MASS
    cosine = 1.0 - lost
    sine = math.sqrt(max(1.0 - cosine * cosine, 0.0))
    if photon > CUTOFF:
        vx, vy, vz = turn(ux, uy, uz, sine, cosine, phi)
        n = st.push(stack, n, st.GAMMA, photon, x, y, z, t, vx, vy, vz)
    if electron > CUTOFF:
        momentum = math.sqrt(electron * electron - ELECTRON_MASS * ELECTRON_MASS)
        across = min(photon * sine / momentum, 1.0)
        vx, vy, vz = turn(ux, uy, uz, across, math.sqrt(1.0 - across * across), phi + math.pi)
        n = st.push(stack, n, st.ELECTRON, electron, x, y, z, t, vx, vy, vz)
    return n


@njit(cache=True, fastmath=True, error_model="numpy")
def follow_electron(
    site: Site, light: Light, stack: np.ndarray, n: int, rng: np.random.Generator
) -> int:
    """Follow the electron or positron on top of the stack to the cut-off or the ground.

    The photons it radiates above the cut-off are put on the stack, those below are part of the
    steady loss of energy. Its Cherenkov light is collected.

    Returns
    -------
    n : int
        Particles on the stack.
    """
    n -= 1
    row = stack[n]
    charge = 1.0 if row[st.KIND] == st.POSITRON else -1.0
    energy = row[st.ENERGY]
    x, y, z, t = row[st.X], row[st.Y], row[st.Z], row[st.T]
    ux, uy, uz = row[st.UX], row[st.UY], row[st.UZ]
    while energy > CUTOFF:
        height = z + site.observation_height
        rho = density(height)
        depth = thickness_from_density(height, rho)

        # Photons of share y of the energy: dN = (4/3 - 4/3 y + y²) / y dy / X0.
        softest = CUTOFF / energy
        rate = 4.0 / 3.0 * -math.log(softest) / RADIATION_LENGTH
        soft = energy * softest * (4.0 / 3.0 + softest * (-2.0 / 3.0 + softest / 3.0))
        loss = IONISATION + soft / RADIATION_LENGTH

        longest = min(STEP * RADIATION_LENGTH, STEP_LOSS * energy / loss, STEP_LENGTH * rho)
        grams = rng.exponential() / rate
        radiates = grams < longest
        if not radiates:
            grams = longest
        after = energy - loss * grams
        if after < CUTOFF:
            grams = (energy - CUTOFF) / loss
            after = CUTOFF
            radiates = False
        # Density at the middle of the step, to first order.
        length = grams / rho
        length /= max(1.0 - 0.5 * length * uz * rho / scale_height(height), 0.5)
        grounded = z + length * uz < 0.0
        if grounded:
            part = z / (-uz * length)
            length *= part
            grams *= part
            after = energy - loss * grams
            radiates = False

        middle = 0.5 * (energy + after)
        momentum = math.sqrt(middle * middle - ELECTRON_MASS * ELECTRON_MASS)
        beta = momentum / middle
        variance = (SCATTERING_ENERGY / (momentum * beta)) ** 2 * grams / RADIATION_LENGTH
        sigma = math.sqrt(variance)

        # Where it goes after the step: scattered and bent.
        ax = sigma * rng.standard_normal()
        ay = sigma * rng.standard_normal()
        angle = math.sqrt(ax * ax + ay * ay)
        if angle > 0.0:
            vx, vy, vz = _turn_towards(ux, uy, uz, ax / angle, ay / angle, min(angle, math.pi))
        else:
            vx, vy, vz = ux, uy, uz
        bend = charge * SPEED_OF_LIGHT * length / momentum  # per tesla, in GeV and m
        vx += bend * (uy * site.bz - uz * site.by)
        vy += bend * (uz * site.bx - ux * site.bz)
        vz += bend * (ux * site.by - uy * site.bx)

        # The way taken is the mean of the directions before and after.
        mx, my, mz = 0.5 * (ux + vx), 0.5 * (uy + vy), 0.5 * (uz + vz)
        norm = 1.0 / math.sqrt(mx * mx + my * my + mz * mz)
        mx *= norm
        my *= norm
        mz *= norm
        # Within the step the direction is a random walk: about the mean of its ends it has a
        # quarter of the step's variance.
        spread = 0.5 * sigma
        ex, ey, ez = mx, my, mz
        if spread > SMEARING:
            rest = math.sqrt(spread * spread - SMEARING * SMEARING)
            ax = rest * rng.standard_normal()
            ay = rest * rng.standard_normal()
            angle = math.sqrt(ax * ax + ay * ay)
            ex, ey, ez = _turn_towards(mx, my, mz, ax / angle, ay / angle, min(angle, math.pi))
            spread = SMEARING
        emit_scattered(light, x, y, z, t, ex, ey, ez, length, beta, spread, rng)

        x += length * mx
        y += length * my
        z += length * mz
        t += length / (beta * SPEED_OF_LIGHT)
        norm = 1.0 / math.sqrt(vx * vx + vy * vy + vz * vz)
        ux, uy, uz = vx * norm, vy * norm, vz * norm
        energy = after
        _count(site.profile, depth, depth - grams * mz)
        if grounded or z <= 0.0 or z + site.observation_height > TOP:
            return n
        if not radiates:
            continue
        share = math.exp(math.log(CUTOFF / energy) * rng.random()) if energy > CUTOFF else 1.0
        if share >= 1.0 or energy * (1.0 - share) < ELECTRON_MASS:
            continue
        rest = 1.0 - share
        phi1, phi2 = _screening(SCREENING_ENERGY * share / (energy * rest))
        accepted = (1.0 + rest * rest) * phi1 - 2.0 / 3.0 * rest * phi2
        if rng.random() * 4.0 / 3.0 < accepted:
            note_first(site, z)
            n = st.push(stack, n, st.GAMMA, energy * share, x, y, z, t, ux, uy, uz)
            energy *= rest
    return n


@njit(cache=True, fastmath=True, error_model="numpy")
def _turn_towards(
    ux: float, uy: float, uz: float, cos_phi: float, sin_phi: float, angle: float
) -> tuple[float, float, float]:
    """Turn a unit vector by an angle in the plane given by cos and sin of an azimuth."""
    sine = math.sin(angle)
    return _turn(ux, uy, uz, sine * cos_phi, sine * sin_phi, math.cos(angle))


@njit(cache=True, fastmath=True, error_model="numpy")
def _count(profile: np.ndarray, start: float, end: float) -> None:
    """Count an electron that goes from one vertical depth (g/cm²) to another."""
    first = int(math.ceil(start / PROFILE_STEP))
    last = int(math.ceil(end / PROFILE_STEP))
    for i in range(max(first, 0), min(last, profile.shape[0])):
        profile[i] += 1.0


def new_site(observation_height: float, magnetic_field: np.ndarray) -> Site:
    """Return a site without a shower yet; height in m, field (3,) in tesla."""
    north, west, up = map(float, magnetic_field)
    return Site(
        float(observation_height),
        north,
        west,
        up,
        np.zeros(PROFILE_BINS),
        np.full(1, -1.0),
    )
