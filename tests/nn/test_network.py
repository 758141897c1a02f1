"""The whole network: ragged images of several cameras in, one output a task and event out."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gammalearn.camera import CameraType
from gammalearn.data import Batch, CameraImages
from gammalearn.nn import ReconstructionNetwork, native
from gammalearn.settings import NetworkSettings

OUTPUTS = {"energy": 1, "direction": 2, "impact": 2, "particle_type": 1}
SMALL = {"widths": [3, 4, 5, 6], "embedding": 16, "head": 32}
NETWORKS = {
    "gammaphysnet": NetworkSettings(blocks=1, **{**SMALL, "widths": [16, 16, 16]}),
    "conv4-mean": NetworkSettings(encoder="conv4", fusion="mean", **SMALL),
    "concatenation": NetworkSettings(
        encoder="conv4", fusion="concatenation", telescopes=[*range(20)], **SMALL
    ),
    "convnext": NetworkSettings(encoder="convnext", blocks=1, **{**SMALL, "widths": [8, 8]}),
    "transformer": NetworkSettings(encoder="transformer", blocks=1, **{**SMALL, "widths": [16]}),
    "conv4-attention": NetworkSettings(encoder="conv4", fusion="attention", **SMALL),
    "parameters": NetworkSettings(encoder="conv4", parameters="all", **SMALL),
    "geometry": NetworkSettings(
        blocks=1,
        parameters="all",
        geometry=True,
        keypoints=2,
        **{**SMALL, "widths": [16, 16, 16]},
    ),
}
#: Descriptors: numbers of scalars, and names of vectors.
N_SCALARS, VECTORS = 14, ("centroid", "axis", "skewness", "time_slope")


def hexagonal_camera(name, radius):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    x, y = 0.05 * (col - row / 2)[inside], -0.05 * np.sqrt(0.75) * row[inside]
    return CameraType(name, x, y, "hexagonal", focal_length=28.0)


CAMERAS = [hexagonal_camera("LSTCam", 6), hexagonal_camera("NectarCam", 5)]


def random_images(camera, event, seed=0, first_id=1):
    """Of telescopes that are numbered from the first id in each event."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape, scale=1.0):
        return scale * torch.randn(len(event), *shape, generator=generator)

    pixels = random(2, camera.n_pixels) + random(2, 1, scale=3.0)  # some brighter than others
    tel_id = torch.tensor([first_id + event[:row].count(e) for row, e in enumerate(event)])
    position, pointing = random(3, scale=100.0), random(2, scale=0.1)
    scalars, vectors = random(N_SCALARS), random(len(VECTORS), 2)
    vectors[:, 1] = nn.functional.normalize(vectors[:, 1], dim=1)
    # An image without parameters.
    scalars[-1], vectors[-1] = torch.nan, torch.nan
    return CameraImages(pixels, torch.tensor(event), position, pointing, tel_id, scalars, vectors)


def select(images, which):
    """Some of the images; ``which`` is a mask or an order."""
    return images.map(lambda tensor: tensor[which])


@pytest.fixture
def images():
    """Five events: 1 and 13 telescopes, of either camera and of both."""
    lst, nectar = [0, 1, 1, 1, 1, 3, 3, 4], [1] * 9 + [2, 3]
    return {
        "LSTCam": random_images(CAMERAS[0], lst, seed=1),
        "NectarCam": random_images(CAMERAS[1], nectar, seed=2, first_id=10),
    }


N_EVENTS = 5


def build(settings):
    """A network whose events count: in a new one, images alone do."""
    torch.manual_seed(0)
    network = new_network(settings)
    for module in network.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)
    return network


def new_network(settings, outputs=OUTPUTS, with_uncertainty=()):
    return ReconstructionNetwork(
        CAMERAS,
        2,
        outputs,
        settings,
        "direction",
        with_uncertainty,
        "impact",
        N_SCALARS,
        VECTORS if settings.parameters else (),
    )


@pytest.fixture(params=NETWORKS)
def network(request):
    return build(NETWORKS[request.param])


def trained(network, images):
    """The network with batch statistics of its own, ready to be used."""
    network.train()
    with torch.no_grad():
        network(images, N_EVENTS)
    return network.eval()


def assert_same(ours, expected, tolerance=1e-5):
    assert ours.keys() == expected.keys()
    for task in expected:
        torch.testing.assert_close(ours[task], expected[task], rtol=tolerance, atol=tolerance)


def test_one_output_a_task_and_event(network, images):
    outputs = network(images, N_EVENTS)
    assert {k: tuple(v.shape) for k, v in outputs.items()} == {
        "energy": (5, 1),
        "direction": (5, 2),
        "impact": (5, 2),
        "particle_type": (5, 1),
    }
    assert all(torch.isfinite(output).all() for output in outputs.values())


@torch.no_grad()
def test_an_event_does_not_depend_on_the_others_of_its_batch(network, images):
    trained(network, images)
    together = network(images, N_EVENTS)
    for row in range(N_EVENTS):
        mine = {name: select(camera, camera.event == row) for name, camera in images.items()}
        mine = {name: camera for name, camera in mine.items() if len(camera.event)}
        for camera in mine.values():
            camera.event = torch.zeros_like(camera.event)
        assert_same(network(mine, 1), {task: out[row : row + 1] for task, out in together.items()})


