"""``gammalearn export``."""

import argparse
from pathlib import Path

from ..own_modules import import_modules
from ..printable import tell
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
    from ..checkpoint import load_checkpoint
    from ..export import export_onnx

    checkpoint = Path(arguments.checkpoint)
    output = Path(arguments.output or checkpoint.with_suffix(".onnx"))
    tell(export_onnx(load_checkpoint(checkpoint), output, arguments.overwrite))


EXPORT = Command(export, _add_arguments)
