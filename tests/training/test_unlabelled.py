"""Trainings with unlabelled events: what they change, and what they must not."""

import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tables
import torch

from gammalearn.data import EventIndex, columns_of, index_unlabelled
from gammalearn.dl2 import predict_outputs
from gammalearn.errors import CheckpointError
from gammalearn.training import load_checkpoint
from gammalearn.training.embeddings import SeenEmbeddings, distance_figures
from gammalearn.training.module import ReconstructionModule

TASKS = {name: {} for name in ("particle_type", "energy", "direction", "impact")}
ALL_ADAPTATIONS = {
    "domain": {"schedule": "linear"},
    "coral": {"schedule": "constant"},
    "mmd": {"conditional": True, "weight": 0.5},
}


@pytest.fixture(scope="module")
def other_file(data_dir):
    return data_dir / "dl1_ctapipe" / "proton_run202_prod5.ctapipe0.19.3.dl1.h5"


@pytest.fixture(scope="module")
def adapt(files, experiment, fit_in, other_file):
    """Function that trains in a folder beside unlabelled events."""

    def run(folder, unlabelled=other_file, adaptations=ALL_ADAPTATIONS, resume=False, **sections):
        data = {"unlabelled": [str(unlabelled)], "unlabelled_fraction": 0.25}
        sections["data"] = {**data, **sections.get("data", {})}
        made = experiment(**{"tasks": {**TASKS, **adaptations}, **sections})
        parameters = columns_of(made.network.parameters)
        index = EventIndex.build(files, made.data, parameters=parameters)
        others = index_unlabelled([unlabelled], made.data, index.cameras, parameters)
        return fit_in(folder, made, index, resume=resume, unlabelled=others)

    return run


@pytest.fixture(scope="module")
def whole(adapt, tmp_path_factory):
    return adapt(tmp_path_factory.mktemp("whole"), training=EVERY_STEP)


EVERY_STEP = {"epochs": 3, "batch_size": 4, "checkpoint_minutes": 1e-9, "weight_averaging": 0.9}


def test_another_truth_changes_no_weight(adapt, whole, other_file, tmp_path):
    """To the bit: gammas for protons, other energies, directions and cores."""
    copy = tmp_path / other_file.name
    shutil.copyfile(other_file, copy)
    copy.chmod(0o644)
    changed = {
        "true_energy": lambda x: 3 * x,
        "true_alt": lambda x: x - 1,
        "true_az": lambda x: x + 2,
        "true_core_x": lambda x: x + 100,
        "true_core_y": lambda x: -x,
        "true_shower_primary_id": lambda x: 0 * x,
    }
    with tables.open_file(copy, "a") as file:
        showers = file.root.simulation.event.subarray.shower
        for name, change in changed.items():
            before = showers.col(name)
            showers.modify_column(colname=name, column=change(before))
            assert (showers.col(name) != before).any(), name
    cuts = {"cuts": {"event": ["true_energy > 0"]}}
    other = adapt(tmp_path / "other", copy, training=EVERY_STEP, data=cuts)
    ours, theirs = whole.state()["state_dict"], other.state()["state_dict"]
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        assert torch.equal(weights, theirs[name]), name


def without_statistics(**training):
    """A network of parameters alone, which has no statistics of batches."""
    return {
        "network": {"encoder": "none", "widths": None, "parameters": "all"},
        "training": {"optimizer": "sgd", "learning_rate": 0.01, "epochs": 3, **training},
    }


def test_with_weight_0_the_network_learns_as_without(adapt, train, tmp_path):
    """Batches of six training events and two others, and batches of the six alone."""
    none = {name: {"weight": 0.0} for name in ALL_ADAPTATIONS}
    data = {"channels": []}
    beside = adapt(
        tmp_path / "beside", adaptations=none, data=data, **without_statistics(batch_size=8)
    )
    alone = train(tmp_path / "alone", data=data, tasks=TASKS, **without_statistics(batch_size=6))
    changed = adapt(tmp_path / "changed", data=data, **without_statistics(batch_size=8))
    ours, theirs, others = (
        {k: v for k, v in run.state()["state_dict"].items() if k.startswith("network.")}
        for run in (beside, alone, changed)
    )
    assert ours.keys() == theirs.keys()
    for name, weights in theirs.items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-4, atol=1e-6)
    assert any(not torch.allclose(others[name], w, atol=1e-5) for name, w in theirs.items())
    # The loss of the validation is a mean of batches, which are not the same.
    for name in ("train/loss", "train/energy", "validation/energy", "validation/direction"):
        np.testing.assert_allclose(beside.history[name], alone.history[name], rtol=1e-4)


