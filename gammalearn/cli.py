"""The command line: one function a command, no logic."""

import argparse
import difflib
import itertools
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .errors import GammaLearnError, SettingsError
from .own_modules import import_modules

if TYPE_CHECKING:
    from .settings import EvaluationSettings, Experiment
from .printable import PrintableFormatter, format_warning, tell

__all__ = ["main", "make_parsers"]

#: Exit status for an error that the user can mend, and after Ctrl-C.
USER_ERROR, INTERRUPTED = 2, 130

EPILOG = """\
examples:
  gammalearn experiment_settings/lst_stereo.py --output runs/first
  gammalearn experiment_settings/lst_mono.py --set data.train='["my/*.dl1.h5"]'
  gammalearn predict runs/first/checkpoints/best.ckpt my/*.dl1.h5 -o dl2
  gammalearn models
  gammalearn evaluate dl2/*.dl2.h5 -o evaluation
  gammalearn baseline experiment_settings/lst_stereo.py -o runs/baseline
  gammalearn compare runs/lst_stereo runs/lst_mono -o comparison
  gammalearn simulate --particle gamma --n-showers 1000 --energy 50GeV 5TeV -o my/gamma.dl1.h5
  gammalearn sweep my.py --grid training.learning_rate=1e-3,3e-4 --seeds 5 -o sweep
  gammalearn lr-range experiment_settings/lst_stereo.py -o lr_range
  gammalearn info my/*.dl1.h5
  gammalearn show my/gamma.dl1.h5 --event 1203 -o event.png
"""


# What is wrong with a command is found first, without what takes seconds to import: each function
# checks settings and names, and then imports what does the work.


def run(arguments) -> None:
    """Run an experiment: train a network, reconstruct the test events, evaluate them."""
    experiment = _experiment(arguments)
    default = Path("runs") / Path(arguments.settings).stem
    output = Path(arguments.output or experiment.output.directory or default)
    if not arguments.quiet:
        tell(f"Running '{arguments.settings}'; results go to '{output}'.")
    from .experiment import RunOptions, run

    options = RunOptions(
        overwrite=arguments.overwrite,
        resume=arguments.resume,
        fast_dev_run=arguments.fast_dev_run,
        progress=not arguments.quiet,
    )
    run(experiment, output, options)
    _tell_results(arguments, output / "report.html")


def baseline(arguments) -> None:
    """Reconstruct the events of an experiment with Hillas parameters and boosted trees."""
    experiment, output = _experiment(arguments), _new_folder(arguments)
    from .baseline_run import run_baseline
    from .experiment import RunOptions

    options = RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet)
    for name, (_, _, parameters, result) in run_baseline(experiment, output, options).items():
        tell(f"{name}: {result} with {parameters}")
    _tell_results(arguments, output / "report.html")


def sweep(arguments) -> None:
    """Run an experiment with several settings and seeds, and summarise the results."""
    from .sweep import Sweep, refuse_failures, run_all, run_one, slurm_script, write_summary

    runs = Sweep(
        arguments.settings, arguments.grid, arguments.seeds, arguments.set, arguments.imports
    )
    output = Path(arguments.output)
    if arguments.slurm:
        # For a shell, as it is.
        sys.stdout.write(slurm_script(runs, output))
    elif arguments.index is not None:
        run_one(runs[arguments.index], output, progress=not arguments.quiet)
    else:
        failed = {} if arguments.summary else run_all(runs, output, not arguments.quiet)
        if len(failed) < len(runs.runs):
            tell(write_summary(runs, output, failed))
        refuse_failures(runs, failed)


def lr_range(arguments) -> None:
    """Test increasing step sizes and suggest a learning rate."""
    experiment, output = _experiment(arguments), _new_folder(arguments)
    from .experiment import RunOptions, find_learning_rate

    options = RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet)
    suggestion = find_learning_rate(
        experiment, output, arguments.lowest, arguments.highest, arguments.steps, options
    )
    if suggestion is None:
        tell(f"The loss never falls; see {output / 'lr_range.png'}.")
    else:
        tell(f"training.learning_rate={suggestion:.2g}; see {output / 'lr_range.png'}.")


