"""The air: density, thickness, refraction and transmission against height.

The profile is CORSIKA's atmosphere 1, the U.S. standard atmosphere parametrised by J. Linsley:
the mass above a height h is X(h) = a + b exp(-h / c) in four layers, and linear above 100 km.
Heights are in metres above sea level, thicknesses in g/cm², densities in g/cm² per metre, which
is what a metre of track adds to the thickness it has crossed.
"""

import math

import numpy as np
from numba import njit

__all__ = [
    "density",
    "height_at",
    "refractivity",
    "scale_height",
    "thickness",
    "transmission",
]

#: Lower edges of the layers (m) and their parameters a, b (g/cm²) and c (m); CORSIKA's guide.
LAYER_HEIGHT = np.array([0.0, 4_000.0, 10_000.0, 40_000.0])
LAYER_A = np.array([-186.5553, -94.919, 0.61289, 0.0])
LAYER_B = np.array([1222.6562, 1144.9069, 1305.5948, 540.1778])
LAYER_C = np.array([9_941.86, 8_781.54, 6_361.43, 7_721.70])

#: Mass above each layer's lower edge (g/cm²). Just below an edge it is up to 1.1e-3 off: the
#: published parameters join no better.
LAYER_THICKNESS = LAYER_A + LAYER_B * np.exp(-LAYER_HEIGHT / LAYER_C)

#: Where the exponential layers end; the last 0.00128 g/cm² above count as nothing.
TOP = 100_000.0

#: Refractive index minus one at sea level, and the density there, to which it is proportional.
REFRACTIVITY_AT_SEA_LEVEL = 2.83e-4
DENSITY_AT_SEA_LEVEL = LAYER_B[0] / LAYER_C[0]

#: Rayleigh scattering length at 350 nm (g/cm²); it grows with the fourth power of wavelength.
RAYLEIGH_THICKNESS = 1645.0
RAYLEIGH_WAVELENGTH = 350.0

#: Aerosols of a clear site: vertical optical depth above sea level at 400 nm, its exponent in
#: wavelength and its scale height (m). Representative of a good night at 2 km, after MODTRAN's
#: desert and navy maritime models in use for La Palma.
AEROSOL_DEPTH, AEROSOL_WAVELENGTH, AEROSOL_EXPONENT, AEROSOL_SCALE = 0.11, 400.0, 1.2, 1_200.0

#: Ozone ends the spectrum below 300 nm: vertical optical depth at 290 nm of the ozone in the
#: troposphere, and the wavelength in which its Hartley band falls by e (nm).
OZONE_DEPTH, OZONE_WAVELENGTH, OZONE_FALL = 0.35, 290.0, 6.5
OZONE_SCALE = 12_000.0


@njit(cache=True, fastmath=True, error_model="numpy")
def _layer(height: float) -> int:
    if height < 10_000.0:
        return 0 if height < 4_000.0 else 1
    return 2 if height < 40_000.0 else 3


@njit(cache=True, fastmath=True, error_model="numpy")
def scale_height(height: float) -> float:
    """Return the way (m) over which the air at a height (m) gets thinner by e."""
    return LAYER_C[_layer(height)]


@njit(cache=True, fastmath=True, error_model="numpy")
def thickness(height: float) -> float:
    """Return the mass of air above a height (m), in g/cm²."""
    if height >= TOP:
        return 0.0
    i = _layer(height)
    return LAYER_A[i] + LAYER_B[i] * math.exp(-height / LAYER_C[i])


@njit(cache=True, fastmath=True, error_model="numpy")
def density(height: float) -> float:
    """Return the density at a height (m), in g/cm² per metre."""
    i = _layer(height)
    return LAYER_B[i] / LAYER_C[i] * math.exp(-height / LAYER_C[i])


@njit(cache=True, fastmath=True, error_model="numpy")
def thickness_from_density(height: float, density: float) -> float:
    """Return the mass above a height (m) of which the density is known already."""
    i = _layer(height)
    return LAYER_A[i] + LAYER_C[i] * density


@njit(cache=True, fastmath=True, error_model="numpy")
def height_at(thickness: float) -> float:
    """Return the height (m) with so much mass (g/cm²) above it; below zero underground."""
    if thickness > LAYER_THICKNESS[1]:
        i = 0
    elif thickness > LAYER_THICKNESS[2]:
        i = 1
    elif thickness > LAYER_THICKNESS[3]:
        i = 2
    elif thickness > 1.28292e-3:  # at 100 km
        i = 3
    else:
        return TOP
    return -LAYER_C[i] * math.log((thickness - LAYER_A[i]) / LAYER_B[i])


@njit(cache=True, fastmath=True, error_model="numpy")
def refractivity(density: float) -> float:
    """Return n - 1 of air of a density (g/cm² per metre)."""
    return REFRACTIVITY_AT_SEA_LEVEL / DENSITY_AT_SEA_LEVEL * density


def transmission(
    wavelength: np.ndarray,
    height: np.ndarray,
    observation_height: float,
    zenith: float = 0.0,
) -> np.ndarray:
    """Return the fraction of light that reaches the observer.

    Rayleigh scattering (PHYSICS: exp[-(ΔX / 1645 g/cm²) (350 nm / λ)⁴]), aerosols and ozone.

    Parameters
    ----------
    wavelength : ndarray (n_wavelengths,)
        In nm.
    height : ndarray (n_heights,)
        Of emission, m above sea level.
    observation_height : float
        In m above sea level.
    zenith : float
        Angle of the line of sight, in rad; the air mass is its secant.

    Returns
    -------
    ndarray (n_heights, n_wavelengths)
    """
    wavelength = np.asarray(wavelength, dtype=float)
    height = np.atleast_1d(np.asarray(height, dtype=float))[:, np.newaxis]
    height = np.maximum(height, observation_height)
    crossed = np.array([[thickness(observation_height) - thickness(h)] for h in height[:, 0]])
    depth = crossed / RAYLEIGH_THICKNESS * (RAYLEIGH_WAVELENGTH / wavelength) ** 4

    def column(scale: float) -> np.ndarray:
        """Share of an exponential component's whole column between observer and emission."""
        return np.exp(-observation_height / scale) - np.exp(-height / scale)

    depth = depth + (
        AEROSOL_DEPTH
        * (AEROSOL_WAVELENGTH / wavelength) ** AEROSOL_EXPONENT
        * column(AEROSOL_SCALE)
    )
    depth = depth + OZONE_DEPTH * np.exp((OZONE_WAVELENGTH - wavelength) / OZONE_FALL) * column(
        OZONE_SCALE
    )
    return np.exp(-depth / np.cos(zenith))
