"""What a prediction may change of the settings of the training."""

import shutil

import numpy as np
import pytest
import tables

from gammalearn.cli import main

#: The file has LSTs and other telescopes.
MIXED = "gamma_diffuse_run10_6.0.0"
NETWORK = "lst4-stereo"


@pytest.fixture(scope="module")
def lsts(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


def predict(file, output, *words):
    return main(["predict", NETWORK, str(file), "-o", str(output), "-q", *map(str, words)])


@pytest.fixture(scope="module")
def unchanged(lsts, tmp_path_factory):
    """Folder of the DL2 with the settings of the training."""
    folder = tmp_path_factory.mktemp("unchanged")
    assert predict(lsts, folder) == 0
    return folder


@pytest.fixture
def predicted(unchanged, tmp_path):
    """A folder with the same, to predict into again."""
    return shutil.copytree(unchanged, tmp_path / "predicted")


def telescopes_of(folder):
    """Which telescopes each reconstructed event was reconstructed from."""
    (path,) = folder.glob("*.dl2.h5")
    with tables.open_file(path) as file:
        table = file.root.dl2.event.subarray.energy.GammaLearn[:]
        ids = file.root.configuration.instrument.subarray.layout.col("tel_id")
    masks = table["GammaLearn_telescopes"][table["GammaLearn_is_valid"]]
    return [set(ids[mask].tolist()) for mask in masks]


@pytest.mark.parametrize("words", [("--telescopes", "1,2"), ("--set", "data.telescopes=[1, 2]")])
def test_other_telescopes(lsts, unchanged, tmp_path, words):
    assert any(used > {1, 2} for used in telescopes_of(unchanged))
    assert predict(lsts, tmp_path / "two", *words) == 0
    found = telescopes_of(tmp_path / "two")
    assert found and all(used == {1, 2} for used in found)


def test_dl2_of_other_telescopes_is_not_taken_for_done(lsts, predicted, capsys):
    assert predict(lsts, predicted, "--telescopes", "1,2") == 2
    assert "was not made of all of" in capsys.readouterr().err
    assert predict(lsts, predicted, "--telescopes", "LST") == 0, "the same as in the training"


def test_a_further_cut(lsts, unchanged, tmp_path):
    """Only images that meet both the cut of the training and the new one enter."""
    cuts = "data.cuts.image=[hillas_intensity > 50, hillas_intensity > 100]"
    assert predict(lsts, tmp_path / "cut", "--set", cuts) == 0
    fewer, all_ = (sum(map(len, telescopes_of(made))) for made in (tmp_path / "cut", unchanged))
    assert 0 < fewer < all_


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("data.cuts.image=[]", "cut 'hillas_intensity > 50' of the training is missing"),
        ("data.min_multiplicity=1", "events of 2 images or more"),
        ("data.channels=[charge]", "a prediction cannot change it"),
        ("network.embedding=64", "a prediction cannot change it; it can change data.telescopes"),
        ("training.workers=none", "training.workers"),
        ("training.wrokers=1", "training.wrokers"),
    ],
)
def test_what_cannot_be_changed(lsts, tmp_path, capsys, assignment, words):
    assert predict(lsts, tmp_path / "out", "--set", assignment) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_the_error_of_an_unknown_camera_says_can_be_done(data_dir, tmp_path, capsys):
    file = next((data_dir / "dl1_ctapipe").glob(f"{MIXED}*"))
    assert predict(file, tmp_path / "out", "--set", "data.telescopes=null") == 2
    error = capsys.readouterr().err
    assert "that the network was not trained on" in error
    assert "with --set data.telescopes, by type, name or id" in error
    # The LSTs of this file have no event of two images, which is another matter.
    assert predict(file, tmp_path / "out", "--set", "data.telescopes=LST") == 2
    assert "The selection leaves no event" in capsys.readouterr().err


def test_workers_and_batch_do_not_change_the_events(lsts, predicted, tmp_path):
    assert predict(lsts, tmp_path / "one by one", "--set", "training.batch_size=1") == 0
    energies = []
    for folder in (predicted, tmp_path / "one by one"):
        (path,) = folder.glob("*.dl2.h5")
        with tables.open_file(path) as opened:
            energies.append(
                opened.root.dl2.event.subarray.energy.GammaLearn.col("GammaLearn_energy")
            )
    np.testing.assert_allclose(*energies, rtol=1e-4)
    # Done, though of another machine.
    assert predict(lsts, predicted, "--set", "training.workers=0") == 0