def predict(arguments) -> None:
    """Reconstruct DL1 files with a trained network."""
    from .finding import find_files
    from .models import find_checkpoint

    find_checkpoint(arguments.checkpoint)
    find_files(arguments.input, "INPUT")
    import_modules(arguments.imports)
    from .experiment import RunOptions, predict

    options = RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet)
    output = Path(arguments.output)
    given = {
        "data.telescopes": f"[{arguments.telescopes}]" if arguments.telescopes else None,
        "output.dl2_format": arguments.format,
        "output.truth": "link" if arguments.link_truth else None,
    }
    short = [f"{name}={value}" for name, value in given.items() if value is not None]
    files = predict(
        arguments.checkpoint,
        arguments.input,
        output,
        options,
        arguments.shard,
        [*short, *arguments.set],
    )
    for path in files:
        tell(path)


def evaluate(arguments) -> None:
    """Evaluate DL2 files from any software and write a report."""
    from .finding import find_files

    settings = _evaluation(arguments)
    if arguments.algorithm:
        settings = settings.model_copy(update={"algorithm": arguments.algorithm})
    remedy = "make DL2 files with `gammalearn predict`, or name others"
    files = find_files(arguments.input, "DL2", remedy)
    output = _new_folder(arguments)
    from .evaluation import evaluate

    evaluate(files, output, settings)
    _tell_results(arguments, output / "report.html")


def compare(arguments) -> None:
    """Compare several reconstructions of the same events."""
    settings, output = _evaluation(arguments), _new_folder(arguments)
    from .evaluation import compare

    compare(arguments.input, output, settings, arguments.labels, arguments.weights)
    _tell_results(arguments, output / "compare.html")


def simulate(arguments) -> None:
    """Simulate showers and telescopes and write a DL1 file."""
    from .settings import SimulationSettings
    from .settings_reading import read_simulation

    given = {
        name: value
        for name, value in vars(arguments).items()
        if name in SimulationSettings.model_fields and value is not None
    }
    settings = read_simulation(given, "gammalearn simulate")
    from .cores import usable_cores
    from .simulation import simulate

    path = simulate(
        settings,
        processes=arguments.processes or usable_cores(),
        overwrite=arguments.overwrite,
        progress=not arguments.quiet,
    )
    tell(path)


def info(arguments) -> int:
    """Describe a DL1 file, a DL2 file or a network; print a table for several DL1 files."""
    from .finding import check_file
    from .models import find_checkpoint, names_network

    if len(arguments.file) == 1:
        # Of several, those that are there are described.
        (path,) = arguments.file
        (find_checkpoint if names_network(path) else check_file)(path)
    import_modules(arguments.imports)
    from .info import describe

    text, errors = describe([Path(path) for path in arguments.file])
    if text:
        tell(text)
    for error in errors:
        _tell_error(error, arguments.verbose)
    return USER_ERROR if errors else 0


def show(arguments) -> None:
    """Draw the images of an event."""
    from .finding import check_file

    check_file(arguments.file)
    from .show import show_event

    tell(
        show_event(
            Path(arguments.file),
            arguments.event,
            Path(arguments.output),
            arguments.obs_id,
            arguments.overwrite,
        )
    )


def export(arguments) -> None:
    """Export a trained network as ONNX, for other programs."""
    from .models import find_checkpoint

    find_checkpoint(arguments.checkpoint)
    import_modules(arguments.imports)
    from .checkpoint import load_checkpoint
    from .export import export_onnx

    checkpoint = Path(arguments.checkpoint)
    output = Path(arguments.output or checkpoint.with_suffix(".onnx"))
    tell(export_onnx(load_checkpoint(checkpoint), output, arguments.overwrite))


def models(arguments) -> None:
    """List the networks that come with GammaLearn."""
    from .models import overview

    tell(overview())


