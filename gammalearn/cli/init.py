"""``gammalearn init``."""

import argparse
from pathlib import Path
from shlex import quote

from ..io.printable import tell
from .command import Command
from .options import add_overwrite

__all__ = ["INIT"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="*",
        help="DL1 files or quoted globs; without files, the experiment simulates its showers",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="experiment.py",
        help="experiment to write (default: %(default)s)",
    )
    add_overwrite(parser, "the experiment if it exists")


def init(arguments: argparse.Namespace) -> None:
    """Look into DL1 files and write an experiment for them, as a Python file with comments."""
    from ..inspection.draft import check_place_of_draft
    from ..io.finding import find_files

    output = Path(arguments.output)
    check_place_of_draft(output, arguments.overwrite)
    files = find_files(arguments.file, "FILE") if arguments.file else []
    from ..inspection.draft import choose, simulated_draft, survey_files, write_draft

    progress = not arguments.quiet
    draft = choose(survey_files(files, progress)) if files else simulated_draft()
    write_draft(draft, output, arguments.overwrite)
    if not arguments.quiet:
        tell(f"Wrote '{output}'. Read it, then check it: gammalearn check {quote(str(output))}")


INIT = Command(init, _add_arguments)
