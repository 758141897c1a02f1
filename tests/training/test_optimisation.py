"""Optimisers, schedules, accumulation, averages of the weights: against what their papers say."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from gammalearn.errors import SettingsError
from gammalearn.nn import ReconstructionNetwork
from gammalearn.settings import TrainingSettings
from gammalearn.training import load_checkpoint
from gammalearn.training.module import ReconstructionModule
from gammalearn.training.optimisation import average_weights, build_optimizer, build_schedule


def one_weight(value=1.0, **settings):
    """A weight and its optimiser."""
    weight = nn.Parameter(torch.tensor([value], dtype=torch.float64))
    return weight, build_optimizer(TrainingSettings(**settings), [weight])


def step(weight, optimizer, gradient):
    weight.grad = torch.full_like(weight, gradient)
    optimizer.step()


# -- optimisers ------------------------------------------------------------------------------------


def test_sgd_by_hand():
    """v ← m v + g + d w; w ← w − r v."""
    weight, optimizer = one_weight(
        optimizer="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.01
    )
    w, v = 1.0, 0.0
    for g in (2.0, -1.0, 0.5):
        v = 0.5 * v + g + 0.01 * w
        w -= 0.1 * v
        step(weight, optimizer, g)
        assert weight.item() == pytest.approx(w, rel=1e-12)


def test_adamw_by_hand():
    """The first step is the step size in the gradient's direction, and the decay beside it."""
    weight, optimizer = one_weight(learning_rate=0.1, weight_decay=0.01)
    step(weight, optimizer, 2.0)
    assert weight.item() == pytest.approx(1 - 0.1 * 0.01 - 0.1, rel=1e-7)


# -- schedules -------------------------------------------------------------------------------------


