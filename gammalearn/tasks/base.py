"""What a task is."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from astropy.table import Table
from torch import Tensor
from torch.nn import functional

from ..data import Rotation
from ..settings import TaskSettings

__all__ = ["Task", "average_binary_logits", "average_logits"]

# Columns of a DL2 file by name, without the algorithm's; with unit if they have one (`Quantity`),
# shape (n_events,).
Columns = dict[str, np.ndarray]


def average_logits(outputs: Tensor) -> Tensor:
    """Logits of the mean of probabilities.

    Parameters
    ----------
    outputs : Tensor, shape (n_networks, n_events, n_classes)
        Logits, whose softmax are the probabilities of each network.

    Returns
    -------
    Tensor, shape (n_events, n_classes)
        Logarithms of the mean probabilities.
    """
    return outputs.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(outputs))


def average_binary_logits(outputs: Tensor) -> Tensor:
    """Logits of the mean of probabilities of two classes.

    Parameters
    ----------
    outputs : Tensor, shape (n_networks, n_events, 1)
        Logits, whose sigmoid are the probabilities of each network.

    Returns
    -------
    Tensor, shape (n_events, 1)
    """
    # The logit x of two classes is what the softmax of x and 0 gives.
    mean = average_logits(functional.pad(outputs, (0, 1)))
    return mean[:, :1] - mean[:, 1:]


class Task(ABC):
    """One physical quantity: target, loss, decoding, DL2 columns, metrics.

    Parameters
    ----------
    settings : gammalearn.settings.TaskSettings
    """

    name: ClassVar[str]
    """Name in the settings and in the network."""

    n_outputs: int
    """Numbers the network gives for it."""

    gives_uncertainty: bool = False
    """Whether the last of them is the logarithm of the others' standard deviation."""

    kind: ClassVar[str]
    """Group of the DL2 file that its columns go to."""

    learns_from: ClassVar[tuple[str, ...] | None]
    """Particles it learns from by default; None means all."""

    in_the_sky: ClassVar[bool] = False
    """Whether its first outputs are an offset in the sky (fov_lon, fov_lat) in deg."""

    on_the_ground: ClassVar[bool] = False
    """Whether its first outputs are a place in the plane perpendicular to the pointing, relative to
    the event's ground reference, in units of 100 m."""

    options: ClassVar[tuple[str, ...]] = ()
    """Settings it knows beside weight and particles, which all do."""

    def __init__(self, settings: TaskSettings):
        self.weight = settings.weight
        self.particles = settings.particles or self.learns_from

    @abstractmethod
    def truth(self, events: Table) -> np.ndarray:
        """The targets of all events.

        Parameters
        ----------
        events : Table
            The event table of :class:`gammalearn.data.EventIndex`.

        Returns
        -------
        ndarray, shape (n_events, n_targets)
            NaN where there is no truth.
        """

    def targets(self, events: Table) -> np.ndarray:
        """What the network is to learn: the truth, NaN for the events it does not learn from.

        Returns
        -------
        ndarray of float32, shape (n_events, n_targets)
        """
        targets = np.array(self.truth(events), dtype=np.float32)
        if self.particles is not None:
            targets[~np.isin(events["particle"], self.particles)] = np.nan
        return targets

    def rotated(self, target: Tensor, turn: Rotation) -> Tensor:
        """The targets of events that are rotated about their pointing; by default the same.

        Parameters
        ----------
        target : Tensor, shape (n_events, n_targets)
        turn : gammalearn.data.Rotation
        """
        return target

    def moved(self, target: Tensor, step: Tensor) -> Tensor:
        """The targets of events whose ground reference moves; by default the same.

        Parameters
        ----------
        target : Tensor, shape (n_events, n_targets)
        step : Tensor, shape (n_events, 3)
            From the reference to the new one in the ground frame, in m.
        """
        return target

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Loss of each event, for targets that are not NaN.

        Parameters
        ----------
        output : Tensor, shape (n_events, n_outputs)
        target : Tensor, shape (n_events, n_targets)

        Returns
        -------
        Tensor, shape (n_events,)
        """

    #: What `explained` is, in words.
    explained_as: ClassVar[str] = "first output"

    def explained(self, output: Tensor) -> Tensor:
        """The one number of each event that an explanation is about; by default the first output.

        Parameters
        ----------
        output : Tensor, shape (n_events, n_outputs)

        Returns
        -------
        Tensor, shape (n_events,)
            With a gradient.
        """
        return output[:, 0]

    def average(self, outputs: Tensor) -> Tensor:
        """The output of several networks together; by default the mean of theirs.

        Parameters
        ----------
        outputs : Tensor, shape (n_networks, n_events, n_outputs)

        Returns
        -------
        Tensor, shape (n_events, n_outputs)
        """
        return outputs.mean(dim=0)

    @abstractmethod
    def decode(self, output: np.ndarray, events: Table) -> Columns:
        """From outputs to quantities with unit, the columns of the DL2 file without prefix.

        Parameters
        ----------
        output : ndarray, shape (n_events, n_outputs)
        events : Table
            The event table's rows for these outputs.

        Returns
        -------
        dict of str to Quantity or ndarray, shape (n_events,)
        """

    @abstractmethod
    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Figures to watch during training, NaN where they cannot be had.

        Parameters
        ----------
        output : Tensor, shape (n_events, n_outputs)
        target : Tensor, shape (n_events, n_targets)
            Without NaN.
        """
