"""Settings of one task."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from .base import Particle, Settings

__all__ = ["TaskSettings", "named_tasks"]


class TaskSettings(Settings):
    """One physical quantity to learn."""

    weight: float = Field(1.0, gt=0)
    """Weight of the loss of the task. ``training.balancing`` starts from it."""

    particles: list[Particle] | None = None
    """Particles that the task learns from. By default gammas for regressions, all for the type."""

    uncertainty: bool = False
    """Also learn the uncertainty of the estimate, with the likelihood of the truth, and write it to
    the DL2 file (energy, direction, impact, depth_of_maximum)."""

    distribution: bool = False
    """Learn the whole distribution of the quantity in bins, and write its median, mean and width
    (energy). It contains an uncertainty, so do not set ``uncertainty`` too."""

    classes: Literal[2, 3] = 2
    """2 separates gammas from all other particles. 3 separates gammas, protons and electrons. The
    gammaness is the probability of a gamma in both cases (particle_type)."""

    @model_validator(mode="after")
    def _one_uncertainty(self) -> Self:
        if self.distribution and self.uncertainty:
            raise ValueError("set distribution or uncertainty, not both: a distribution has one")
        return self


def named_tasks(value: Any) -> Any:
    """Tasks with their settings, of a list of names or of a dictionary."""
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if task is None else task for name, task in value.items()}
    return value
