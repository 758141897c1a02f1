"""The masked multitask loss, and what a step does."""

import os
import shutil
import typing

import numpy as np
import pytest
import torch
from astropy.coordinates import angular_separation
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gammalearn.camera import CameraType
from gammalearn.checkpoint.trained import build_network
from gammalearn.data import Batch, CameraImages, EventDataset, EventIndex
from gammalearn.settings import Experiment, TaskSettings
from gammalearn.tasks import build_tasks
from gammalearn.tasks.balancing import gradient_products
from gammalearn.training.epoch_figures import EpochMean
from gammalearn.training.losses import masked_losses
from gammalearn.training.module import ReconstructionModule
from gammalearn.training.preparation import prepare
from gammalearn.training.trainer import make_trainer

NAN = torch.nan


@pytest.fixture(scope="module")
def tasks():
    return build_tasks({name: TaskSettings() for name in ("energy", "direction", "particle_type")})


def test_losses_by_hand(tasks):
    outputs = {
        "energy": torch.tensor([[1.0], [2.0], [3.0]]),
        "direction": torch.tensor([[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]]),
        "particle_type": torch.tensor([[0.0], [0.0], [0.0]]),
    }
    targets = {
        "energy": torch.tensor([[0.0], [NAN], [-1.0]]),
        "direction": torch.tensor([[0.0, 0.0], [0.0, 2.0], [NAN, 9.0]]),
        "particle_type": torch.tensor([[1.0], [0.0], [1.0]]),
    }
    losses = masked_losses(tasks, outputs, targets)
    assert {name: count for name, (_, count) in losses.items()} == {
        "energy": 2,
        "direction": 2,
        "particle_type": 3,
    }
    assert losses["energy"][0].item() == (1 + 4) / 2
    angle = np.rad2deg(np.arccos(np.cos(np.deg2rad(3)) * np.cos(np.deg2rad(4))))
    assert losses["direction"][0].item() == pytest.approx((angle + 2) / 2, rel=1e-5)
    assert losses["particle_type"][0].item() == pytest.approx(np.log(2))


def test_weighted_losses_by_hand(tasks):
    """Of the events that a task learns from, over their number; a task without weights has none."""
    outputs = {"energy": torch.tensor([[1.0], [2.0], [3.0]]), "particle_type": torch.zeros(3, 1)}
    targets = {"energy": torch.tensor([[0.0], [NAN], [-1.0]]), "particle_type": torch.ones(3, 1)}
    weights = {"energy": torch.tensor([0.5, 7.0, 3.0])}
    only = {name: tasks[name] for name in outputs}
    losses = masked_losses(only, outputs, targets, weights)
    assert losses["energy"][0].item() == (0.5 * 1 + 3 * 4) / 2 and losses["energy"][1] == 2
    assert losses["particle_type"][0].item() == pytest.approx(np.log(2))


def test_losses_of_images_by_hand(tasks):
    """An event counts as one, whatever the number of its images."""
    outputs = {"energy": torch.tensor([[1.0], [3.0], [9.0], [2.0], [5.0]])}
    targets = {"energy": torch.tensor([[1.0], [NAN], [0.0]])}
    event = torch.tensor([2, 2, 1, 0, 2])
    weights = {"energy": torch.tensor([4.0, 1.0, 0.5])}
    only = {"energy": tasks["energy"]}
    loss, count = masked_losses(only, outputs, targets, event=event)["energy"]
    assert (loss.item(), count) == (pytest.approx((1 + (1 + 3 + 5) / 3) / 2), 2)
    loss, count = masked_losses(only, outputs, targets, weights, event)["energy"]
    assert (loss.item(), count) == (pytest.approx((4 + 0.5 * (1 + 3 + 5) / 3) / 2), 2)