def test_without_adaptation_the_network_learns_as_without_them(adapt, train, tmp_path):
    """Statistics of the batch normalisations are those of the training events alone."""
    training = {"epochs": 2, "optimizer": "sgd", "learning_rate": 0.01}
    beside = adapt(tmp_path / "beside", adaptations={}, training={**training, "batch_size": 8})
    alone = train(tmp_path / "alone", tasks=TASKS, training={**training, "batch_size": 6})
    ours, theirs = beside.state()["state_dict"], alone.state()["state_dict"]
    assert any(name.endswith("running_mean") for name in theirs)
    for name, weights in theirs.items():
        if name.startswith("network."):
            torch.testing.assert_close(ours[name], weights, rtol=1e-3, atol=1e-5, msg=name)
    assert "train/domain" not in beside.history


def test_statistics_of_all_events_on_request(adapt, train, tmp_path):
    training = {"epochs": 1, "batch_size": 8}
    data = {"unlabelled_statistics": True}
    beside = adapt(tmp_path / "beside", adaptations={}, training=training, data=data)
    alone = train(tmp_path / "alone", tasks=TASKS, training={**training, "batch_size": 6})
    ours, theirs = beside.state()["state_dict"], alone.state()["state_dict"]
    means = [name for name in theirs if name.endswith("running_mean")]
    assert means and any(not torch.allclose(ours[name], theirs[name]) for name in means)


class PowerCut(Exception):
    pass


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (2, 0)])
def test_interrupted_and_resumed_is_uninterrupted(
    adapt, whole, tmp_path, monkeypatch, assert_same_run, epoch, batch
):
    """Weights of network and classifier, optimiser, averages and curves, to the bit."""
    original = ReconstructionModule.training_step

    def training_step(self, events, number):
        if (self.current_epoch, number) == (epoch, batch):
            raise PowerCut
        return original(self, events, number)

    with monkeypatch.context() as changed:
        changed.setattr(ReconstructionModule, "training_step", training_step)
        with pytest.raises(PowerCut):
            adapt(tmp_path, training=EVERY_STEP)
    assert_same_run(adapt(tmp_path, training=EVERY_STEP, resume=True), whole)


@pytest.mark.slow
def test_workers_change_nothing(adapt, whole, tmp_path, assert_same_run):
    data = {"validation_fraction": 0.0}
    alone = adapt(tmp_path / "alone", training={"epochs": 2}, data=data)
    assert_same_run(
        adapt(tmp_path / "workers", training={"epochs": 2, "workers": 1}, data=data), alone
    )


def test_other_unlabelled_events_are_another_training(adapt, train, whole, files, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"unlabelled files were \['proton.*are now \['gamma"):
        adapt(tmp_path / "run", files[0], training=EVERY_STEP, resume=True)
    with pytest.raises(CheckpointError, match="unlabelled files were .* and are now None"):
        train(tmp_path / "run", tasks=TASKS, training=EVERY_STEP, resume=True)


def test_they_are_counted_and_watched(adapt, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "gammalearn"):
        run = adapt(tmp_path, training={"epochs": 1})
    n_training = run.summary.trained_on.unlabelled_training_events
    n_validation = run.summary.trained_on.unlabelled_validation_events
    assert n_training > n_validation > 0
    words = f"{n_training} unlabelled events in the training and {n_validation} in the validation"
    assert words in caplog.text
    assert {"train/domain", "train/coral", "train/mmd", "validation/domain_accuracy"} <= {
        *run.history
    }
    # Fewer events than a distance needs.
    assert "validation/a_distance" not in run.history
    trained_on = load_checkpoint(run.last).trained_on
    assert trained_on.unlabelled_files == ["proton_run202_prod5.ctapipe0.19.3.dl1.h5"]


def test_a_checkpoint_reconstructs_as_any(whole, files):
    """It has no output of adaptations."""
    trained = load_checkpoint(whole.last)
    assert list(trained.tasks) == list(trained.network.tasks) == list(TASKS)
    index = EventIndex.build(files, trained.experiment.data, cameras=trained.cameras)
    outputs = predict_outputs(
        trained.network, trained.tasks, index, trained.experiment.data, 8, progress=False
    )
    assert set(outputs) == set(TASKS)
    assert all(np.isfinite(values).all() for values in outputs.values())


