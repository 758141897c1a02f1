"""Check of an experiment: all that is wrong, or what it would learn from and be."""

import re

import pytest
import torch
import yaml

from gammalearn.cli import main
from gammalearn.data import EventIndex, split_by_shower
from gammalearn.io.finding import find_files
from gammalearn.settings.all_mistakes import read_past_mistakes
from gammalearn.settings.reading import load_experiment
from gammalearn.tasks import build_tasks
from gammalearn.training.batch_memory import estimate_batch_memory

#: A network that is built in a moment.
SMALL = {"encoder": "conv4", "widths": [2, 4, 4, 4], "embedding": 8, "head": 8}


@pytest.fixture
def files(data_dir):
    """Gammas and protons, of several arrays."""
    names = ("gamma_diffuse_run10_6.0.0", "gamma_lsts_run7_7.0.0", "proton_run1_6.0.2")
    return [str(data_dir / "dl1_ctapipe" / f"{name}.dl1.h5") for name in names]


@pytest.fixture
def settings(tmp_path, files):
    """Write a settings file; returns its path."""

    def write(**sections):
        data = {"train": files, "test": files[1:], "telescopes": ["LST"]}
        values = {"network": SMALL, **sections, "data": data | sections.get("data", {})}
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def check(path, *options):
    """Exit status of a check."""
    return main(["check", str(path), *options])


def table(text, title):
    """Numbers of a table by their row: those of the columns."""
    part = text[text.index(title) :].partition("\n\n")[0].splitlines()[1:]
    rows = (re.fullmatch(r"  (.+?)((?:  +\d+)+)", line) for line in part)
    return {row[1].strip(): list(map(int, row[2].split())) for row in rows if row}


def test_events_are_those_of_the_selection(settings, files, capsys):
    path = settings()
    assert check(path) == 0
    text = capsys.readouterr().out
    data = load_experiment(path).data
    index = EventIndex.build(find_files(data.train, ""), data)
    parts = [index.events[rows]["particle"] for rows in split_by_shower(index.events, 0.2, 1)]
    shown = table(text, "Selected events")
    for particle in ("gamma", "proton"):
        assert shown[particle][:2] == [list(part).count(particle) for part in parts]
    # The content that is written beside the files: 4 gammas; 2 protons with an LST image.
    assert [shown[name][2] for name in ("gamma", "proton", "all")] == [4, 2, 6]
    assert text.endswith("\nNothing is wrong.\n")


def test_what_each_cut_leaves(settings, capsys):
    cuts = {"image": ["hillas_intensity > 50"], "event": ["true_energy > 0.15"]}
    assert check(settings(data={"cuts": cuts})) == 0
    flow = table(capsys.readouterr().out, "Selection of training files")
    assert list(flow)[0] == "triggered"
    assert list(flow)[-2:] == ["image: hillas_intensity > 50", "event: true_energy > 0.15"]
    # All four gammas at 40 deg from the zenith have 0.1 TeV.
    events = [n_events for n_events, _ in flow.values()]
    assert events[0] == 7 and events[-1] <= 3


def test_size_of_the_network(settings, capsys):
    """Parameters of its layers, by hand: 7 neighbours, K · in · out + out."""
    assert check(settings()) == 0
    text = capsys.readouterr().out
    layers = [(2, 2), (2, 4), (4, 4), (4, 4)]
    least = sum(7 * n_in * n_out + n_out for n_in, n_out in layers)
    (n_parameters,) = re.findall(r"encoders\.\S+ +([\d,]+) parameters", text)
    assert least < int(n_parameters.replace(",", "")) < 100 * least
    assert re.search(r"all +[\d,]+ parameters", text)


def test_memory_of_a_batch(settings):
    """Pixels by hand: 4 bytes for each channel of each pixel; a larger network keeps more."""
    experiment = load_experiment(settings())
    index = EventIndex.build(find_files(experiment.data.train, ""), experiment.data)
    tasks = build_tasks(experiment.tasks)
    memory = estimate_batch_memory(experiment, index, tasks, 3)
    images_per_event = len(index.images) / len(index.events)
    assert memory.n_events == 3
    assert memory.images_per_event == pytest.approx(images_per_event)
    assert memory.pixels == pytest.approx(3 * images_per_event * 2 * 4 * 1855)
    wide = {"network": experiment.network.model_copy(update={"widths": [8, 16, 16, 16]})}
    wider = estimate_batch_memory(experiment.model_copy(update=wide), index, tasks, 3)
    assert memory.step > memory.pixels and wider.step > 2 * memory.step


def test_memory_is_what_autograd_keeps(settings, monkeypatch):
    """Of a network of one product and one exponential: its input, and its result."""

    class Network(torch.nn.Module):
        n_scalars, vectors, with_pointing = 0, (), False

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1855, 5))

        def forward(self, images, n_events):
            (camera,) = images.values()
            return (camera.pixels @ self.weight).exp()

    monkeypatch.setattr("gammalearn.training.batch_memory.build_network", lambda *_: Network())
    experiment = load_experiment(settings())
    index = EventIndex.build(find_files(experiment.data.train, ""), experiment.data)
    memory = estimate_batch_memory(experiment, index, {}, 1)
    n_images, weights = len(index.images) / len(index.events), 1855 * 5
    # Weights, gradients and two moments of AdamW.
    assert memory.step == pytest.approx(n_images * 2 * (1855 + 5) * 4 + weights * 4 * 4)


