"""Images of a small camera, and a network that says what it is told to."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gammalearn.camera import PixelGrid
from gammalearn.data import Batch, CameraImages
from gammalearn.settings import TaskSettings
from gammalearn.tasks.without_labels import SeenImages, build_without_labels


@pytest.fixture
def grid():
    return PixelGrid(np.arange(144).reshape(12, 12))


@pytest.fixture
def make(grid):
    """Function that makes a task; light is a charge above 5."""

    def task(name, channels=("charge", "peak_time"), n_features=6, **settings):
        camera = SimpleNamespace(name="camera", grid=grid, n_pixels=144)
        images = SeenImages([camera], channels, n_features, lambda charge: charge > 5)
        return build_without_labels({name: TaskSettings(**settings)}, images)[name]

    return task


@pytest.fixture
def batch():
    """Function that makes random images; ``event`` has the row of each one's event."""

    def made(event=(0, 1, 2), seed=1):
        random = torch.Generator().manual_seed(seed)
        event = torch.tensor(event)
        images = CameraImages.dark(event, (2, 144))
        images.pixels[:] = torch.randn(images.pixels.shape, generator=random)
        images.pixels[:, 0, 30:40] += 20
        return Batch({"camera": images}, torch.arange(int(event.max()) + 1), {})

    return made


class Told:
    """A network whose decoder says the same of all pixels, and which keeps what it was shown."""

    def __init__(self, value=0.0):
        self.value, self.shown = value, []

    def decoded(self, images, hidden):
        camera = images["camera"]
        self.shown.append(hidden["camera"])
        return {"camera": torch.full_like(camera.pixels, self.value)}


@pytest.fixture
def told():
    return Told
