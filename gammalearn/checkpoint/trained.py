"""Checkpoints: all that is needed to use a network again, and nothing that runs code."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import ctapipe
import torch
from pydantic import TypeAdapter
from torch import nn

from .. import __version__
from ..camera import CameraType
from ..data.images.descriptors import VECTORS, count_scalars
from ..errors import CheckpointError, MissingPackageError, UnnamedModuleError
from ..io import plain_yaml
from ..io.writing import write_whole
from ..models import find_checkpoint
from ..nn import ImageConditioning, ReconstructionNetwork
from ..nn.conditioning import light_of_shower
from ..settings import Experiment
from ..settings.base import STORED
from ..settings.own_modules import check_named
from ..tasks import EventClasses, Task, build_tasks
from ..tasks.without_labels import ReconstructionTask, SeenImages, decoded_channels

__all__ = [
    "CLASSES",
    "EVENTS",
    "FORMAT",
    "KEY",
    "TrainedNetwork",
    "TrainedOn",
    "add_event_classes",
    "build_network",
    "describe",
    "digest",
    "kind_of",
    "load_checkpoint",
    "load_weights",
    "read_state",
    "rebuilding",
    "seen_images",
]

#: Where our part of a checkpoint stands; the rest is Lightning's.
KEY = "gammalearn"

#: Where the limits of its event classes stand there.
CLASSES = "event_classes"

#: Changes when a network of the same settings means something else by its inputs or outputs. In the
#: first one telescopes had their positions in the ground frame.
FORMAT = 2

#: Kind of the networks for Cherenkov events, which older checkpoints do not name.
EVENTS = "events"


@dataclass(frozen=True)
class TrainedOn:
    """What a network was trained on.

    Attributes
    ----------
    files : list of str
        Paths of the training files.
    events : dict of str to int
        Events by particle, those of the validation included.
    training_events, validation_events : int or None
        Numbers of events; None in a checkpoint that does not tell them.
    events_by_task : dict of str to int
        Training events that each task learns from.
    zenith : list of float or None
        Smallest and largest zenith angle (deg) of the pointing; None if it is not known.
    unlabelled_files : list of str or None
        Names of files whose events took part without their truth; None without such events, as the
        next two.
    unlabelled_training_events, unlabelled_validation_events : int or None
        Numbers of these events.
    """

    files: list[str] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    training_events: int | None = None
    validation_events: int | None = None
    events_by_task: dict[str, int] = field(default_factory=dict)
    zenith: list[float] | None = None
    unlabelled_files: list[str] | None = None
    unlabelled_training_events: int | None = None
    unlabelled_validation_events: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain values for a checkpoint, without those that are not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass
class TrainedNetwork:
    """A network and what it was trained on.

    Attributes
    ----------
    network : ReconstructionNetwork
        In evaluation mode, on the CPU.
    tasks : dict of str to Task
    cameras : list of CameraType
    experiment : Experiment
    trained_on : TrainedOn
    versions : dict of str to str
    epoch : int
        Epochs done.
    digest : str
        Of the checkpoint's bytes.
    event_classes : EventClasses or None
        None where the settings ask for none, or the training did not come to its end.
    reconstruction : ReconstructionTask or None
        Gives events their anomaly score, if the network has learned to reconstruct images.
    """

    network: ReconstructionNetwork
    tasks: dict[str, Task]
    cameras: list[CameraType]
    experiment: Experiment
    trained_on: TrainedOn
    versions: dict[str, str]
    epoch: int
    digest: str = "unknown"
    event_classes: EventClasses | None = None
    reconstruction: ReconstructionTask | None = None


def build_network(
    experiment: Experiment, cameras: Sequence[CameraType], tasks: Mapping[str, Task]
) -> ReconstructionNetwork:
    """An untrained network for the settings, cameras and tasks."""
    parameters = experiment.network.parameters
    return ReconstructionNetwork(
        cameras,
        len(experiment.data.channels),
        {name: task.n_outputs for name, task in tasks.items()},
        experiment.network,
        sky_task=next((name for name, task in tasks.items() if task.in_the_sky), None),
        ground_task=next((name for name, task in tasks.items() if task.on_the_ground), None),
        with_uncertainty=[name for name, task in tasks.items() if task.gives_uncertainty],
        n_scalars=count_scalars(parameters),
        vectors=[name for name in VECTORS if name in parameters],
        conditioning=_conditioning(experiment),
        descriptor_conditioning=_descriptor_conditioning(experiment),
        n_decoded=len(decoded_channels(experiment.data.channels))
        if "reconstruction" in experiment.tasks
        else 0,
        n_samples=experiment.data.n_samples,
    )


def seen_images(experiment: Experiment, cameras: Sequence[CameraType]) -> SeenImages:
    """What tasks without labels are told of the images."""
    data = experiment.data
    return SeenImages(
        cameras,
        data.channels,
        experiment.network.embedding,
        partial(light_of_shower, scale=data.charge_scale),
    )


def _conditioning(experiment: Experiment) -> ImageConditioning | None:
    """What the network is to know of sky and camera, if anything."""
    settings, data = experiment.network, experiment.data
    if not settings.condition or settings.encoder == "none":
        return None
    # The pointing needs no charge.
    channel = data.channels.index("charge") if "charge" in data.channels else None
    return ImageConditioning(settings.condition, settings.embedding, channel, data.charge_scale)


def _descriptor_conditioning(experiment: Experiment) -> ImageConditioning | None:
    """The same for the descriptors, which depend on the pointing only."""
    settings = experiment.network
    if "pointing" not in settings.condition or not settings.parameters:
        return None
    return ImageConditioning(["pointing"], settings.embedding)


def describe(
    experiment: Experiment, cameras: Iterable[CameraType], trained_on: TrainedOn
) -> dict[str, object]:
    """Our part of a checkpoint, of plain values only."""
    return {
        "format": FORMAT,
        "settings": experiment.to_yaml(),
        "cameras": [camera.to_dict() for camera in cameras],
        "trained_on": trained_on.to_dict(),
        "versions": {
            "gammalearn": __version__,
            # A plain string: torch.__version__ is of a class of its own.
            "torch": str(torch.__version__),
            "ctapipe": ctapipe.__version__,
        },
    }


def load_checkpoint(path: str | Path) -> TrainedNetwork:
    """Read a checkpoint, without executing code from it.

    Parameters
    ----------
    path : str or Path
        A file, or the name of a shipped network.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or not one of GammaLearn's.
    MissingPackageError
        If its network needs a package that is not installed.
    UnnamedModuleError
        If its network needs a module of the user's own that they have not named, see
        `gammalearn.settings.own_modules`.
    """
    path, state = read_state(path)
    kind = kind_of(state)
    if kind != EVENTS:
        raise CheckpointError(
            f"'{path}' is a network for the survey '{kind}', and this is for networks of "
            "telescopes; use it with predict, evaluate, compare or info."
        )
    with rebuilding(state, path):
        return _rebuild(state, path)


def read_state(path: str | Path) -> tuple[Path, dict]:
    """The file of a checkpoint and the plain values and tensors that it holds.

    Parameters
    ----------
    path : str or Path
        A file, or the name of a shipped network.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or not one of GammaLearn's.
    """
    path = find_checkpoint(path)
    state = _read(path)
    ours = state[KEY]
    if isinstance(ours, dict) and "settings" in ours and ours.get("format", 1) != FORMAT:
        raise CheckpointError(
            f"'{path}' is of another version of GammaLearn, whose networks see telescopes in "
            "another frame; train the network again, or use the version that made it."
        )
    return path, state


def kind_of(state: dict) -> str:
    """What a checkpoint's network is for: `EVENTS`, or the name of a survey."""
    ours = state[KEY]
    return str(ours.get("kind", EVENTS)) if isinstance(ours, dict) else EVENTS


