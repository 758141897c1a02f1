"""Reconstructions with known errors, on identical events."""

import json
import re

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack
from ctapipe.io import read_table, write_table
from pyirf.benchmarks import angular_resolution, energy_bias_resolution

from gammalearn.cli import main
from gammalearn.errors import EvaluationError, InputFileError
from gammalearn.evaluation import (
    QUANTITIES,
    compare,
    differences,
    differences_by_energy,
    read_events,
)
from gammalearn.evaluation.comparison import RESULT_NAMES
from gammalearn.evaluation.reconstructions import in_common, limited, line_up, read_reconstructions
from gammalearn.settings import EvaluationSettings

SETTINGS = EvaluationSettings(energy_range=(0.05, 20), bins_per_decade=3)


@pytest.fixture(scope="module")
def truth(make_truth):
    """Gammas and protons of one file each, with the same ids."""
    gammas, protons = make_truth(1500), make_truth(800, seed=5, particle="proton")
    protons["obs_id"] = gammas["obs_id"][0]
    return gammas, protons


@pytest.fixture(scope="module")
def runs(tmp_path_factory, truth, smear, write_dl2):
    """Folders of runs: two alike but for the seed, one worse in angle that lacks some events."""
    folder = tmp_path_factory.mktemp("runs")
    errors = {
        "good": {"angle": 0.1, "seed": 1},
        "again": {"angle": 0.1, "seed": 2},
        "worse": {"angle": 0.15, "seed": 3},
    }
    for name, error in errors.items():
        (folder / name / "dl2").mkdir(parents=True)
        for particle, table in zip(("gamma", "proton"), truth, strict=True):
            events = smear(table, **error)
            if name == "worse":
                events = events[100:]
                events["energy_is_valid"][:50] = False
            write_dl2(folder / name / "dl2" / f"{particle}.dl2.h5", events)
    return folder


@pytest.fixture(scope="module")
def mono(runs, truth, smear, write_dl2):
    """Each shower of the gammas seen by four telescopes, with independent errors of 0.2."""
    (runs / "mono").mkdir()
    for particle, table in zip(("gamma", "proton"), truth, strict=True):
        images = vstack([smear(table, angle=0.2, energy=0.2, seed=10 + tel) for tel in range(4)])
        images["tel_id"] = np.repeat(np.arange(1, 5), len(table))
        images = images[np.argsort(images["event_id"], kind="stable")]
        write_dl2(runs / "mono" / f"{particle}.dl2.h5", images, level="telescope")
    return runs / "mono"


def rows(words, quantity, statistic, labels=None):
    """Label → row of `differences`, without the pictures."""
    reconstructions = [
        reconstruction
        for reconstruction in line_up(
            read_reconstructions([str(word) for word in words], labels, None)
        )
        if reconstruction.has(quantity)
    ]
    table = differences(in_common(reconstructions, quantity), QUANTITIES[quantity], n_resamples=100)
    table = table[table["statistic"] == statistic]
    return {
        reconstruction.label: row
        for reconstruction, row in zip(reconstructions, table, strict=True)
    }


