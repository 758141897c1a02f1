"""Event index: which images and events there are, and where.

Everything but the pixels, for all files in one table of images and one of events; cuts and
grouping act on it, and what it leaves out it counts.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from ..camera import CameraType, LatticeError
from ..errors import CameraError, DataError, EmptySelectionError, InputFileError
from .cuts import names_in, passes
from .formats import open_reader
from .reader import TRUTH_UNITS, Reader, event_keys, match_rows

__all__ = ["EventIndex"]

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
        pointing_az (deg).
    events : Table
        One row an event: file, obs_id, event_id, tel_id (−1 for stereo), shower_id (shared
        by the reuses of a shower), particle, truth (see
        :data:`gammalearn.data.reader.TRUTH_UNITS`), multiplicity, first_image (row in
        ``images``), pointing_alt, pointing_az (deg, mean over its telescopes), reference_x,
        reference_y, reference_z (m, mean position of its telescopes).
    cut_flow : list of (str, int, int)
        What was left after each step: a label, events, images.
    """

    files: list[Path]
    cameras: list[CameraType]
    images: Table
    events: Table
    cut_flow: list[tuple[str, int, int]] = field(default_factory=list)

    def __len__(self):
        return len(self.events)

    @classmethod
    def build(
        cls,
        files: Sequence[Path],
        settings,
        cameras: Sequence[CameraType] | None = None,
        allow_empty: bool = False,
    ):
        """Index files.

        Parameters
        ----------
        files : sequence of Path
        settings : gammalearn.settings.DataSettings
        cameras : sequence of CameraType, optional
            The cameras a network was trained on; others are refused. By default all.
        allow_empty : bool
            An index of no events is an answer too.

        Raises
        ------
        DataError
            If a file cannot be used, or nothing is left by the selection.
        """
        builder = _Builder(settings, cameras)
        for number, path in enumerate(files):
            with open_reader(path, settings.cache_directory) as reader:
                builder.add(number, reader)
        return builder.finish(list(files), allow_empty)

    def particle_counts(self) -> dict[str, int]:
        """Number of events of each particle, the most frequent first."""
        names = np.asarray(self.events["particle"])
        counts = Counter(str(name) if name else "unknown" for name in names)
        return dict(counts.most_common())


