"""``gammalearn info``."""

import argparse
from pathlib import Path

from ..errors import GammaLearnError
from ..io.printable import tell
from ..settings.own_modules import import_modules
from .command import USER_ERROR, Command
from .messages import tell_error
from .options import add_imports

__all__ = ["INFO"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="+",
        help="DL1 file, DL2 file, checkpoint, or name of a shipped network",
    )
    parser.add_argument(
        "--match",
        metavar="SIMULATED",
        help="print the settings that make the images of this simulated DL1 file like those of the "
        "(one) observed FILE: night sky, missing pixels, gains",
    )
    add_imports(parser)


def info(arguments: argparse.Namespace) -> int:
    """Describe a DL1 file, a DL2 file or a network; print a table for several DL1 files."""
    from ..io.finding import check_file
    from ..models import find_checkpoint, names_network

    if len(arguments.file) == 1:
        # Of several, those that are there are described.
        (path,) = arguments.file
        (find_checkpoint if names_network(path) else check_file)(path)
    if arguments.match is not None:
        return _match(arguments)
    import_modules(arguments.imports)
    from ..surveys.recognition import is_survey_file

    paths = [Path(path) for path in arguments.file]
    of_surveys = [path for path in paths if is_survey_file(path)]
    others = [path for path in paths if path not in of_surveys]
    text = ""
    errors: list[GammaLearnError] = []
    if others:
        from ..inspection.info import describe

        text, errors = describe(others)
    if of_surveys:
        from ..run.survey_files import describe_survey_files

        of_survey, more = describe_survey_files(of_surveys)
        text, errors = "\n".join(filter(None, (text, of_survey))), [*errors, *more]
    if text:
        tell(text)
    for error in errors:
        tell_error(error, arguments.verbose)
    return USER_ERROR if errors else 0


def _match(arguments: argparse.Namespace) -> int:
    """Print what makes a simulated file like an observed one."""
    from ..errors import SettingsError
    from ..io.finding import check_file

    if len(arguments.file) != 1:
        raise SettingsError(
            f"--match compares one observed file with '{arguments.match}', and {arguments.file} "
            "are several; give one FILE."
        )
    (observed,) = arguments.file
    for path in (observed, arguments.match):
        check_file(path)
    from ..inspection.match import describe_match

    tell(describe_match(Path(observed), Path(arguments.match)))
    return 0


INFO = Command(info, _add_arguments)
