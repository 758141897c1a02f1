"""Migration matrices by hand, and azimuths across north."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from pyirf.irf.energy_dispersion import energy_migration_matrix

from gammalearn.evaluation import migration_matrix, migration_spread, relative_azimuth
from gammalearn.evaluation.statistics.migration import draw_migration

EDGES = [0.1, 1, 10] * u.TeV
ENERGY = {"true": "true_energy", "reco": "reco_energy"}


def energies(true, reco):
    return QTable({"true_energy": true * u.TeV, "reco_energy": reco * u.TeV})


def azimuths(true, reco):
    return QTable({"true_az": true * u.deg, "reco_az": reco * u.deg})


def test_cells_are_counted_with_the_reconstructed_value_running_fastest():
    events = energies([0.2, 0.3, 0.5, 2.0], [0.2, 0.4, 3.0, 5.0])
    matrix = migration_matrix(events, EDGES, **ENERGY)

    assert matrix["true_low"].to_value("TeV").tolist() == [0.1, 0.1, 1, 1]
    assert matrix["true_high"].to_value("TeV").tolist() == [1, 1, 10, 10]
    assert matrix["reco_low"].to_value("TeV").tolist() == [0.1, 1, 0.1, 1]
    assert matrix["reco_high"].to_value("TeV").tolist() == [1, 10, 1, 10]
    assert matrix["counts"].tolist() == [2, 1, 0, 1]
    np.testing.assert_allclose(matrix["probability"], [2 / 3, 1 / 3, 0, 1])


def test_events_off_the_axis_are_counted_apart():
    events = energies([0.2, 0.2, 50.0], [0.2, 20.0, 5.0])
    matrix = migration_matrix(events, EDGES, **ENERGY)
    assert matrix.meta["n_events"] == 3
    assert matrix.meta["n_out_of_range"] == 2
    assert matrix["counts"].sum() == 1


def test_events_that_fall_off_the_axis_are_of_their_true_bin():
    """Two of four stay on the axis in the first bin, none of one in the second."""
    events = energies([0.2, 0.2, 0.3, 0.4, 2.0], [0.2, 20.0, 3.0, 0.01, 30.0])
    matrix = migration_matrix(events, EDGES, **ENERGY)
    assert matrix["counts"].tolist() == [1, 1, 0, 0]
    np.testing.assert_array_equal(matrix["probability"], [1 / 4, 1 / 4, 0, 0])


def test_within_a_wide_axis_fractions_are_those_of_pyirf():
    random = np.random.default_rng(0)
    true = 10 ** random.uniform(-1, 1, 500)
    events = energies(true, true * random.uniform(0.5, 2, 500))
    events["true_source_fov_offset"] = np.zeros(500) * u.deg
    edges = np.geomspace(0.04, 25, 8) * u.TeV
    expected = energy_migration_matrix(events, edges, edges, [0, 1] * u.deg)[:, :, 0]
    found = migration_matrix(events, edges, **ENERGY)["probability"].reshape(7, 7)
    np.testing.assert_allclose(np.nan_to_num(found), expected)


def test_a_true_bin_without_events_has_no_probability():
    matrix = migration_matrix(energies([0.2], [0.2]), EDGES, **ENERGY)
    assert np.isnan(matrix["probability"][2:]).all()


def test_unit_of_the_edges_does_not_matter():
    events = energies([0.2, 2.0], [0.3, 3.0])
    in_gev = migration_matrix(events, EDGES.to("GeV"), **ENERGY)
    assert in_gev["counts"].tolist() == [1, 0, 0, 1]
    assert in_gev["true_low"].unit == u.GeV


def test_no_events_give_a_table_of_nan():
    matrix = migration_matrix(energies([], []), EDGES, **ENERGY)
    assert len(matrix) == 4
    assert matrix["counts"].sum() == 0
    assert np.isnan(matrix["probability"]).all()
    spread = migration_spread(energies([], []), EDGES, **ENERGY, logarithmic=True)
    assert np.isnan(spread["median"]).all()


def test_spread_recovers_an_injected_log_normal_error():
    random = np.random.default_rng(0)
    true = np.full(100_000, 0.5)
    events = energies(true, true * 10 ** random.normal(0.1, 0.2, len(true)))
    spread = migration_spread(events, EDGES, **ENERGY, logarithmic=True)
    assert spread["n_events"].tolist() == [100_000, 0]
    assert spread["median"][0] == pytest.approx(0.1, abs=0.005)
    assert spread["high"][0] - spread["low"][0] == pytest.approx(0.4, abs=0.01)
    assert np.isnan(spread["median"][1])


def test_spread_of_energies_that_are_not_positive_is_left_out():
    events = energies([0.5, 0.5, 0.5], [0.0, -1.0, 0.5])
    spread = migration_spread(events, EDGES, **ENERGY, logarithmic=True)
    assert spread["n_events"][0] == 1
    assert spread["median"][0] == 0


def test_azimuths_on_both_sides_of_north_are_neighbours():
    relative = relative_azimuth(azimuths([359.9, 0.1], [0.1, 359.9]))
    assert relative.meta["reference"] == 0
    np.testing.assert_allclose(relative["true_relative_az"].to_value("deg"), [-0.1, 0.1])
    np.testing.assert_allclose(relative["reco_relative_az"].to_value("deg"), [0.1, -0.1])


def test_the_reference_is_the_circular_mean_of_the_true_azimuths():
    # The arithmetic mean of 350 and 20 is 185.
    relative = relative_azimuth(azimuths([350, 20], [351, 18]))
    assert relative.meta["reference"] == pytest.approx(5)
    np.testing.assert_allclose(relative["true_relative_az"].to_value("deg"), [-15, 15])
    np.testing.assert_allclose(relative["reco_relative_az"].to_value("deg"), [-14, 13])


def test_negative_azimuths_are_the_same_directions():
    relative = relative_azimuth(azimuths([-10, 350], [-9, 349]))
    np.testing.assert_allclose(relative["true_relative_az"].to_value("deg"), [0, 0], atol=1e-9)
    np.testing.assert_allclose(relative["reco_relative_az"].to_value("deg"), [1, -1])


def test_the_reconstructed_azimuth_stays_on_its_side_of_the_diagonal():
    """Opposite the reference, the true azimuth is at ±180 deg; the reconstructed one follows it."""
    relative = relative_azimuth(azimuths([0, 0, 0, 179], [0, 0, 0, 182]))
    difference = relative["reco_relative_az"] - relative["true_relative_az"]
    np.testing.assert_allclose(difference.to_value("deg"), [0, 0, 0, 3])


def test_no_events_have_no_reference():
    relative = relative_azimuth(azimuths([], []))
    assert len(relative) == 0
    assert np.isnan(relative.meta["reference"])


@pytest.mark.parametrize("n_events", [0, 1, 5, 1000])
def test_picture_says_how_many_events_it_shows(n_events):
    true = np.geomspace(0.11, 9, n_events)
    events = energies(true, true)
    matrix = migration_matrix(events, EDGES, **ENERGY)
    spread = migration_spread(events, EDGES, **ENERGY, logarithmic=True)
    figure = draw_migration(matrix, spread, "energy", "proton", logarithmic=True)
    title = figure.axes[0].get_title().replace("\N{NO-BREAK SPACE}", "")
    assert title == f"Energy migration, {n_events} proton{'' if n_events == 1 else 's'}"
    assert figure.axes[0].get_xlabel() == "true energy (TeV)"


def test_picture_of_an_azimuth_names_its_origin_if_there_is_one():
    def label(reference):
        empty = QTable({"true_energy": [] * u.TeV, "reco_energy": [] * u.TeV})
        matrix = migration_matrix(empty, EDGES, **ENERGY)
        matrix.meta["reference_deg"] = reference
        spread = migration_spread(empty, EDGES, **ENERGY)
        return draw_migration(matrix, spread, "azimuth", "gamma").axes[0].get_xlabel()

    assert label(359.9) == "true azimuth relative to 359.9° (TeV)"
    assert label(np.nan) == "true azimuth (TeV)"


def test_spread_stands_at_the_median_true_value_of_its_events():
    """Three events at the lower end of a bin are not drawn at its centre."""
    spread = migration_spread(energies([0.1] * 3, [0.2] * 3), EDGES, **ENERGY, logarithmic=True)
    filled = spread["n_events"] == 3
    assert spread["true_median"][filled].to_value("TeV") == pytest.approx([0.1])
    assert np.isnan(spread["true_median"][~filled]).all()
