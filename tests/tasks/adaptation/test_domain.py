"""Gradient reversal against a classifier of domains."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, log_loss

from gammalearn.tasks.adaptation.domain import reverse_gradient


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_the_gradient_changes_its_sign(strength):
    """The value x² stays; its derivative 2x becomes −strength · 2x."""
    x = torch.tensor([1.0, -3.0], requires_grad=True)
    value = (reverse_gradient(x, strength) ** 2).sum()
    value.backward()
    assert value.item() == 10
    assert x.grad.tolist() == pytest.approx([-strength * 2, strength * 6])


@pytest.fixture
def domain(make):
    adaptation = make("domain")
    torch.nn.init.normal_(adaptation.classifier[-1].weight)
    return adaptation


def test_loss_is_the_cross_entropy_of_both_domains(domain, events):
    """As sklearn computes it, whatever the numbers of events of each."""
    one, two = events(12), events(7, seed=2)
    added, loss = domain(one, two, 0.5)
    probability = [torch.sigmoid(domain.logits(s)).detach().double().numpy() for s in (one, two)]
    expected = [
        log_loss(np.full(len(p), truth), p, labels=[0, 1]) for truth, p in enumerate(probability)
    ]
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert added.item() == loss.item()


def test_a_new_classifier_knows_nothing(make, events):
    adaptation, same = make("domain"), events()
    assert adaptation(same, same, 1.0)[1].item() == pytest.approx(np.log(2))


def test_the_classifier_learns_what_the_network_hides(domain, events):
    """The classifier has the whole gradient, the embedding the opposite one times the strength."""

    def gradients(strength):
        one, two = events(12), events(7, seed=2)
        domain.zero_grad()
        domain(one, two, strength)[0].backward()
        return one.embedding.grad, domain.classifier[1].weight.grad.clone()

    of_plain, weights = gradients(-1.0)  # reversed twice: the plain gradient
    for strength in (0.0, 0.25, 1.0):
        of_embedding, of_weights = gradients(strength)
        torch.testing.assert_close(of_embedding, -strength * of_plain)
        torch.testing.assert_close(of_weights, weights)
    assert of_plain.any()


def test_accuracy_is_that_of_sklearn(domain, events):
    """The mean of both domains' shares of events that are classified right."""
    one, two = events(30), events(11, seed=2, shift=1.0)
    guessed = torch.cat([domain.logits(one), domain.logits(two)]) > 0
    expected = balanced_accuracy_score([0] * 30 + [1] * 11, guessed)
    assert domain.metrics(one, two)["domain_accuracy"] == pytest.approx(expected)


def test_domains_that_are_apart_are_learned(make, events):
    adaptation = make("domain")
    optimiser = torch.optim.Adam(adaptation.parameters(), lr=0.01)
    one, two = events(40), events(40, seed=2, shift=3.0)
    for _ in range(60):
        optimiser.zero_grad()
        adaptation(one, two, 0.0)[0].backward()
        optimiser.step()
    assert adaptation.metrics(one, two)["domain_accuracy"] > 0.95


def test_conditional_features_are_an_outer_product(make, events):
    adaptation, some = make("domain", conditional=True), events(6)
    expected = np.einsum("nc,nf->ncf", some.classes.numpy(), some.embedding.detach().numpy())
    np.testing.assert_allclose(
        adaptation.features(some).detach().numpy(), expected.reshape(6, -1), rtol=1e-6
    )
    assert adaptation(some, some, 1.0)[1].isfinite()
