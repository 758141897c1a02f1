"""A survey from its settings to its report, by the commands that Cherenkov experiments have."""

import json
import os
import shutil

import h5py
import numpy as np
import pytest
import tables
from astropy.table import Table

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.cli.program import main
from gammalearn.errors import CheckpointError
from gammalearn.surveys import readers
from gammalearn.surveys.catalogue import read_catalogue, write_catalogue

from .resumed_survey import assert_resumed_is_uninterrupted

SETTINGS = """\
survey: supernovae
simulation:
- {{output: {folder}/train.h5, n_objects: 60, redshift_max: 0.5, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 40, redshift_max: 0.5, seed: 2}}
data:
  train: {folder}/train.h5
  test: {folder}/test.h5
  redshifted_fraction: 0.3
  validation_fraction: 0.2
tasks: [type_ia, supernova_type, auto_encoder, contrast, sparsity]
network: {{embedding: 16, layers: 1}}
training: {{epochs: 2, batch_size: 16, accelerator: cpu}}
evaluation: {{n_bootstrap: 5}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two epochs."""
    folder = tmp_path_factory.mktemp("supernovae")
    (folder / "sn.yaml").write_text(SETTINGS.format(folder=folder))
    assert main(["run", str(folder / "sn.yaml"), "-o", str(folder / "run"), "-q"]) == 0
    return folder


def test_a_run_has_a_report_figures_and_tables(folder):
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["n_objects"] == 40
    assert 0 <= metrics["auc"] <= 1
    # The trees have learned from the same objects; simulated ones are not hard.
    assert metrics["trees_on_features_auc"] > 0.6
    page = (folder / "run" / "report.html").read_text()
    for words in ("recall at precision 0.98", "trees on features", "Learning curves"):
        assert words in page
    network = Table.read(folder / "run" / "predictions" / "network.ecsv")
    assert len(network) == 40
    chances = [network[f"probability_type_{name}"] for name in ("Ia", "Ibc", "II")]
    np.testing.assert_allclose(np.sum(chances, axis=0), 1, rtol=1e-5)


def test_predict_gives_what_the_run_has(folder, capsys):
    best = folder / "run" / "checkpoints" / "best.ckpt"
    command = ["predict", str(best), str(folder / "test.h5"), "-o", str(folder / "again")]
    assert main([*command, "--set", "output.format=fits"]) == 0
    assert "40/40" in capsys.readouterr().err
    ours = Table.read(folder / "again" / "predictions.fits")
    theirs = Table.read(folder / "run" / "predictions" / "network.ecsv")
    np.testing.assert_allclose(ours["probability_Ia"], theirs["probability_Ia"], rtol=1e-6)
    assert main(command + ["--set", "output.format=fits"]) == 2
    assert "exists" in capsys.readouterr().err


def test_evaluate_gives_what_the_run_has(folder):
    table = folder / "run" / "predictions" / "network.ecsv"
    command = ["evaluate", str(table), "-o", str(folder / "evaluated"), "-q"]
    assert main([*command, "--set", "evaluation.n_bootstrap=5"]) == 0
    found = json.loads((folder / "evaluated" / "metrics.json").read_text())
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert found["auc"] == metrics["auc"]


def test_compare_has_both(folder):
    baseline = folder / "run" / "predictions" / "baseline.ecsv"
    sets = [str(folder / "run"), str(baseline)]
    assert main(["compare", *sets, "--labels", "net", "trees", "-o", str(folder / "c"), "-q"]) == 0
    found = json.loads((folder / "c" / "comparison.json").read_text())
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert found["auc"] == metrics["auc"]
    assert found["trees_auc"] == metrics["trees_on_features_auc"]


def test_info_describes_catalogue_network_and_table(folder, capsys):
    run = folder / "run"
    files = [
        folder / "test.h5",
        run / "checkpoints" / "best.ckpt",
        run / "predictions/network.ecsv",
    ]
    assert main(["info", *map(str, files)]) == 0
    told = capsys.readouterr().out
    for words in ("catalogue of simulation (deep)", "survey", "supernovae", "likely Ia"):
        assert words in told


def test_interrupted_and_resumed_is_uninterrupted(folder, monkeypatch):
    resumed = folder / "resumed"
    assert_resumed_is_uninterrupted(folder / "sn.yaml", folder / "run", resumed, monkeypatch)


def test_a_sweep_has_the_figures_of_its_runs(folder):
    command = ["sweep", str(folder / "sn.yaml"), "--grid", "network.layers=1,2", "-q"]
    command += ["--set", "training.epochs=1", "-o", str(folder / "sweep")]
    for index in ("0", "1"):
        assert main([*command, "--index", index]) == 0
    assert main([*command, "--summary"]) == 0
    table = Table.read(folder / "sweep" / "sweep.ecsv")
    assert list(map(str, table["network.layers"])) == ["1", "2"]
    assert np.isfinite(table["auc_mean"]).all()


