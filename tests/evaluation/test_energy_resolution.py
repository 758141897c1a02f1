"""Energy bias and resolution against pyirf, by hand and for known errors."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from pyirf.benchmarks import energy_bias_resolution

from gammalearn.evaluation import energy_resolution, overall_energy_resolution
from gammalearn.evaluation.quantities.energy import draw_energy_resolution

EDGES = [0.1, 1, 10, 100] * u.TeV


def energies(true, reco):
    return QTable({"true_energy": true * u.TeV, "reco_energy": reco * u.TeV})


@pytest.fixture(scope="module")
def smeared():
    """50 000 events with a relative error of 0.2 around 0.1 below 1 TeV, 0.1 around 0 above."""
    random = np.random.default_rng(0)
    true = 10 ** random.uniform(-1, 1, 50_000)
    error = np.where(true < 1, random.normal(0.1, 0.2, len(true)), random.normal(0, 0.1, len(true)))
    return energies(true, true * (1 + error))


def test_injected_bias_and_smearing_are_recovered(smeared):
    resolution = energy_resolution(smeared, EDGES)
    np.testing.assert_allclose(resolution["bias"][:2], [0.1, 0], atol=0.005)
    np.testing.assert_allclose(resolution["resolution"][:2], [0.2, 0.1], rtol=0.03)


def test_is_what_pyirf_says(smeared):
    ours, theirs = energy_resolution(smeared, EDGES), energy_bias_resolution(smeared, EDGES)
    assert ours.colnames == theirs.colnames
    for name in ours.colnames:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_by_hand():
    # Relative errors 0, 0.1, 0.2; their 0.1587 and 0.8413 quantiles interpolate linearly.
    resolution = energy_resolution(energies([0.5, 0.5, 0.5], [0.5, 0.55, 0.6]), EDGES)
    assert resolution["n_events"].tolist() == [3, 0, 0]
    assert resolution["bias"][0] == pytest.approx(0.1)
    assert resolution["resolution"][0] == pytest.approx(0.1 * 0.682689)


def test_empty_bins_are_nan(smeared):
    resolution = energy_resolution(smeared, EDGES)
    assert resolution["n_events"][2] == 0
    assert np.isnan(resolution["bias"][2])
    assert np.isnan(resolution["resolution"][2])


def test_a_single_event_has_a_bias_but_no_resolution():
    events = energies([0.5], [0.6])
    resolution = energy_resolution(events, EDGES)
    assert resolution["bias"][0] == pytest.approx(0.2)
    assert np.isnan(resolution["resolution"][0])
    overall = overall_energy_resolution(events)
    assert overall["energy_bias"] == pytest.approx(0.2)
    assert np.isnan(overall["energy_resolution"])


def test_no_events_give_nan():
    resolution = energy_resolution(energies([], []), EDGES)
    assert len(resolution) == 3
    assert np.isnan(resolution["bias"]).all()
    assert np.isnan(list(overall_energy_resolution(energies([], [])).values())).all()


def test_overall_is_that_of_one_wide_bin(smeared):
    wide = energy_resolution(smeared, [0.1, 100] * u.TeV)
    overall = overall_energy_resolution(smeared)
    assert overall["energy_bias"] == pytest.approx(wide["bias"][0])
    assert overall["energy_resolution"] == pytest.approx(wide["resolution"][0])


def test_picture_leaves_gaps_for_empty_bins_and_hollow_points_for_few_events(smeared):
    few = energies([0.5, 0.5, 50, 50], [0.5, 0.6, 50, 60])
    figure = draw_energy_resolution(energy_resolution(few, EDGES), "gamma")
    upper, numbers = figure.axes
    drawn = [
        line for line in upper.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    assert len(drawn) == 1
    assert drawn[0].get_markerfacecolor() == "white"
    assert "hollow: fewer than 10 events" in [t.get_text() for t in upper.get_legend().texts]
    assert numbers.get_ylabel() == "events"
