"""How the losses of the tasks are added up."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gammalearn.tasks.balancing import (
    FixedBalancing,
    UncertaintyBalancing,
    build_balancing,
    gradient_products,
    projected_sum,
)


def losses(**values):
    """Of ten events each."""
    return {name: (torch.tensor(value), 10) for name, value in values.items()}


def test_fixed_weights():
    balancing = build_balancing("fixed", {"energy": 2.0, "direction": 0.5})
    assert isinstance(balancing, FixedBalancing)
    assert balancing(losses(energy=3.0, direction=4.0)).item() == 8.0
    assert not list(balancing.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_no_losses_are_zero(training):
    """Those of images, where no task has outputs of them."""
    total = build_balancing("fixed", {"energy": 1.0}).train(training)({})
    assert total.shape == () and total == 0


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


@pytest.mark.parametrize("kind", ["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad"])
def test_epochs_are_validated_by_the_weights_of_the_settings(kind):
    """Whatever the balancing has learnt meanwhile."""
    balancing = build_balancing(kind, {"energy": 2.0, "direction": 0.5})
    with torch.no_grad():
        for value in (*balancing.parameters(), *balancing.buffers()):
            value += 3
    measured = balancing.eval()(losses(energy=3.0, direction=4.0))
    assert measured.item() == pytest.approx(2 * 3 + 0.5 * 4)


# -- dynamic weight averaging ----------------------------------------------------------------------


def test_dynamic_weights_by_hand():
    """λ = K exp(r / 2) / Σ exp(r / 2) of the losses of the last two epochs, times the setting's."""
    balancing = build_balancing("dwa", {"energy": 2.0, "direction": 0.5, "impact": 1.0})
    constant = losses(energy=3.0, direction=4.0, impact=1.0)
    epochs = [
        {"energy": 1.0, "direction": 2.0, "impact": 4.0},
        {"energy": 0.5, "direction": 2.0, "impact": 1.0},
    ]
    for epoch in epochs:
        assert balancing(constant).item() == pytest.approx(2 * 3 + 0.5 * 4 + 1), "two epochs"
        balancing.see_epoch(epoch)
    shares = 3 * np.exp([0.25, 0.5, 0.125]) / np.exp([0.25, 0.5, 0.125]).sum()
    expected = shares @ [2 * 3, 0.5 * 4, 1]
    assert balancing(constant).item() == pytest.approx(expected)
    weights = {name: float(weight) for name, weight in balancing.weights().items()}
    assert weights["direction"] == pytest.approx(0.5 * shares[1])
    assert weights["impact"] == pytest.approx(shares[2]) and weights["impact"] < 1


@pytest.mark.parametrize("unknown", [math.nan, 0.0, -1.0, math.inf])
def test_a_loss_that_has_no_rate_does_not_count_as_falling(unknown):
    balancing = build_balancing("dwa", {"energy": 1.0, "direction": 1.0})
    balancing.see_epoch({"energy": 1.0, "direction": unknown})
    balancing.see_epoch({"energy": 1.0, "direction": 2.0})
    assert [float(weight) for weight in balancing.weights().values()] == [1.0, 1.0]


# -- GradNorm --------------------------------------------------------------------------------------


