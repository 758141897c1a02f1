"""What all adaptations share: names, settings, schedules, events without a class."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import expit, softmax

from gammalearn.errors import SettingsError
from gammalearn.settings import Experiment, TaskSettings
from gammalearn.settings.tasks import ADAPTATIONS
from gammalearn.tasks import build_tasks
from gammalearn.tasks.adaptation import (
    ADAPTATION_TASKS,
    build_adaptations,
    class_probabilities,
)

UNLABELLED = {"unlabelled": ["observed.h5"]}


def test_the_settings_know_all_of_them():
    assert tuple(ADAPTATION_TASKS) == ADAPTATIONS


def test_quantities_and_adaptations_are_told_apart():
    experiment = Experiment(data=UNLABELLED, tasks=["energy", "coral", "direction", "mmd"])
    tasks = build_tasks(experiment.tasks)
    assert list(tasks) == ["energy", "direction"]
    assert list(build_adaptations(experiment.tasks, 8, tasks)) == ["coral", "mmd"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tasks": ["energy", "coral"]}, "tasks.coral compares .* set data.unlabelled"),
        ({"tasks": ["coral"], "data": UNLABELLED}, "expected a quantity to learn in addition to"),
        (
            {"tasks": {"energy": {}, "mmd": {"conditional": True}}, "data": UNLABELLED},
            "tasks.mmd.conditional needs .* add particle_type",
        ),
        (
            {
                "tasks": ["energy", "mmd"],
                "data": UNLABELLED,
                "training": {"balancing": "pcgrad"},
            },
            r"there is one only \(energy\)",
        ),
    ],
)
def test_experiments_that_cannot_be(settings, words):
    with pytest.raises(ValidationError, match=words):
        Experiment.model_validate(settings)


@pytest.mark.parametrize(
    ("name", "option"),
    [("coral", {"label_cost": 2.0}), ("deepjdot", {"conditional": True}), ("mmd", {"classes": 3})],
)
def test_settings_of_others_are_refused(name, option):
    with pytest.raises(SettingsError, match=f"tasks.{name}.{next(iter(option))}=.*no such setting"):
        build_adaptations({name: TaskSettings(**option)}, 8, build_tasks({}))


def test_a_quantity_has_no_weight_of_zero_and_no_schedule():
    for settings in ({"weight": 0}, {"schedule": "linear"}, {"conditional": True}):
        with pytest.raises(SettingsError, match=f"tasks.energy.{next(iter(settings))}="):
            build_tasks({"energy": TaskSettings(**settings)})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_schedules(make, share):
    """Of 20 epochs; Ganin & Lempitsky have 0.462 at a tenth of the training."""
    done = 20 * share
    assert make("coral", weight=3).strength(done, 20) == pytest.approx(3 * math.tanh(5 * share))
    assert make("coral", weight=3, schedule="linear").strength(done, 20) == 3 * share
    assert make("coral", weight=3, schedule="constant").strength(done, 20) == 3
    short = make("coral", schedule="linear", schedule_epochs=5)
    assert short.strength(done, 20) == pytest.approx(min(done / 5, 1))


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_the_classes(classes):
    tasks = build_tasks({"particle_type": TaskSettings(classes=classes)})
    output = torch.randn(6, tasks["particle_type"].n_outputs, requires_grad=True)
    found = class_probabilities({"particle_type": output}, tasks, 6)
    values = output.detach().numpy()
    expected = np.hstack([expit(values), expit(-values)]) if classes == 2 else softmax(values, 1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert not found.requires_grad


def test_without_particle_type_all_are_of_one_class():
    tasks = build_tasks({"energy": TaskSettings()})
    found = class_probabilities({"energy": torch.zeros(4, 1)}, tasks, 4)
    assert found.tolist() == [[1.0]] * 4


def test_a_set_of_some_events(events):
    some, which = events(5), torch.tensor([True, False, True, True, False])
    part = some.of(which)
    assert len(part) == 3
    assert torch.equal(part.targets["direction"], some.targets["direction"][which])
    assert torch.equal(part.embedding, some.embedding[which])
