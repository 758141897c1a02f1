"""Trainings with tasks that need no truth: alone, and beside others."""

import shutil

import numpy as np
import pytest
import tables
import torch

from gammalearn.data import EventIndex, index_unlabelled
from gammalearn.dl2 import reconstruct_events
from gammalearn.run.experiment import index_training
from gammalearn.tasks import build_tasks
from gammalearn.training import load_checkpoint

BOTH = {"reconstruction": {}, "contrast": {}}
QUANTITIES = {"particle_type": {}, "energy": {}}


@pytest.fixture(scope="module")
def learn(files, experiment, fit_in):
    """Function that trains in a folder, with a pre-training's own index of events."""

    def run(folder, tasks=BOTH, paths=files, unlabelled=None, resume=False, **sections):
        made = experiment(tasks=tasks, **sections)
        index = index_training(paths, made, build_tasks(made.tasks))
        others = None
        if unlabelled is not None:
            others = index_unlabelled([unlabelled], made.data, index.cameras)
        return fit_in(folder, made, index, resume=resume, unlabelled=others)

    return run


@pytest.fixture(scope="module")
def pretrained(learn, tmp_path_factory):
    return learn(tmp_path_factory.mktemp("pretrained"), training=THREE_EPOCHS)


THREE_EPOCHS = {"epochs": 3, "batch_size": 4, "checkpoint_minutes": 1e-9}


def test_a_pretraining_has_its_own_losses(pretrained):
    """The total is their sum with the weights, and decides on the best epoch."""
    for stage in ("train", "validation"):
        parts = [dict(pretrained.history[f"{stage}/{name}"]) for name in BOTH]
        for epoch, total in pretrained.history[f"{stage}/loss"]:
            assert np.isfinite(total) and total > 0
            assert total == pytest.approx(sum(part[epoch] for part in parts), rel=0.2)
    assert pretrained.history["train/loss"][-1][1] < pretrained.history["train/loss"][0][1]


def test_another_truth_changes_no_weight(learn, pretrained, files, tmp_path):
    """To the bit: protons for gammas, other energies, directions and cores."""
    changed = {
        "true_energy": lambda x: 3 * x,
        "true_alt": lambda x: x - 1,
        "true_core_x": lambda x: x + 100,
        "true_shower_primary_id": lambda x: 101 - x,
    }
    copies = []
    for path in files:
        copies.append(tmp_path / path.name)
        shutil.copyfile(path, copies[-1])
        copies[-1].chmod(0o644)
        with tables.open_file(copies[-1], "a") as file:
            showers = file.root.simulation.event.subarray.shower
            for name, change in changed.items():
                showers.modify_column(colname=name, column=change(showers.col(name)))
    other = learn(tmp_path / "other", paths=copies, training=THREE_EPOCHS)
    ours, theirs = pretrained.state()["state_dict"], other.state()["state_dict"]
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        assert torch.equal(weights, theirs[name]), name


def test_a_fine_tuning_begins_with_its_encoder(learn, pretrained, tmp_path, caplog):
    """With new heads; the decoder is gone."""
    with caplog.at_level("INFO", "gammalearn"):
        run = learn(
            tmp_path,
            tasks=QUANTITIES,
            training={"initial": str(pretrained.last), "epochs": 1, "learning_rate": 1e-12},
        )
    assert "heads.energy (new)" in caplog.text
    before, after = pretrained.state()["state_dict"], run.state()["state_dict"]
    encoder = [name for name in before if name.startswith("network.encoders.")]
    assert encoder
    for name in encoder:
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(after[name], before[name], rtol=1e-5, atol=1e-8)
    assert not any("decoders" in name for name in after)


def test_statistics_are_those_of_whole_images(learn, train, tmp_path):
    """Weights of 0: the network is that of a training without them, and so are its statistics."""
    none = {name: {"weight": 0.0} for name in BOTH}
    training = {"optimizer": "sgd", "learning_rate": 0.01}
    beside = learn(tmp_path / "beside", tasks={**QUANTITIES, **none}, training=training)
    alone = train(tmp_path / "alone", tasks=QUANTITIES, training=training)
    ours, theirs = beside.state()["state_dict"], alone.state()["state_dict"]
    for name, weights in theirs.items():
        if name.startswith("network."):
            torch.testing.assert_close(ours[name], weights, rtol=1e-3, atol=1e-5, msg=name)


def test_unlabelled_events_take_part(learn, files, tmp_path):
    """With other unlabelled events the encoder learns something else."""
    data = {"unlabelled": [str(files[0])], "unlabelled_fraction": 0.5}
    tasks = {**QUANTITIES, **BOTH}
    runs = [
        learn(tmp_path / path.stem, tasks, unlabelled=path, data=data, training={"epochs": 1})
        for path in files
    ]
    first, second = (run.state()["state_dict"] for run in runs)
    moved = [n for n in first if n.startswith("network.encoders") and n.endswith("weight")]
    assert any(not torch.allclose(first[name], second[name]) for name in moved)
    assert np.isfinite(runs[0].history["validation/reconstruction"][-1][1])


def test_interrupted_and_resumed_is_uninterrupted(
    learn, pretrained, tmp_path, monkeypatch, assert_same_run
):
    from gammalearn.training.module import ReconstructionModule

    original = ReconstructionModule.training_step

    def training_step(self, events, number):
        if (self.current_epoch, number) == (1, 1):
            raise RuntimeError("power cut")
        return original(self, events, number)

    with monkeypatch.context() as changed:
        changed.setattr(ReconstructionModule, "training_step", training_step)
        with pytest.raises(RuntimeError, match="power cut"):
            learn(tmp_path, training=THREE_EPOCHS)
    assert_same_run(learn(tmp_path, training=THREE_EPOCHS, resume=True), pretrained)


def test_the_anomaly_score_is_of_the_event_alone(pretrained, files):
    """The same in batches of two and of eight, and for one event of a file."""
    trained = load_checkpoint(pretrained.last)
    index = EventIndex.build(files, trained.experiment.data, cameras=trained.cameras)
    scores = []
    for size in (2, 8):
        settings = trained.experiment.training.model_copy(update={"batch_size": size})
        made = trained.experiment.model_copy(update={"training": settings})
        decoded = reconstruct_events(trained, index, made, progress=False)
        assert set(decoded) == {"anomaly"}
        scores.append(decoded["anomaly"]["anomaly_score"])
    assert np.isfinite(scores[0]).all() and (scores[0] > 0).all()
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)
