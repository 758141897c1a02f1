"""Efficiency, purity and confusion by hand."""

import numpy as np
import pytest
from astropy.table import QTable
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from gammalearn.evaluation.statistics.working_points import (
    confusion_matrix,
    draw_confusion_matrix,
    draw_working_points,
    gammaness_threshold,
    working_points,
)


def scores(**by_particle):
    particle = [name for name, values in by_particle.items() for _ in values]
    values = [value for values in by_particle.values() for value in values]
    return QTable(
        {"particle": np.array(particle, dtype="U8"), "gammaness": np.array(values, float)}
    )


def test_thresholds_keep_what_they_should():
    values = np.array([0.1, 0.2, 0.3, 0.4])
    assert gammaness_threshold(values, 0.5) == 0.3
    assert np.mean(values >= gammaness_threshold(values, 0.75)) == 0.75
    assert gammaness_threshold(values, 1) == 0.1
    assert np.isnan(gammaness_threshold(np.array([]), 0.5))


def test_a_working_point_by_hand():
    events = scores(gamma=[0.9, 0.8, 0.6, 0.2, 0.1], proton=[0.7, 0.3, 0.2, 0.1], electron=[0.9])
    (point,) = working_points(events, [0.6])
    assert point["threshold"] == 0.6
    assert point["n_events"] == 5
    assert point["efficiency_gamma"] == pytest.approx(3 / 5)
    assert point["efficiency_proton"] == pytest.approx(1 / 4)
    assert point["efficiency_electron"] == 1
    assert point["efficiency_other"] == pytest.approx(2 / 5)
    assert point["purity"] == pytest.approx(3 / 5)
    assert point["quality"] == pytest.approx(0.6 / np.sqrt(0.4))
    assert point["purity_low"] < 0.6 < point["purity_high"]


def test_confusion_is_sklearns():
    random = np.random.default_rng(0)
    events = scores(gamma=random.uniform(0.2, 1, 300), proton=random.uniform(0, 0.8, 200))
    matrix = confusion_matrix(events)
    is_gamma, taken = events["particle"] == "gamma", events["gammaness"] >= 0.5
    expected = sklearn_confusion_matrix(is_gamma, taken, labels=[True, False])
    assert matrix["particle"].tolist() == ["gamma", "proton"]
    assert np.column_stack([matrix["n_as_gamma"], matrix["n_as_other"]]).tolist() == (
        expected.tolist()
    )
    np.testing.assert_allclose(matrix["as_gamma"] + matrix["as_other"], 1)


def test_of_one_class_or_nothing_what_there_is():
    points = working_points(scores(proton=[0.2, 0.4]))
    assert np.all(np.isnan(points["threshold"])) and np.all(np.isnan(points["purity"]))
    points = working_points(scores(gamma=[0.2, 0.4]))
    assert np.all(points["purity"] == 1) and np.all(np.isnan(points["efficiency_other"]))
    for events in (scores(proton=[0.2]), scores(gamma=[0.2]), scores(gamma=[])):
        assert draw_confusion_matrix(confusion_matrix(events)).axes
        assert draw_working_points(events).axes
