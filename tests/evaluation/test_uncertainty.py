"""Predicted uncertainties against a smearing that is known."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from scipy.stats import norm

from gammalearn.evaluation import QUANTITIES, evaluate, read_events
from gammalearn.evaluation.events.combination import combine_telescopes
from gammalearn.evaluation.statistics.uncertainty import coverage, draw_uncertainty, pull_moments
from gammalearn.settings import EvaluationSettings

N_EVENTS = 4000


@pytest.fixture(scope="module")
def events(make_truth):
    """Each with an uncertainty of its own, by which it is smeared."""
    random = np.random.default_rng(3)
    made = make_truth(N_EVENTS)
    made["true_az"] = (made["true_az"] + 180 * u.deg) % (360 * u.deg)  # across north
    relative, angle = random.uniform(0.05, 0.4, N_EVENTS), random.uniform(0.05, 0.3, N_EVENTS)
    made["reco_energy"] = made["true_energy"] * np.exp(random.normal(0, relative))
    made["energy_uncertainty"] = made["reco_energy"] * relative
    made["reco_alt"] = made["true_alt"] + random.normal(0, angle) * u.deg
    across = random.normal(0, angle) * u.deg / np.cos(made["true_alt"])
    made["reco_az"] = (made["true_az"] + across) % (360 * u.deg)
    made["direction_uncertainty"] = np.sqrt(2) * angle * u.deg
    for axis in "xy":
        length = random.uniform(5, 50, N_EVENTS)
        made[f"true_core_{axis}"] = random.uniform(-300, 300, N_EVENTS) * u.m
        error = random.normal(0, length) * u.m
        made[f"reco_core_{axis}"] = made[f"true_core_{axis}"] + error
        made[f"core_{axis}_uncertainty"] = length * u.m
    for quantity in ("energy", "direction"):
        made[f"{quantity}_is_valid"] = np.ones(N_EVENTS, dtype=bool)
    made["shower"] = np.arange(N_EVENTS)
    return made


@pytest.mark.parametrize("name", ["energy", "direction", "impact"])
@pytest.mark.parametrize("factor", [1, 0.5, 2])
def test_what_was_put_in_comes_out(events, name, factor):
    """With uncertainties that are wrong by a factor, pulls are as much wider or narrower."""
    quantity, changed = QUANTITIES[name], events.copy()
    for column in quantity.uncertainty:
        changed[column] *= factor
    pulls = quantity.pulls(changed)
    moments = pull_moments(pulls, changed["shower"])
    assert moments["mean"] == pytest.approx(0, abs=4 / np.sqrt(N_EVENTS) / factor)
    assert moments["width"] == pytest.approx(1 / factor, rel=0.04)
    table = coverage(pulls)
    # With k times the radius: in one dimension 2Φ(k z) − 1, in two 1 − (1 − p)^(k²).
    p = np.asarray(table["nominal"])
    one = 2 * norm.cdf(norm.ppf((1 + p) / 2) * factor) - 1
    expected = one if pulls.shape[1] == 1 else 1 - (1 - p) ** factor**2
    np.testing.assert_allclose(table["coverage"], expected, atol=4 * 0.5 / np.sqrt(N_EVENTS))
    inside = (table["coverage_low"] <= table["coverage"]) & (
        table["coverage"] <= table["coverage_high"]
    )
    assert inside.all()


def test_errors_of_the_moments_are_those_of_gaussians(events):
    """Of the mean σ/√n, of the width σ/√(2n)."""
    moments = pull_moments(QUANTITIES["energy"].pulls(events), events["shower"])
    assert moments["mean_error"] == pytest.approx(1 / np.sqrt(N_EVENTS), rel=0.25)
    assert moments["width_error"] == pytest.approx(1 / np.sqrt(2 * N_EVENTS), rel=0.25)
    few = pull_moments(QUANTITIES["energy"].pulls(events[:5]), events["shower"][:5])
    assert np.isfinite(few["width"]) and np.isnan(few["mean_error"])


def test_a_bias_is_the_mean_pull(events):
    shifted = events.copy()
    shifted["reco_energy"] = events["true_energy"] * 1.1
    shifted["energy_uncertainty"] = shifted["reco_energy"] * 0.2
    np.testing.assert_allclose(QUANTITIES["energy"].pulls(shifted), np.log(1.1) / 0.2)


def test_pulls_of_a_direction_have_the_length_of_the_angle_on_the_sky():
    """At the altitude of 60 deg a degree of azimuth is half a degree on the sky."""
    columns = {"true_az": [359.5, 0.0], "reco_az": [0.5, 0.0], "true_alt": [60, 20.0]}
    events = QTable({name: np.array(v) * u.deg for name, v in columns.items()})
    events["reco_alt"] = [60, 21] * u.deg
    events["direction_uncertainty"] = np.sqrt(2) * np.array([0.25, 0.5]) * u.deg
    pulls = QUANTITIES["direction"].pulls(events)
    # The circle of equal altitude is no great circle.
    np.testing.assert_allclose(pulls, [[2, 0], [0, 2]], atol=0.02)


def test_events_without_an_uncertainty_are_left_out(events):
    some = events[:4].copy()
    some["energy_uncertainty"] = [np.nan, 0, -1, 0.1] * u.TeV
    assert len(QUANTITIES["energy"].select_uncertain(some)) == 1
    some.remove_column("energy_uncertainty")
    assert len(QUANTITIES["energy"].select_uncertain(some)) == 0
    some["core_y_uncertainty"][0] = np.nan
    assert len(QUANTITIES["impact"].select_uncertain(some)) == 3
    nothing = np.zeros((0, 2))
    table, moments = coverage(nothing), pull_moments(nothing, np.zeros(0, dtype=int))
    assert np.all(np.isnan(table["coverage"])) and np.isnan(moments["mean"])
    assert draw_uncertainty(nothing, table, moments, "direction", "gamma").axes


@pytest.mark.usefixtures("blank_pictures")
def test_energies_without_a_logarithm_are_left_out_and_counted(events, tmp_path, write_dl2):
    """Energies that are not positive have no pull, and do not spoil those of the others."""
    gammas = events[:200].copy()
    evaluated = []
    for name in ("all", "some"):
        path = write_dl2(tmp_path / f"{name}.h5", gammas, quantities=["energy"])
        evaluated.append(evaluate([path], tmp_path / name, EvaluationSettings()))
        gammas["reco_energy"][[3, 7]] = [-0.1, 0] * u.TeV
    table = QTable.read(tmp_path / "some" / "evaluation" / "energy_uncertainty.ecsv")
    assert set(table["n_events"]) == {198}
    for metric in ("energy_pull_mean", "energy_pull_width", "energy_coverage_68"):
        assert evaluated[1][metric] == pytest.approx(evaluated[0][metric], abs=0.05)
    sentence = (
        "2 gammas with a predicted uncertainty have a reconstructed energy that is not positive: "
        "it has no logarithm, and they are left out of pulls and coverage."
    )
    for name, said in (("all", False), ("some", True)):
        html = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert (sentence in html.replace("\N{NO-BREAK SPACE}", " ")) == said


@pytest.mark.usefixtures("blank_pictures")
def test_they_are_read_from_files_and_evaluated(events, tmp_path, smear, make_truth, write_dl2):
    """One file has them, the other does not; protons do not count."""
    gammas = events[:500].copy()
    gammas["event_id"] = np.arange(500)
    protons = smear(make_truth(20, particle="proton"))
    paths = [
        write_dl2(tmp_path / "gamma.h5", gammas, quantities=["energy", "direction"]),
        write_dl2(tmp_path / "proton.h5", protons, quantities=["energy", "direction"]),
    ]
    read = read_events(paths)
    np.testing.assert_allclose(read["energy_uncertainty"][:500], gammas["energy_uncertainty"])
    assert np.all(np.isnan(read["direction_uncertainty"][500:]))
    metrics = evaluate(paths, tmp_path, EvaluationSettings())
    assert metrics["energy_pull_width"] == pytest.approx(1, abs=0.15)
    assert metrics["direction_coverage_68"] == pytest.approx(0.683, abs=0.09)
    assert metrics["impact_pull_width"] == pytest.approx(1, abs=0.1)
    assert metrics["impact_coverage_68"] == pytest.approx(0.683, abs=0.09)
    table = QTable.read(tmp_path / "evaluation" / "energy_uncertainty.ecsv")
    assert set(table["n_events"]) == {500}
    assert table.meta["width"] == metrics["energy_pull_width"]
    assert (tmp_path / "evaluation" / "direction_uncertainty.png").exists()
    assert (tmp_path / "evaluation" / "impact_uncertainty.png").exists()


def test_columns_without_values_are_no_uncertainties(tmp_path, smear, make_truth, write_dl2):
    """ctapipe's tables have the column whether or not it is filled."""
    gammas = smear(make_truth(5))
    gammas["energy_uncertainty"] = np.full(5, np.nan) * u.TeV
    read = read_events([write_dl2(tmp_path / "a.h5", gammas, quantities=["energy"])])
    assert "energy_uncertainty" not in read.colnames


def test_a_mean_of_telescopes_has_not_those_of_a_telescope(tmp_path, smear, make_truth, write_dl2):
    images = smear(make_truth(4))
    images["event_id"] //= 2
    images["tel_id"] = np.array([1, 2] * 2)
    images["energy_uncertainty"] = np.full(4, 0.1) * u.TeV
    path = write_dl2(tmp_path / "a.h5", images, level="telescope", quantities=["energy"])
    read = read_events([path])
    assert "energy_uncertainty" in read.colnames
    assert "energy_uncertainty" not in combine_telescopes(read).colnames
