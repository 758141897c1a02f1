"""``gammalearn baseline``."""

import argparse

from ..io.printable import tell
from .command import Command
from .given import experiment, results_folder
from .messages import tell_results
from .options import add_overwrite, add_results, add_set, add_settings

__all__ = ["BASELINE"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_set(parser)
    add_results(parser)
    add_overwrite(parser)


def baseline(arguments: argparse.Namespace) -> None:
    """Reconstruct the events of an experiment with Hillas parameters and boosted trees."""
    settings, output = experiment(arguments), results_folder(arguments)
    from ..run.baseline import run_baseline
    from ..run.options import RunOptions

    options = RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet)
    for name, (_, _, parameters, result) in run_baseline(settings, output, options).items():
        tell(f"{name}: {result} with {parameters}")
    tell_results(arguments, output / "report.html")


BASELINE = Command(baseline, _add_arguments)
