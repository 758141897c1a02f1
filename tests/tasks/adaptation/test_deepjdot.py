"""Optimal transport of the truth of training events to unlabelled events."""

import builtins

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from gammalearn.errors import MissingPackageError


def test_the_missing_package_is_named(make, monkeypatch):
    original = builtins.__import__

    def without_pot(name, *arguments, **words):
        if name == "ot":
            raise ImportError(name)
        return original(name, *arguments, **words)

    monkeypatch.setattr(builtins, "__import__", without_pot)
    with pytest.raises(MissingPackageError, match="pip install POT"):
        make("deepjdot")


@pytest.fixture
def ot():
    return pytest.importorskip("ot", reason="needs the package POT")


def test_costs_by_hand(ot, make, events, tasks):
    """Each pair with loops: the embeddings' distance, and each task's loss with the other truth."""
    one, two = events(4), events(3, seed=2)
    one.targets["energy"][1] = torch.nan
    cost = make("deepjdot", label_cost=0.5).cost(one, two).detach()
    for i in range(4):
        for j in range(3):
            expected = np.mean((one.embedding[i] - two.embedding[j]).detach().numpy() ** 2)
            for name, task in tasks.items():
                target = one.targets[name][i : i + 1]
                if not target.isnan().any():
                    expected += 0.5 * task.loss(two.outputs[name][j : j + 1], target).item()
            assert cost[i, j].item() == pytest.approx(expected, rel=1e-5)


def test_the_plan_is_that_of_the_assignment_problem(ot, make, events):
    """For sets of the same size the plan pairs each event with one, as SciPy finds them."""
    one, two = events(9), events(9, seed=2)
    a, b = (s.embedding.detach().double().numpy() for s in (one, two))
    cost = cdist(a, b, "sqeuclidean") / 5
    expected = cost[linear_sum_assignment(cost)].mean()
    added, loss = make("deepjdot", label_cost=0)(one, two, 2.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert added.item() == pytest.approx(2 * expected, rel=1e-5)


def test_the_loss_is_that_of_pot(ot, make, events):
    one, two = events(8), events(5, seed=2)
    adaptation = make("deepjdot")
    cost = adaptation.cost(one, two).detach().double().numpy()
    expected = ot.emd2(np.full(8, 1 / 8), np.full(5, 1 / 5), cost)
    assert adaptation(one, two, 1.0)[1].item() == pytest.approx(expected, rel=1e-5)


def test_identical_sets(ot, make, events):
    same = events()
    assert make("deepjdot", label_cost=0)(same, same, 1.0)[1].item() == pytest.approx(0, abs=1e-7)


def test_outputs_of_unlabelled_events_learn(ot, make, events):
    one, two = events(6), events(6, seed=2)
    for output in two.outputs.values():
        output.requires_grad_()
    make("deepjdot")(one, two, 1.0)[0].backward()
    assert all(output.grad.any() for output in two.outputs.values())
    assert two.embedding.grad.any() and one.embedding.grad.any()