@contextmanager
def rebuilding(state: dict, path: Path) -> Iterator[None]:
    """Blame a checkpoint for what goes wrong while its network is built again.

    Raises
    ------
    CheckpointError
        For any error but those of packages and modules that are missing.
    """
    try:
        yield
    except (MissingPackageError, UnnamedModuleError):
        raise
    except Exception as error:  # and so do other versions
        versions = state[KEY].get("versions") if isinstance(state[KEY], dict) else None
        made_by = versions.get("gammalearn") if isinstance(versions, dict) else None
        cause = shorten(f"{type(error).__name__}: {error}", 200, placeholder=" …")
        if made_by == __version__:
            raise CheckpointError(f"'{path}' cannot be used ({cause}).") from error
        raise CheckpointError(
            f"'{path}' does not fit this version of GammaLearn: it was made by "
            f"{made_by or 'an unknown one'}, this is {__version__} ({cause})."
        ) from error


def add_event_classes(path: Path, classes: EventClasses) -> None:
    """Write the limits of event classes into a checkpoint.

    Parameters
    ----------
    path : Path
    classes : EventClasses

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read.
    OutputError
        If it cannot be written; the one before is kept.
    """
    state = _read(path)
    state[KEY][CLASSES] = classes.to_dict()
    write_whole(path, lambda part: torch.save(state, part))