@pytest.fixture(scope="module")
def compared(runs, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "new"
    return output, compare([str(runs / "good"), str(runs / "worse")], output, SETTINGS)


def test_all_results_are_written_and_nothing_else(compared):
    output, numbers = compared
    names = sorted(path.name for path in output.iterdir())
    assert names == ["compare.html", "comparison", "comparison.json"]
    written = sorted(path.name for path in (output / "comparison").iterdir())
    assert written == sorted(f"{n}.{end}" for n in RESULT_NAMES for end in ("png", "ecsv"))
    assert json.loads((output / "comparison.json").read_text(encoding="utf-8")) == numbers


def test_events_that_one_lacks_are_counted_and_left_out(compared):
    _, numbers = compared
    good, worse = numbers["sets"]
    assert (good["n_events"], good["n_matched"], good["n_unmatched"]) == (2300, 2100, 200)
    assert (worse["n_events"], worse["n_matched"], worse["n_unmatched"]) == (2100, 2100, 0)
    assert good["n_matched_with_energy"] == 2100
    assert worse["n_matched_with_energy"] == 2000
    # 100 gammas are missing and 50 have no energy.
    for row in numbers["results"]["energy"]["energy_resolution"].values():
        assert row["n_events"] == 1350
    for row in numbers["results"]["direction"]["angular_resolution_68"].values():
        assert row["n_events"] == 1400


def test_rows_of_the_results_stand_for_themselves_and_sort_as_numbers(compared):
    """However the table is sorted, each row tells what it is of, and its numbers their order."""
    output, numbers = compared
    html = (output / "compare.html").read_text(encoding="utf-8")
    head, body = (
        html.split('<h2 id="results">Results</h2>')[1].split("</table>")[0].split("<tbody>")
    )
    assert '<th>Result</th><th>Set</th><th class="number">Value</th>' in head
    cells = [re.findall("<td.*?</td>", row) for row in body.split("<tr>")[1:]]
    found = {
        tuple(re.sub("<.*?>", "", cell) for cell in row[:2]): [
            float(re.search('data-value="([^"]*)"', cell)[1]) for cell in row[2:4]
        ]
        for row in cells
    }
    angle = numbers["results"]["direction"]["angular_resolution_68"]
    for label in ("good", "worse"):
        row = angle[label]
        expected = [row["value"], row["relation"]]
        assert found["Angular resolution, 68 % (deg)", label] == expected
    assert angle["good"]["relation"] == 1


def test_what_was_put_in_comes_out(compared):
    _, numbers = compared
    angle = numbers["results"]["direction"]["angular_resolution_68"]
    # Rayleigh quantiles.
    assert angle["good"]["value"] == pytest.approx(0.1515, rel=0.05)
    assert angle["worse"]["relation"] == pytest.approx(
        1.5, abs=3 * angle["worse"]["relation_error"]
    )
    assert angle["worse"]["significance"] > 10
    # σ(θ68) = √(0.68 · 0.32 / n) / f(θ68), with the Rayleigh density f(θ68) = 0.32 θ68 / 0.1².
    density = 0.3173 * 0.1515 / 0.1**2
    expected = np.sqrt(0.6827 * 0.3173 / 1400) / density
    assert angle["good"]["error"] == pytest.approx(expected, rel=0.2)
    energy = numbers["results"]["energy"]["energy_resolution"]["worse"]
    assert abs(energy["significance"]) < 4
    assert abs(numbers["results"]["particle_type"]["auc"]["worse"]["significance"]) < 4


def test_binned_values_are_pyirfs(runs):
    reconstructions = line_up(
        read_reconstructions([str(runs / "good"), str(runs / "worse")], None, None)
    )
    edges = np.geomspace(0.05, 20, 6) * u.TeV
    for quantity, independent, names in (
        ("energy", energy_bias_resolution, ("bias", "resolution")),
        ("direction", angular_resolution, ("angular_resolution_68",)),
    ):
        common = in_common(reconstructions, quantity)
        table = differences_by_energy(common, QUANTITIES[quantity], edges, n_resamples=2)
        for reconstruction, (run,) in enumerate(common):
            if quantity == "direction":
                run["theta"] = u.Quantity(
                    np.arccos(
                        np.sin(run["true_alt"]) * np.sin(run["reco_alt"])
                        + np.cos(run["true_alt"])
                        * np.cos(run["reco_alt"])
                        * np.cos(run["true_az"] - run["reco_az"])
                    )
                ).to("deg")
            expected = independent(run, edges, energy_type="true")
            mine = table[table["reconstruction"] == reconstruction]
            for statistic, name in zip(np.unique(mine["statistic"]), names, strict=False):
                values = mine["value"][mine["statistic"] == statistic]
                np.testing.assert_allclose(values, u.Quantity(expected[name]).value, rtol=1e-6)


def test_tables_say_whose_and_of_what(compared):
    output, _ = compared
    table = QTable.read(output / "comparison" / "angular_resolution_68.ecsv")
    assert set(table["reconstruction"]) == {"good", "worse"}
    assert table.meta["reference"] == "good"
    assert table["true_energy_low"].unit == "TeV"
    matrix = QTable.read(output / "comparison" / "migration_matrix_energy.ecsv")
    counts = [
        matrix["counts"][matrix["reconstruction"] == name].sum() for name in ("good", "worse")
    ]
    assert all(1300 < count <= 1350 for count in counts)


def test_the_page_needs_nothing_else(compared):
    html = (compared[0] / "compare.html").read_text(encoding="utf-8")
    assert "<title>Comparison of good, worse</title>" in html
    assert html.count("<img ") == len(RESULT_NAMES)
    assert html.count('src="data:') == len(RESULT_NAMES)


def test_a_set_compared_with_itself_does_not_differ(runs):
    for quantity, statistic, same in (
        ("energy", "energy_bias", 0),
        ("direction", "angular_resolution_95", 1),
        ("particle_type", "auc", 1),
    ):
        found = rows([runs / "good"] * 2, quantity, statistic, ["one", "other"])
        assert found["other"]["relation"] == same
        assert found["other"]["relation_error"] == 0
        assert np.isnan(found["other"]["significance"])


def test_mono_enters_as_the_mean_of_telescopes_and_image_by_image(runs, mono):
    angle = rows([runs / "worse", mono], "direction", "angular_resolution_68")
    assert list(angle) == ["worse", "mono, mean of telescopes", "mono, each image"]
    # The showers that the other set has, 1400 gammas and 700 protons; four images of each.
    assert [row["n_events"] for row in angle.values()] == [2100, 2100, 8400]
    assert {row["n_showers"] for row in angle.values()} == {2100}
    assert angle["mono, each image"]["value"] == pytest.approx(0.303, rel=0.05)
    # Four independent telescopes halve the error.
    assert angle["mono, mean of telescopes"]["value"] == pytest.approx(0.1515, rel=0.05)
    area = rows([runs / "worse", mono], "particle_type", "auc")
    assert area["mono, mean of telescopes"]["value"] > area["mono, each image"]["value"]


def test_contenders_can_be_limited_to_some_events(runs, mono):
    """Also those that go by images; what is left are the same events of all."""
    reconstructions = line_up(read_reconstructions([str(runs / "good"), str(mono)]))
    some = np.asarray(reconstructions[0].runs[0]["event"])[::3]
    good, mean, images = in_common(limited(reconstructions, some), "direction")
    assert set(good[0]["event"]) == set(mean[0]["event"]) == set(images[0]["event"]) == set(some)
    assert len(images[0]) == 4 * len(some)
    assert len(reconstructions[0].runs[0]) == 2300


def test_runs_of_one_label_are_averaged_and_their_spread_is_known(runs):
    words, what = [runs / name for name in ("good", "again", "worse")], "angular_resolution_68"
    together = rows(words, "direction", what, ["same", "same", "worse"])
    alone = rows(words, "direction", what)
    values = [alone[name]["value"] for name in ("good", "again")]
    assert together["same"]["value"] == pytest.approx(np.mean(values))
    assert together["same"]["spread"] == pytest.approx(np.std(values, ddof=1))
    assert together["worse"]["value"] == alone["worse"]["value"]
    assert np.isnan(together["worse"]["spread"])
    # The scatter of the runs is part of what is uncertain.
    difference = together["worse"]["value"] - np.mean(values)
    variance = np.var(values, ddof=1) / 2
    assert abs(together["worse"]["significance"]) < difference / np.sqrt(variance)


@pytest.mark.parametrize("reference_has_runs", [False, True])
@pytest.mark.parametrize(
    ("quantity", "statistic"),
    [("energy", "energy_bias"), ("direction", "angular_resolution_68"), ("particle_type", "auc")],
)
def test_the_spread_of_the_runs_is_in_the_error_of_the_relation(
    make_truth, smear, quantity, statistic, reference_has_runs
):
    """Runs so far apart that hardly anything but their spread s/√2 matters, first order."""
    truth = vstack([make_truth(600), make_truth(600, particle="proton")])
    truth["shower"] = np.arange(len(truth))
    alone, one, other = (
        smear(truth, bias=bias, angle=angle, seed=seed)
        for seed, (bias, angle) in enumerate([(0.3, 0.2), (0.5, 0.3), (0.9, 0.6)], 1)
    )
    one["gammaness"] = np.where(np.arange(len(truth)) % 3, one["gammaness"], 0.5)
    other["gammaness"] = np.where(np.arange(len(truth)) % 3, 0.5, other["gammaness"])
    reconstructions = [[one, other], [alone]] if reference_has_runs else [[alone], [one, other]]
    table = differences(reconstructions, QUANTITIES[quantity], n_resamples=100)
    first, second = table[table["statistic"] == statistic]
    part = (first if reference_has_runs else second)["spread"] / np.sqrt(2)
    if statistic == "energy_bias":
        expected = part
    else:
        value, reference = (
            1 - row["value"] if statistic == "auc" else row["value"] for row in (second, first)
        )
        expected = part / reference * (value / reference if reference_has_runs else 1)
    assert second["relation_error"] == pytest.approx(expected, rel=0.1)
    assert second["relation_error"] > expected


def test_a_quantity_without_a_common_event_is_no_crash(tmp_path, make_truth, smear, write_dl2):
    words = []
    for number, chosen in enumerate((slice(0, 20), slice(20, 40))):
        events = smear(make_truth(40))
        events["energy_is_valid"] = False
        events["energy_is_valid"][chosen] = True
        words.append(str(write_dl2(tmp_path / f"{number}.h5", events)))
    numbers = compare(words, tmp_path / "out", SETTINGS)
    row = numbers["results"]["energy"]["energy_resolution"]["1"]
    assert (row["n_events"], row["value"], row["error"]) == (0, None, None)
    assert numbers["results"]["direction"]["angular_resolution_68"]["1"]["n_events"] == 40
    assert "compared on 0 showers" in (tmp_path / "out" / "compare.html").read_text("utf-8")


def test_two_algorithms_of_one_file(runs, tmp_path):
    path = tmp_path / "gamma.dl2.h5"
    path.write_bytes((runs / "good" / "dl2" / "gamma.dl2.h5").read_bytes())
    other = read_table(runs / "again" / "dl2" / "gamma.dl2.h5", "/dl2/event/subarray/geometry/Test")
    for name in other.colnames:
        other.rename_column(name, name.replace("Test_", "Hillas_"))
    write_table(other, path, "/dl2/event/subarray/geometry/Hillas")
    with pytest.raises(EvaluationError, match="several algorithms"):
        compare([str(path), str(path)], tmp_path / "out", SETTINGS, ["a", "b"])

    numbers = compare([f"{path}:Test", f"{path}:Hillas"], tmp_path / "out", SETTINGS)
    assert list(numbers["results"]) == ["direction"]
    assert list(numbers["results"]["direction"]["angular_resolution_68"]) == ["Test", "Hillas"]
    html = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "Test alone has a reconstructed energy: there is nothing to compare." in html


def test_a_handful_of_events_have_values_without_errors(tmp_path, make_truth, smear, write_dl2):
    words = [
        write_dl2(tmp_path / f"{seed}.h5", smear(make_truth(4), seed=int(seed))) for seed in "12"
    ]
    row = rows(words, "energy", "energy_resolution")["2"]
    assert row["value"] > 0
    assert np.isnan(row["error"]) and np.isnan(row["significance"])


def test_the_command(runs, tmp_path, capsys):
    words = [str(runs / name / "dl2" / "gamma.dl2.h5") for name in ("good", "worse")]
    command = ["compare", *words, "-o", str(tmp_path / "out"), "--labels", "A", "B"]
    assert main([*command, "--set", "evaluation.bins_per_decade=1"]) == 0
    assert "compare.html" in capsys.readouterr().out
    # Gammas alone have no separation.
    html = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "separation (ROC curve, AUC) is undefined" in html
    assert not (tmp_path / "out" / "comparison" / "roc_curves.png").exists()
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


def test_words_that_stand_for_nothing(runs, tmp_path):
    good = str(runs / "good")
    (tmp_path / "empty").mkdir()
    for words, labels, sentence in (
        ([good], None, "two sets"),
        ([good, good], None, "given twice"),
        ([good, str(runs / "worse")], ["one"], "2 sets are compared but 1 labels"),
        ([good, str(tmp_path / "empty")], None, "no DL2 files"),
        ([good, str(tmp_path / "*.h5")], None, "No file matches"),
        ([good, str(tmp_path / "none.h5")], None, "does not exist"),
    ):
        with pytest.raises((EvaluationError, InputFileError), match=sentence):
            compare(words, tmp_path / "out", SETTINGS, labels)
    assert not (tmp_path / "out").exists()


def test_sets_of_other_events_are_refused(runs, tmp_path, make_truth, smear, write_dl2):
    other = write_dl2(tmp_path / "other.h5", smear(make_truth(50, seed=9)))
    with pytest.raises(EvaluationError, match="no event in common"):
        compare([str(runs / "good"), str(other)], tmp_path / "out", SETTINGS)


def test_a_file_given_twice_under_two_names_is_refused(runs, tmp_path):
    folder = tmp_path / "twice"
    folder.mkdir()
    content = (runs / "good" / "dl2" / "gamma.dl2.h5").read_bytes()
    for name in ("a.h5", "b.h5"):
        (folder / name).write_bytes(content)
    with pytest.raises(EvaluationError, match="1500 event"):
        compare([str(runs / "good"), str(folder)], tmp_path / "out", SETTINGS)


def test_reuses_of_a_shower_share_its_number(tmp_path, make_truth, smear, write_dl2):
    truth = make_truth(6)
    for name in ("true_energy", "true_alt", "true_az"):
        truth[name] = np.repeat(truth[name][::3], 3)
    events = read_events([write_dl2(tmp_path / "a.h5", smear(truth))])
    shower = events["shower"].tolist()
    assert shower[0] == shower[1] == shower[2] != shower[3] == shower[4] == shower[5]
