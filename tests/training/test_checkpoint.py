"""Checkpoints: plain values that rebuild the network, and nothing that runs code."""

import copy
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch
import yaml

from gammalearn import __version__
from gammalearn.checkpoint.trained import TrainedOn, build_network, describe, load_checkpoint
from gammalearn.cli import main
from gammalearn.data import EventDataset, EventIndex
from gammalearn.errors import CheckpointError, MissingPackageError
from gammalearn.models import find_checkpoint
from gammalearn.tasks import build_tasks


@pytest.fixture(scope="module")
def state(three_epochs):
    return three_epochs.state()


def save(values, path):
    torch.save(values, path)
    return path


def plain(value, where="checkpoint"):
    """Fail unless the value is made of numbers, texts, tensors and containers of them."""
    if isinstance(value, dict):
        for key, item in value.items():
            plain(key, where)
            plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            plain(item, f"{where}[{number}]")
    else:
        kind = type(value)
        assert kind in {str, int, float, bool, type(None), torch.Tensor}, f"{where} is a {kind}"


def test_a_checkpoint_holds_plain_values_only(state):
    plain(state)
    assert not [name for name in state if "hyper_parameters" in name]


def test_a_checkpoint_says_where_it_comes_from(three_epochs, files):
    trained = load_checkpoint(three_epochs.last)
    assert trained.epoch == 3
    assert trained.versions["gammalearn"] == __version__
    assert trained.versions["torch"] == torch.__version__
    assert trained.trained_on.files == [str(path) for path in files]
    assert trained.trained_on.events == {"proton": 6, "gamma": 4}
    assert [camera.name for camera in trained.cameras] == ["LSTS-design", "FlashCam"]
    assert trained.experiment.network.dropout == 0.3
    assert list(trained.tasks) == ["particle_type", "energy", "direction", "impact"]


@torch.no_grad()
def test_a_loaded_network_computes_the_same(three_epochs, state, experiment, files):
    """As the one whose weights Lightning saved, which is put together here by hand."""
    trained = load_checkpoint(three_epochs.last)
    assert not trained.network.training
    index = EventIndex.build(files, trained.experiment.data)
    network = build_network(trained.experiment, index.cameras, trained.tasks).eval()
    weights = {k[8:]: v for k, v in state["state_dict"].items() if k.startswith("network.")}
    network.load_state_dict(weights)
    dataset = EventDataset(index, trained.experiment.data)
    batch = dataset[np.arange(len(index))]
    dataset.close()
    expected = network(batch.images, batch.n_events)
    for name, output in trained.network(batch.images, batch.n_events).items():
        assert torch.equal(output, expected[name]), name


def test_a_description_survives_saving(tmp_path, experiment, files):
    made = experiment(network={"embedding": 24})
    index = EventIndex.build(files, made.data)
    network = build_network(made, index.cameras, build_tasks(made.tasks))
    path = tmp_path / "made.ckpt"
    save(
        {
            "gammalearn": describe(made, index.cameras, TrainedOn()),
            "state_dict": {f"network.{k}": v for k, v in network.state_dict().items()},
            "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 7}}}},
        },
        path,
    )
    trained = load_checkpoint(str(path))
    assert trained.experiment == made
    assert trained.epoch == 7
    for ours, theirs in zip(trained.cameras, index.cameras, strict=True):
        assert ours.same_camera(theirs) and ours.name == theirs.name
    for name, value in network.state_dict().items():
        assert torch.equal(trained.network.state_dict()[name], value)


# -- what is no checkpoint -------------------------------------------------------------------------


def refusal(path):
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    sentence = str(error.value)
    assert str(path) in sentence and "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_missing(tmp_path):
    assert "does not exist" in refusal(tmp_path / "no.ckpt")


def test_directory(tmp_path):
    assert "is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a checkpoint", b"\x80\x02.", bytes(1000)])
def test_not_a_checkpoint(tmp_path, content):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    assert "damaged or of another kind" in refusal(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_truncated(tmp_path, three_epochs, part):
    whole = three_epochs.last.read_bytes()
    path = tmp_path / "cut.ckpt"
    path.write_bytes(whole[: int(part * len(whole))])
    assert "damaged or of another kind" in refusal(path)


def test_damaged_bytes_are_found_or_harmless(tmp_path, three_epochs):
    """Never another error than ours, never another weight."""
    whole = three_epochs.last.read_bytes()
    expected = load_checkpoint(three_epochs.last).network.state_dict()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.ckpt"
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole)
        for place in random.integers(0, min(len(whole), 20_000), size=20):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            found = load_checkpoint(path).network.state_dict()
        except CheckpointError:
            refused += 1
        else:
            assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert refused > 0


@pytest.fixture(scope="module")
def largest_record():
    """Bytes of a shipped network, and where in them its largest array of weights lies."""
    whole = find_checkpoint("lst4-stereo").read_bytes()
    with zipfile.ZipFile(find_checkpoint("lst4-stereo")) as archive:
        record = max(archive.infolist(), key=lambda record: record.file_size)
        content = archive.read(record)
    return whole, whole.index(content), len(content)


