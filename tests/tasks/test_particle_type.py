"""Particle type: gammaness is the probability of a gamma."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from gammalearn.errors import SettingsError
from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks
from gammalearn.tasks.particle_type import ParticleTypeTask


@pytest.fixture(scope="module")
def task(task_settings):
    return ParticleTypeTask(task_settings)


def test_target_is_one_for_gammas(task, event_table):
    events = event_table(particle=["gamma", "proton", "electron", "other", ""])
    np.testing.assert_array_equal(task.targets(events), [[1], [0], [0], [0], [np.nan]])


@pytest.mark.filterwarnings("error")
def test_gammaness(task, event_table):
    logits = np.array([[0], [np.log(3)], [-np.log(3)], [1000], [-1000], [np.nan]], dtype=np.float32)
    decoded = task.decode(logits, event_table(particle=["gamma"] * 6))
    assert list(decoded) == ["prediction"]
    np.testing.assert_allclose(
        decoded["prediction"], [0.5, 0.75, 0.25, 1, 0, np.nan], rtol=1e-6, atol=1e-300
    )


def test_a_gamma_has_its_least_loss_at_high_gammaness(task):
    logits = torch.tensor([[1000.0], [1000.0], [-1000.0], [-1000.0]], requires_grad=True)
    loss = task.loss(logits, torch.tensor([[1.0], [0.0], [1.0], [0.0]]))
    assert loss.tolist() == [0, 1000, 1000, 0]
    loss.sum().backward()
    assert logits.grad.flatten().tolist() == [0, 1, -1, 0]


def test_loss_is_the_cross_entropy(task, event_table):
    logits = np.random.default_rng(0).normal(size=(20, 1))
    gamma = np.arange(20)[:, np.newaxis] % 3 == 0
    loss = task.loss(torch.from_numpy(logits), torch.from_numpy(gamma.astype(float)))
    gammaness = task.decode(logits, event_table(particle=["gamma"] * 20))["prediction"]
    assert loss.mean().item() == pytest.approx(log_loss(gamma[:, 0], gammaness))


@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "ties"])
def test_metrics(task, rounded):
    random = np.random.default_rng(0)
    gamma = random.integers(0, 2, size=100)
    logits = random.normal(size=100) + gamma
    logits = np.round(logits) if rounded else logits
    metrics = task.metrics(torch.from_numpy(logits[:, None]), torch.from_numpy(gamma[:, None]))
    assert metrics == {"auc": pytest.approx(roc_auc_score(gamma, logits))}


def test_very_sure_outputs_keep_their_order(task):
    """Where the probability is 1 in single precision, the logits still tell events apart."""
    logits = torch.tensor([[30.0], [40.0], [50.0], [60.0]])
    assert task.metrics(logits, torch.tensor([[0.0], [0.0], [1.0], [1.0]])) == {"auc": 1.0}


@pytest.mark.parametrize("gamma", [[], [1.0], [0.0], [1.0, 1.0]])
def test_metrics_need_both_kinds(task, gamma):
    target = torch.tensor(gamma).reshape(-1, 1)
    metrics = task.metrics(torch.zeros(len(gamma), 1), target)
    assert list(metrics) == ["auc"] and np.isnan(metrics["auc"])


# -- three classes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three():
    return ParticleTypeTask(TaskSettings(classes=3))


def test_targets_of_three_classes(three, event_table):
    events = event_table(particle=["gamma", "proton", "electron", "other", "muon", ""])
    expected = [[0], [1], [2], [np.nan], [np.nan], [np.nan]]
    np.testing.assert_array_equal(three.targets(events), expected)


@pytest.mark.filterwarnings("error")
def test_probabilities_of_three_classes(three, event_table):
    outputs = np.array(
        [[0, 0, 0], np.log([6, 3, 1]), [1000, 0, -1000], [0, 1000, 999], [np.nan] * 3]
    )
    decoded = three.decode(outputs, event_table(particle=["gamma"] * len(outputs)))
    assert list(decoded) == ["prediction", "prediction_proton", "prediction_electron"]
    e = np.exp(1)
    expected = [
        [1 / 3] * 3,
        [0.6, 0.3, 0.1],
        [1, 0, 0],
        [0, e / (1 + e), 1 / (1 + e)],
        [np.nan] * 3,
    ]
    np.testing.assert_allclose(np.stack(list(decoded.values()), axis=1), expected, atol=1e-12)


def test_loss_of_three_classes_is_the_cross_entropy(three, event_table):
    outputs, target = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 3
    loss = three.loss(torch.from_numpy(outputs), torch.from_numpy(target[:, None].astype(float)))
    assert loss.shape == (30,)
    probabilities = three.decode(outputs, event_table(particle=["gamma"] * 30)).values()
    expected = log_loss(target, np.stack(list(probabilities), axis=1))
    assert loss.mean().item() == pytest.approx(expected)


def test_metrics_of_three_classes(three, event_table):
    """Gammas against protons and electrons, by the gammaness."""
    random = np.random.default_rng(0)
    target = random.integers(0, 3, size=200)
    outputs = random.normal(size=(200, 3)) + np.eye(3)[target]
    gammaness = three.decode(outputs, event_table(particle=["gamma"] * 200))["prediction"]
    metrics = three.metrics(torch.from_numpy(outputs), torch.from_numpy(target[:, None]))
    assert metrics == {"auc": pytest.approx(roc_auc_score(target == 0, gammaness))}


@pytest.mark.parametrize("target", [[], [0.0], [1.0, 2.0]])
def test_metrics_of_three_classes_need_gammas_and_others(three, target):
    metrics = three.metrics(torch.zeros(len(target), 3), torch.tensor(target).reshape(-1, 1))
    assert list(metrics) == ["auc"] and np.isnan(metrics["auc"])


def test_other_tasks_have_no_classes():
    with pytest.raises(SettingsError) as error:
        build_tasks({"energy": TaskSettings(classes=3)})
    assert str(error.value) == (
        "tasks.energy.classes=3: this task has no such setting; leave it out."
    )
