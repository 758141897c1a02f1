"""The study "stereo against mono": trains its contenders, and makes the page of their results.

    make study                                             # all of it, small
    python benchmarks/study.py run                         # trains what is not complete
    python benchmarks/study.py run --contenders lst4_stereo lst4_mono
    python benchmarks/study.py run --learning-curve        # also with 1/16 to 1/2 of the events
    python benchmarks/study.py page                        # from the runs that are there
    python benchmarks/study.py page --add                  # also keeps what the page has of others
    python benchmarks/study.py page --only-learning-curve  # leaves the rest of the page

A contender is a settings file of experiment_settings/study. GAMMALEARN_STUDY (small or full) says
how many showers are simulated and how many epochs are trained. Each contender is trained in a
process of its own, in runs/study/SIZE/NAME; how long that took stands in NAME.json beside it.
Asked for again, complete runs stay, and one that was cut off goes on. The page is
DIR/stereo_vs_mono.md, its numbers are DIR/study.json, its pictures are in DIR/study; DIR is
docs/results. Run where data/ and runs/ are, or are to be made.
"""

import argparse
import ast
import json
import runpy
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.table import QTable
from engine import machine
from study_making import add_to_page, make_learning_curve, make_page

from gammalearn.baseline.hillas_stereo import GEOMETRY, PARAMETERS, hillas_geometry
from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventIndex
from gammalearn.dl2 import dl2_file, dl2_name
from gammalearn.errors import GammaLearnError, OutputError, SettingsError
from gammalearn.evaluation import evaluate
from gammalearn.io.finding import find_files
from gammalearn.io.writing import make_folder, write_whole
from gammalearn.run.baseline import run_baseline
from gammalearn.run.folder import SETTINGS, check_folder, opened_folder, write_settings
from gammalearn.run.options import RunOptions
from gammalearn.run.sweep import LAST_RESULT
from gammalearn.settings import Experiment
from gammalearn.settings.reading import load_experiment, override
from gammalearn.simulation.on_demand import make_missing

FOLDER = Path(__file__).parents[1] / "experiment_settings" / "study"

#: The contenders, the most important first.
CONTENDERS = (
    "lst4_stereo",
    "lst4_stereo_longer",
    "lst4_mono",
    "baseline",
    "baseline_true_geometry",
    "hillas",
    "lst4_parameters",
    "lst4_stereo_no_geometry",
    "lst4_stereo_no_parameters",
    "conv5_stereo",
    "conv4_stereo",
    "lst1_mono",
)

#: Those without a network: one has a command of its own, one is told what no telescope sees, one
#: learns nothing.
BASELINE, TRUE_GEOMETRY, HILLAS = "baseline", "baseline_true_geometry", "hillas"

#: Whose learning curve is drawn, and what parts of the gammas are learnt from, as 1/N.
OF_LEARNING_CURVE, PARTS = ("lst4_stereo", "lst4_parameters"), (16, 8, 4, 2)

#: Seconds after which the time of a training is noted, in case that nothing can be noted later.
NOTED_EVERY = 60.0

#: Exit statuses, as those of `gammalearn`.
USER_ERROR, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Training:
    """A contender that is to be trained, or is.

    Attributes
    ----------
    name : str
        Of its settings file.
    output : Path
        Folder of its run.
    assignments : tuple of str
        Settings that are changed, as ``--set`` has them.
    """

    name: str
    output: Path
    assignments: tuple[str, ...] = ()

    @property
    def settings(self) -> Path:
        """Its settings file."""
        return FOLDER / f"{self.name}.py"

    @property
    def description(self) -> str:
        """What its settings file says of it, on the first line."""
        return ast.get_docstring(ast.parse(self.settings.read_text("utf-8"))).splitlines()[0]

    @property
    def experiment(self) -> Experiment:
        """Its resolved settings."""
        return override(load_experiment(self.settings), list(self.assignments))

    @property
    def experiment_of_run(self) -> Experiment:
        """The settings that its run has, those of the settings file before there is one."""
        path = self.output / SETTINGS
        return load_experiment(path) if path.exists() else self.experiment

    @property
    def command(self) -> list[str]:
        """What trains it from its beginning, for ``gammalearn``."""
        verb = "baseline" if self.name == BASELINE else "run"
        settings = self.settings.relative_to(FOLDER.parents[1])
        words = [verb, str(settings), "--output", str(self.output)]
        for assignment in self.assignments:
            words += ["--set", assignment]
        return words

    @property
    def state(self) -> str:
        """``complete``, ``not finished`` or ``not run``."""
        if (self.output / LAST_RESULT).exists():
            return "complete"
        return "not finished" if (self.output / SETTINGS).exists() else "not run"

    @property
    def record(self) -> dict:
        """What was noted of its training: command, machine, hours."""
        return json.loads(self._note.read_text("utf-8")) if self._note.exists() else {}

    def note(self, **values) -> None:
        """Add to the record."""
        text = json.dumps({**self.record, **values}, indent=1) + "\n"
        make_folder(self._note.parent)
        write_whole(self._note, lambda path: path.write_text(text, encoding="utf-8"))

    @property
    def _note(self) -> Path:
        return self.output.with_name(f"{self.output.name}.json")

    def n_gammas(self) -> int:
        """How many gammas it has learnt from, those of the validation included."""
        checkpoint = load_checkpoint(self.output / "checkpoints" / "best.ckpt")
        return checkpoint.trained_on.events["gamma"]


