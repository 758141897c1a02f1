"""Particle type: gammaness is the probability of a gamma."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

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