@torch.no_grad()
def test_the_order_of_the_telescopes_does_not_matter(network, images):
    trained(network, images)
    shuffled = {
        name: select(images[name], torch.randperm(len(images[name].event)))
        for name in reversed(images)
    }
    assert_same(network(shuffled, N_EVENTS), network(images, N_EVENTS))


@torch.no_grad()
def test_the_order_of_the_events_is_that_of_the_output(network, images):
    trained(network, images)
    order = torch.tensor([3, 0, 4, 1, 2])  # event i becomes event order[i]
    moved = {name: select(camera, slice(None)) for name, camera in images.items()}
    for camera in moved.values():
        camera.event = order[camera.event]
    expected = network(images, N_EVENTS)
    assert_same({t: o[order] for t, o in network(moved, N_EVENTS).items()}, expected)


def test_absent_telescopes_are_absent(network, images):
    """Event 2 has one image, of NectarCam: nothing else moves with its output."""
    trained(network, images)
    for camera in images.values():
        camera.pixels.requires_grad_()
    sum(output[2].sum() for output in network(images, N_EVENTS).values()).backward()
    assert not images["LSTCam"].pixels.grad.any()
    mine = images["NectarCam"].event == 2
    assert not images["NectarCam"].pixels.grad[~mine].any()
    assert images["NectarCam"].pixels.grad[mine].any()
    for name, parameter in network.encoders["LSTCam"].named_parameters():
        assert not parameter.grad.any(), name


@torch.no_grad()
def test_a_new_network_gives_means_of_what_images_give(images):
    """Of each task between the least and the largest of the telescopes alone."""
    torch.manual_seed(0)
    network = new_network(NETWORKS["gammaphysnet"]).eval()
    nectar = images["NectarCam"]
    (mine,) = torch.nonzero(nectar.event == 1, as_tuple=True)
    event = select(nectar, mine)
    event.event = torch.zeros(len(mine), dtype=torch.int64)
    alone = select(nectar, mine)
    alone.event = torch.arange(len(mine))
    found = network.estimates({"NectarCam": event}, 1)
    together = found.events
    each = network({"NectarCam": alone}, len(mine))
    assert_same(found.images, each)
    assert torch.equal(found.event, event.event)
    for task in OUTPUTS:
        assert (each[task].amin(0) <= together[task][0]).all()
        assert (together[task][0] <= each[task].amax(0)).all()
        assert (each[task].amin(0) < each[task].amax(0)).all()


@torch.no_grad()
@pytest.mark.parametrize("keypoints", [0, 3])
def test_telescopes_make_an_event_more_certain_than_its_surest_image(images, keypoints):
    """In a new network, of each regression; of one image the event is as certain as that."""
    torch.manual_seed(0)
    settings = NETWORKS["gammaphysnet"].model_copy(update={"keypoints": keypoints})
    regressions = {"energy": 2, "direction": 3, "impact": 3}
    outputs = {**regressions, "particle_type": 1}
    network = new_network(settings, outputs, regressions).eval()
    found = network.estimates(images, N_EVENTS)
    events, of_images, event = found.events, found.images, found.event
    assert {name: output.shape[1] for name, output in events.items()} == outputs
    for name in regressions:
        log_sigma, of_images_log_sigma = events[name][:, -1], of_images[name][:, -1]
        for row in range(N_EVENTS):
            mine = of_images_log_sigma[event == row]
            if len(mine) == 1:
                torch.testing.assert_close(log_sigma[row], mine[0])
            else:
                assert log_sigma[row] < mine.min()


def test_a_camera_without_images_does_not_learn(network, images):
    del images["LSTCam"]
    # Two images an event: one alone has all the attention, whatever the query.
    images["NectarCam"].event = torch.arange(len(images["NectarCam"].event)) // 2
    outputs = network(images, int(images["NectarCam"].event.max()) + 1)
    sum(output.square().sum() for output in outputs.values()).backward()
    for name, parameter in network.named_parameters():
        if name.startswith("encoders.LSTCam"):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.any(), name