@pytest.mark.parametrize("how", ["zeroed", "one bit"])
@pytest.mark.parametrize("command", ["info", "predict", "slim", "run"])
def test_changed_weights_are_refused(command, how, largest_record, tmp_path, capsys, data_dir):
    """As a disk that loses a block leaves them: finite numbers, and other predictions."""
    whole, start, size = largest_record
    damaged = bytearray(whole)
    if how == "zeroed":
        damaged[start : start + size] = bytes(size)
    else:
        damaged[start + size // 2] ^= 1
    path, output = tmp_path / "damaged.ckpt", tmp_path / "out"
    path.write_bytes(damaged)
    dl1 = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    (tmp_path / "x.yaml").write_text(
        f"data: {{train: ['{dl1}'], test: ['{dl1}']}}\ntraining: {{initial: '{path}'}}"
    )
    words = {
        "info": [path],
        "predict": [path, dl1, "-o", output],
        "slim": [path, "-o", tmp_path / "slim.ckpt"],
        "run": [tmp_path / "x.yaml", "-o", output],
    }
    assert main([command, *map(str, words[command])]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"'{path}' cannot be read as a checkpoint: it is damaged" in said
    assert not output.exists()


def test_parts_larger_than_the_file(tmp_path):
    """Of zeros, which would take all memory once they are read."""
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    assert "damaged or of another kind" in refusal(path)


def test_code_is_not_executed(tmp_path):
    class Malicious:
        def __reduce__(self):
            return (tmp_path / "executed").write_text, ("",)

    for number, writer in enumerate((torch.save, lambda v, p: p.write_bytes(pickle.dumps(v)))):
        path = tmp_path / f"malicious{number}.ckpt"
        writer({"gammalearn": Malicious()}, path)
        assert "damaged or of another kind" in refusal(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "foreign", [{"weights": torch.zeros(3)}, {}, torch.zeros(3), [1, 2], "text", 3]
)
def test_foreign(tmp_path, foreign):
    path = save(foreign, tmp_path / "foreign.ckpt")
    assert "is not a checkpoint of GammaLearn" in refusal(path)


def without(*path):
    def change(state):
        for key in path[:-1]:
            state = state[key]
        del state[path[-1]]

    return change


def other_settings(state):
    settings = yaml.safe_load(state["gammalearn"]["settings"])
    settings["network"]["of_the_future"] = 1
    state["gammalearn"]["settings"] = yaml.safe_dump(settings)


def other_task(state):
    settings = yaml.safe_load(state["gammalearn"]["settings"])
    settings["tasks"]["of_the_future"] = {}
    state["gammalearn"]["settings"] = yaml.safe_dump(settings)


def of_the_future(state):
    state["gammalearn"]["format"] = 99


def other_shape(state):
    state["state_dict"]["network.place.weight"] = torch.zeros(3, 3)


@pytest.mark.parametrize(
    "change",
    [
        without("gammalearn", "settings"),
        without("gammalearn", "cameras"),
        without("gammalearn", "trained_on"),
        without("state_dict"),
        without("state_dict", "network.place.weight"),
        without("loops", "fit_loop", "epoch_progress"),
        other_settings,
        other_task,
        other_shape,
    ],
)
def test_of_another_version(tmp_path, state, change):
    state = copy.deepcopy(state)
    state["gammalearn"]["versions"]["gammalearn"] = "9.8"
    change(state)
    sentence = refusal(save(state, tmp_path / "other.ckpt"))
    assert f"made by 9.8, this is {__version__}" in sentence


@pytest.mark.parametrize("change", [without("gammalearn", "format"), of_the_future])
def test_of_another_frame(tmp_path, state, change):
    """The first networks saw telescopes in the ground frame: all would fit, and mean nothing."""
    state = copy.deepcopy(state)
    change(state)
    sentence = refusal(save(state, tmp_path / "other.ckpt"))
    assert "see telescopes in another frame; train the network again" in sentence


def test_of_this_version_the_cause_is_told(tmp_path, state):
    state = copy.deepcopy(state)
    del state["state_dict"]["network.place.weight"]
    sentence = refusal(save(state, tmp_path / "other.ckpt"))
    assert "made by" not in sentence and 'Missing key(s) in state_dict: "place.weight"' in sentence


def test_of_a_package_that_is_missing(tmp_path, state, monkeypatch):
    """Nothing is wrong with the checkpoint."""
    state = copy.deepcopy(state)
    settings = yaml.safe_load(state["gammalearn"]["settings"])
    settings["network"]["backend"] = "indexedconv"
    state["gammalearn"]["settings"] = yaml.safe_dump(settings)
    monkeypatch.setitem(sys.modules, "indexedconv.engine", None)
    with pytest.raises(MissingPackageError, match="needs the IndexedConv package; install it with"):
        load_checkpoint(save(state, tmp_path / "other.ckpt"))


@pytest.mark.parametrize("ours", [None, "text", {}, {"versions": None}])
def test_of_no_version(tmp_path, ours):
    sentence = refusal(save({"gammalearn": ours}, tmp_path / "other.ckpt"))
    assert "made by an unknown one" in sentence