def train_weights(balancing, scales, progress, steps=800):
    """Let the weights of quadratic tasks ``scale / 2 · |x|²`` find their place, x staying."""
    x = torch.tensor([0.6, 0.8], requires_grad=True)  # of length 1: gradients are the scales
    names = list(balancing.initial)

    def step(factors):
        tasks = [scale / 2 * (x @ x) for scale in scales]
        products = gradient_products(tasks, [x])
        values = {
            name: (task * factor, 10)
            for name, task, factor in zip(names, tasks, factors, strict=True)
        }
        return balancing.see_gradients(products, values)

    step([1.0] * len(scales))
    optimiser = torch.optim.Adam(balancing.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        term = step(progress)
        assert term.item() == 0
        term.backward()
        optimiser.step()
        schedule.step()
    return np.array([float(weight) for weight in balancing.weights().values()])


def test_gradients_become_equally_long():
    """For tasks alike but for their scale s, which are all as far: w ∝ 1 / s, their sum kept."""
    balancing = build_balancing("gradnorm", {"energy": 1.0, "direction": 1.0, "impact": 1.0})
    scales = np.array([1.0, 4.0, 0.5])
    weights = train_weights(balancing, scales, [1.0, 1.0, 1.0])
    np.testing.assert_allclose(weights, 3 / scales / (1 / scales).sum(), rtol=0.01)


def test_what_has_learnt_less_is_pulled_along():
    """w s ∝ r^1.5 for tasks that have come to a half and a tenth of their first losses."""
    balancing = build_balancing("gradnorm", {"energy": 1.0, "direction": 1.0})
    weights = train_weights(balancing, [1.0, 2.0], [0.5, 0.1])
    expected = np.array([0.5**1.5, 0.1**1.5 / 2])
    np.testing.assert_allclose(weights, 2 * expected / expected.sum(), rtol=0.02)


def test_gradnorm_begins_at_the_weights():
    balancing = build_balancing("gradnorm", {"energy": 3.0, "direction": 1.0})
    assert balancing(losses(energy=3.0, direction=4.0)).item() == pytest.approx(3 * 3 + 4)


def test_gradnorm_by_hand():
    """Slope of |w₁ g₁ / m − ρ₁| + |w₂ g₂ / m − ρ₂| by the logarithms of the weights."""
    balancing = build_balancing("gradnorm", {"energy": 1.0, "direction": 1.0})
    products = torch.diag(torch.tensor([1.0, 9.0]))
    balancing.see_gradients(products, losses(energy=3.0, direction=4.0)).backward()
    # m = 2, ρ = 1: the signs are − and +; of weights 2 softmax(z), dw/dz is 0.5 and −0.5.
    slope = 0.5 * (-1 / 2 - 3 / 2)
    np.testing.assert_allclose(balancing.log_weights.grad, [slope, -slope], rtol=1e-6)


# -- PCGrad ----------------------------------------------------------------------------------------


def test_two_gradients_against_each_other():
    """(1, 0) and (−1, 1) become (½, ½) and (0, 1)."""
    gradients = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    factors = projected_sum(gradients @ gradients.T, torch.Generator())
    assert factors.tolist() == [2, 1.5]
    assert (factors @ gradients).tolist() == [0.5, 1.5]


def surgery(gradients, random):
    """Algorithm 1 of the paper, on the gradients themselves."""
    projected = gradients.clone()
    for i in range(len(gradients)):
        for j in torch.randperm(len(gradients), generator=random).tolist():
            if i != j and projected[i] @ gradients[j] < 0:
                along = projected[i] @ gradients[j] / (gradients[j] @ gradients[j])
                projected[i] -= along * gradients[j]
    return projected.sum(dim=0)


@given(hnp.arrays(np.int64, (4, 5), elements=st.integers(-9, 9)), st.integers(0, 5))
def test_weights_of_losses_are_projections_of_gradients(values, seed):
    gradients = torch.from_numpy(values).double()
    factors = projected_sum(gradients @ gradients.T, torch.Generator().manual_seed(seed))
    expected = surgery(gradients, torch.Generator().manual_seed(seed))
    torch.testing.assert_close(factors @ gradients, expected)
    assert (factors >= 1 - 1e-12).all()


def test_conflicting_tasks_come_to_rest_where_none_can_gain_without_the_other_losing():
    """Of |x − a|² / 2 and 2 |x − b|² all points between a and b are Pareto optimal; where gradients
    point exactly against each other, both are projected away."""
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    x = torch.nn.Parameter(torch.tensor([0.2, 3.0]))
    balancing = build_balancing("pcgrad", {"energy": 1.0, "direction": 2.0})
    optimiser = torch.optim.SGD([x], lr=0.05)
    for _ in range(300):
        tasks = {"energy": ((x - a).square().sum() / 2, 10)}
        tasks["direction"] = ((x - b).square().sum(), 10)
        balancing.see_gradients(gradient_products([t for t, _ in tasks.values()], [x]), tasks)
        optimiser.zero_grad()
        balancing(tasks).backward()
        optimiser.step()
    assert -1 <= x[0].item() <= 1 and abs(x[1].item()) < 1e-3
    assert balancing.factors.min() > 1, "they still conflict"


def test_no_conflict_is_the_plain_sum():
    balancing = build_balancing("pcgrad", {"energy": 2.0, "direction": 0.5})
    balancing.see_gradients(torch.tensor([[1.0, 0.5], [0.5, 4.0]]), {"energy": 0, "direction": 0})
    assert balancing(losses(energy=3.0, direction=4.0)).item() == 8.0


def test_what_is_not_finite_is_told():
    """The total then is no number, and the step is left out."""
    for kind in ("gradnorm", "pcgrad"):
        balancing = build_balancing(kind, {"energy": 2.0, "direction": 0.5})
        products = torch.tensor([[1.0, math.nan], [math.nan, math.nan]])
        assert balancing.see_gradients(products, losses(energy=3.0, direction=4.0)).isnan()
        assert balancing(losses(energy=3.0, direction=4.0)).item() == 8.0


# -- gradients -------------------------------------------------------------------------------------


def test_products_are_of_shared_parameters():
    """x is shared, y belongs to the second loss and z to none."""
    x, y, z = (torch.tensor(value, requires_grad=True) for value in ([1.0, 2.0], [5.0], [7.0]))
    tasks = [x @ x / 2, 3 * x[0] + 100 * y.sum(), torch.zeros(3)[:0].sum() + 0 * x.sum()]
    products = gradient_products(tasks, [x, y, z])
    assert products.tolist() == [[5, 3, 0], [3, 9, 0], [0, 0, 0]]
    assert x.grad is None
    tasks[0].backward()  # the graph is still there


def test_a_loss_of_frozen_parameters_has_no_gradient():
    """Nor have those that it would share."""
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    products = gradient_products([x @ x / 2, torch.tensor(3.0), 2 * x[0]], [x])
    assert products.tolist() == [[5, 0, 2], [0, 0, 0], [2, 0, 4]]
    for kind in ("gradnorm", "pcgrad"):
        balancing = build_balancing(kind, {"energy": 1.0, "direction": 1.0, "impact": 1.0})
        assert balancing.see_gradients(products, losses(energy=1.0, direction=3.0, impact=1.0)) == 0
        weights = [float(weight) for weight in balancing.weights().values()]
        np.testing.assert_allclose(weights, 1, err_msg=kind)


# -- all -------------------------------------------------------------------------------------------

KINDS = ["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad"]


@pytest.mark.parametrize("kind", ["dwa", "gradnorm", "pcgrad"])
def test_epochs_are_compared_by_the_settings_weights(kind):
    balancing = build_balancing(kind, {"energy": 2.0, "direction": 0.5})
    balancing.see_epoch({"energy": 1.0, "direction": 1.0})
    balancing.see_epoch({"energy": 0.1, "direction": 1.0})
    products = torch.tensor([[1.0, -2.0], [-2.0, 9.0]])
    term = balancing.see_gradients(products, losses(energy=3.0, direction=4.0))
    if kind == "gradnorm":
        term.backward()
        balancing.log_weights.data -= balancing.log_weights.grad
    values = losses(energy=3.0, direction=4.0)
    assert balancing(values).item() != pytest.approx(8, rel=1e-3)
    assert balancing.eval()(values).item() == pytest.approx(8)


@pytest.mark.parametrize("kind", KINDS)
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
