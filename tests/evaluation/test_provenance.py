"""Where files come from."""

import hashlib
import platform

import ctapipe
import pytest
import tables

import gammalearn
from gammalearn.evaluation.report.provenance import describe_input, describe_settings, versions
from gammalearn.io.origin import Origin
from gammalearn.settings import EvaluationSettings


# Names with a space are ctapipe's way.
@pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")
def test_a_file_says_who_made_it(tmp_path, make_truth, smear, write_dl2):
    path = write_dl2(tmp_path / "a.h5", smear(make_truth(3)))
    plain = describe_input(path)
    assert (plain.name, plain.software, plain.settings, plain.seed) == ("a.h5", "", "", None)
    assert plain.checkpoint == ""
    with tables.open_file(path, "a") as file:
        attributes = file.root._v_attrs
        attributes["CTA ACTIVITY SOFTWARE NAME"] = "ctapipe"
        attributes["CTA ACTIVITY SOFTWARE VERSION"] = "0.28.0"
        attributes["GAMMALEARN VERSION"] = "1.0"
        Origin.from_input(path, "c" * 16, "data.cuts.image=[] in place of None").write(file)
        attributes["GAMMALEARN SETTINGS"] = "training:\n  seed: 7\n"
    found = describe_input(path, "label")
    assert found.name == "label: a.h5"
    assert found.software == "GammaLearn 1.0, ctapipe 0.28.0"
    assert found.seed == 7
    assert found.checkpoint == "c" * 16
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != plain.sha256


def test_versions_are_those_that_run():
    found = versions()
    assert found["GammaLearn"] == gammalearn.__version__
    assert found["ctapipe"] == ctapipe.__version__
    assert found["Python"] == platform.python_version()


def test_the_choices_of_the_evaluation_are_told():
    settings = EvaluationSettings(
        energy_range=(0.02, 50), bins_per_decade=4, references=["lst1_mono", "ctao_north"]
    )
    assert describe_settings(settings) == {
        "Energy bins": "4 a decade from 0.02 to 50 TeV",
        "Signal": "gamma",
        "Algorithm asked for": "any",
        "Published curves": "lst1_mono, ctao_north",
    }
