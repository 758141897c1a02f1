"""Sweep: one experiment with several settings and seeds, run after run or as jobs of an array."""

import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import yaml

from ..errors import GammaLearnError, SettingsError, SweepError
from ..io import plain_yaml
from ..io.printable import tell
from ..settings import Experiment
from ..settings.reading import load_any_experiment, override, refuse_two_names
from .folder import SETTINGS, check_folder

if TYPE_CHECKING:
    # Imported where results are written: the settings are checked before, without it.
    from astropy.table import QTable

    from ..settings.surveys import SurveyExperiment

__all__ = [
    "Run",
    "Sweep",
    "in_words",
    "is_finished",
    "refuse_failures",
    "run_all",
    "run_one",
    "slurm_script",
    "summarise",
    "write_summary",
]

#: What a run writes last.
LAST_RESULT = "report.html"


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes
    ----------
    name : str
        Its folder.
    values : dict
        What the grid sets, by the setting.
    seed : int
    assignments : list of str
        All that is set, as ``--set`` has it.
    experiment : Experiment or SurveyExperiment
        The resolved settings.
    """

    name: str
    values: dict
    seed: int
    assignments: list[str]
    experiment: "Experiment | SurveyExperiment"


class Sweep:
    """All combinations of a grid of settings, each with several seeds.

    Parameters
    ----------
    settings : str or Path
        The experiment, a settings file.
    grid : sequence of str
        ``a.b=VALUE,VALUE``, values as YAML has them.
    n_seeds : int
        Seeds of each combination, counted from ``training.seed``.
    assignments : sequence of str
        ``a.b=VALUE`` for all runs.
    imports : sequence of str
        Modules of the user's own, or their files.

    Attributes
    ----------
    runs : list of Run
        Those that differ in their seed only one after the other.

    Raises
    ------
    SettingsError
        If the grid or a setting is wrong.
    """

    def __init__(
        self,
        settings: str | Path,
        grid: Sequence[str],
        n_seeds: int = 1,
        assignments: Sequence[str] = (),
        imports: Sequence[str] = (),
    ):
        self.settings, self.imports = Path(settings), list(imports)
        self._words = [str(settings)]
        for option, texts in (
            ("--grid", grid),
            ("--set", assignments),
            ("--imports", imports),
        ):
            for text in texts:
                self._words += [option, text]
        self._words += ["--seeds", str(n_seeds)]
        refuse_two_names([*assignments, *grid])
        base = override(load_any_experiment(settings, imports), list(assignments))
        axes = dict(_axis(text) for text in grid)
        if len(axes) < len(grid) or "training.seed" in axes:
            raise SettingsError("--grid: each setting once, and seeds by --seeds.")
        self.axes = list(axes)
        words = {path: _words(values) for path, values in axes.items()}
        self.runs = []
        for values in itertools.product(*axes.values()):
            for seed in range(base.training.seed, base.training.seed + n_seeds):
                chosen = dict(zip(axes, values, strict=True))
                name = [f"{path}={words[path][_text(value)]}" for path, value in chosen.items()]
                sets = [f"{path}={json.dumps(value)}" for path, value in chosen.items()]
                sets.append(f"training.seed={seed}")
                experiment = override(base, sets)
                self.runs.append(
                    Run(
                        "_".join([*name, f"seed={seed}"]),
                        chosen,
                        seed,
                        [*assignments, *sets],
                        experiment,
                    )
                )
        names = [run.name for run in self.runs]
        if len(set(names)) < len(names):
            raise SettingsError(f"--grid has a value twice: {', '.join(grid)}.")

    def command(self, folder: Path) -> str:
        """The command line that asks for it."""
        return shlex.join(["gammalearn", "sweep", *self._words, "-o", str(folder)])

    def __getitem__(self, index: int) -> Run:
        if not 0 <= index < len(self.runs):
            raise SettingsError(
                f"--index {index}: the sweep has the runs 0 to {len(self.runs) - 1}."
            )
        return self.runs[index]


def _axis(text: str) -> tuple[str, list]:
    """Setting and values of ``a.b=VALUE,VALUE``."""
    path, equals, listed = text.partition("=")
    try:
        values = plain_yaml.load(f"[{listed}]")
    except yaml.YAMLError:
        values = []
    if not equals or not path.strip() or not values:
        raise SettingsError(f"--grid {text}: expected a.b=VALUE,VALUE")
    return path.strip(), values


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _word(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", " ", text).strip().replace(" ", "-")


def _words(values: Sequence) -> dict[str, str]:
    """Texts of the values as parts of file names, numbered where they would be the same."""
    texts = list(dict.fromkeys(map(_text, values)))
    same: dict[str, list[str]] = {}
    for text in texts:
        same.setdefault(_word(text), []).append(text)
    return {
        text: word if len(alike) == 1 else f"{word}-{number}"
        for word, alike in same.items()
        for number, text in enumerate(alike, 1)
    }


def is_finished(run: Run, folder: Path) -> bool:
    """Whether all results of a run are there.

    Raises
    ------
    OutputError
        If they are of other settings.
    """
    if not (folder / run.name / SETTINGS).exists():
        return False
    check_folder(folder / run.name, resume=True, experiment=run.experiment)
    return (folder / run.name / LAST_RESULT).exists()


def run_all(sweep: Sweep, folder: Path, progress: bool = True) -> dict[str, str]:
    """Run what is not finished, each run in a process of its own, one after the other.

    A run that was cut off goes on. What a run says goes to ``NAME.log`` beside its folder.

    Parameters
    ----------
    sweep : Sweep
    folder : Path
        Gets a folder for each run.
    progress : bool
        Print a line for each run.

    Returns
    -------
    dict of str to str
        Runs that have failed, and why.
    """
    from ..io.writing import make_folder

    make_folder(folder)
    failed = {}
    for number, run in enumerate(sweep.runs, 1):
        start = time.monotonic()
        try:
            if is_finished(run, folder):
                outcome = "was finished before"
            elif why := _run(sweep, run, folder):
                failed[run.name], outcome = why, f"FAILED: {why}"
            else:
                outcome = f"done in {time.monotonic() - start:.0f} s"
        except GammaLearnError as error:
            failed[run.name], outcome = str(error), f"FAILED: {error}"
        if progress:
            tell(f"[{number}/{len(sweep.runs)}] {run.name}: {outcome}")
    return failed


def _run(sweep: Sweep, run: Run, folder: Path) -> str | None:
    """Run in another process; why it failed, if it did."""
    output = folder / run.name
    command = [sys.executable, "-m", "gammalearn", "run", str(sweep.settings)]
    command += ["--output", str(output)]
    for option, words in (("--set", run.assignments), ("--imports", sweep.imports)):
        for word in words:
            command += [option, word]
    if (output / SETTINGS).exists():
        command.append("--resume")
    log_file = folder / f"{run.name}.log"
    with log_file.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        status = _wait(process)
    if status == 0:
        return None
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = lines[-1].removeprefix("gammalearn: ") if lines else "it said nothing"
    return f"{said} (exit status {status}; {log_file})"


def run_one(run: Run, folder: Path, progress: bool = True) -> None:
    """Run in this process, which may be one of several of a job; nothing where it is finished.

    Raises
    ------
    GammaLearnError
        If the run fails.
    """
    from .options import RunOptions

    output = folder / run.name
    if not is_finished(run, folder):
        options = RunOptions(resume=(output / SETTINGS).exists(), progress=progress)
        # They import what trains.
        if isinstance(run.experiment, Experiment):
            from .experiment import run as run_experiment

            run_experiment(run.experiment, output, options)
        else:
            from .surveys import run_survey

            run_survey(run.experiment, output, options)


def _wait(process: subprocess.Popen) -> int:
    """Wait for a run, which ends with a checkpoint where this process is told to stop."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal has told it too.
        process.wait()
        raise KeyboardInterrupt("; run the same again to go on") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def summarise(sweep: Sweep, folder: Path, left_out: Container[str] = ()) -> "QTable":
    """Figures of the runs that are finished, with mean and spread over the seeds.

    Parameters
    ----------
    sweep : Sweep
    folder : Path
    left_out : container of str
        Names of runs that do not count.

    Returns
    -------
    QTable
        A row a combination of the grid: its settings, ``n_runs``, and for each figure of
        ``metrics.json`` ``NAME_mean`` and ``NAME_std``, the standard deviation of a run, NaN where
        there are fewer than two.
    """
    rows: dict[str, list[dict]] = {}
    values_of = {}
    for run in sweep.runs:
        key = json.dumps(run.values)
        values_of[key] = run.values
        rows.setdefault(key, [])
        if run.name not in left_out and is_finished(run, folder):
            rows[key].append(json.loads((folder / run.name / "metrics.json").read_text()))
    finished = [metrics for runs in rows.values() for metrics in runs]
    names = sorted({name for metrics in finished for name in metrics if _counts(name, metrics)})
    from astropy.table import QTable

    table = QTable()
    for path in sweep.axes:
        table[path] = [_text(values_of[key][path]) for key in rows]
    table["n_runs"] = [len(runs) for runs in rows.values()]
    for name in names:
        figures = [_finite(run.get(name) for run in runs) for runs in rows.values()]
        table[f"{name}_mean"] = [np.mean(v) if len(v) else np.nan for v in figures]
        table[f"{name}_std"] = [np.std(v, ddof=1) if len(v) > 1 else np.nan for v in figures]
    return table


