"""What a command is, and how it can end."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["BROKEN_PIPE", "INTERRUPTED", "USER_ERROR", "Command"]

#: Exit status for an error that the user can mend, and after Ctrl-C.
USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """Leave the parser with the options of all commands."""


@dataclass(frozen=True)
class Command:
    """A command: its arguments, and what it does.

    Attributes
    ----------
    run : callable
        Does the work, given the parsed arguments. It returns the exit status, or None for 0. The
        command has its name, and its docstring as help.
    add_arguments : callable
        Adds the arguments to the parser of the command.
    interrupted : str
        What the user is told after an interruption: a part of a sentence.
    """

    run: Callable[[argparse.Namespace], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    interrupted: str = ""

    @property
    def name(self) -> str:
        """The word that a user types."""
        return self.run.__name__.replace("_", "-")

    @property
    def description(self) -> str:
        """What it does, in one sentence."""
        return self.run.__doc__ or ""
