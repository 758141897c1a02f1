"""``gammalearn slim``."""

import argparse

from ..io.printable import tell
from ..settings.own_modules import import_modules
from .command import Command
from .options import add_checkpoint, add_overwrite

__all__ = ["SLIM"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="checkpoint to write")
    parser.add_argument(
        "--half",
        action="store_true",
        help="store weights in half precision: half the size, less precise",
    )
    add_overwrite(parser, "FILE if it exists")


def slim(arguments: argparse.Namespace) -> None:
    """Write a small checkpoint to share, without the state of the training."""
    from ..models import find_checkpoint

    find_checkpoint(arguments.checkpoint)
    import_modules(arguments.imports)
    from ..checkpoint.slim import slim
    from ..checkpoint.trained import load_checkpoint

    trained = load_checkpoint(arguments.checkpoint)
    tell(slim(trained, arguments.output, arguments.half, arguments.overwrite))


SLIM = Command(slim, _add_arguments)
