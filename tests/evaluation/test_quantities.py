"""Quantities: what follows from one of them, and from the list of all."""

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from ctapipe.io import read_table, write_table

from gammalearn.evaluation import MAIN_QUANTITIES, QUANTITIES, evaluate
from gammalearn.evaluation.events import reading
from gammalearn.settings import EvaluationSettings

SHOWERS = "/simulation/event/subarray/shower"
BIAS, SIGMA = 1.5, 2.0  # km


def test_their_order_is_that_of_the_report():
    assert list(QUANTITIES) == [
        *("energy", "direction", "impact", "depth_of_maximum", "particle_type"),
    ]
    assert list(MAIN_QUANTITIES) == ["energy", "direction", "particle_type"]


def test_no_two_give_the_same_numbers_or_pictures():
    for names in (
        [statistic.name for quantity in QUANTITIES.values() for statistic in quantity.statistics],
        [name for quantity in QUANTITIES.values() for name in quantity.results],
        [name for q in QUANTITIES.values() for name in (*q.columns, *q.optional, *q.truth)],
    ):
        assert len(set(names)) == len(names)


@pytest.fixture
def height(pytestconfig, monkeypatch):
    """The quantity that the documentation shows, as if it stood in the list of all."""
    page = (pytestconfig.rootpath / "docs" / "howto" / "new_task.md").read_text(encoding="utf-8")
    (snippet,) = (
        code
        for code in re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
        if "gammalearn.evaluation" in code
    )
    scope = {}
    exec(snippet, scope)
    quantity = scope["FirstInteraction"]()
    monkeypatch.setitem(QUANTITIES, quantity.name, quantity)
    # Processes that read files may have begun before it was listed.
    monkeypatch.setattr(reading, "isolated", lambda read, paths: map(read, paths))
    return quantity


@pytest.mark.usefixtures("blank_pictures")
def test_a_new_quantity_is_one_class(height, tmp_path, make_truth, smear, write_dl2):
    events = smear(make_truth(400))
    random = np.random.default_rng(3)
    true = random.uniform(10, 40, len(events))
    path = write_dl2(tmp_path / "a.h5", events)
    result = Table({name: np.asarray(events[name]) for name in ("obs_id", "event_id")})
    result["Test_h_first_int"] = (true + random.normal(BIAS, SIGMA, len(events))) * u.km
    result["Test_first_interaction_is_valid"] = np.arange(len(events)) >= 10
    write_table(result, path, "/dl2/event/subarray/first_interaction/Test")
    showers = read_table(path, SHOWERS)
    showers["true_h_first_int"] = 1000 * true * u.m
    write_table(showers, path, SHOWERS, overwrite=True)

    metrics = evaluate([path], tmp_path / "out", EvaluationSettings())
    # Errors of the median and of half of the central 68 %: 1.25 σ/√n and 0.93 σ/√n.
    limit = 4 * 1.25 * SIGMA / np.sqrt(390)
    assert metrics["h_first_int_bias"] == pytest.approx(BIAS, abs=limit)
    assert metrics["h_first_int_resolution"] == pytest.approx(SIGMA, abs=limit)
    written = tmp_path / "out" / "evaluation" / "h_first_int_resolution.ecsv"
    table = QTable.read(written)
    assert table["n_events"].sum() == 390
    assert table["h_first_int_bias_error"].unit == u.km
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<div class="label">Resolution of the first interaction</div>' in page

    # What another evaluation left there is removed.
    other = write_dl2(tmp_path / "b.h5", events[:20])
    metrics = evaluate([other], tmp_path / "out", EvaluationSettings())
    assert metrics["h_first_int_bias"] is None
    assert not written.exists()
