"""Stereo geometry: perfect showers are found, and what goes in turned comes out turned."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gammalearn.camera import CameraType
from gammalearn.data import CameraImages
from gammalearn.nn import ReconstructionNetwork
from gammalearn.nn.geometry import StereoGeometry, fitted, precision_along
from gammalearn.nn.tokens import Descriptors, Tokens
from gammalearn.settings import NetworkSettings

VECTORS = ("centroid", "axis", "skewness", "time_slope")
N_SCALARS, EMBEDDING = 5, 16
OUTPUTS = {"energy": 1, "particle_type": 1, "direction": 2, "impact": 2}

#: Showers' light comes from some 10 km: 1 deg is so many 100 m.
HEIGHT = 100 * np.pi / 180

#: The four LSTs, in 100 m.
LST4 = np.array([[-0.7, -0.5], [-0.35, 0.66], [0.75, 0.5], [0.31, -0.64]])


def camera():
    return CameraType("LSTCam", np.array([0.0, 0.05]), np.zeros(2), "square", 28.0)


class Shower:
    """Images of showers as lines from the direction towards the core, seen by telescopes.

    The image of a telescope at p of the light from height h on an axis through q with direction d
    is at d + (q - p) / h.
    """

    def __init__(self, direction, core, positions=LST4, seed=0):
        random = np.random.default_rng(seed)
        self.positions, n_images = positions, len(positions)
        to_core = core - positions
        self.centroid = direction + to_core / HEIGHT
        self.axis = to_core / np.linalg.norm(to_core, axis=1, keepdims=True)
        # Light comes from the side of the direction first; the sign of an axis means nothing.
        self.skewness, self.time_slope = 0.3 * self.axis, -0.5 * self.axis
        self.axis = self.axis * random.choice([-1, 1], (n_images, 1))
        self.scalars = random.normal(size=(n_images, N_SCALARS))

    def vectors(self):
        return np.stack([self.centroid, self.axis, self.skewness, self.time_slope], axis=1)

    def tokens(self):
        def tensor(values):
            return torch.tensor(np.array(values), dtype=torch.float64)

        descriptors = Descriptors.of(tensor(self.scalars), tensor(self.vectors()), VECTORS)
        n_images = len(self.positions)
        return Tokens(
            torch.zeros(n_images, EMBEDDING, dtype=torch.float64),
            torch.zeros(n_images, dtype=torch.int64),
            tensor(self.positions),
            torch.zeros(n_images, 2, dtype=torch.float64),
            descriptors,
            None,
        )

    def images(self, angle=0.0, dtype=torch.float64):
        """In a batch, turned by an angle (rad)."""
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

        def tensor(values):
            return torch.tensor(np.array(values), dtype=dtype)

        n_images = len(self.positions)
        height = np.zeros((n_images, 1))
        return CameraImages(
            torch.zeros(n_images, 0, 2, dtype=dtype),
            torch.zeros(n_images, dtype=torch.int64),
            tensor(np.hstack([100 * self.positions @ turn.T, height])),
            torch.zeros(n_images, 2, dtype=dtype),
            None,
            tensor(self.scalars),
            tensor(self.vectors() @ turn.T),
        )


def lines_only(geometry):
    """The geometry as that of lines alone: along them, images know nothing."""
    with torch.no_grad():
        geometry.first.decide[-1].bias[3] = -20.0
        for look in geometry.looks:
            look.ground[-1].bias[1:] = torch.tensor([4.0, -20.0])
        for refine in geometry.refine:
            refine.decide[-1].bias[3] = -20.0
    return geometry


places = st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)).map(np.array)
cores = st.tuples(st.floats(-2, 2), st.floats(-2, 2)).map(np.array)


@pytest.mark.parametrize("rounds", [1, 2])
@settings(max_examples=25)
@given(places, cores)
def test_the_axis_of_a_perfect_shower_is_found(rounds, direction, core):
    """Where lines cross: by least squares of numpy, and as the shower was made."""
    shower = Shower(direction, core)
    distance = np.linalg.norm(core - LST4, axis=1)
    if distance.min() < 0.2 or np.ptp(np.unwrap(2 * np.arctan2(*shower.axis.T))) < 0.4:
        return  # lines that hardly cross, or an image that is a point
    normal = shower.axis[:, ::-1] * [-1, 1]
    crossing = np.linalg.lstsq(normal, (normal * shower.centroid).sum(axis=1))[0]
    np.testing.assert_allclose(crossing, direction, atol=1e-6)
    geometry = lines_only(StereoGeometry(EMBEDDING, VECTORS, False, rounds).double())
    _, sightings = geometry(shower.tokens(), 1)
    assert len(sightings) == rounds + 1
    for sighting in sightings:
        # The prior pulls a little.
        np.testing.assert_allclose(sighting.direction[0, :2].detach(), direction, atol=0.01)
        np.testing.assert_allclose(sighting.core[0, :2].detach(), core, atol=0.08)


def network(**others):
    torch.manual_seed(1)
    chosen = {"encoder": "none", "parameters": "all", "geometry": True, "head": 16, **others}
    network_settings = NetworkSettings(embedding=EMBEDDING, **chosen)
    made = ReconstructionNetwork(
        [camera()],
        0,
        OUTPUTS,
        network_settings,
        sky_task="direction",
        ground_task="impact",
        n_scalars=N_SCALARS,
        vectors=VECTORS,
    )
    for module in made.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.2)
    return made.double().eval()


@torch.no_grad()
@pytest.mark.parametrize("n_telescopes", [1, 2, 4])
@settings(max_examples=12)
@given(places, cores, st.floats(-np.pi, np.pi))
def test_a_turned_event_gives_a_turned_result(n_telescopes, direction, core, angle):
    """Of parameters alone, for any angle: energy and type stay, direction and impact turn."""
    shower = Shower(direction, core, LST4[:n_telescopes])
    made = network()
    before = made({"LSTCam": shower.images()}, 1)
    after = made({"LSTCam": shower.images(angle)}, 1)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float32)
    for task in ("energy", "particle_type"):
        torch.testing.assert_close(after[task], before[task], rtol=1e-4, atol=1e-4)
    for task in ("direction", "impact"):
        torch.testing.assert_close(after[task], before[task] @ turn.T, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_sign_of_an_axis_means_nothing():
    shower = Shower(np.array([0.3, -0.2]), np.array([0.5, 1.0]))
    made = network(geometry_rounds=2)
    before = made({"LSTCam": shower.images()}, 1)
    shower.axis = -shower.axis
    after = made({"LSTCam": shower.images()}, 1)
    for task in OUTPUTS:
        torch.testing.assert_close(after[task], before[task])


@torch.no_grad()
def test_what_an_image_without_parameters_has_there_does_not_matter():
    shower = Shower(np.array([0.3, -0.2]), np.array([0.5, 1.0]))
    images = shower.images()
    images.vectors[1], images.scalars[1] = torch.nan, torch.nan
    outputs = network()({"LSTCam": images}, 1)
    assert all(output.isfinite().all() for output in outputs.values())
    # As far as the places go it is as if its telescope had seen nothing.
    geometry = StereoGeometry(EMBEDDING, VECTORS, False).double()
    tokens = shower.tokens()
    tokens.descriptors = Descriptors.of(images.scalars, images.vectors, VECTORS)
    _, (first, _) = geometry(tokens, 1)
    others = Shower(np.array([0.3, -0.2]), np.array([0.5, 1.0]))
    keep = [0, 2, 3]
    rest = others.tokens()
    rest = Tokens(
        rest.features[keep], rest.event[keep], rest.position[keep], rest.pointing[keep],
        Descriptors.of(images.scalars[keep], images.vectors[keep], VECTORS), None,
    )  # fmt: skip
    _, (expected, _) = geometry(rest, 1)
    torch.testing.assert_close(first.direction, expected.direction)


def test_gradients_are_finite_where_all_is_nothing():
    """An image at its own direction, at the core, without parameters, alone."""
    made = network().train()
    images = Shower(np.zeros(2), np.ones(2), np.zeros((1, 2))).images()
    for vectors in (torch.zeros_like(images.vectors), torch.full_like(images.vectors, torch.nan)):
        images.vectors = vectors
        made.zero_grad()
        found = made.estimates({"LSTCam": images}, 1)
        total = sum(
            output.square().sum()
            for outputs in (found.events, found.images, *found.earlier)
            for output in outputs.values()
        )
        total.backward()
        assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


def test_precision_of_a_line_by_hand():
    """Along y the precision is 4, along x it is 0.25."""
    unit = torch.tensor([[1.0, 0.0]])
    logs = torch.tensor([4.0]).log(), torch.tensor([0.25]).log()
    torch.testing.assert_close(precision_along(unit, *logs), torch.tensor([[0.25, 0.0, 4.0]]))


def test_without_images_an_event_is_where_the_prior_is():
    nothing = torch.zeros(1, 5)
    place = fitted([nothing], torch.tensor([0]), 1)
    assert place[0, :2].tolist() == [0, 0]


class ManyShowers:
    """Showers seen by several telescopes each, whose images are a little off in all they tell.

    The distance of the direction along the axis is seen in the first scalar, and the light, which
    falls with the distance from the axis, in the second one.
    """

    N_TELESCOPES = 8

    def __init__(self, n_events, seed):
        random = np.random.default_rng(seed)

        def normal(*shape, scale):
            return random.normal(size=(n_events, self.N_TELESCOPES, *shape)) * scale

        self.direction = random.normal(size=(n_events, 1, 2))
        self.core = random.uniform(-1, 1, (n_events, 1, 2))
        self.energy = random.uniform(-1, 1, (n_events, 1))
        self.position = random.uniform(-1.5, 1.5, (n_events, self.N_TELESCOPES, 2))
        to_core = self.core - self.position
        distance = np.linalg.norm(to_core, axis=2, keepdims=True)
        axis = to_core / distance + normal(2, scale=0.05)
        axis = axis / np.linalg.norm(axis, axis=2, keepdims=True)
        centroid = self.direction + to_core / HEIGHT + normal(2, scale=0.05)
        vectors = [centroid, axis * random.choice([-1, 1], distance.shape), axis, -axis]
        self.vectors = np.stack(vectors, axis=2)
        self.scalars = np.zeros((n_events, self.N_TELESCOPES, N_SCALARS))
        self.scalars[..., 0] = distance[..., 0] + normal(scale=0.1)
        self.scalars[..., 1] = self.energy - distance[..., 0] + normal(scale=0.3)

    def seen_by(self, seen):
        """A batch of the telescopes that a mask, shape (n_events, N_TELESCOPES), leaves."""
        event, telescope = np.nonzero(seen)

        def tensor(values):
            return torch.tensor(np.array(values), dtype=torch.float32)

        position = 100 * self.position[event, telescope]
        return {
            "LSTCam": CameraImages(
                torch.zeros(len(event), 0, 2),
                torch.tensor(event),
                tensor(np.pad(position, ((0, 0), (0, 1)))),
                torch.zeros(len(event), 2),
                None,
                tensor(self.scalars[event, telescope]),
                tensor(self.vectors[event, telescope]),
            )
        }

    def targets(self):
        """What is to be found, by task."""
        values = {"energy": self.energy, "direction": self.direction, "impact": self.core}
        return {
            name: torch.tensor(value.reshape(len(value), -1), dtype=torch.float32)
            for name, value in values.items()
        }


@pytest.fixture(scope="module")
def trained():
    """A network of parameters that has seen events of 1 to 8 telescopes."""
    with torch.random.fork_rng():
        made = network().float().train()
        optimiser = torch.optim.Adam(made.parameters(), lr=5e-3)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0.02, total_iters=250)
        for step in range(250):
            events, random = ManyShowers(32, seed=step), np.random.default_rng(step)
            seen = np.arange(8) < random.integers(1, 9, (32, 1))
            found, targets = made.estimates(events.seen_by(seen), 32), events.targets()
            loss = sum(
                (outputs[name] - targets[name]).norm(dim=1).mean()
                for outputs in (found.events, *found.earlier)
                for name in targets.keys() & outputs.keys()
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return made.eval()


@torch.no_grad()
def test_each_telescope_that_is_added_makes_it_better(trained):
    """On average over events, whichever telescopes there were before."""
    events, random = ManyShowers(1000, seed=1_000_000), np.random.default_rng(0)
    order = random.permuted(np.tile(np.arange(8), (1000, 1)), axis=1)
    targets, errors = events.targets(), {name: [] for name in ("energy", "direction", "impact")}
    for n_telescopes in (1, 2, 3, 4, 6, 8):
        outputs = trained(events.seen_by(order < n_telescopes), 1000)
        for name, of_task in errors.items():
            of_task.append((outputs[name] - targets[name]).norm(dim=1).mean().item())
    for name, of_task in errors.items():
        assert (np.diff(of_task) < 0).all(), (name, of_task)
        assert of_task[-1] < 0.6 * of_task[0], (name, of_task)
