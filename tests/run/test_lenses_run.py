"""Strong lenses from the settings to the report, by the commands of all experiments."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from gammalearn.cli.program import main
from gammalearn.surveys.catalogue import read_catalogue, write_catalogue
from gammalearn.surveys.cutouts import ArrayCutouts

from .resumed_survey import assert_resumed_is_uninterrupted

SETTINGS = """\
survey: lenses
simulation:
- {{output: {folder}/train.h5, n_objects: 48, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 24, seed: 2}}
data: {{train: {folder}/train.h5, test: {folder}/test.h5, validation_fraction: 0.2}}
network: {{width: 4, blocks: 1}}
training: {{epochs: 2, batch_size: 16, accelerator: cpu}}
evaluation: {{n_bootstrap: 3}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two epochs."""
    folder = tmp_path_factory.mktemp("lenses")
    (folder / "l.yaml").write_text(SETTINGS.format(folder=folder))
    assert main(["run", str(folder / "l.yaml"), "-o", str(folder / "run"), "-q"]) == 0
    return folder


def best(folder):
    return str(folder / "run" / "checkpoints" / "best.ckpt")


def test_a_run_has_a_report_figures_and_tables(folder):
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["n_objects"] == 24
    for name in ("auc", "accuracy", "completeness_at_1", "completeness_at_0.1"):
        assert 0 <= metrics[name] <= 1
        assert 0 <= metrics[f"trees_on_arcs_{name}"] <= 1
    page = (folder / "run" / "report.html").read_text()
    for words in ("Einstein radius", "signal to noise of the arcs"):
        assert f"Completeness by {words}" in page
    assert "Taken for lenses: network" in page
    table = Table.read(folder / "run" / "evaluation" / "by_einstein_radius_network.ecsv")
    assert {"n_lenses", "completeness_at_1", "completeness_at_0.1_error"} <= set(table.colnames)
    assert table["n_lenses"].sum() == 12


def test_predict_gives_what_the_run_has(folder):
    command = ["predict", best(folder), str(folder / "test.h5"), "-o", str(folder / "again")]
    assert main([*command, "--set", "output.format=fits"]) == 0
    ours = Table.read(folder / "again" / "predictions.fits")
    theirs = Table.read(folder / "run" / "predictions" / "network.ecsv")
    np.testing.assert_allclose(ours["probability_lens"], theirs["probability_lens"], rtol=1e-5)


def test_compare_and_info(folder, capsys):
    baseline = str(folder / "run" / "predictions" / "baseline.ecsv")
    sets = [str(folder / "run"), baseline, "--labels", "net", "trees"]
    command = ["compare", *sets, "-o", str(folder / "c")]
    assert main([*command, "--set", "evaluation.false_positive_rates=[0.5]"]) == 0
    found = json.loads((folder / "c" / "comparison.json").read_text())
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert found["auc"] == metrics["auc"]
    assert found["trees_completeness_at_50"] >= metrics["trees_on_arcs_completeness_at_1"]
    capsys.readouterr()
    assert main(["info", best(folder), baseline, str(folder / "test.h5")]) == 0
    told = capsys.readouterr().out
    for words in (
        "48 x 48 pixels of 0.2 arcsec",
        "probabilities of lenses",
        "4 x 48 x 48",
        "12 lens",
    ):
        assert words in told


def test_interrupted_and_resumed_is_uninterrupted(folder, monkeypatch):
    resumed = folder / "resumed"
    assert_resumed_is_uninterrupted(folder / "l.yaml", folder / "run", resumed, monkeypatch)


def test_a_galaxy_with_a_missing_band_is_left_out_and_counted(folder, tmp_path, capsys):
    some = read_catalogue(folder / "test.h5")
    values = np.array(some.cutouts)
    values[3, 2] = np.nan
    write_catalogue(replace(some, cutouts=ArrayCutouts(values)), tmp_path / "nan.h5")
    assert main(["predict", best(folder), str(tmp_path / "nan.h5"), "-o", str(tmp_path)]) == 0
    assert len(Table.read(tmp_path / "predictions.ecsv")) == 23
    assert "1 galaxies with a band or pixels that are missing (left out)" in capsys.readouterr().err


def test_cutouts_of_another_size_are_refused(folder, tmp_path, capsys):
    some = read_catalogue(folder / "test.h5")
    small = ArrayCutouts(np.array(some.cutouts)[:, :, 8:-8, 8:-8])
    write_catalogue(replace(some, cutouts=small), tmp_path / "small.h5")
    assert main(["predict", best(folder), str(tmp_path / "small.h5"), "-o", str(tmp_path)]) == 2
    assert "has cut-outs of 32 x 32 pixels" in capsys.readouterr().err
    assert not (tmp_path / "predictions.ecsv").exists()


def test_evaluate_gives_what_the_run_has(folder):
    table = str(folder / "run" / "predictions" / "network.ecsv")
    assert main(["evaluate", table, "-o", str(folder / "e")]) == 0
    found = json.loads((folder / "e" / "metrics.json").read_text())
    assert found["auc"] == json.loads((folder / "run" / "metrics.json").read_text())["auc"]


def test_a_sweep_has_the_figures_of_its_runs(folder):
    command = ["sweep", str(folder / "l.yaml"), "--grid", "network.width=4,8", "-q"]
    command += ["--set", "training.epochs=1", "--set", "evaluation.baseline=false"]
    command += ["-o", str(folder / "sweep")]
    for index in ("0", "1"):
        assert main([*command, "--index", index]) == 0
    assert main([*command, "--summary"]) == 0
    table = Table.read(folder / "sweep" / "sweep.ecsv")
    assert list(map(str, table["network.width"])) == ["4", "8"]
    assert np.isfinite(table["auc_mean"]).all()


def test_lenses_alone_teach_nothing(folder, tmp_path, capsys):
    some = read_catalogue(folder / "train.h5")
    lenses = some.select(np.asarray(some.objects["type"]) == "lens")
    write_catalogue(lenses, tmp_path / "only.h5")
    command = ["run", str(folder / "l.yaml"), "-o", str(tmp_path / "run"), "-q"]
    assert main([*command, "--set", f"data.train={tmp_path}/only.h5"]) == 2
    assert "data.train has 24 lenses and 0 other galaxies" in capsys.readouterr().err


def test_exported_networks_give_the_same(folder, capsys):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    assert main(["export", best(folder), "-o", str(folder / "lens.onnx")]) == 0
    session = runtime.InferenceSession(str(folder / "lens.onnx"))
    some = read_catalogue(folder / "test.h5")
    dust = np.asarray(some.objects["ebv"], dtype=np.float32)
    (logit,) = session.run(None, {"flux": np.array(some.cutouts), "dust": dust})
    expected = Table.read(folder / "run" / "predictions" / "network.ecsv")["probability_lens"]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit[:, 0])), expected, atol=1e-5)
    seen = json.loads(session.get_modelmeta().custom_metadata_map["gammalearn_seen"])
    assert seen["bands"] == ["g", "r", "i", "z"]
    assert main(["export", best(folder), "-o", str(folder / "lens.onnx")]) == 2
    assert "exists; give another name" in capsys.readouterr().err
