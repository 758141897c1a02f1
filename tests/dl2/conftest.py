"""Checkpoints of networks that learnt nothing, and files of lstchain."""

import pytest
import torch

from gammalearn.checkpoint.trained import KEY, TrainedOn, build_network, describe
from gammalearn.data import EventIndex
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks

NETWORK = {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 4}


@pytest.fixture(scope="session")
def lstchain(data_dir):
    """Path of an lstchain DL1 file."""
    return lambda name: data_dir / "dl1_lstchain" / f"dl1_{name}.h5"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Function that saves a network of random weights for the cameras of a file."""

    def make(path, name="Net", batch_size=64, condition=(), tasks=None, seed=4, **data):
        experiment = Experiment.model_validate(
            {
                "data": data,
                "network": NETWORK | {"condition": list(condition)},
                "output": {"algorithm": name},
                "training": {"batch_size": batch_size},
                **({"tasks": tasks} if tasks else {}),
            }
        )
        cameras = EventIndex.build([path], experiment.data).cameras
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = build_network(experiment, cameras, build_tasks(experiment.tasks))
            if condition:
                torch.nn.init.normal_(network.conditioning.modulation[-1].weight)
        state = {
            KEY: describe(experiment, cameras, TrainedOn()),
            "state_dict": {f"network.{k}": v for k, v in network.state_dict().items()},
            "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 1}}}},
        }
        file = tmp_path_factory.mktemp("checkpoint") / "best.ckpt"
        torch.save(state, file)
        return file

    return make
