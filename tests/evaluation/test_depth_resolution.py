"""Bias and resolution of the depth of maximum against what was put in."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from ctapipe.io import read_table, write_table

from gammalearn.evaluation import evaluate, read_events
from gammalearn.evaluation.quantities.depth_of_maximum import DepthOfMaximum
from gammalearn.settings import EvaluationSettings

DEPTH = DepthOfMaximum()
GRAMMAGE = u.g / u.cm**2
BIAS, SIGMA = 15.0, 40.0
EDGES = [0.1, 1, 10] * u.TeV
SHOWERS = "/simulation/event/subarray/shower"


@pytest.fixture
def events(make_truth, smear):
    """Depths with a Gaussian error of 40 g/cm² around 15 g/cm²."""
    made = smear(make_truth(4000))
    random = np.random.default_rng(3)
    made["true_x_max"] = random.uniform(250, 500, len(made)) * GRAMMAGE
    made["reco_x_max"] = made["true_x_max"] + random.normal(BIAS, SIGMA, len(made)) * GRAMMAGE
    return made


@pytest.fixture
def write_depth(write_dl2):
    """Function that writes a DL2 file whose depths stand where those of networks do."""

    def write(path, events, level="subarray"):
        write_dl2(path, events, level=level)
        keys = ["obs_id", "event_id"] + ["tel_id"] * (level == "telescope")
        prefix = "Test" if level == "subarray" else "Test_tel"
        table = Table({name: np.asarray(events[name]) for name in keys})
        table[f"{prefix}_x_max"] = events["reco_x_max"]
        table[f"{prefix}_depth_of_maximum_is_valid"] = np.isfinite(events["reco_x_max"])
        where = f"/dl2/event/{level}/depth_of_maximum/Test"
        write_table(table, path, where if level == "subarray" else f"{where}/tel_001")
        showers = read_table(path, SHOWERS)
        showers["true_x_max"] = np.nan_to_num(events["true_x_max"].value) * GRAMMAGE
        write_table(showers, path, SHOWERS, overwrite=True)
        return path

    return write


def test_what_was_put_in_comes_out(events):
    table = DEPTH.resolution(events, EDGES)
    # Errors of the median and of half of the central 68 %: 1.25 σ/√n and 0.93 σ/√n.
    limit = 4 * 1.25 * SIGMA / np.sqrt(table["n_events"].min())
    np.testing.assert_allclose(table["x_max_bias"].value, BIAS, atol=limit)
    np.testing.assert_allclose(table["x_max_resolution"].value, SIGMA, atol=limit)
    assert table["x_max_bias"].unit == GRAMMAGE
    overall = DEPTH.measure(events)
    assert overall["x_max_bias"] == pytest.approx(BIAS, abs=4)
    assert overall["x_max_resolution"] == pytest.approx(SIGMA, abs=3)


def test_nothing_is_known_of_no_events(events):
    table = DEPTH.resolution(events[:0], EDGES)
    assert np.all(np.isnan(table["x_max_bias"])) and np.all(np.isnan(table["x_max_resolution"]))
    axes = DEPTH.draw(table, "gamma").axes[0]
    assert axes.texts[0].get_text() == "no events in the energy range"
    assert np.isnan(DEPTH.measure(events[:1])["x_max_resolution"])


@pytest.mark.parametrize("level", ["subarray", "telescope"])
def test_depths_are_read_where_networks_write_them(events, tmp_path, write_depth, level):
    some = events[:50]
    some["tel_id"] = 1
    some["reco_x_max"][0] = np.nan
    # A shower without a fit of its profile, for which 0 stands in the file.
    some["true_x_max"][1] = np.nan
    found = read_events([write_depth(tmp_path / "a.h5", some, level)])
    assert DEPTH.is_in(found)
    for name in ("reco_x_max", "true_x_max"):
        np.testing.assert_allclose(found[name].to_value(GRAMMAGE), some[name].value)
    assert len(DEPTH.select(found, "gamma")) == 48


@pytest.mark.usefixtures("blank_pictures")
def test_it_stands_in_the_evaluation(events, tmp_path, write_depth, write_dl2):
    """Also where another file has none."""
    other = write_dl2(tmp_path / "other.h5", events[:100])
    paths = [write_depth(tmp_path / "a.h5", events), other]
    metrics = evaluate(paths, tmp_path, EvaluationSettings())
    assert metrics["x_max_bias"] == pytest.approx(BIAS, abs=4)
    assert metrics["x_max_resolution"] == pytest.approx(SIGMA, abs=3)
    table = QTable.read(tmp_path / "evaluation" / "x_max_resolution.ecsv")
    assert table["n_events"].sum() == len(events)
    known = table["n_events"] >= 100
    for name, factor in (("x_max_bias", 1.25), ("x_max_resolution", 0.93)):
        expected = factor * SIGMA / np.sqrt(table["n_events"][known])
        ratio = table[f"{name}_error"][known].value / expected
        assert np.median(ratio) == pytest.approx(1, abs=0.15)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<div class="label">Resolution of the depth of maximum</div>' in html


@pytest.mark.usefixtures("blank_pictures")
def test_files_without_it_have_no_value(tmp_path, make_truth, smear, write_dl2):
    path = write_dl2(tmp_path / "a.h5", smear(make_truth(20)))
    metrics = evaluate([path], tmp_path, EvaluationSettings())
    assert metrics["x_max_bias"] is None and metrics["x_max_resolution"] is None
    assert not (tmp_path / "evaluation" / "x_max_resolution.png").exists()
