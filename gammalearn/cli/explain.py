"""``gammalearn explain``."""

import argparse
from pathlib import Path

from ..io.printable import tell
from ..settings.own_modules import import_modules
from .command import Command
from .options import add_imports, add_overwrite, count

__all__ = ["EXPLAIN"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "network", metavar="NETWORK", help="checkpoint, or name of a shipped network"
    )
    parser.add_argument("file", metavar="FILE", nargs="+", help="DL1 or sim_telarray file")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--event", metavar="N", type=int, help="event_id of the event to explain, of one file"
    )
    what.add_argument(
        "--map",
        action="store_true",
        help="map of events: events that the network finds alike are near each other",
    )
    parser.add_argument(
        "--obs-id", metavar="N", type=int, help="obs_id of the event, if the file has several runs"
    )
    parser.add_argument(
        "--task",
        metavar="NAME",
        default="energy",
        help="quantity to explain, such as energy, direction or particle_type "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count,
        default=64,
        help="steps of the integrated gradients; more steps are more exact (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="picture to write")
    add_imports(parser)
    add_overwrite(parser, "FILE if it exists")


def explain(arguments: argparse.Namespace) -> None:
    """Draw which pixels and telescopes a result comes from, or a map of events."""
    from ..errors import SettingsError
    from ..io.finding import MAKE_DL1, find_files
    from ..models import find_checkpoint

    path = find_checkpoint(arguments.network)
    files = find_files(arguments.file, "files to explain", MAKE_DL1)
    if arguments.event is not None and len(files) > 1:
        raise SettingsError(
            f"--event explains an event of one file, and {len(files)} files were given; give one."
        )
    import_modules(arguments.imports)
    from ..checkpoint.trained import load_checkpoint
    from ..inspection.explain import draw_explanation, draw_map, explain_event
    from ..inspection.pictures import picture_path, write_picture

    picture = picture_path(Path(arguments.output), arguments.overwrite)
    trained = load_checkpoint(path)
    if arguments.map:
        figure = draw_map(trained, files)
    else:
        tasks, steps = [arguments.task], arguments.steps
        explanations = explain_event(
            trained, files[0], arguments.event, arguments.obs_id, tasks, steps
        )
        figure = draw_explanation(explanations, trained.cameras)
    write_picture(figure, picture)
    tell(picture)


EXPLAIN = Command(explain, _add_arguments)
