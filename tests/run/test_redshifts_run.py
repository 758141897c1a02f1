"""Photometric redshifts from the settings to the report, by the commands of all experiments."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from scipy.special import softmax

from gammalearn.cli.program import main
from gammalearn.surveys.catalogue import read_catalogue, write_catalogue
from gammalearn.surveys.cutouts import ArrayCutouts

from .resumed_survey import assert_resumed_is_uninterrupted

SETTINGS = """\
survey: redshifts
simulation:
- {{output: {folder}/train.h5, n_objects: 48, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 24, seed: 2}}
data: {{train: {folder}/train.h5, test: {folder}/test.h5, validation_fraction: 0.2}}
network: {{width: 4, masks: 2, embedding: 16}}
training: {{epochs: 2, batch_size: 16, accelerator: cpu}}
evaluation: {{n_bootstrap: 3}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two epochs."""
    folder = tmp_path_factory.mktemp("redshifts")
    (folder / "z.yaml").write_text(SETTINGS.format(folder=folder))
    assert main(["run", str(folder / "z.yaml"), "-o", str(folder / "run"), "-q"]) == 0
    return folder


def best(folder):
    return str(folder / "run" / "checkpoints" / "best.ckpt")


def test_a_run_has_a_report_figures_and_tables(folder):
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["n_objects"] == 24
    for name in ("bias", "sigma_mad", "eta", "crps", "pit_ks"):
        assert np.isfinite(metrics[name])
        assert np.isfinite(metrics[f"trees_on_colours_{name}"])
    page = (folder / "run" / "report.html").read_text()
    for source in ("signal to noise", "ellipticity", "number of neighbours", "E(B-V)", "redshift"):
        assert f"Figures by {source}" in page
    table = Table.read(folder / "run" / "evaluation" / "by_ellipticity_network.ecsv")
    assert {"bias", "sigma_mad", "eta", "crps", "pit_ks"} <= set(table.colnames)


def test_predict_gives_what_the_run_has(folder):
    command = ["predict", best(folder), str(folder / "test.h5"), "-o", str(folder / "again")]
    assert main([*command, "--set", "output.format=fits"]) == 0
    ours = Table.read(folder / "again" / "predictions.fits")
    theirs = Table.read(folder / "run" / "predictions" / "network.ecsv")
    np.testing.assert_allclose(ours["redshift"], theirs["redshift"], rtol=1e-5)


def test_compare_and_info(folder, capsys):
    baseline = str(folder / "run" / "predictions" / "baseline.ecsv")
    sets = [str(folder / "run"), baseline, "--labels", "net", "trees"]
    assert main(["compare", *sets, "-o", str(folder / "c"), "--set", "evaluation.outlier=0.1"]) == 0
    found = json.loads((folder / "c" / "comparison.json").read_text())
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert found["sigma_mad"] == metrics["sigma_mad"]
    assert found["trees_eta"] <= metrics["trees_on_colours_eta"]
    capsys.readouterr()
    assert main(["info", best(folder), baseline, str(folder / "test.h5")]) == 0
    told = capsys.readouterr().out
    for words in ("64 x 64 pixels of 0.396 arcsec", "photometric redshifts", "5 x 64 x 64"):
        assert words in told


def test_interrupted_and_resumed_is_uninterrupted(folder, monkeypatch):
    resumed = folder / "resumed"
    assert_resumed_is_uninterrupted(folder / "z.yaml", folder / "run", resumed, monkeypatch)


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
    small = ArrayCutouts(np.array(some.cutouts)[:, :, 16:-16, 16:-16])
    write_catalogue(replace(some, cutouts=small), tmp_path / "small.h5")
    assert main(["predict", best(folder), str(tmp_path / "small.h5"), "-o", str(tmp_path)]) == 2
    assert "has cut-outs of 32 x 32 pixels" in capsys.readouterr().err
    assert not (tmp_path / "predictions.ecsv").exists()


def test_exported_networks_give_the_same(folder):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    assert main(["export", best(folder), "-o", str(folder / "z.onnx")]) == 0
    session = runtime.InferenceSession(str(folder / "z.onnx"))
    some = read_catalogue(folder / "test.h5")
    dust = np.asarray(some.objects["ebv"], dtype=np.float32)
    (logits,) = session.run(None, {"flux": np.array(some.cutouts), "dust": dust})
    density = Table.read(folder / "run" / "predictions" / "network.ecsv")["density"]
    np.testing.assert_allclose(softmax(logits, axis=1), density, atol=1e-5)
