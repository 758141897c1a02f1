"""Results of tables are what `gammalearn evaluate` and `compare` write of DL2 files."""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import angular_separation
from astropy.table import QTable, vstack
from matplotlib.figure import Figure

import gammalearn
from gammalearn.cli import main
from gammalearn.errors import EvaluationError, InputFileError, OutputError, SettingsError

pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture(scope="module")
def events(dl2_files):
    return gammalearn.read_dl2(dl2_files)


@pytest.fixture(scope="module")
def results(events):
    return gammalearn.evaluate(events, bins_per_decade=2)


def test_a_table_gives_what_the_command_writes(results, dl2_files, tmp_path):
    folder = tmp_path / "evaluation"
    words = ["evaluate", *map(str, dl2_files), "-o", str(folder), "-q"]
    assert main([*words, "--set", "evaluation.bins_per_decade=2"]) == 0
    assert results.metrics == json.loads((folder / "metrics.json").read_text())
    written = {path.stem: path for path in (folder / "evaluation").glob("*.ecsv")}
    assert set(results.tables) == set(written)
    for name, table in results.tables.items():
        read = QTable.read(written[name])
        assert read.colnames == table.colnames
        for column in table.colnames:
            np.testing.assert_array_equal(read[column], table[column], err_msg=name)


def test_numbers_are_those_of_the_table(results, reconstructed):
    """The angle that holds 68 % of the gammas, by astropy and numpy."""
    gammas = reconstructed[reconstructed["particle"] == "gamma"]
    angle = angular_separation(
        gammas["true_az"], gammas["true_alt"], gammas["reco_az"], gammas["reco_alt"]
    )
    expected = np.quantile(angle.to_value(u.deg), 0.68)
    assert results.metrics["angular_resolution_68"] == pytest.approx(expected, rel=0.02)
    assert results.metrics["n_events_gamma"] == len(gammas)


def test_what_a_network_says_is_evaluated_without_files_between(reconstructed, results):
    ours = gammalearn.evaluate(reconstructed, bins_per_decade=2)
    for name in ("energy_resolution", "angular_resolution_68", "auc", "impact_resolution_68"):
        assert ours.metrics[name] == pytest.approx(results.metrics[name], rel=1e-4)
    area, expected = (r.tables["effective_area"] for r in (ours, results))
    np.testing.assert_allclose(
        area["effective_area_reconstructed"].value, expected["effective_area_reconstructed"].value
    )


def test_rows_that_are_left_out_are_cut_away(events):
    """As many showers were simulated as before, and fewer are left; no protons change that."""
    gammas = events[events["particle"] == "gamma"][::2]
    cut, whole = gammalearn.evaluate(gammas), gammalearn.evaluate(events)
    area, of_all = (results.tables["effective_area"] for results in (cut, whole))
    assert np.sum(area["n_triggered"]) == len(gammas)
    assert np.sum(of_all["n_triggered"]) == np.sum(events["particle"] == "gamma")
    np.testing.assert_array_equal(area["n_simulated"], of_all["n_simulated"])
    assert not any("not counted" in warning for warning in cut.warnings)


def test_pictures_are_figures(results):
    assert {"energy_resolution", "migration_matrix_energy"} <= set(results.figures)
    figure = results.figures["energy_resolution"]
    assert isinstance(figure, Figure) and figure.axes[0].get_ylabel()
    assert repr(results).startswith("<Evaluation: migration_matrix_energy, energy_resolution")


def test_results_write_themselves(results, tmp_path):
    results.write(tmp_path / "folder")
    assert (tmp_path / "folder" / "report.html").is_file()
    assert (tmp_path / "folder" / "evaluation" / "energy_resolution.png").is_file()
    with pytest.raises(OutputError, match="has results; .* overwrite=True"):
        results.write(tmp_path / "folder")
    results.write(tmp_path / "folder", overwrite=True)


def test_the_given_table_stays_as_it_is(events):
    before = events.copy()
    gammalearn.evaluate(events)
    gammalearn.compare({"one": events, "two": events[::2]})
    assert events.colnames == before.colnames and events.meta == before.meta


def test_tables_may_be_written_and_read_again(events, results, tmp_path):
    events.write(tmp_path / "events.ecsv")
    again = QTable.read(tmp_path / "events.ecsv")
    metrics = gammalearn.evaluate(again, bins_per_decade=2).metrics
    assert metrics == results.metrics


def test_a_comparison_is_that_of_the_command(events, dl2_files, tmp_path):
    folder, output = str(dl2_files[0].parent), tmp_path / "comparison"
    words = ["compare", folder, f"{folder}:GammaLearn", "--labels", "a", "b", "-q"]
    assert main([*words, "-o", str(output)]) == 0
    written = json.loads((output / "comparison.json").read_text())
    for sets in ({"a": events, "b": events}, {"a": folder, "b": list(dl2_files)}):
        found = gammalearn.compare(sets)
        assert found.numbers["results"] == written["results"]
        assert found.numbers["signal"] == "gamma"
    assert set(found.tables) == {path.stem for path in (output / "comparison").glob("*.ecsv")}
    found.write(tmp_path / "written")
    assert (tmp_path / "written" / "compare.html").is_file()


def test_runs_of_one_label_are_of_one_method(events):
    found = gammalearn.compare([("a", events), ("b", events), ("b", events)])
    energy = found.numbers["results"]["energy"]["energy_resolution"]
    assert energy["a"]["n_runs"] == 1 and energy["b"]["n_runs"] == 2
    assert energy["b"]["spread"] == 0


def test_what_cannot_be_evaluated(events, tmp_path):
    with pytest.raises(EvaluationError, match="keep its meta"):
        gammalearn.evaluate(QTable({"reco_energy": [1] * u.TeV}))
    with pytest.raises(SettingsError, match="did you mean 'signal'"):
        gammalearn.evaluate(events, signl="proton")
    with pytest.raises(InputFileError, match="does not exist"):
        gammalearn.evaluate(tmp_path / "nothing.dl2.h5")
    with pytest.raises(EvaluationError, match="two sets"):
        gammalearn.compare({"a": events})
    with pytest.raises(SettingsError, match="weights='light' is not known"):
        gammalearn.compare({"a": events, "b": events}, weights="light")
    twice = vstack([events, events], metadata_conflicts="silent")
    with pytest.raises(EvaluationError, match="twice"):
        gammalearn.compare({"a": twice, "b": events})
