"""The words of a command line, before they are parsed."""

import difflib
import itertools
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import SettingsError

__all__ = ["with_command", "with_values"]

#: Commands by other names that are tried.
SYNONYMS = {
    "train": "run",
    "fit": "run",
    "reconstruct": "predict",
    "apply": "predict",
    "test": "evaluate",
    "plot": "show",
    "list": "models",
}


def with_command(argv: Sequence[str], commands: Collection[str]) -> list[str]:
    """The arguments with the command first; ``SETTINGS`` is short for ``run SETTINGS``.

    Raises
    ------
    SettingsError
        If the first word is neither a command nor the name of a file.
    """
    flags = list(itertools.takewhile(lambda word: word.startswith("-"), argv))
    words = argv[len(flags) :]
    if not words:
        return flags
    if words[0] in commands:
        return [words[0], *flags, *words[1:]]
    if re.fullmatch(r"[\w-]+", words[0]) and not flags and not Path(words[0]).exists():
        names = [*sorted(commands), *SYNONYMS]
        close = difflib.get_close_matches(words[0].lower(), names, n=1)
        hint = f"did you mean '{SYNONYMS.get(close[0], close[0])}'? " if close else ""
        raise SettingsError(
            f"There is no command '{words[0]}': {hint}Commands: {', '.join(sorted(commands))}."
        )
    return ["run", *flags, *words]


def with_values(argv: Sequence[str]) -> list[str]:
    """The arguments, those like ``-90deg`` with a space before: to argparse they are no options."""
    return [f" {word}" if re.match(r"-\.?\d", word) else word for word in argv]