def test_the_network_is_not_exported(folder, capsys):
    checkpoint = str(folder / "run" / "checkpoints" / "best.ckpt")
    assert main(["export", checkpoint, "-o", str(folder / "sn.onnx")]) == 2
    assert "networks of the survey 'supernovae' are not exported" in capsys.readouterr().err
    assert not (folder / "sn.onnx").exists()


def test_commands_for_telescopes_refuse_the_network(folder):
    with pytest.raises(CheckpointError, match="is a network for the survey 'supernovae'"):
        load_checkpoint(folder / "run" / "checkpoints" / "best.ckpt")


def test_a_network_for_telescopes_is_no_network_for_supernovae(folder, capsys):
    command = ["predict", "lst4-mono", str(folder / "test.h5"), "-o", str(folder / "no")]
    assert main(command) == 2
    assert not (folder / "no" / "predictions.ecsv").exists()


def test_a_band_that_the_network_does_not_have_is_told(folder, tmp_path, capsys):
    other = read_catalogue(folder / "test.h5")
    object.__setattr__(other, "bands", (*other.bands[:-1], "K"))
    write_catalogue(other, tmp_path / "k.h5")
    best = str(folder / "run" / "checkpoints" / "best.ckpt")
    assert main(["predict", best, str(tmp_path / "k.h5"), "-o", str(tmp_path / "p")]) == 2
    assert "has observations in the band 'K'" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_told(folder, tmp_path, capsys):
    path = tmp_path / "damaged.ckpt"
    shutil.copy(folder / "run" / "checkpoints" / "best.ckpt", path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert main(["predict", str(path), str(folder / "test.h5"), "-o", str(tmp_path / "p")]) == 2
    assert "cannot be" in capsys.readouterr().err


def test_options_of_telescopes_are_refused(folder, tmp_path, capsys):
    best = str(folder / "run" / "checkpoints" / "best.ckpt")
    command = ["predict", best, str(folder / "test.h5"), "-o", str(tmp_path / "p")]
    assert main([*command, "--telescopes", "LST"]) == 2
    assert "--telescopes is for networks of telescopes" in capsys.readouterr().err


def test_objects_without_types_are_refused(folder, tmp_path, capsys):
    blind = read_catalogue(folder / "train.h5")
    blind.objects["type"] = ""
    write_catalogue(blind, tmp_path / "blind.h5")
    command = ["run", str(folder / "sn.yaml"), "-o", str(tmp_path / "run"), "-q"]
    assert main([*command, "--set", f"data.train={tmp_path / 'blind.h5'}"]) == 2
    assert "No object of data.train has a type" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def predicted(folder, tmp_path, capsys):
    """Function that classifies a changed copy of the objects: status and what is told."""

    def predicted(change):
        shutil.copy(folder / "test.h5", tmp_path / "changed.h5")
        change(tmp_path / "changed.h5")
        best = folder / "run" / "checkpoints" / "best.ckpt"
        words = ["predict", str(best), str(tmp_path / "changed.h5"), "-o", str(tmp_path / "out")]
        return main(words), capsys.readouterr().err

    return predicted


LEFT_OUT = "1 observations without flux, time or error (left out)"


@pytest.mark.parametrize(
    "table, column, value, words",
    [
        ("objects", "host_redshift", 2**31, "1 redshifts that cannot be (taken as unknown)"),
        ("truth", "redshift", -3, "1 redshifts that cannot be (taken as unknown)"),
        ("observations", "time", 1e300, LEFT_OUT),
        ("observations", "flux", -1e30, LEFT_OUT),
        ("objects", "ebv", -1e30, "1 E(B-V) that cannot be (taken as 0)"),
        (
            "observations",
            "flux_error",
            1e300,
            LEFT_OUT,
        ),
        ("observations", "flux_error", -1, LEFT_OUT),
    ],
)
def test_values_that_cannot_be_are_told(predicted, table, column, value, words):
    def change(path):
        with tables.open_file(path, "a") as file:
            file.root[table].modify_column(start=3, stop=4, colname=column, column=[value])

    status, told = predicted(change)
    assert status == 0
    assert words in told


def test_an_object_without_a_name_is_refused(predicted):
    def change(path):
        with tables.open_file(path, "a") as file:
            file.root.objects.modify_column(start=3, stop=4, colname="object_id", column=[b""])

    status, told = predicted(change)
    assert status == 2
    assert "has no name" in told


def test_damaged_bytes_of_a_catalogue_are_refused(predicted):
    def change(path):
        with h5py.File(path) as file:
            place = file["observations"].id.get_chunk_info(0)
        content = bytearray(path.read_bytes())
        content[place.byte_offset + place.size // 2] ^= 1
        path.write_bytes(content)

    status, told = predicted(change)
    assert status == 2
    assert "is damaged" in told


def test_a_catalogue_that_crashes_its_reader_is_refused(predicted, monkeypatch):
    """The damage of some bytes makes the HDF5 library end the process."""
    monkeypatch.setattr(readers, "read_catalogue", lambda path: os._exit(139))
    status, told = predicted(lambda path: None)
    assert status == 2
    assert "crashes" in told
