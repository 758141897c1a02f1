"""Checkpoints of networks for surveys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from .. import __version__
from ..checkpoint.ensemble import Ensemble, digest_of_all
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
from .batch import Views
from .kinds import survey_of

__all__ = ["TrainedSurveyNetwork", "describe", "load_survey_network", "load_survey_networks"]


@dataclass
class TrainedSurveyNetwork:
    """A network and what it was trained on.

    Attributes
    ----------
    network : torch.nn.Module
        In evaluation mode; read onto the CPU.
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

    @torch.inference_mode()
    def outputs(self, views: Mapping[str, Views], n_objects: int) -> dict[str, Tensor]:
        """Outputs by task, on the CPU; the network computes on the device that it is on.

        Parameters
        ----------
        views : mapping of str to Views
        n_objects : int

        Returns
        -------
        dict of str to Tensor of float32, shape (n_objects, n_outputs)
        """
        device = next(self.network.parameters()).device
        found = self.network({name: view.to(device) for name, view in views.items()}, n_objects)
        return {name: output.float().cpu() for name, output in found.items()}

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


def load_survey_networks(checkpoints: Sequence[str | Path]) -> TrainedSurveyNetwork:
    """One trained network, or several whose outputs are averaged.

    Parameters
    ----------
    checkpoints : sequence of str or Path

    Returns
    -------
    TrainedSurveyNetwork
        Of several it has the settings of the first one.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be used, is given twice, or is for other objects than the first one.
    """
    first, *others = members = [load_survey_network(path) for path in checkpoints]
    if not others:
        return first
    digest = digest_of_all(checkpoints, [one.digest for one in members])
    for path, other in zip(checkpoints[1:], others, strict=True):
        difference = _difference(first, other)
        if difference:
            raise CheckpointError(
                f"'{path}' cannot predict together with '{checkpoints[0]}': {difference}; use "
                "networks that were trained with the same settings and another seed."
            )
    tasks = survey_of(first.experiment.survey).tasks(first.experiment)
    network = Ensemble([one.network for one in members], tasks).eval()
    return replace(first, network=network, digest=digest)


def _difference(first: TrainedSurveyNetwork, other: TrainedSurveyNetwork) -> str:
    """Why two networks cannot be averaged, in words; empty if they can."""
    one, two = first.experiment, other.experiment
    if one.survey != two.survey:
        return f"it is for {two.survey} in place of {one.survey}"
    survey = survey_of(one.survey)
    for name in survey.same_seen:
        if first.seen[name] != other.seen[name]:
            return f"its {name} is {other.seen[name]} in place of {first.seen[name]}"
    for name in survey.same_data:
        setting, others = (getattr(experiment.data, name) for experiment in (one, two))
        if setting != others:
            return f"its data.{name} is {others} in place of {setting}"
    tasks, theirs = (sorted(survey.tasks(experiment)) for experiment in (one, two))
    if tasks != theirs:
        return f"it has the tasks {', '.join(theirs)} in place of {', '.join(tasks)}"
    return ""
