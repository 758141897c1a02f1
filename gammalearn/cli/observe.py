"""``gammalearn observe``."""

import argparse
from pathlib import Path

from ..io.printable import tell
from ..settings.own_modules import import_modules
from .command import Command
from .options import (
    add_checkpoint,
    add_overwrite,
    add_response,
    add_results,
    add_set,
    response_of,
)

__all__ = ["OBSERVE"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="DL1", nargs="+", help="DL1 files or quoted globs")
    add_checkpoint(parser)
    add_response(parser)
    add_results(parser, "the DL3 files; the DL2 files are in its folder dl2")
    add_set(parser)
    add_overwrite(parser, "existing DL2 files, and DL3 files of the same observations")


def observe(arguments: argparse.Namespace) -> None:
    """Make DL3 from DL1 of observations: reconstruct the events, then make event lists."""
    from ..io.finding import find_files
    from ..models import find_checkpoint

    find_checkpoint(arguments.checkpoint)
    find_files(arguments.input, "DL1")
    response = response_of(arguments)
    import_modules(arguments.imports)
    from ..run.observation import observe
    from ..run.options import RunOptions

    paths = observe(
        arguments.checkpoint,
        arguments.input,
        Path(arguments.output),
        RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet),
        assignments=arguments.set,
        **response,
    )
    for path in paths:
        tell(path)


OBSERVE = Command(observe, _add_arguments)
