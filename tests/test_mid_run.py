"""What others do to files while a command runs: it ends in one sentence, and what it has finished
is whole."""

import os
import shutil

import pytest

from gammalearn.cli import main
from gammalearn.io import writing
from gammalearn.io.files import open_hdf5

NETWORK = "lst4-stereo"


@pytest.fixture
def inputs(data_dir, tmp_path):
    """Two DL1 files of one's own."""
    folder = tmp_path / "in"
    folder.mkdir()
    names = ("gamma_lsts_run7_7.0.0", "proton_run202_prod5")
    return [
        shutil.copyfile(data_dir / "dl1_ctapipe" / f"{name}.dl1.h5", folder / f"{name}.dl1.h5")
        for name in names
    ]


@pytest.fixture
def when_written(monkeypatch):
    """Function that has something done as soon as a file of some ending has its name."""

    def set_up(ending, action):
        replace = os.replace

        def replace_and_act(part, path):
            replace(part, path)
            if str(path).endswith(ending):
                monkeypatch.setattr(writing.os, "replace", replace)
                action()

        monkeypatch.setattr(writing.os, "replace", replace_and_act)

    return set_up


@pytest.fixture
def fails(capfd):
    """Function that runs a command which fails, and gives the sentence of that."""

    def run(words):
        status = main([str(word) for word in words])
        said = capfd.readouterr().err
        assert status == 2, said
        assert "Traceback" not in said
        last = said.strip().splitlines()[-1]
        assert last.startswith("gammalearn: ")
        return last

    return run


def replace_file(path, data_dir):
    """Other events, of the same telescopes."""
    path.unlink()
    shutil.copyfile(data_dir / "dl1_ctapipe" / "gamma_diffuse_run10_6.0.0.dl1.h5", path)


class TestPredict:
    @pytest.fixture
    def words(self, inputs, tmp_path):
        return ["predict", NETWORK, *inputs, "-o", tmp_path / "out"]

    @pytest.fixture
    def first_is_whole(self, tmp_path):
        yield
        assert [path.name for path in (tmp_path / "out").iterdir()] == [
            "gamma_lsts_run7_7.0.0.dl2.h5"
        ]
        with open_hdf5(tmp_path / "out" / "gamma_lsts_run7_7.0.0.dl2.h5") as file:
            assert len(file.root.dl2.event.subarray.energy.GammaLearn) > 0

    @pytest.mark.usefixtures("first_is_whole")
    def test_an_input_is_deleted(self, words, inputs, when_written, fails):
        when_written(".dl2.h5", inputs[1].unlink)
        assert f"'{inputs[1]}' does not exist" in fails(words)

    @pytest.mark.usefixtures("first_is_whole")
    def test_an_input_becomes_another(self, words, inputs, when_written, fails, data_dir):
        when_written(".dl2.h5", lambda: replace_file(inputs[1], data_dir))
        assert f"'{inputs[1]}'" in fails(words)

    @pytest.mark.usefixtures("first_is_whole")
    def test_an_input_is_cut_off(self, words, inputs, when_written, fails):
        when_written(".dl2.h5", lambda: os.truncate(inputs[1], 100_000))
        assert f"'{inputs[1]}' cannot be read" in fails(words)

    def test_the_output_folder_is_removed(self, words, when_written, fails, tmp_path):
        out = tmp_path / "out"
        when_written(".dl2.h5", lambda: shutil.rmtree(out))
        said = fails(words)
        assert str(out) in said and "cannot be written" in said
        # With the folder gone, both are made.
        assert main([str(word) for word in words]) == 0
        assert len(list(out.iterdir())) == 2


class TestTraining:
    @pytest.fixture
    def words(self, inputs, tmp_path):
        changes = {
            "network.encoder": "conv4",
            "network.widths": "[2, 2, 2, 2]",
            "network.embedding": "8",
            "network.head": "4",
            "training.epochs": "1",
            "training.batch_size": "4",
            "data.train": f"['{inputs[0]}', '{inputs[1]}']",
            "data.test": f"['{inputs[0]}']",
            "data.telescopes": "['LST']",
        }
        settings = tmp_path / "experiment.yaml"
        settings.write_text("{}")
        sets = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
        return ["run", settings, *sets, "-o", tmp_path / "out", "-q"]

    def test_a_file_is_deleted(self, words, inputs, when_written, fails, tmp_path):
        when_written("settings.yaml", inputs[1].unlink)
        assert f"'{inputs[1]}' does not exist" in fails(words)

    @pytest.mark.usefixtures("blank_pictures")
    def test_the_output_folder_is_removed(self, words, when_written, fails, tmp_path):
        out = tmp_path / "out"
        when_written("best.ckpt", lambda: shutil.rmtree(out))
        said = fails(words)
        assert str(out) in said
