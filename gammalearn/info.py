"""What a file holds: DL1, DL2 or checkpoint, in a few lines."""

from collections import Counter
from pathlib import Path

import numpy as np
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from ctapipe.io import read_table

from .errors import InputFileError
from .files import open_hdf5, reading
from .particles import particle_names

__all__ = ["describe_file"]

TRIGGER = "/dl1/event/subarray/trigger"
SHOWER = "/simulation/event/subarray/shower"


def describe_file(path: Path) -> str:
    """Say what a DL1 or DL2 file or a checkpoint holds.

    Raises
    ------
    GammaLearnError
        If the file is missing, damaged or of another kind.
    """
    path = Path(path)
    if path.suffix in {".ckpt", ".pt"} or _is_zip(path):
        return _describe_checkpoint(path)
    return _describe_hdf5(path)


def _is_zip(path: Path) -> bool:
    """Whether the file begins as PyTorch's checkpoints do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _lines(title: str, values: dict) -> list[str]:
    width = max(map(len, values), default=0) + 2
    return [title, *(f"  {name:<{width}}{value}" for name, value in values.items())]


def _describe_checkpoint(path: Path) -> str:
    # Lightning takes seconds to import, which no other file needs.
    from .training import load_checkpoint

    trained = load_checkpoint(path)
    n_parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    experiment = trained.experiment
    cameras = ", ".join(f"{c.name} ({c.n_pixels} pixels)" for c in trained.cameras)
    events = ", ".join(f"{n} {name}" for name, n in trained.trained_on["events"].items())
    return "\n".join(
        _lines(
            f"{path}: checkpoint of GammaLearn {trained.versions['gammalearn']}",
            {
                "network": f"{experiment.network.backbone}, {n_parameters} parameters",
                "grouping": experiment.data.grouping,
                "tasks": ", ".join(trained.tasks),
                "channels": ", ".join(experiment.data.channels),
                "cameras": cameras,
                "epochs": trained.epoch,
                "trained on": f"{events} events of {len(trained.trained_on['files'])} file(s)",
                **{
                    f"  file {number}": file
                    for number, file in enumerate(trained.trained_on["files"], start=1)
                },
                "made with": ", ".join(f"{k} {v}" for k, v in trained.versions.items()),
                "seed": experiment.training.seed,
            },
        )
    )


def _describe_hdf5(path: Path) -> str:
    with open_hdf5(path) as file, reading(path, "its contents"):
        if TRIGGER not in file or "/configuration/instrument/subarray" not in file:
            raise InputFileError(
                f"'{path}' is not a ctapipe DL1 or DL2 file: it has no {TRIGGER} table."
            )
        attributes = file.root._v_attrs
        levels = str(attributes["CTA PRODUCT DATA LEVELS"])
        version = str(attributes["CTA PRODUCT DATA MODEL VERSION"])
        values = {**_telescopes(file), **_events(file), **_algorithms(file)}
    return "\n".join(_lines(f"{path}: {levels}, data model {version}", values))


def _telescopes(file) -> dict:
    subarray = SubarrayDescription.from_hdf(file, focal_length_choice=FocalLengthKind.EQUIVALENT)
    values = {"subarray": f"{subarray.name}, {len(subarray.tel)} telescopes"}
    images = _rows(file, "/dl1/event/telescope/images")
    parameters = _rows(file, "/dl1/event/telescope/parameters")
    for telescope in subarray.telescope_types:
        ids = [int(i) for i in subarray.get_tel_ids_for_type(telescope)]
        # Different types may have one name; their telescopes tell them apart.
        values[f"  {telescope} {_ranges(ids)}"] = (
            f"{len(ids)} telescope{'s' if len(ids) > 1 else ''}, "
            f"{telescope.camera.geometry.n_pixels} pixels, "
            f"{sum(images[i] for i in ids)} images, "
            f"{sum(parameters[i] for i in ids)} parameter rows"
        )
    return values


def _events(file) -> dict:
    trigger = read_table(file, TRIGGER)
    values = {"events": len(trigger)}
    if len(trigger):
        values["observations"] = ", ".join(map(str, np.unique(trigger["obs_id"])[:10]))
    if SHOWER not in file:
        return {**values, "  truth": "none (observation)"}
    shower = read_table(file, SHOWER)
    names = particle_names(shower["true_shower_primary_id"])
    for name, count in Counter(names.tolist()).most_common():
        energy = shower["true_energy"].quantity.to_value("TeV")[names == name]
        values[f"  {name}"] = f"{count} events, {energy.min():.3g} to {energy.max():.3g} TeV"
    return values


def _algorithms(file) -> dict:
    values = {}
    for level in ("subarray", "telescope"):
        group = f"/dl2/event/{level}"
        for kind in file.root[group]._v_groups if group in file else ():
            values[f"DL2 {level} {kind}"] = ", ".join(file.root[f"{group}/{kind}"]._v_children)
    return values


def _rows(file, group: str) -> Counter:
    """Rows of each telescope's table."""
    if group not in file:
        return Counter()
    return Counter(
        {int(t._v_name.removeprefix("tel_")): int(t.nrows) for t in file.iter_nodes(group)}
    )


def _ranges(ids: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``."""
    parts, start = [], None
    for i, number in enumerate(sorted(ids)):
        if start is None:
            start = number
        if i + 1 == len(ids) or ids[i + 1] != number + 1:
            parts.append(f"{start}" if start == number else f"{start}-{number}")
            start = None
    return ", ".join(parts)
