"""The simulated supernovae, against published numbers and closed formulas."""

import numpy as np
import pytest
from astropy.cosmology import Planck18

from gammalearn.errors import SettingsError
from gammalearn.settings.surveys import SimulatedCatalogue
from gammalearn.surveys.catalogue import read_catalogue
from gammalearn.surveys.cosmology import distance_modulus
from gammalearn.surveys.kinds import survey_of
from gammalearn.surveys.simulation import make_missing_catalogues
from gammalearn.surveys.supernovae.simulation import simulate
from gammalearn.surveys.supernovae.simulation.explosions import Explosion, explode
from gammalearn.surveys.supernovae.simulation.observation import (
    CADENCES,
    DEPTH,
    Visits,
    flux_error,
    observe,
    visits,
)
from gammalearn.surveys.supernovae.simulation.spectra import core_collapse, type_ia

B, V, I_BAND = 440.0, 550.0, 790.0


def at(time, wavelength, **others):
    return float(type_ia(np.array([time]), np.array([wavelength]), **others)[0])


def test_a_type_ia_declines_in_b_by_1_1_mag_in_15_days():
    """Phillips et al. (1999): a stretch of 1 is a decline of 1.1 mag."""
    assert at(15, B) - at(0, B) == pytest.approx(1.1, abs=0.05)


def test_slow_type_ia_are_brighter_and_decline_less():
    assert at(0, B, stretch=1.1) < at(0, B)
    assert at(15, B, stretch=1.1) - at(0, B, stretch=1.1) < at(15, B) - at(0, B)


def test_a_type_ia_is_brightest_in_b_at_its_peak_and_has_a_second_maximum_in_i():
    time = np.arange(-15.0, 40.0)
    b = type_ia(time, np.full(len(time), B))
    assert abs(time[b.argmin()]) <= 1
    i = type_ia(time, np.full(len(time), I_BAND))
    second = (time > 18) & (time < 32)
    between = (time > 10) & (time < 18)
    assert i[second].min() < i[between].max()


def test_red_type_ia_are_redder_by_their_colour():
    """The law: 3.1 in B, and B - V is the colour."""
    red = {"colour": 0.2}
    assert at(0, B, **red) - at(0, B) == pytest.approx(3.1 * 0.2)
    reddened = (at(0, B, **red) - at(0, V, **red)) - (at(0, B) - at(0, V))
    assert reddened == pytest.approx(0.2, rel=0.05)


def test_there_is_no_light_before_the_explosion():
    assert at(-25, B) == np.inf
    for kind in ("Ib", "Ic", "II"):
        assert core_collapse(kind, np.array([-40.0]), np.array([650.0]))[0] == np.inf


def test_a_type_ii_has_a_plateau_in_r_and_reddens():
    time = np.array([10.0, 70.0, 120.0])
    r = core_collapse("II", time, np.full(3, 650.0))
    b = core_collapse("II", time, np.full(3, B))
    assert r[1] - r[0] < 0.5 < r[2] - r[1]
    assert (b - r)[1] > (b - r)[0] + 0.5


def test_distances_are_those_of_astropy():
    redshift = np.array([0.02, 0.31, 1.2])
    np.testing.assert_allclose(
        distance_modulus(redshift), Planck18.distmod(redshift).value, atol=0.003
    )


def test_a_supernova_is_dimmed_and_stretched_by_its_redshift():
    """A spectrum that is flat in frequency: M + mu - 2.5 log10(1 + z) in all bands."""
    flat = Explosion("Ia", 0.5, -19.0, lambda time, nm: np.where(np.abs(time) < 10, 0.0, np.inf))
    found = flat.magnitude(np.array([0.0, 14.0, 16.0]), np.full(3, 700.0))
    expected = -19 + Planck18.distmod(0.5).value - 2.5 * np.log10(1.5)
    np.testing.assert_allclose(found, [expected, expected, np.inf], atol=0.003)


def test_noise_at_the_depth_is_a_fifth_of_the_flux():
    flux = 10 ** (0.4 * (27.5 - 24.0))
    assert flux_error(np.array([flux]), np.array([24.0]))[0] == pytest.approx(flux / 5, rel=1e-3)


def test_fluxes_scatter_as_their_errors_say():
    seen = Visits(np.zeros(4000), np.full(4000, 2), np.full(4000, 24.0))
    flat = Explosion("Ia", 0.5, -19.0, lambda time, nm: np.zeros(len(time)))
    flux, error = observe(flat, 0.0, seen, 0.0, np.random.default_rng(1))
    assert flux.std() == pytest.approx(error.mean(), rel=0.05)
    expected = 10 ** (0.4 * (27.5 + 19 - Planck18.distmod(0.5).value)) * 1.5
    assert flux.mean() == pytest.approx(
        expected, abs=4 * error.mean() / 4000**0.5 + 0.003 * expected
    )


def test_deep_fields_are_seen_more_often_and_deeper():
    rng = np.random.default_rng(1)
    wide, deep = (visits(CADENCES[name], rng) for name in ("wide", "deep"))
    assert len(deep.time) > 2 * len(wide.time)
    assert np.median(deep.depth[deep.band == 2]) > DEPTH["r"] + 0.8
    assert (np.diff(wide.time) >= 0).all()


def test_distant_ones_are_more_in_number():
    """By the volume: more than twice as many beyond half the largest redshift than before."""
    drawn = explode({"Ia": 1.0}, 300, 0.6, np.random.default_rng(1))
    redshift = np.array([explosion.redshift for explosion in drawn])
    assert redshift.max() <= 0.6
    assert (redshift > 0.3).sum() > 2 * (redshift < 0.3).sum()


@pytest.fixture(scope="module")
def catalogue():
    return simulate(SimulatedCatalogue(output="x.h5", n_objects=60, confirmed_fraction=0.2))


def test_a_catalogue_has_detected_objects_of_all_types(catalogue):
    assert len(catalogue) == 60
    assert set(catalogue.objects["type"]) == {"Ia", "Ib", "Ic", "II"}
    significance = catalogue.flux / catalogue.flux_error
    assert (np.maximum.reduceat(significance, catalogue.start[:-1]) > 5).all()
    assert catalogue.faults == {}


def test_spectra_are_of_bright_objects(catalogue):
    confirmed = np.asarray(catalogue.objects["confirmed"])
    assert confirmed.sum() == 12
    significance = catalogue.flux / catalogue.flux_error
    best = np.maximum.reduceat(significance, catalogue.start[:-1])
    assert np.median(best[confirmed]) > np.median(best[~confirmed])


def test_missing_catalogues_are_made_once(tmp_path, capsys):
    settings = SimulatedCatalogue(output=str(tmp_path / "a" / "s.h5"), n_objects=3)
    supernovae = survey_of("supernovae")
    make_missing_catalogues(supernovae, [settings])
    assert "Simulating 3 supernovae" in capsys.readouterr().out
    first = read_catalogue(tmp_path / "a" / "s.h5")
    make_missing_catalogues(supernovae, [settings])
    assert capsys.readouterr().out == ""
    assert len(first) == 3
    with pytest.raises(SettingsError, match="was made with other settings"):
        make_missing_catalogues(supernovae, [settings.model_copy(update={"seed": 2})])
