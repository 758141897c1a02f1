"""Reconstruction: DL2 files of DL1 files, with a trained network and without what trains one."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ctapipe.core import Provenance

from ..camera import CameraType
from ..checkpoint.ensemble import load_networks
from ..checkpoint.trained import TrainedNetwork
from ..data import EventIndex, check_slots, columns_for
from ..dl2 import (
    check_ids,
    check_input,
    dl2_file,
    dl2_name,
    reconstruct_events,
)
from ..errors import DataError, EmptySelectionError, OutputError
from ..io.ctapipe_tables import EVENT_CLASS
from ..io.finding import find_files
from ..io.origin import Origin, read_origin
from ..io.writing import make_folder
from ..settings import Experiment
from .folder import check_place
from .options import RunOptions
from .prediction_changes import changed_for_prediction, selection_changes

log = logging.getLogger(__name__)

#: Zenith angles (deg) beyond those of the training that a network is still good for.
ZENITH_MARGIN = 5.0

__all__ = [
    "check_names",
    "index_inputs",
    "none_selected",
    "none_usable",
    "noted",
    "predict",
    "reconstruct",
    "skip",
]


def predict(
    checkpoints: str | Path | Sequence[str | Path],
    inputs: Sequence[str],
    output: Path,
    options: RunOptions = RunOptions(),
    shard: tuple[int, int] | None = None,
    assignments: Sequence[str] = (),
) -> list[Path]:
    """Reconstruct DL1 files with a trained network, or with several together.

    Files that these checkpoints have reconstructed before stay as they are: if a call is
    interrupted, repeat it, and it makes the missing files.

    Parameters
    ----------
    checkpoints : str, Path or sequence of these
        A file, or the name of a shipped network. The outputs of several are averaged.
    inputs : sequence of str
        DL1 files or globs.
    output : Path
        Folder of the DL2 files, one for each input.
    options : RunOptions
    shard : tuple of int, optional
        Which part of the inputs to do, and of how many: (1, 8) is the first of eight. Each input is
        in one part, whatever the order that they are given in.
    assignments : sequence of str
        Changes of the settings of the training, ``a.b=value``: of telescopes, further cuts, the
        machine and the output.

    Returns
    -------
    list of Path
        The DL2 files, also those that were there.

    Raises
    ------
    GammaLearnError
        If the checkpoints, the inputs or the output folder cannot be used.
    """
    check_place(output)
    trained = load_networks(checkpoints)
    experiment = changed_for_prediction(trained.experiment, assignments)
    files = find_files(list(inputs), "INPUT")
    check_names(files)
    if shard is not None:
        number, of = shard
        files = sorted(files, key=lambda path: path.resolve())[number - 1 :: of]
    missing = [
        file
        for file in files
        if options.overwrite or not _is_done(output / dl2_name(file), file, trained, experiment)
    ]
    usable = set(files) - set(missing)
    if missing:
        # Of other files, done or in other parts, there may be events to reconstruct.
        indices, skipped = index_inputs(
            missing, experiment, trained.cameras, len(missing) < len(files) or shard is not None
        )
        check_slots(experiment.network, indices)
        _, failed = reconstruct(trained, indices, output, experiment, options)
        usable.update(index.files[0] for index in indices)
        usable.difference_update(path for path, _ in failed)
        if (skipped or failed) and not usable:
            raise none_usable([*skipped, *failed])
    return [output / dl2_name(file) for file in files if file in usable]


def _is_done(path: Path, file: Path, trained: TrainedNetwork, experiment: Experiment) -> bool:
    """Whether a DL2 file is there, of the same checkpoint, input and selection, in the same layout.

    Raises
    ------
    OutputError
        If there is another file of its name.
    """
    if not path.exists():
        return False
    if read_origin(path) != _origin(file, trained, experiment):
        raise OutputError(
            f"'{path}' exists, and was not made of all of '{file}' with this checkpoint, this "
            "selection and this layout; give another folder, or --overwrite to replace it."
        )
    return True


def _origin(file: Path, trained: TrainedNetwork, experiment: Experiment) -> Origin:
    """The origin of the DL2 file that is made from an input file with these settings."""
    changes = selection_changes(trained.experiment, experiment)
    return Origin.from_input(file, trained.digest, changes, experiment.output.dl2_format)


def check_names(files: Sequence[Path]) -> None:
    """Refuse files that would have the same DL2 file.

    Raises
    ------
    OutputError
        If two would.
    """
    names: dict[str, Path] = {}
    for file in files:
        other = names.setdefault(dl2_name(file), file)
        if other != file:
            raise OutputError(
                f"'{other}' and '{file}' would both become {dl2_name(file)}; rename one of them."
            )


def index_inputs(
    files: Sequence[Path],
    experiment: Experiment,
    cameras: Sequence[CameraType] | None,
    allow_empty: bool = False,
    parameters: Sequence[str] | None = None,
) -> tuple[list[EventIndex], list[tuple[Path, str]]]:
    """One index a file, as each gets its DL2 file; and the files that were skipped, with why.

    ``parameters`` are those to have of each image, by default those that the network takes.

    Raises
    ------
    InputFileError
        If no DL2 file can be made of a file's events.
    OutputError
        If two files would have the same DL2 file.
    EmptySelectionError
        If no file has a selected event, unless that is allowed.
    """
    check_names(files)
    if parameters is None:
        parameters = columns_for(experiment.network)
    indices: list[EventIndex] = []
    skipped: list[tuple[Path, str]] = []
    for file in files:
        index = EventIndex.build(
            [file], experiment.data, cameras, allow_empty=True, parameters=parameters
        )
        skipped += index.skipped
        if index.files:
            try:
                check_input(file, experiment)
                check_ids(index, experiment)
            except DataError as error:
                skip(file, error, experiment, skipped)
                continue
            indices.append(index)
    if not indices and skipped and not allow_empty:
        raise none_usable(skipped)
    if not allow_empty and not any(len(index) for index in indices):
        raise none_selected(files)
    return indices, skipped


def none_selected(files: Sequence[Path]) -> EmptySelectionError:
    """The error where the selection leaves no event of any file."""
    return EmptySelectionError(
        f"The selection leaves no event of {', '.join(map(str, files[:3]))}"
        f"{', …' if len(files) > 3 else ''} to reconstruct; loosen data.cuts, "
        "data.min_multiplicity or data.telescopes."
    )


def reconstruct(
    trained: TrainedNetwork,
    indices: Sequence[EventIndex],
    folder: Path,
    experiment: Experiment,
    options: RunOptions,
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Write the DL2 file of each index.

    Returns
    -------
    files : list of Path
        The DL2 files.
    skipped : list of (Path, str)
        Inputs that turned out to be damaged, and why (``data.on_error="skip"``).
    """
    make_folder(folder)
    _warn_of_other_zenith(trained, indices)
    direction = trained.experiment.tasks.get("direction")
    if direction and direction.event_classes and trained.event_classes is None:
        log.warning(
            "The limits of event classes are added to best.ckpt at the end of a training, and "
            "belong to one network: the DL2 files will have no %s.",
            EVENT_CLASS,
        )
    files: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    with noted("gammalearn-predict"):
        for index in indices:
            source = index.files[0]
            path = folder / dl2_name(source)
            try:
                # What one batch gives is not all of a file.
                origin = None if options.fast_dev_run else _origin(source, trained, experiment)
                with dl2_file(index, path, experiment, origin, trained.event_classes) as write:
                    write(
                        reconstruct_events(
                            trained,
                            index,
                            experiment,
                            max_batches=1 if options.fast_dev_run else None,
                            progress=options.progress,
                        )
                    )
            except DataError as error:
                skip(source, error, experiment, skipped)
                continue
            files.append(path)
    return files, skipped


