"""Correlation alignment."""

import numpy as np
import pytest
import torch

from gammalearn.tasks.adaptation.coral import coral_loss


def test_by_hand():
    """Variances 2 and 8 of one feature: (2 − 8)² / 4; means do not count."""
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [14.0]])
    assert coral_loss(a, b).item() == (2 - 8) ** 2 / 4


def test_covariances_are_those_of_numpy(events, make):
    one, two = events(20), events(9, seed=2)
    a, b = (s.embedding.detach().double().numpy() for s in (one, two))
    expected = np.sum((np.cov(a.T) - np.cov(b.T)) ** 2) / (4 * 5**2)
    added, loss = make("coral")(one, two, 0.25)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert added.item() == pytest.approx(0.25 * expected, rel=1e-5)


def test_identical_sets_and_single_events(events):
    same = events().embedding
    assert coral_loss(same, same).item() == 0
    assert coral_loss(same[:1], same[1:2]).item() == 0
