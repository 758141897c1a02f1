"""Checkpoints of networks for supernovae."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter

from ... import __version__
from ...checkpoint.trained import (
    FORMAT,
    KEY,
    TrainedOn,
    digest,
    kind_of,
    load_weights,
    read_state,
    rebuilding,
)
from ...errors import CheckpointError
from ...io import plain_yaml
from ...settings.base import STORED
from ...settings.surveys import SupernovaExperiment
from .network import SupernovaNetwork
from .tasks import build_tasks

__all__ = ["KIND", "TrainedSupernovaNetwork", "build_network", "describe", "load_supernova_network"]

#: What checkpoints say that they are of.
KIND = "supernovae"


@dataclass
class TrainedSupernovaNetwork:
    """A network and what it was trained on.

    Attributes
    ----------
    network : SupernovaNetwork
        In evaluation mode, on the CPU.
    bands : tuple of str
    experiment : SupernovaExperiment
    trained_on : TrainedOn
    versions : dict of str to str
    epoch : int
    digest : str
        Of the checkpoint's bytes.
    """

    network: SupernovaNetwork
    bands: tuple[str, ...]
    experiment: SupernovaExperiment
    trained_on: TrainedOn
    versions: dict[str, str]
    epoch: int
    digest: str


def build_network(experiment: SupernovaExperiment, bands: Sequence[str]) -> SupernovaNetwork:
    """An untrained network for the settings and bands."""
    outputs = {name: task.n_outputs for name, task in build_tasks(experiment.tasks).items()}
    return SupernovaNetwork(len(bands), outputs, experiment.network)


def describe(
    experiment: SupernovaExperiment, bands: Sequence[str], trained_on: TrainedOn
) -> dict[str, object]:
    """Our part of a checkpoint, of plain values only."""
    return {
        "format": FORMAT,
        "kind": KIND,
        "settings": experiment.to_yaml(),
        "bands": list(bands),
        "trained_on": trained_on.to_dict(),
        # A plain string: torch.__version__ is of a class of its own.
        "versions": {"gammalearn": __version__, "torch": str(torch.__version__)},
    }


def load_supernova_network(path: str | Path) -> TrainedSupernovaNetwork:
    """Read a checkpoint, without executing code from it.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or of another kind.
    """
    path, state = read_state(path)
    if kind_of(state) != KIND:
        raise CheckpointError(f"'{path}' is not a network for supernovae.")
    with rebuilding(state, path):
        return _rebuild(state, path)


def _rebuild(state: dict, path: Path) -> TrainedSupernovaNetwork:
    ours = state[KEY]
    settings = plain_yaml.load(ours["settings"])
    experiment = SupernovaExperiment.model_validate(settings, context=STORED)
    bands = tuple(TypeAdapter(list[str]).validate_python(ours["bands"]))
    network = build_network(experiment, bands)
    load_weights(network, state)
    return TrainedSupernovaNetwork(
        network.eval(),
        bands,
        experiment,
        TypeAdapter(TrainedOn).validate_python(ours["trained_on"]),
        TypeAdapter(dict[str, str]).validate_python(ours["versions"]),
        int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]),
        digest(path),
    )
