"""``gammalearn evaluate``."""

import argparse

from ..errors import SettingsError
from .command import Command
from .given import evaluation_settings, results_folder
from .messages import tell_results
from .options import add_overwrite, add_results, add_set

__all__ = ["EVALUATE"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        metavar="DL2",
        nargs="+",
        help="DL2 files or quoted globs; tables of predictions of a survey",
    )
    add_results(parser)
    parser.add_argument(
        "--algorithm", metavar="NAME", help="DL2 algorithm, if the files hold several"
    )
    add_set(parser)
    add_overwrite(parser)


def evaluate(arguments: argparse.Namespace) -> None:
    """Evaluate DL2 files from any software and write a report."""
    from ..io.finding import find_files
    from ..surveys.recognition import are_predictions

    if are_predictions(arguments.input):
        _evaluate_survey(arguments)
        return
    settings = evaluation_settings(arguments)
    if arguments.algorithm:
        settings = settings.model_copy(update={"algorithm": arguments.algorithm})
    remedy = "make DL2 files with `gammalearn predict`, or name others"
    files = find_files(arguments.input, "DL2", remedy)
    output = results_folder(arguments)
    from ..evaluation import evaluate

    evaluate(files, output, settings)
    tell_results(arguments, output / "report.html")


def _evaluate_survey(arguments: argparse.Namespace) -> None:
    """Evaluate tables of predictions of a survey."""
    from ..io.finding import find_files

    if arguments.algorithm:
        raise SettingsError("--algorithm is for DL2 files, not for tables of predictions.")
    output = results_folder(arguments)
    files = find_files(arguments.input, "DL2", "make a table with `gammalearn predict`")
    from ..run.surveys import evaluate_predictions

    evaluate_predictions(files, output, arguments.set)
    tell_results(arguments, output / "report.html")


EVALUATE = Command(evaluate, _add_arguments)