SCRIPT = """
import json, sys
from pathlib import Path
from gammalearn.data import index_unlabelled
from gammalearn.run.experiment import index_training
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

if __name__ == "__main__":
    folder, runs, unlabelled, *files = sys.argv[1:]
    for name, settings in json.loads(runs).items():
        experiment = Experiment.model_validate_json(settings)
        tasks = build_tasks(experiment.tasks)
        index = index_training([Path(file) for file in files], experiment, tasks)
        others = None
        if experiment.data.unlabelled:
            others = index_unlabelled([Path(unlabelled)], experiment.data, index.cameras)
        fit(experiment, index, tasks, Path(folder) / name, progress=False, unlabelled=others)
"""


@pytest.fixture(scope="module")
def two_processes(experiment, files, other_file, tmp_path_factory):
    """Folder of runs that two processes have made together."""
    folder = tmp_path_factory.mktemp("two")
    runs = {
        "adapted": experiment(
            data={"unlabelled": [str(other_file)]},
            tasks={**TASKS, **ALL_ADAPTATIONS},
            training={"epochs": 2, "batch_size": 4, "devices": 2},
        ),
        "reconstruction alone": experiment(
            tasks={"reconstruction": {}}, training={"epochs": 1, "batch_size": 4, "devices": 2}
        ),
    }
    script = folder / "script.py"
    script.write_text(SCRIPT)
    words = json.dumps({name: made.model_dump_json() for name, made in runs.items()})
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(script, folder, words, other_file, *files),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_two_processes_learn_together(two_processes, run_in):
    """Each has events of both kinds in each step, and they end with figures of both."""
    history = run_in(two_processes / "adapted").history
    for name in ("train/loss", "train/domain", "train/coral", "train/mmd"):
        assert np.isfinite([value for _, value in history[name]]).all(), name
    assert 0 <= history["validation/domain_accuracy"][-1][1] <= 1


@pytest.mark.slow
def test_two_processes_learn_without_labels(two_processes, run_in):
    """Reconstruction alone, which learns nothing from the fusion: no process waits for it."""
    history = run_in(two_processes / "reconstruction alone").history
    assert np.isfinite(history["validation/reconstruction"][-1][1])


# -- embeddings of the validation ------------------------------------------------------------------


def fill(seen, embedding, labelled, first=0, size=300):
    from gammalearn.tasks.adaptation import EventSet

    for start in range(0, len(embedding), size):
        part = slice(start, start + size)
        kind = torch.full((len(embedding[part]),), labelled)
        row = first + torch.arange(len(embedding))[part]
        seen.update(EventSet(embedding[part], torch.ones(len(row), 1)), kind, row)


def test_some_events_of_each_kind_are_kept():
    """However many there are and however they come; each value stays with its kind."""
    seen = SeenEmbeddings()
    fill(seen, torch.arange(5000.0)[:, None], True)
    fill(seen, -1 - torch.arange(300.0)[:, None], False)
    labelled, unlabelled = seen.compute()
    assert len(labelled) == 2000 and len(unlabelled) == 300
    values = labelled.embedding[:, 0]
    assert len(values.unique()) == 2000 and (values >= 0).all()
    # From the whole range, not from its beginning: as many in each half, but for chance.
    assert abs(int((values >= 2500).sum()) - 1000) < 5 * np.sqrt(500)
    assert sorted((-1 - unlabelled.embedding[:, 0]).tolist()) == [*range(300)]
    again = SeenEmbeddings()
    fill(again, torch.arange(5000.0)[:, None], True, size=5000)
    assert set(again.compute()[0].embedding[:, 0].tolist()) == set(values.tolist())


def test_the_distance_is_of_both_kinds():
    torch.manual_seed(0)
    for shift, expected in ((0.0, 0.0), (20.0, 2.0)):
        seen = SeenEmbeddings()
        fill(seen, torch.randn(900, 4), True)
        fill(seen, torch.randn(900, 4) + shift, False)
        assert distance_figures(seen, [])["a_distance"] == pytest.approx(expected, abs=0.2)


def test_without_unlabelled_events_there_is_no_distance():
    seen = SeenEmbeddings()
    fill(seen, torch.randn(50, 4), True)
    assert np.isnan(distance_figures(seen, [])["a_distance"])
