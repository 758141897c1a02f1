"""Index of one file: its selected images and events, and what the selection left out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctapipe
import numpy as np
from astropy.table import Table, vstack

from .. import __version__
from ..camera import CameraType
from ..errors import DataError, InputFileError, OutputError
from ..files import sha256
from ..writing import whole_file
from .cache import cache_entry, cache_folder
from .cuts import names_in, passes
from .faults import Fault, faults_of, refuse_incomplete, repeated_images
from .formats import open_reader
from .reader import TRUTH_UNITS, Reader, event_keys

__all__ = ["EVENT_COLUMNS", "IMAGE_COLUMNS", "FileIndex", "chosen_telescopes", "image_columns"]

#: Changes when what is kept of a file does.
FORMAT = 8

DESCRIPTION = "index.json"

#: Columns that are rows of other tables, of no use to a cut.
_PLUMBING = {"event", "row", "camera", "file", "shower_id", "x", "y", "z"}

#: ctapipe's types of telescopes.
TELESCOPE_TYPES = ("LST", "MST", "SST")

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
    """What one file adds to an :class:`~gammalearn.data.index.EventIndex`.

    Attributes
    ----------
    cameras : list of CameraType
        By the file's names.
    telescopes : list of str
        A telescope of each camera, in words.
    particles : list of str
        Names that the events' ``particle`` is a row of.
    flow : list of (str, int, int)
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
    flow: list[tuple[str, int, int]]
    matched: list[str]
    faults: list[str]
    n_rows: dict[str, int]
    tables: dict[str, np.ndarray] | Path

    @classmethod
    def of(cls, path: Path, settings, parameters: Sequence[str] = ()) -> "FileIndex":
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
        with open_reader(path, settings.cache_directory) as reader:
            made = cls.of_reader(reader, settings, parameters)
        folder = _folder(path, settings, parameters)
        if folder is not None:
            made._save(folder)
        return made

    @classmethod
    def cached(cls, path: Path, settings, parameters: Sequence[str] = ()) -> "FileIndex | None":
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
    def of_reader(cls, reader: Reader, settings, parameters: Sequence[str] = ()) -> "FileIndex":
        """The index of what a reader has, made anew; as :meth:`of`."""
        return _Selection(reader, settings, parameters).index()

    def table(self, name: str) -> np.ndarray:
        """One of the tables, ``images`` or ``events``."""
        if isinstance(self.tables, dict):
            return self.tables[name]
        return np.load(self.tables / f"{name}.npy")

    def _save(self, folder: Path) -> None:
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
        digests = {}
        try:
            for name, table in self.tables.items():
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
        described["flow"] = [tuple(step) for step in described["flow"]]
        return cls(**described, tables=folder)


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(path: Path, settings, parameters: Sequence[str]) -> Path | None:
    """Where the index of a file is kept; nowhere where there is no cache folder."""
    deciding = settings.model_dump(
        mode="json", include={"telescopes", "grouping", "min_multiplicity", "cuts", "on_error"}
    )
    deciding |= {"parameters": sorted(parameters), "pixels": bool(settings.channels)}
    try:
        folder = cache_folder(settings.cache_directory)
        return cache_entry(
            folder, "index", path, [FORMAT, __version__, ctapipe.__version__, deciding]
        )
    except (OSError, OutputError):
        return None