def study_size() -> str:
    """The size of the study, ``small`` or ``full``.

    Raises
    ------
    SettingsError
        If GAMMALEARN_STUDY is none.
    """
    try:
        return runpy.run_path(str(FOLDER / "study_events.py"))["SIZE"]
    except ValueError as error:
        raise SettingsError(str(error)) from error


def main_trainings(
    runs: Path, names: Sequence[str] = CONTENDERS, assignments: Sequence[str] = ()
) -> list[Training]:
    """The contenders with all events, in the order of their importance."""
    return [Training(name, runs / name, tuple(assignments)) for name in CONTENDERS if name in names]


def curve_training(training: Training, part: int, limit: int | None = None) -> Training:
    """A point of the learning curve of a contender, with 1/``part`` of its events.

    Parameters
    ----------
    training : Training
        With all events.
    part : int
    limit : int, optional
        Events of each particle; not needed of a run that is there.
    """
    output = training.output.parent / "learning_curve" / f"{training.name}_1_{part}"
    more = () if limit is None else (f"data.events_per_particle={limit}",)
    return Training(training.name, output, (*training.assignments, *more))


def start(command: Sequence[str]) -> subprocess.Popen:
    """Start `gammalearn`, which says here what it does."""
    return subprocess.Popen([sys.executable, "-m", "gammalearn", *command])


def train(training: Training) -> str:
    """Train a contender unless it is complete; what came of it, in words.

    Raises
    ------
    OutputError
        If its run has failed, or is one of other settings.
    """
    begun_before = (training.output / SETTINGS).exists()
    if begun_before:
        check_folder(training.output, resume=True, experiment=training.experiment)
    if training.state == "complete":
        return "is complete and is not repeated"
    if training.name in WITHOUT_COMMAND:
        WITHOUT_COMMAND[training.name](training)
        return "is complete"
    command = [*training.command]
    if training.name == BASELINE:
        # It takes minutes, and begins anew where it was cut off.
        command.append("--overwrite")
    elif begun_before:
        command.append("--resume")
    print(f"gammalearn {shlex.join(command)}", flush=True)
    # The hours of what goes on count, not those of what begins anew.
    before = training.record.get("hours", 0.0) if begun_before else 0.0
    begun = time.monotonic()
    described = {
        "command": f"gammalearn {shlex.join(training.command)}",
        "machine": machine("cuda" if torch.cuda.is_available() else "cpu"),
    }

    def note():
        hours = before + (time.monotonic() - begun) / 3600
        training.note(**described, hours=round(hours, 4))

    status = _wait(start(command), note)
    if status != 0:
        raise OutputError(f"its run ended with the status {status}, see above.")
    return f"is complete after {training.record['hours']:.2f} h"


def reconstruct_geometry(training: Training) -> None:
    """Write and evaluate the directions that ctapipe's HillasReconstructor gives the test events.

    Raises
    ------
    GammaLearnError
        If the test files or the output folder cannot be used.
    """
    experiment, output = training.experiment, training.output
    with opened_folder(output):
        write_settings(output, experiment)
        make_folder(output / "dl2")
        paths = []
        for file in find_files(experiment.data.test, "data.test"):
            index = EventIndex.build([file], experiment.data, parameters=PARAMETERS)
            paths.append(output / "dl2" / dl2_name(file))
            with dl2_file(index, paths[-1], experiment) as write:
                geometry = hillas_geometry(index, experiment.data.cache_directory)
                write({"geometry": {name: geometry[name] for name in GEOMETRY}})
        evaluate(paths, output, experiment.evaluation)


def learn_with_true_geometry(training: Training) -> None:
    """Train and evaluate the baseline that is given the true direction and core of each shower.

    It says how well energies and particle types could be known if the geometry were.

    Raises
    ------
    GammaLearnError
        If the files or the output folder cannot be used.
    """
    begun = time.monotonic()
    run_baseline(
        training.experiment, training.output, RunOptions(overwrite=True), geometry=true_geometry
    )
    training.note(machine=machine("cpu"), hours=round((time.monotonic() - begun) / 3600, 4))