def _read(path: Path) -> dict[str, Any]:
    """The plain values of a checkpoint, of which ours are a part."""
    try:
        _check_records(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage takes many forms
        raise CheckpointError(
            f"'{path}' cannot be read as a checkpoint: it is damaged or of another kind."
        ) from error
    if not isinstance(state, dict) or KEY not in state:
        raise CheckpointError(f"'{path}' is not a checkpoint of GammaLearn.")
    return state


def _check_records(path: Path) -> None:
    """Compare the parts of a checkpoint with their checksums, which torch does not: weights that
    have changed on a disk would be others, and no error."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        if sum(record.file_size for record in records) > path.stat().st_size:
            # torch compresses nothing; a bomb does.
            raise ValueError("parts of more bytes than the file has")
        for record in records:
            with archive.open(record) as part:
                while part.read(2**20):
                    pass


def digest(path: Path) -> str:
    """Of the bytes of a checkpoint, to know it again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=8)).hexdigest()


def load_weights(network: nn.Module, state: Mapping[str, Any]) -> None:
    """Give a network the weights that stand in the values of a checkpoint.

    Parameters
    ----------
    network : torch.nn.Module
    state : mapping
        As `read_state` reads it.

    Raises
    ------
    ValueError
        If a weight is not finite. Others of torch's errors say that the network is another one.
    """
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in state["state_dict"].items()
        if name.startswith(prefix)
    }
    network.load_state_dict(weights)
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} is not finite")


def _rebuild(state: dict, path: Path) -> TrainedNetwork:
    """The network that the values of a checkpoint describe."""
    ours = state[KEY]
    experiment = Experiment.model_validate(plain_yaml.load(ours["settings"]), context=STORED)
    check_named(experiment.imports, f"The checkpoint '{path}'")
    cameras = [CameraType.from_dict(camera) for camera in ours["cameras"]]
    tasks = build_tasks(experiment.tasks)
    network = build_network(experiment, cameras, tasks)
    score = None
    if "reconstruction" in experiment.tasks:
        settings = experiment.tasks["reconstruction"]
        score = ReconstructionTask(settings, seen_images(experiment, cameras))
    load_weights(network, state)
    return TrainedNetwork(
        network=network.eval(),
        tasks=tasks,
        cameras=cameras,
        experiment=experiment,
        trained_on=TypeAdapter(TrainedOn).validate_python(ours["trained_on"]),
        versions=TypeAdapter(dict[str, str]).validate_python(ours["versions"]),
        epoch=ours["epoch"] if "epoch" in ours else _epochs_done(state),
        digest=digest(path),
        event_classes=EventClasses.from_dict(ours[CLASSES]) if CLASSES in ours else None,
        reconstruction=score,
    )


def _epochs_done(state: dict) -> int:
    # Lightning's "epoch" is the same within an epoch and at its end.
    return state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