def test_every_parameter_gets_a_gradient(network, images):
    outputs = network(images, N_EVENTS)
    sum(output.square().sum() for output in outputs.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@torch.no_grad()
def test_where_the_telescope_stands_and_points_matters(network, images):
    trained(network, images)
    before = network(images, N_EVENTS)
    for attribute, step in {"position": 50.0, "pointing": 0.5}.items():  # m, deg
        moved = dict(images)
        moved["NectarCam"] = select(images["NectarCam"], slice(None))
        setattr(moved["NectarCam"], attribute, getattr(images["NectarCam"], attribute) + step)
        after = network(moved, N_EVENTS)
        for task in OUTPUTS:
            changed = (after[task] != before[task]).any(dim=1)
            assert changed.tolist() == [False, True, True, True, False], (attribute, task)


def test_encoders_are_one_a_camera_and_heads_one_a_task(network):
    assert list(network.encoders) == ["LSTCam", "NectarCam"]
    by_head = {task: head[-1].out_features for task, head in network.heads.items()}
    assert by_head == {task: n for task, n in OUTPUTS.items() if not (network.geometry and n == 2)}
    for head in network.heads.values():
        assert (head[1].in_features, head[1].out_features) == (16, 32)


def test_a_camera_that_was_not_trained_on_has_no_encoder(network, images):
    with pytest.raises(KeyError, match="FlashCam"):
        network({"FlashCam": images["LSTCam"]}, N_EVENTS)


def test_images_of_another_camera_are_refused(network, images):
    images["LSTCam"], images["NectarCam"] = images["NectarCam"], images["LSTCam"]
    with pytest.raises(ValueError, match=r"expects images of shape"):
        network(images, N_EVENTS)


def test_dropout_of_the_settings():
    network = build(NetworkSettings(dropout=0.5, **{**SMALL, "widths": [3, 4, 5]}))
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {0.5}
    batch = {"LSTCam": random_images(CAMERAS[0], [0, 1])}
    with torch.no_grad():
        assert not torch.equal(network(batch, 2)["impact"], network(batch, 2)["impact"])
        network.eval()
        assert torch.equal(network(batch, 2)["impact"], network(batch, 2)["impact"])


def test_batches_move_as_one(images):
    """All tensors of a batch go to a device, or a precision, together."""
    batch = Batch(images, torch.arange(N_EVENTS), {"energy": torch.zeros(N_EVENTS, 1)})
    moved = batch.to("meta")
    assert moved.n_events == N_EVENTS
    of_images = [tensor for tensor in vars(moved.images["LSTCam"]).values() if tensor is not None]
    for tensor in (moved.index, moved.targets["energy"], *of_images):
        assert tensor.device.type == "meta"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"encoder": "resnet"}, "gammaphysnet"),
        ({"encoder": "conv4", "widths": [8, 8]}, "needs 4 values in widths, got 2"),
        ({"encoder": "conv5", "widths": [8, 8, 8, 8]}, "needs 5 values in widths, got 4"),
        ({"encoder": "transformer", "widths": [8, 8]}, "needs 1 value in widths, got 2"),
        ({"encoder": "transformer", "widths": [12]}, "multiple of 8 in widths, got 12"),
        ({"encoder": "convnext", "backend": "indexedconv"}, "set another backend"),
        ({"widths": []}, "at least one value"),
        ({"widths": [16, 0]}, "greater than or equal to 1"),
        ({"attention": "self"}, "squeeze_excitation"),
        ({"embedding": 12}, "multiple of 8"),
        ({"fusion": "sum"}, "attention"),
        ({"fusion": "concatenation"}, "fusion='concatenation' needs the ids of telescopes"),
        ({"telescopes": [1, 2]}, "fusion='attention' has no slots; leave out telescopes"),
        ({"fusion": "concatenation", "telescopes": [1, 2, 1]}, "different ids in telescopes"),
        ({"fusion": "concatenation", "telescopes": []}, "at least 1 item"),
        ({"fusion_layers": 0}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
        ({"blocks": 0}, "greater than or equal to 1"),
        ({"geometry": True}, "add centroid and axis to parameters"),
        ({"geometry": True, "parameters": ["light", "axis"]}, "add centroid and axis"),
        ({"parameters": ["hillas_width"]}, "'width'"),
        ({"encoder": "none"}, "leaves the network nothing to see; set parameters to all"),
        ({"encoder": "none", "parameters": "all", "keypoints": 3}, "set them to 0"),
        ({"layers": 3}, "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused(wrong, sentence):
    with pytest.raises(ValidationError, match=sentence):
        NetworkSettings(**wrong)


# -- how it computes -------------------------------------------------------------------------------


def square_camera(name, side):
    row, col = np.mgrid[:side, :side].reshape(2, -1)
    return CameraType(name, 0.006 * col, -0.006 * row, "square", focal_length=2.15)


def backends_of(camera, **settings):
    network = ReconstructionNetwork([camera], 2, OUTPUTS, NetworkSettings(**settings))
    return {type(m.backend).__name__ for m in network.modules() if hasattr(m, "backend")}


@pytest.mark.parametrize("encoder", ["conv5", "gammaphysnet", "convnext", "transformer"])
def test_automatic_is_native_on_hexagons_and_dense_on_squares(encoder, monkeypatch):
    """As measured: benchmarks/engine.py --figures auto."""
    monkeypatch.setattr(native, "is_available", lambda: True)
    hexagonal, square = hexagonal_camera("LSTCam", 24), square_camera("SquareCam", 64)
    assert backends_of(hexagonal, encoder=encoder) == {"NativeBackend"}
    assert backends_of(square, encoder=encoder) == {"DenseBackend"}
    # What is asked for is never changed.
    assert backends_of(square, encoder=encoder, backend="native") == {"NativeBackend"}
    assert backends_of(hexagonal, encoder=encoder, backend="dense") == {"DenseBackend"}
    # A CPU without wide vectors.
    monkeypatch.setattr(native, "is_available", lambda: False)
    assert backends_of(hexagonal, encoder=encoder) == {"DenseBackend"}
