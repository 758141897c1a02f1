"""The training run: what it writes, that it can be repeated, interrupted and resumed."""

import copy
import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.multiprocessing import ProcessRaisedException

from gammalearn.data import EventDataset, EventIndex, split_by_shower
from gammalearn.errors import CheckpointError, OutputError, SettingsError
from gammalearn.tasks import build_tasks
from gammalearn.training import fit, load_checkpoint
from gammalearn.training.callbacks.learning_curves import LearningCurves
from gammalearn.training.module import ReconstructionModule
from gammalearn.training.trainer import interruptible

TASKS = ["particle_type", "energy", "direction", "impact"]


def weights(run):
    return run.state()["state_dict"]


# -- what it writes --------------------------------------------------------------------------------


def test_files(three_epochs):
    checkpoints = three_epochs.folder / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    assert three_epochs.checkpoint == checkpoints / "best.ckpt"
    assert {path.name for path in three_epochs.folder.iterdir()} == {
        "checkpoints",
        "learning_curves.png",
        "tensorboard",
    }
    picture = (three_epochs.folder / "learning_curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and picture.rstrip().endswith(b"IEND\xaeB`\x82")


def test_summary(three_epochs, files):
    summary, learnt_from = three_epochs.summary, three_epochs.summary.trained_on
    assert learnt_from.files == [str(path) for path in files]
    assert learnt_from.events == {"proton": 6, "gamma": 4}
    assert learnt_from.training_events + learnt_from.validation_events == 10
    learnt = learnt_from.events_by_task
    assert learnt["particle_type"] == learnt_from.training_events
    assert 0 < learnt["energy"] == learnt["direction"] == learnt["impact"] <= 4
    network = load_checkpoint(three_epochs.last).network
    assert summary.n_parameters == sum(p.numel() for p in network.parameters())


def test_best_is_the_epoch_in_which_all_tasks_are_best(three_epochs):
    """By the mean of the logarithms of their validation losses: each counts the same."""
    losses = np.array([three_epochs.history[f"validation/{name}"] for name in TASKS])
    epoch, measure = losses[0, :, 0], np.log(losses[:, :, 1]).mean(axis=0)
    assert epoch.tolist() == [1, 2, 3]
    np.testing.assert_allclose(
        np.array(three_epochs.history["validation/measure"])[:, 1], measure, rtol=1e-5
    )
    assert load_checkpoint(three_epochs.checkpoint).epoch == epoch[np.argmin(measure)]
    assert load_checkpoint(three_epochs.last).epoch == 3


def test_tensorboard_has_the_learning_curves(three_epochs):
    board = EventAccumulator(str(three_epochs.folder / "tensorboard"))
    board.Reload()
    names = {f"{stage}/{name}" for stage in ("train", "validation") for name in ["loss", *TASKS]}
    assert names <= set(board.Tags()["scalars"])
    for name in names:
        values = [scalar.value for scalar in board.Scalars(name)]
        kept = [value for _, value in three_epochs.history[name]]
        np.testing.assert_allclose(values, kept, rtol=1e-6, err_msg=name)


def test_tensorboard_has_the_steps(train, tmp_path):
    """The first and each tenth after it: step size, gradient, events/s and weights of the tasks."""
    settings = {"batch_size": 1, "epochs": 5, "schedule": "cosine", "warm_up": 0}
    run = train(tmp_path, training=settings | {"balancing": "dwa"})
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    n_steps = run.state()["global_step"]
    steps = list(range(1, n_steps + 1, 10))
    assert len(steps) > 2
    names = ["step/learning_rate", "step/gradient_norm", "step/events_per_s"]
    values = {}
    for name in [*names, *(f"weight/{task}" for task in TASKS)]:
        points = board.Scalars(name)
        assert [point.step for point in points] == steps, name
        values[name] = np.array([point.value for point in points])
        assert (values[name] > 0).all(), name
    cosine = 1e-3 * (1 + np.cos(np.pi * (np.array(steps) - 1) / n_steps)) / 2
    np.testing.assert_allclose(values["step/learning_rate"], cosine, rtol=1e-5)
    np.testing.assert_allclose(sum(values[f"weight/{task}"] for task in TASKS), 4, rtol=1e-5)
    epoch = (steps[-1] - 1) // (n_steps // 5)  # complete ones before the last point
    losses = [dict(run.history[f"train/{task}"]) for task in TASKS]
    shares = np.exp([loss[epoch] / loss[epoch - 1] / 2 for loss in losses])
    weights = [values[f"weight/{task}"][-1] for task in TASKS]
    np.testing.assert_allclose(weights, 4 * shares / shares.sum(), rtol=1e-5)
    assert not [name for name in run.history if name.startswith(("step/", "weight/"))]


def test_the_screen_shows_the_network_and_how_the_training_goes(
    experiment, files, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        "gammalearn.training.callbacks.learning_curves.draw_learning_curves", lambda *_: None
    )
    made = experiment(training={"epochs": 1, "batch_size": 2})
    index = EventIndex.build(files, made.data)
    fit(made, index, build_tasks(made.tasks), tmp_path)
    shown = "".join(capsys.readouterr()).replace("\r", "\n")
    assert re.search(r"^all +[\d,]+ parameters, .* multiply-adds$", shown, re.MULTILINE)
    assert re.search(r"Epoch 0: 100%.*train/loss=\d.*events/s=\d", shown)
    assert "v_num" not in shown


def test_history_has_the_losses_and_the_figures(three_epochs):
    figures = {"energy_bias", "energy_resolution", "angular_resolution", "impact_resolution", "auc"}
    assert {f"validation/{name}" for name in figures} <= three_epochs.history.keys()
    for name, points in three_epochs.history.items():
        assert [epoch for epoch, _ in points] == [1, 2, 3], name
        assert np.isfinite([value for _, value in points]).all(), name


@torch.no_grad()
def test_losses_of_an_epoch_are_means_over_its_events(train, files, tmp_path):
    """Whatever the batches are; each task counts the events that it learns from."""
    run = train(tmp_path, training={"batch_size": 4}, data={"validation_fraction": 0.5})
    trained = load_checkpoint(run.last)
    index = EventIndex.build(files, trained.experiment.data)
    _, rows = split_by_shower(index.events, 0.5, trained.experiment.training.seed)
    assert len(rows) > 4
    dataset = EventDataset(index, trained.experiment.data, rows=rows)
    batch = dataset[np.arange(len(rows))]
    dataset.close()
    for name, output in trained.network(batch.images, batch.n_events).items():
        target = torch.from_numpy(trained.tasks[name].targets(index.events[rows]))
        learnt = torch.isfinite(target).all(dim=1)
        expected = trained.tasks[name].loss(output[learnt], target[learnt]).mean().item()
        assert run.history[f"validation/{name}"][-1] == (2, pytest.approx(expected, rel=1e-4))


def test_fixed_telescopes(train, tmp_path):
    """Each in its slot, of which there may be more than telescopes."""
    network = {"fusion": "concatenation", "telescopes": [1, 2, 3, 4]}
    training = {"epochs": 2, "batch_size": 2}
    run = train(tmp_path, data={"grouping": "stereo"}, network=network, training=training)
    assert load_checkpoint(run.last).epoch == 2
    assert run.summary.skipped_steps == 0


def test_a_run_that_has_moved_keeps_its_best_epoch(train, tmp_path, monkeypatch):
    """The first, as the loss rises from epoch to epoch."""
    log = ReconstructionModule.log

    def rising(self, name, value, **options):
        if name == "validation/measure":
            value = torch.tensor(float(self.current_epoch))
        log(self, name, value, **options)

    monkeypatch.setattr(ReconstructionModule, "log", rising)
    train(tmp_path / "before", training={"epochs": 2})
    (tmp_path / "before").rename(tmp_path / "after")
    run = train(tmp_path / "after", resume=True, training={"epochs": 3})
    assert load_checkpoint(run.last).epoch == 3
    assert load_checkpoint(run.checkpoint).epoch == 1
    assert not (tmp_path / "before").exists()


# -- the same again --------------------------------------------------------------------------------


def test_same_seed_same_weights(train, tmp_path, assert_same_run):
    """Whatever random numbers were drawn before."""

    def run(name, seed):
        return train(
            tmp_path / name, network={"dropout": 0.2}, training={"epochs": 1, "seed": seed}
        )

    torch.manual_seed(0)
    one = run("one", seed=1)
    torch.manual_seed(1)
    two = run("two", seed=1)
    assert_same_run(one, two)
    name = "network.place.weight"
    assert not torch.equal(weights(one)[name], weights(run("other", seed=2))[name])


@pytest.fixture
def interrupt(monkeypatch):
    """Function that has Ctrl-C pressed at the start of an epoch or at its end."""

    def set_up(epoch, owner=ReconstructionModule, hook="training_step", signalled=False):
        original = getattr(owner, hook)

        def press(self, *args):
            module = self if owner is ReconstructionModule else args[1]
            if module.current_epoch + 1 == epoch:
                if signalled:
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    raise KeyboardInterrupt
            return original(self, *args)

        monkeypatch.setattr(owner, hook, press)

    return set_up


@pytest.mark.parametrize(
    ("owner", "hook"),
    [
        (ReconstructionModule, "training_step"),
        (ReconstructionModule, "validation_step"),
        (LearningCurves, "on_train_epoch_end"),
    ],
)
def test_interrupted_and_resumed_is_uninterrupted(
    train,
    three_epochs,
    three_epochs_settings,
    tmp_path,
    interrupt,
    monkeypatch,
    owner,
    hook,
    assert_same_run,
):
    with monkeypatch.context() as patch:
        interrupt(2, owner, hook)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, **three_epochs_settings)
        patch.undo()
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt").epoch == 1
    resumed = train(tmp_path, resume=True, **three_epochs_settings)
    assert_same_run(resumed, three_epochs)
    best = [run.state(run.checkpoint)["state_dict"] for run in (resumed, three_epochs)]
    for name, value in best[0].items():
        assert torch.equal(value, best[1][name]), name


def test_more_epochs_than_planned_are_the_same_as_at_once(
    train, three_epochs, three_epochs_settings, tmp_path, assert_same_run
):
    shorter = copy.deepcopy(three_epochs_settings)
    shorter["training"]["epochs"] = 1
    train(tmp_path, **shorter)
    assert_same_run(train(tmp_path, resume=True, **three_epochs_settings), three_epochs)


def test_last_is_the_last_epoch_though_an_earlier_one_was_best(train, tmp_path, monkeypatch):
    log = ReconstructionModule.log

    def worse_each_epoch(self, name, value, **options):
        if name == "validation/measure":
            value = torch.tensor(float(self.current_epoch))
        log(self, name, value, **options)

    monkeypatch.setattr(ReconstructionModule, "log", worse_each_epoch)
    run = train(tmp_path, training={"epochs": 3})
    assert run.state(run.checkpoint)["epoch"] == 0
    assert run.state(run.last)["epoch"] == 2


def test_one_cycle_and_turns_go_on_where_they_were(
    train, tmp_path, interrupt, monkeypatch, assert_same_run
):
    settings = {
        "network": {"keypoints": 2},
        "data": {"augmentation": {"rotations": True}},
        "training": {"epochs": 2, "schedule": "one_cycle", "gradient_clipping": 1.0},
    }
    whole = train(tmp_path / "whole", **settings)
    (schedule,) = whole.state()["lr_schedulers"]
    assert schedule["total_steps"] == whole.state()["global_step"], "down to nothing at the end"
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", **settings)
    monkeypatch.undo()
    assert_same_run(train(tmp_path / "cut", resume=True, **settings), whole)

    settings["training"]["epochs"] = 3
    with pytest.raises(CheckpointError, match="planned for 2 epochs, not for 3"):
        train(tmp_path / "cut", resume=True, **settings)


def test_resuming_what_is_finished_changes_nothing(train, three_epochs_settings, tmp_path):
    shorter = copy.deepcopy(three_epochs_settings)
    shorter["training"]["epochs"] = 1
    done = train(tmp_path, **shorter)
    before = done.last.read_bytes()
    again = train(tmp_path, resume=True, **shorter)
    assert again.checkpoint == done.checkpoint and again.last.read_bytes() == before


def test_interrupted_in_the_first_epoch(train, tmp_path, interrupt, monkeypatch):
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    assert not list(tmp_path.rglob("*.ckpt"))
    monkeypatch.undo()
    assert load_checkpoint(train(tmp_path, resume=True).last).epoch == 2


def test_ctrl_c_can_be_pressed_again(train, tmp_path, interrupt):
    """Lightning turns the process deaf to it while it cleans up."""
    before = signal.getsignal(signal.SIGINT)
    interrupt(2, signalled=True)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt").epoch == 1


def test_a_checkpoint_that_is_not_written_to_its_end(
    train, three_epochs, three_epochs_settings, tmp_path, monkeypatch, assert_same_run
):
    """Interrupted in the middle of the second epoch's: that of the first can be used."""
    save = torch.save
    written = []

    def stop_half_way(values, file, *args, **options):
        save(values, file, *args, **options)
        written.append(file)
        if len(written) > 2:  # best and last of the first epoch
            os.truncate(file, 1000)
            raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop_half_way)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, **three_epochs_settings)
    monkeypatch.undo()
    for name in ("last.ckpt", "best.ckpt"):
        assert load_checkpoint(tmp_path / "checkpoints" / name).epoch == 1
    assert_same_run(train(tmp_path, resume=True, **three_epochs_settings), three_epochs)


@pytest.mark.parametrize("damage", ["truncated", "cameras"])
def test_a_checkpoint_that_cannot_be_resumed(train, tmp_path, damage):
    run = train(tmp_path, training={"epochs": 1})
    if damage == "truncated":
        run.last.write_bytes(run.last.read_bytes()[:5000])
        with pytest.raises(CheckpointError, match=r"last.ckpt' cannot be read"):
            train(tmp_path, resume=True)
    else:
        with pytest.raises(CheckpointError, match=r"are LSTS-design, those of data.train"):
            train(tmp_path, resume=True, data={"telescopes": None})


# -- validation ------------------------------------------------------------------------------------


def test_validation_leaves_the_network_as_it_is(train, tmp_path, monkeypatch):
    """In evaluation mode: neither dropout nor statistics of the validation's images."""
    before = {}

    def state(module):
        return {name: value.clone() for name, value in module.network.state_dict().items()}

    def start(self):
        before[self.current_epoch] = state(self)

    def step(self, batch, number):
        assert not self.network.training and not torch.is_grad_enabled()
        return original(self, batch, number)

    def end(self):
        for name, value in state(self).items():
            assert torch.equal(value, before[self.current_epoch][name]), name
        return original_end(self)

    original = ReconstructionModule.validation_step
    original_end = ReconstructionModule.on_validation_epoch_end
    monkeypatch.setattr(ReconstructionModule, "on_validation_epoch_start", start)
    monkeypatch.setattr(ReconstructionModule, "validation_step", step)
    monkeypatch.setattr(ReconstructionModule, "on_validation_epoch_end", end)
    train(tmp_path, network={"dropout": 0.5})
    assert sorted(before) == [0, 1]


def test_without_validation(train, tmp_path):
    run = train(tmp_path, data={"validation_fraction": 0.0})
    assert run.summary.trained_on.validation_events == 0
    assert run.checkpoint.name == "best.ckpt"
    assert load_checkpoint(run.checkpoint).epoch == 2, "the last"
    assert {name.split("/")[0] for name in run.history} == {"train"}


def test_batches_of_one_event(train, tmp_path):
    run = train(tmp_path, training={"batch_size": 1, "epochs": 1})
    assert run.state()["global_step"] == run.summary.trained_on.training_events


def test_a_task_without_events_warns(train, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "gammalearn"):
        run = train(
            tmp_path,
            tasks={"energy": {"particles": ["electron"]}, "particle_type": {}},
            training={"epochs": 1, "balancing": "uncertainty"},
        )
    assert (
        "Task energy has no training event (it learns from electron): its output will mean "
        "nothing." in caplog.messages
    )
    assert run.summary.trained_on.events_by_task["energy"] == 0
    assert "train/energy" not in run.history and "train/particle_type" in run.history
    assert weights(run)["balancing.log_variance.energy"] == 0
    assert all(torch.isfinite(value).all() for value in weights(run).values())


def test_weights_are_told_and_change_the_losses(train, three_epochs, tmp_path, caplog):
    """Six protons and four gammas, of which some are only watched."""
    assert three_epochs.summary.weights == {}
    weigh = {"balance_particles": True, "spectral_index": -3}
    with caplog.at_level(logging.INFO, logger="gammalearn"):
        run = train(tmp_path, data={"weights": weigh}, tasks={"particle_type": {}, "energy": {}})
    words = run.summary.weights
    assert set(words) == {
        "particle type: gammas", "particle type: protons", "energy: gammas"
    }  # fmt: skip
    assert words["energy: gammas"].startswith("mean 1, ")
    assert "Weights of gammas in the loss of energy: mean 1, " in caplog.text
    plain = train(tmp_path / "plain", tasks={"particle_type": {}, "energy": {}})
    # All gammas of this file have 0.1 TeV: only the shares of the particles differ.
    (first, *_), (others, *_) = run.history["train/energy"], plain.history["train/energy"]
    assert first == pytest.approx(others, rel=0.2)
    assert run.history["train/particle_type"] != plain.history["train/particle_type"]


def test_packed_images_teach_the_same(train, tmp_path):
    """To their precision."""
    plain, packed = (
        train(
            tmp_path / name,
            data={"packed_cache": name == "packed", "cache_directory": str(tmp_path / "cache")},
            training={"epochs": 1},
        )
        for name in ("plain", "packed")
    )
    assert list((tmp_path / "cache").rglob("charge")), "it is used"
    for name, points in plain.history.items():
        np.testing.assert_allclose(packed.history[name], points, rtol=0.02, atol=0.01)


def test_mixed_precision(train, tmp_path):
    """bfloat16 has 8 bits: losses to some percent, and weights that keep all theirs."""
    plain, mixed = (
        train(tmp_path / precision, training={"precision": precision})
        for precision in ("32-true", "bf16-mixed")
    )
    assert {value.dtype for value in weights(mixed).values()} == {torch.float32, torch.int64}
    assert plain.history["train/loss"] != mixed.history["train/loss"]
    for name, points in plain.history.items():
        if name.startswith("train/"):
            np.testing.assert_allclose(mixed.history[name], points, rtol=0.05, err_msg=name)


def test_encoders_that_cannot_be_compiled_learn_the_same(
    train, tmp_path, monkeypatch, caplog, assert_same_run
):
    """Traced by torch, and run as they are where no compiler is behind it."""

    def compile_fx(*_, **__):
        raise RuntimeError("no compiler is installed\nto be seen")

    settings = {"data": {"validation_fraction": 0.0}, "training": {"epochs": 1, "batch_size": 4}}
    plain = train(tmp_path / "plain", **settings)
    settings["training"]["compile"] = True
    torch._dynamo.reset()  # what other tests have compiled
    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", compile_fx)
    # As it was, when this has ended.
    with torch._dynamo.config.patch(suppress_errors=False):
        compiled = train(tmp_path / "compiled", **settings)
    torch._dynamo.reset()
    assert_same_run(compiled, plain)
    words = "The encoders are not compiled (no compiler is installed)."
    assert caplog.messages.count(words) == 1


def test_fast_dev_run_is_one_step(experiment, files, tmp_path):
    made = experiment(training={"batch_size": 2, "epochs": 50})
    index = EventIndex.build(files, made.data)
    summary = fit(made, index, build_tasks(made.tasks), tmp_path, fast_dev_run=True, progress=False)
    state = torch.load(summary.checkpoint, weights_only=True)
    assert state["global_step"] == 1 and state["epoch"] == 0


# -- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"accelerator": "abacus"},
        {"accelerator": "tpu"},
        {"accelerator": "mps"},
        {"devices": 0},
        {"devices": []},
        {"devices": -3},
        {"devices": [7]},
    ],
    ids=str,
)
def test_machines_there_are_not(train, tmp_path, wrong):
    with pytest.raises(SettingsError) as error:
        train(tmp_path, training=wrong)
    (name, value), *_ = wrong.items()
    assert f"{name}={value}" in str(error.value)
    assert str(error.value).startswith("training: this machine cannot be used")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(train, tmp_path):
    with pytest.raises(SettingsError, match="accelerator=gpu"):
        train(tmp_path, training={"accelerator": "gpu"})


def test_nothing_is_left_behind(train, tmp_path):
    """The data files are closed and Lightning's words are kept to itself."""
    import tables

    train(tmp_path, training={"epochs": 1})
    assert not [h for h in tables.file._open_files.filenames if "dl1_ctapipe" in h]


# -- several processes -----------------------------------------------------------------------------


def test_what_another_process_raises_is_told_in_its_sentence():
    text = (
        "\n\n-- Process 1 terminated with the following error:\n"
        "Traceback (most recent call last):\n"
        '  File "fit.py", line 1, in fit\n'
        "gammalearn.errors.OutputError: The disk is full.\n"
    )
    with pytest.raises(OutputError, match=r"^The disk is full\.$"), interruptible():
        raise ProcessRaisedException(text, 1, 4711)
    with pytest.raises(ProcessRaisedException), interruptible():
        raise ProcessRaisedException("RuntimeError: a bug of ours", 1, 4711)


SCRIPT = """
import sys
from pathlib import Path
from gammalearn.data import EventDataset, EventIndex, split_by_shower
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

if __name__ == "__main__":
    folder, settings, *files = sys.argv[1:]
    experiment = Experiment().model_validate_json(settings)
    index = EventIndex.build([Path(file) for file in files], experiment.data)
    summary = fit(
        experiment, index, build_tasks(experiment.tasks), Path(folder), progress=False
    )
    print("went on with", summary.checkpoint.name)
"""


def test_two_processes_are_as_one(experiment, files, train, run_in, tmp_path):
    """The same loss curves with the same events in each step, though one process has not as many as
    the other, nor for each task, and some have no image of the second camera; what called the
    training goes on once."""
    settings = {
        "data": {"telescopes": None, "grouping": "stereo"},
        "training": {"balancing": "uncertainty", "weight_averaging": 0.5, "epochs": 4},
    }
    settings["training"] |= {"learning_rate": 0.01, "batch_size": 2, "devices": 2}
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    two_processes = experiment(**settings).model_dump_json()
    done = subprocess.run(
        [sys.executable, script, tmp_path / "two", two_processes, *files],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("went on with best.ckpt") == 1
    settings["training"] |= {"batch_size": 4, "devices": 1}
    one = train(tmp_path / "one", **settings)
    two = run_in(tmp_path / "two")
    assert one.summary.trained_on.training_events == 5 and one.state()["global_step"] == 4 * 2
    assert two.state()["global_step"] == 4 * 2
    assert one.history.keys() == two.history.keys()
    for name, points in one.history.items():
        np.testing.assert_allclose(two.history[name], points, rtol=1e-4, atol=1e-4, err_msg=name)
    (_, first), *_, (_, last) = one.history["train/loss"]
    assert abs(last - first) > 0.01, "something was learnt"


BALANCINGS = ["dwa", "gradnorm", "pcgrad"]

SEVERAL_RUNS = """
import json, sys
from pathlib import Path
import torch
from gammalearn.data import EventIndex, columns_of
from gammalearn.data.images.descriptors import ALL_DESCRIPTORS
from gammalearn.settings import Experiment
from gammalearn.settings.reading import override
from gammalearn.tasks import build_tasks
from gammalearn.training import fit
from gammalearn.training.module import ReconstructionModule

class PowerCut(Exception):
    pass

def cut_off(module, batch, number):
    if (module.current_epoch, number) == (1, 1):
        raise PowerCut
    return step(module, batch, number)

step = ReconstructionModule.training_step

if __name__ == "__main__":
    folder, settings, runs, *files = sys.argv[1:]
    torch.set_num_threads(1)
    experiment = Experiment.model_validate_json(settings)
    index = EventIndex.build(
        [Path(file) for file in files], experiment.data, parameters=columns_of(ALL_DESCRIPTORS)
    )
    for name, changes in json.loads(runs).items():
        made = override(experiment, changes)
        run = made, index, build_tasks(made.tasks), Path(folder) / name
        if name == "cut off":
            ReconstructionModule.training_step = cut_off
            try:
                fit(*run, progress=False)
            except PowerCut:
                ReconstructionModule.training_step = step
            else:
                sys.exit("It was not cut off.")
        fit(*run, progress=False, resume=True)
"""


@pytest.fixture(scope="module")
def two_processes(experiment, files, run_in, tmp_path_factory):
    """Function that gives what two processes have learnt, started by torchrun as on several nodes;
    "cut off" is "whole" in the second step of its second epoch, and goes on."""
    folder = tmp_path_factory.mktemp("two_processes")
    script = folder / "script.py"
    script.write_text(SEVERAL_RUNS.lstrip())
    settings = experiment(**TWO_PROCESSES).model_dump_json()
    one_event = ["training.batch_size=1", "network.dropout=0.2", "training.weight_averaging=0.5"]
    one_event += ["training.schedule=one_cycle", "training.checkpoint_minutes=1e-9"]
    runs = {name: [f"training.balancing={name}"] for name in BALANCINGS}
    runs["geometry"] = [f"network.{name}={value}" for name, value in GEOMETRY.items()]
    runs |= {"whole": one_event, "cut off": one_event}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(script, folder, settings, json.dumps(runs), *files),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return lambda name: run_in(folder / name)


TWO_PROCESSES = {
    "data": {"telescopes": None, "grouping": "stereo"},
    "training": {"epochs": 4, "learning_rate": 0.01, "batch_size": 3, "devices": 2},
}


GEOMETRY = {"parameters": "all", "geometry": True}


@pytest.mark.slow
def test_two_processes_with_geometry_are_as_one(two_processes, train, tmp_path):
    training = TWO_PROCESSES["training"] | {"batch_size": 5, "devices": 1}
    one = train(tmp_path, **TWO_PROCESSES | {"training": training, "network": GEOMETRY})
    two = two_processes("geometry")
    for figure, points in one.history.items():
        np.testing.assert_allclose(
            two.history[figure], points, rtol=1e-3, atol=1e-3, err_msg=figure
        )
    (_, first), *_, (_, last) = one.history["train/loss"]
    assert abs(last - first) > 0.01, "something was learnt"


@pytest.mark.slow
@pytest.mark.parametrize("balancing", BALANCINGS)
def test_two_processes_weigh_tasks_as_one(two_processes, train, tmp_path, balancing):
    two = two_processes(balancing)
    of_one = {"batch_size": 5, "devices": 1, "balancing": balancing}
    one = train(tmp_path, **TWO_PROCESSES | {"training": TWO_PROCESSES["training"] | of_one})
    for figure, points in one.history.items():
        values = two.history[figure]
        np.testing.assert_allclose(values, points, rtol=1e-4, atol=1e-4, err_msg=figure)
    state = one.state()["state_dict"]
    for key in (key for key in state if key.startswith("balancing.")):
        of_two = two.state()["state_dict"][key]
        torch.testing.assert_close(of_two, state[key], rtol=1e-3, atol=1e-4)
    (_, first), *_, (_, last) = one.history["train/loss"]
    assert abs(last - first) > 0.01, "something was learnt"


@pytest.mark.slow
def test_two_processes_go_on_where_they_were(two_processes):
    """Weights to the bit, and means over the epoch but for the order they are added up in."""
    whole, cut_off = (two_processes(name).state() for name in ("whole", "cut off"))
    assert cut_off["global_step"] == whole["global_step"] == 4 * 2
    for name, weights in whole["state_dict"].items():
        torch.testing.assert_close(cut_off["state_dict"][name], weights, rtol=0, atol=0)
    whole, cut_off = (two_processes(name).history for name in ("whole", "cut off"))
    for figure, points in whole.items():
        np.testing.assert_allclose(cut_off[figure], points, rtol=1e-6, err_msg=figure)


class TestTensorBoardOnAFullDisk:
    """Figures that nobody may ever look at end no training, and are not lost in silence."""

    @pytest.fixture
    def full(self, monkeypatch):
        """The disk of TensorBoard's files is full after a number of bytes."""

        def fill(n_bytes):
            room = [n_bytes]

            def write(self, content):
                room[0] -= len(content)
                if room[0] < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(RecordWriter, "write", write)

        return fill

    @pytest.mark.parametrize("n_bytes", [0, 300])
    def test_the_training_goes_on(self, n_bytes, full, experiment, files, tmp_path, caplog, capfd):
        full(n_bytes)
        made = experiment(training={"epochs": 1})
        index = EventIndex.build(files, made.data)
        fit(made, index, build_tasks(made.tasks), tmp_path, progress=False)
        assert (tmp_path / "checkpoints" / "best.ckpt").exists()
        (told,) = (r.getMessage() for r in caplog.records if "TensorBoard" in r.getMessage())
        assert "tensorboard' cannot be written (No space left on device)" in told
        assert "Traceback" not in capfd.readouterr().err

    def test_that_its_folder_cannot_be_made(self, experiment, files, tmp_path, caplog):
        (tmp_path / "tensorboard").write_text("a file")
        made = experiment(training={"epochs": 1})
        index = EventIndex.build(files, made.data)
        fit(made, index, build_tasks(made.tasks), tmp_path, progress=False)
        assert (tmp_path / "checkpoints" / "best.ckpt").exists()
        assert caplog.text.count("the training goes on without TensorBoard") == 1
