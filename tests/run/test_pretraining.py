"""A pre-training by the command line, its scores in DL2 files, and the training after it."""

import numpy as np
import pytest
import tables
import yaml
from ctapipe.io import TableLoader

from gammalearn.cli import main

FILES = ["gamma_lsts_run7_7.0.0", "proton_run202_prod5"]

pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture
def settings(dl1, tmp_path):
    """Write a settings file."""

    def write(tasks, **data):
        files = [str(dl1(name)) for name in FILES]
        values = {
            "data": {"telescopes": ["LST"], "grouping": "mono", **data},
            "network": {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 8},
            "tasks": tasks,
            "training": {"epochs": 1, "accelerator": "cpu"},
        }
        values["data"] = {k: files if v == "files" else v for k, v in values["data"].items()}
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump(values))
        return str(path)

    return write


def test_unlabelled_files_alone_and_then_a_training(settings, tmp_path, capsys):
    first = settings(["reconstruction"], unlabelled="files")
    assert main(["check", first]) == 0
    pretrained = tmp_path / "pretrained"
    assert main(["-q", "run", first, "--output", str(pretrained)]) == 0
    assert not (pretrained / "report.html").exists()
    best = pretrained / "checkpoints" / "best.ckpt"
    second = settings(["particle_type", "reconstruction"], train="files", test="files")
    output = tmp_path / "run"
    options = ["--output", str(output), "--set", f"training.initial={best}"]
    assert main(["-q", "run", second, *options]) == 0
    report = (output / "report.html").read_text()
    assert "trained before" in report
    path = next((output / "dl2").glob("gamma*"))
    with tables.open_file(path) as file:
        found = [*file.iter_nodes("/dl2/event/telescope/anomaly/GammaLearn", "Table")]
        scores, valid = (
            np.concatenate([table.col(f"GammaLearn_tel_{name}") for table in found])
            for name in ("anomaly_score", "anomaly_is_valid")
        )
    assert valid.any() and np.all(scores[valid] > 0) and np.isnan(scores[~valid]).all()
    # ctapipe reads them, row by row beside its own.
    with TableLoader(path) as loader:
        events = loader.read_telescope_events(dl2=True)
    assert "GammaLearn_tel_anomaly_score" in events.colnames


def test_a_pretraining_scores_test_files(settings, tmp_path):
    path = settings(["reconstruction", "contrast"], train="files", test="files")
    output = tmp_path / "run"
    assert main(["-q", "run", path, "--output", str(output)]) == 0
    with tables.open_file(next((output / "dl2").glob("gamma*"))) as file:
        assert list(file.root.dl2.event.telescope._v_children) == ["anomaly"]


@pytest.mark.parametrize(
    ("tasks", "data", "network", "words"),
    [
        ({"reconstruction": {"classes": 3}}, {}, {}, "tasks.reconstruction.classes=3"),
        ({"contrast": {"views": "telescopes"}}, {}, {}, "set it to 'turns'"),
        ({"reconstruction": {}}, {"channels": ["peak_time"]}, {}, "add charge to"),
    ],
)
def test_what_cannot_be_learned_is_refused(settings, capsys, tasks, data, network, words):
    assert main(["check", settings(tasks, train="files", **data)]) == 2
    assert words in capsys.readouterr().err
