"""Index of one file: its selected images and events, kept in the cache."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctapipe
import numpy as np
from astropy.table import Table

from ... import __version__
from ...camera import CameraType
from ...errors import InputFileError, OutputError
from ...io.files import sha256
from ...io.writing import whole_file
from ...settings import DataSettings
from ..loading.cache import cache_entry, cache_folder
from ..readers.formats import open_reader
from ..readers.reader import TRUTH_UNITS, Reader
from .selection import CutStep, Selection
from .telescopes import telescopes_matching

__all__ = ["EVENT_COLUMNS", "IMAGE_COLUMNS", "FileIndex", "image_columns"]

#: Changes when what is kept of a file does.
FORMAT = 8

DESCRIPTION = "index.json"

#: Columns of the image table: 44 bytes an image.
IMAGE_COLUMNS = {
    "file": np.int32,
    "tel_id": np.int16,
    "camera": np.int16,
    "row": np.int32,
    "event": np.int32,
    "x": np.float32,
    "y": np.float32,
    "z": np.float32,
    "pointing_alt": np.float64,
    "pointing_az": np.float64,
}

#: Columns of the event table, but for the first image: 124 bytes an event with it and without the
#: particle's name, that stands there in place of its number.
EVENT_COLUMNS = {
    "file": np.int32,
    "obs_id": np.int64,
    "event_id": np.int64,
    "tel_id": np.int16,
    "shower_id": np.int64,
    "particle": np.int16,
    **dict.fromkeys(TRUTH_UNITS, np.float64),
    "spectral_index": np.float32,
    "multiplicity": np.int16,
    "pointing_alt": np.float64,
    "pointing_az": np.float64,
    "reference_x": np.float32,
    "reference_y": np.float32,
    "reference_z": np.float32,
}


def image_columns(parameters: Sequence[str]) -> dict:
    """Columns of the image table with some DL1 image parameters: 4 bytes more for each."""
    return IMAGE_COLUMNS | dict.fromkeys(parameters, np.float32)


def _compact(table: Table, dtypes: dict) -> np.ndarray:
    """The columns in as few bytes as their values need, as one structured array."""
    compact = np.empty(len(table), dtype=list(dtypes.items()))
    for name in dtypes:
        compact[name] = table[name]
    return compact


@dataclass
class FileIndex:
    """What one file adds to an :class:`~gammalearn.data.index.events.EventIndex`.

    Attributes
    ----------
    cameras : list of CameraType
        By the file's names.
    telescopes : list of str
        A telescope of each camera, in words.
    particles : list of str
        Names that the events' ``particle`` is a row of.
    flow : list of CutStep
        What was left after each step: a label, events, images.
    matched : list of str
        The keys of ``data.cuts.telescope`` that are of a telescope here.
    faults : list of str
        What is wrong with some of its events or images, which are left out.
    n_rows : dict of str to int
        Rows of the tables ``images`` and ``events``.
    tables : dict of str to structured ndarray, or Path
        The tables, or the folder of the cache that they lie in: with many files, each is in memory
        only while it is copied. ``camera``, ``event`` and ``particle`` count from 0, ``file`` is 0.
    """

    cameras: list[CameraType]
    telescopes: list[str]
    particles: list[str]
    flow: list[CutStep]
    matched: list[str]
    faults: list[str]
    n_rows: dict[str, int]
    tables: dict[str, np.ndarray] | Path

    @classmethod
    def of(cls, path: Path, settings: DataSettings, parameters: Sequence[str] = ()) -> "FileIndex":
        """The index of a file as it is now, from the cache if it was made before.

        Parameters
        ----------
        path : Path
        settings : gammalearn.settings.DataSettings
        parameters : sequence of str
            DL1 image parameters to keep of each image, beside those of the cuts.

        Raises
        ------
        DataError
            If the file cannot be used.
        """
        saved = cls.cached(path, settings, parameters)
        if saved is not None:
            return saved
        waveforms = settings.input == "waveforms"
        with open_reader(path, settings.cache_directory, waveforms) as reader:
            made = cls.of_reader(reader, settings, parameters)
        folder = _folder(path, settings, parameters)
        if folder is not None and isinstance(made.tables, dict):
            made._save(made.tables, folder)
        return made

    @classmethod
    def cached(
        cls, path: Path, settings: DataSettings, parameters: Sequence[str] = ()
    ) -> "FileIndex | None":
        """The index of a file as it is now if it was made before."""
        folder = _folder(path, settings, parameters)
        if folder is None:
            return None
        try:
            return cls._load(folder)
        except (OSError, ValueError, KeyError, TypeError, InputFileError):
            # Not there, or damaged: to be made anew.
            return None

    @classmethod
    def of_reader(
        cls, reader: Reader, settings: DataSettings, parameters: Sequence[str] = ()
    ) -> "FileIndex":
        """The index of what a reader has, made anew; as :meth:`of`."""
        selection = Selection(reader, settings, parameters)
        images, events, faults = selection.select()
        particles, events["particle"] = np.unique(
            np.asarray(events["particle"]), return_inverse=True
        )
        return cls(
            selection.cameras,
            selection.telescopes,
            particles.tolist(),
            selection.flow,
            [
                selector
                for selector in settings.cuts.telescope
                if telescopes_matching(reader.subarray, selector)
            ],
            [fault.what for fault in faults],
            {"images": len(images), "events": len(events)},
            {
                "images": _compact(images, image_columns(sorted(parameters))),
                "events": _compact(events, EVENT_COLUMNS),
            },
        )

    def table(self, name: str) -> np.ndarray:
        """One of the tables, ``images`` or ``events``."""
        if isinstance(self.tables, dict):
            return self.tables[name]
        return np.load(self.tables / f"{name}.npy")

    def _save(self, tables: dict[str, np.ndarray], folder: Path) -> None:
        """Have the tables in the cache, where they can be; if not, only time is lost."""
        described = {
            "cameras": [camera.to_dict() for camera in self.cameras],
            "telescopes": self.telescopes,
            "particles": self.particles,
            "flow": self.flow,
            "matched": self.matched,
            "faults": self.faults,
            "n_rows": self.n_rows,
        }
        digests: dict[str, str] = {}
        try:
            for name, table in tables.items():
                with whole_file(folder / f"{name}.npy") as part:
                    with part.open("wb") as file:
                        np.save(file, table)
                    digests[name] = sha256(part)
            text = json.dumps({**described, "digests": digests})
            # What says that the tables are there comes last.
            with whole_file(folder / DESCRIPTION) as part:
                part.write_text(f"{_digest_of(text)}\n{text}", encoding="utf-8")
        except (OSError, InputFileError, OutputError):
            return
        self.tables = folder

    @classmethod
    def _load(cls, folder: Path) -> "FileIndex":
        digest, _, text = (folder / DESCRIPTION).read_text(encoding="utf-8").partition("\n")
        if digest != _digest_of(text):
            raise ValueError("the description has changed")
        described = json.loads(text)
        for name, digest in described.pop("digests").items():
            if sha256(folder / f"{name}.npy") != digest:
                raise ValueError(f"{name} has changed")
        described["cameras"] = [CameraType.from_dict(camera) for camera in described["cameras"]]
        described["flow"] = [CutStep(*step) for step in described["flow"]]
        return cls(**described, tables=folder)


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(path: Path, settings: DataSettings, parameters: Sequence[str]) -> Path | None:
    """Where the index of a file is kept; nowhere where there is no cache folder."""
    deciding = settings.model_dump(
        mode="json", include={"telescopes", "grouping", "min_multiplicity", "cuts", "on_error"}
    )
    deciding |= {"parameters": sorted(parameters), "pixels": bool(settings.channels)}
    if settings.input == "waveforms":
        deciding["input"] = settings.input
    try:
        folder = cache_folder(settings.cache_directory)
        return cache_entry(
            folder, "index", path, [FORMAT, __version__, ctapipe.__version__, deciding]
        )
    except (OSError, OutputError):
        return None
