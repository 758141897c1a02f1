"""Spectra of what is observed: of sources, and of the cosmic rays that come from everywhere.

Fluxes are those of pyirf where it has them, so that an observation has the background that
instrument response functions expect.
"""

from collections.abc import Callable

import astropy.units as u
import numpy as np
from pyirf.spectral import (
    CRAB_HEGRA,
    CRAB_MAGIC_JHEAP2015,
    DIFFUSE_FLUX_UNIT,
    IRFDOC_ELECTRON_SPECTRUM,
    IRFDOC_PROTON_SPECTRUM,
    POINT_SOURCE_FLUX_UNIT,
    LogParabola,
    PowerLaw,
)

from ..settings import SourceSettings, SpectrumSettings

__all__ = ["COSMIC_RAYS", "CRAB", "EnergyDistribution", "source_flux"]

#: A differential flux (Quantity) as a function of the energy (Quantity).
Flux = Callable[[u.Quantity], u.Quantity]

#: The Crab Nebula by the name of the experiment: HEGRA, Aharonian et al. 2004, ApJ 614, 897; MAGIC,
#: Aleksić et al. 2015, JHEAp 5, 30.
CRAB: dict[str, Flux] = {"hegra": CRAB_HEGRA, "magic": CRAB_MAGIC_JHEAP2015}

#: Cosmic rays from everywhere, by particle. Protons and electrons (with positrons): those of
#: ctapipe's and pyirf's sensitivities, CTA's "Description of Instrument Response Functions
#: (Production 3b)", section 4.3.1; protons are a fit to BESS, electrons to Fermi-LAT and H.E.S.S.
#: Helium: Bernlöhr et al. 2013, Astropart. Phys. 43, 171 (arXiv:1210.3503), table 3. Energies of
#: nuclei are those of the whole nucleus.
COSMIC_RAYS: dict[str, Flux] = {
    "proton": IRFDOC_PROTON_SPECTRUM,
    "helium": PowerLaw(0.0719 / (u.m**2 * u.s * u.TeV * u.sr), -2.64, 1 * u.TeV),
    "electron": IRFDOC_ELECTRON_SPECTRUM,
}

#: Nodes of a distribution for each decade of energy; between them spectra are power laws.
NODES_PER_DECADE = 100


def source_flux(source: SourceSettings) -> Flux:
    """The differential flux of a source, 1 / (cm² s TeV).

    Parameters
    ----------
    source : SourceSettings
    """
    if source.spectrum is not None:
        return _own_flux(source.spectrum)
    crab = CRAB[source.crab]
    return lambda energy: source.crab_units * crab(energy)


def _own_flux(spectrum: SpectrumSettings) -> Flux:
    normalisation = spectrum.flux / (u.cm**2 * u.s * u.TeV)
    reference = spectrum.reference_energy * u.TeV
    if spectrum.curvature:
        return LogParabola(
            normalisation, spectrum.spectral_index, spectrum.curvature, e_ref=reference
        )
    power_law = PowerLaw(normalisation, spectrum.spectral_index, e_ref=reference)
    if spectrum.cutoff is None:
        return power_law
    cutoff = spectrum.cutoff * u.TeV
    return lambda energy: power_law(energy) * np.exp(-(energy / cutoff).to_value(u.one))


class EnergyDistribution:
    """Energies as a spectrum has them between two limits.

    Between close nodes the spectrum is taken as a power law, which integrates and inverts exactly.

    Parameters
    ----------
    flux : callable
        Differential flux (Quantity) of energies (Quantity), per area and time, or also per solid
        angle.
    low, high : float
        Limits in TeV.
    area : callable, optional
        The area (m²) that counts at some energies (TeV). With it the distribution is that of what
        comes to this area; without it, to 1 m².
    """

    def __init__(
        self,
        flux: Flux,
        low: float,
        high: float,
        area: Callable[[np.ndarray], np.ndarray] = np.ones_like,
    ) -> None:
        n_nodes = max(2, int(np.ceil(np.log10(high / low) * NODES_PER_DECADE)) + 1)
        self._energy = np.geomspace(low, high, n_nodes)
        values = flux(self._energy * u.TeV)
        units = POINT_SOURCE_FLUX_UNIT, DIFFUSE_FLUX_UNIT
        unit = next(unit for unit in units if values.unit.is_equivalent(unit))
        # Far above a cut-off nothing is left.
        density = values.to_value(unit) * area(self._energy)
        density = np.maximum(density, np.finfo(float).tiny)
        # Of each piece, in units of its lower end: x^power, with power 1 added for the integral.
        self._power = np.diff(np.log(density)) / np.diff(np.log(self._energy)) + 1.0
        self._step = np.log(self._energy[1:] / self._energy[:-1])
        pieces = density[:-1] * self._energy[:-1] * _grown(self._power, self._step)
        self._cumulative = np.append(0.0, np.cumsum(pieces))

    @property
    def integral(self) -> float:
        """What comes between the limits, in 1 / s, or 1 / (s sr) of a diffuse flux."""
        return float(self._cumulative[-1])

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw energies (TeV).

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray of float, shape (n,)
        """
        wanted = self._cumulative[-1] * rng.random(n)
        piece = np.searchsorted(self._cumulative, wanted, side="right") - 1
        piece = np.clip(piece, 0, len(self._power) - 1)
        low, high = self._cumulative[piece], self._cumulative[piece + 1]
        part = (wanted - low) / (high - low)
        return self._energy[piece] * np.exp(_inverse(self._power[piece], self._step[piece], part))


def _grown(power: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The integral of x^(power - 1) from 1 to exp(step)."""
    flat = np.abs(power * step) < 1e-9
    safe = np.where(flat, 1.0, power)
    return np.where(flat, step, np.expm1(safe * step) / safe)


def _inverse(power: np.ndarray, step: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The logarithm of x up to which a part of that integral lies."""
    flat = np.abs(power * step) < 1e-9
    safe = np.where(flat, 1.0, power)
    return np.where(flat, part * step, np.log1p(part * np.expm1(safe * step)) / safe)
