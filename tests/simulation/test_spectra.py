"""Spectra: what they integrate to, and energies that follow them."""

import astropy.units as u
import numpy as np
import pytest
from pyirf.spectral import CRAB_HEGRA, DAMPE_P_He_SPECTRUM
from scipy.integrate import quad
from scipy.stats import kstest

from gammalearn.settings import SourceSettings
from gammalearn.simulation.spectra import COSMIC_RAYS, EnergyDistribution, source_flux

PER_AREA = 1 / (u.m**2 * u.s * u.TeV)

SOURCES = {
    "hegra": SourceSettings(crab_units=3),
    "magic": SourceSettings(crab="magic"),
    "cut off": SourceSettings(spectrum={"flux": 1e-11, "spectral_index": -2, "cutoff": 1.5}),
    "curved": SourceSettings(
        spectrum={"flux": 2e-11, "reference_energy": 0.3, "spectral_index": -2, "curvature": -0.4}
    ),
    "flat": SourceSettings(spectrum={"flux": 1e-11, "spectral_index": -1}),
}

#: Flux in 1 / (cm² s TeV) at x TeV, as published or as the settings describe it.
FORMULAS = {
    "hegra": lambda x: 3 * 2.83e-11 * x**-2.62,
    "magic": lambda x: 3.23e-11 * x ** (-2.47 - 0.24 * np.log10(x)),
    "cut off": lambda x: 1e-11 * x**-2 * np.exp(-x / 1.5),
    "curved": lambda x: 2e-11 * (x / 0.3) ** (-2 - 0.4 * np.log10(x / 0.3)),
    "flat": lambda x: 1e-11 / x,
}


@pytest.mark.parametrize("name", SOURCES)
def test_fluxes_are_those_of_the_formulas(name):
    energy = np.geomspace(0.05, 20, 7)
    flux = source_flux(SOURCES[name])(energy * u.TeV).to_value(1 / (u.cm**2 * u.s * u.TeV))
    np.testing.assert_allclose(flux, FORMULAS[name](energy), rtol=1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_energies_follow_the_spectrum(name):
    low, high = 0.05, 20
    formula = FORMULAS[name]
    distribution = EnergyDistribution(source_flux(SOURCES[name]), low, high)
    expected, _ = quad(lambda x: np.exp(x) * formula(np.exp(x)), np.log(low), np.log(high))
    assert distribution.integral == pytest.approx(1e4 * expected, rel=1e-4)

    energies = distribution.draw(4000, np.random.default_rng(1))
    assert energies.min() >= low
    assert energies.max() <= high
    grid = np.geomspace(low, high, 400)
    pieces = [quad(formula, a, b)[0] for a, b in zip(grid[:-1], grid[1:], strict=True)]
    cumulative = np.append(0, np.cumsum(pieces)) / np.sum(pieces)
    assert kstest(np.log(energies), lambda x: np.interp(x, np.log(grid), cumulative)).pvalue > 0.01


def test_a_power_law_is_exact():
    distribution = EnergyDistribution(CRAB_HEGRA, 0.1, 10)
    expected = 2.83e-7 / 1.62 * (0.1**-1.62 - 10**-1.62)
    assert distribution.integral == pytest.approx(expected, rel=1e-12)


def test_protons_and_helium_are_as_measured_together():
    """DAMPE has measured their sum."""
    energy = np.geomspace(0.1, 20, 12) * u.TeV
    total = COSMIC_RAYS["proton"](energy) + COSMIC_RAYS["helium"](energy)
    np.testing.assert_allclose((total / DAMPE_P_He_SPECTRUM(energy)).to_value(""), 1, atol=0.25)
