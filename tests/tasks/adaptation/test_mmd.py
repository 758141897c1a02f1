"""Maximum mean discrepancy with Gaussian kernels."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from gammalearn.tasks.adaptation.mmd import WIDTHS, mmd_loss


def by_scipy(a, b):
    both = np.concatenate([a, b])
    squared = cdist(both, both, "sqeuclidean")
    scale = squared[~np.eye(len(both), dtype=bool)].mean()
    kernel = np.mean([np.exp(-squared / (w * scale)) for w in WIDTHS], axis=0)
    n = len(a)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@pytest.mark.parametrize("shift", [0.0, 1.0, 100.0])
def test_kernels_are_those_of_scipy(events, make, shift):
    one, two = events(20), events(9, seed=2, shift=shift)
    a, b = (s.embedding.detach().double().numpy() for s in (one, two))
    added, loss = make("mmd")(one, two, 0.5)
    assert loss.item() == pytest.approx(by_scipy(a, b), rel=1e-4, abs=1e-6)
    assert added.item() == pytest.approx(0.5 * loss.item())


def test_two_events_by_hand():
    """Of one event each the scale is their squared distance: 2 − 2 · mean of exp(−1/w)."""
    loss = mmd_loss(torch.zeros(1, 3), torch.full((1, 3), 2.0))
    assert loss.item() == pytest.approx(2 - 2 * np.mean(np.exp(-1 / np.array(WIDTHS))), rel=1e-6)


def test_identical_sets(events):
    same = events().embedding
    assert mmd_loss(same, same).item() == pytest.approx(0, abs=1e-6)
    alike = torch.ones(4, 3, requires_grad=True)
    loss = mmd_loss(alike, alike)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and torch.isfinite(alike.grad).all()


def test_a_step_against_the_gradient_brings_sets_together(events):
    one, two = events(20), events(20, seed=2, shift=2.0)
    before = mmd_loss(one.embedding, two.embedding)
    before.backward()
    moved = (two.embedding - 5 * two.embedding.grad).detach()
    assert mmd_loss(one.embedding, moved).item() < before.item()
