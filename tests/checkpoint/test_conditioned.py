"""Networks that know the noise of the sky, built from settings."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gammalearn.camera import CameraType
from gammalearn.checkpoint.trained import build_network
from gammalearn.data import CameraImages
from gammalearn.nn import for_inference
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks


def camera(name, radius):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    x, y = 0.05 * (col - row / 2)[inside], -0.05 * np.sqrt(0.75) * row[inside]
    return CameraType(name, x, y, "hexagonal", focal_length=28.0)


CAMERAS = [camera("LSTCam", 6), camera("NectarCam", 5)]


@pytest.fixture
def build():
    """Function that builds a network and gives its weights to others of the same seed."""

    def network(data=None, **settings):
        torch.manual_seed(0)
        settings = {
            **{"encoder": "conv4", "widths": [4] * 4, "embedding": 16, "head": 8},
            **settings,
        }
        experiment = Experiment(network=settings, data=data or {})
        return build_network(experiment, CAMERAS, build_tasks(experiment.tasks)).eval()

    return network


def images(noise, seed=0):
    """Three events with images of both cameras, as asinh of charges with noise (p.e.)."""
    random = np.random.default_rng(seed)
    made = {}
    for one, event in zip(CAMERAS, ([0, 1, 1], [0, 2]), strict=True):
        charge = random.normal(0, noise, (len(event), one.n_pixels))
        charge[:, :6] += 80
        pixels = np.stack([np.arcsinh(charge), random.normal(size=charge.shape)], axis=1)
        made[one.name] = CameraImages(
            torch.from_numpy(pixels).float(),
            torch.tensor(event),
            torch.zeros(len(event), 3),
            torch.zeros(len(event), 2),
        )
    return made


@pytest.mark.parametrize("keypoints", [0, 3])
def test_the_beginning_is_that_of_a_network_without(build, keypoints):
    plain = build(keypoints=keypoints)
    conditioned = build(keypoints=keypoints, condition=["nsb", "bad_pixels"])
    left = conditioned.load_state_dict(plain.state_dict(), strict=False)
    assert left.missing_keys and all(k.startswith("conditioning.") for k in left.missing_keys)
    ours, theirs = conditioned(images(2.0), 3), plain(images(2.0), 3)
    for name, output in theirs.items():
        assert torch.equal(ours[name], output), name


def test_a_step_teaches_it_the_noise(build):
    """After it, the same light with more noise is another thing than for a network without."""
    network = build(condition=["nsb"])
    torch.nn.init.normal_(network.heads["energy"][-1].weight)
    optimiser = torch.optim.SGD(network.conditioning.parameters(), lr=0.1)
    network(images(2.0), 3)["energy"].square().sum().backward()
    optimiser.step()
    state = network.conditioning.modulation
    assert state[-1].weight.any() and state[-1].bias.any()
    known = {}
    for noise in (2.0, 4.0):
        seen = images(noise)
        feature = torch.ones(3, 16)
        known[noise] = network.conditioning(feature, seen["LSTCam"].pixels)
    assert not torch.allclose(known[2.0], known[4.0], atol=1e-4)


def test_for_inference_gives_the_same(build):
    network = build(condition=["nsb", "bad_pixels"])
    torch.nn.init.normal_(network.conditioning.modulation[-1].weight)
    network.train()(images(3.0), 3)
    network.eval()
    for name, output in network(images(2.0), 3).items():
        folded = for_inference(network)(images(2.0), 3)[name]
        torch.testing.assert_close(folded, output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [{"channels": ["peak_time"]}, {"cleaning": {"applied_to": ["charge"]}}],
)
def test_charges_of_all_pixels_are_needed(data):
    with pytest.raises(ValidationError, match="network.condition=.* charges of all pixels"):
        Experiment(network={"condition": ["nsb"]}, data=data)


@pytest.mark.parametrize(
    ("settings", "data"),
    [({}, {}), ({"encoder": "none", "widths": None, "parameters": "all"}, {"channels": []})],
    ids=["images", "parameters"],
)
def test_a_network_can_know_the_pointing(build, settings, data):
    """The same light at another zenith is another energy, once it has learned to look there."""
    network = build(**settings, condition=["pointing"], data=data)
    assert network.with_pointing
    torch.nn.init.normal_(network.heads["energy"][-1].weight)
    part = network.conditioning or network.descriptor_conditioning
    torch.nn.init.normal_(part.modulation[-1].weight)
    found = []
    for air_mass in (1.0, 2.0):
        seen = images(2.0)
        for camera in seen.values():
            n = len(camera.event)
            if data:
                camera.pixels = camera.pixels[:, :0]
                camera.scalars = torch.ones(n, network.n_scalars)
                camera.vectors = torch.ones(n, len(network.vectors), 2)
            camera.sky = torch.tensor([[np.log(air_mass), 0, 0]] * n, dtype=torch.float32)
        found.append(network(seen, 3)["energy"])
    assert not torch.allclose(*found, atol=1e-3)


def test_the_pointing_needs_no_charge():
    Experiment(network={"condition": ["pointing"]}, data={"channels": ["peak_time"]})
