"""Resolution of the impact point against what was put in."""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from gammalearn.evaluation import evaluate, read_events
from gammalearn.evaluation.quantities.impact import (
    Impact,
    core_error,
    draw_impact_resolution,
    impact_resolution,
)
from gammalearn.settings import EvaluationSettings

SIGMA = 30 * u.m
EDGES = [0.1, 1, 10] * u.TeV

#: Of a Rayleigh distribution: σ √(−2 ln(1 − p)).
CONTAINED = np.sqrt(-2 * np.log(1 - 0.6827)) * SIGMA


@pytest.fixture
def events(make_truth, smear):
    """Impact points that are off by a Gaussian of 30 m in each coordinate."""
    made = smear(make_truth(4000))
    random = np.random.default_rng(3)
    for axis in "xy":
        made[f"true_core_{axis}"] = random.uniform(-300, 300, len(made)) * u.m
        error = random.normal(0, SIGMA.value, len(made)) * u.m
        made[f"reco_core_{axis}"] = made[f"true_core_{axis}"] + error
    return made


def test_the_distance_is_that_on_the_ground():
    names = ("true_core_x", "true_core_y", "reco_core_x", "reco_core_y")
    far = QTable(
        dict(zip(names, ([0], [10], [0.03], [50]), strict=True)), units=["m", "m", "km", "m"]
    )
    assert core_error(far)[0] == 50 * u.m


def test_a_gaussian_error_has_the_radius_of_rayleigh(events):
    table = impact_resolution(events, EDGES)
    energy = events["true_energy"]
    assert table["n_events"].tolist() == [
        np.sum((energy >= low) & (energy < high))
        for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)
    ]
    np.testing.assert_allclose(table["impact_resolution_68"], CONTAINED, rtol=0.05)
    overall = Impact().measure(events)["impact_resolution_68"]
    assert overall == pytest.approx(CONTAINED.value, rel=0.03)


def test_nothing_is_known_of_no_events(events):
    table = impact_resolution(events[:0], EDGES)
    assert np.all(np.isnan(table["impact_resolution_68"])) and table["n_events"].sum() == 0
    assert np.isnan(Impact().measure(events[:0])["impact_resolution_68"])
    axes = draw_impact_resolution(table, "gamma").axes[0]
    assert axes.texts[0].get_text() == "no events in this range"


def test_events_without_an_impact_are_left_out(events):
    events["reco_core_y"][:10] = np.nan
    assert len(Impact().select(events, "gamma")) == len(events) - 10
    assert not Impact().is_in(events["true_core_x", "true_core_y"])


@pytest.mark.usefixtures("blank_pictures")
def test_it_stands_in_the_evaluation(events, tmp_path, write_dl2):
    path = write_dl2(tmp_path / "a.h5", events)
    metrics = evaluate([path], tmp_path, EvaluationSettings())
    assert metrics["impact_resolution_68"] == pytest.approx(CONTAINED.value, rel=0.03)
    table = QTable.read(tmp_path / "evaluation" / "impact_resolution.ecsv")
    known = table["n_events"] >= 100
    assert known.sum() > 5
    # σ(r68) = √(0.68 · 0.32 / n) / f(r68), with the Rayleigh density f(r68) = 0.32 r68 / σ².
    density = 0.3173 * CONTAINED / SIGMA**2
    expected = np.sqrt(0.6827 * 0.3173 / table["n_events"][known]) / density
    ratio = (table["impact_resolution_68_error"][known] / expected).to_value(u.one)
    assert np.median(ratio) == pytest.approx(1, abs=0.15)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<div class="label">Impact resolution, 68 %</div>' in html


@pytest.mark.usefixtures("blank_pictures")
def test_files_without_it_have_no_value(tmp_path, make_truth, smear, write_dl2):
    path = write_dl2(tmp_path / "a.h5", smear(make_truth(20)))
    evaluate([path], tmp_path, EvaluationSettings())
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["impact_resolution_68"] is None
    assert not (tmp_path / "evaluation" / "impact_resolution.png").exists()
    assert not Impact().is_in(read_events([path]))