def test_all_mistakes_of_settings_are_told(settings, capsys):
    path = settings(
        data={"grouping": "sterio"},
        network={"encoder": "conv6"},
        tasks={"energy": {"weigth": 3}, "enrgy": {}},
        training={"epochs": 0, "epoch": 3},
    )
    assert check(path, "--set", "training", "--set", "output.directry=x") == 2
    sentences = capsys.readouterr().err.splitlines()
    for words in (
        "data.grouping: Input should be 'mono' or 'stereo', got 'sterio'",
        "network.encoder: Input should be",
        "tasks.energy.weigth: no such setting; did you mean 'weight'?",
        "tasks.enrgy: there is no such task; did you mean 'energy'?",
        "training.epochs: Input should be greater than or equal to 1, got 0",
        "training.epoch: no such setting; did you mean 'epochs'?",
        "--set training: expected a.b=value",
        "(--set): output.directry: no such setting; did you mean 'directory'?",
    ):
        assert sum(words in sentence for sentence in sentences) == 1, (words, sentences)
    assert len(sentences) == 8
    assert all(sentence.startswith("gammalearn: ") for sentence in sentences)


def test_all_mistakes_of_a_python_file_are_told(tmp_path, capsys):
    path = tmp_path / "my.py"
    path.write_text(
        "from gammalearn.settings import *\n"
        "experiment = Experiment(\n"
        "    data=DataSettings(train=['nothing.h5'], test=['none/*.h5'], telescops=['LST'],\n"
        "                      cuts=CutSettings(imag=['a > 1'])),\n"
        "    network=NetworkSettings(encoder='conv6', geometry=True),\n"
        "    training=TrainingSettings(epochs=0),\n"
        ")\n"
    )
    assert check(path) == 2
    sentences = capsys.readouterr().err.splitlines()
    for words in (
        "CutSettings.imag: no such setting; did you mean 'image'?",
        "DataSettings.telescops: no such setting; did you mean 'telescopes'?",
        "NetworkSettings.encoder: Input should be",
        "NetworkSettings: geometry=true needs",
        "TrainingSettings.epochs: Input should be",
        "data.train: the file 'nothing.h5' does not exist",
        "data.test: no file matches 'none/*.h5'",
    ):
        assert sum(words in sentence for sentence in sentences) == 1, (words, sentences)
    assert len(sentences) == 7


def test_what_contradicts_a_default_is_no_mistake(tmp_path):
    """The slots are for the fusion that is misspelt, not for the default one."""
    path = tmp_path / "my.yaml"
    path.write_text("network: {fusion: concatenaton, telescopes: [1, 2]}\n")
    (error,) = read_past_mistakes(path).errors
    assert "network.fusion: Input should be" in str(error)


def test_what_contradicts_each_other_is_told(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("network: {fusion: concatenation}\ntraining: {epochs: 0}\n")
    first, second = sorted(map(str, read_past_mistakes(path).errors))
    assert "network: fusion='concatenation' needs the ids of telescopes" in first
    assert "training.epochs" in second


def test_a_file_that_cannot_run_is_told(tmp_path, capsys):
    path = tmp_path / "my.py"
    path.write_text("experiment = 1 / 0\n")
    assert check(path) == 2
    assert "line 1: ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_settings_make_mistakes_as_before_after_a_check(tmp_path, capsys):
    path = tmp_path / "my.py"
    path.write_text("from gammalearn.settings import *\nexperiment = Experiment(trainin=1)\n")
    assert check(path) == 2
    assert main(["run", str(path)]) == 2
    assert capsys.readouterr().err.count("trainin: no such setting") == 2


def test_all_that_is_wrong_with_data_is_told(settings, files, data_dir, tmp_path, capsys):
    (tmp_path / "text.h5").write_text("no HDF5")
    without_images = data_dir / "dl1_ctapipe" / "proton_run202_prod5.params_only.dl1.h5"
    path = settings(
        data={
            "train": [*files, str(tmp_path / "text.h5"), "nothing.h5", str(without_images)],
            "test": [files[1], f"{tmp_path}/*.dl1.h5"],
            "weights": {"spectral_index": -2},
        },
        training={"workers": 10_000},
    )
    assert check(path) == 2
    out, err = capsys.readouterr()
    for words in (
        "training.workers=10000",
        "text.h5' cannot be read as HDF5",
        "the file 'nothing.h5' does not exist",
        "params_only.dl1.h5' holds no DL1 images",
        "data.test: no file matches",
    ):
        assert err.count(words) == 1, (words, err)
    # The files that can be used are described nevertheless.
    assert table(out, "Selected events")["gamma"][2] == 4


def test_a_cut_that_cannot_be_evaluated_is_told(settings, capsys):
    assert check(settings(data={"cuts": {"image": ["hillas_intensty > 50"]}})) == 2
    assert "did you mean hillas_intensity" in capsys.readouterr().err


def test_a_selection_of_nothing_is_told(settings, capsys):
    assert check(settings(data={"cuts": {"event": ["true_energy > 1000"]}})) == 2
    err = capsys.readouterr().err
    assert "The selection leaves no event" in err and "Traceback" not in err


def test_nothing_is_written(settings, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = settings()
    assert check(path) == 0
    assert list(folder.iterdir()) == []
    assert set(tmp_path.iterdir()) == {folder, path}


def test_what_a_run_would_simulate(pytestconfig, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert check(pytestconfig.rootpath / "experiment_settings" / "lst_stereo.py") == 0
    out = capsys.readouterr().out
    assert re.search(r"data/train/gamma.dl1.h5 +2400 gamma showers over lst4", out)
    assert list(tmp_path.iterdir()) == []


def test_a_test_on_training_files_is_noted(settings, files, capsys):
    assert check(settings(tasks=["energy"], data={"test": files})) == 0
    assert "3 of the 3 test files are training files too" in capsys.readouterr().out


def test_no_settings_file(tmp_path, capsys):
    assert check(tmp_path / "nothing.py") == 2
    assert "nothing.py' does not exist" in capsys.readouterr().err
