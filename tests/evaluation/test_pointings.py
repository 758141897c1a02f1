"""Simulations of several pointings are evaluated one by one."""

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import QTable

from gammalearn.evaluation import evaluate, read_events
from gammalearn.evaluation.performance.observation import evaluate_performance
from gammalearn.evaluation.performance.pointings import evaluate_pointings, find_nodes
from gammalearn.evaluation.performance.production import Node
from gammalearn.settings import EvaluationSettings

pytestmark = pytest.mark.usefixtures("blank_pictures")

#: Nodes (zenith, azimuth) of the files; the first is where the files of other tests point.
NODES = [(20.0, 180.0), (50.0, 180.0)]


def point(path, zenith, azimuth):
    """Have a file of `write_dl2` point elsewhere: its blocks and its telescopes."""
    with tables.open_file(path, "a") as file:
        block = file.root.configuration.observation.observation_block
        block.modify_column(column=np.full(block.nrows, azimuth), colname="subarray_pointing_lon")
        block.modify_column(
            column=np.full(block.nrows, 90 - zenith), colname="subarray_pointing_lat"
        )
        for table in file.iter_nodes("/configuration/telescope/pointing", "Table"):
            n = table.nrows
            table.modify_column(column=np.full(n, azimuth), colname="telescope_pointing_azimuth")
            table.modify_column(
                column=np.full(n, 90 - zenith), colname="telescope_pointing_altitude"
            )
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory, make_truth, smear, write_dl2):
    """Gammas at two pointings, with other errors and other numbers of thrown showers."""
    folder = tmp_path_factory.mktemp("pointings")
    made = []
    for number, node in enumerate(NODES):
        truth = make_truth(300, seed=number)
        truth["obs_id"] += 10 * number
        events = smear(truth, bias=0.1 * number, angle=0.1 * (1 + number), seed=number)
        runs = {"n_showers": 1000 * (1 + number), "max_alt": 90 - node[0], "max_az": node[1]}
        path = write_dl2(folder / f"{number}.h5", events, runs=runs)
        made.append(point(path, *node))
    return made


def test_pointings_near_each_other_are_one_node():
    events = QTable({"pointing_alt": [70, 70.3, 50, 70] * u.deg})
    events["pointing_az"] = [359.9, 0.2, 0, 180] * u.deg
    nodes, of_event = find_nodes(events)
    assert len(nodes) == 3
    assert of_event[0] == of_event[1]
    assert {(round(node.zenith), round(node.azimuth)) for node in nodes} >= {(40, 0), (20, 180)}


def test_a_telescope_that_follows_a_source_has_no_nodes():
    alt = np.linspace(20, 80, 400)
    events = QTable({"pointing_alt": alt * u.deg, "pointing_az": 5 * alt * u.deg})
    assert find_nodes(events)[0] == []
    unknown = QTable({"pointing_alt": [70, np.nan] * u.deg, "pointing_az": [0, 0] * u.deg})
    assert find_nodes(unknown)[0] == []


def test_a_node_does_not_hold_what_is_unknown():
    assert not Node(20, 180).holds(np.nan, np.nan)
    assert Node(20, 359.8).holds(70.2, 0.2)


def test_effective_areas_are_those_of_each_file_alone(paths):
    """The second pointing threw twice as many showers: its area is not that of both together."""
    settings = EvaluationSettings()
    together = evaluate_pointings(paths, read_events(paths), "gamma", settings)
    (area,) = (r.table for r in together.results if r.name == "effective_area_by_pointing")
    for path, (zenith, _) in zip(paths, NODES, strict=True):
        alone = evaluate_performance([path], read_events([path]), "gamma", settings)
        (expected,) = (r.table for r in alone.results if r.name == "effective_area")
        mine = area[area["zenith"] == zenith * u.deg]
        for name in ("n_simulated", "effective_area_triggered", "effective_area_reconstructed"):
            np.testing.assert_array_equal(mine[name], expected[name])
    assert together.metrics["n_simulated_signal"] == 30_000
    assert together.metrics["best_relative_sensitivity"] is None
    assert "effective_area" not in [result.name for result in together.results]
    assert "The events are of 2 pointings" in together.warnings[0]


def test_a_run_without_events_counts_where_it_points(make_truth, smear, write_dl2, tmp_path):
    """Of a file with two runs at one pointing, one of which triggered nothing."""
    settings, made = EvaluationSettings(), []
    for number, node in enumerate(NODES):
        truth = make_truth(50, seed=number)
        truth["obs_id"] += 10 * number
        obs_id = int(truth["obs_id"][0])
        runs = {"obs_id": [obs_id, 500 + number], "max_alt": 90 - node[0], "max_az": node[1]}
        path = write_dl2(tmp_path / f"{number}.h5", smear(truth), runs=runs)
        made.append(point(path, *node))
    found = evaluate_pointings(made, read_events(made), "gamma", settings)
    table = next(result.table for result in found.results if result.name == "by_pointing")
    assert list(table["n_simulated"]) == [20_000, 20_000]


def test_figures_are_those_of_each_pointing(paths, tmp_path):
    evaluate(paths, tmp_path, EvaluationSettings())
    table = QTable.read(tmp_path / "evaluation" / "by_pointing.ecsv")
    np.testing.assert_allclose(table["zenith"].to_value("deg"), [20, 50])
    assert list(table["n_simulated"]) == [10_000, 20_000]
    # The error of both coordinates is 0.1 and 0.2 deg, and the bias 0 and 0.1.
    expected = np.array([0.1, 0.2]) * np.sqrt(-2 * np.log(1 - 0.6827))
    error = table["angular_resolution_68_error"].to_value("deg")
    assert np.all(np.abs(table["angular_resolution_68"].to_value("deg") - expected) < 4 * error)
    bias, error = (u.Quantity(table[f"energy_bias{end}"]).value for end in ("", "_error"))
    assert np.all(np.abs(bias - [0, 0.1]) < 4 * error)
    assert "by_pointing" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_one_pointing_is_evaluated_as_ever(paths):
    found = evaluate_pointings(paths[:1], read_events(paths[:1]), "gamma", EvaluationSettings())
    assert [result.name for result in found.results] == ["effective_area"]
