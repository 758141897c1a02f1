"""``gammalearn simulate``."""

import argparse
from typing import Any

from ..io.printable import tell
from .command import Command
from .options import add_overwrite, count

__all__ = ["SIMULATE"]

#: How the values of some settings are given.
SHAPES: dict[str, dict[str, Any]] = {
    "output": {"metavar": "FILE"},
    "energy": {"nargs": 2, "metavar": ("MIN", "MAX")},
}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_settings(parser)
    parser.add_argument(
        "-j",
        "--processes",
        metavar="N",
        type=count,
        help="number of processes (default: all cores)",
    )
    add_overwrite(parser, "FILE if it exists")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for each setting of a simulation."""
    from ..settings import SimulationSettings

    for name, field in SimulationSettings.model_fields.items():
        words = " ".join((field.description or "").split()).replace("``", "").replace("%", "%%")
        known = (
            "" if field.default is None or field.is_required() else f" (default: {field.default})"
        )
        parser.add_argument(
            *(["-o"] if name == "output" else []),
            f"--{name.replace('_', '-')}",
            required=field.is_required(),
            help=words.rstrip(".") + known,
            **SHAPES.get(name, {}),
        )
    for old in SimulationSettings.renamed:
        parser.add_argument(f"--{old.rpartition('.')[2]}", help=argparse.SUPPRESS)


def simulate(arguments: argparse.Namespace) -> None:
    """Simulate showers and telescopes and write a DL1 file."""
    from ..settings import SimulationSettings
    from ..settings.reading import read_simulation

    given = {
        name: value
        for name, value in vars(arguments).items()
        if SimulationSettings.current_key(name) in SimulationSettings.model_fields
        and value is not None
    }
    settings = read_simulation(given, "gammalearn simulate")
    from ..machine.cores import usable_cores
    from ..simulation import simulate

    path = simulate(
        settings,
        processes=arguments.processes or usable_cores(),
        overwrite=arguments.overwrite,
        progress=not arguments.quiet,
    )
    tell(path)


SIMULATE = Command(simulate, _add_arguments, interrupted="; no file was written")
