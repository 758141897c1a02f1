"""Settings of one task."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import Particle, Settings

__all__ = ["ADAPTATIONS", "WITHOUT_LABELS", "TaskSettings", "named_tasks", "quantities"]

#: Tasks that make unlabelled events look like the training events to the network.
ADAPTATIONS = ("domain", "coral", "mmd", "deepjdot")

#: Tasks that need no truth.
WITHOUT_LABELS = ("reconstruction", "contrast")


#: Most event classes: each needs an instrument response of its own.
MOST_CLASSES = 16


def _as_quantiles(value: Any) -> Any:
    """Quantiles of equal shares, of a number of classes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 2 <= value <= MOST_CLASSES:
            raise ValueError(f"expected 2 to {MOST_CLASSES} classes, or their quantiles")
        return [number / value for number in range(1, value)]
    return value


class TaskSettings(Settings):
    """One physical quantity to learn, one adaptation to unlabelled events, or one task without
    labels."""

    weight: float = Field(1.0, ge=0)
    """Weight of the loss of the task. ``training.balancing`` starts from it, but does not change
    that of adaptation tasks and of tasks without labels. Only they can have the weight 0."""

    particles: list[Particle] | None = None
    """Particles that the task learns from. By default gammas for regressions, all for the type."""

    uncertainty: bool = False
    """Also learn the uncertainty of the estimate, with the likelihood of the truth, and write it to
    the DL2 file (energy, direction, impact, depth_of_maximum)."""

    event_classes: Annotated[list[float], BeforeValidator(_as_quantiles)] = Field(
        [], max_length=MOST_CLASSES - 1
    )
    """Divide the events into classes by their predicted error, for events of similar energy: a
    number of classes with equally many gammas, such as 4, or the quantiles between the classes,
    from the largest error on, such as ``[0.5, 0.8]``. Class 0 has the largest errors. The column is
    ``event_class``. It needs ``uncertainty`` (direction)."""

    distribution: bool = False
    """Learn the whole distribution of the quantity in bins, and write its median, mean and width
    (energy). It contains an uncertainty, so do not set ``uncertainty`` too."""

    classes: Literal[2, 3] = 2
    """2 separates gammas from all other particles. 3 separates gammas, protons and electrons. The
    gammaness is the probability of a gamma in both cases (particle_type)."""

    schedule: Literal["sigmoid", "linear", "constant"] = "sigmoid"
    """How the weight of an adaptation task grows from 0 in the training: as 2/(1 + exp(-10 p)) - 1,
    where p is the finished share of the training (sigmoid, Ganin & Lempitsky 2015), as p (linear),
    or not at all (constant)."""

    schedule_epochs: int | None = Field(None, ge=1)
    """Number of epochs after which the weight of an adaptation task has its full size. By default
    the number of all epochs."""

    conditional: bool = False
    """Compare events of the same predicted class, as CDAN does (Long et al. 2018): the embedding is
    multiplied with the probability of each class. It needs the task particle_type (domain, coral,
    mmd)."""

    label_cost: float = Field(1.0, ge=0, allow_inf_nan=False)
    """Cost of a difference between truth and prediction, relative to that of a difference between
    embeddings (deepjdot)."""

    masked: float = Field(0.5, gt=0, lt=1)
    """Share of the pixels of each image that is hidden from the network, in patches of seven pixels
    (nine for square pixels) (reconstruction, contrast)."""

    views: Literal["turns", "telescopes"] = "turns"
    """What belongs together: an event and the same event rotated by a multiple of 60 degrees (90
    for square pixels) with some pixels hidden (turns), or the images of one event (telescopes)
    (contrast)."""

    temperature: float = Field(0.1, gt=0, allow_inf_nan=False)
    """Difference between the cosines of two embeddings that counts as large (contrast)."""

    @field_validator("event_classes")
    @classmethod
    def _increasing(cls, quantiles: list[float]) -> list[float]:
        edges = [0.0, *quantiles, 1.0]
        if any(not low < high for low, high in zip(edges, edges[1:], strict=False)):
            raise ValueError(
                "expected a number of classes, or increasing quantiles between 0 and 1"
            )
        return quantiles

    @model_validator(mode="after")
    def _classes_of_an_uncertainty(self) -> Self:
        if self.event_classes and not self.uncertainty:
            raise ValueError(
                "event_classes are made of the predicted error: set uncertainty to true"
            )
        return self

    @model_validator(mode="after")
    def _one_uncertainty(self) -> Self:
        if self.distribution and self.uncertainty:
            raise ValueError("set distribution or uncertainty, not both: a distribution has one")
        return self


def quantities(names: Iterable[str]) -> list[str]:
    """Those of some tasks that are quantities to learn, from truth.

    Parameters
    ----------
    names : iterable of str
    """
    return [name for name in names if name not in (*ADAPTATIONS, *WITHOUT_LABELS)]


def named_tasks(value: Any) -> Any:
    """Tasks with their settings, of a list of names or of a dictionary."""
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if task is None else task for name, task in value.items()}
    return value