def _warn_of_other_zenith(trained: TrainedNetwork, indices: Sequence[EventIndex]) -> None:
    """Warn of files that point where the network has not learned."""
    learned = trained.trained_on.zenith
    if learned is None:
        return
    for index in indices:
        if not len(index):
            continue
        zenith = 90 - np.asarray(index.events["pointing_alt"], dtype=float)
        low, high = np.nanmin(zenith), np.nanmax(zenith)
        if low < learned[0] - ZENITH_MARGIN or high > learned[1] + ZENITH_MARGIN:
            log.warning(
                "'%s' points %.3g to %.3g deg from the zenith, and the network learned from %.3g "
                "to %.3g deg: its energies will be wrong there.",
                *(index.files[0], low, high, *learned),
            )


def skip(
    path: Path, error: DataError, experiment: Experiment, skipped: list[tuple[Path, str]]
) -> None:
    """Add a file to those left out, or raise the error, as the settings say."""
    if experiment.data.on_error == "raise":
        raise error
    log.warning("Skipped: %s", error)
    skipped.append((path, str(error)))


def none_usable(skipped: Sequence[tuple[Path, str]]) -> EmptySelectionError:
    """The error where all files were left out."""
    return EmptySelectionError(
        f"None of {len(skipped)} file(s) can be used. The first one: {skipped[0][1]}"
    )


@contextmanager
def noted(activity: str) -> Iterator[None]:
    """Have ctapipe note machine and packages once: that takes longer than to write a small file."""
    Provenance().start_activity(activity)
    status = "error"
    try:
        yield
        status = "completed"
    finally:
        Provenance().finish_activity(status, activity_name=activity)
