"""Separation in bins of energy."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import vstack
from sklearn.metrics import roc_auc_score

from gammalearn.evaluation.quantities.particle_type import area_by_energy, draw_area_by_energy


@pytest.fixture(scope="module")
def events(make_truth, smear):
    made = smear(vstack([make_truth(300), make_truth(200, particle="proton")]))
    made["shower"] = np.arange(len(made))
    return made


def test_each_bin_is_sklearns(events):
    edges = [0.05, 1, 10, 1000, 2000] * u.TeV
    table = area_by_energy(events, edges)
    for row in table[:2]:
        energy = events["true_energy"]
        mine = events[(energy >= row["true_energy_low"]) & (energy < row["true_energy_high"])]
        is_gamma = mine["particle"] == "gamma"
        assert (row["n_gamma"], row["n_other"]) == (is_gamma.sum(), (~is_gamma).sum())
        assert row["auc"] == pytest.approx(roc_auc_score(is_gamma, mine["gammaness"]))
        assert 0 < row["auc_error"] < 0.1
    assert table["n_events"].tolist()[3] == 0
    assert np.isnan(table["auc"][3])


def test_one_class_only_has_no_area(events):
    gammas = events[events["particle"] == "gamma"]
    table = area_by_energy(gammas, [0.05, 1, 20] * u.TeV)
    assert np.all(np.isnan(table["auc"])) and np.all(table["n_gamma"] > 0)
    figure = draw_area_by_energy(table)
    assert "no energy has both" in figure.axes[0].texts[0].get_text()
