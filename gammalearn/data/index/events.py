"""Event index: which images and events there are, and where.

Everything but the pixels, for all files in one table of images and one of events; cuts and
grouping act on it, and what it leaves out it counts.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table

from ...camera import CameraType, LatticeError
from ...errors import CameraError, DataError, EmptySelectionError, GammaLearnError
from ...image.cleaning import cleanings
from ...io.isolated import isolated
from ...settings import DataSettings
from ..readers.pedestals import PEDESTAL_NOISE
from ..readers.reader import Reader
from .file_index import EVENT_COLUMNS, IMAGE_COLUMNS, FileIndex, image_columns
from .selection import CutStep
from .split import random_rank

__all__ = ["EventIndex", "count_repeated"]

log = logging.getLogger(__name__)


@dataclass
class EventIndex:
    """The selected images and events of some files.

    Attributes
    ----------
    files : list of Path
    cameras : list of CameraType
    images : Table
        One row an image, the images of an event side by side: file, tel_id, camera (row in
        ``cameras``), row (in the file's image table of that telescope), event (row in
        ``events``), x, y, z (m, ground frame relative to the array's centre), pointing_alt,
        pointing_az (deg), and the DL1 image parameters that were asked for, NaN where an image has
        none.
    events : Table
        One row an event: file, obs_id, event_id, tel_id (−1 for stereo), shower_id (shared
        by the reuses of a shower), particle, truth (see
        :data:`gammalearn.data.readers.reader.TRUTH_UNITS`), spectral_index (of the power law of the
        simulated energies, NaN where there is none), multiplicity, first_image (row in
        ``images``), pointing_alt, pointing_az (deg, mean over its telescopes), reference_x,
        reference_y, reference_z (m, mean position of its telescopes).
    cut_flow : list of CutStep
        What was left after each step: a label, events, images.
    skipped : list of (Path, str)
        Files that could not be used, and why (``data.on_error="skip"``).
    faults : list of (Path, str)
        What is wrong with some events or images of files, which are left out.
    pixel_orders : dict of (int, int) to ndarray of int
        By file (row in ``files``) and telescope, where a file has the camera's pixels in another
        order: the file's pixel in the place of each of the camera's.
    """

    files: list[Path]
    cameras: list[CameraType]
    images: Table
    events: Table
    cut_flow: list[CutStep] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    faults: list[tuple[Path, str]] = field(default_factory=list)
    pixel_orders: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.events)

    @classmethod
    def build(
        cls,
        files: Sequence[Path],
        settings: DataSettings,
        cameras: Sequence[CameraType] | None = None,
        allow_empty: bool = False,
        processes: int = 0,
        parameters: Sequence[str] = (),
        errors: list[GammaLearnError] | None = None,
    ) -> "EventIndex":
        """Index files.

        Parameters
        ----------
        files : sequence of Path
        settings : gammalearn.settings.DataSettings
        cameras : sequence of CameraType, optional
            The cameras a network was trained on; others are refused. By default all.
        allow_empty : bool
            An index of no events is an answer too.
        processes : int
            Processes that index at a time what is not in the cache, one at the least: damage to
            a file may be the end of a process.
        parameters : sequence of str
            DL1 image parameters, by ctapipe's names, to have of each image; what a file lacks is
            computed of its images.
        errors : list of GammaLearnError, optional
            Gets what is wrong with files, in place of the first error being raised.

        Raises
        ------
        DataError
            If a file cannot be used, or nothing is left by the selection.
        """
        merged = _Merged(cameras, parameters)
        skipped = []
        found = _indices(files, settings, processes, parameters)
        for path, of_file in zip(files, found, strict=True):
            try:
                if isinstance(of_file, GammaLearnError):
                    raise of_file
                merged.add(path, of_file)
            except DataError as error:
                if settings.on_error == "raise":
                    if errors is None:
                        raise
                    errors.append(error)
                    continue
                log.warning("Skipped: %s", error)
                skipped.append((path, str(error)))
        if errors and not merged.files:
            raise errors[0]
        unmatched = sorted(set(settings.cuts.telescope) - merged.matched)
        if unmatched and not allow_empty:
            raise DataError(
                f"data.cuts.telescope: no telescope {unmatched[0]!r} in any of the {len(files)} "
                "file(s)."
            )
        if merged.cameras:
            # A cleaning that lacks a camera is to fail here, before anything is written.
            cleanings(settings, merged.cameras)
        return merged.finish(skipped, allow_empty)

    @classmethod
    def of_reader(
        cls,
        reader: Reader,
        settings: DataSettings,
        cameras: Sequence[CameraType],
        parameters: Sequence[str] = (),
    ) -> "EventIndex":
        """Index what a reader has, be it nothing; see :meth:`build`.

        Parameters
        ----------
        reader : Reader
        settings : gammalearn.settings.DataSettings
        cameras : sequence of CameraType
            The cameras a network was trained on; others are refused.
        parameters : sequence of str
            DL1 image parameters to have of each image.
        """
        merged = _Merged(cameras, parameters)
        merged.add(reader.path, FileIndex.of_reader(reader, settings, parameters))
        return merged.finish([], allow_empty=True)

    def particle_counts(self) -> dict[str, int]:
        """Number of events of each particle, the most frequent first."""
        names = np.asarray(self.events["particle"])
        counts = Counter(str(name) if name else "unknown" for name in names)
        return dict(counts.most_common())

    def limited(self, limit: int | None, seed: int) -> "EventIndex":
        """At most so many events of each particle, whole showers at a time.

        Which ones depends on the seed and the showers alone; their order stays.

        Parameters
        ----------
        limit : int, optional
            None keeps all.
        seed : int
        """
        if limit is None:
            return self
        events = self.events
        names, particle = np.unique(np.asarray(events["particle"]), return_inverse=True)
        showers = np.column_stack([events["obs_id"], events["shower_id"], particle])
        unique, number, count = np.unique(showers, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort([random_rank(seed, *shower) for shower in unique.tolist()])
        kept = np.zeros(len(unique), dtype=bool)
        for p in range(len(names)):
            n_events = 0
            for shower in order[unique[order, 2] == p]:
                # One that is too large leaves its place to others.
                if n_events + count[shower] <= limit:
                    kept[shower] = True
                    n_events += count[shower]
        return self.selected(kept[number.reshape(-1)], f"at most {limit} events a particle")

    def selected(self, keep: np.ndarray, step: str) -> "EventIndex":
        """Some of the events, in their order, with their images.

        Parameters
        ----------
        keep : ndarray of bool, shape (len(self),)
        step : str
            What the selection is called in the cut flow.
        """
        images = self.images[keep[self.images["event"]]]
        images["event"] = (np.cumsum(keep) - 1)[images["event"]]
        events = self.events[keep]
        events["first_image"] = _first_images(events["multiplicity"])
        left = CutStep(step, len(events), len(images))
        return replace(self, images=images, events=events, cut_flow=[*self.cut_flow, left])


def count_repeated(indices: Sequence[EventIndex]) -> int:
    """Number of events that come once more, in the same file or in another.

    Parameters
    ----------
    indices : sequence of EventIndex

    Returns
    -------
    int
        Events of the same observation, ids and truth as one before. The ids alone do not tell:
        gammas and protons may be of the same run.
    """
    keys = [_key(index.events) for index in indices if len(index)]
    return sum(map(len, keys)) - (len(np.unique(np.concatenate(keys))) if keys else 0)


def _key(events: Table) -> np.ndarray:
    """A number for each event, the same for the same event alone (but for a chance of 10⁻⁶)."""
    key = np.zeros(len(events), dtype=np.uint64)
    for name in ("obs_id", "event_id", "tel_id", "shower_id"):
        # Mixed as in splitmix64 (Steele, Lea & Flood 2014), or numbers of events would meet.
        key = key * np.uint64(0x9E3779B97F4A7C15) + np.asarray(events[name]).astype(np.uint64)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key ^= key >> np.uint64(31)
    return key


def _indices(
    files: Sequence[Path], settings: DataSettings, processes: int, parameters: Sequence[str]
) -> Iterator[FileIndex | GammaLearnError]:
    """The index of each file; an error is an answer, for others may go on."""
    index = partial(FileIndex.of, settings=settings, parameters=parameters)
    missing = [path for path in files if FileIndex.cached(path, settings, parameters) is None]
    made, to_make = isolated(index, missing, processes), set(missing)
    for path in files:
        yield next(made) if path in to_make else index(path)


class _Merged:
    """The indices of files, one after the other."""

    def __init__(self, cameras: Sequence[CameraType] | None, parameters: Sequence[str]) -> None:
        self.parameters = sorted(parameters)
        self.fixed_cameras = cameras is not None
        self.cameras = list(cameras or [])
        self.files: list[Path] = []
        self.parts: list[tuple[FileIndex, np.ndarray]] = []
        # Of the cameras of each part, by their rows there.
        self.orders: list[dict[int, np.ndarray]] = []
        self.flow: Counter[tuple[str, str]] = Counter()
        self.labels: list[str] = []
        self.matched: set[str] = set()
        self.faults: list[tuple[Path, str]] = []

    def add(self, path: Path, of_file: FileIndex) -> None:
        cameras: list[int] = []
        orders: dict[int, np.ndarray] = {}
        for camera, telescope in zip(of_file.cameras, of_file.telescopes, strict=True):
            row = self._camera(path, camera, telescope)
            order = self.cameras[row].order_of(camera)
            if order is not None and not self.cameras[row].same_camera(camera):
                orders[len(cameras)] = order
            cameras.append(row)
        self.orders.append(orders)
        self.parts.append((of_file, np.array(cameras, dtype=IMAGE_COLUMNS["camera"])))
        # Thousands of files have the same ones; they are kept once.
        of_file.cameras = [self.cameras[row] for row in cameras]
        self.files.append(path)
        self.matched.update(of_file.matched)
        self.faults += [(path, what) for what in of_file.faults]
        for what in of_file.faults:
            log.warning("'%s': %s.", path, what)
        for label, n_events, n_images in of_file.flow:
            if label not in self.labels:
                self.labels.append(label)
            self.flow[label, "events"] += n_events
            self.flow[label, "images"] += n_images

    def finish(self, skipped: list[tuple[Path, str]], allow_empty: bool) -> EventIndex:
        flow = [
            CutStep(label, self.flow[label, "events"], self.flow[label, "images"])
            for label in self.labels
        ]
        if not self.files and not allow_empty:
            raise EmptySelectionError(
                f"None of {len(skipped)} file(s) can be used. The first one: {skipped[0][1]}"
            )
        n_events = sum(part.n_rows["events"] for part, _ in self.parts)
        if n_events == 0 and not allow_empty:
            steps = "; ".join(f"{label}: {n} events" for label, n, _ in flow)
            faults = "".join(f" In '{path}', {what}." for path, what in self.faults[:3])
            raise EmptySelectionError(
                f"The selection leaves no event of {len(self.files)} file(s), '{self.files[0]}' "
                f"first: {steps}.{faults} "
                "Loosen data.cuts, data.min_multiplicity or data.telescopes."
            )
        if not self.files:
            return EventIndex([], self.cameras, Table(), Table(), flow, skipped, self.faults)
        images, events, pixel_orders = self._join()
        for label, n_events, n_images in flow:
            log.info("%-40s %9d events %9d images", label, n_events, n_images)
        if PEDESTAL_NOISE in images.colnames:
            n_known = int(np.isfinite(images[PEDESTAL_NOISE]).sum())
            log.info(
                "Noise of the night sky: by interleaved pedestals for %d images, by their own dark "
                "pixels for %d.",
                n_known,
                len(images) - n_known,
            )
        return EventIndex(
            self.files,
            self.cameras,
            images,
            events,
            flow,
            skipped,
            self.faults,
            pixel_orders,
        )

    def _camera(self, path: Path, camera: CameraType, telescope: str) -> int:
        """Row of a camera type, a new one if there is none like it."""
        for number, known in enumerate(self.cameras):
            if known.same_camera(camera):
                return number
        for number, known in enumerate(self.cameras):
            if known.order_of(camera) is not None:
                return number
        if self.fixed_cameras:
            raise CameraError(
                f"{telescope} of '{path}' has a camera of "
                f"{camera.n_pixels} pixels that the network was not trained on; it knows "
                f"{', '.join(c.name for c in self.cameras)}. Choose the telescopes that "
                "have one of these with --set data.telescopes, by type, name or id (LST, LSTCam, "
                "1), or train on this camera."
            )
        try:
            camera.grid  # noqa: B018  a camera without a lattice is to fail here, by name
        except LatticeError as error:
            raise CameraError(
                f"Camera {camera.name} in '{path}' cannot be used: {error} Leave its "
                "telescopes out with data.telescopes."
            ) from error
        names = {known.name for known in self.cameras}
        number = 2
        name = camera.name
        while name in names:
            name, number = f"{camera.name}-{number}", number + 1
        self.cameras.append(replace(camera, name=name))
        return len(self.cameras) - 1

    def _join(self) -> tuple[Table, Table, dict[tuple[int, int], np.ndarray]]:
        """One table of images and one of events, and the orders of pixels.

        Each file's part is copied to its place before the next is read, so that memory holds what
        stays, and one part.
        """
        columns = image_columns(self.parameters)
        images = _columns(columns, sum(part.n_rows["images"] for part, _ in self.parts))
        n_events = sum(part.n_rows["events"] for part, _ in self.parts)
        longest = max(len(name) for part, _ in self.parts for name in [*part.particles, "-"])
        events = _columns({**EVENT_COLUMNS, "particle": f"U{longest}"}, n_events)
        pixel_orders = {}
        first_image = first_event = 0
        for number, (part, cameras) in enumerate(self.parts):
            of_file = part.table("images")
            mine = slice(first_image, first_image + len(of_file))
            for name, column in images.items():
                column[mine] = of_file[name]
            images["file"][mine] = number
            images["camera"][mine] = cameras[of_file["camera"]]
            images["event"][mine] += first_event
            first_image = mine.stop
            for camera, order in self.orders[number].items():
                for tel_id in np.unique(of_file["tel_id"][of_file["camera"] == camera]):
                    pixel_orders[number, int(tel_id)] = order
            of_file = part.table("events")
            mine = slice(first_event, first_event + len(of_file))
            for name, column in events.items():
                if name != "particle":
                    column[mine] = of_file[name]
            events["file"][mine] = number
            events["particle"][mine] = np.array(part.particles, dtype=str)[of_file["particle"]]
            first_event = mine.stop
        events["first_image"] = _first_images(events["multiplicity"])
        return Table(images, copy=False), Table(events, copy=False), pixel_orders


def _columns(dtypes: dict, n_rows: int) -> dict[str, np.ndarray]:
    return {name: np.empty(n_rows, dtype=dtype) for name, dtype in dtypes.items()}


def _first_images(multiplicity: np.ndarray) -> np.ndarray:
    """Row of each event's first image, where the images of events lie side by side."""
    last = np.cumsum(multiplicity, dtype=np.int32)
    return last - np.asarray(multiplicity, dtype=np.int32)
