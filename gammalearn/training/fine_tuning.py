"""Fine-tuning: a network that begins with what another one has learnt.

What goes from one network to the other are whole *parts*: the encoder of a camera, the head of a
task, the fusion and what else a network has. A task that the other network did not know begins
anew; the encoder of a camera that it did not know begins with what another camera's has learnt,
but for the layers that have weights for each pixel.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..camera import CameraType
from ..checkpoint.trained import TrainedNetwork, build_network, load_checkpoint
from ..errors import CheckpointError, SettingsError
from ..settings import Experiment
from ..tasks import Task

__all__ = ["begin_with", "check_initial", "freeze"]

log = logging.getLogger(__name__)

#: Settings that say what the pixels of an image mean to an encoder.
MEANING = ("channels", "charge_scale", "input", "samples")


def begin_with(
    network: nn.Module, cameras: Sequence[CameraType], experiment: Experiment, path: str | Path
) -> tuple[list[str], dict[str, str]]:
    """Give a network the weights of a checkpoint, part by part where they fit.

    Parameters
    ----------
    network : ReconstructionNetwork
        Its parts are changed in place.
    cameras : sequence of CameraType
        That the network reads.
    experiment : Experiment
        That it is of.
    path : str or Path
        The checkpoint.

    Returns
    -------
    learnt : list of str
        Parts that have weights of the checkpoint.
    anew : dict of str to str
        The other parts, and why; encoders of a camera that the checkpoint does not know among them.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read, or none of its parts fits.
    """
    trained = load_checkpoint(path)
    theirs = _by_part(_renamed(trained, cameras), network)
    known = next(iter(trained.cameras)).name
    of_a_camera = {
        name.removeprefix(f"encoders.{known}."): value
        for name, value in trained.network.state_dict().items()
        if name.startswith(f"encoders.{known}.")
    }
    other_meaning = [
        name
        for name in MEANING
        if getattr(trained.experiment.data, name) != getattr(experiment.data, name)
    ]
    other_slots = trained.experiment.network.telescopes != experiment.network.telescopes
    learnt, anew = [], {}
    for part, ours in _by_part(network.state_dict(), network).items():
        if part.startswith("encoders.") and other_meaning:
            anew[part] = f"other data.{other_meaning[0]}"
        elif part.startswith("encoders.") and part not in theirs:
            n_taken = 0
            for name, value in ours.items():
                other = of_a_camera.get(name.removeprefix(f"{part}."))
                if other is not None and other.shape == value.shape:
                    value.copy_(other)
                    n_taken += 1
            anew[part] = f"new, with {n_taken} of {len(ours)} tensors from {known}"
        elif part not in theirs:
            anew[part] = "new"
        elif part == "fusion" and other_slots:
            anew[part] = "other network.telescopes"
        elif _shapes(ours) != _shapes(theirs[part]):
            anew[part] = "of another shape"
        else:
            learnt.append(part)
            for name, value in ours.items():
                value.copy_(theirs[part][name])
    if not learnt:
        reasons = ", ".join(f"{part} is {why}" for part, why in list(anew.items())[:3])
        raise CheckpointError(
            f"training.initial: nothing of '{path}' fits this network ({reasons}, …); train it on "
            "the same cameras with the same network settings, or leave training.initial out."
        )
    log.info(
        "'%s' gives %s%s.",
        path,
        ", ".join(learnt),
        "; random weights for " + ", ".join(f"{p} ({why})" for p, why in anew.items())
        if anew
        else "",
    )
    return learnt, anew


def freeze(network: nn.Module, names: Sequence[str], anew: Sequence[str] = ()) -> list[nn.Module]:
    """Have parts of a network stay as they are.

    Parameters
    ----------
    network : ReconstructionNetwork
    names : sequence of str
        Its parts, or groups of such: ``encoders``, ``encoders.LSTCam``, ``heads.energy``.
    anew : sequence of str
        Parts that have learnt nothing yet.

    Returns
    -------
    list of torch.nn.Module
        What stays, to be kept in evaluation mode.

    Raises
    ------
    SettingsError
        If there is no such part, it has learnt nothing, or nothing is left to learn.
    """
    frozen, modules = [], dict(network.named_modules())
    parts = list(_by_part(network.state_dict(), network))
    for name in names:
        if name not in modules or not name:
            raise SettingsError(
                f"training.frozen: the network has no part '{name}'; its parts are "
                f"{', '.join(parts)}."
            )
        for part in anew:
            if f"{part}.".startswith(f"{name}.") or f"{name}.".startswith(f"{part}."):
                raise SettingsError(
                    f"training.frozen={name} would freeze {part}, which starts with random "
                    "weights; name the parts to freeze one by one."
                )
        frozen.append(modules[name].requires_grad_(False).eval())
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise SettingsError(
            f"training.frozen={list(names)} leaves nothing to learn: the parts are "
            f"{', '.join(parts)}."
        )
    return frozen


def check_initial(
    experiment: Experiment, cameras: Sequence[CameraType], tasks: Mapping[str, Task]
) -> None:
    """Refuse weights to begin with that do not fit, before anything is written.

    Raises
    ------
    CheckpointError
        If ``training.initial`` cannot be read, or nothing of it fits.
    SettingsError
        If ``training.frozen`` does not fit the network.
    """
    settings = experiment.training
    if settings.initial is None:
        return
    network = build_network(experiment, cameras, tasks)
    _, anew = begin_with(network, cameras, experiment, settings.initial)
    freeze(network, settings.frozen, list(anew))


def _by_part(values: Mapping[str, Tensor], network: nn.Module) -> dict[str, dict[str, Tensor]]:
    """The values of a state_dict by part of the network."""
    groups = {n for n, module in network.named_children() if isinstance(module, nn.ModuleDict)}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in values.items():
        n_words = 2 if name.split(".")[0] in groups else 1
        parts.setdefault(".".join(name.split(".")[:n_words]), {})[name] = value
    return parts


def _renamed(trained: TrainedNetwork, cameras: Sequence[CameraType]) -> dict[str, Tensor]:
    """The state_dict of a network, its encoders by the names that these cameras have."""
    values = trained.network.state_dict()
    encoders = {name: values.pop(name) for name in list(values) if name.startswith("encoders.")}
    for camera in cameras:
        known = next((other for other in trained.cameras if other.same_camera(camera)), None)
        if known is not None:
            prefix = f"encoders.{known.name}."
            for name, value in encoders.items():
                if name.startswith(prefix):
                    values[f"encoders.{camera.name}.{name.removeprefix(prefix)}"] = value
    return values


def _shapes(values: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in values.items()}
