"""Settings that the experiments of all surveys have."""

from typing import Any, Literal, Self

import yaml
from pydantic import model_validator

from ..base import Settings
from ..training import TrainingSettings

__all__ = [
    "SurveyExperiment",
    "SurveyOutput",
]


class SurveyOutput(Settings):
    """Where results go."""

    directory: str | None = None
    """Output folder. By default ``runs/`` and the name of the settings file."""

    format: Literal["ecsv", "fits"] = "ecsv"
    """Format of the table of predictions."""


class SurveyExperiment(Settings):
    """What the experiments of all surveys have: data, network and evaluation are their own."""

    survey: str
    """Kind of the experiment."""

    simulation: Any = []
    """Catalogues to simulate if they are missing."""

    data: Any = None
    """Catalogues, and what is used of them."""

    network: Any = None
    """The network."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: Any = None
    """Choices of the evaluation."""

    output: SurveyOutput = SurveyOutput()
    """Where results go."""

    @model_validator(mode="after")
    def _weights_stay(self) -> Self:
        training = self.training
        for name, value in (("initial", training.initial), ("frozen", training.frozen)):
            if value:
                raise ValueError(f"training.{name} is for networks of telescopes; leave it out")
        if training.balancing != "fixed":
            raise ValueError(
                f"training.balancing={training.balancing!r} is for networks of telescopes; set it "
                "to 'fixed'"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved settings, defaults included, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
