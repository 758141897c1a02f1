"""Lensing: deflection by a singular isothermal ellipsoid in an external shear.

Kormann, Schneider & Bartelmann (1994). Angles on the sky are in arcsec.
"""

from dataclasses import dataclass

import numpy as np

from ...cosmology import comoving_distance

__all__ = ["Deflector", "einstein_radius"]

#: Speed of light in km / s, and arcsec in a radian.
LIGHT, ARCSEC = 299792.458, 180 * 3600 / np.pi

#: Axis ratio above which an ellipsoid is taken for this one: that of a sphere divides 0 by 0.
ROUNDEST = 1 - 1e-6


def einstein_radius(dispersion: np.ndarray, lens: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Einstein radius of an isothermal lens: 4 pi (sigma / c)^2 D_ls / D_s, in arcsec.

    Parameters
    ----------
    dispersion : ndarray, shape (n,)
        Of the velocities of its stars, in km / s.
    lens, source : ndarray, shape (n,)
        Redshifts; 0 for sources that are no farther than the lens.
    """
    near, far = comoving_distance(lens), comoving_distance(source)
    # In flat space, comoving distances are subtracted.
    behind = np.clip(1 - near / far, 0, None)
    return 4 * np.pi * (np.asarray(dispersion) / LIGHT) ** 2 * behind * ARCSEC


@dataclass(frozen=True)
class Deflector:
    """A lens in the middle.

    Attributes
    ----------
    einstein_radius : float
        That of the circle with the area within the critical curve, in arcsec.
    axis_ratio : float
        Of the surface density, above 0 to 1.
    angle : float
        Of the long axis, in rad from the columns.
    shear : tuple of float
        Both components of the external shear.
    """

    einstein_radius: float
    axis_ratio: float
    angle: float
    shear: tuple[float, float] = (0.0, 0.0)

    def deflection(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Deflection of light from a direction (Kormann et al. 1994, eq. 27a), and by the shear.

        Parameters
        ----------
        x, y : ndarray
            Columns and rows from the middle, in arcsec.
        """
        f = min(self.axis_ratio, ROUNDEST)
        rest = np.sqrt(1 - f**2)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        # The first axis of the paper is the short one.
        long, short = cos * x + sin * y, cos * y - sin * x
        distance = np.maximum(np.hypot(x, y), 1e-12)
        scale = self.einstein_radius * np.sqrt(f) / rest
        by_short = scale * np.arcsinh(rest / f * short / distance)
        by_long = scale * np.arcsin(np.clip(rest * long / distance, -1, 1))
        first, second = self.shear
        return (
            cos * by_long - sin * by_short + first * x + second * y,
            sin * by_long + cos * by_short + second * x - first * y,
        )

    def source_of(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where light that is seen in a direction comes from, in arcsec."""
        by_x, by_y = self.deflection(x, y)
        return x - by_x, y - by_y
