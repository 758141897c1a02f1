"""Effective area by hand, and as pyirf has it."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from pyirf.irf import effective_area_per_energy
from pyirf.simulations import SimulatedEventsInfo

from gammalearn.evaluation.performance.effective_area import draw_effective_area, effective_area
from gammalearn.evaluation.performance.production import Production


def production(n_showers, radius=100.0, energies=(0.1, 10.0)):
    showers = SimulatedEventsInfo(
        n_showers=n_showers,
        energy_min=energies[0] * u.TeV,
        energy_max=energies[1] * u.TeV,
        max_impact=radius * u.m,
        spectral_index=-2,
        viewcone_min=0 * u.deg,
        viewcone_max=0 * u.deg,
    )
    return Production("gamma", showers)


def at(*energies):
    return QTable({"true_energy": u.Quantity(list(energies), u.TeV)})


def test_a_tiny_set_by_hand():
    """110 showers of E⁻² from 0.1 to 10 TeV: 100 of them below 1 TeV, 10 above, in a circle of
    100 m."""
    productions = [production(110)]
    stages = {"triggered": at(0.2, 0.5, 0.9, 3, 5), "selected": at(0.5, 5)}
    table = effective_area(stages, productions, [0.01, 0.1, 1, 10] * u.TeV)
    circle = np.pi * 100**2
    np.testing.assert_allclose(table["n_simulated"], [0, 100, 10])
    assert table["n_events"].tolist() == table["n_triggered"].tolist() == [0, 3, 2]
    assert table["n_selected"].tolist() == [0, 1, 1]
    area = table["effective_area_triggered"].to_value("m2")
    np.testing.assert_allclose(area, [np.nan, circle * 3 / 100, circle * 2 / 10])
    selected = table["effective_area_selected"].to_value("m2")
    np.testing.assert_allclose(selected, [np.nan, circle / 100, circle / 10])

    # Wilson (1927), one standard deviation: (p + 1/2n ± √(p(1 − p)/n + 1/4n²)) / (1 + 1/n).
    p, n = 0.2, 10
    half = np.sqrt(p * (1 - p) / n + 1 / (4 * n**2))
    for end, sign in (("low", -1), ("high", 1)):
        bound = (p + 1 / (2 * n) + sign * half) / (1 + 1 / n) * circle
        found = table[f"effective_area_triggered_{end}"].to_value("m2")
        assert found[2] == pytest.approx(bound, rel=1e-4)
        assert np.isnan(found[0])


def test_of_one_production_it_is_pyirfs():
    random = np.random.default_rng(0)
    events = at(*10 ** random.uniform(-1, 1, 500))
    one = production(10_000, radius=400.0)
    edges = np.geomspace(0.1, 10, 9) * u.TeV
    table = effective_area({"all": events}, [one], edges)
    expected = effective_area_per_energy(events, one.showers, edges)
    np.testing.assert_allclose(table["effective_area_all"].to_value("m2"), expected.to_value("m2"))


def test_productions_on_different_areas_give_the_same_area_together():
    """Of 40 % of a small circle and 10 % of one of four times the area."""
    small, large = production(1000, radius=100.0), production(1000, radius=200.0)
    edges = [0.1, 10] * u.TeV
    one = effective_area({"all": at(*[1.0] * 400)}, [small], edges)["effective_area_all"]
    other = effective_area({"all": at(*[1.0] * 100)}, [large], edges)["effective_area_all"]
    both = effective_area({"all": at(*[1.0] * 500)}, [small, large], edges)["effective_area_all"]
    np.testing.assert_allclose([one[0].value, other[0].value], both[0].value)


def test_no_events_is_an_area_of_zero():
    table = effective_area({"all": at()}, [production(110)], [0.1, 1] * u.TeV)
    assert table["effective_area_all"][0].value == 0
    assert table["effective_area_all_high"][0].value > 0
    assert draw_effective_area(table, "gamma", {"all": "all"}).axes


def test_more_events_than_expected_are_no_error():
    """The number of a bin is what the power law expects; more may have been drawn."""
    table = effective_area({"all": at(3, 4, 5)}, [production(22)], [1, 10] * u.TeV)
    assert table["n_simulated"][0] == pytest.approx(2)
    assert np.isfinite(table["effective_area_all_low"][0])
