"""``gammalearn compare``."""

import argparse

from .command import Command
from .given import evaluation_settings, results_folder
from .messages import tell_results
from .options import add_overwrite, add_results, add_set

__all__ = ["COMPARE"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        metavar="SET[:ALGORITHM]",
        nargs="+",
        help="folder of a run or of DL2 files, file, or quoted glob; the first is the reference",
    )
    add_results(parser)
    parser.add_argument(
        "--labels",
        metavar="LABEL",
        nargs="+",
        help="one label for each set; use the same label for runs with different seeds",
    )
    parser.add_argument(
        "--weights",
        choices=["none", "intensity", "konrad"],
        default="none",
        help="weights of the telescopes in the mean of mono results (default: %(default)s)",
    )
    add_set(parser)
    add_overwrite(parser)


def compare(arguments: argparse.Namespace) -> None:
    """Compare several reconstructions of the same events."""
    from ..surveys.recognition import are_predictions

    if are_predictions(arguments.input):
        output = results_folder(arguments)
        from ..run.surveys import compare_predictions

        compare_predictions(arguments.input, output, arguments.set, arguments.labels)
        tell_results(arguments, output / "compare.html")
        return
    settings, output = evaluation_settings(arguments), results_folder(arguments)
    from ..evaluation import compare

    compare(arguments.input, output, settings, arguments.labels, arguments.weights)
    tell_results(arguments, output / "compare.html")


COMPARE = Command(compare, _add_arguments)
