"""How the losses of the tasks are added up."""

import math

import pytest
import torch

from gammalearn.tasks.balancing import FixedBalancing, UncertaintyBalancing, build_balancing


def losses(**values):
    """Of ten events each."""
    return {name: (torch.tensor(value), 10) for name, value in values.items()}


def test_fixed_weights():
    balancing = build_balancing("fixed", {"energy": 2.0, "direction": 0.5})
    assert isinstance(balancing, FixedBalancing)
    assert balancing(losses(energy=3.0, direction=4.0)).item() == 8.0
    assert not list(balancing.parameters())


def test_uncertainty_begins_at_the_weights():
    """Σ w L − log(w) / 2."""
    balancing = build_balancing("uncertainty", {"energy": 2.0, "direction": 0.5})
    assert isinstance(balancing, UncertaintyBalancing)
    expected = 2 * 3 - math.log(2) / 2 + 0.5 * 4 - math.log(0.5) / 2
    assert balancing(losses(energy=3.0, direction=4.0)).item() == pytest.approx(expected)


def test_uncertainty_converges_to_its_optimum():
    """For constant losses L, exp(−s) L + s / 2 is least at s = log(2 L)."""
    balancing = UncertaintyBalancing({"energy": 1.0, "direction": 1.0, "impact": 5.0})
    constant = {"energy": 0.1, "direction": 2.0, "impact": 30.0}
    optimiser = torch.optim.Rprop(balancing.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        balancing(losses(**constant)).backward()
        optimiser.step()
    for name, loss in constant.items():
        assert balancing.log_variance[name].item() == pytest.approx(math.log(2 * loss), abs=1e-3)
    least = sum(0.5 + math.log(2 * loss) / 2 for loss in constant.values())
    assert balancing(losses(**constant)).item() == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("kind", ["fixed", "uncertainty"])
def test_a_task_without_events_counts_for_nothing(kind):
    """Else its uncertainty would sink with each batch that has no gamma."""
    weights = {"energy": 2.0, "direction": 0.5}
    nothing = torch.zeros((), requires_grad=True)
    balancing = build_balancing(kind, weights)
    total = balancing({"energy": (torch.tensor(3.0), 10), "direction": (nothing, 0)})
    alone = build_balancing(kind, {"energy": 2.0})(losses(energy=3.0))
    assert total.item() == alone.item()
    total.backward()
    if kind == "uncertainty":
        gradient = balancing.log_variance["direction"].grad
        assert gradient is not None and gradient.item() == 0
        assert balancing.log_variance["energy"].grad.item() != 0


def test_gradients_are_weighed():
    loss = torch.tensor(3.0, requires_grad=True)
    UncertaintyBalancing({"energy": 4.0})({"energy": (loss, 1)}).backward()
    assert loss.grad.item() == pytest.approx(4.0)
