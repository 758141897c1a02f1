"""``gammalearn doctor``."""

import argparse

from ..io.printable import tell
from .command import USER_ERROR, Command
from .messages import tell_error

__all__ = ["DOCTOR"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clear-cache",
        action="store_true",
        help="delete what GammaLearn keeps in its cache; it is made again when it is needed",
    )


def doctor(arguments: argparse.Namespace) -> int:
    """Examine the installation and the machine; list what is wrong and what to do."""
    if arguments.clear_cache:
        from ..data.loading.cache import cache_folder, clear_cache

        folder = cache_folder(None)
        n_entries = clear_cache(folder)
        if not arguments.quiet:
            tell(f"Entries deleted from the cache '{folder}': {n_entries}\n")
    from ..inspection.doctor import examine

    found = examine()
    if not arguments.quiet:
        tell(found.text())
    for error in found.errors:
        tell_error(error, arguments.verbose)
    if found.errors:
        return USER_ERROR
    if not arguments.quiet:
        tell("\nNothing is wrong.")
    return 0


DOCTOR = Command(doctor, _add_arguments)
