"""Making a file of a mock observation, and its truth beside it."""

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tqdm.auto import tqdm

from ..errors import EmptySelectionError
from ..io.particles import plural
from ..io.writing import make_folder, whole_file
from ..settings import ObservationSettings
from .observed_run import ObservedRun
from .observed_writer import ObservedWriter
from .production import check_output, compile_simulation, made_blocks, terminable
from .truth import truth_path

__all__ = ["simulate_observation"]

log = logging.getLogger(__name__)


def simulate_observation(
    settings: ObservationSettings,
    processes: int = 1,
    overwrite: bool = False,
    progress: bool = True,
    simulation: Callable | None = None,
) -> Path:
    """Simulate an observation and write it as ctapipe DL1, with the truth in a file of its own.

    Both files appear when they are complete.

    Parameters
    ----------
    settings : ObservationSettings
        The same settings give the same events on any number of processes.
    processes : int
    overwrite : bool
        The files may be replaced.
    progress : bool
        Show a progress bar.
    simulation : callable, optional
        Makes from settings what has the attributes of :class:`~.observation.ObservationSimulation`,
        which is the default. For several processes it must be importable.

    Returns
    -------
    Path
        Of the observed file.

    Raises
    ------
    OutputError
        If a file exists, without ``overwrite``, or cannot be written.
    EmptySelectionError
        If nothing was recorded.
    """
    path = Path(settings.output)
    truth = truth_path(path)
    for file in (path, truth):
        check_output(file, overwrite, processes)
    if simulation is None:
        # Compiled code is loaded when it is needed.
        from .observation import ObservationSimulation

        simulation = ObservationSimulation
        # Before other processes would all do it.
        compile_simulation(progress)
    source = simulation(settings)
    run = ObservedRun(source)
    make_folder(path.parent)
    with whole_file(path) as part, whole_file(truth) as truth_part, terminable():
        with ObservedWriter(part, run) as writer:
            made = made_blocks(settings, simulation, source, source.n_slices, processes)
            with closing(made), _bar(source.tracking.duration, progress) as bar:
                for size, described in made:
                    writer.write(described)
                    bar.set_postfix_str(f"{writer.n_events} events", refresh=False)
                    bar.update(size / source.n_slices * source.tracking.duration)
            if not writer.n_events:
                raise EmptySelectionError(
                    f"Nothing was recorded in {settings.duration:g} min, so '{path}' was not made: "
                    "take a longer duration, more particles or a pedestal_rate."
                )
        writer.truth.write(truth_part)
    log.info("%s thrown, %d events recorded", _in_words(writer.truth.n_thrown), writer.n_events)
    return path


def _bar(duration: float, progress: bool) -> tqdm:
    """A progress bar in seconds of the observation."""
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}{postfix}]"
    return tqdm(total=duration, disable=not progress, bar_format=form)


def _in_words(thrown: dict[str, int]) -> str:
    return ", ".join(f"{number} {plural(particle)}" for particle, number in thrown.items())
