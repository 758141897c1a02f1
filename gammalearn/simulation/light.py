"""Cherenkov light of a piece of track, straight to the telescopes it can hit.

Light is counted in photoelectrons: a piece of track gives a telescope a Poisson number of them
about its expectation, in which the spectrum of Cherenkov light, the transmission of the air and
the efficiency of the telescope are folded once, at each height of emission. Nothing is followed
that misses the mirrors. Each photoelectron has its own point of emission on the track and point
of arrival on the mirror, hence its own direction and time.

Two functions share the work. :func:`emit_scattered` is for electrons, whose direction wanders
within a piece of track by more than a mirror subtends: the cone of light is smeared by that
wandering. :func:`emit` is for muons and hadrons, which are straight, and may pass so close that
the mirror cuts a large part out of the cone: rings and arcs come out exactly.
"""

import math
from collections import namedtuple

import numpy as np
from numba import njit

from .atmosphere import density, refractivity, thickness_from_density

__all__ = ["HEIGHT_STEP", "N_HEIGHTS", "SPEED_OF_LIGHT", "Light", "emit", "emit_scattered"]

#: Speed of light in vacuum (m/ns).
SPEED_OF_LIGHT = 0.299792458

#: Step of the tables against height (m), and their length: up to 60 km.
HEIGHT_STEP = 100.0
N_HEIGHTS = 601

#: Electrons at odd angles send light far from their direction; beyond so many standard
#: deviations of the smeared cone nothing is expected.
REACH = 3.0

#: Where light may go and what has arrived, for compiled code.
#:
#: Of mirrors (n,): x, y, z their centres (m), radius (m), kind the row in the tables. Of kinds
#: of telescopes: yields (n_kinds, n_heights) photoelectrons per metre of track and sin² of the
#: Cherenkov angle; psf (n_kinds, 2) the standard deviation of the point spread (rad) on axis and
#: its growth per rad off axis; delay (n_kinds,) ns per m² of the mirror radius squared; half
#: (n_kinds,) the half-width (rad) of the pixel map, pixels (n_kinds, n, n) that map: the pixel
#: at an offset (lat, lon), or -1. axes (3, 3): unit vectors of growing altitude, of growing
#: azimuth and of the pointing. observation_height: of z = 0, m above sea level; crossed: g/cm²
#: above it. weight: photoelectrons that each entry stands for. Arrived: mirror, pixel, time (ns),
#: all (capacity,), count (1,) how many there are, and total (n,) photoelectrons of each mirror,
#: those beside the camera included. More than fit are counted and not kept. wait (1,): what is
#: still to be expected before the next photoelectron.
Light = namedtuple(
    "Light",
    "x y z radius kind yields psf delay half pixels axes observation_height crossed weight "
    "mirror pixel time count total wait",
)


@njit(cache=True, fastmath=True, error_model="numpy", inline="always")
def yield_at(light: Light, kind: int, height: float) -> float:
    """Photoelectrons per metre and sin²(angle) of emission at a height, interpolated."""
    position = height / HEIGHT_STEP
    i = min(int(position), light.yields.shape[1] - 2)
    part = position - i
    return light.yields[kind, i] * (1.0 - part) + light.yields[kind, i + 1] * part


@njit(cache=True, fastmath=True, error_model="numpy")
def _scaled_bessel_i0(x: float) -> float:
    """exp(-x) I0(x) for x >= 0; Abramowitz and Stegun 9.8.1 and 9.8.2, to 1e-5."""
    if x < 3.75:
        t = (x / 3.75) ** 2
        i0 = 1.0 + t * (
            3.5156229
            + t * (3.0899424 + t * (1.2067492 + t * (0.2659732 + t * (0.0360768 + t * 0.0045813))))
        )
        return i0 * math.exp(-x)
    t = 3.75 / x
    return (0.39894228 + t * (0.01328592 + t * (0.00225319 - t * 0.00157565))) / math.sqrt(x)


@njit(cache=True, fastmath=True, error_model="numpy", inline="always")
def _count(light: Light, expected: float, rng: np.random.Generator) -> int:
    """A Poisson number of the expectation.

    All expectations of a shower are laid end to end, and photoelectrons lie on that line as
    a Poisson process: random numbers are drawn only for those that there are, not for each of
    the many mirrors that expect a thousandth of one.
    """
    left = light.wait[0] - expected
    n = 0
    while left < 0.0:
        n += 1
        left += rng.exponential()
    light.wait[0] = left
    return n