class _Builder:
    """Collects the images and events of one file after the other."""

    def __init__(self, settings, cameras):
        self.settings = settings
        self.fixed_cameras = cameras is not None
        self.cameras = list(cameras or [])
        self.images, self.events = [], []
        self.n_events = 0
        self.flow = Counter()
        self.labels: list[str] = []

    def add(self, file: int, reader: Reader):
        events = reader.events.copy()
        events["file"] = file
        events["shower_id"] = _shower_ids(events)
        shower = reader.is_shower()
        tel_ids = self._select_telescopes(reader)
        images = self._images(file, reader, tel_ids, events)
        self._count("triggered", len(np.unique(images["event"])), len(images))
        images = images[shower[images["event"]]]
        self._count("showers (no calibration)", len(np.unique(images["event"])), len(images))

        if self.settings.cuts.image:
            columns = images.copy()
            for name in events.colnames:
                if name not in columns.colnames:
                    columns[name] = events[name][images["event"]]
            columns = columns[[n for n in columns.colnames if n not in _PLUMBING]]
            source = f"'{reader.path}'"
            for cut in self.settings.cuts.image:
                keep = passes([cut], columns, source, reader.parameter_names())
                images, columns = images[keep], columns[keep]
                self._count(f"image: {cut}", len(np.unique(images["event"])), len(images))

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
            self._count(f"multiplicity >= {minimum}", len(events), len(images))
        _add_references(images, events)
        for cut in self.settings.cuts.event:
            columns = events[[n for n in events.colnames if n not in _PLUMBING]]
            keep = passes([cut], columns, f"the event table of '{reader.path}'")
            images, events = _keep_events(images, events, keep)
            self._count(f"event: {cut}", len(events), len(images))

        images["event"] += self.n_events
        self.n_events += len(events)
        self.images.append(_compact(images, IMAGE_COLUMNS))
        self.events.append(_compact(events, EVENT_COLUMNS))

    def finish(self, files, allow_empty) -> EventIndex:
        flow = [
            (label, self.flow[label, "events"], self.flow[label, "images"]) for label in self.labels
        ]
        if self.n_events == 0 and not allow_empty:
            steps = "; ".join(f"{label}: {n} events" for label, n, _ in flow)
            raise EmptySelectionError(
                f"The selection leaves no event of {len(files)} file(s), '{files[0]}' first: "
                f"{steps}. "
                "Loosen data.cuts, data.min_multiplicity or data.telescopes."
            )
        images, events = _join(self.images), _join(self.events)
        count = np.asarray(events["multiplicity"], dtype=np.int64)
        events["first_image"] = np.cumsum(count) - count
        for label, n_events, n_images in flow:
            log.info("%-40s %9d events %9d images", label, n_events, n_images)
        return EventIndex(files, self.cameras, images, events, flow)

    def _count(self, label, n_events, n_images):
        if label not in self.labels:
            self.labels.append(label)
        self.flow[label, "events"] += n_events
        self.flow[label, "images"] += n_images

    def _select_telescopes(self, reader) -> list[int]:
        wanted = self.settings.telescopes
        with_images = reader.telescopes_with_images()
        if wanted is None:
            selected = with_images
        else:
            chosen = set()
            for selector in wanted:
                matches = _telescopes_matching(reader.subarray, selector)
                if not matches:
                    there = ", ".join(
                        f"{tel_id} ({reader.subarray.tel[tel_id]})"
                        for tel_id in reader.subarray.tel
                    )
                    raise DataError(
                        f"data.telescopes: no telescope {selector!r} in '{reader.path}', "
                        f"which has: {there}."
                    )
                chosen.update(matches)
            selected = [tel_id for tel_id in with_images if tel_id in chosen]
        if not with_images:
            raise InputFileError(f"'{reader.path}' holds no DL1 image of any telescope.")
        return selected

    def _images(self, file, reader, tel_ids, events) -> Table:
        parameters = sorted(names_in(self.settings.cuts.image) - set(events.colnames))
        keys_of_events = event_keys(events)
        tables = []
        for tel_id in tel_ids:
            images = reader.images(tel_id, parameters)
            images["file"] = file
            images["tel_id"] = tel_id
            images["row"] = np.arange(len(images))
            images["camera"] = self._camera(reader, tel_id)
            images["event"] = match_rows(event_keys(images), keys_of_events)
            if np.any(images["event"] < 0):
                raise InputFileError(
                    f"'{reader.path}': {np.sum(images['event'] < 0)} images of telescope {tel_id} "
                    "belong to no triggered event."
                )
            x, y, z = reader.subarray.positions[tel_id].to_value("m")
            images["x"], images["y"], images["z"] = float(x), float(y), float(z)
            tables.append(images)
        if not tables:
            numbers = ["event", "tel_id", "row", "file", "camera"]
            return Table(
                {name: np.zeros(0, dtype=np.int64) for name in numbers}
                | {name: np.zeros(0) for name in [*"xyz", "pointing_alt", "pointing_az"]}
                | {name: np.zeros(0) for name in parameters if name in reader.parameter_names()}
            )
        return vstack(tables, metadata_conflicts="silent")

    def _camera(self, reader, tel_id) -> int:
        """Row of the telescope's camera type, a new one if there is none like it."""
        telescope = reader.subarray.tel[tel_id]
        camera = CameraType.from_geometry(
            telescope.camera.geometry,
            telescope.optics.equivalent_focal_length,
            name=telescope.camera.name.replace(".", "_"),
        )
        for number, known in enumerate(self.cameras):
            if known.same_camera(camera):
                return number
        if self.fixed_cameras:
            raise CameraError(
                f"Telescope {tel_id} ({telescope}) of '{reader.path}' has a camera of "
                f"{camera.n_pixels} pixels that the network was not trained on; it knows "
                f"{', '.join(c.name for c in self.cameras)}. Leave the telescope out with "
                "data.telescopes, or train on its camera."
            )
        try:
            camera.grid  # noqa: B018  a camera without a lattice is to fail here, by name
        except LatticeError as error:
            raise CameraError(f"Camera {camera.name} in '{reader.path}': {error}") from error
        names = {known.name for known in self.cameras}
        number = 2
        name = camera.name
        while name in names:
            name, number = f"{camera.name}-{number}", number + 1
        self.cameras.append(
            CameraType(name, camera.pix_x, camera.pix_y, camera.lattice, camera.focal_length)
        )
        return len(self.cameras) - 1


#: Columns that are rows of other tables, of no use to a cut.
_PLUMBING = {"event", "row", "camera", "file", "shower_id", "x", "y", "z"}

#: Columns of the image table: 38 bytes an image.
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

#: Columns of the event table, but for the particle's name and the first image: about 180 bytes an
#: event with them.
EVENT_COLUMNS = {
    "file": np.int32,
    "obs_id": np.int64,
    "event_id": np.int64,
    "tel_id": np.int16,
    "event_type": np.int16,
    "shower_id": np.int64,
    "particle": None,
    **dict.fromkeys(TRUTH_UNITS, np.float64),
    "multiplicity": np.int16,
    "pointing_alt": np.float64,
    "pointing_az": np.float64,
    "reference_x": np.float32,
    "reference_y": np.float32,
    "reference_z": np.float32,
}


def _compact(table: Table, dtypes: dict) -> dict[str, np.ndarray]:
    """The columns in as few bytes as their values need."""
    columns = {name: np.asarray(table[name]) for name in dtypes}
    if "particle" in columns:
        longest = int(np.char.str_len(columns["particle"]).max(initial=1))
        columns["particle"] = columns["particle"].astype(f"U{longest}")
    return {
        name: values if dtypes[name] is None else values.astype(dtypes[name])
        for name, values in columns.items()
    }


def _join(parts: list[dict[str, np.ndarray]]) -> Table:
    """One table of several; the parts are used up column by column, to hold few of them twice."""
    names = list(parts[0])
    return Table({n: np.concatenate([part.pop(n) for part in parts]) for n in names}, copy=False)


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