class _Selection:
    """Selects the images and events of a file."""

    def __init__(self, reader: Reader, settings, parameters: Sequence[str]):
        self.reader, self.settings, self.parameters = reader, settings, sorted(parameters)
        self.cameras: list[CameraType] = []
        self.telescopes: list[str] = []
        self.flow: list[tuple[str, int, int]] = []

    def index(self) -> FileIndex:
        reader = self.reader
        events = reader.events.copy()
        events["file"] = 0
        events["shower_id"] = _shower_ids(events)
        shower = reader.is_shower()
        telescopes = self._select_telescopes()
        triggers = event_keys(self._triggers())
        self.flow.append(("triggered", len(np.unique(triggers, axis=0)), len(triggers)))
        images, faults = self._images(telescopes, events)
        self._count("with images", images)
        images = images[shower[images["event"]]]
        self._count("showers (no calibration)", images)
        images = self._cut_images(images, events)

        # Images of one event side by side, telescopes in order; mono: each its own event.
        images.sort(["event", "tel_id"])
        if self.settings.grouping == "mono":
            events = events[images["event"]]
            events["tel_id"] = images["tel_id"]
            images["event"] = np.arange(len(images))
        else:
            events["tel_id"] = -1
        events["multiplicity"] = np.bincount(images["event"], minlength=len(events))
        minimum = self.settings.min_multiplicity
        images, events = _keep_events(images, events, events["multiplicity"] >= minimum)
        if minimum > 1:
            self._count(f"multiplicity >= {minimum}", images)
        _add_references(images, events)
        images, events = self._cut_events(images, events)
        particles, events["particle"] = np.unique(
            np.asarray(events["particle"]), return_inverse=True
        )
        return FileIndex(
            self.cameras,
            self.telescopes,
            particles.tolist(),
            self.flow,
            [
                selector
                for selector in self.settings.cuts.telescope
                if _telescopes_matching(reader.subarray, selector)
            ],
            [fault.what for fault in faults],
            {"images": len(images), "events": len(events)},
            {
                "images": _compact(images, image_columns(self.parameters)),
                "events": _compact(events, EVENT_COLUMNS),
            },
        )

    def _count(self, label: str, images: Table) -> None:
        self.flow.append((label, len(np.unique(images["event"])), len(images)))

    def _cut_images(self, images: Table, events: Table) -> Table:
        cuts = self.settings.cuts
        if not (cuts.image or cuts.telescope):
            return images
        columns = images.copy()
        for name in events.colnames:
            if name not in columns.colnames:
                columns[name] = events[name][images["event"]]
        columns = columns[[n for n in columns.colnames if n not in _PLUMBING]]
        source = f"'{self.reader.path}'"
        others = [name for name in self.reader.parameter_names() if name not in _PLUMBING]
        for cut in cuts.image:
            keep = passes([cut], columns, source, others)
            images, columns = images[keep], columns[keep]
            self._count(f"image: {cut}", images)
        for selector, of_type in cuts.telescope.items():
            tel_ids = _telescopes_matching(self.reader.subarray, selector)
            for cut in of_type:
                mine = np.isin(np.asarray(images["tel_id"]), tel_ids)
                keep = ~mine
                keep[mine] = passes([cut], columns[mine], source, others)
                images, columns = images[keep], columns[keep]
                self._count(f"{selector} image: {cut}", images)
        return images

    def _cut_events(self, images: Table, events: Table) -> tuple[Table, Table]:
        for cut in self.settings.cuts.event:
            columns = events[[n for n in events.colnames if n not in _PLUMBING]]
            for name, tel_ids in self._types().items():
                mine = np.isin(np.asarray(images["tel_id"]), tel_ids)
                columns[f"multiplicity_{name}"] = np.bincount(
                    images["event"][mine], minlength=len(events)
                )
            keep = passes([cut], columns, f"the event table of '{self.reader.path}'")
            images, events = _keep_events(images, events, keep)
            self._count(f"event: {cut}", images)
        return images, events

    def _types(self) -> dict[str, list[int]]:
        """Telescopes of each type that ctapipe knows, also of those that there are none of."""
        return {
            name: [int(t) for t, tel in self.reader.subarray.tel.items() if tel.type == name]
            for name in TELESCOPE_TYPES
        }

    def _triggers(self) -> Table:
        """The triggers of the selected telescopes, also of those without images."""
        triggers = self.reader.telescope_triggers()
        return triggers[np.isin(np.asarray(triggers["tel_id"]), list(self._chosen()))]

    def _chosen(self) -> set[int]:
        return chosen_telescopes(self.reader.subarray, self.settings.telescopes, self.reader.path)

    def _select_telescopes(self) -> list[int]:
        reader = self.reader
        if self.settings.channels and not reader.has_pixels:
            raise InputFileError(
                f"'{reader.path}' holds no DL1 images (image parameters only); make it anew with "
                "images (ctapipe-process --write-images), or train a network of parameters alone "
                "(network.backbone=none and data.channels=[])."
            )
        with_images = reader.telescopes_with_images()
        chosen = self._chosen()
        selected = [tel_id for tel_id in with_images if tel_id in chosen]
        if not with_images:
            raise InputFileError(f"'{reader.path}' holds no DL1 image of any telescope.")
        return selected

    def _images(self, tel_ids, events) -> tuple[Table, list[Fault]]:
        """The images that can be used, and what is wrong with others."""
        reader = self.reader
        wanted = names_in(self._image_cuts()) | set(self.parameters)
        parameters = sorted(wanted - set(events.colnames))
        found = {tel_id: reader.images(tel_id, parameters) for tel_id in tel_ids}
        faults = faults_of(reader, sorted(self._chosen()), found)
        if self.settings.on_error == "raise":
            refuse_incomplete(reader.path, faults)
        usable = np.ones(len(events), dtype=bool)
        for fault in faults:
            usable[fault.events] = False
        tables = []
        for tel_id, images in found.items():
            images["file"] = 0
            images["tel_id"] = tel_id
            images["row"] = np.arange(len(images))
            images["camera"] = self._camera(tel_id)
            event = np.asarray(images["event"])
            images = images[(event >= 0) & usable[event] & ~repeated_images(event)]
            x, y, z = reader.subarray.positions[tel_id].to_value("m")
            if not np.isfinite([x, y, z]).all():
                raise InputFileError(
                    f"'{reader.path}': telescope {tel_id} has no position on the ground (its "
                    f"layout says {x:g}, {y:g}, {z:g} m); leave it out with data.telescopes."
                )
            images["x"], images["y"], images["z"] = float(x), float(y), float(z)
            for name in set(self.parameters) - set(images.colnames):
                images[name] = np.nan
            tables.append(images)
        if not tables:
            numbers = ["event", "tel_id", "row", "file", "camera"]
            none = Table(
                {name: np.zeros(0, dtype=np.int64) for name in numbers}
                | {name: np.zeros(0) for name in [*"xyz", "pointing_alt", "pointing_az"]}
                | {
                    name: np.zeros(0)
                    for name in parameters
                    if name in self.parameters or name in reader.parameter_names()
                }
            )
            return none, faults
        return vstack(tables, metadata_conflicts="silent"), faults

    def _image_cuts(self) -> list[str]:
        cuts = self.settings.cuts
        return [*cuts.image, *(cut for of_type in cuts.telescope.values() for cut in of_type)]

    def _camera(self, tel_id: int) -> int:
        """Row of the telescope's camera among those of the file."""
        telescope = self.reader.subarray.tel[tel_id]
        length = telescope.optics.equivalent_focal_length.to_value("m")
        if not (np.isfinite(length) and length > 0):
            raise InputFileError(
                f"'{self.reader.path}': telescope {tel_id} ({telescope}) has a focal length of "
                f"{length:g} m, which none has; leave it out with data.telescopes."
            )
        camera = CameraType.from_geometry(
            telescope.camera.geometry,
            telescope.optics.equivalent_focal_length,
            name=telescope.camera.name.replace(".", "_"),
            effective_focal_length=telescope.optics.effective_focal_length,
        )
        for number, known in enumerate(self.cameras):
            if known.same_camera(camera):
                return number
        self.cameras.append(camera)
        self.telescopes.append(f"Telescope {tel_id} ({telescope})")
        return len(self.cameras) - 1


