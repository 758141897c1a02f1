"""``gammalearn dl3``."""

import argparse
from pathlib import Path

from ..io.printable import tell
from .command import Command
from .options import add_overwrite, add_response, add_results, response_of

__all__ = ["DL3"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="DL2", nargs="+", help="DL2 files or quoted globs")
    add_response(parser)
    parser.add_argument(
        "--algorithm", metavar="NAME", help="DL2 algorithm, if the files hold several"
    )
    add_results(parser, "the DL3 files")
    add_overwrite(parser, "existing DL3 files of the same observations")


def dl3(arguments: argparse.Namespace) -> None:
    """Make event lists with their instrument response (DL3) from DL2 of observations."""
    from ..io.finding import find_files

    remedy = "make DL2 files with `gammalearn predict`, or name others"
    files = find_files(arguments.input, "DL2", remedy)
    response = response_of(arguments)
    from ..dl3.making import make_dl3

    paths = make_dl3(
        files,
        output=Path(arguments.output),
        algorithm=arguments.algorithm,
        overwrite=arguments.overwrite,
        **response,
    )
    for path in paths:
        tell(path)


DL3 = Command(dl3, _add_arguments)
