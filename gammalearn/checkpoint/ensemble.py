"""Ensembles: several trained networks that reconstruct together.

Networks of other seeds are wrong about other events, so their mean is better than each of them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..nn import ReconstructionNetwork
from ..settings import Experiment
from ..tasks import Task
from .trained import TrainedNetwork, load_checkpoint

__all__ = ["Ensemble", "digest_of_all", "load_networks"]

#: Settings that decide what a network sees of which events: the same in all networks.
SAME = {
    "data": (
        *("telescopes", "grouping", "min_multiplicity", "cuts"),
        *("input", "samples", "channels", "charge_scale", "peak_time_threshold", "cleaning"),
    ),
    "network": ("parameters", "condition", "telescopes"),
}


class Ensemble(nn.Module):
    """Networks whose outputs are averaged, task by task.

    Parameters
    ----------
    networks : sequence of torch.nn.Module
        Each gives outputs by task, from the views of some events and their number.
    tasks : mapping of str to Task
        Those of all the networks; each says how its outputs are averaged.
    """

    def __init__(self, networks: Sequence[nn.Module], tasks: Mapping[str, Task]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.tasks = dict(tasks)

    def forward(self, views: Mapping[str, Any], n_events: int) -> dict[str, Tensor]:
        """Outputs by task, shape (n_events, n_outputs), as those of one network."""
        outputs = [network(views, n_events) for network in self.networks]
        # What is learned without labels has no output.
        return {
            name: self.tasks[name].average(torch.stack([output[name] for output in outputs]))
            for name in outputs[0]
        }


class _ReconstructionEnsemble(Ensemble):
    """Networks of telescopes, which say which parameters of the images they see."""

    def __init__(self, networks: Sequence[ReconstructionNetwork], tasks: Mapping[str, Task]):
        super().__init__(networks, tasks)
        self.image_parameters = networks[0].image_parameters


def digest_of_all(checkpoints: Sequence[str | Path], digests: Sequence[str]) -> str:
    """What stands for several checkpoints in what they make, in any order.

    Parameters
    ----------
    checkpoints : sequence of str or Path
    digests : sequence of str
        Of the bytes of each.

    Raises
    ------
    CheckpointError
        If two are the same network.
    """
    names: dict[str, str | Path] = {}
    for path, digest in zip(checkpoints, digests, strict=True):
        if digest in names:
            raise CheckpointError(
                f"'{path}' and '{names[digest]}' are the same network; give each one once."
            )
        names[digest] = path
    together = hashlib.blake2b(digest_size=8)
    for digest in sorted(names):
        together.update(digest.encode())
    return together.hexdigest()


def load_networks(checkpoints: str | Path | Sequence[str | Path]) -> TrainedNetwork:
    """One trained network, or several as one.

    Parameters
    ----------
    checkpoints : str, Path or sequence of these
        Files, or names of shipped networks.

    Returns
    -------
    TrainedNetwork
        Of several its network is an `Ensemble`; it has the settings of the first one, and neither
        event classes nor an anomaly score, which belong to a single network.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be used, is given twice, or sees other events than the first one.
    """
    if isinstance(checkpoints, str | Path):
        checkpoints = [checkpoints]
    first, *others = [load_checkpoint(path) for path in checkpoints]
    if not others:
        return first
    members = [first, *others]
    digest = digest_of_all(checkpoints, [one.digest for one in members])
    for path, other in zip(checkpoints[1:], others, strict=True):
        difference = _difference(first, other)
        if difference:
            raise CheckpointError(
                f"'{path}' cannot reconstruct together with '{checkpoints[0]}': {difference}; use "
                "networks that were trained with the same settings and another seed."
            )
    return replace(
        first,
        # What reconstructs asks no more of it than a mean can give.
        network=cast(
            ReconstructionNetwork,
            _ReconstructionEnsemble([one.network for one in members], first.tasks).eval(),
        ),
        digest=digest,
        event_classes=None,
        reconstruction=None,
    )


def _difference(first: TrainedNetwork, other: TrainedNetwork) -> str:
    """Why two networks cannot be averaged, in words; empty if they can."""
    for section, names in SAME.items():
        for name in names:
            one, two = (_setting(net.experiment, section, name) for net in (first, other))
            if one != two:
                return f"its {section}.{name} is {two} in place of {one}"
    one, two = (_outputs(net) for net in (first, other))
    if one != two:
        return f"it has the tasks {', '.join(two)} in place of {', '.join(one)}"
    cameras = {camera.name: camera for camera in other.cameras}
    for camera in first.cameras:
        if camera.name not in cameras or not cameras[camera.name].same_camera(camera):
            return f"it does not know the camera {camera.name}"
    return ""


def _setting(experiment: Experiment, section: str, name: str) -> object:
    return experiment.model_dump(mode="json")[section][name]


def _outputs(trained: TrainedNetwork) -> list[str]:
    """The tasks, each with what its outputs mean."""
    return [
        f"{name} ({task.n_outputs} outputs{', uncertainty' * task.gives_uncertainty})"
        for name, task in sorted(trained.tasks.items())
    ]