def _counts(name: str, metrics: dict) -> bool:
    """Whether a figure says how good a run is, and not of how many events."""
    is_number = isinstance(metrics[name], int | float) and not isinstance(metrics[name], bool)
    return is_number and not name.startswith("n_") and not name.endswith("_out_of_range")


def _finite(values: Iterable[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None], dtype=float)


def in_words(table: "QTable") -> str:
    """The summary as text: mean ± spread."""
    shown = table[[name for name in table.colnames if not name.endswith(("_mean", "_std"))]]
    for column in table.colnames:
        if column.endswith("_mean"):
            name = column.removesuffix("_mean")
            shown[name] = [
                f"{mean:.4g}" + (f" ± {std:.2g}" if np.isfinite(std) else "")
                for mean, std in zip(table[column], table[f"{name}_std"], strict=True)
            ]
    return "\n".join(shown.pformat(max_lines=-1, max_width=-1))


def write_summary(sweep: Sweep, folder: Path, left_out: Container[str] = ()) -> str:
    """Write ``sweep.ecsv``, and say what is in it.

    Raises
    ------
    SweepError
        If no run is finished.
    """
    table, path = summarise(sweep, folder, left_out), folder / "sweep.ecsv"
    n_runs = int(sum(table["n_runs"]))
    if not n_runs:
        raise SweepError(f"No run of the sweep is finished in '{folder}'.")
    from ..io.writing import write_whole

    write_whole(path, lambda part: table.write(part, format="ascii.ecsv", overwrite=True))
    return f"{in_words(table)}\n{n_runs} of {len(sweep.runs)} runs; the table is {path}."


