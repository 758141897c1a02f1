"""Making a file of simulated events, on one process or many."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm.auto import tqdm

from ..errors import EmptySelectionError, OutputError, SettingsError
from ..io.printable import tell
from ..io.writing import make_folder, whole_file
from ..settings import ObservationSettings, SimulationSettings
from .image_parameters import BlockParametrizer
from .run import FIRST_SHOWER, SimulatedRun
from .writer import DescribedBlock, DL1Writer

if TYPE_CHECKING:
    from .showers import ShowerSimulation

__all__ = [
    "check_output",
    "compile_simulation",
    "made_blocks",
    "simulate",
    "terminable",
]

log = logging.getLogger(__name__)

AnySettings = TypeVar("AnySettings", SimulationSettings, ObservationSettings)

# How many showers, or slices of an observation, a block is of, and the block.
Made = tuple[int, DescribedBlock]

#: Showers of a block are as many as give about so many events, which takes some 10 MB; but never
#: more than these, so that there is progress to see where hardly anything triggers.
EVENTS_PER_BLOCK = 100
FIRST_BLOCK, LARGEST_BLOCK = 10, 200

#: With waveforms an image takes some ten times as much, and blocks are as much smaller.
WITH_WAVEFORMS = 10

#: Blocks that are made or wait to be written, for each process: one in work, one ahead.
BLOCKS_AHEAD = 2

#: Seconds after which to say that the simulation is compiled; what was compiled before is read in
#: one or two.
PATIENCE = 5.0

#: A shower that is seen, so that all is compiled that makes events.
SEEN = {"particle": "gamma", "array": "lst1", "n_showers": 1, "energy": (1, 1.001), "scatter": 50}

#: Exit status of a process that SIGTERM ends, as shells have it.
TERMINATED = 128 + signal.SIGTERM


def simulate(
    settings: SimulationSettings,
    processes: int = 1,
    overwrite: bool = False,
    progress: bool = True,
    simulation: Callable | None = None,
) -> Path:
    """Simulate events and write them as ctapipe DL1; the file appears when complete.

    Parameters
    ----------
    settings : SimulationSettings
        The same settings give the same events on any number of processes.
    processes : int
    overwrite : bool
        The file may be replaced.
    progress : bool
        Show a progress bar.
    simulation : callable, optional
        Makes from settings what has ``array`` and ``block(first, last)``; by default
        :class:`~.showers.ShowerSimulation`. For several processes it must be importable.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    OutputError
        If the file exists, without ``overwrite``, or cannot be written.
    EmptySelectionError
        If no event triggered.
    """
    path = Path(settings.output)
    check_output(path, overwrite, processes)
    if simulation is None:
        # Compiled code is loaded when it is needed.
        from .showers import ShowerSimulation

        simulation = ShowerSimulation
        # Before other processes would all do it.
        compile_simulation(progress)
    source = simulation(settings)
    run = SimulatedRun(settings, source.array)
    make_folder(path.parent)
    with whole_file(path) as part, terminable(), DL1Writer(part, run) as writer:
        made = made_blocks(settings, simulation, source, settings.n_showers, processes)
        with closing(made):
            n_events = _write(writer, made, settings.n_showers, progress)
        if n_events == 0:
            raise EmptySelectionError(
                f"None of the {settings.n_showers} showers triggered the array "
                f"'{settings.array}', so '{path}' was not made: take more showers, higher "
                "energies or a smaller scatter."
            )
    return path


def compile_simulation(progress: bool = True) -> None:
    """Have numba compile what simulates, or read what it has compiled on this machine before.

    Parameters
    ----------
    progress : bool
        Say so where it takes long.
    """
    from .showers import ShowerSimulation

    def say() -> None:
        tell(
            "Compiling the simulation for this machine: the first time takes a minute or two.",
            sys.stderr,
        )

    timer = threading.Timer(PATIENCE, say)
    timer.daemon = True
    if progress:
        timer.start()
    try:
        _BlockMaker(ShowerSimulation(SimulationSettings(output="none.h5", **SEEN)))(1, 2)
    finally:
        timer.cancel()


def check_output(path: Path, overwrite: bool, processes: int) -> None:
    """Refuse what could not be written or made.

    Parameters
    ----------
    path : Path
        The file to write.
    overwrite : bool
        It may be replaced.
    processes : int

    Raises
    ------
    OutputError
        If it is a folder, or exists without ``overwrite``.
    SettingsError
        If there is no process.
    """
    if processes < 1:
        raise SettingsError(
            f"A simulation on {processes} processes is not possible; give 1 or more."
        )
    if path.is_dir():
        raise OutputError(f"The output '{path}' is a folder; give a file.")
    if path.exists() and not overwrite:
        raise OutputError(
            f"The output '{path}' exists; give another one with --output, or --overwrite to "
            "replace it."
        )


def _write(writer: DL1Writer, made: Iterator[Made], n_showers: int, progress: bool) -> int:
    """Write blocks as they come; returns the number of events."""
    n_events, start = 0, time.monotonic()
    with tqdm(total=n_showers, unit="shower", disable=not progress) as bar:
        for size, described in made:
            writer.write(described)
            n_events += len(described.block.events)
            rate = n_events / (time.monotonic() - start)
            bar.set_postfix_str(f"{n_events} events, {rate:.0f} events/s", refresh=False)
            bar.update(size)
    log.info("%d showers thrown, %d events triggered, %.0f events/s", n_showers, n_events, rate)
    return n_events


class _BlockMaker:
    """Makes blocks of events with the parameters of their images."""

    def __init__(self, source: "ShowerSimulation") -> None:
        self._source = source
        self._parametrize = BlockParametrizer(source.array.subarray)

    def __call__(self, first: int, last: int) -> DescribedBlock:
        block = self._source.block(first, last)
        return DescribedBlock(block, *self._parametrize(block.telescopes, block.events["event_id"]))


class _Pieces:
    """Cuts a run into pieces of about the same number of events.

    What is counted are showers, or slices of an observation, from 1 on.
    """

    def __init__(self, n_showers: int, waveforms: bool) -> None:
        self._next, self._end = FIRST_SHOWER, FIRST_SHOWER + n_showers
        smaller = WITH_WAVEFORMS if waveforms else 1
        self._size, self._n_events = FIRST_BLOCK // smaller, EVENTS_PER_BLOCK // smaller

    def __bool__(self) -> bool:
        return self._next < self._end

    def take(self) -> tuple[int, int]:
        """First and last (not included) shower of the next piece."""
        first = self._next
        self._next = min(first + self._size, self._end)
        return first, self._next

    def learn(self, n_showers: int, n_events: int) -> None:
        """Find a better size from what a piece gave."""
        size = n_showers * self._n_events // max(n_events, 1)
        # A few events may mislead.
        self._size = min(max(size, self._size // 2, 1), 2 * self._size, LARGEST_BLOCK)


def made_blocks(
    settings: AnySettings,
    simulation: Callable[[AnySettings], Any],
    source: Any,
    n_showers: int,
    processes: int,
) -> Generator[Made, None, None]:
    """Make all blocks of a run, in the order of the showers; the same on any number of processes.

    Parameters
    ----------
    settings : SimulationSettings or ObservationSettings
    simulation : callable
        Makes from settings what has ``array`` and ``block(first, last)``.
    source : object
        What it has made from these settings here.
    n_showers : int
        Showers of the run, or slices of an observation.
    processes : int

    Yields
    ------
    size : int
        How many showers, or slices, the block is of.
    described : DescribedBlock
    """
    if processes == 1:
        return _made_here(_BlockMaker(source), _pieces(settings, n_showers))
    return _made_elsewhere(settings, simulation, n_showers, processes)


def _pieces(settings: AnySettings, n_showers: int) -> _Pieces:
    waveforms = isinstance(settings, SimulationSettings) and settings.waveforms
    return _Pieces(n_showers, waveforms)


def _made_here(maker: _BlockMaker, pieces: _Pieces) -> Generator[Made, None, None]:
    while pieces:
        first, last = pieces.take()
        described = maker(first, last)
        pieces.learn(last - first, len(described.block.events))
        yield last - first, described


#: What a process of the pool makes blocks with.
_maker: _BlockMaker | None = None


def _start_process(settings: AnySettings, simulation: Callable[[AnySettings], Any]) -> None:
    global _maker
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _maker = _BlockMaker(simulation(settings))


def _die_with_parent() -> None:
    """No process goes on when the one that wants its blocks was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(TERMINATED)


