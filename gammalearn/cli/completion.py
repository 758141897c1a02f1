"""``gammalearn --print-completion``: what lets a shell complete commands, options and files."""

import argparse
from collections.abc import Sequence
from typing import Any

from ..errors import MissingPackageError
from ..io.printable import tell

__all__ = ["OPTION", "SHELLS", "PrintCompletion"]

OPTION = "--print-completion"

#: Shells that are known.
SHELLS = ("bash", "zsh", "fish")

#: What arguments are called that are files, and those that are folders.
FILES = {"CHECKPOINT", "DL2", "FILE", "INPUT", "MODULE", "SET[:ALGORITHM]", "SETTINGS"}
FOLDERS = {"DIR"}


class PrintCompletion(argparse.Action):
    """Prints the completion of a parser for a shell, and ends the program."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            import shtab
        except ImportError as error:
            raise MissingPackageError(
                f"{OPTION} needs the package shtab: pip install shtab."
            ) from error
        _complete_files(parser, shtab.FILE, shtab.DIRECTORY)
        tell(shtab.complete(parser, shell=str(values)))
        parser.exit(0)


def _complete_files(parser: argparse.ArgumentParser, files: dict, folders: dict) -> None:
    """Let arguments be completed by names of files, in the parsers of all commands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, files, folders)
        elif action.metavar in FILES:
            action.complete = files  # type: ignore[attr-defined]  # shtab's
        elif action.metavar in FOLDERS:
            action.complete = folders  # type: ignore[attr-defined]  # shtab's