@njit(cache=True, fastmath=True, error_model="numpy", inline="always")
def _arrive(
    light: Light,
    i: int,
    hit_x: float,
    hit_y: float,
    px: float,
    py: float,
    pz: float,
    time: float,
    crossed: float,
    rng: np.random.Generator,
) -> None:
    """One photoelectron of light from (px, py, pz) that hits mirror i at (hit_x, hit_y).

    hit_x and hit_y (m) are along the axes of growing altitude and azimuth.
    """
    axes = light.axes
    # From the mirror towards the point of emission.
    dx = px - light.x[i] - hit_x * axes[0, 0] - hit_y * axes[1, 0]
    dy = py - light.y[i] - hit_x * axes[0, 1] - hit_y * axes[1, 1]
    dz = pz - light.z[i] - hit_x * axes[0, 2] - hit_y * axes[1, 2]
    distance = math.sqrt(dx * dx + dy * dy + dz * dz)
    dx /= distance
    dy /= distance
    dz /= distance
    light.total[i] += light.weight
    forward = dx * axes[2, 0] + dy * axes[2, 1] + dz * axes[2, 2]
    if forward < 0.9:  # 25 degrees off axis, far beyond any camera
        return
    lat = dx * axes[0, 0] + dy * axes[0, 1] + dz * axes[0, 2]
    lon = dx * axes[1, 0] + dy * axes[1, 1] + dz * axes[1, 2]
    # A mirror brings a plane wave to its focus at one time: what counts is when the wave passes
    # the mirror's centre. The delay of mirrors that do not keep to this comes on top.
    path = distance + hit_x * lat + hit_y * lon
    # Light is late by the refractivity of the air on its way, which goes as the mass crossed.
    path += refractivity(crossed) / max(dz, 0.1)
    time += path / SPEED_OF_LIGHT

    kind = light.kind[i]
    time += light.delay[kind] * (hit_x * hit_x + hit_y * hit_y)
    lat /= forward
    lon /= forward
    off_axis = light.psf[kind, 1]
    spread = math.sqrt(light.psf[kind, 0] ** 2 + off_axis * off_axis * (lat * lat + lon * lon))
    lat += spread * rng.standard_normal()
    lon += spread * rng.standard_normal()
    half = light.half[kind]
    side = light.pixels.shape[1]
    row = int(math.floor((lat + half) / (2.0 * half) * side))
    column = int(math.floor((lon + half) / (2.0 * half) * side))
    if row < 0 or row >= side or column < 0 or column >= side:
        return
    pixel = light.pixels[kind, row, column]
    if pixel < 0:
        return
    n = light.count[0]
    light.count[0] = n + 1
    if n < light.mirror.shape[0]:
        light.mirror[n] = i
        light.pixel[n] = pixel
        light.time[n] = time


@njit(cache=True, fastmath=True, error_model="numpy")
def emit_scattered(
    light: Light,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
    length: float,
    beta: float,
    spread: float,
    rng: np.random.Generator,
) -> None:
    """Light of a piece of track whose direction has a Gaussian spread.

    The photons' angle to the mean direction follows a ring at the Cherenkov angle convolved with
    a two-dimensional Gaussian: p(a) = exp[-(a² + c²) / 2s²] I0(a c / s²) / (2π s²) per solid
    angle, where s² adds the mirror's own extent to the spread.

    Parameters
    ----------
    light : Light
    x, y, z, t : float
        Where and when the piece begins (m, ns).
    ux, uy, uz : float
        Mean direction.
    length : float
        In m.
    beta : float
        Speed.
    spread : float
        Standard deviation of the direction about its mean, in each of two planes (rad).
    rng : numpy.random.Generator
    """
    half = 0.5 * length
    mx, my, mz = x + half * ux, y + half * uy, z + half * uz
    height = mz + light.observation_height
    if height < 0.0:
        return
    rho = density(height)
    cosine = 1.0 / ((1.0 + refractivity(rho)) * beta)
    sin2 = 1.0 - cosine * cosine
    if sin2 <= 0.0:
        return
    angle = math.sqrt(sin2)
    reach = REACH * spread
    nearest = angle - reach
    farthest = angle + reach
    crossed = -1.0
    kind = -1
    brightness = 0.0
    for i in range(light.x.shape[0]):
        dx = light.x[i] - mx
        dy = light.y[i] - my
        dz = light.z[i] - mz
        along = dx * ux + dy * uy + dz * uz
        if along <= 0.0:
            continue
        # Squared distance of the mirror from the track's line.
        across2 = dx * dx + dy * dy + dz * dz - along * along
        margin = 0.5 * REACH * light.radius[i]
        outer = farthest * along + margin
        if across2 > outer * outer:
            continue
        inner = nearest * along - margin
        if inner > 0.0 and across2 < inner * inner:
            continue
        distance2 = across2 + along * along
        radius2 = light.radius[i] * light.radius[i]
        # A disc of radius R seen from D is R / 2D wide (standard deviation) in each plane.
        variance = spread * spread + 0.25 * radius2 / distance2
        offset = math.sqrt(max(across2, 0.0)) / along
        density_of_light = (
            math.exp(-((offset - angle) ** 2) / (2.0 * variance))
            * _scaled_bessel_i0(offset * angle / variance)
            / (2.0 * math.pi * variance)
        )
        share = min(density_of_light * math.pi * radius2 / distance2, 1.0)
        if light.kind[i] != kind:
            kind = light.kind[i]
            brightness = yield_at(light, kind, height) * sin2 * length / light.weight
        for _ in range(_count(light, brightness * share, rng)):
            if crossed < 0.0:
                crossed = light.crossed - thickness_from_density(height, rho)
            s = length * rng.random()
            hit_x = hit_y = 1.0
            while hit_x * hit_x + hit_y * hit_y > 1.0:
                hit_x = 2.0 * rng.random() - 1.0
                hit_y = 2.0 * rng.random() - 1.0
            _arrive(
                light,
                i,
                light.radius[i] * hit_x,
                light.radius[i] * hit_y,
                x + s * ux,
                y + s * uy,
                z + s * uz,
                t + s / (beta * SPEED_OF_LIGHT),
                crossed,
                rng,
            )


