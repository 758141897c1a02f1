"""``gammalearn export``."""

import argparse
from pathlib import Path

from ..io.printable import tell
from ..settings.own_modules import import_modules
from .command import Command
from .options import add_checkpoint, add_overwrite

__all__ = ["EXPORT"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file to write (default: CHECKPOINT with the ending .onnx)",
    )
    add_overwrite(parser, "FILE if it exists")


def export(arguments: argparse.Namespace) -> None:
    """Export a trained network as ONNX, for other programs."""
    from ..models import find_checkpoint

    find_checkpoint(arguments.checkpoint)
    import_modules(arguments.imports)
    from ..checkpoint.export import export_onnx
    from ..checkpoint.trained import load_checkpoint

    checkpoint = Path(arguments.checkpoint)
    output = Path(arguments.output or checkpoint.with_suffix(".onnx"))
    tell(export_onnx(load_checkpoint(checkpoint), output, arguments.overwrite))


EXPORT = Command(export, _add_arguments)