def refuse_failures(sweep: Sweep, failed: dict[str, str]) -> None:
    """Raise a SweepError where runs have failed."""
    if failed:
        name, why = next(iter(failed.items()))
        raise SweepError(
            f"{len(failed)} of {len(sweep.runs)} runs have failed, the first one {name}: {why}"
        )


SLURM_SCRIPT = """\
#!/bin/bash
# {n_runs} runs, each a job of an array; a job that comes to its time limit goes on by itself.
# Files that the experiment would simulate should be there before.
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node={devices}
{gpus}#SBATCH --cpus-per-task={cpus}
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@120
##SBATCH --account=MINE --partition=GPU
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    {command} --index "$SLURM_ARRAY_TASK_ID"
# When all are done: {command} --summary
"""


def slurm_script(sweep: Sweep, folder: Path) -> str:
    """A script for ``sbatch`` that does the runs as jobs of an array.

    Parameters
    ----------
    sweep : Sweep
    folder : Path
        Gets a folder for each run.
    """
    training = sweep.runs[0].experiment.training
    devices = 1 if training.devices in ("auto", -1) else training.devices
    devices = len(devices) if isinstance(devices, list) else devices
    return SLURM_SCRIPT.format(
        n_runs=len(sweep.runs),
        last=len(sweep.runs) - 1,
        name=_word(sweep.settings.stem),
        nodes=training.nodes,
        devices=devices,
        gpus="" if training.accelerator == "cpu" else f"#SBATCH --gpus-per-node={devices}\n",
        cpus=training.workers + 1,
        command=sweep.command(folder),
    )
