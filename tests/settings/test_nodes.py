"""Simulations at several nodes of zenith and azimuth, from one entry."""

import pytest
from pydantic import ValidationError

from gammalearn.settings import Experiment

ENTRY = {
    "output": "data/gamma_{zenith}_{azimuth}.dl1.h5",
    "particle": "gamma",
    "n_showers": 10,
    "energy": (0.1, 1),
}


def test_each_node_is_a_file_with_showers_of_its_own():
    nodes = [[20, 0], [47.5, "180 deg"], ["0.5 rad", 90]]
    made = Experiment(simulation=[{**ENTRY, "nodes": nodes, "run": 5, "seed": 3}]).simulation
    assert [(one.zenith, one.azimuth) for one in made[:2]] == [(20, 0), (47.5, 180)]
    assert made[2].zenith == pytest.approx(28.6479, abs=1e-4)
    assert [one.run for one in made] == [5, 6, 7] and {one.seed for one in made} == {3}
    assert made[1].output == "data/gamma_47.5_180.dl1.h5"


def test_entries_with_and_without_nodes_go_together():
    single = {**ENTRY, "output": "single.dl1.h5", "run": 9}
    made = Experiment(simulation=[{**ENTRY, "nodes": [[20, 0], [40, 0]]}, single]).simulation
    assert [one.zenith for one in made] == [20, 40, 20]
    # As they are stored in a checkpoint.
    stored = Experiment(simulation=[one.model_dump(mode="json") for one in made])
    assert stored.simulation == made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": [[20]]}, "pairs of zenith and azimuth"),
        ({"nodes": "many"}, "pairs of zenith and azimuth"),
        ({"nodes": []}, "at least one node"),
        ({"nodes": [[20, 0]], "zenith": 20}, "leave out zenith and azimuth"),
        ({"nodes": [[20, 0], [20, 0]]}, "each node once"),
        ({"nodes": [[20, 0], [40, 0]], "output": "a.dl1.h5"}, "different names"),
        ({"nodes": [[72, 0]]}, "zenith"),
    ],
)
def test_nodes_that_make_no_files_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        Experiment(simulation=[{**ENTRY, **changes}])


def test_runs_of_one_particle_may_not_be_the_same():
    nodes = [[20, 0], [40, 0]]
    other = {**ENTRY, "output": "b_{zenith}.dl1.h5", "run": 2}
    with pytest.raises(ValidationError, match="same showers"):
        Experiment(simulation=[{**ENTRY, "nodes": nodes}, {**other, "nodes": nodes}])
