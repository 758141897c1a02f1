"""Angular resolution by closed formulas, by hand and across north."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from gammalearn.evaluation import angular_resolution, overall_angular_resolution
from gammalearn.evaluation.quantities.direction import (
    angular_resolution_along,
    draw_angular_resolution,
    separation_angle,
)

EDGES = [0.1, 1, 10] * u.TeV


def directions(true_alt, true_az, reco_alt, reco_az, energy=0.5):
    events = QTable()
    events["true_energy"] = np.full(len(true_alt), energy) * u.TeV
    for name, values in zip(
        ("true_alt", "true_az", "reco_alt", "reco_az"),
        (true_alt, true_az, reco_alt, reco_az),
        strict=True,
    ):
        events[name] = np.asarray(values, dtype=float) * u.deg
    return events


def test_angle_across_north_at_zenith_70_deg():
    # 0.2 deg of azimuth are 0.2 deg · cos(20 deg) on the sky.
    events = directions([20, 20], [359.9, 0.1], [20, 20], [0.1, 359.9])
    expected = 0.2 * np.cos(np.radians(20))
    np.testing.assert_allclose(separation_angle(events).to_value("deg"), expected, rtol=1e-5)


def test_angle_is_that_of_the_sky():
    random = np.random.default_rng(0)
    true_alt, reco_alt = random.uniform(10, 90, (2, 100))
    true_az, reco_az = random.uniform(-180, 360, (2, 100))
    events = directions(true_alt, true_az, reco_alt, reco_az)
    true = SkyCoord(true_az * u.deg, true_alt * u.deg)
    reco = SkyCoord(reco_az * u.deg, reco_alt * u.deg)
    np.testing.assert_allclose(separation_angle(events), true.separation(reco).to(u.deg))


def test_over_the_zenith():
    events = directions([89.9], [0], [89.9], [180])
    assert separation_angle(events).to_value("deg") == pytest.approx(0.2)


@pytest.mark.parametrize("altitude", [20, 70])
@pytest.mark.parametrize("azimuth", [0, 180])
def test_gaussian_smearing_gives_the_rayleigh_quantiles(altitude, azimuth):
    """With σ in both directions, the fraction p lies within σ √(−2 ln(1−p))."""
    random = np.random.default_rng(0)
    n_events, sigma = 50_000, 0.1
    true_alt, true_az = np.full(n_events, altitude), np.full(n_events, azimuth)
    reco_alt = true_alt + random.normal(0, sigma, n_events)
    reco_az = true_az + random.normal(0, sigma, n_events) / np.cos(np.radians(altitude))
    events = directions(true_alt, true_az, reco_alt, reco_az % 360)

    table = angular_resolution(events, EDGES)
    overall = overall_angular_resolution(events)

    for name, fraction in {"angular_resolution_68": 0.6827, "angular_resolution_95": 0.95}.items():
        expected = sigma * np.sqrt(-2 * np.log(1 - fraction))
        assert table[name][0].to_value("deg") == pytest.approx(expected, rel=0.02)
        assert overall[name] == pytest.approx(expected, rel=0.02)
    assert table["n_events"].tolist() == [n_events, 0]
    assert np.isnan(table["angular_resolution_68"][1])


def test_no_events_give_nan():
    events = directions([], [], [], [])
    table = angular_resolution(events, EDGES)
    assert len(table) == 2
    assert np.isnan(table["angular_resolution_68"]).all()
    assert table["angular_resolution_68"].unit == u.deg
    assert np.isnan(list(overall_angular_resolution(events).values())).all()
    assert "0 gammas" in draw_angular_resolution(table, "gamma").axes[0].get_title().replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_along_any_quantity_it_is_that_of_the_events_of_a_bin():
    """Smeared by 0.1 deg, by 0.2 deg, and nothing between 2 and 3."""
    sigma = np.repeat([0.1, 0.2], 400)
    reco_alt, across = np.random.default_rng(0).normal(0, sigma, (2, 800))
    events = directions(np.zeros(800), np.zeros(800), reco_alt, across)
    values = np.repeat([0.5, 1.5], 400)
    table = angular_resolution_along(events, "offset", values, np.arange(4))
    assert table["n_events"].tolist() == [400, 400, 0]
    for number in range(2):
        mine = overall_angular_resolution(events[values == number + 0.5])
        for name, value in mine.items():
            assert table[name][number].to_value("deg") == value
    assert np.isnan(table["angular_resolution_68"][2])
    # Rayleigh: √(−2 ln 0.32) σ.
    assert table["angular_resolution_68"][1].value == pytest.approx(0.2 * 1.51, rel=0.1)


@pytest.mark.parametrize("error", [0.01, np.nan])
def test_a_point_without_error_is_hollow(error):
    """100 events of fewer than 10 showers have no error: a filled point would look exact."""
    events = directions(np.zeros(100), np.zeros(100), np.linspace(0.1, 0.2, 100), np.zeros(100))
    table = angular_resolution(events, EDGES)
    for name in ("angular_resolution_68", "angular_resolution_95"):
        table[f"{name}_error"] = np.full(2, error) * u.deg
    axes = draw_angular_resolution(table, "gamma").axes[0]
    drawn = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [line.get_markerfacecolor() == "white" for line in drawn] == [bool(np.isnan(error))]
    texts = [text.get_text() for text in axes.get_legend().texts]
    assert ("hollow: fewer than 10 events or showers" in texts) == bool(np.isnan(error))
