"""What trained networks are: the card of a shipped one, and the contents of a checkpoint."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..models import ModelCard
from ..settings import Experiment, SimulationSettings
from ..settings.tasks import WITHOUT_LABELS
from .lines import number_ranges, titled_lines

if TYPE_CHECKING:
    from ..tasks import EventClasses

__all__ = ["describe_card", "describe_checkpoint"]

#: Letters in a line of a model card.
CARD_WIDTH = 100


def describe_card(name: str, card: ModelCard) -> str:
    """What the card of a shipped network says, in lines."""
    numbers = ", ".join(f"{n} {particle}" for particle, n in card.events.n_events.items())
    values = {
        "purpose": card.purpose,
        "telescopes": card.telescopes,
        "trained on": f"{numbers} events: {card.events.description}",
        **_simulations(card.events.simulation),
        "training": f"{card.training.hours:g} h on {card.training.machine}, seed "
        f"{card.training.seed}, {card.training.date}",
    }
    for number, measurement in enumerate(card.measured, start=1):
        values[f"measured {number}"] = measurement.events
        for what, figure in measurement.figures.items():
            values[f"  {number}: {what}"] = str(figure)
    values |= {f"limit {number}": limit for number, limit in enumerate(card.limits, start=1)}
    values["licence"] = card.licence
    indent = " " * (max(map(len, values)) + 4)
    return "\n".join(
        textwrap.fill(line, CARD_WIDTH, subsequent_indent=indent)
        for line in titled_lines(f"{name}: {card.title}", values)
    )


def _simulations(files: Sequence[SimulationSettings]) -> dict:
    """Simulated files in words, those together that differ in their random numbers only."""
    seeds: dict[str, list[int]] = {}
    runs: dict[str, set[int]] = {}
    for file in files:
        said = {"output", "particle", "array", "seed", "run"}
        settings = file.model_dump(mode="json", exclude=said, exclude_defaults=True)
        words = ", ".join(f"{name}={value}" for name, value in settings.items())
        recipe = f"{file.particle} over {file.array}, {words}"
        seeds.setdefault(recipe, []).append(file.seed)
        runs.setdefault(recipe, set()).add(file.run)
    return {
        f"  simulation {number}": f"{len(seeds[recipe])} × {recipe}; seeds "
        f"{number_ranges(seeds[recipe])}, runs {number_ranges(list(runs[recipe]))}"
        for number, recipe in enumerate(seeds, start=1)
    }


def _event_classes(classes: "EventClasses | None") -> dict[str, str]:
    """Event classes in words."""
    if classes is None:
        return {}
    quantiles = ", ".join(f"{quantile:g}" for quantile in classes.quantiles)
    return {
        "event classes": f"{classes.n_classes} by the predicted error of the direction, quantiles "
        f"{quantiles} of {classes.n_gammas} gammas of the validation in {len(classes.limits)} "
        "bins of energy"
    }


def _samples(experiment: Experiment) -> dict[str, str]:
    """What a network sees of waveforms, if anything."""
    n_samples, channels = experiment.data.n_samples, experiment.network.temporal_channels
    return {"waveforms": f"{n_samples} samples, as {channels} channels"} if n_samples else {}


def describe_checkpoint(path: Path) -> str:
    """What a checkpoint holds, in lines.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or not one of GammaLearn's.
    """
    # torch takes seconds to import, which no other file needs.
    from ..checkpoint.trained import load_checkpoint

    trained = load_checkpoint(path)
    n_parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    experiment = trained.experiment
    cameras = ", ".join(f"{c.name} ({c.n_pixels} pixels)" for c in trained.cameras)
    without_labels = [name for name in experiment.tasks if name in WITHOUT_LABELS]
    events = ", ".join(f"{n} {name}" for name, n in trained.trained_on.events.items())
    return "\n".join(
        titled_lines(
            f"{path}: checkpoint of GammaLearn {trained.versions['gammalearn']}",
            {
                "network": f"{experiment.network.encoder}, {n_parameters} parameters",
                "grouping": experiment.data.grouping,
                "tasks": ", ".join([*trained.tasks, *without_labels]),
                **_event_classes(trained.event_classes),
                "channels": ", ".join(experiment.data.channels),
                **_samples(experiment),
                "cameras": cameras,
                "epochs": trained.epoch,
                "trained on": f"{events} events of {len(trained.trained_on.files)} file(s)",
                **{
                    f"  file {number}": file
                    for number, file in enumerate(trained.trained_on.files, start=1)
                },
                "made with": ", ".join(f"{k} {v}" for k, v in trained.versions.items()),
                "seed": experiment.training.seed,
            },
        )
    )