def true_geometry(index: EventIndex, cache_directory: str | None = None) -> QTable:
    """True direction and core of the events of an index, beside the reconstructed height.

    Parameters
    ----------
    index : EventIndex
        Of stereo events, with :data:`gammalearn.baseline.PARAMETERS` of each image.
    cache_directory : str, optional
        Setting ``data.cache_directory``.

    Returns
    -------
    QTable
        Columns of :data:`gammalearn.baseline.hillas_stereo.GEOMETRY`, a row an event.
    """
    geometry = hillas_geometry(index, cache_directory)
    for name in ("alt", "az", "core_x", "core_y"):
        truth = index.events[f"true_{name}"]
        geometry[name] = np.asarray(truth) * GEOMETRY[name]
    return geometry


#: Contenders that no command of `gammalearn` trains, and what does.
WITHOUT_COMMAND = {HILLAS: reconstruct_geometry, TRUE_GEOMETRY: learn_with_true_geometry}


def _wait(process: subprocess.Popen, note: Callable[[], None]) -> int:
    """The exit status of a run, which writes a checkpoint where this process is told to stop."""

    def pass_on(number, _frame):
        process.send_signal(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        while True:
            try:
                return process.wait(NOTED_EVERY)
            except subprocess.TimeoutExpired:
                note()
    except KeyboardInterrupt:
        # The terminal has told the run too.
        process.wait()
        raise
    finally:
        note()
        signal.signal(signal.SIGTERM, before)


def run_study(trainings: Sequence[Training], learning_curve: bool = False) -> dict[str, str]:
    """Simulate what is missing, then train what is not complete.

    Parameters
    ----------
    trainings : sequence of Training
    learning_curve : bool
        Train some of them with fewer events too.

    Returns
    -------
    dict of str to str
        Contenders that have failed, and why.
    """
    experiment = trainings[0].experiment
    data = {"data.train": experiment.data.train, "data.test": experiment.data.test}
    make_missing(experiment.simulation, data)
    failed = _train_all(trainings)
    if learning_curve:
        whole = [
            training
            for training in trainings
            if training.name in OF_LEARNING_CURVE and training.state == "complete"
        ]
        parts = [
            curve_training(training, part, max(training.n_gammas() // part, 1))
            for part in PARTS
            for training in whole
        ]
        failed |= _train_all(parts)
    return failed


def _train_all(trainings: Sequence[Training]) -> dict[str, str]:
    failed = {}
    for number, training in enumerate(trainings, 1):
        what = f"[{number}/{len(trainings)}] {training.output.name}"
        print(f"{what}: {training.description}", flush=True)
        try:
            print(f"{what} {train(training)}.", flush=True)
        except GammaLearnError as error:
            failed[training.output.name] = str(error)
            print(f"{what} has FAILED: {error}", flush=True)
    return failed


def run(options) -> None:
    """Train the contenders."""
    runs = options.runs or Path("runs") / "study" / study_size()
    trainings = main_trainings(runs, options.contenders, options.set)
    failed = run_study(trainings, options.learning_curve)
    if failed:
        name, why = next(iter(failed.items()))
        raise OutputError(f"{len(failed)} runs have failed, the first one {name}: {why}")


def page(options) -> None:
    """Make the page of what is there."""
    size = study_size()
    runs = options.runs or Path("runs") / "study" / size
    trainings = main_trainings(runs)
    curve = {
        training.name: [curve_training(training, part) for part in PARTS]
        for training in trainings
        if training.name in OF_LEARNING_CURVE
    }
    about = {
        "size": size,
        "command": f"GAMMALEARN_STUDY={size} python benchmarks/study.py page"
        + " --add" * options.add
        + " --only-learning-curve" * options.only_learning_curve,
        "machine": machine("cpu"),
    }
    make = make_page
    if options.add:
        make = add_to_page
    elif options.only_learning_curve:
        make = make_learning_curve
    print(make(trainings, curve, options.output, about))


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(function):
        sub = commands.add_parser(function.__name__, help=function.__doc__.rstrip("."))
        sub.add_argument("--runs", type=Path, help="folder of the runs (default: runs/study/SIZE)")
        sub.set_defaults(function=function)
        return sub

    sub = command(run)
    sub.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    sub.add_argument(
        "--learning-curve",
        action="store_true",
        help=f"train {' and '.join(OF_LEARNING_CURVE)} also with parts of the events",
    )
    sub.add_argument(
        "--set", metavar="A.B=VALUE", action="append", default=[], help="change a setting of all"
    )
    sub = command(page)
    sub.add_argument("-o", "--output", type=Path, default=Path("docs") / "results")
    what = sub.add_mutually_exclusive_group()
    what.add_argument(
        "--only-learning-curve",
        action="store_true",
        help="make the learning curve of the page anew, and leave the rest",
    )
    what.add_argument(
        "--add",
        action="store_true",
        help="add contenders to the page that is there, and leave what it says of others",
    )

    options = parser.parse_args(argv)
    try:
        options.function(options)
    except GammaLearnError as error:
        print(f"study: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("study: interrupted; run the same again to go on.", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