def slim(arguments) -> None:
    """Write a small checkpoint to share, without the state of the training."""
    from .models import find_checkpoint

    find_checkpoint(arguments.checkpoint)
    import_modules(arguments.imports)
    from .checkpoint import load_checkpoint
    from .slim import slim

    trained = load_checkpoint(arguments.checkpoint)
    tell(slim(trained, arguments.output, arguments.half, arguments.overwrite))


def _tell_results(arguments, page: Path) -> None:
    if not arguments.quiet:
        tell(f"Results are in {page.parent}; open {page}.")


def _tell_error(error: GammaLearnError, verbose: int) -> None:
    """Print what a user can mend; with ``-vv`` after what it was caused by, in any process."""
    if verbose > 1:
        tell("".join(traceback.format_exception(error)), sys.stderr)
    tell(f"gammalearn: {error}", sys.stderr)


def _experiment(arguments) -> "Experiment":
    """The experiment of a settings file, with what ``--set`` changes."""
    from .settings_reading import load_experiment, override

    return override(load_experiment(arguments.settings, arguments.imports), arguments.set)


def _evaluation(arguments) -> "EvaluationSettings":
    """Settings of an evaluation alone."""
    from .settings import Experiment
    from .settings_reading import override

    return override(Experiment(), arguments.set).evaluation


def _new_folder(arguments) -> Path:
    """The output folder, which may not hold anything but results that are to be replaced."""
    from .folder import check_folder

    output = Path(arguments.output)
    check_folder(output, arguments.overwrite)
    return output


#: Commands by other names that are tried.
SYNONYMS = {
    "train": "run",
    "fit": "run",
    "reconstruct": "predict",
    "apply": "predict",
    "test": "evaluate",
    "plot": "show",
    "list": "models",
}

#: How warnings of libraries begin that are not shown, and why.
SILENCED = {
    "Cannot merge meta key 'CTAPIPE_VERSION'": "files of several releases have the same columns",
}

