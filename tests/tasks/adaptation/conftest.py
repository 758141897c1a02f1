"""Sets of events with embeddings, and adaptations of them."""

import pytest
import torch

from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks
from gammalearn.tasks.adaptation import EventSet, build_adaptations


@pytest.fixture
def tasks():
    return build_tasks({name: TaskSettings() for name in ("particle_type", "energy", "direction")})


@pytest.fixture
def make(tasks):
    """Function that makes an adaptation to embeddings of so many features."""

    def adaptation(name, n_features=5, **settings):
        torch.manual_seed(0)
        return build_adaptations({name: TaskSettings(**settings)}, n_features, tasks)[name]

    return adaptation


@pytest.fixture
def events(tasks):
    """Function that makes a set of events: random, or of some embeddings."""

    def make(n=12, n_features=5, seed=1, shift=0.0, embedding=None):
        random = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(n, *shape, generator=random)

        outputs = {name: normal(task.n_outputs) for name, task in tasks.items()}
        targets = {
            "particle_type": (normal(1) > 0).float(),
            "energy": normal(1),
            "direction": normal(2),
        }
        if embedding is None:
            embedding = normal(n_features) + shift
        classes = tasks["particle_type"].probabilities(outputs["particle_type"])
        return EventSet(embedding.requires_grad_(), classes, outputs, targets)

    return make