@given(
    hnp.arrays(np.float32, (6, 2), elements=st.floats(-10, 10, width=32)),
    hnp.arrays(bool, (6, 2)),
)
def test_masked_events_have_a_gradient_of_exactly_zero(tasks, values, missing):
    output = torch.from_numpy(values).requires_grad_()
    target = torch.zeros(6, 2)
    target[torch.from_numpy(missing)] = NAN
    loss, count = masked_losses(
        {"direction": tasks["direction"]}, {"direction": output}, {"direction": target}
    )["direction"]
    loss.backward()
    masked = missing.any(axis=1)
    assert count == np.count_nonzero(~masked)
    assert not output.grad[masked].any()
    lon, lat = np.deg2rad(values.astype(float)).T
    angle = angular_separation(lon, lat, 0, 0)
    expected = np.rad2deg(angle[~masked]).sum() / max(count, 1)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    for row in np.flatnonzero(~masked & (angle > 1e-6)):
        # From cos(angle) = cos(lat) cos(lon).
        expected = np.array([
            np.cos(lat[row]) * np.sin(lon[row]), np.sin(lat[row]) * np.cos(lon[row])
        ]) / np.sin(angle[row])  # fmt: skip
        np.testing.assert_allclose(output.grad[row], expected / count, atol=1e-5)


@pytest.mark.parametrize("output", [1.0, torch.inf])
def test_nothing_to_learn_from(tasks, output):
    """Loss 0 and a gradient of 0, not None nor NaN, so that every parameter has its part."""
    outputs = {
        name: torch.full((4, task.n_outputs), output, requires_grad=True)
        for name, task in tasks.items()
    }
    targets = {name: torch.full_like(value, NAN) for name, value in outputs.items()}
    losses = masked_losses(tasks, outputs, targets)
    sum(loss for loss, _ in losses.values()).backward()
    for name, (loss, count) in losses.items():
        assert loss.item() == 0 and count == 0
        assert torch.equal(outputs[name].grad, torch.zeros_like(outputs[name])), name


# -- steps with real images ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(files, experiment):
    return EventIndex.build(files, experiment(data={"telescopes": ["LST"]}).data)


def make_module(index, experiment):
    tasks = build_tasks(experiment.tasks)
    targets = {name: task.targets(index.events) for name, task in tasks.items()}
    network = build_network(experiment, index.cameras, tasks)
    module = ReconstructionModule(network, tasks, experiment.training, {})
    return module, EventDataset(index, experiment.data, targets)


@pytest.fixture(scope="module")
def noise():
    """A batch of eight images of a small camera, with targets that no physics tells."""
    col, row = np.mgrid[-5:6, -5:6].reshape(2, -1)
    inside = np.abs(col - row) <= 5
    x, y = 0.05 * (col - row / 2)[inside], -0.05 * np.sqrt(0.75) * row[inside]
    camera = CameraType("Small", x, y, "hexagonal", focal_length=28.0)
    random = np.random.default_rng(0)

    def normal(*shape):
        return torch.from_numpy(random.normal(size=(8, *shape)).astype(np.float32))

    images = CameraImages(normal(2, len(x)), torch.arange(8), normal(3), normal(2))
    targets = {
        "energy": normal(1),
        "direction": normal(2),
        "impact": normal(2),
        "particle_type": (normal(1) > 0).float(),
    }
    return camera, Batch({"Small": images}, torch.arange(8), targets)


NETWORKS = {
    "gammaphysnet": {"widths": [8, 8, 8], "blocks": 1},
    "gammaphysnet_light": {"blocks": 1},
    "gammaphysnet_deep": {"widths": [8, 8, 8], "blocks": 2, "keypoints": 3},
    "conv4": {"widths": [8] * 4, "fusion": "mean"},
    "conv5": {"widths": [8] * 5},
    "convnext": {"widths": [8, 8], "blocks": 1, "keypoints": 3},
    "transformer": {"widths": [16], "blocks": 2, "keypoints": 3},
}


def test_all_networks_are_here():
    field = type(Experiment().network).model_fields["encoder"]
    # "none" has no images to be an encoder of.
    assert NETWORKS.keys() == set(typing.get_args(field.annotation)) - {"none"}


def learn_by_heart(noise, made):
    """Total loss of a batch before each of some steps."""
    camera, batch = noise
    torch.manual_seed(0)
    tasks = build_tasks(made.tasks)
    network = build_network(made, [camera], tasks)
    module = ReconstructionModule(network, tasks, made.training, {})
    optimiser = module.configure_optimizers()
    # Distances are as steep near the truth as far from it: only small steps end there.
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0, total_iters=120)
    totals = []
    for _ in range(120):
        optimiser.zero_grad()
        total = module.balancing(masked_losses(tasks, module(batch), batch.targets))
        total.backward()
        optimiser.step()
        schedule.step()
        totals.append(total.item())
    return totals


