"""Checkpoints of networks for surveys."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from .. import __version__
from ..checkpoint.trained import (
    FORMAT,
    KEY,
    TrainedOn,
    digest,
    kind_of,
    load_weights,
    read_state,
    rebuilding,
)
from ..errors import CheckpointError
from ..io import plain_yaml
from ..settings.base import STORED
from ..settings.surveys import SURVEYS, SurveyExperiment
from .kinds import survey_of

__all__ = ["TrainedSurveyNetwork", "describe", "load_survey_network"]


@dataclass
class TrainedSurveyNetwork:
    """A network and what it was trained on.

    Attributes
    ----------
    network : torch.nn.Module
        In evaluation mode, on the CPU.
    seen : dict of str to object
        What the network sees of an object, such as ``bands``; each survey has its own.
    experiment : SurveyExperiment
    trained_on : TrainedOn
    versions : dict of str to str
    epoch : int
    digest : str
        Of the checkpoint's bytes.
    """

    network: nn.Module
    seen: dict[str, Any]
    experiment: SurveyExperiment
    trained_on: TrainedOn
    versions: dict[str, str]
    epoch: int
    digest: str

    @property
    def provenance(self) -> dict[str, str]:
        """What tables of predictions say of it."""
        return {
            "checkpoint": self.digest,
            "settings": self.experiment.to_yaml(),
            "gammalearn": self.versions.get("gammalearn", ""),
        }


def describe(
    experiment: SurveyExperiment, seen: Mapping[str, object], trained_on: TrainedOn
) -> dict[str, object]:
    """Our part of a checkpoint, of plain values only."""
    return {
        "format": FORMAT,
        "kind": experiment.survey,
        "settings": experiment.to_yaml(),
        **seen,
        "trained_on": trained_on.to_dict(),
        # A plain string: torch.__version__ is of a class of its own.
        "versions": {"gammalearn": __version__, "torch": str(torch.__version__)},
    }


def load_survey_network(path: str | Path) -> TrainedSurveyNetwork:
    """Read a checkpoint, without executing code from it.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or of no survey.
    """
    path, state = read_state(path)
    kind = kind_of(state)
    if kind not in SURVEYS:
        raise CheckpointError(f"'{path}' is not a network for a survey.")
    with rebuilding(state, path):
        return _rebuild(state, kind, path)


def _rebuild(state: dict, kind: str, path: Path) -> TrainedSurveyNetwork:
    ours = state[KEY]
    settings = plain_yaml.load(ours["settings"])
    experiment = SURVEYS[kind].model_validate(settings, context=STORED)
    survey = survey_of(kind)
    seen = {name: TypeAdapter(of).validate_python(ours[name]) for name, of in survey.seen.items()}
    network = survey.build_network(experiment, seen)
    load_weights(network, state)
    return TrainedSurveyNetwork(
        network.eval(),
        seen,
        experiment,
        TypeAdapter(TrainedOn).validate_python(ours["trained_on"]),
        TypeAdapter(dict[str, str]).validate_python(ours["versions"]),
        int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]),
        digest(path),
    )
