"""Events without truth: what can be said of them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from gammalearn.errors import EvaluationError
from gammalearn.evaluation import compare, evaluate, read_events
from gammalearn.evaluation.statistics.distribution import distribution
from gammalearn.settings import EvaluationSettings


@pytest.fixture
def observed(tmp_path, make_truth, smear, write_dl2):
    events = smear(make_truth(50))
    events["energy_is_valid"][:5] = False
    path = write_dl2(tmp_path / "observed.h5", events, simulated=False, runs={})
    return path, events


def test_their_truth_is_not_known(observed):
    path, _ = observed
    events = read_events([path], observed=True)
    assert set(events["particle"]) == {"unknown"}
    assert np.all(np.isnan(events["true_energy"]))
    assert len(np.unique(events["shower"])) == 50
    with pytest.raises(EvaluationError, match="holds no simulated truth"):
        read_events([path])


@pytest.mark.usefixtures("blank_pictures")
def test_distributions_are_reported(observed, tmp_path):
    path, events = observed
    metrics = evaluate([path], tmp_path / "out", EvaluationSettings())
    assert (metrics["n_events"], metrics["n_energy_reconstructed"]) == (50, 45)
    for name in ("energy_resolution", "angular_resolution_68", "auc", "best_relative_sensitivity"):
        assert metrics[name] is None
    written = sorted(p.name for p in (tmp_path / "out" / "evaluation").iterdir())
    assert written == [
        *("gammaness.ecsv", "gammaness.png", "reco_energy.ecsv", "reco_energy.png"),
        *("reco_offset.ecsv", "reco_offset.png"),
    ]
    table = QTable.read(tmp_path / "out" / "evaluation" / "reco_energy.ecsv")
    edges = np.append(table["reco_energy_low"], table["reco_energy_high"][-1:])
    expected = np.histogram(events["reco_energy"][5:].value, edges.value)[0]
    assert table["n_events"].tolist() == expected.tolist()
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "50 observed events, one result for each shower seen by the array." in html
    assert "The files hold no simulated truth" in html
    assert "signal" not in html


@pytest.mark.usefixtures("blank_pictures")
def test_they_have_the_same_metrics(observed, tmp_path, make_truth, smear, write_dl2):
    path, events = observed
    simulated = evaluate(
        [write_dl2(tmp_path / "a.h5", events, runs={})], tmp_path / "a", EvaluationSettings()
    )
    metrics = evaluate([path], tmp_path / "out", EvaluationSettings())
    of_unknown = {name for name in metrics if name.endswith("_unknown")}
    assert set(metrics) - of_unknown == set(simulated)


@pytest.mark.usefixtures("blank_pictures")
def test_they_are_not_mixed_with_simulated_ones_nor_compared(
    observed, tmp_path, make_truth, smear, write_dl2
):
    path, events = observed
    simulated = write_dl2(tmp_path / "a.h5", events)
    with pytest.raises(EvaluationError, match=r"a.h5' holds simulated truth and .*evaluate them"):
        evaluate([simulated, path], tmp_path / "out", EvaluationSettings())
    with pytest.raises(EvaluationError, match="holds no simulated truth"):
        compare([str(path), str(simulated)], tmp_path / "out", EvaluationSettings())


def test_what_lies_outside_is_counted():
    table = distribution([0.5, 1.5, 1.7, 9] * u.TeV, [0, 1, 2] * u.TeV, "energy")
    assert table["n_events"].tolist() == [1, 2]
    assert table.meta["n_out_of_range"] == 1