@pytest.mark.parametrize("encoder", NETWORKS)
def test_a_batch_can_be_learnt_by_heart(noise, experiment, encoder):
    network = {"encoder": encoder, **NETWORKS[encoder], "embedding": 32, "head": 32}
    totals = learn_by_heart(noise, experiment(network=network, training={"learning_rate": 5e-3}))
    assert totals[-1] < 0.01 * totals[0]


@pytest.mark.parametrize("keypoints", [0, 3])
def test_what_is_learnt_by_heart_is_certain(noise, experiment, keypoints):
    """Five numbers whose σ becomes twenty times smaller, each with the loss log σ."""
    made = experiment(
        network={"keypoints": keypoints, "embedding": 32, "head": 32},
        training={"learning_rate": 5e-3},
        tasks={name: {"uncertainty": True} for name in ("energy", "direction", "impact")},
    )
    totals = learn_by_heart(noise, made)
    assert totals[0] - totals[-1] > 5 * np.log(20)


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which(os.environ.get("CXX", "g++")), reason="there is no C++ compiler"
)
def test_compiled_encoders_learn_the_same(noise, experiment, caplog):
    """Losses but for rounding, of batches of eight images and of five. Not weights: AdamW makes
    whole steps of a gradient that is nothing but rounding."""
    camera, whole = noise
    part = Batch(
        {"Small": whole.images["Small"].map(lambda value: value[:5])},
        whole.index[:5],
        {name: target[:5] for name, target in whole.targets.items()},
    )

    # Each layer more would take its time to compile.
    network_settings = {"encoder": "gammaphysnet", "widths": [4], "blocks": 1}
    network_settings |= {"attention": "none", "backend": "dense"}

    def learn(compiled):
        settings = {"compile": compiled, "learning_rate": 1e-3}
        made = experiment(network=network_settings, training=settings)
        torch.manual_seed(0)
        tasks = build_tasks(made.tasks)
        network = build_network(made, [camera], tasks)
        module = ReconstructionModule(network, tasks, made.training, {})
        module.on_fit_start()
        optimiser = module.configure_optimizers()
        totals = []
        for batch in [whole, part] * 3:
            optimiser.zero_grad()
            losses = masked_losses(tasks, module(batch), batch.targets)
            total = module.balancing(losses)
            total.backward()
            optimiser.step()
            totals.append(total.item())
        return totals

    eager = learn(compiled=False)
    torch._dynamo.reset()  # what other tests have compiled
    torch._dynamo.utils.counters.clear()
    # As it was, when this has ended.
    with torch._dynamo.config.patch(suppress_errors=False):
        compiled = learn(compiled=True)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert not [r.getMessage() for r in caplog.records if r.name.startswith("gammalearn")]
    torch._dynamo.reset()
    np.testing.assert_allclose(compiled, eager, rtol=1e-4)
    assert not np.isclose(eager[::2], eager[0], rtol=1e-2)[1:].any(), "something is learnt"


@pytest.mark.parametrize("backend", ["native", "dense"])
def test_gradient_surgery_on_a_network(noise, experiment, backend):
    """Against gradients of the single losses, each from a forward pass of its own."""
    camera, batch = noise
    made = experiment(network={"encoder": "gammaphysnet", "widths": [8], "backend": backend})
    tasks = build_tasks(made.tasks)
    torch.manual_seed(0)
    network = build_network(made, [camera], tasks)
    # The heads begin at zero, and with them the gradients of what is before.
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)

    def losses():
        network.train()
        return masked_losses(tasks, network(batch.images, batch.n_events), batch.targets)

    gradients = []
    for name in tasks:
        network.zero_grad()
        losses()[name][0].backward()
        gradients.append(
            torch.cat(
                [
                    parameter.grad.flatten()
                    for name, parameter in network.named_parameters()
                    if "heads." not in name
                ]
            )
        )
    gradients = torch.stack(gradients)
    seen = [loss for loss, _ in losses().values()]
    products = gradient_products(seen, list(network.parameters()))
    torch.testing.assert_close(products, gradients @ gradients.T, rtol=1e-3, atol=1e-5)
    assert (products < 0).any(), "some are against others"


