"""Figures of a classification, against values by hand and scikit-learn's."""

import numpy as np
import pytest
from astropy.table import Table
from sklearn.metrics import roc_auc_score

from gammalearn.errors import EvaluationError, InputFileError
from gammalearn.settings.surveys import SupernovaEvaluation
from gammalearn.surveys.kinds import survey_of
from gammalearn.surveys.predictions import read_predictions, write_predictions
from gammalearn.surveys.report import compare_tables, evaluate_tables
from gammalearn.surveys.supernovae.evaluation import (
    accuracy_by,
    calibration,
    confusion,
    figure_of_merit,
    figures,
    recall_at_precision,
    with_truth,
)
from gammalearn.surveys.survey import ResultSet

SUPERNOVAE = survey_of("supernovae")


@pytest.fixture
def table():
    return Table(
        {
            "object_id": ["a", "b", "c", "d", "e"],
            "probability_Ia": [0.9, 0.8, 0.6, 0.3, 0.1],
            "true_type": ["Ia", "II", "Ia", "Ibc", ""],
            "type": ["Ia", "Ia", "Ia", "Ibc", "II"],
            "true_redshift": [0.1, 0.3, 0.35, 0.6, 0.2],
            "signal_to_noise": [50.0, 20.0, 8.0, 9.0, 10.0],
            "confirmed": [True, False, False, False, False],
        }
    )


def test_figures(table):
    known = with_truth(table)
    found = figures(known, SupernovaEvaluation(n_bootstrap=10))
    # One of the four pairs of Ia and other is in the wrong order.
    assert found["auc"].value == 0.75
    assert found["auc"].value == roc_auc_score([1, 0, 1, 0], [0.9, 0.8, 0.6, 0.3])
    assert found["accuracy"].value == 0.75
    assert found["efficiency"].value == 1
    assert found["purity"].value == pytest.approx(2 / 3)
    assert found["type_accuracy"].value == 0.75


def test_recall_at_a_precision():
    is_ia = np.array([True, True, False, True])
    chance = np.array([0.9, 0.8, 0.7, 0.6])
    assert recall_at_precision(is_ia, chance, 0.95) == pytest.approx(2 / 3)
    assert recall_at_precision(is_ia, chance, 0.75) == 1
    assert recall_at_precision(~is_ia, chance, 0.9) == 0


def test_false_type_ia_count_three_times():
    is_ia = np.array([True, True, True, True, False])
    found = np.array([True, True, False, False, True])
    assert figure_of_merit(is_ia, found) == pytest.approx(2 / 4 * 2 / (2 + 3))


def test_bins(table):
    known = with_truth(table)
    binned = accuracy_by(known, "true_redshift", np.array([0.0, 0.2, 0.4, 0.5]), 0.5)
    assert binned["n_objects"].tolist() == [1, 2, 0]
    np.testing.assert_array_equal(binned["accuracy"], [1, 0.5, np.nan])
    assert binned["auc"][1] == 0


def test_calibration(table):
    binned = calibration(with_truth(table))
    assert binned["n_objects"].sum() == 4
    assert binned["true"][9] == 1 and binned["predicted"][9] == 0.9
    assert np.isnan(binned["true"][0])


def test_confusion(table):
    assert confusion(with_truth(table)) == {
        "Ia": [2, 0, 0],
        "Ibc": [0, 1, 0],
        "II": [1, 0, 0],
    }


def test_without_truth_there_is_nothing_to_evaluate(table, tmp_path):
    table["true_type"] = ""
    with pytest.raises(EvaluationError, match="'x' has no object of known type"):
        evaluate_tables(SUPERNOVAE, [ResultSet("x", table)], tmp_path, SupernovaEvaluation())


def test_a_comparison_is_of_the_objects_that_all_have(table, tmp_path):
    other = table[[3, 1, 0]]
    numbers = compare_tables(
        SUPERNOVAE,
        [ResultSet("one", table), ResultSet("two", other)],
        tmp_path,
        SupernovaEvaluation(n_bootstrap=5),
    )
    assert numbers["n_objects"] == 3
    assert numbers["accuracy"] == numbers["two_accuracy"] == pytest.approx(2 / 3)
    page = (tmp_path / "compare.html").read_text()
    assert "2 objects of one are not in all tables" in page
    with pytest.raises(EvaluationError, match="no object in common"):
        compare_tables(
            SUPERNOVAE,
            [ResultSet("one", table[:2]), ResultSet("two", table[3:])],
            tmp_path,
            SupernovaEvaluation(),
        )


@pytest.mark.parametrize("name", ["a.ecsv", "a.fits"])
def test_tables_are_read_as_they_were_written(table, tmp_path, name):
    table.meta["settings"] = "survey: supernovae\n"
    write_predictions(table, tmp_path / name)
    survey, found = read_predictions(tmp_path / name)
    assert survey is SUPERNOVAE
    for column in table.colnames:
        assert found[column].tolist() == table[column].tolist()


@pytest.mark.parametrize(
    "content, words",
    [
        ("no table", "is damaged|has no column"),
        (
            "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na\n1\n",
            "has no column",
        ),
    ],
)
def test_other_tables_are_refused(tmp_path, content, words):
    (tmp_path / "a.ecsv").write_text(content)
    with pytest.raises(InputFileError, match=words):
        read_predictions(tmp_path / "a.ecsv")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("probability_Ia", 2.0),
        ("probability_Ia", np.nan),
        ("true_redshift", -1.0),
        ("signal_to_noise", -1e30),
    ],
)
def test_an_impossible_number_is_named_with_its_object(table, tmp_path, column, value):
    table[column][1] = value
    write_predictions(table, tmp_path / "a.ecsv")
    found = f"{column} is {value:g}".replace("+", ".")
    with pytest.raises(InputFileError, match=f"{found} for the object 'b'"):
        read_predictions(tmp_path / "a.ecsv")


def test_text_in_place_of_numbers_is_refused(table, tmp_path):
    table["signal_to_noise"] = ["5", "6", "many", "7", "8"]
    write_predictions(table, tmp_path / "a.ecsv")
    with pytest.raises(InputFileError, match="signal_to_noise does not have one number"):
        read_predictions(tmp_path / "a.ecsv")
