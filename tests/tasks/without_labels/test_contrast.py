"""InfoNCE against torch's cross entropy, and the two views of an event."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from gammalearn.tasks.without_labels.contrast import info_nce


def test_two_views_of_each_event_are_simclr():
    """Cross entropy of the cosines with all other views, of which one is right."""
    torch.manual_seed(0)
    features = torch.randn(8, 5, dtype=torch.float64)
    event = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    losses, known = info_nce(features, event, 0.2)
    for view in range(8):
        others = [n for n in range(8) if n != view]
        logits = cosine_similarity(features[view][None], features[others]) / 0.2
        right = others.index(7 - view)
        expected = cross_entropy(logits[None], torch.tensor([right]))
        assert losses[view].item() == pytest.approx(expected.item())
    assert known.all()


def test_several_telescopes_are_averaged_and_lone_ones_left_out():
    torch.manual_seed(0)
    features = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    event = torch.tensor([0, 0, 0, 1, 1, 2])
    losses, known = info_nce(features, event, 0.5)
    assert known.tolist() == [True] * 5 + [False]
    logits = cosine_similarity(features[0][None], features[1:]) / 0.5
    expected = -logits.log_softmax(dim=0)[:2].mean()
    assert losses[0].item() == pytest.approx(expected.item())
    assert losses[5] == 0
    losses.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_alike_views_of_unlike_events_have_a_low_loss():
    alike = torch.eye(6).repeat(2, 1)
    event = torch.arange(6).repeat(2)
    assert info_nce(alike, event, 0.1)[0].max() < 0.01
    # Views that are all the same tell nothing: the logarithm of the number of others.
    same, _ = info_nce(torch.ones(12, 6), event, 0.1)
    torch.testing.assert_close(same, torch.full((12,), 11.0).log())


class Seeing:
    """A network whose embedding is the light of the images, and which keeps what it saw."""

    def estimates(self, images, n_events):
        self.pixels = images["camera"].pixels
        event = images["camera"].event
        light = self.pixels[:, 0].sum(dim=1, keepdim=True) * torch.ones(1, 6)
        embedding = torch.zeros(n_events, 6).index_add(0, event, light)
        return SimpleNamespace(embedding=embedding, seen=light, event=event)


def test_the_other_view_is_turned_and_hidden_in_part(make, batch, grid):
    """What is not hidden are the values of the image itself, elsewhere."""
    task, network, events = make("contrast", masked=0.3), Seeing(), batch()
    original = events.images["camera"].pixels.clone()
    seen = network.estimates(events.images, events.n_events)
    torch.manual_seed(0)
    losses, known = task.losses(network, events, seen)
    assert losses.shape == (3,) and known.all()
    for before, after in zip(original, network.pixels, strict=True):
        shown = after[0] != 0
        assert 0.2 < shown.float().mean() < 0.85
        assert not torch.equal(before[:, shown], after[:, shown])
        assert set(after[0, shown].tolist()) <= set(before[0].tolist())
    torch.testing.assert_close(events.images["camera"].pixels, original)


def test_the_validation_is_the_same_each_time(make, batch):
    task, network, events = make("contrast"), Seeing(), batch()
    seen = network.estimates(events.images, events.n_events)
    first = task.steady_losses(network, events, seen)[0]
    torch.testing.assert_close(task.steady_losses(network, events, seen)[0], first)


def test_telescopes_of_an_event(make, batch):
    """Events of one telescope have no partner."""
    task, network = make("contrast", views="telescopes"), Seeing()
    events = batch(event=(0, 0, 1, 2, 2, 2))
    seen = network.estimates(events.images, events.n_events)
    losses, known = task.losses(network, events, seen)
    assert known.tolist() == [True, False, True]
    assert losses[1] == 0 and losses[0] > 0
    views, _ = info_nce(task.project(seen.seen), seen.event, 0.1)
    torch.testing.assert_close(losses[2], views[3:].mean())
