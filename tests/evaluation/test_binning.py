"""Axes end where they should, at round values."""

import astropy.units as u
import numpy as np
import pytest

from gammalearn.evaluation.statistics.binning import angle_edges, energy_edges, offset_edges


def test_energy_edges_are_logarithmic():
    edges = energy_edges((0.01, 100), bins_per_decade=1)
    np.testing.assert_allclose(edges.to_value("TeV"), [0.01, 0.1, 1, 10, 100])


def test_energy_edges_end_at_the_range_even_if_it_holds_no_whole_number_of_bins():
    edges = energy_edges((0.03, 50), bins_per_decade=5)
    assert edges[0] == 0.03 * u.TeV
    assert edges[-1] == 50 * u.TeV
    # 3.22 decades of 5 bins.
    assert len(edges) == 16 + 1


def test_a_range_narrower_than_a_bin_is_one_bin():
    assert len(energy_edges((1, 1.1), bins_per_decade=5)) == 2


@pytest.mark.parametrize("seed", range(20))
def test_angle_edges_cover_the_data_with_at_most_40_round_bins(seed):
    random = np.random.default_rng(seed)
    centre, width = random.uniform(-90, 90), 10 ** random.uniform(-1, 1.5)
    true = random.uniform(centre - width, centre + width, 100) * u.deg
    reco = true + random.normal(0, width / 10, 100) * u.deg

    edges = angle_edges(true, reco)
    bin_width = edges[1] - edges[0]

    assert edges[0] < min(true.min(), reco.min())
    assert edges[-1] > max(true.max(), reco.max())
    assert 10 <= len(edges) - 1 <= 40
    np.testing.assert_allclose(np.diff(edges), bin_width)
    # Edges are whole multiples of a width of at most two digits.
    assert f"{bin_width.value:.2g}" == f"{bin_width.value:.6g}"
    np.testing.assert_allclose(edges / bin_width, np.round(edges / bin_width), atol=1e-6)


def test_a_point_source_reconstructed_exactly_still_has_an_axis():
    edges = angle_edges([70.0] * u.deg, [70.0] * u.deg)
    assert edges[-1] - edges[0] >= 0.1 * u.deg
    assert edges[0] < 70 * u.deg < edges[-1]


def test_a_few_stray_events_do_not_stretch_the_axis():
    true = np.linspace(68, 72, 1000) * u.deg
    reco = true.copy()
    reco[0] = 10 * u.deg
    edges = angle_edges(true, reco)
    assert edges[0] > 67 * u.deg
    assert edges[-1] < 73 * u.deg


def test_of_a_few_events_none_is_stray():
    edges = angle_edges([70, 70.1, 70.2] * u.deg, [70, 70.1, 60] * u.deg)
    assert edges[0] < 60 * u.deg


def test_without_events_there_are_no_edges():
    assert np.all(np.isnan(angle_edges([] * u.deg, [] * u.deg)))


@pytest.mark.parametrize(
    ("highest", "expected"),
    [(0.4, [0, 0.5]), (0.5, [0, 0.5, 1]), (2.2, [0, 0.5, 1, 1.5, 2, 2.5]), (8, np.arange(0, 9.1))],
)
def test_offsets_are_binned_by_half_a_degree_or_more(highest, expected):
    edges = offset_edges([0.1, highest] * u.deg)
    np.testing.assert_allclose(edges.to_value("deg"), expected)
