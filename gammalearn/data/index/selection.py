"""Selection: which images and events of a file are used, and what is left out at each step."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack

from ...camera import CameraType
from ...errors import InputFileError
from ...settings import DataSettings
from ..readers.faults import Fault, faults_of, refuse_incomplete, repeated_images
from ..readers.pedestals import PEDESTAL_NOISE, pedestal_noise
from ..readers.reader import Reader, event_keys
from ..readers.waveforms import check_waveforms
from .cuts import names_in, passes
from .telescopes import chosen_telescopes, telescopes_matching

__all__ = ["CutStep", "Selection"]

#: Columns that are rows of other tables, of no use to a cut.
_PLUMBING = {"event", "row", "camera", "file", "shower_id", "x", "y", "z"}

#: ctapipe's types of telescopes.
TELESCOPE_TYPES = ("LST", "MST", "SST")


class CutStep(NamedTuple):
    """What a step of the selection has left."""

    label: str
    """Of the step, such as a cut."""

    n_events: int
    n_images: int


class Selection:
    """Selects the images and events of a file.

    Parameters
    ----------
    reader : Reader
    settings : gammalearn.settings.DataSettings
    parameters : sequence of str
        DL1 image parameters to have of each image, beside those of the cuts.

    Attributes
    ----------
    cameras : list of CameraType
        Those of the images.
    telescopes : list of str
        A telescope of each camera, in words.
    flow : list of CutStep
        What was left after each step.
    """

    def __init__(self, reader: Reader, settings: DataSettings, parameters: Sequence[str]) -> None:
        self.reader, self.settings, self.parameters = reader, settings, sorted(parameters)
        self.cameras: list[CameraType] = []
        self.telescopes: list[str] = []
        self.flow: list[CutStep] = []

    def select(self) -> tuple[Table, Table, list[Fault]]:
        """The selected images and events, and what is wrong with others.

        Returns
        -------
        images : Table
            A row an image, those of an event side by side; ``event`` is a row of the events.
        events : Table
        faults : list of Fault
        """
        reader = self.reader
        events = reader.events.copy()
        events["file"] = 0
        events["shower_id"] = _shower_ids(events)
        shower = reader.is_shower()
        telescopes = self._select_telescopes()
        triggers = event_keys(self._triggers())
        self.flow.append(CutStep("triggered", len(np.unique(triggers, axis=0)), len(triggers)))
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
        return images, events, faults

    def _count(self, label: str, images: Table) -> None:
        self.flow.append(CutStep(label, len(np.unique(images["event"])), len(images)))

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
            tel_ids = telescopes_matching(self.reader.subarray, selector)
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
                f"'{reader.path}' holds no DL1 images (image parameters only); make it again with "
                "images (ctapipe-process --write-images), or train a network of parameters alone "
                "(network.encoder=none and data.channels=[])."
            )
        with_images = reader.telescopes_with_images()
        chosen = self._chosen()
        selected = [tel_id for tel_id in with_images if tel_id in chosen]
        if not with_images:
            raise InputFileError(f"'{reader.path}' holds no DL1 image of any telescope.")
        if self.settings.input == "waveforms":
            for tel_id in selected:
                check_waveforms(reader, tel_id)
        return selected

    def _images(self, tel_ids: Sequence[int], events: Table) -> tuple[Table, list[Fault]]:
        """The images that can be used, and what is wrong with others."""
        reader = self.reader
        wanted = names_in(self._image_cuts()) | set(self.parameters)
        parameters = sorted(wanted - set(events.colnames) - {PEDESTAL_NOISE})
        found = {tel_id: reader.images(tel_id, parameters) for tel_id in tel_ids}
        faults = faults_of(reader, sorted(self._chosen()), found)
        if self.settings.on_error == "raise":
            refuse_incomplete(reader.path, faults)
        usable = np.ones(len(events), dtype=bool)
        for fault in faults:
            usable[fault.events] = False
        tables = []
        for tel_id, images in found.items():
            if PEDESTAL_NOISE in wanted:
                images[PEDESTAL_NOISE] = pedestal_noise(reader, tel_id, images)
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


def _keep_events(images: Table, events: Table, keep: np.ndarray) -> tuple[Table, Table]:
    """Only the events to keep, with their images renumbered."""
    keep = np.asarray(keep, dtype=bool)
    images = images[keep[images["event"]]]
    images["event"] = (np.cumsum(keep) - 1)[images["event"]]
    return images, events[keep]


def _add_references(images: Table, events: Table) -> None:
    """Add each event's mean pointing and mean telescope position."""
    n_events = len(events)

    def mean(values: np.ndarray) -> np.ndarray:
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
