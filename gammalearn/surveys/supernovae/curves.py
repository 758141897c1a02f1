"""Light curves as the network sees them: nights with a flux for each band that was observed."""

from dataclasses import dataclass, replace

import numpy as np

from ..catalogue import WAVELENGTH, ZERO_POINT, Catalogue
from ..cosmology import distance_modulus

__all__ = [
    "CONTEXT",
    "EXTINCTION",
    "Curve",
    "Nights",
    "curve_of",
    "into_nights",
    "wavelengths",
]

#: Extinction (mag) for E(B-V) = 1 mag (Schlafly & Finkbeiner 2011, table 6, R_V = 3.1).
EXTINCTION = {"u": 4.145, "g": 3.237, "r": 2.273, "i": 1.684, "z": 1.323, "y": 1.088}

#: Observations of less time (d) between them are of one night.
NIGHT = 0.5

#: Least flux that light curves are scaled by, a magnitude of 27.5.
FAINTEST = 1.0

#: What is said of a whole light curve.
CONTEXT = (
    "host_redshift", "host_redshift_error", "has_redshift", "log_flux", "brightness",
    "signal_to_noise",
)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """The observations of one object, without the extinction of the Milky Way.

    Attributes
    ----------
    time : ndarray, shape (n_observations,)
        In d, ascending.
    band : ndarray of int, shape (n_observations,)
    flux, error : ndarray, shape (n_observations,)
    redshift, redshift_error : float
        Of the host galaxy, NaN where it is not known.
    """

    time: np.ndarray
    band: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    redshift: float = np.nan
    redshift_error: float = np.nan

    @property
    def brightest(self) -> int:
        """The observation with the largest signal to noise."""
        return int(np.argmax(self.flux / self.error))

    def without_redshift(self) -> "Curve":
        """The same, where the host galaxy is not known."""
        return replace(self, redshift=np.nan, redshift_error=np.nan)


@dataclass(frozen=True)
class Nights:
    """A light curve by nights, in units of its largest flux.

    Attributes
    ----------
    time : ndarray of float32, shape (n_nights,)
        In d from the night with the largest signal to noise.
    flux, error : ndarray of float32, shape (n_nights, n_bands)
        Where a band was not observed, 0 and 1.
    observed : ndarray of bool, shape (n_nights, n_bands)
    context : ndarray of float32, shape (len(CONTEXT),)
    """

    time: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    observed: np.ndarray
    context: np.ndarray


def wavelengths(bands: tuple[str, ...]) -> np.ndarray:
    """Effective wavelengths (nm); of bands that are not known, those between their neighbours."""
    known = np.array([WAVELENGTH.get(band, np.nan) for band in bands])
    number = np.arange(len(bands))
    good = np.isfinite(known)
    return np.interp(number, number[good], known[good]) if good.any() else 500.0 + 100.0 * number


def curve_of(catalogue: Catalogue, row: int) -> Curve:
    """The light curve of an object, without the extinction of the Milky Way."""
    part = slice(catalogue.start[row], catalogue.start[row + 1])
    band = catalogue.band[part]
    absorbed = np.array([EXTINCTION.get(name, 0.0) for name in catalogue.bands])
    dust = float(catalogue.objects["ebv"][row])
    factor = 10 ** (0.4 * absorbed * (dust if np.isfinite(dust) else 0.0))[band]
    redshift = float(catalogue.objects["host_redshift"][row])
    error = float(catalogue.objects["host_redshift_error"][row])
    return Curve(
        catalogue.time[part],
        band,
        catalogue.flux[part] * factor,
        catalogue.flux_error[part] * factor,
        redshift,
        error if np.isfinite(error) else 0.05,
    )


def into_nights(curve: Curve, n_bands: int) -> Nights:
    """A light curve by nights; observations of a band in one night are averaged.

    Parameters
    ----------
    curve : Curve
        Of one observation at least.
    n_bands : int
    """
    night = np.concatenate([[0], np.cumsum(np.diff(curve.time) > NIGHT)])
    n_nights = int(night[-1]) + 1
    place = night * n_bands + curve.band
    weight = 1 / curve.error.astype(float) ** 2
    total = np.bincount(place, weight, n_nights * n_bands)
    observed = total > 0
    mean = np.bincount(place, weight * curve.flux, n_nights * n_bands)
    flux = np.where(observed, mean / np.where(observed, total, 1.0), 0.0)
    error = np.ones_like(flux)
    error[observed] = total[observed] ** -0.5
    significance = np.where(observed, flux / error, -np.inf)
    # Noise must not make the scale of a faint object.
    credible = observed & (significance > 3)
    scale = max(flux[credible].max() if credible.any() else flux.max(), FAINTEST)
    time = np.bincount(night, curve.time) / np.bincount(night)
    best = int(significance.argmax())
    shape = n_nights, n_bands
    return Nights(
        (time - time[best // n_bands]).astype(np.float32),
        (flux / scale).astype(np.float32).reshape(shape),
        np.where(observed, error / scale, 1).astype(np.float32).reshape(shape),
        observed.reshape(shape),
        _context(curve, scale, float(significance[best])),
    )


def _context(curve: Curve, scale: float, significance: float) -> np.ndarray:
    is_known = np.isfinite(curve.redshift) and curve.redshift > 0
    redshift = curve.redshift if is_known else 0.0
    brightness = 0.0
    if is_known:
        magnitude = ZERO_POINT - 2.5 * np.log10(scale) - float(distance_modulus(redshift))
        # About 0 for a type Ia, and 1 for a magnitude.
        brightness = np.clip(magnitude + 19.0, -6, 6)
    return np.array(
        [
            redshift,
            curve.redshift_error if is_known else 0.0,
            is_known,
            np.log10(scale) - 2,
            brightness,
            np.arcsinh(significance) - 3,
        ],
        dtype=np.float32,
    )
