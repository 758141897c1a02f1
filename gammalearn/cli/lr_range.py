"""``gammalearn lr-range``."""

import argparse

from ..io.printable import tell
from .command import Command
from .given import experiment, results_folder
from .options import add_overwrite, add_results, add_set, add_settings, count

__all__ = ["LR_RANGE"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_set(parser)
    add_results(parser)
    parser.add_argument(
        "--lowest", metavar="RATE", type=float, default=1e-6, help="smallest step size"
    )
    parser.add_argument(
        "--highest", metavar="RATE", type=float, default=1.0, help="largest step size"
    )
    parser.add_argument(
        "--steps", metavar="N", type=count, default=200, help="largest number of steps"
    )
    add_overwrite(parser)


def lr_range(arguments: argparse.Namespace) -> None:
    """Test increasing step sizes and suggest a learning rate."""
    settings, output = experiment(arguments), results_folder(arguments)
    from ..run.experiment import find_learning_rate
    from ..run.options import RunOptions

    options = RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet)
    suggestion = find_learning_rate(
        settings, output, arguments.lowest, arguments.highest, arguments.steps, options
    )
    if suggestion is None:
        tell(f"The loss never falls; see {output / 'lr_range.png'}.")
    else:
        tell(f"training.learning_rate={suggestion:.2g}; see {output / 'lr_range.png'}.")


LR_RANGE = Command(lr_range, _add_arguments)
