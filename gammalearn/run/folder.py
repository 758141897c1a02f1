"""The output folder of a run: never overwritten by accident."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from ..errors import OutputError, SettingsError
from ..io import plain_yaml
from ..io.writing import claimed, make_folder, names_beside, write_whole
from ..settings import Experiment, Settings
from ..settings.base import current_name

if TYPE_CHECKING:
    from ..settings.surveys import SurveyExperiment

__all__ = [
    "check_folder",
    "check_place",
    "is_of_job",
    "mark_job",
    "opened_folder",
    "resumable",
    "write_settings",
]

SETTINGS = "settings.yaml"

#: Which job of SLURM has made the results, or gone on with them, last.
JOB = "slurm_job.txt"

#: All that a run makes; ``--overwrite`` removes these and nothing else.
RESULTS = (
    SETTINGS,
    JOB,
    "checkpoints",
    "tensorboard",
    "learning_curves.png",
    "dl2",
    "predictions",
    "evaluation",
    "metrics.json",
    "report.html",
    "comparison",
    "comparison.json",
    "compare.html",
    "lr_range.png",
    "lr_range.ecsv",
)

#: Held by the process that writes to the folder.
LOCK = ".lock"

#: What a process that was killed leaves of these.
PARTS = (LOCK, *(beside.name for name in RESULTS for beside in names_beside(Path(name))))

#: Settings that a resumed run may change: they do not alter what was already learnt.
MAY_CHANGE = {
    "imports",
    "data.test",
    "data.cache_directory",
    "training.epochs",
    "training.checkpoint_minutes",
    "training.picture_epochs",
    "training.workers",
    "training.accelerator",
    "training.devices",
    "training.nodes",
    "evaluation",
    "output",
}


def check_folder(
    folder: Path,
    overwrite: bool = False,
    resume: bool = False,
    experiment: Settings | None = None,
) -> None:
    """Refuse a folder that a run must not write to.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        The results of an earlier run may be replaced.
    resume : bool
        The folder holds a run to go on with.
    experiment : Experiment or that of a survey, optional
        Settings of the run to go on with.

    Raises
    ------
    OutputError
        If the folder exists (without ``overwrite`` or ``resume``), is not a run's, or there is
        nothing to resume, or with other settings.
    """
    check_place(folder)
    if resume:
        if not (folder / SETTINGS).is_file():
            raise OutputError(f"There is no run to resume in '{folder}': it has no {SETTINGS}.")
        if experiment is not None:
            _check_same(_read_settings(folder), experiment, folder)
        return
    if not folder.exists():
        return
    if not overwrite:
        raise OutputError(
            f"The output folder '{folder}' exists; give another one with --output, or --overwrite "
            "to replace its results, or --resume to continue its run."
        )
    strangers = sorted(p.name for p in folder.iterdir() if p.name not in (*RESULTS, *PARTS))
    if strangers:
        raise OutputError(
            f"'{folder}' is not replaced, as it holds other things than results of GammaLearn "
            f"({', '.join(strangers[:3])}); give another folder with --output."
        )


def check_place(folder: Path) -> None:
    """Refuse a folder that is not there and cannot be made, or that nothing can be written to.

    Raises
    ------
    OutputError
        If it is a file or below one, or may not be written to.
    """
    # Not Path.exists, which fails where a folder may not be looked into.
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not there.is_dir():
        raise OutputError(
            f"The output '{folder}' cannot be made, as '{there}' is a file; give another folder."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(
            f"The output '{folder}' cannot be made, as you may not write to '{there}'; give "
            "another folder."
        )


@contextmanager
def opened_folder(folder: Path, resume: bool = False) -> Iterator[None]:
    """Make the folder, without the results of an earlier run unless they are resumed, and let no
    other run write to it meanwhile.

    Raises
    ------
    OutputError
        If the folder cannot be made, or another run writes to it.
    """
    make_folder(folder)
    with claimed(folder / LOCK, folder):
        if not resume:
            _remove_results(folder)
        yield


def _remove_results(folder: Path) -> None:
    try:
        for name in (*RESULTS, *PARTS):
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            elif name != LOCK:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"The results in '{folder}' cannot be removed: {error}.") from error


def write_settings(folder: Path, experiment: "Experiment | SurveyExperiment") -> None:
    """Write the resolved settings beside the results."""
    text = experiment.to_yaml()
    write_whole(folder / SETTINGS, lambda path: path.write_text(text, encoding="utf-8"))


def mark_job(folder: Path, job: str | None) -> None:
    """Keep which job of SLURM a run is of, None for none."""
    if job is None:
        (folder / JOB).unlink(missing_ok=True)
    else:
        write_whole(folder / JOB, lambda path: path.write_text(f"{job}\n", encoding="utf-8"))


def is_of_job(folder: Path, job: str | None) -> bool:
    """Whether the run in a folder is of this job of SLURM, started before."""
    path = folder / JOB
    return path.is_file() and path.read_text(encoding="utf-8").strip() == job


def _read_settings(folder: Path) -> dict:
    """The settings that a run wrote into its folder."""
    try:
        settings = plain_yaml.load((folder / SETTINGS).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        settings = None
    if not isinstance(settings, dict):
        raise OutputError(
            f"{SETTINGS} of '{folder}' is damaged, so that the run there cannot be resumed; start "
            "again with --overwrite."
        )
    return settings


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Pairs of a dotted path, with the names of today, and a value."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        else:
            yield current_name(path, warn=False), value


def _with_names_of_today(value: object, path: str = "") -> Any:
    """The same settings under the names that they have today."""
    if isinstance(value, list):
        return [_with_names_of_today(item, f"{path}{n}.") for n, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    return {
        current_name(f"{path}{key}", warn=False).rpartition(".")[2]: _with_names_of_today(
            item, f"{path}{key}."
        )
        for key, item in value.items()
    }


def _as_today(settings: dict, kind: type[Settings]) -> dict:
    """What an earlier version wrote, with the settings that it did not know at their defaults."""
    try:
        return kind.model_validate(_with_names_of_today(settings)).model_dump(mode="json")
    except (SettingsError, ValidationError):
        return settings


def _check_same(before: dict, experiment: Settings, folder: Path) -> None:
    then = dict(_flat(_as_today(before, type(experiment))))
    now = dict(_flat(experiment.model_dump(mode="json")))
    changed = [
        path
        for path in sorted(then.keys() | now.keys())
        if then.get(path) != now.get(path)
        and path not in MAY_CHANGE
        and path.split(".")[0] not in MAY_CHANGE
    ]
    if changed:
        path = changed[0]
        raise OutputError(
            f"The run in '{folder}' cannot be resumed with other settings: {path} was "
            f"{then.get(path)!r} and is now {now.get(path)!r}."
        )


@contextmanager
def resumable(output: Path) -> Iterator[None]:
    """Have an interruption say how to go on."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not str(interrupt):
            interrupt.args = (f"; go on with --resume --output {output}",)
        raise
