"""Spectra of galaxies and stars, as broad bands see them: integrated over a grid once.

The templates of galaxies are those of kcorrect (Blanton & Roweis 2007), the bands those of the SDSS
as speclite has them (Doi et al. 2010). Dust in a galaxy follows Calzetti et al. (2000). Stars are
black bodies.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from ...errors import MissingPackageError
from ..cosmology import distance_modulus

__all__ = ["BANDS", "TEMPLATES", "Band", "Spectra", "attenuation", "band_fluxes", "bands", "star"]

BANDS = ("u", "g", "r", "i", "z")

#: Templates: a file of kcorrect, and the row in it.
TEMPLATES = {
    "starburst": ("kcorrect-default-v4.fits", 1),
    "young": ("kcorrect-default-v4.fits", 2),
    "old": ("kcorrect-default-v4.fits", 3),
    "star_forming": ("kcorrect-default-v4.fits", 4),
    "red": ("kcorrect-lrg1-v4.fits", 0),
}

#: Steps of the grids: redshift, E(B-V) in the galaxy (mag), wavelength (Angstrom).
REDSHIFT_STEP, DUST = 0.004, np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0])
WAVELENGTH_STEP = 2.0

#: Part of its largest response at which a band ends: u has a leak in the near infrared, with no
#: values between, over which nothing must be interpolated.
DARK = 1e-3

#: Planck's h c / k in Angstrom K.
RADIATION = 1.438777e8


def _packages() -> tuple[Path, ModuleType]:
    """The folder of kcorrect, and the filters of speclite."""
    try:
        # Slow to import, and for the simulation only.
        import kcorrect
        import speclite.filters
    except ImportError as error:
        raise MissingPackageError(
            "Simulated galaxies need the packages kcorrect and speclite; install them with `pip "
            "install gammalearn[surveys]`."
        ) from error
    return Path(kcorrect.KCORRECT_DIR), speclite.filters


@dataclass(frozen=True)
class Band:
    """A band: the weight of each wavelength in the flux of an AB magnitude.

    Attributes
    ----------
    wavelength : ndarray, shape (n,)
        In Angstrom.
    weight : ndarray, shape (n,)
        Its sum with a flux for each wavelength (erg / s / cm^2 / Angstrom) is the flux in units of
        that of magnitude 0.
    """

    wavelength: np.ndarray
    weight: np.ndarray


@cache
def bands() -> tuple[Band, ...]:
    """The bands of the SDSS, with the atmosphere.

    Raises
    ------
    MissingPackageError
        If speclite is not installed.
    """
    _, filters = _packages()
    found = []
    for name in BANDS:
        band = filters.load_filter(f"sdss2010-{name}")
        known, response = np.asarray(band.wavelength), np.asarray(band.response)
        dark = np.flatnonzero(response < DARK * response.max())
        peak = int(response.argmax())
        first, last = dark[dark < peak].max(), dark[dark > peak].min()
        wavelength = np.arange(known[first], known[last], WAVELENGTH_STEP)
        # Photons are counted; a flux of 3631 Jy is magnitude 0 (AB).
        photons = np.interp(wavelength, known, response) * wavelength
        zero = 3631e-23 * 2.99792458e18 / wavelength**2
        found.append(Band(wavelength, photons / (photons * zero).sum()))
    return tuple(found)


@cache
def templates() -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths (Angstrom) and spectra of the templates, shape (n_templates, n_wavelengths).

    The spectra are scaled to a flux of 1 in r, at 10 pc and a redshift of 0.

    Raises
    ------
    MissingPackageError
        If kcorrect is not installed.
    """
    from astropy.io import fits

    folder = _packages()[0] / "data" / "templates"
    spectra = []
    for name, row in TEMPLATES.values():
        with fits.open(folder / name) as file:
            values = file["FLUX"].data
            wavelength = values["wave"].ravel().astype(float)
            spectra.append(values["flux"].reshape(-1, len(wavelength))[row].astype(float))
    r = bands()[BANDS.index("r")]
    scale = [(r.weight * np.interp(r.wavelength, wavelength, one)).sum() for one in spectra]
    return wavelength, np.stack(spectra) / np.array(scale)[:, None]


