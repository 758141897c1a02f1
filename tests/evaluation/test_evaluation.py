"""From DL2 files to tables, pictures, metrics and the report."""

import json
import math
import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, vstack
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from gammalearn.errors import EvaluationError, InputFileError, OutputError
from gammalearn.evaluation import ReportSection, evaluate, read_events
from gammalearn.settings import EvaluationSettings

WITH_TABLE = [
    "angular_resolution",
    "auc_by_energy",
    "confusion_matrix",
    "energy_resolution",
    "gammaness",
    "migration_matrix_altitude",
    "migration_matrix_azimuth",
    "migration_matrix_energy",
    "roc_curve",
    "roc_curves_by_energy",
    "working_points",
]

#: Those that need the pointing or the simulation's settings besides.
WITH_SIMULATION = ["angular_resolution_by_offset", "effective_area", "sensitivity"]


def written(names):
    """Files of these results."""
    fits = [f"{name}.fits" for name in names if name.startswith("migration_matrix")]
    return sorted([f"{n}{s}" for n in names for s in (".ecsv", ".png")] + fits)


SETTINGS = EvaluationSettings()

#: Of the events that `make_truth` makes (deg).
POINTING_ALT = 70


def results(output):
    return sorted(path.name for path in (output / "evaluation").iterdir())


@pytest.fixture
def drawn():
    """For tests that look at pictures."""


@pytest.fixture(autouse=True)
def _blank_unless_drawn(request):
    """But for `evaluated`, pictures are blank where none asks."""
    if "drawn" not in request.fixturenames:
        request.getfixturevalue("blank_pictures")


@pytest.fixture(scope="module")
def files(tmp_path_factory, make_truth, smear, write_dl2):
    """6000 gammas and 3000 protons with a bias of 0.1, smeared by 0.2 and by 0.1 deg."""
    folder = tmp_path_factory.mktemp("dl2")
    error = {"bias": 0.1, "energy": 0.2, "angle": 0.1}
    gammas = smear(make_truth(6000, particle="gamma"), **error)
    protons = smear(make_truth(3000, particle="proton"), **error)
    gammas["energy_is_valid"][:100] = False
    return [
        write_dl2(folder / "gamma.dl2.h5", gammas, runs={}),
        write_dl2(folder / "proton.dl2.h5", protons, runs={}),
    ]


