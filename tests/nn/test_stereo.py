"""One network for any number of telescopes: what it learnt, it knows for 1 and for 13 of them."""

import numpy as np
import pytest
import torch

from gammalearn.camera import CameraType
from gammalearn.data import CameraImages
from gammalearn.nn import ReconstructionNetwork
from gammalearn.settings import NetworkSettings, TaskSettings
from gammalearn.tasks import build_tasks

#: Scatter of the light of an image, in decades of the energy: what one telescope is wrong by.
SCATTER = 0.5

#: Four LSTs and nine MSTs.
KINDS = np.array(["LSTCam"] * 4 + ["NectarCam"] * 9)


def hexagonal_camera(name, radius):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    x, y = 0.05 * (col - row / 2)[inside], -0.05 * np.sqrt(0.75) * row[inside]
    return CameraType(name, x, y, "hexagonal", focal_length=28.0)


CAMERAS = {
    name: hexagonal_camera(name, radius) for name, radius in (("LSTCam", 3), ("NectarCam", 2))
}


class Events:
    """Events of which the energy is seen in the light of each image, and in nothing else."""

    def __init__(self, n_events, seed):
        random = np.random.default_rng(seed)
        self.energy = random.uniform(-1, 1, n_events)
        self.telescopes = np.array([random.permutation(len(KINDS)) for _ in range(n_events)])
        light = self.energy[:, None] + SCATTER * random.normal(size=self.telescopes.shape)
        self.pixels = {
            name: light[..., None] + random.normal(size=(*light.shape, camera.n_pixels))
            for name, camera in CAMERAS.items()
        }
        self.position = random.normal(size=(*light.shape, 3)) * 100

    def seen_by(self, n_telescopes):
        """Images of the first telescopes of each event: a number for all, or one for each."""
        n_telescopes = np.broadcast_to(n_telescopes, len(self.energy))
        images = {}
        for name in CAMERAS:
            seen = np.arange(len(KINDS)) < n_telescopes[:, None]
            event, place = np.nonzero(seen & (KINDS[self.telescopes] == name))
            if len(event):
                images[name] = CameraImages(
                    torch.tensor(self.pixels[name][event, place], dtype=torch.float32)[:, None],
                    torch.tensor(event),
                    torch.tensor(self.position[event, place], dtype=torch.float32),
                    torch.zeros(len(event), 2),
                )
        return images


@pytest.fixture(scope="module")
def trained():
    """A network with attention that learns energy and uncertainty from 1 to 13 telescopes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = NetworkSettings(widths=[8], blocks=1, embedding=16, head=16)
        task = build_tasks({"energy": TaskSettings(uncertainty=True)})["energy"]
        network = ReconstructionNetwork(
            CAMERAS.values(), 1, {"energy": 2}, settings, with_uncertainty=["energy"]
        )
        optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0.02, total_iters=100)
        for step in range(100):
            events = Events(32, seed=step)
            n_telescopes = np.random.default_rng(step).integers(1, len(KINDS) + 1, 32)
            target = torch.tensor(events.energy, dtype=torch.float32)[:, None]
            images = events.seen_by(n_telescopes)
            found = network.estimates(images, 32)
            loss = task.loss(found.events["energy"], target).mean()
            loss = loss + task.loss(found.images["energy"], target[found.event]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def test_each_telescope_that_is_added_makes_it_better(trained):
    """As the mean of as many measurements is, which no method can better by much."""
    events = Events(400, seed=1_000_000)
    errors, sigmas, n_telescopes = [], [], [1, 2, 4, 8, 13]
    for n in n_telescopes:
        output = trained(events.seen_by(n), 400)["energy"].numpy()
        errors.append(np.sqrt(np.mean((output[:, 0] - events.energy) ** 2)))
        sigmas.append(np.exp(output[:, 1]).mean())
    limit = SCATTER / np.sqrt(n_telescopes)
    assert (np.diff(errors) < 0).all()
    assert (errors < 1.2 * limit).all()
    # The scatter is normal, the density of the likelihood is not: its σ is √2 times the mean error.
    np.testing.assert_allclose(sigmas, 2 / np.sqrt(np.pi) * limit, rtol=0.35)


@torch.no_grad()
@pytest.mark.parametrize("n_telescopes", range(1, 14))
def test_the_order_of_any_number_of_telescopes_does_not_matter(trained, n_telescopes):
    """Nor of what else is in the batch; telescopes of both kinds."""
    events = Events(3, seed=n_telescopes)
    images = events.seen_by(n_telescopes)
    shuffled = {}
    for name in reversed(images):
        order = torch.randperm(len(images[name].event))
        shuffled[name] = images[name].map(lambda tensor, order=order: tensor[order])
    outputs = trained(images, 3)["energy"]
    assert outputs.isfinite().all()
    torch.testing.assert_close(trained(shuffled, 3)["energy"], outputs, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_an_event_with_fewer_telescopes_is_an_event_without_the_others(trained):
    """Telescopes that are absent leave no trace, in a batch with 13 of them or alone."""
    events = Events(2, seed=0)
    both = trained(events.seen_by([2, 13]), 2)["energy"]
    for n_others in (1, 7):
        outputs = trained(events.seen_by([2, n_others]), 2)["energy"]
        torch.testing.assert_close(outputs[0], both[0], rtol=1e-5, atol=1e-5)