def attenuation(wavelength: np.ndarray) -> np.ndarray:
    """Extinction (mag) for E(B-V) = 1 mag of the stars (Calzetti et al. 2000, eq. 4).

    Parameters
    ----------
    wavelength : ndarray
        In Angstrom.
    """
    x = 1e4 / np.clip(wavelength, 1200, 22000)
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3)
    return 4.05 + np.where(x > 1 / 0.63, blue, 2.659 * (-1.857 + 1.040 * x))


def band_fluxes(redshift: np.ndarray, dust: np.ndarray) -> np.ndarray:
    """Flux of each template at 10 pc, redshifted as kcorrect does: with its energy conserved.

    Parameters
    ----------
    redshift : ndarray, shape (n_redshifts,)
    dust : ndarray, shape (n_dust,)
        E(B-V) in the galaxy, mag.

    Returns
    -------
    ndarray, shape (n_templates, n_dust, n_redshifts, n_bands)
        In units of the flux of magnitude 0 (AB).
    """
    known, spectra = templates()
    found = np.empty((len(spectra), len(dust), len(redshift), len(BANDS)))
    for place, z in enumerate(redshift):
        for number, band in enumerate(bands()):
            rest = band.wavelength / (1 + z)
            passed = 10 ** (-0.4 * dust[:, None] * attenuation(rest)) * band.weight / (1 + z)
            seen = np.stack([np.interp(rest, known, one) for one in spectra])
            found[:, :, place, number] = seen @ passed.T
    return found


@dataclass(frozen=True)
class Spectra:
    """Fluxes of the templates on a grid.

    Attributes
    ----------
    redshift : ndarray, shape (n_redshifts,)
    flux : ndarray, shape (n_templates, n_dust, n_redshifts, n_bands)
    """

    redshift: np.ndarray
    flux: np.ndarray

    @classmethod
    def up_to(cls, redshift_max: float) -> "Spectra":
        """A grid to the largest redshift."""
        redshift = np.linspace(0, redshift_max, int(redshift_max / REDSHIFT_STEP) + 2)
        return cls(redshift, band_fluxes(redshift, DUST))

    def of(
        self, shares: np.ndarray, dust: np.ndarray, redshift: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray:
        """Fluxes of galaxies that are sums of templates.

        Parameters
        ----------
        shares : ndarray, shape (n, n_templates)
            Parts of the light in r at rest, without dust.
        dust : ndarray, shape (n,)
            E(B-V) in the galaxy, mag.
        redshift, magnitude : ndarray, shape (n,)
            The absolute magnitude is that in r at rest, without dust.

        Returns
        -------
        ndarray, shape (n, n_bands)
            In units of the flux of magnitude 0 (AB).
        """
        step = np.interp(dust, DUST, np.arange(len(DUST)))
        place = np.interp(redshift, self.redshift, np.arange(len(self.redshift)))
        flux = np.zeros((len(redshift), len(BANDS)))
        for d in (0, 1):
            of_dust = np.minimum(step.astype(int) + d, len(DUST) - 1)
            for z in (0, 1):
                of_redshift = np.minimum(place.astype(int) + z, len(self.redshift) - 1)
                part = np.abs(1 - d - step % 1) * np.abs(1 - z - place % 1)
                grid = self.flux[:, of_dust, of_redshift]
                flux += part[:, None] * np.einsum("nt,tnb->nb", shares, grid)
        return flux * 10 ** (-0.4 * (magnitude + distance_modulus(redshift)))[:, None]


def star(temperature: np.ndarray) -> np.ndarray:
    """Fluxes of black bodies relative to that in r, shape (n, n_bands).

    Parameters
    ----------
    temperature : ndarray, shape (n,)
        In K.
    """
    found = np.empty((len(temperature), len(BANDS)))
    for number, band in enumerate(bands()):
        angstrom = band.wavelength
        planck = angstrom**-5.0 / np.expm1(
            RADIATION / (angstrom * np.asarray(temperature)[:, None])
        )
        found[:, number] = planck @ band.weight
    return found / found[:, [BANDS.index("r")]]
