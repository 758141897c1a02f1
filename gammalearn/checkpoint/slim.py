"""Trained networks for other people: without what only a training needs, or shipped with a card."""

import io
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointError, OutputError
from ..io.writing import write_whole
from ..models import ModelCard, places, read_card
from ..settings import Experiment
from .trained import CLASSES, KEY, TrainedNetwork, describe, load_checkpoint

__all__ = ["ship", "slim"]


def slim(
    trained: TrainedNetwork, path: str | Path, half: bool = False, overwrite: bool = False
) -> Path:
    """Write a checkpoint of the network alone, with the same predictions.

    It has no state of the optimiser, so that its training cannot be resumed. Absolute paths in
    its settings lose their folders, and the folders of cache and results are left out: they mean
    nothing on another machine.

    Parameters
    ----------
    trained : TrainedNetwork
    path : str or Path
        File to make.
    half : bool
        Keep weights of layers in half precision, 11 bits: half the size, predictions differ.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists; give another name, or --overwrite to replace it.")
    files = [_without_folder(file) for file in trained.trained_on.files]
    description = describe(
        _without_folders(trained.experiment),
        trained.cameras,
        replace(trained.trained_on, files=files),
    )
    if trained.event_classes is not None:
        description[CLASSES] = trained.event_classes.to_dict()
    state = {
        KEY: {**description, "versions": trained.versions, "epoch": trained.epoch},
        "state_dict": {
            # Vectors are few, and the variances of normalisations span many decades.
            f"network.{name}": value.half()
            if half and value.is_floating_point() and value.dim() > 1
            else value
            for name, value in trained.network.state_dict().items()
        },
    }
    # Not to the file, whose name would be part of the content and so of the digest.
    content = io.BytesIO()
    torch.save(state, content)
    # A copy: on a full disk, Python 3.12.1 crashes when it collects a view of the buffer.
    written = content.getvalue()
    write_whole(path, lambda part: part.write_bytes(written))
    return path


def ship(
    checkpoint: str | Path,
    name: str,
    card: str | Path,
    half: bool = False,
    overwrite: bool = False,
) -> Path:
    """Put a network and its card into the package, where all commands find it by its name.

    Parameters
    ----------
    checkpoint : str or Path
        Of a training.
    name : str
        Such as ``lst4-stereo``.
    card : str or Path
        YAML file with the keys of `gammalearn.models.ModelCard`.
    half : bool
        As in `slim`.
    overwrite : bool
        Replace the network of this name.

    Returns
    -------
    Path
        The checkpoint in the package.

    Raises
    ------
    CheckpointError
        If checkpoint or card cannot be used, or the card tells of another training.
    OutputError
        If the name cannot be used, or the files exist or cannot be written.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise OutputError(
            f"'{name}' cannot be the name of a shipped network; give small letters, digits and "
            "hyphens, such as lst4-stereo."
        )
    trained = load_checkpoint(checkpoint)
    _check_card(read_card(card), trained, card)
    network, beside = places(name)
    text = Path(card).read_text(encoding="utf-8")
    slim(trained, network, half, overwrite)
    write_whole(beside, lambda part: part.write_text(text, encoding="utf-8"))
    return network


def _check_card(card: ModelCard, trained: TrainedNetwork, path: str | Path) -> None:
    """Refuse a card of another training, as far as can be told."""
    for what, said, known in (
        ("training.seed", card.training.seed, trained.experiment.training.seed),
        ("events.n_events", card.events.n_events, trained.trained_on.events),
    ):
        if said != known:
            raise CheckpointError(
                f"The model card '{path}' is of another training: its {what} is {said}, the "
                f"checkpoint's {known}."
            )


def _without_folders(experiment: Experiment) -> Experiment:
    """The settings without the folders of this machine."""
    values = experiment.model_dump(mode="json")
    values["data"]["cache_directory"] = values["output"]["directory"] = None
    for number, made in enumerate(values["simulation"]):
        if os.path.isabs(made["output"]):
            # No two files of an experiment may have one name.
            made["output"] = f"{number}/{_without_folder(made['output'])}"
    return Experiment.model_validate(_without_folder(values))


def _without_folder(value: Any) -> Any:
    """Plain values, each absolute path among them replaced by its last part."""
    if isinstance(value, dict):
        return {key: _without_folder(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folder(item) for item in value]
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value
