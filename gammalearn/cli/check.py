"""``gammalearn check``."""

import argparse

from ..io.printable import tell
from .command import USER_ERROR, Command
from .messages import tell_error
from .options import add_set, add_settings

__all__ = ["CHECK"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_set(parser)


def check(arguments: argparse.Namespace) -> int:
    """Check settings and data without a training; list all errors and the selected events."""
    from ..settings.all_mistakes import read_past_mistakes

    reading = read_past_mistakes(arguments.settings, arguments.imports, arguments.set)
    # Those of the settings at once: data may take minutes.
    for error in reading.errors:
        tell_error(error, arguments.verbose)
    if reading.experiment is None:
        return USER_ERROR
    from ..inspection.check import check_experiment

    text, errors = check_experiment(reading)
    if text and not arguments.quiet:
        tell(text)
    for error in errors:
        tell_error(error, arguments.verbose)
    if reading.errors or errors:
        return USER_ERROR
    if not arguments.quiet:
        tell("\nNothing is wrong.")
    return 0


CHECK = Command(check, _add_arguments)
