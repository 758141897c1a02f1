"""Versions of a light curve: the same supernova at another redshift, seen as another object was.

Spectra are taken of bright objects, so that the types of faint and distant ones are to be learned
from near ones. A Gaussian process in time and wavelength (as Boone 2019 has it) gives the light
curve between the observations; there it is moved to another redshift, and observed at the epochs
and with the noise of another object.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ..cosmology import distance_modulus
from .curves import Curve

__all__ = ["TRIALS", "SmoothCurve", "redshifted", "within_reach"]

#: Scales of the Gaussian process: rest-frame time (d) and wavelength (nm).
TIME_SCALE, WAVELENGTH_SCALE = 20.0, 400.0

#: The noise that is known of no observation is above this part of the largest flux.
SYSTEMATIC = 0.02

#: Largest factor by which wavelengths are stretched or squeezed: beyond it the light curve is not
#: known in the bands of the observer.
MOST_STRETCHED, MOST_SQUEEZED = 1.4, 0.95

#: Time (d) beyond the observations for which the process is believed.
BEYOND = 15.0

#: Times that other epochs are tried, and what a version must have to be detected: observations of
#: a signal to noise.
TRIALS, DETECTIONS, DETECTED = 4, 2, 5.0


def _matern(distance: np.ndarray) -> np.ndarray:
    """Matern's covariance with nu = 3/2."""
    scaled = np.sqrt(3.0) * np.abs(distance)
    return (1 + scaled) * np.exp(-scaled)


def within_reach(redshift: float) -> tuple[float, float]:
    """Least and largest redshift at which a light curve is known in the bands of the observer."""
    return MOST_SQUEEZED * (1 + redshift) - 1, MOST_STRETCHED * (1 + redshift) - 1


@dataclass(frozen=True)
class SmoothCurve:
    """A light curve between its observations: the mean of a Gaussian process.

    Attributes
    ----------
    time, wavelength : ndarray, shape (n_observations,)
        In d and nm, as observed.
    solved : ndarray, shape (n_observations,)
    redshift : float
    peak : float
        Time (d) of the largest signal to noise.
    """

    time: np.ndarray
    wavelength: np.ndarray
    solved: np.ndarray
    redshift: float
    peak: float

    @classmethod
    def of(cls, curve: Curve, wavelength: np.ndarray, redshift: float) -> "SmoothCurve":
        """The process that has seen a light curve.

        Parameters
        ----------
        curve : Curve
        wavelength : ndarray, shape (n_bands,)
            In nm.
        redshift : float
        """
        seen = wavelength[curve.band]
        size = max(float(curve.flux.max()), 1e-3)
        unsolved = cls(curve.time, seen, np.empty(0), redshift, curve.time[curve.brightest])
        covariance = unsolved._covariance(curve.time, seen)
        noise = (curve.error / size).astype(float) ** 2 + SYSTEMATIC**2
        covariance[np.diag_indices(len(covariance))] += noise
        solved = cho_solve(cho_factor(covariance), curve.flux / size) * size
        return cls(curve.time, seen, solved, redshift, unsolved.peak)

    def _covariance(self, time: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        stretch = 1 + self.redshift
        apart = (time[:, None] - self.time) / (TIME_SCALE * stretch)
        return _matern(apart) * _matern(
            (wavelength[:, None] - self.wavelength) / (WAVELENGTH_SCALE * stretch)
        )

    def at(self, time: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """Flux at some times (d) and wavelengths (nm)."""
        return self._covariance(time, wavelength) @ self.solved


def redshifted(
    smooth: SmoothCurve,
    donors: Iterable[Curve],
    wavelength: np.ndarray,
    rng: np.random.Generator,
) -> Curve | None:
    """A version at another redshift, None where none would be detected.

    Parameters
    ----------
    smooth : SmoothCurve
        Of an object with known redshift.
    donors : iterable of Curve
        Objects whose redshift, epochs and noise it may have; they are tried in turn. Their redshift
        is `within_reach`.
    wavelength : ndarray, shape (n_bands,)
    rng : numpy.random.Generator
    """
    for donor in donors:
        stretch = (1 + donor.redshift) / (1 + smooth.redshift)
        version = _observed(smooth, donor, donor.redshift, stretch, wavelength, rng)
        if (version.flux / version.error > DETECTED).sum() >= DETECTIONS:
            return version
    return None


def _observed(
    smooth: SmoothCurve,
    donor: Curve,
    redshift: float,
    stretch: float,
    wavelength: np.ndarray,
    rng: np.random.Generator,
) -> Curve:
    """The light curve at a redshift, at the epochs of a donor and with its noise."""
    shift = rng.normal(0, 3)
    time = smooth.peak + (donor.time - donor.time[donor.brightest] + shift) / stretch
    kept = (time > smooth.time[0] - 2 * BEYOND) & (time < smooth.time[-1] + BEYOND)
    moduli = distance_modulus(np.array([smooth.redshift, redshift]))
    # A flux for each frequency is squeezed into fewer of them.
    factor = 10 ** (0.4 * (moduli[0] - moduli[1])) * stretch
    flux = factor * smooth.at(time[kept], wavelength[donor.band[kept]] / stretch)
    error = np.hypot(donor.error[kept], SYSTEMATIC * flux)
    photometric = donor.redshift_error if np.isfinite(donor.redshift_error) else 0.05
    return Curve(
        donor.time[kept],
        donor.band[kept],
        flux + rng.normal(0, 1, len(flux)) * error,
        error,
        max(redshift + rng.normal(0, photometric), 0.005),
        photometric,
    )