@pytest.fixture(scope="module")
def evaluated(files, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "new" / "folder"
    sections = [ReportSection("Training", "It learnt.")]
    return output, evaluate(files, output, SETTINGS, sections)


def test_all_results_are_written_and_nothing_else(evaluated):
    output, _ = evaluated
    assert results(output) == written(WITH_TABLE + WITH_SIMULATION)
    names = sorted(path.name for path in output.iterdir())
    assert names == ["evaluation", "metrics.json", "report.html"]


def test_the_metrics_are_those_returned(evaluated):
    output, metrics = evaluated
    text = (output / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == metrics
    assert list(metrics) == sorted(metrics)


def test_the_metrics_are_what_was_put_in(evaluated):
    _, metrics = evaluated
    assert metrics["signal"] == "gamma"
    assert metrics["energy_bias"] == pytest.approx(0.1, abs=0.01)
    assert metrics["energy_resolution"] == pytest.approx(0.2, rel=0.05)
    # Rayleigh quantiles of 0.1 deg in both directions.
    assert metrics["angular_resolution_68"] == pytest.approx(0.1515, rel=0.05)
    assert metrics["angular_resolution_95"] == pytest.approx(0.2448, rel=0.05)
    # Gammaness is Beta(5, 2) for gammas, Beta(2, 5) for protons.
    assert metrics["gammaness_mean_gamma"] == pytest.approx(5 / 7, abs=0.01)
    assert metrics["gammaness_mean_proton"] == pytest.approx(2 / 7, abs=0.01)
    assert metrics["gammaness_mean_electron"] is None
    assert 0.9 < metrics["auc"] < 1


def test_events_are_counted(evaluated):
    _, metrics = evaluated
    expected = {
        "n_files": 2,
        "n_events": 9000,
        "n_events_gamma": 6000,
        "n_events_proton": 3000,
        "n_events_electron": 0,
        "n_signal": 6000,
        "n_energy_reconstructed": 8900,
        "n_energy_invalid": 100,
        "n_energy_reconstructed_signal": 5900,
        "n_direction_reconstructed_signal": 6000,
    }
    assert {name: metrics[name] for name in expected} == expected


def test_tables_carry_units_and_what_they_are_of(evaluated):
    output, metrics = evaluated
    matrix = QTable.read(output / "evaluation" / "migration_matrix_energy.ecsv")
    assert matrix.colnames == [
        *("true_low", "true_high", "reco_low", "reco_high", "counts", "probability")
    ]
    assert matrix["true_low"].unit == "TeV"
    assert matrix.meta["particle"] == "gamma"
    assert matrix.meta["n_events"] == 5900
    assert matrix["counts"].sum() == 5900 - metrics["energy_migration_out_of_range"]

    azimuth = QTable.read(output / "evaluation" / "migration_matrix_azimuth.ecsv")
    assert azimuth.meta["reference_deg"] == pytest.approx(180, abs=0.2)
    fits = QTable.read(output / "evaluation" / "migration_matrix_azimuth.fits")
    assert fits.meta["reference_deg"] == azimuth.meta["reference_deg"]
    for name in azimuth.colnames:
        np.testing.assert_array_equal(fits[name], azimuth[name])
    resolution = QTable.read(output / "evaluation" / "angular_resolution.ecsv")
    assert resolution["angular_resolution_68"].unit == "deg"
    assert len(resolution) == 20


def test_curves_have_errors(evaluated):
    output, _ = evaluated
    energy = QTable.read(output / "evaluation" / "energy_resolution.ecsv")
    known = energy["n_events"] >= 10
    # Of the median of a Gaussian: √(π/2) σ/√n; of half of the central 68 %: 0.93 σ/√n.
    for name, factor in (("bias", 1.25), ("resolution", 0.93)):
        expected = factor * 0.2 / np.sqrt(energy["n_events"][known])
        assert np.median(energy[f"{name}_error"][known] / expected) == pytest.approx(1, abs=0.15)
        assert np.all(np.isnan(energy[f"{name}_error"][~known]))
    angle = QTable.read(output / "evaluation" / "angular_resolution.ecsv")
    assert angle["angular_resolution_68_error"].unit == "deg"
    assert np.all(angle["angular_resolution_68_error"][known] > 0)


def angles(events):
    true, reco = (SkyCoord(events[f"{w}_az"], events[f"{w}_alt"]) for w in ("true", "reco"))
    return true.separation(reco).to_value("deg")


def error_of_68(sigma, n_events):
    """Of the quantile p of n events √(p (1 − p) / n) / f, with the Rayleigh density f there."""
    p = 2 * norm.cdf(1) - 1
    density = (1 - p) * np.sqrt(-2 * np.log(1 - p)) / sigma
    return np.sqrt(p * (1 - p) / n_events) / density


def test_angular_resolution_by_multiplicity(tmp_path, make_truth, smear, write_dl2):
    """Smeared by 0.6 deg over the number of telescopes; none used three."""
    used = {1: 300, 2: 500, 4: 400}
    parts = []
    for multiplicity, number in used.items():
        events = smear(make_truth(number, seed=multiplicity), angle=0.6 / multiplicity)
        events["multiplicity"] = multiplicity
        parts.append(events)
    events = vstack(parts)
    events["event_id"] = np.arange(len(events))
    evaluate([write_dl2(tmp_path / "a.h5", events)], tmp_path, SETTINGS)
    table = QTable.read(tmp_path / "evaluation" / "angular_resolution_by_multiplicity.ecsv")
    assert table["multiplicity_low"].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert table["multiplicity_high"].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert table["n_events"].tolist() == [300, 500, 0, 400]
    for row, multiplicity in zip(table[[0, 1, 3]], used, strict=True):
        theta = angles(events[events["multiplicity"] == multiplicity])
        for name, percent in (("68", 100 * (2 * norm.cdf(1) - 1)), ("95", 95)):
            found = row[f"angular_resolution_{name}"].to_value("deg")
            assert found == pytest.approx(np.percentile(theta, percent), rel=1e-6)
        error = row["angular_resolution_68_error"].to_value("deg")
        expected = error_of_68(0.6 / multiplicity, row["n_events"])
        assert error == pytest.approx(expected, rel=0.3)
        assert row["angular_resolution_95_error"].to_value("deg") > error
    assert np.isnan(table["angular_resolution_68"][2])
    assert np.isnan(table["angular_resolution_68_error"][2])


def test_angular_resolution_by_offset_has_errors(evaluated):
    output, _ = evaluated
    table = QTable.read(output / "evaluation" / "angular_resolution_by_offset.ecsv")
    known = table["n_events"] >= 200
    assert table["offset_low"][known].to_value("deg").tolist() == [0, 0.5, 1, 1.5]
    found = table["angular_resolution_68_error"][known].to_value("deg")
    np.testing.assert_allclose(found / error_of_68(0.1, table["n_events"][known]), 1, atol=0.3)


def test_roc_curves_of_energy_bands_are_those_of_their_events(evaluated, files):
    output, _ = evaluated
    table = QTable.read(output / "evaluation" / "roc_curves_by_energy.ecsv")
    assert "reconstruction" not in table.colnames
    # Half decades of 0.05 to 20 TeV.
    lows = np.unique(table["true_energy_low"].to_value("TeV"))
    np.testing.assert_allclose(lows, 10 ** np.arange(-1.5, 1.1, 0.5))
    events = read_events(files)
    energy = events["true_energy"].to_value("TeV")
    for low in lows:
        band = table[table["true_energy_low"].to_value("TeV") == low]
        inside = events[(energy >= low) & (energy < low * 10**0.5)]
        is_gamma = inside["particle"] == "gamma"
        area = np.trapezoid(band["true_positive_rate"], band["false_positive_rate"])
        assert area == pytest.approx(roc_auc_score(is_gamma, inside["gammaness"]), abs=0.005)
        assert band["n_gamma"][0] == is_gamma.sum()
        assert band["n_other"][0] == (~is_gamma).sum()


def test_the_report_says_what_is_in_it(evaluated):
    output, _ = evaluated
    html = (output / "report.html").read_text(encoding="utf-8")
    assert "<title>Evaluation of Test</title>" in html
    assert html.count("<img ") == len(WITH_TABLE + WITH_SIMULATION)
    assert "gamma.dl2.h5" in html
    assert ">Energy bins</td>" in html and ">5 a decade from 0.01 to 100 TeV</td>" in html
    folded = "<summary><h2>Training</h2></summary><p>It learnt.</p>"
    assert folded in html.replace("\n", "")
    assert str(output.parent) not in html
    assert "Read with care" not in html
    assert "<th>Gammas kept</th>" in html and '<td class="name">95%</td>' in html


def test_the_same_files_give_the_same_bytes(files, evaluated, drawn, tmp_path):
    output, _ = evaluated
    evaluate(files, tmp_path, SETTINGS, [ReportSection("Training", "It learnt.")])
    for path in output.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(output)).read_bytes(), path.name


@pytest.mark.parametrize("zenith", [20, 70])
def test_azimuth_migration_across_north_lies_on_the_diagonal(
    tmp_path, make_truth, smear, write_dl2, zenith
):
    truth = make_truth(300)
    # Within 2 deg about north, at the altitude where they are to be.
    truth["true_alt"] += (90 - zenith - POINTING_ALT) * u.deg
    truth["true_az"] = (np.random.default_rng(0).uniform(-2, 2, 300) % 360) * u.deg
    path = write_dl2(tmp_path / "a.h5", smear(truth, angle=0.05), quantities=["direction"])
    evaluate([path], tmp_path, SETTINGS)
    matrix = QTable.read(tmp_path / "evaluation" / "migration_matrix_azimuth.ecsv")
    filled = matrix[matrix["counts"] > 0]
    # Five standard deviations, which are larger in azimuth than on the sky, and a bin's width.
    limit = 5 * 0.05 / np.cos(truth["true_alt"].max()) + 0.2
    assert np.abs(filled["true_low"] - filled["reco_low"]).max().to_value("deg") < limit
    assert filled["counts"].sum() == 300


@pytest.mark.parametrize("n_uses", [1, 10])
def test_the_error_of_the_area_is_that_of_repeated_samples(
    tmp_path, make_truth, smear, write_dl2, n_uses
):
    """40 gammas and 40 protons, each used several times with almost the same gammaness."""
    random = np.random.default_rng(0)

    def gammaness():
        showers = np.concatenate([random.normal(0.6, 0.1, 40), random.normal(0.5, 0.1, 40)])
        return np.repeat(showers, n_uses) + random.normal(0, 0.02, 80 * n_uses)

    is_gamma = np.repeat([True, False], 40 * n_uses)
    scatter = np.std([roc_auc_score(is_gamma, gammaness()) for _ in range(300)])
    truth = vstack([make_truth(40), make_truth(40, particle="proton")])
    truth = truth[np.repeat(np.arange(80), n_uses)]
    truth["event_id"] = np.arange(len(truth))
    errors = []
    for number in range(3):
        events = smear(truth)
        events["gammaness"] = gammaness()
        path = write_dl2(tmp_path / f"{number}.h5", events, quantities=["particle_type"])
        errors.append(evaluate([path], tmp_path, SETTINGS)["auc_uncertainty"])
    assert np.mean(errors) == pytest.approx(scatter, rel=0.2)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"standard error {errors[-1]:.2g} (bootstrap over showers)" in html


@pytest.mark.parametrize("n_protons", [5, 20])
def test_an_area_without_a_known_error(tmp_path, make_truth, smear, write_dl2, n_protons):
    """Of too few showers, or of a perfect separation, whose resamples are all alike."""
    events = smear(vstack([make_truth(20), make_truth(n_protons, particle="proton")]))
    events["gammaness"] = (events["particle"] == "gamma") * 1.0
    path = write_dl2(tmp_path / "a.h5", events, quantities=["particle_type"])
    metrics = evaluate([path], tmp_path, SETTINGS)
    assert (metrics["auc"], metrics["auc_uncertainty"]) == (1, None)


def test_few_events_are_warned_of(tmp_path, make_truth, smear, write_dl2):
    truth = vstack([make_truth(5), make_truth(4, particle="proton")])
    path = write_dl2(tmp_path / "a.h5", smear(truth))
    metrics = evaluate([path], tmp_path, SETTINGS)
    html = (tmp_path / "report.html").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert metrics["n_signal"] == 5
    assert "Only 5 gammas have a reconstructed energy" in html
    assert "energy bins that the gammas span have no event with a reconstructed direction" in html
    assert "The separation rests on 5 gammas and 4 of other particles" in html


def test_repeated_events_are_warned_of(tmp_path, make_truth, smear, write_dl2):
    """A copy has another name; an event of the same ids but another truth is another."""
    gammas = smear(make_truth(5))
    others = smear(make_truth(5, seed=3))
    paths = [
        write_dl2(tmp_path / f"{name}.h5", events)
        for name, events in (("a", gammas), ("b", others), ("copy", gammas))
    ]
    sentence = "5 of the 15 events are there more than once"
    for given, said in ((paths, True), (paths[:2], False)):
        evaluate(given, tmp_path, SETTINGS)
        html = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert (sentence in html.replace("\N{NO-BREAK SPACE}", " ")) == said


def test_without_the_signal_the_most_frequent_particle_stands_in_loudly(
    tmp_path, make_truth, smear, write_dl2
):
    truth = vstack([make_truth(20, particle="proton"), make_truth(10, particle="iron")])
    metrics = evaluate([write_dl2(tmp_path / "a.h5", smear(truth))], tmp_path, SETTINGS)
    html = (tmp_path / "report.html").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert (metrics["signal"], metrics["signal_requested"]) == ("proton", "gamma")
    assert (
        "There are no gammas in these files: migration and resolution are those of protons" in html
    )
    assert "Energy migration, 20 protons" in html
    assert metrics["n_events_iron"] == 10
    assert metrics["auc"] is None
    assert "separation (ROC curve, AUC) is undefined" in html


def test_another_signal_may_be_chosen(tmp_path, make_truth, smear, write_dl2):
    truth = vstack([make_truth(20), make_truth(10, particle="proton")])
    path = write_dl2(tmp_path / "a.h5", smear(truth), quantities=["energy"])
    metrics = evaluate([path], tmp_path, EvaluationSettings(signal="proton"))
    assert metrics["n_signal"] == 10
    assert metrics["signal_requested"] == metrics["signal"] == "proton"


def test_quantities_that_are_absent_leave_no_figures_but_null(
    tmp_path, make_truth, smear, write_dl2
):
    events = smear(make_truth(50))
    evaluate([write_dl2(tmp_path / "full.h5", events)], tmp_path, SETTINGS)
    path = write_dl2(tmp_path / "part.h5", events, quantities=["energy"])
    metrics = evaluate([path], tmp_path, SETTINGS)
    # Nor do those of the earlier evaluation stay.
    assert results(tmp_path) == [
        *("energy_resolution.ecsv", "energy_resolution.png"),
        *(f"migration_matrix_energy.{suffix}" for suffix in ("ecsv", "fits", "png")),
    ]
    assert metrics["angular_resolution_68"] is None
    assert metrics["auc"] is None
    assert metrics["n_direction_reconstructed"] is None
    assert metrics["energy_resolution"] is not None
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The files hold no reconstructed particle type; its figures are left out." in html


def test_metrics_have_the_same_names_whatever_the_files_hold(
    evaluated, tmp_path, make_truth, smear, write_dl2
):
    path = write_dl2(tmp_path / "a.h5", smear(make_truth(3)), quantities=["direction"])
    assert list(evaluate([path], tmp_path, SETTINGS)) == list(evaluated[1])


@pytest.mark.parametrize("n_events", [0, 1])
def test_no_or_a_single_event_is_no_error(tmp_path, make_truth, smear, write_dl2, n_events):
    path = write_dl2(tmp_path / "a.h5", smear(make_truth(n_events)))
    metrics = evaluate([path], tmp_path, SETTINGS)
    assert results(tmp_path) == written(WITH_TABLE)
    assert metrics["n_events"] == n_events
    assert metrics["energy_resolution"] is None


def test_nothing_reconstructed_is_no_error(tmp_path, make_truth, smear, write_dl2):
    events = smear(make_truth(5))
    for quantity in ("energy", "direction", "particle_type"):
        events[f"{quantity}_is_valid"] = False
    metrics = evaluate([write_dl2(tmp_path / "a.h5", events)], tmp_path, SETTINGS)
    assert metrics["n_energy_invalid"] == 5
    assert metrics["angular_resolution_68"] is None
    assert results(tmp_path) == written(WITH_TABLE)


def test_energies_off_the_axis_are_counted(tmp_path, make_truth, smear, write_dl2):
    events = smear(make_truth(100))
    n_inside = np.sum((events["true_energy"].value < 1) & (events["reco_energy"].value < 1))
    settings = EvaluationSettings(energy_range=(0.01, 1), bins_per_decade=3)
    path = write_dl2(tmp_path / "a.h5", events, quantities=["energy"])
    metrics = evaluate([path], tmp_path, settings)
    assert metrics["energy_migration_out_of_range"] == 100 - n_inside
    matrix = QTable.read(tmp_path / "evaluation" / "migration_matrix_energy.ecsv")
    assert len(matrix) == 6**2
    assert f"{100 - n_inside} events lie outside the energy axis" in (
        tmp_path / "report.html"
    ).read_text(encoding="utf-8")


def test_single_telescopes_are_evaluated_image_by_image(tmp_path, make_truth, smear, write_dl2):
    images = smear(make_truth(20))
    images["event_id"] //= 2
    images["tel_id"] = np.array([1, 2] * 10)
    path = write_dl2(tmp_path / "a.h5", images, level="telescope", quantities=["energy"])
    metrics = evaluate([path], tmp_path, SETTINGS)
    assert metrics["level"] == "telescope"
    assert metrics["n_events"] == 20
    assert "one result for each telescope" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_algorithm_of_the_settings_is_used(files, tmp_path):
    with pytest.raises(EvaluationError, match="nothing by the algorithm 'Other'"):
        evaluate(files, tmp_path, EvaluationSettings(algorithm="Other"))


def test_files_that_cannot_be_read_leave_no_output(tmp_path):
    with pytest.raises(InputFileError):
        evaluate([tmp_path / "none.h5"], tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(files, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        evaluate(files, tmp_path / "out", SETTINGS)


def test_no_metric_is_nan(evaluated):
    assert not any(isinstance(v, float) and math.isnan(v) for v in evaluated[1].values())


def test_evaluation_needs_no_torch():
    """It judges DL2 files of any origin, from the files alone."""
    code = (
        "import sys, gammalearn.evaluation;"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'lightning')"
        " or m.split('.')[:2] in [['gammalearn', n] for n in ('nn', 'training', 'data')]])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