def chosen_telescopes(subarray, selectors: Sequence | None, source) -> set[int]:
    """Ids of the telescopes that ``data.telescopes`` chooses, of all if it is None.

    Parameters
    ----------
    subarray : SubarrayDescription
    selectors : sequence of int or str, optional
    source : object
        Where the subarray comes from, for the error.

    Raises
    ------
    DataError
        If a selector is of no telescope.
    """
    if selectors is None:
        return {int(tel_id) for tel_id in subarray.tel}
    chosen = set()
    for selector in selectors:
        matches = _telescopes_matching(subarray, selector)
        if not matches:
            there = ", ".join(f"{tel_id} ({subarray.tel[tel_id]})" for tel_id in subarray.tel)
            raise DataError(
                f"data.telescopes: no telescope {selector!r} in '{source}', which has: {there}."
            )
        chosen.update(matches)
    return chosen


def _telescopes_matching(subarray, selector) -> list[int]:
    """Telescopes with this id, type (LST), name, camera name or description."""
    if isinstance(selector, int):
        return [selector] if selector in subarray.tel else []
    return [
        int(tel_id)
        for tel_id, telescope in subarray.tel.items()
        if selector in {telescope.type, telescope.name, telescope.camera.name, str(telescope)}
    ]


def _shower_ids(events: Table) -> np.ndarray:
    """A number that the events of one shower share, in this file and any other.

    Events of one shower (CORSIKA reuses it at other core positions) have the same truth but
    for the core; where there is no truth, each event is a shower.
    """
    names = ["true_energy", "true_alt", "true_az", "true_h_first_int"]
    # A missing height is the same for all reuses, whatever the NaN's bits.
    truth = np.nan_to_num(np.column_stack([np.asarray(events[n], float) for n in names]))
    ids = np.array(events["event_id"])
    for i in np.flatnonzero(np.isfinite(events["true_energy"])):
        digest = hashlib.blake2b(truth[i].tobytes(), digest_size=7).digest()
        ids[i] = int.from_bytes(digest, "big")
    return ids


def _keep_events(images: Table, events: Table, keep) -> tuple[Table, Table]:
    """Only the events to keep, with their images renumbered."""
    keep = np.asarray(keep, dtype=bool)
    images = images[keep[images["event"]]]
    images["event"] = (np.cumsum(keep) - 1)[images["event"]]
    return images, events[keep]


def _add_references(images: Table, events: Table) -> None:
    """Add each event's mean pointing and mean telescope position."""
    n_events = len(events)

    def mean(values):
        return np.bincount(images["event"], values, n_events) / np.maximum(
            events["multiplicity"], 1
        )

    if len(images) == 0:
        names = ["reference_x", "reference_y", "reference_z", "pointing_alt", "pointing_az"]
        for name in names:
            events[name] = np.zeros(n_events)
        return
    for axis in "xyz":
        events[f"reference_{axis}"] = mean(images[axis])
    alt, az = np.deg2rad(images["pointing_alt"]), np.deg2rad(images["pointing_az"])
    x, y, z = mean(np.cos(alt) * np.cos(az)), mean(np.cos(alt) * np.sin(az)), mean(np.sin(alt))
    events["pointing_alt"] = np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    events["pointing_az"] = np.rad2deg(np.arctan2(y, x)) % 360
