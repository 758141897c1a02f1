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
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="+",
        help="DL1 or sim_telarray file; catalogue, for the network of a survey",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--event", metavar="N", type=int, help="event_id of the event to explain, of one file"
    )
    what.add_argument(
        "--object", metavar="NAME", help="object_id of the object to explain, of a survey"
    )
    what.add_argument(
        "--map",
        action="store_true",
        help="map of events or objects: those that the network finds alike are near each other",
    )
    parser.add_argument(
        "--obs-id", metavar="N", type=int, help="obs_id of the event, if the file has several runs"
    )
    parser.add_argument(
        "--task",
        metavar="NAME",
        help="quantity to explain, such as direction or particle_type (default: energy; of a "
        "survey the first task of the network)",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count,
        help="steps of the integrated gradients; more steps are more exact (default: 64; of a "
        "survey 256)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="picture to write")
    add_imports(parser)
    add_overwrite(parser, "FILE if it exists")


def explain(arguments: argparse.Namespace) -> None:
    """Draw which pixels or observations a result comes from, or a map of events."""
    from ..errors import SettingsError
    from ..io.finding import MAKE_DL1, find_files
    from ..models import find_checkpoint

    path = find_checkpoint(arguments.network)
    from ..surveys.recognition import is_survey_checkpoint

    if is_survey_checkpoint(path):
        _explain_objects(arguments, path)
        return
    if arguments.object is not None:
        raise SettingsError(
            f"--object is for networks of surveys, and '{path}' is one of telescopes; give --event "
            "or --map."
        )
    files = find_files(arguments.file, "files to explain", MAKE_DL1)
    if arguments.event is not None and len(files) > 1:
        raise SettingsError(
            f"--event explains an event of one file, and {len(files)} files were given; give one."
        )
    import_modules(arguments.imports)
    from ..checkpoint.trained import load_checkpoint
    from ..inspection.explain import STEPS, draw_explanation, draw_map, explain_event
    from ..inspection.pictures import picture_path, write_picture

    picture = picture_path(Path(arguments.output), arguments.overwrite)
    trained = load_checkpoint(path)
    if arguments.map:
        figure = draw_map(trained, files)
    else:
        tasks, steps = [arguments.task or "energy"], arguments.steps or STEPS
        explanations = explain_event(
            trained, files[0], arguments.event, arguments.obs_id, tasks, steps
        )
        figure = draw_explanation(explanations, trained.cameras)
    write_picture(figure, picture)
    tell(picture)


def _explain_objects(arguments: argparse.Namespace, checkpoint: Path) -> None:
    """The same for an object of a survey, or a map of objects."""
    from ..errors import SettingsError
    from ..inspection.pictures import picture_path, write_picture
    from ..run.surveys import explain_objects

    for name, value in (("--event", arguments.event), ("--obs-id", arguments.obs_id)):
        if value is not None:
            raise SettingsError(
                f"{name} is for networks of telescopes, and '{checkpoint}' is one for a survey; "
                "give --object or --map."
            )
    picture = picture_path(Path(arguments.output), arguments.overwrite)
    figure = explain_objects(
        checkpoint, arguments.file, arguments.object, arguments.task, arguments.steps
    )
    write_picture(figure, picture)
    tell(picture)


EXPLAIN = Command(explain, _add_arguments)
