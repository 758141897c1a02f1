"""Writes reference/commands.md, the reference of the command line, from its own help.

Run it after a change of gammalearn/cli: ``python docs/make_commands.py``.
"""

import argparse
from pathlib import Path

from gammalearn.cli import make_parsers

INTRODUCTION = """\
# Commands

`gammalearn COMMAND --help` prints the help of a command. `gammalearn SETTINGS` is short for
`gammalearn run SETTINGS`. Globs such as `"dl1/*.dl1.h5"` may be quoted; GammaLearn expands them.

All commands take `-v` (more messages), `-vv` (also tracebacks) and `-q` (errors only, no progress
bars). `gammalearn --print-completion SHELL` prints the
[completion](../howto/shell_completion.md) for bash, zsh or fish.

This page is made from gammalearn/cli.
"""

#: What all commands have, and what the introduction tells.
COMMON = {"help", "verbose", "quiet"}


def spelling(action: argparse.Action) -> str:
    """An argument as one would type it."""
    metavar = action.metavar or (action.choices and "{" + ",".join(action.choices) + "}") or ""
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if not action.option_strings:
        return f"{value} …" if action.nargs in ("+", "*") else value
    value = "" if action.nargs == 0 else value or action.dest.upper()
    if action.nargs == "+":
        value += " …"
    return f"{', '.join(action.option_strings)} {value}".strip()


def explanation(action: argparse.Action) -> str:
    """The help of an argument on one line."""
    words = " ".join((action.help or "").split()) % vars(action)
    needed = action.required and action.option_strings
    return (words + (" (needed)" if needed else "")).replace("|", r"\|")


def commands_reference() -> str:
    """The page."""
    lines = [INTRODUCTION]
    for name, parser in make_parsers()[1].items():
        lines += [f"## gammalearn {name}", "", parser.description, ""]
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
        own = [action for action in shown if action.dest not in COMMON]
        rows = [f"| `{spelling(action)}` | {explanation(action)} |" for action in own]
        lines += ["| argument | meaning |", "|---|---|", *rows, ""] if rows else []
    return "\n".join(lines)


if __name__ == "__main__":
    page = Path(__file__).with_name("reference") / "commands.md"
    page.write_text(commands_reference(), encoding="utf-8")
