"""``gammalearn simulate``."""

import argparse
from typing import Any

from ..errors import SettingsError
from ..io.printable import tell
from .command import Command
from .options import add_overwrite, count

__all__ = ["SIMULATE"]

#: How the values of some settings are given.
SHAPES: dict[str, dict[str, Any]] = {
    "output": {"metavar": "FILE"},
    "energy": {"nargs": 2, "metavar": ("MIN", "MAX")},
    "waveforms": {"action": "store_const", "const": True},
}


class _Instead(argparse.Action):
    """A file in place of options: none of them is needed any more."""

    def __init__(self, *args: Any, needless: list[argparse.Action], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._needless = needless

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for option in self._needless:
            option.required = False
        setattr(namespace, self.dest, values)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    options = _add_settings(parser)
    parser.add_argument(
        "--observation",
        metavar="SETTINGS",
        action=_Instead,
        needless=options,
        help="simulate a mock observation instead, with the settings of this .yaml or .py file; of "
        "the options above, only --output, --array, --min-telescopes, --seed and --run may be "
        "given, and replace those of the file",
    )
    parser.add_argument(
        "-j",
        "--processes",
        metavar="N",
        type=count,
        help="number of processes (default: all cores)",
    )
    add_overwrite(parser, "FILE if it exists")


def _add_settings(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add an option for each setting of a simulation."""
    from ..settings import SimulationSettings

    options = []
    for name, field in SimulationSettings.model_fields.items():
        words = " ".join((field.description or "").split()).replace("``", "").replace("%", "%%")
        known = (
            "" if field.default is None or field.is_required() else f" (default: {field.default})"
        )
        option = parser.add_argument(
            *(["-o"] if name == "output" else []),
            f"--{name.replace('_', '-')}",
            required=field.is_required(),
            help=words.rstrip(".") + known,
            **SHAPES.get(name, {}),
        )
        options.append(option)
    for old in SimulationSettings.renamed:
        parser.add_argument(f"--{old.rpartition('.')[2]}", help=argparse.SUPPRESS)
    return options


def simulate(arguments: argparse.Namespace) -> None:
    """Simulate showers and telescopes, or a mock observation, and write a DL1 file."""
    from ..settings import SimulationSettings
    from ..settings.reading import read_simulation

    given = {
        name: value
        for name, value in vars(arguments).items()
        if SimulationSettings.current_key(name) in SimulationSettings.model_fields
        and value is not None
    }
    if arguments.observation is not None:
        _observe(arguments, given)
        return
    settings = read_simulation(given, "gammalearn simulate")
    from ..simulation import simulate

    tell(simulate(settings, **_how(arguments)))


def _observe(arguments: argparse.Namespace, given: dict[str, Any]) -> None:
    """Simulate a mock observation; `given` are options in place of its settings."""
    from ..settings import ObservationSettings
    from ..settings.reading import load_observation

    others = sorted(set(given) - set(ObservationSettings.model_fields))
    if others:
        raise SettingsError(
            f"--{others[0].replace('_', '-')} is not of an observation; leave it out, or set what "
            f"you mean in '{arguments.observation}'."
        )
    settings = load_observation(arguments.observation, given)
    from ..simulation import simulate_observation

    tell(simulate_observation(settings, **_how(arguments)))


def _how(arguments: argparse.Namespace) -> dict[str, Any]:
    """How both are made."""
    from ..machine.cores import usable_cores

    return {
        "processes": arguments.processes or usable_cores(),
        "overwrite": arguments.overwrite,
        "progress": not arguments.quiet,
    }


SIMULATE = Command(simulate, _add_arguments, interrupted="; no file was written")
