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
    from ..surveys.recognition import is_survey_checkpoint

    checkpoint = Path(arguments.checkpoint)
    output = Path(arguments.output or checkpoint.with_suffix(".onnx"))
    if is_survey_checkpoint(checkpoint):
        from ..surveys.checkpoint import load_survey_network
        from ..surveys.galaxies.export import export_onnx as export_cutouts

        tell(export_cutouts(load_survey_network(checkpoint), output, arguments.overwrite))
        return
    from ..checkpoint.export import export_onnx
    from ..checkpoint.trained import load_checkpoint

    tell(export_onnx(load_checkpoint(checkpoint), output, arguments.overwrite))


EXPORT = Command(export, _add_arguments)
