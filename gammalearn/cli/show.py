"""``gammalearn show``."""

import argparse
from pathlib import Path

from ..io.printable import tell
from .command import Command
from .options import add_overwrite

__all__ = ["SHOW"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="DL1 or sim_telarray file")
    parser.add_argument(
        "--event", metavar="N", type=int, required=True, help="event_id of the event"
    )
    parser.add_argument(
        "--obs-id", metavar="N", type=int, help="obs_id of the event, if the file has several runs"
    )
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="picture to write")
    add_overwrite(parser, "FILE if it exists")


def show(arguments: argparse.Namespace) -> None:
    """Draw the images of an event."""
    from ..io.finding import check_file

    check_file(arguments.file)
    from ..inspection.show import show_event

    picture = show_event(
        Path(arguments.file),
        arguments.event,
        Path(arguments.output),
        arguments.obs_id,
        arguments.overwrite,
    )
    tell(picture)


SHOW = Command(show, _add_arguments)