def step_sizes(n_steps, n_batches, losses=(), **settings):
    """Of each step of a training, in units of the largest."""
    settings = TrainingSettings(learning_rate=2.0, **settings)
    optimizer = build_optimizer(settings, [nn.Parameter(torch.zeros(1))])
    plan = build_schedule(settings, optimizer, n_steps, n_batches)
    sizes = []
    for number in range(n_steps):
        sizes.append(optimizer.param_groups[0]["lr"] / 2)
        optimizer.step()
        every = n_batches if plan["interval"] == "epoch" else plan.get("frequency", 1)
        if (number + 1) % every == 0:
            plan["scheduler"].step(*([losses[number // n_batches]] if losses else []))
    return sizes


def test_cosine_after_a_warm_up():
    sizes = step_sizes(100, 10, schedule="cosine", warm_up=0.2)
    for number in range(20):
        assert sizes[number] == pytest.approx((number + 1) / 21)
    for number in range(20, 100):
        expected = math.cos(math.pi / 2 * (number - 20) / 80) ** 2
        assert sizes[number] == pytest.approx(expected)
    assert sizes[20] == max(sizes) == 1


def test_cosine_without_a_warm_up_starts_at_the_top():
    assert step_sizes(4, 1, schedule="cosine", warm_up=0) == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )


def test_one_cycle_is_highest_after_three_tenths():
    sizes = step_sizes(101, 10, schedule="one_cycle")
    assert sizes[29] == pytest.approx(1, rel=1e-3) and sizes[30] == pytest.approx(1, rel=1e-3)
    assert sizes[0] == pytest.approx(1 / 25) and sizes[-1] < 1e-5


def test_step_is_down_after_so_many_epochs():
    sizes = step_sizes(10, 2, schedule="step", decay_epochs=2, decay_factor=0.1)
    assert sizes == pytest.approx([1] * 4 + [0.1] * 4 + [0.01] * 2)


def test_plateau_is_down_after_so_many_epochs_without_a_lower_loss():
    losses = [5, 4, 4, 4.1, 3, 3, 2, 2]
    sizes = step_sizes(8, 1, losses, schedule="plateau", decay_epochs=2, decay_factor=0.5)
    assert sizes == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("step", [1, 0.5, 0.25, 0.125]),
        ("plateau", [1, 1, 0.5, 0.25]),
        ("cosine", [1, 0.8535533906, 0.5, 0.1464466094]),
    ],
)
def test_schedules_in_a_training(train, tmp_path, monkeypatch, schedule, expected):
    """Of one step an epoch, whose validation loss never falls after the first."""
    sizes = []
    original = ReconstructionModule.on_train_batch_start
    log = ReconstructionModule.log

    def look(self, batch, number):
        sizes.append(self.optimizers().param_groups[0]["lr"] / self.settings.learning_rate)
        original(self, batch, number)

    def never_better(self, name, value, **options):
        log(self, name, torch.tensor(1.0) if name == "validation/loss" else value, **options)

    monkeypatch.setattr(ReconstructionModule, "on_train_batch_start", look)
    monkeypatch.setattr(ReconstructionModule, "log", never_better)
    settings = {"schedule": schedule, "warm_up": 0, "decay_epochs": 1, "decay_factor": 0.5}
    train(tmp_path, training={"epochs": 4, "accumulation": 100, **settings})
    assert sizes[:: len(sizes) // 4] == pytest.approx(expected)


# -- one step of several batches -------------------------------------------------------------------


def test_accumulated_gradients_are_the_mean(train, tmp_path, monkeypatch):
    """One step of gradient descent after all batches: minus the mean of their gradients."""
    gradients, before = [], {}
    backward = ReconstructionModule.backward

    def keep(self, loss):
        if not before:
            before.update({n: p.detach().clone() for n, p in self.named_parameters()})
        n_batches = self.trainer.accumulate_grad_batches
        gradients.append(
            torch.autograd.grad(loss * n_batches, self.parameters(), retain_graph=True)
        )
        backward(self, loss)

    monkeypatch.setattr(ReconstructionModule, "backward", keep)
    settings = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.1, "epochs": 1}
    run = train(tmp_path, training={**settings, "batch_size": 3, "accumulation": 4})
    assert len(gradients) == 4, "batches"
    state = run.state()
    assert state["global_step"] == 1
    for (name, old), parts in zip(before.items(), zip(*gradients, strict=True), strict=True):
        expected = old - 0.1 * sum(parts) / 4
        torch.testing.assert_close(state["state_dict"][name], expected, rtol=1e-4, atol=1e-6)


def test_the_last_step_of_an_epoch_is_the_mean_of_fewer_batches(train, tmp_path):
    """The same whether four batches are a step, or all that is left of one of nine."""
    settings = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.1, "epochs": 1}
    settings |= {"batch_size": 3, "image_losses": 0.5}
    whole, rest = (
        train(tmp_path / str(n), training={**settings, "accumulation": n}).state() for n in (4, 9)
    )
    assert whole["global_step"] == rest["global_step"] == 1
    for name, value in whole["state_dict"].items():
        torch.testing.assert_close(rest["state_dict"][name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("longest", [0.5, 1e6])
def test_clipped_gradients(experiment, longest):
    """Of length 5: shortened to the longest that is allowed, the direction kept."""
    model = nn.Linear(2, 1, bias=False)
    made = experiment(training={"gradient_clipping": longest}).training
    module = ReconstructionModule(model, {}, made, {})
    module._statistics = module._statistics_before = []
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    module.configure_gradient_clipping(build_optimizer(made, model.parameters()))
    assert module.gradient_norm == pytest.approx(5)
    length = min(longest, 5)
    expected = torch.tensor([[3.0, 4.0]]) / 5 * length
    torch.testing.assert_close(model.weight.grad, expected, rtol=1e-5, atol=0)


# -- average of the weights ------------------------------------------------------------------------


def test_average_of_the_weights_by_hand(train, tmp_path, monkeypatch):
    """What is saved and validated, against the recursion over the weights after each step."""
    weights, validated = [], []
    original = ReconstructionModule.on_train_batch_start
    validation = ReconstructionModule.validation_step

    def floats(state):
        return {k: v.double().clone() for k, v in state.items() if v.is_floating_point()}

    def before_step(self, batch, number):
        weights.append(floats(self.network.state_dict()))
        original(self, batch, number)

    def in_validation(self, *args):
        validated.append(floats(self.network.state_dict()))
        validation(self, *args)

    monkeypatch.setattr(ReconstructionModule, "on_train_batch_start", before_step)
    monkeypatch.setattr(ReconstructionModule, "validation_step", in_validation)
    run = train(tmp_path, training={"batch_size": 2, "weight_averaging": 0.5, "epochs": 2})
    state = run.state()
    prefix = "network."
    last = {
        name.removeprefix(prefix): value.double()
        for name, value in state["current_model_state"].items()
        if name.startswith(prefix) and value.is_floating_point()
    }
    average, *later = [*weights[1:], last]
    for n, new in enumerate(later, 1):
        decay = min(0.5, (1 + n) / (10 + n))
        average = {k: decay * average[k] + (1 - decay) * new[k] for k in average}
    saved = load_checkpoint(run.last).network.state_dict()
    for name, expected in average.items():
        torch.testing.assert_close(saved[name].double(), expected, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(validated[-1][name], expected, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(average[name], last[name]) for name in average)


def test_tables_are_not_averaged():
    """The mean of two equal whole numbers, computed in floats, may be the one below."""
    from torch.optim.swa_utils import AveragedModel

    model = nn.Linear(1, 1)
    model.register_buffer("neighbours", torch.arange(10_000), persistent=False)
    callback = average_weights(0.999)
    averaged = AveragedModel(model, use_buffers=True, **callback._kwargs)
    for _ in range(5):
        averaged.update_parameters(model)
    assert torch.equal(averaged.module.neighbours, torch.arange(10_000))


# -- steps without a finite gradient ---------------------------------------------------------------


@pytest.fixture
def spoil(monkeypatch):
    """Function that has some batches, counted from 0 over all epochs, give no finite loss (or only
    no finite gradient)."""

    def set_up(batches, gradient_only=False):
        original = ReconstructionNetwork.estimates
        seen = []

        def spoilt(self, images, n_events, *others, **named):
            found = original(self, images, n_events, *others, **named)
            outputs = found.events
            if any(output.requires_grad for output in outputs.values()):
                seen.append(n_events)
                if len(seen) - 1 in batches:
                    # The square root of nothing is nothing, and its slope is infinite.
                    zero = sum(o.sum() for o in outputs.values()) * 0
                    worst = torch.sqrt(zero) if gradient_only else zero + torch.nan
                    outputs = {name: output + worst for name, output in outputs.items()}
            return replace(found, events=outputs)

        monkeypatch.setattr(ReconstructionNetwork, "estimates", spoilt)

    return set_up


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_step_that_is_not_finite_leaves_no_trace(
    train, tmp_path, spoil, monkeypatch, caplog, gradient_only
):
    states = []
    original = ReconstructionModule.on_train_batch_start

    def before_step(self, batch, number):
        values = {**self.state_dict(), **dict(self.named_buffers())}
        moments = self.optimizers().state_dict()["state"].values()
        states.append(
            [v.clone() for v in values.values()] + [m.clone() for s in moments for m in s.values()]
        )
        original(self, batch, number)

    monkeypatch.setattr(ReconstructionModule, "on_train_batch_start", before_step)
    spoil({1}, gradient_only)
    run = train(tmp_path, training={"batch_size": 2, "epochs": 2})
    for before, after in zip(states[1], states[2], strict=True):
        assert torch.equal(before, after)
    assert not all(torch.equal(b, a) for b, a in zip(states[2], states[3], strict=True))
    assert run.summary.skipped_steps == 1
    assert "A step of epoch 1 is left out" in caplog.text
    assert all(math.isfinite(value) for _, value in run.history["train/loss"])


@pytest.mark.parametrize("balancing", ["dwa", "gradnorm", "pcgrad"])
def test_a_balancing_goes_on_after_a_step_that_is_not_finite(train, tmp_path, spoil, balancing):
    """The first one here, which GradNorm measures the others by, and one later."""
    spoil({0, 5})
    settings = {"balancing": balancing, "batch_size": 2, "accumulation": 2, "epochs": 3}
    run = train(tmp_path, training=settings)
    assert run.summary.skipped_steps == 2
    assert all(value.isfinite().all() for value in run.state()["state_dict"].values())
    assert all(math.isfinite(value) for _, value in run.history["validation/loss"])


def test_three_in_a_row_stop_the_training(train, tmp_path, spoil):
    spoil({0, 1, 3, 4, 5})
    with pytest.raises(SettingsError, match=r"in epoch 2, .* in 3 steps in a row") as error:
        train(tmp_path, training={"batch_size": 3, "epochs": 9})
    assert "\n" not in str(error.value) and "learning_rate below 0.001" in str(error.value)
    last = tmp_path / "checkpoints" / "last.ckpt"
    state = torch.load(last, weights_only=True)
    assert state["gammalearn"]["skipped_steps"] == 5
    assert all(v.isfinite().all() for v in state["state_dict"].values())


@pytest.mark.parametrize(("precision", "most"), [("32-true", 3), ("16-mixed", 20)])
def test_half_precision_may_look_for_its_scale(experiment, precision, most):
    settings = experiment(training={"precision": precision}).training
    module = ReconstructionModule(nn.Linear(1, 1), {}, settings, {})
    for module.skipped_in_a_row in range(most):
        assert not module.has_diverged
    module.skipped_in_a_row = most
    assert module.has_diverged


def test_a_loss_that_diverges(train, tmp_path):
    """One step an epoch: the weights before it are kept, and a checkpoint is there."""
    with pytest.raises(SettingsError, match=r"learning_rate below 1e\+30"):
        train(tmp_path, training={"learning_rate": 1e30, "accumulation": 100, "epochs": 9})
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt").epoch == 4
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt").epoch == 1
