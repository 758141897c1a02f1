"""A network that was trained in a moment, and a folder in which it is shipped."""

import pytest
import torch
import yaml

from gammalearn.checkpoint.slim import ship
from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventIndex
from gammalearn.models import registry
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

#: Of `trained`; the paths are of no file.
SETTINGS = {
    "data": {"telescopes": ["LST"], "train": ["/home/me/train/*.dl1.h5"], "cache_directory": None},
    "simulation": [
        {
            "output": f"{folder}/gamma.dl1.h5",
            "particle": "gamma",
            "n_showers": 5,
            "energy": [0.1, 1],
            "seed": seed,
        }
        for seed, folder in enumerate(("data/train", "/home/me/train", "/home/me/test"))
    ],
    "network": {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 4},
    "training": {
        "epochs": 2,
        "batch_size": 2,
        "accelerator": "cpu",
        "seed": 3,
        "balancing": "uncertainty",
        "weight_averaging": 0.5,
    },
}

CARD = {
    "title": "Stereo, four LSTs",
    "purpose": "A test.",
    "telescopes": "Four LSTs at La Palma.",
    "events": {
        "description": "gammas from a point source",
        "n_events": {"gamma": 4},
        "simulation": [
            {"output": f"{seed}.h5", "particle": "gamma", "n_showers": 5, "energy": [0.1, 1],
             "seed": seed}
            for seed in (1, 2, 4)
        ],
    },
    "training": {"hours": 0.5, "machine": "one core", "seed": 3, "date": "2025-01-31"},
    "measured": [
        {
            "events": "100 gammas that it has not seen",
            "figures": {
                "energy_resolution": {"value": 0.281, "error": 0.011},
                "angular_resolution_68": {"value": 0.18, "error": 0.006, "unit": "deg"},
            },
        }
    ],
    "limits": ["It has learnt nothing.", "It knows no other array."],
    "licence": "MIT",
}  # fmt: skip


@pytest.fixture(scope="session")
def dl1(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


@pytest.fixture(scope="session")
def run(dl1, tmp_path_factory):
    """Folder of a real training, with all that a checkpoint may hold."""
    folder = tmp_path_factory.mktemp("run")
    experiment = Experiment.model_validate(SETTINGS)
    index = EventIndex.build([dl1], experiment.data)
    with torch.random.fork_rng():
        fit(experiment, index, build_tasks(experiment.tasks), folder, progress=False)
    torch.use_deterministic_algorithms(False)
    return folder


@pytest.fixture(scope="session")
def checkpoint(run):
    return run / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="session")
def trained(checkpoint):
    return load_checkpoint(checkpoint)


@pytest.fixture
def write_card(tmp_path):
    """Function that writes a card, with changes of it as text or of its keys."""

    def write(text=None, **changes):
        path = tmp_path / "card.yaml"
        path.write_text(yaml.safe_dump({**CARD, **changes}) if text is None else text)
        return path

    return write


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where networks are shipped: nothing yet."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(registry, "FOLDER", folder)
    return folder


@pytest.fixture
def shipped(folder, checkpoint, write_card):
    """The network as ``lst4-stereo``; its checkpoint."""
    return ship(checkpoint, "lst4-stereo", write_card())


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The working directory, with nothing in it."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    monkeypatch.chdir(path)
    return path
