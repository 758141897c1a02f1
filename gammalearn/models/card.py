"""Model cards: what a network is for, what it learnt from, how good it is and what it cannot do."""

from datetime import date
from pathlib import Path
from typing import Annotated

import pydantic
import yaml
from pydantic import AfterValidator, Field, StringConstraints

from ..errors import CheckpointError
from ..settings import Settings, SimulationSettings
from ..settings.base import STORED
from ..settings.reading import mistakes

__all__ = ["Figure", "LearntEvents", "Measurement", "ModelCard", "TrainingRecord", "read_card"]

#: Largest file (bytes) that is read as a card; written ones have some thousand.
LARGEST_CARD = 100_000

#: Some words; lines of the file are none of the text.
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(lambda text: " ".join(text.split())),
]


class Figure(Settings):
    """A measured number."""

    value: float = Field(allow_inf_nan=False)
    """In the unit."""

    error: float = Field(ge=0, allow_inf_nan=False)
    """One standard deviation, in the unit."""

    unit: str = ""
    """Such as ``deg``; none for a ratio."""

    def __str__(self) -> str:
        return f"{self.value:g} ± {self.error:g} {self.unit}".rstrip()


class Measurement(Settings):
    """Figures of a network on some events."""

    events: Text
    """Which events, how many, and that the network did not learn from them."""

    figures: dict[str, Figure] = Field(min_length=1)
    """By the names of ``metrics.json``: ``energy_resolution``, ``angular_resolution_68``, …"""


class LearntEvents(Settings):
    """What a network learnt from, so that the same events can be simulated again."""

    description: Text
    """In words."""

    n_events: dict[str, Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """Training and validation events of each particle, as the checkpoint counts them."""

    simulation: list[SimulationSettings] = []
    """Each simulated file, as in the section ``simulation`` of an experiment."""


class TrainingRecord(Settings):
    """The training itself; its settings are in the checkpoint."""

    hours: float = Field(gt=0, allow_inf_nan=False)
    """How long it took."""

    machine: Text
    """On what."""

    seed: int
    """That of the settings."""

    date: date
    """On which it ended."""


class ModelCard(Settings):
    """What people must know of a network before they use it."""

    title: Text
    """One line for the list of networks."""

    purpose: Text
    """What it is for."""

    telescopes: Text
    """Telescopes, array and pointing."""

    events: LearntEvents
    """What it learnt from."""

    training: TrainingRecord
    """How it was trained."""

    measured: list[Measurement] = Field(min_length=1)
    """How good it is; the list of networks shows figures of the first."""

    limits: list[Text] = Field(min_length=1)
    """What it must not be used for, and what is not known of it."""

    licence: Text
    """Under which others may use it."""


def read_card(path: str | Path) -> ModelCard:
    """Read a model card from a YAML file, which holds data only.

    Raises
    ------
    CheckpointError
        If it is missing, no YAML, or has a wrong key or value.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"The model card '{path}' does not exist; give a .yaml file.")
    if path.stat().st_size > LARGEST_CARD:
        raise CheckpointError(
            f"'{path}' is no model card: it has more than {LARGEST_CARD} bytes; keep it short."
        )
    try:
        text = path.read_text(encoding="utf-8")
        # A few lines of them, each of the one before, would stand for more than any memory holds.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise CheckpointError(f"The model card '{path}' has aliases (*name); write them out.")
        values = yaml.safe_load(text)
    # A date that there is not is a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise CheckpointError(f"The model card '{path}' is not YAML{line}.") from error
    try:
        return ModelCard.model_validate(values, context=STORED)
    except pydantic.ValidationError as error:
        raise CheckpointError(f"Wrong model card ({path}): {mistakes(error)}") from error