def test_steps_move_only_what_they_should(index, experiment):
    """Protons teach the particle type; the heads of the other tasks have zero gradients."""
    module, dataset = make_module(index, experiment())
    protons = np.flatnonzero(np.asarray(index.events["particle"]) == "proton")
    batch = dataset[protons]
    dataset.close()
    losses = masked_losses(module.tasks, module(batch), batch.targets)
    module.balancing(losses).backward()
    for name, parameter in module.network.named_parameters():
        assert parameter.grad is not None, name
        if name.startswith("heads.") and not name.startswith("heads.particle_type"):
            assert not parameter.grad.any(), name


@torch.no_grad()
@pytest.mark.parametrize("grouping", ["mono", "stereo"])
def test_what_a_step_learns(files, experiment, monkeypatch, grouping):
    """Events, and half as much each of their images by itself: the same again where it is alone."""
    made = experiment(data={"grouping": grouping}, training={"image_losses": 0.5})
    index = EventIndex.build(files, made.data)
    prepared = prepare(made, index, build_tasks(made.tasks), progress=False)
    module = prepared.module.train()
    module.trainer = make_trainer(made.training, logger=False)
    monkeypatch.setattr(module, "_log_mean", lambda *_: None)
    batch = prepared.training[np.arange(len(prepared.training))]
    prepared.training.close()
    learnt = module.training_step(batch, 0).item()

    found = module.network.estimates(batch.images, batch.n_events)
    outputs, of_images, event = found.events, found.images, found.event
    n_images = np.bincount(event)
    assert n_images.max() == 1 if grouping == "mono" else n_images.max() > 1
    expected = 0.0
    for name, task in module.tasks.items():
        losses = []
        for row, target in enumerate(batch.targets[name]):
            if target.isfinite().all():
                loss = task.loss(outputs[name][[row]], target[None])
                if grouping == "stereo":
                    images = of_images[name][event == row]
                    loss = loss + 0.5 * task.loss(images, target.expand(len(images), -1)).mean()
                losses.append(loss.item())
        expected += np.mean(losses)
    assert learnt == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_mono_is_stereo_with_one_image(files, experiment):
    outputs = {}
    for grouping in ("mono", "stereo"):
        torch.manual_seed(0)
        made = experiment(data={"grouping": grouping, "telescopes": [1]})
        index = EventIndex.build(files, made.data)
        module, dataset = make_module(index, made)
        batch = dataset[np.arange(len(index))]
        dataset.close()
        outputs[grouping] = module.eval()(batch)
        assert batch.n_events == len(batch.index) > 2
    for name, output in outputs["mono"].items():
        assert torch.equal(output, outputs["stereo"][name]), name


def test_optimiser_has_the_settings(index, experiment):
    module, _ = make_module(
        index, experiment(training={"learning_rate": 0.5, "weight_decay": 0.25})
    )
    (group,) = module.configure_optimizers().param_groups
    assert group["lr"] == 0.5 and group["weight_decay"] == 0.25
    assert len(group["params"]) == len(list(module.parameters()))


@pytest.mark.parametrize("balancing", ["uncertainty", "gradnorm"])
def test_weights_of_the_tasks_do_not_decay(index, experiment, balancing):
    """Else they would all be drawn to a weight of one."""
    settings = {"balancing": balancing, "weight_decay": 0.25}
    module, _ = make_module(index, experiment(training=settings))
    groups = module.configure_optimizers().param_groups
    decay = {p: group["weight_decay"] for group in groups for p in group["params"]}
    assert {decay.pop(p) for p in module.balancing.parameters()} == {0}
    assert set(decay) == set(module.network.parameters()) and set(decay.values()) == {0.25}


def test_means_of_an_epoch_are_of_its_events():
    """(0.4 · 3 + 0 · 1 + 5 · 0) / 4: batches count by their events, and none without."""
    mean = EpochMean(nan_strategy="disable")
    for value, n_events in ((0.4, 3), (0.0, 1), (5.0, 0)):
        mean.update(torch.tensor(value), n_events)
    assert mean.compute().item() == pytest.approx(0.3)
    mean.update(torch.tensor(NAN), 1)
    assert mean.compute().isnan()