@njit(cache=True, fastmath=True, error_model="numpy")
def emit(
    light: Light,
    x: float,
    y: float,
    z: float,
    t: float,
    ux: float,
    uy: float,
    uz: float,
    length: float,
    beta: float,
    rng: np.random.Generator,
) -> None:
    """Light of a straight piece of track, with the exact geometry of cone and mirror.

    Parameters
    ----------
    light : Light
    x, y, z, t : float
        Where and when the piece begins (m, ns).
    ux, uy, uz : float
        Direction.
    length : float
        In m; short enough that density and speed are constant.
    beta : float
        Speed.
    rng : numpy.random.Generator
    """
    height = z + 0.5 * length * uz + light.observation_height
    if height < 0.0:
        return
    rho = density(height)
    cosine = 1.0 / ((1.0 + refractivity(rho)) * beta)
    sin2 = 1.0 - cosine * cosine
    if sin2 <= 0.0:
        return
    sine = math.sqrt(sin2)
    tangent = sine / cosine
    crossed = light.crossed - thickness_from_density(height, rho)
    px, py, pz = light.axes[2]
    # How far the mirror's plane leans out of the plane across the track: it moves the mirror's
    # edge along the track.
    cos_tilt = abs(ux * px + uy * py + uz * pz)
    if cos_tilt < 0.5:
        return  # light from so far aside is outside every camera
    tilt = math.sqrt(max(1.0 - cos_tilt * cos_tilt, 0.0)) / cos_tilt
    for i in range(light.x.shape[0]):
        dx = light.x[i] - x
        dy = light.y[i] - y
        dz = light.z[i] - z
        along = dx * ux + dy * uy + dz * uz
        if along <= 0.0:
            continue
        ax = dx - along * ux
        ay = dy - along * uy
        az = dz - along * uz
        across = math.sqrt(ax * ax + ay * ay + az * az)
        radius = light.radius[i]
        # The pieces of the track from which the cone's edge can reach the mirror's disc.
        reach = radius * (1.0 + tilt * tangent)
        first = along - (across + reach) / tangent
        last = along - (across - reach) / tangent
        first = max(first, 0.0)
        last = min(last, length)
        if last <= first:
            continue
        if across > reach:
            window = math.asin(reach / across)
            ax /= across
            ay /= across
            az /= across
        else:
            window = math.pi
            ax, ay, az = _perpendicular(ux, uy, uz)
        bx = uy * az - uz * ay
        by = uz * ax - ux * az
        bz = ux * ay - uy * ax
        expected = yield_at(light, light.kind[i], height) * sin2 * (last - first) * window / math.pi
        for _ in range(_count(light, expected / light.weight, rng)):
            s = first + (last - first) * rng.random()
            phi = window * (2.0 * rng.random() - 1.0)
            c = sine * math.cos(phi)
            d = sine * math.sin(phi)
            vx = cosine * ux + c * ax + d * bx
            vy = cosine * uy + c * ay + d * by
            vz = cosine * uz + c * az + d * bz
            ex, ey, ez = x + s * ux, y + s * uy, z + s * uz
            # Where the photon crosses the plane of the mirror.
            gx, gy, gz = light.x[i] - ex, light.y[i] - ey, light.z[i] - ez
            path = (gx * px + gy * py + gz * pz) / (vx * px + vy * py + vz * pz)
            if path <= 0.0:
                continue
            gx = path * vx - gx
            gy = path * vy - gy
            gz = path * vz - gz
            hit_x = gx * light.axes[0, 0] + gy * light.axes[0, 1] + gz * light.axes[0, 2]
            hit_y = gx * light.axes[1, 0] + gy * light.axes[1, 1] + gz * light.axes[1, 2]
            if hit_x * hit_x + hit_y * hit_y > radius * radius:
                continue
            _arrive(
                light, i, hit_x, hit_y, ex, ey, ez, t + s / (beta * SPEED_OF_LIGHT), crossed, rng
            )


@njit(cache=True, fastmath=True, error_model="numpy")
def _perpendicular(ux: float, uy: float, uz: float) -> tuple[float, float, float]:
    """Some unit vector across a unit vector."""
    if abs(uz) < 0.9:
        norm = math.sqrt(ux * ux + uy * uy)
        return -uy / norm, ux / norm, 0.0
    norm = math.sqrt(uy * uy + uz * uz)
    return 0.0, -uz / norm, uy / norm
