"""Reader of sim_telarray files: ctapipe makes DL1 of them once, into the cache."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ctapipe
import tables
from ctapipe.calib import CameraCalibrator
from ctapipe.core import Provenance
from ctapipe.image import ImageProcessor
from ctapipe.io import DataWriter, EventSource, SimTelEventSource
from eventio import EventIOFile
from eventio.base import EventIOObject
from eventio.file_types import is_eventio
from eventio.histograms import Histograms
from traitlets.config import Config

from ...errors import InputFileError, OutputError
from ...image.processing import by_type, image_processing
from ...io.files import exclusive, reading, sha256
from ...io.plain_path import with_plain_paths
from ...io.printable import tell
from ...io.writing import CANNOT_GROW, reason, whole_file
from ..loading.cache import cache_entry, cache_folder
from .ctapipe_dl1 import CtapipeDL1Reader

__all__ = ["SimtelReader"]

log = logging.getLogger(__name__)

#: Changes when what is made of a file does.
FORMAT = 1

DL1 = "events.dl1.h5"

#: Beside it: its checksum, as it was made.
DIGEST = "events.sha256"

ACTIVITY = "gammalearn-simtel"

#: Types of the blocks of a file: sim_telarray's, and those that only CORSIKA begins with.
SIMTEL_BLOCKS, CORSIKA_BLOCKS = range(2000, 2100), range(1200, 1300)

#: Charge extractors by telescope type, as in the settings that `ctapipe-quickstart` gives.
EXTRACTORS = {"*": "NeighborPeakWindowSum", "*FlashCam": "FlashCamExtractor"}


class SimtelReader(CtapipeDL1Reader):
    """One sim_telarray file (.simtel, .gz, .zst); see `gammalearn.data.readers.reader.Reader`.

    Parameters
    ----------
    path : Path
    cache_directory : str, optional
        Setting ``data.cache_directory``.
    waveforms : bool
        Whether the DL1 file has the calibrated waveforms (R1) too, some ten times as large.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    EmptySelectionError
        If it holds no events.
    """

    format = "sim_telarray"

    def __init__(
        self, path: Path, cache_directory: str | None = None, waveforms: bool = False
    ) -> None:
        super().__init__(path, _converted(Path(path), cache_directory, waveforms))

    @staticmethod
    def is_format_of(path: Path) -> bool:
        """Whether a file is one of sim_telarray's.

        Raises
        ------
        InputFileError
            If it is of another program that writes the same kind of blocks.
        """
        with reading(path, "its beginning"):
            if not is_eventio(path):
                return False
            with EventIOFile(path) as file:
                first = next((block.header.type for block in file if _tells(block)), None)
        if first not in SIMTEL_BLOCKS:
            what = "CORSIKA's photons" if first in CORSIKA_BLOCKS else "no events (histograms?)"
            raise InputFileError(
                f"'{path}' is not sim_telarray's output: it holds {what}; give the file that "
                "sim_telarray made of the showers."
            )
        return True


def _tells(block: EventIOObject) -> bool:
    """Whether a block is of one program alone, not of any, as the history is."""
    return block.header.type in SIMTEL_BLOCKS or block.header.type in CORSIKA_BLOCKS


def _converted(path: Path, cache_directory: str | None, waveforms: bool) -> Path:
    """The DL1 file made of a file; one that has changed since is made anew."""
    content = [FORMAT, ctapipe.__version__, *(["waveforms"] if waveforms else [])]
    entry = cache_entry(cache_folder(cache_directory), "dl1", path, content)
    with exclusive(entry):
        if not _is_intact(entry):
            if log.isEnabledFor(logging.WARNING):
                tell(f"Making DL1 of '{path}', in '{entry}'.", sys.stderr)
            with whole_file(entry / DL1) as part, reading(path, "its events"):
                _process_into(path, part, waveforms)
                digest = sha256(part)
            with whole_file(entry / DIGEST) as part:
                part.write_text(digest, encoding="utf-8")
    return entry / DL1


def _is_intact(entry: Path) -> bool:
    """Whether an entry of the cache has a DL1 file, as it was made."""
    if not (entry / DL1).is_file() or not (entry / DIGEST).is_file():
        return False
    return (entry / DIGEST).read_bytes() == sha256(entry / DL1).encode()


def _process_into(path: Path, part: Path, waveforms: bool) -> None:
    """Make DL1, and do not blame the file of sim_telarray for a cache that is full."""
    try:
        _process(path, part, waveforms)
    except (OSError, tables.HDF5ExtError) as error:
        # sim_telarray's own file is no HDF5.
        if isinstance(error, OSError) and error.errno not in CANNOT_GROW:
            raise
        raise OutputError(
            f"The DL1 file of '{path}' cannot be written to the cache '{part.parent}' "
            f"({reason(error)}); make room there, or set XDG_CACHE_HOME to another folder."
        ) from error


def _process(path: Path, output: Path, waveforms: bool) -> None:
    """What ctapipe-process does up to DL1."""
    Provenance().start_activity(ACTIVITY)
    status = "error"
    try:
        with warnings.catch_warnings(), _source(path) as source:
            # Of a file that is cut, ctapipe gives what is there.
            warnings.filterwarnings("error", message=".*truncated")
            config = Config(image_processing(source.subarray))
            config.CameraCalibrator.image_extractor_type = by_type(source.subarray, EXTRACTORS)
            calibrate = CameraCalibrator(source.subarray, config=config)
            process = ImageProcessor(source.subarray, config=config)
            writer = with_plain_paths(DataWriter, "output_path")(
                event_source=source,
                output_path=output,
                overwrite=True,
                write_dl1_images=True,
                write_dl1_parameters=True,
                write_r1_waveforms=waveforms,
                config=config,
            )
            with writer:
                with _histograms_that_can_be_decoded(path):
                    for event in source:
                        calibrate(event)
                        process(event)
                        writer(event)
                writer.write_simulated_shower_distributions(_thrown_showers(source))
        status = "completed"
    finally:
        Provenance().finish_activity(status, activity_name=ACTIVITY)


def _source(path: Path) -> EventSource:
    """With effective focal lengths where the file has them, which ctapipe prefers, and without the
    profile of the atmosphere where ctapipe cannot decode that."""
    choice = {"focal_length_choice": "EFFECTIVE"}
    try:
        return _open(path, choice)
    except RuntimeError:
        choice["focal_length_choice"] = "EQUIVALENT"
        return _open(path, choice)


def _open(path: Path, choice: dict) -> EventSource:
    source_of = with_plain_paths(SimTelEventSource, "input_url")
    try:
        return source_of(path, **choice)
    except ValueError as error:
        source = source_of(path, atmosphere_profile_choice="NONE", **choice)
        log.warning("'%s': read without its profile of the atmosphere (%s).", path, error)
        return source


@contextmanager
def _histograms_that_can_be_decoded(path: Path) -> Iterator[None]:
    """Read no histograms where ctapipe cannot: the event before them would be lost with them."""
    parse = Histograms.parse

    def parse_or_leave(block: EventIOObject) -> list[dict]:
        try:
            return parse(block)
        except UnicodeDecodeError as error:
            log.warning("'%s': read without its histogram of thrown showers (%s).", path, error)
            return []

    Histograms.parse = parse_or_leave
    try:
        yield
    finally:
        Histograms.parse = parse


def _thrown_showers(source: EventSource) -> dict:
    """Histograms of thrown showers by observation, none where the file has none."""
    histograms = source.file_.histograms or []
    return source.simulated_shower_distributions if any(h["id"] == 6 for h in histograms) else {}
