"""What all tasks share: who is learnt from, and how they are found."""

import gc

import numpy as np
import pytest
import torch

from gammalearn.errors import SettingsError
from gammalearn.settings import Experiment, TaskSettings
from gammalearn.tasks import available_tasks, build_tasks
from gammalearn.tasks.energy import EnergyTask

NAMES = {"depth_of_maximum", "direction", "energy", "impact", "particle_type"}
REGRESSIONS = NAMES - {"particle_type"}

PARTICLES = ["gamma", "proton", "electron", "other", ""]


@pytest.fixture
def events(event_table):
    return event_table(
        particle=PARTICLES,
        true_energy=1.0,
        true_alt=70,
        true_az=180,
        pointing_alt=70,
        pointing_az=180,
        true_core_x=0,
        true_core_y=0,
        true_x_max=300,
        reference_x=0,
        reference_y=0,
        reference_z=30,
    )


def learnt_from(task, events):
    learnt = ~np.isnan(task.targets(events)).any(axis=1)
    return {name for name, learnt in zip(PARTICLES, learnt, strict=True) if learnt}


def test_tasks_there_are():
    assert available_tasks().keys() == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_task_says_what_it_needs_to(name, events):
    task = build_tasks({name: TaskSettings()})[name]
    assert task.name == name
    targets = task.targets(events)
    assert targets.dtype == np.float32 and len(targets) == len(events)
    output = np.zeros((len(events), task.n_outputs), dtype=np.float32)
    for column in task.decode(output, events).values():
        assert column.shape == (len(events),)
    loss = task.loss(torch.zeros(5, task.n_outputs), torch.zeros_like(torch.tensor(targets)))
    assert loss.shape == (5,)


@pytest.mark.parametrize("name", sorted(REGRESSIONS))
def test_regressions_learn_from_gammas(name, events):
    assert learnt_from(build_tasks({name: TaskSettings()})[name], events) == {"gamma"}


def test_the_type_is_learnt_from_all_particles_that_are_known(events):
    task = build_tasks({"particle_type": TaskSettings()})["particle_type"]
    assert learnt_from(task, events) == {"gamma", "proton", "electron", "other"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_particles_of_the_settings(name, events):
    settings = TaskSettings(particles=["gamma", "electron"])
    assert learnt_from(build_tasks({name: settings})[name], events) == {"gamma", "electron"}


def test_targets_leave_the_truth_as_it_is(events):
    task = build_tasks({"energy": TaskSettings()})["energy"]
    before = task.truth(events)
    task.targets(events)
    np.testing.assert_array_equal(task.truth(events), before)
    assert np.isfinite(before).all(), "the truth is that of all particles"


def test_tasks_come_in_the_order_of_the_settings():
    tasks = build_tasks(Experiment(tasks={"impact": {"weight": 3}, "energy": {}}).tasks)
    assert [(name, task.weight) for name, task in tasks.items()] == [("impact", 3), ("energy", 1)]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("enrgy", "did you mean 'energy'?"), ("particle", "did you mean 'particle_type'?")],
)
def test_unknown_task(name, hint):
    with pytest.raises(SettingsError) as error:
        build_tasks({name: TaskSettings()})
    assert str(error.value) == (
        f"tasks.{name}: there is no such task; {hint} "
        "known tasks: contrast, coral, deepjdot, depth_of_maximum, direction, domain, energy, "
        "impact, mmd, particle_type, reconstruction. One of your own needs its module in imports."
    )


def test_unknown_task_that_is_like_no_other():
    with pytest.raises(SettingsError, match=r"no such task; known tasks: contrast, coral, deepj"):
        build_tasks({"xyzzy": TaskSettings()})


def test_a_new_task_is_one_new_class():
    """Also one that is like another: here the energy, learnt with its square."""

    class SquaredEnergyTask(EnergyTask):
        name = "squared_energy"

        def loss(self, output, target):
            return super().loss(output, target) ** 2

    assert available_tasks()["squared_energy"] is SquaredEnergyTask
    assert available_tasks()["energy"] is EnergyTask
    task = build_tasks({"squared_energy": TaskSettings()})["squared_energy"]
    assert task.loss(torch.tensor([[3.0]]), torch.tensor([[1.0]])).tolist() == [4]
    del SquaredEnergyTask, task
    gc.collect()
    assert available_tasks().keys() == NAMES
