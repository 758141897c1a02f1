"""Small but real runs, which several tests look at."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from gammalearn.data import EventIndex, columns_of
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training import TrainingSummary, fit
from gammalearn.training.callbacks import learning_curves

FILES = ["gamma_lsts_run7_7.0.0", "proton_run202_prod5"]


@dataclass
class Run:
    """What a training leaves behind."""

    folder: Path
    checkpoint: Path
    summary: TrainingSummary | None

    @property
    def last(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"

    def state(self, path: Path | None = None) -> dict:
        return torch.load(path or self.last, weights_only=True)

    @property
    def history(self) -> dict:
        """Learning curves: points (epoch, value) by name."""
        callbacks = self.state()["callbacks"]
        return next(state["history"] for state in callbacks.values() if "history" in state)


@pytest.fixture(autouse=True)
def _own_random_numbers():
    """Training seeds the generators and asks for deterministic algorithms: only for itself."""
    with torch.random.fork_rng():
        yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Threads of such small networks would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def files(data_dir):
    paths = [data_dir / "dl1_ctapipe" / f"{name}.dl1.h5" for name in FILES]
    for path in paths:
        if not path.exists():
            pytest.skip(f"no {path.name} in the test data")
    return paths


@pytest.fixture(scope="session")
def experiment():
    """Function that makes settings of a small network for the few images of the test data."""

    def make(**sections):
        settings = {
            "data": {"telescopes": ["LST"], "grouping": "mono"},
            "network": {"encoder": "conv4", "widths": [4] * 4, "embedding": 16, "head": 16},
            "training": {"epochs": 2, "batch_size": 8, "accelerator": "cpu"},
        }
        for section, values in sections.items():
            settings[section] = {**settings.get(section, {}), **values}
        return Experiment.model_validate(settings)

    return make


@pytest.fixture(scope="session")
def fit_in():
    """Function that trains in a folder on events of an index, and what `fit` takes besides."""

    def run(folder, made, index, draw=False, **options) -> Run:
        # To draw takes longer than to train.
        with nullcontext() if draw else patch.object(learning_curves, "draw_learning_curves"):
            summary = fit(made, index, build_tasks(made.tasks), folder, progress=False, **options)
        return Run(folder, summary.checkpoint, summary)

    return run


@pytest.fixture(scope="session")
def train(files, experiment, fit_in):
    """Function that trains in a folder, with some settings changed."""

    def run(folder, resume=False, draw=False, **sections) -> Run:
        made = experiment(**sections)
        parameters = columns_of(made.network.parameters)
        index = EventIndex.build(files, made.data, parameters=parameters)
        return fit_in(folder, made, index, draw, resume=resume)

    return run


@pytest.fixture(scope="session")
def run_in():
    """Function that gives what a training of another process has left in a folder."""
    return lambda folder: Run(folder, folder / "checkpoints" / "best.ckpt", None)


@pytest.fixture(scope="session")
def three_epochs(train, tmp_path_factory):
    """An uninterrupted run with dropout, of telescopes of two cameras."""
    folder = tmp_path_factory.mktemp("three_epochs")
    return train(folder, draw=True, **THREE_EPOCHS)


#: Settings of `three_epochs`.
THREE_EPOCHS = {
    "data": {"telescopes": None, "grouping": "stereo"},
    "network": {"dropout": 0.3},
    "training": {"epochs": 3, "batch_size": 3, "balancing": "uncertainty", "weight_decay": 0.01},
}


@pytest.fixture(scope="session")
def three_epochs_settings():
    return THREE_EPOCHS


@pytest.fixture(scope="session")
def assert_same_run():
    """Function that compares two runs bit for bit: weights, optimiser, schedule, averages, learning
    curves and the best epoch."""

    def same(one, other):
        ours, theirs = one.state(), other.state()
        for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers"):
            assert_equal(ours.get(part), theirs.get(part), part)
        assert ours["epoch"] == theirs["epoch"] and ours["global_step"] == theirs["global_step"]
        assert one.history == other.history
        best = [run.state(run.checkpoint) for run in (one, other)]
        assert_equal(best[0]["state_dict"], best[1]["state_dict"], "best")
        assert best[0]["epoch"] == best[1]["epoch"]

    return same


def assert_equal(one, other, where):
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name in one:
            assert_equal(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for number, (mine, others) in enumerate(zip(one, other, strict=True)):
            assert_equal(mine, others, f"{where}.{number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where
