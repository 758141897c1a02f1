"""Checkpoints without what only a training needs: the same network, and no training goes on."""

import shutil

import pytest
import torch
import yaml

from gammalearn.checkpoint.slim import ship, slim
from gammalearn.checkpoint.trained import KEY, load_checkpoint
from gammalearn.cli import main
from gammalearn.data import EventIndex
from gammalearn.dl2 import predict_outputs
from gammalearn.errors import CheckpointError, OutputError
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training import fit


@pytest.fixture(scope="module")
def slimmed(trained, tmp_path_factory):
    return slim(trained, tmp_path_factory.mktemp("slim") / "network.ckpt")


@pytest.fixture(scope="module")
def outputs(dl1):
    """Function that gives what a network says of the events of a file."""

    def predict(path):
        trained = load_checkpoint(path)
        settings = trained.experiment.data
        index = EventIndex.build([dl1], settings, trained.cameras)
        return predict_outputs(trained.network, trained.tasks, index, settings, 2, progress=False)

    return predict


def test_the_outputs_are_the_same_bit_for_bit(checkpoint, slimmed, outputs):
    whole, small = outputs(checkpoint), outputs(slimmed)
    assert whole.keys() == small.keys()
    for name, values in whole.items():
        assert values.tobytes() == small[name].tobytes(), name


def test_only_the_network_is_left(checkpoint, slimmed):
    state = torch.load(slimmed, weights_only=True)
    assert set(state) == {KEY, "state_dict"}
    assert not {"epoch_sums", "skipped_steps", "planned_steps"} & set(state[KEY])
    assert all(name.startswith("network.") for name in state["state_dict"])
    assert slimmed.stat().st_size < 0.5 * checkpoint.stat().st_size


def test_it_says_what_the_whole_one_says(trained, slimmed):
    again = load_checkpoint(slimmed)
    assert (again.epoch, again.versions) == (trained.epoch, trained.versions)
    assert again.epoch > 0
    assert again.experiment.training == trained.experiment.training
    assert again.trained_on.events == trained.trained_on.events == {"gamma": 4}


def test_folders_of_the_machine_are_left_out(trained, slimmed, dl1, tmp_path):
    text = torch.load(slimmed, weights_only=True)[KEY]["settings"]
    assert "/home" not in text
    settings = load_checkpoint(slimmed).experiment
    assert settings.data.train == ["*.dl1.h5"]
    outputs = [made.output for made in settings.simulation]
    assert outputs == ["data/train/gamma.dl1.h5", "1/gamma.dl1.h5", "2/gamma.dl1.h5"]
    assert load_checkpoint(slimmed).trained_on.files == [dl1.name]
    data = trained.experiment.data.model_copy(update={"cache_directory": "/home/me/cache"})
    trained = trained.__class__(
        **{**vars(trained), "experiment": trained.experiment.model_copy(update={"data": data})}
    )
    path = slim(trained, tmp_path / "network.ckpt")
    assert load_checkpoint(path).experiment.data.cache_directory is None


def test_one_network_gives_one_file(trained, slimmed, tmp_path):
    """Whatever its name: DL2 files tell networks apart by their bytes."""
    again = slim(load_checkpoint(slimmed), tmp_path / "other.ckpt")
    assert again.read_bytes() == slimmed.read_bytes()


def test_half_precision(trained, slimmed, tmp_path, outputs):
    """The same within rounding of weights to 11 bits, on layers of a few weights each."""
    path = slim(trained, tmp_path / "half.ckpt", half=True)
    state = torch.load(path, weights_only=True)["state_dict"]
    kinds = {
        (value.dim() > 1, value.dtype) for value in state.values() if value.is_floating_point()
    }
    assert kinds == {(True, torch.float16), (False, torch.float32)}
    assert {p.dtype for p in load_checkpoint(path).network.parameters()} == {torch.float32}
    for name, values in outputs(slimmed).items():
        assert outputs(path)[name] == pytest.approx(values, rel=0.02, abs=0.02), name


def test_nothing_is_replaced_unasked(trained, slimmed, tmp_path):
    path = tmp_path / "network.ckpt"
    path.write_text("years of work")
    with pytest.raises(OutputError, match=r"network\.ckpt' exists.*--overwrite"):
        slim(trained, path)
    assert path.read_text() == "years of work"
    assert slim(trained, path, overwrite=True).read_bytes() == slimmed.read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        slim(trained, tmp_path / "nowhere" / "network.ckpt")


def test_the_command(checkpoint, slimmed, tmp_path, capsys):
    path = tmp_path / "network.ckpt"
    assert main(["slim", str(checkpoint), "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == slimmed.read_bytes()
    assert main(["slim", str(checkpoint), "-o", str(path)]) == 2
    assert main(["slim", str(checkpoint), "-o", str(path), "--half", "--overwrite"]) == 0
    assert path.stat().st_size < slimmed.stat().st_size


def test_no_training_goes_on_from_it(run, slimmed, dl1, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    last = folder / "checkpoints" / "last.ckpt"
    settings = yaml.safe_load(torch.load(last, weights_only=True)[KEY]["settings"])
    settings["training"]["epochs"] = 3
    experiment = Experiment.model_validate(settings)
    index = EventIndex.build([dl1], experiment.data)
    # As of a file that has its name only.
    state = torch.load(slimmed, weights_only=True)
    state[KEY]["trained_on"] = torch.load(last, weights_only=True)[KEY]["trained_on"]
    torch.save(state, last)
    tasks = build_tasks(experiment.tasks)
    with pytest.raises(CheckpointError, match="cannot be resumed.*without the state of its opti"):
        fit(experiment, index, tasks, folder, resume=True, progress=False)


# -- shipping --------------------------------------------------------------------------------------


def test_a_shipped_network_lies_with_its_card(shipped, folder, slimmed, write_card):
    assert sorted(path.name for path in folder.iterdir()) == [
        "lst4-stereo.ckpt",
        "lst4-stereo.yaml",
    ]
    assert shipped.read_bytes() == slimmed.read_bytes()
    assert (folder / "lst4-stereo.yaml").read_text() == write_card().read_text()


def test_a_network_is_not_shipped_twice_unasked(shipped, folder, checkpoint, write_card):
    with pytest.raises(OutputError, match="exists"):
        ship(checkpoint, "lst4-stereo", write_card(title="Another"))
    assert "Another" not in (folder / "lst4-stereo.yaml").read_text()
    ship(checkpoint, "lst4-stereo", write_card(title="Another"), overwrite=True)
    assert "Another" in (folder / "lst4-stereo.yaml").read_text()


@pytest.mark.parametrize("name", ["", "../x", "LST", "lst4_stereo", "lst4.stereo", "-x", "a/b"])
def test_names_are_simple(folder, checkpoint, write_card, name):
    with pytest.raises(OutputError, match="cannot be the name of a shipped network"):
        ship(checkpoint, name, write_card())
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"training": {"hours": 1, "machine": "x", "seed": 4, "date": "2025-01-31"}},
            "its training.seed is 4, the checkpoint's 3",
        ),
        (
            {"events": {"description": "x", "n_events": {"gamma": 5}}},
            "its events.n_events is {'gamma': 5}, the checkpoint's {'gamma': 4}",
        ),
        ({"purpose": 1}, "purpose: Input should be a valid string"),
    ],
)
def test_a_card_of_another_training(folder, checkpoint, write_card, changes, words):
    with pytest.raises(CheckpointError) as refused:
        ship(checkpoint, "lst4-stereo", write_card(**changes))
    assert words in str(refused.value)
    assert not list(folder.iterdir())