#: What follows an interruption.
HINTS = {run: "; go on with --resume", simulate: "; no file was written"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser, commands = make_parsers()
    if not argv:
        parser.print_help()
        return 0
    try:
        argv = _with_command(argv, commands)
    except SettingsError as error:
        _tell_error(error, verbose=0)
        return USER_ERROR
    arguments = parser.parse_args(_with_values(argv))
    _configure_logging(arguments.verbose, arguments.quiet)
    try:
        status = arguments.function(arguments)
    except GammaLearnError as error:
        _tell_error(error, arguments.verbose)
        return USER_ERROR
    except KeyboardInterrupt as interrupt:
        hint = str(interrupt) or HINTS.get(arguments.function, "")
        tell(f"gammalearn: interrupted{hint}.", sys.stderr)
        # Another signal than Ctrl-C has a status of its own.
        return getattr(interrupt, "status", INTERRUPTED)
    return status or 0


def _with_command(argv: list[str], commands: Collection[str]) -> list[str]:
    """The arguments with the command first; ``SETTINGS`` is short for ``run SETTINGS``.

    Raises
    ------
    SettingsError
        If the first word is neither a command nor the name of a file.
    """
    flags = list(itertools.takewhile(lambda word: word.startswith("-"), argv))
    words = argv[len(flags) :]
    if not words:
        return flags
    if words[0] in commands:
        return [words[0], *flags, *words[1:]]
    if re.fullmatch(r"[\w-]+", words[0]) and not flags and not Path(words[0]).exists():
        names = [*sorted(commands), *SYNONYMS]
        close = difflib.get_close_matches(words[0].lower(), names, n=1)
        hint = f"did you mean '{SYNONYMS.get(close[0], close[0])}'? " if close else ""
        raise SettingsError(
            f"There is no command '{words[0]}': {hint}Commands: {', '.join(sorted(commands))}."
        )
    return ["run", *flags, *words]


def _with_values(argv: list[str]) -> list[str]:
    """The arguments, those like ``-90deg`` with a space before: to argparse they are no options."""
    return [f" {word}" if re.match(r"-\.?\d", word) else word for word in argv]


def make_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the command line, and that of each command by its name."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="print more messages; -vv also prints tracebacks",
    )
    common.add_argument(
        "-q", "--quiet", action="store_true", help="print errors only, no progress bars"
    )

    parser = argparse.ArgumentParser(
        prog="gammalearn",
        description="Deep-learning event reconstruction for Cherenkov telescopes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gammalearn {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(function, **options):
        sub = commands.add_parser(
            function.__name__.replace("_", "-"),
            parents=[common],
            help=function.__doc__.rstrip("."),
            description=function.__doc__,
            **options,
        )
        sub.set_defaults(function=function)
        return sub

    sub = command(run)
    _add_settings(sub)
    _add_set(sub)
    sub.add_argument(
        "-o", "--output", metavar="DIR", help="folder for the results (default: runs/NAME)"
    )
    sub.add_argument("--overwrite", action="store_true", help="replace existing results in DIR")
    sub.add_argument("--resume", action="store_true", help="continue the interrupted run in DIR")
    sub.add_argument(
        "--fast-dev-run",
        action="store_true",
        help="run one batch of each step to test the settings",
    )

    sub = command(baseline)
    _add_settings(sub)
    _add_set(sub)
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the results")
    sub.add_argument("--overwrite", action="store_true", help="replace existing results in DIR")

    sub = command(sweep)
    _add_settings(sub)
    sub.add_argument(
        "--grid",
        metavar="A.B=VALUE,VALUE",
        action="append",
        default=[],
        help="values of a setting; if given several times, all combinations are run",
    )
    sub.add_argument(
        "--seeds", metavar="N", type=_count, default=1, help="number of seeds for each combination"
    )
    _add_set(sub)
    sub.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder for the runs and the table"
    )
    instead = sub.add_mutually_exclusive_group()
    instead.add_argument(
        "--slurm", action="store_true", help="print a script for sbatch; run nothing"
    )
    instead.add_argument(
        "--index", metavar="N", type=int, help="do only run number N, counted from 0"
    )
    instead.add_argument(
        "--summary", action="store_true", help="summarise finished runs; run nothing"
    )

    sub = command(lr_range)
    _add_settings(sub)
    _add_set(sub)
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the results")
    sub.add_argument(
        "--lowest", metavar="RATE", type=float, default=1e-6, help="smallest step size"
    )
    sub.add_argument("--highest", metavar="RATE", type=float, default=1.0, help="largest step size")
    sub.add_argument(
        "--steps", metavar="N", type=_count, default=200, help="largest number of steps"
    )
    sub.add_argument("--overwrite", action="store_true", help="replace existing results in DIR")

    sub = command(predict)
    _add_checkpoint(sub)
    sub.add_argument("input", metavar="INPUT", nargs="+", help="DL1 files or quoted globs")
    sub.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder for the DL2 files"
    )
    sub.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        help="process only part I of N of the inputs, for array jobs: 1/8 to 8/8",
    )
    sub.add_argument(
        "--telescopes",
        metavar="LST,…",
        help="types, names or ids of the telescopes to use (default: as in the training)",
    )
    _add_set(sub)
    sub.add_argument(
        "--format",
        choices=["ctapipe", "lstchain"],
        help="layout of the DL2 files; lstchain needs lstchain DL1 files (default: as in the "
        "settings of the training)",
    )
    sub.add_argument(
        "--link-truth",
        action="store_true",
        help="link to the truth in ctapipe DL1 files instead of copying it; the DL1 files must "
        "then stay in their place",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace existing DL2 files")

    sub = command(evaluate)
    sub.add_argument("input", metavar="DL2", nargs="+", help="DL2 files or quoted globs")
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the results")
    sub.add_argument("--algorithm", metavar="NAME", help="DL2 algorithm, if the files hold several")
    _add_set(sub)
    sub.add_argument("--overwrite", action="store_true", help="replace existing results in DIR")

    sub = command(compare)
    sub.add_argument(
        "input",
        metavar="SET[:ALGORITHM]",
        nargs="+",
        help="folder of a run or of DL2 files, file, or quoted glob; the first is the reference",
    )
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the results")
    sub.add_argument(
        "--labels",
        metavar="LABEL",
        nargs="+",
        help="one label for each set; use the same label for runs with different seeds",
    )
    sub.add_argument(
        "--weights",
        choices=["none", "intensity", "konrad"],
        default="none",
        help="weights of the telescopes in the mean of mono results (default: %(default)s)",
    )
    _add_set(sub)
    sub.add_argument("--overwrite", action="store_true", help="replace existing results in DIR")

    sub = command(simulate)
    _add_simulation(sub)
    sub.add_argument(
        "-j",
        "--processes",
        metavar="N",
        type=_count,
        help="number of processes (default: all cores)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")

    sub = command(info)
    sub.add_argument(
        "file",
        metavar="FILE",
        nargs="+",
        help="DL1 file, DL2 file, checkpoint, or name of a shipped network",
    )
    _add_imports(sub)

    sub = command(show)
    sub.add_argument("file", metavar="FILE", help="DL1 or sim_telarray file")
    sub.add_argument("--event", metavar="N", type=int, required=True, help="event_id of the event")
    sub.add_argument(
        "--obs-id", metavar="N", type=int, help="obs_id of the event, if the file has several runs"
    )
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help="picture to write")
    sub.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")

    sub = command(export)
    _add_checkpoint(sub)
    sub.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file to write (default: CHECKPOINT with the ending .onnx)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")

    command(models)

    sub = command(slim)
    _add_checkpoint(sub)
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help="checkpoint to write")
    sub.add_argument(
        "--half",
        action="store_true",
        help="store weights in half precision: half the size, less precise",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    return parser, commands.choices


def _count(word: str) -> int:
    count = int(word) if word.strip().isdecimal() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {word.strip()}")
    return count


def _shard(word: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)/(\d+)\s*", word)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(
            f"expected I/N with I from 1 to N, such as 1/8, got {word.strip()}"
        )
    return number, of


