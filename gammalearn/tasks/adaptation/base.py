"""What an adaptation is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...settings import TaskSettings
from ..base import Task
from ..particle_type import ParticleTypeTask

__all__ = ["Adaptation", "EventSet", "class_probabilities"]

#: How fast the sigmoid schedule grows (Ganin & Lempitsky 2015, section 4.1, γ).
STEEPNESS = 10.0


@dataclass
class EventSet:
    """Some events as the network sees them: the training events, or the unlabelled ones.

    Attributes
    ----------
    embedding : Tensor, shape (n_events, n_features)
        What the heads see of each event.
    classes : Tensor, shape (n_events, n_classes)
        Probability of each class, without a gradient. One class of probability 1 without the task
        particle_type.
    outputs : dict of str to Tensor, shape (n_events, n_outputs)
        Of the network, by task.
    targets : dict of str to Tensor, shape (n_events, n_targets)
        By task, NaN where there is nothing to learn.
    """

    embedding: Tensor
    classes: Tensor
    outputs: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.embedding)

    def of(self, which: Tensor) -> "EventSet":
        """Some of the events.

        Parameters
        ----------
        which : Tensor of bool, shape (n_events,)
        """
        return EventSet(
            self.embedding[which],
            self.classes[which],
            {name: output[which] for name, output in self.outputs.items()},
            {name: target[which] for name, target in self.targets.items()},
        )


def class_probabilities(
    outputs: Mapping[str, Tensor], tasks: Mapping[str, Task], n_events: int
) -> Tensor:
    """Probability of each class of particles, see `EventSet`.

    Parameters
    ----------
    outputs : mapping of str to Tensor, shape (n_events, n_outputs)
    tasks : mapping of str to gammalearn.tasks.Task
    n_events : int
    """
    for name, task in tasks.items():
        if isinstance(task, ParticleTypeTask):
            return task.probabilities(outputs[name].detach().float())
    some = next(iter(outputs.values()))
    return torch.ones(n_events, 1, device=some.device)


def _n_classes(tasks: Mapping[str, Task]) -> int:
    """Number of classes of `class_probabilities`."""
    found = (task.n_classes for task in tasks.values() if isinstance(task, ParticleTypeTask))
    return next(found, 1)


class Adaptation(nn.Module, ABC):
    """A distance between the training events and the unlabelled events, which training reduces.

    Parameters
    ----------
    settings : gammalearn.settings.TaskSettings
    n_features : int
        Features of the embedding.
    tasks : mapping of str to gammalearn.tasks.Task
        What the network reconstructs.
    """

    name: ClassVar[str]
    """Name in the settings."""

    options: ClassVar[tuple[str, ...]] = ()
    """Settings it knows beside weight and schedule, which all do."""

    def __init__(self, settings: TaskSettings, n_features: int, tasks: Mapping[str, Task]):
        super().__init__()
        self.weight = settings.weight
        self.schedule, self.schedule_epochs = settings.schedule, settings.schedule_epochs
        self.conditional = settings.conditional
        self.tasks = dict(tasks)
        self.n_features = n_features
        if self.conditional:
            self.n_features *= _n_classes(tasks)

    def strength(self, epochs_done: float, n_epochs: int) -> float:
        """The weight at some time of the training, as the schedule of the settings has it.

        Parameters
        ----------
        epochs_done : float
            Epochs and the share of the one that runs.
        n_epochs : int
            Of the whole training.
        """
        share = min(epochs_done / (self.schedule_epochs or n_epochs), 1.0)
        if self.schedule == "sigmoid":
            return self.weight * (2 / (1 + math.exp(-STEEPNESS * share)) - 1)
        return self.weight * (share if self.schedule == "linear" else 1.0)

    def features(self, events: EventSet) -> Tensor:
        """What is compared of events, shape (n_events, n_features).

        It is the embedding; with ``conditional``, its product with the probability of each class
        (the multilinear map of Long et al. 2018, eq. 6).
        """
        if not self.conditional:
            return events.embedding
        return (events.classes.unsqueeze(2) * events.embedding.unsqueeze(1)).flatten(1)

    @abstractmethod
    def forward(
        self, labelled: EventSet, unlabelled: EventSet, strength: float
    ) -> tuple[Tensor, Tensor]:
        """What is added to the loss of the tasks, and the loss to log.

        Parameters
        ----------
        labelled, unlabelled : EventSet
            Each of one event at least.
        strength : float
            From :meth:`strength`.

        Returns
        -------
        added, loss : Tensor, shape ()
        """

    def metrics(self, labelled: EventSet, unlabelled: EventSet) -> dict[str, float]:
        """Figures to watch on the validation events; by default none."""
        return {}
