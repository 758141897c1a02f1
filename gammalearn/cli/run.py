"""``gammalearn run``, or ``gammalearn SETTINGS``."""

import argparse
from pathlib import Path

from ..io.printable import tell
from .command import Command
from .given import any_experiment
from .messages import tell_results
from .options import add_overwrite, add_set, add_settings

__all__ = ["RUN"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_set(parser)
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder for the results (default: runs/NAME)"
    )
    add_overwrite(parser)
    parser.add_argument("--resume", action="store_true", help="continue the interrupted run in DIR")
    parser.add_argument(
        "--fast-dev-run",
        action="store_true",
        help="run one batch of each step to test the settings",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run an experiment: train a network, reconstruct the test events, evaluate them."""
    settings = any_experiment(arguments)
    default = Path("runs") / Path(arguments.settings).stem
    output = Path(arguments.output or settings.output.directory or default)
    if not arguments.quiet:
        tell(f"Running '{arguments.settings}'; results go to '{output}'.")
    from ..run.options import RunOptions
    from ..settings import Experiment

    options = RunOptions(
        overwrite=arguments.overwrite,
        resume=arguments.resume,
        fast_dev_run=arguments.fast_dev_run,
        progress=not arguments.quiet,
    )
    if isinstance(settings, Experiment):
        from ..run.experiment import run

        run(settings, output, options)
    else:
        from ..run.surveys import run_survey

        run_survey(settings, output, options)
    tell_results(arguments, output / "report.html")


RUN = Command(run, _add_arguments, interrupted="; go on with --resume")