def _add_checkpoint(parser) -> None:
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="checkpoint file, or name of a shipped network",
    )
    _add_imports(parser)


def _add_settings(parser) -> None:
    parser.add_argument("settings", metavar="SETTINGS", help="experiment: a .py or .yaml file")
    _add_imports(parser)


def _add_imports(parser) -> None:
    parser.add_argument(
        "--imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="import your own module with tasks or encoders, by its name or file; can be repeated",
    )


def _add_set(parser) -> None:
    parser.add_argument(
        "--set",
        metavar="A.B=VALUE",
        action="append",
        default=[],
        help="change a setting, e.g. training.epochs=5; can be repeated",
    )


def _add_simulation(parser) -> None:
    """An option for each setting of a simulation."""
    from .settings import SimulationSettings

    for name, field in SimulationSettings.model_fields.items():
        words = " ".join(field.description.split()).replace("``", "").replace("%", "%%")
        known = (
            "" if field.default is None or field.is_required() else f" (default: {field.default})"
        )
        parser.add_argument(
            *(["-o"] if name == "output" else []),
            f"--{name.replace('_', '-')}",
            required=field.is_required(),
            help=words.rstrip(".") + known,
            **({"metavar": "FILE"} if name == "output" else {}),
            **({"nargs": 2, "metavar": ("MIN", "MAX")} if name == "energy" else {}),
        )


def _configure_logging(verbose: int, quiet: bool) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    level = logging.ERROR if quiet else level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    warnings.formatwarning = format_warning
    # Of other packages warnings at the most.
    logging.getLogger().setLevel(max(level, logging.WARNING))
    logging.getLogger("gammalearn").setLevel(level)
    if quiet:
        warnings.simplefilter("ignore")
    elif verbose < 2:
        for beginning in SILENCED:
            warnings.filterwarnings("ignore", message=beginning)
