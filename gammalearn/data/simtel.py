"""Reader of sim_telarray files: ctapipe makes DL1 of them once, into the cache."""

import logging
import sys
import warnings
from pathlib import Path

import ctapipe
from ctapipe.calib import CameraCalibrator
from ctapipe.core import Provenance
from ctapipe.image import ImageProcessor
from ctapipe.io import DataWriter, EventSource, SimTelEventSource
from eventio.file_types import is_eventio

from ..files import exclusive, reading
from ..plain_path import with_plain_paths
from .cache import cache_entry, cache_folder, whole_file
from .ctapipe_dl1 import CtapipeDL1Reader
from .parameters import by_type, image_processing

__all__ = ["SimtelReader"]

log = logging.getLogger(__name__)

#: Changes when what is made of a file does.
FORMAT = 1

DL1 = "events.dl1.h5"

ACTIVITY = "gammalearn-simtel"

#: Charge extractors by telescope type, as in the settings that `ctapipe-quickstart` gives.
EXTRACTORS = {"*": "NeighborPeakWindowSum", "*FlashCam": "FlashCamExtractor"}


class SimtelReader(CtapipeDL1Reader):
    """One sim_telarray file (.simtel, .gz, .zst); see :class:`gammalearn.data.reader.Reader`.

    Parameters
    ----------
    path : Path
    cache_directory : str, optional
        Setting ``data.cache_directory``.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    EmptySelectionError
        If it holds no events.
    """

    format = "sim_telarray"

    def __init__(self, path: Path, cache_directory: str | None = None):
        dl1_path = _converted(Path(path), cache_directory)
        super().__init__(dl1_path)
        self.dl1_path = dl1_path
        # What is wrong with it is wrong with the file that it was made from.
        self.path = Path(path)

    @staticmethod
    def is_format_of(path: Path) -> bool:
        """Whether a file is one of sim_telarray's."""
        with reading(path, "its beginning"):
            return is_eventio(path)


def _converted(path: Path, cache_directory: str | None) -> Path:
    """The DL1 file made of a file."""
    content = [FORMAT, ctapipe.__version__]
    entry = cache_entry(cache_folder(cache_directory), "dl1", path, content)
    with exclusive(entry):
        if not (entry / DL1).exists():
            if log.isEnabledFor(logging.WARNING):
                print(f"Making DL1 of '{path}', in '{entry}'.", file=sys.stderr, flush=True)
            with whole_file(entry / DL1) as part, reading(path, "its events"):
                _process(path, part)
    return entry / DL1


def _process(path: Path, output: Path) -> None:
    """What ctapipe-process does up to DL1."""
    Provenance().start_activity(ACTIVITY)
    status = "error"
    try:
        with warnings.catch_warnings(), _source(path) as source:
            # Of a file that is cut, ctapipe gives what is there.
            warnings.filterwarnings("error", message=".*truncated")
            config = image_processing(source.subarray)
            config.CameraCalibrator.image_extractor_type = by_type(source.subarray, EXTRACTORS)
            calibrate = CameraCalibrator(source.subarray, config=config)
            process = ImageProcessor(source.subarray, config=config)
            writer = with_plain_paths(DataWriter, "output_path")(
                event_source=source,
                output_path=output,
                overwrite=True,
                write_dl1_images=True,
                write_dl1_parameters=True,
                config=config,
            )
            with writer:
                for event in source:
                    calibrate(event)
                    process(event)
                    writer(event)
                writer.write_simulated_shower_distributions(source.simulated_shower_distributions)
        status = "completed"
    finally:
        Provenance().finish_activity(status, activity_name=ACTIVITY)


def _source(path: Path) -> EventSource:
    """With effective focal lengths where the file has them, which ctapipe prefers."""
    source = with_plain_paths(SimTelEventSource, "input_url")
    try:
        return source(path, focal_length_choice="EFFECTIVE")
    except RuntimeError:
        return source(path, focal_length_choice="EQUIVALENT")
