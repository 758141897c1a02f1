"""The experiment: all sections together."""

import re
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BeforeValidator, field_validator, model_validator

from .base import Settings, Strings
from .data import DataSettings
from .evaluation import EvaluationSettings
from .network import NetworkSettings
from .output import OutputSettings
from .simulation import SimulationSettings, with_nodes
from .tasks import ADAPTATIONS, WITHOUT_LABELS, TaskSettings, named_tasks, quantities
from .training import TrainingSettings

__all__ = ["Experiment"]


class Experiment(Settings):
    """All settings of an experiment."""

    imports: Strings = []
    """Names of your own Python modules with tasks and encoders, beside the file of the experiment
    or on the path of Python. A Python experiment imports the modules that it lists. For a YAML file
    or a checkpoint, give their names or files with ``--imports``."""

    simulation: Annotated[list[SimulationSettings], BeforeValidator(with_nodes)] = []
    """Files to simulate if ``data.train`` or ``data.test`` needs them and they are missing. An
    entry with ``nodes``, such as ``[[20, 180], [40, 180]]``, is one file for each pair of zenith
    and azimuth (deg), with ``{zenith}`` and ``{azimuth}`` in its output and runs from its ``run``
    on."""

    data: DataSettings = DataSettings()
    """Files, telescopes, grouping, cuts and channels."""

    network: NetworkSettings = NetworkSettings()
    """The network."""

    tasks: Annotated[dict[str, TaskSettings], BeforeValidator(named_tasks)] = {
        "particle_type": TaskSettings(),
        "energy": TaskSettings(),
        "direction": TaskSettings(),
        "impact": TaskSettings(),
    }
    """Quantities to learn, adaptations to unlabelled events, and tasks without labels: a list of
    names, or names with their settings. With tasks without labels alone, the experiment is a
    pre-training: no truth is used, and ``data.unlabelled`` is learned from too."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """Binning and choices of the evaluation."""

    output: OutputSettings = OutputSettings()
    """Where results go and how they are called."""

    @field_validator("imports")
    @classmethod
    def _modules(cls, imports: list[str]) -> list[str]:
        for name in imports:
            if name.endswith(".py") or not re.fullmatch(r"[^\W.][^/\\:]*", name):
                raise ValueError(f"expected names of modules, such as my_task, got {name!r}")
        return imports

    @field_validator("simulation")
    @classmethod
    def _different_files(cls, simulation: list[SimulationSettings]) -> list[SimulationSettings]:
        outputs: dict[Path, int] = {}
        sources: dict[tuple[str, int, int], int] = {}
        for number, made in enumerate(simulation):
            other = outputs.setdefault(Path(made.output).resolve(), number)
            if other != number:
                raise ValueError(
                    f"{other} and {number} would both become '{made.output}'; give each another "
                    "output"
                )
            other = sources.setdefault((made.particle, made.seed, made.run), number)
            if other != number:
                raise ValueError(
                    f"{other} and {number} are both {made.particle} with seed={made.seed} and "
                    f"run={made.run}, which gives the same showers; give each another seed or run"
                )
        return simulation

    @field_validator("tasks")
    @classmethod
    def _some_task(cls, tasks: dict[str, TaskSettings]) -> dict[str, TaskSettings]:
        if not tasks:
            raise ValueError("expected at least one task")
        return tasks

    @model_validator(mode="after")
    def _own_encoder_is_imported(self) -> Self:
        module, colon, _ = self.network.encoder.partition(":")
        if colon and module not in self.imports:
            raise ValueError(
                f"network.encoder={self.network.encoder!r} is of the module {module!r}: set "
                f"imports to [{module}]"
            )
        return self

    @model_validator(mode="after")
    def _pixels_or_none(self) -> Self:
        if (self.network.encoder == "none") != (not self.data.channels):
            raise ValueError(
                f"network.encoder={self.network.encoder!r} does not go with "
                f"data.channels={self.data.channels}: a network of parameters alone has "
                "network.encoder='none' and data.channels=[], all others have channels"
            )
        return self

    @model_validator(mode="after")
    def _samples_are_seen(self) -> Self:
        if self.data.input == "waveforms" and self.network.encoder == "none":
            raise ValueError(
                "data.input='waveforms' is for an encoder, and network.encoder='none' sees no "
                "pixels: set data.input to images, or another encoder"
            )
        return self

    @model_validator(mode="after")
    def _conditions_are_visible(self) -> Self:
        of_pixels = [name for name in self.network.condition if name != "pointing"]
        if of_pixels and (
            "charge" not in self.data.channels or "charge" in self.data.cleaning.applied_to
        ):
            raise ValueError(
                f"network.condition={of_pixels} is computed from the charges of all "
                "pixels: add charge to data.channels, and leave charge out of "
                "data.cleaning.applied_to"
            )
        return self

    @model_validator(mode="after")
    def _something_to_validate(self) -> Self:
        training = self.training
        if self.data.validation_fraction == 0 and (
            training.schedule == "plateau" or training.early_stopping is not None
        ):
            setting = "schedule='plateau'" if training.schedule == "plateau" else "early_stopping"
            raise ValueError(
                f"training.{setting} follows the validation loss, and data.validation_fraction=0 "
                "leaves none"
            )
        return self

    @model_validator(mode="after")
    def _gammas_for_event_classes(self) -> Self:
        direction = self.tasks.get("direction")
        if direction and direction.event_classes and self.data.validation_fraction == 0:
            raise ValueError(
                "tasks.direction.event_classes takes the limits of the classes from the gammas of "
                "the validation, and data.validation_fraction=0 leaves none"
            )
        return self

    @model_validator(mode="after")
    def _something_to_adapt_to(self) -> Self:
        adaptations = [name for name in self.tasks if name in ADAPTATIONS]
        if adaptations and not self.data.unlabelled:
            raise ValueError(
                f"tasks.{adaptations[0]} compares training events with unlabelled events, of which "
                "there are none: set data.unlabelled"
            )
        for name in adaptations:
            if self.tasks[name].conditional and "particle_type" not in self.tasks:
                raise ValueError(
                    f"tasks.{name}.conditional needs the predicted class of events: add "
                    "particle_type to tasks"
                )
        return self

    @property
    def is_pretraining(self) -> bool:
        """Whether it learns without labels alone."""
        return set(self.tasks) <= set(WITHOUT_LABELS)

    @property
    def learned_files(self) -> list[str]:
        """Files or globs to learn from: ``data.train``, and all others in a pre-training."""
        others = self.data.unlabelled if self.is_pretraining else []
        return [*self.data.train, *others]

    @model_validator(mode="after")
    def _something_to_see(self) -> Self:
        for name in WITHOUT_LABELS:
            if name in self.tasks and self.network.encoder == "none":
                raise ValueError(
                    f"tasks.{name} learns from images, which network.encoder='none' does not see: "
                    "set another encoder"
                )
        if "reconstruction" in self.tasks and (
            "charge" not in self.data.channels or "charge" in self.data.cleaning.applied_to
        ):
            raise ValueError(
                "tasks.reconstruction learns the charges of all pixels: add charge to "
                "data.channels, and leave charge out of data.cleaning.applied_to"
            )
        contrast = self.tasks.get("contrast")
        if contrast and contrast.views == "telescopes" and self.data.grouping == "mono":
            raise ValueError(
                "tasks.contrast.views='telescopes' compares the images of one event, of which "
                "data.grouping='mono' has one: set it to 'turns'"
            )
        return self

    @model_validator(mode="after")
    def _something_to_balance(self) -> Self:
        balancing = self.training.balancing
        balanced = quantities(self.tasks)
        if not balanced and not self.is_pretraining:
            raise ValueError(
                f"tasks: expected a quantity to learn in addition to {', '.join(self.tasks)}"
            )
        if balancing != "fixed" and not balanced:
            raise ValueError(
                f"training.balancing={balancing!r} weighs quantities against each other, and there "
                f"is none among {', '.join(self.tasks)}: set it to 'fixed'"
            )
        if balancing in ("dwa", "gradnorm", "pcgrad") and len(balanced) == 1:
            raise ValueError(
                f"training.balancing={balancing!r} weighs tasks against each other, and there is "
                f"one only ({balanced[0]}): set it to 'fixed'"
            )
        if balancing in ("gradnorm", "pcgrad") and self.training.precision == "16-mixed":
            raise ValueError(
                f"training.balancing={balancing!r} takes the gradient of each task as it is, which "
                "training.precision='16-mixed' has only as a multiple: set it to 'bf16-mixed'"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved settings, defaults included, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