def _make(first: int, last: int) -> DescribedBlock:
    if _maker is None:
        raise RuntimeError("A process makes blocks only after _start_process.")
    return _maker(first, last)


def _made_elsewhere(
    settings: AnySettings,
    simulation: Callable[[AnySettings], Any],
    n_showers: int,
    processes: int,
) -> Generator[Made, None, None]:
    """Blocks made by other processes, in the order of the showers."""
    pieces = _pieces(settings, n_showers)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes,
        # Copies of a process with threads or open HDF5 files may hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_process,
        initargs=(settings, simulation),
    )
    made: deque[tuple[int, Future[DescribedBlock]]] = deque()
    try:
        while pieces or made:
            while pieces and len(made) < BLOCKS_AHEAD * processes:
                first, last = pieces.take()
                with _uninterrupted():
                    made.append((last - first, pool.submit(_make, first, last)))
            size, future = made.popleft()
            described = future.result()
            pieces.learn(size, len(described.block.events))
            yield size, described
    except BaseException as error:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise OutputError(
                f"'{settings.output}' was not made, as a process of the simulation was killed, "
                "perhaps for lack of memory; try fewer processes."
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start processes without Ctrl-C and SLURM's signal before the time limit, which are for the
    one process that then ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the simulation as an error does, with nothing left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
