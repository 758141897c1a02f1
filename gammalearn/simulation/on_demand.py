"""Simulated files that an experiment asks for: made where they are missing."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InputFileError, OutputError, SettingsError
from ..io.files import exclusive
from ..io.finding import find_files, is_meant
from ..io.printable import tell
from ..io.writing import reason
from ..machine.cores import usable_cores
from ..settings import SimulationSettings
from .record import read_record

__all__ = ["check_same", "make_missing", "wanted_simulations"]

log = logging.getLogger(__name__)

#: Seconds between two looks for a file that another process makes.
PATIENCE = 1.0


def make_missing(
    simulations: Sequence[SimulationSettings],
    data: Mapping[str, Sequence[str]],
    first_process: bool = True,
    progress: bool = True,
) -> None:
    """Simulate the files that are asked for and do not exist.

    A file is asked for by a name or glob that stands for it, and for no file of another origin:
    simulated events do not mix with a user's own.

    Parameters
    ----------
    simulations : sequence of SimulationSettings
        What can be simulated.
    data : mapping of str to sequence of str
        File names and globs of the data, by the setting that has them.
    first_process : bool
        The first process of a run simulates, the others wait for it.
    progress : bool
        Say what is made, with progress bars.

    Raises
    ------
    InputFileError
        If a name or glob stands neither for a file nor for what can be simulated.
    SettingsError
        If a file that exists was simulated with other settings.
    GammaLearnError
        If a file cannot be simulated.
    """
    for setting, patterns in data.items():
        others = [p for p in patterns if not any(is_meant(s.output, p) for s in simulations)]
        if others or not patterns:
            # What the run would refuse after the simulation, it refuses before.
            find_files(others, setting)
    patterns = [pattern for patterns in data.values() for pattern in patterns]
    wanted = wanted_simulations(simulations, patterns)
    missing = [settings for settings in wanted if not Path(settings.output).exists()]
    for settings in wanted:
        if settings not in missing:
            check_same(settings)
            log.info("'%s' exists and is used as it is.", settings.output)
    for number, settings in enumerate(missing, 1):
        if not first_process:
            log.info("Waiting for the first process to simulate '%s'.", settings.output)
            _wait_for(Path(settings.output))
            continue
        if progress:
            tell(
                f"Simulating '{settings.output}', which does not exist yet "
                f"({number} of {len(missing)}).",
                sys.stderr,
            )
        _make(settings, progress)


def _make(settings: SimulationSettings, progress: bool) -> None:
    """Simulate a file, or wait for another run that is at it."""
    # What compiles comes with the first file that is missing.
    from .production import simulate

    output = Path(settings.output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(output.parent):
            if output.exists():
                check_same(settings)
                return
            simulate(settings, processes=usable_cores(), progress=progress)
    except OSError as error:
        raise OutputError(f"'{output}' cannot be written: {reason(error)}.") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f" while '{settings.output}' was simulated; run the same again to go on"
        ) from None


def wanted_simulations(
    simulations: Sequence[SimulationSettings], patterns: Sequence[str]
) -> list[SimulationSettings]:
    """The simulations that a pattern asks for, in their order.

    Parameters
    ----------
    simulations : sequence of SimulationSettings
    patterns : sequence of str
        Names and globs of files.
    """
    places = {Path(settings.output).resolve() for settings in simulations}
    wanted = []
    for pattern in patterns:
        meant = [settings for settings in simulations if is_meant(settings.output, pattern)]
        others = [
            path
            for path in _existing(pattern)
            if path.resolve() not in places or read_record(path) is None
        ]
        if meant and others:
            log.info("'%s' stands for '%s': nothing is simulated for it.", pattern, others[0])
        elif meant:
            wanted += meant
    return [settings for settings in simulations if settings in wanted]


def _existing(pattern: str) -> list[Path]:
    try:
        return find_files([pattern], "data")
    except InputFileError:
        # The run says so, if it is still so after the simulation.
        return []


def check_same(settings: SimulationSettings) -> None:
    """Refuse a simulated file that was made with other settings.

    Raises
    ------
    SettingsError
        If it was.
    """
    before = read_record(Path(settings.output)) or {}
    for name, value in settings.shower_settings().items():
        if name in before and before[name] != value:
            raise SettingsError(
                f"'{settings.output}' was simulated with other settings ({name} was "
                f"{before[name]} and is now {value}); delete it to make it again, or change "
                "simulation.output."
            )
    if before and settings.waveforms and not before.get("waveforms"):
        raise SettingsError(
            f"'{settings.output}' was simulated without waveforms; delete it to make it again, or "
            "change simulation.output."
        )


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(PATIENCE)
