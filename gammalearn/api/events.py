"""Events of DL1 files: which there are, and which are chosen."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ..camera import CameraType
from ..data import EventIndex
from ..data.readers.reader import TRUTH_UNITS
from ..io.finding import MAKE_DL1
from ..settings import CutSettings, DataSettings
from .given import Files, files_of, settings_of

__all__ = ["Events", "event_table", "read_events"]

#: Name of the particle of events without truth, as in tables of reconstructed events.
UNKNOWN = "unknown"


class Events:
    """Chosen events of DL1 files, as `read_events` gives them; their pixels stay in the files.

    ``events[mask]``, ``events[:100]`` and ``events[7]`` choose some of them, in the same order.

    Parameters
    ----------
    index : EventIndex
    selection : DataSettings
        How they were chosen.
    """

    def __init__(self, index: EventIndex, selection: DataSettings):
        self.index, self.selection = index, selection

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{number} {name}" for name, number in self.particles.items())
        return f"<Events: {len(self)} of {len(self.files)} file(s): {kinds or 'none'}>"

    def __getitem__(self, chosen: np.ndarray | slice | int | Sequence[int]) -> "Events":
        keep = np.zeros(len(self), dtype=bool)
        keep[chosen if isinstance(chosen, slice) else np.asarray(chosen)] = True
        return Events(self.index.selected(keep, "chosen"), self.selection)

    @property
    def files(self) -> list[Path]:
        """The files, in the order of the table's column ``file``."""
        return list(self.index.files)

    @property
    def cameras(self) -> list[CameraType]:
        """The cameras that images are of."""
        return list(self.index.cameras)

    @property
    def particles(self) -> dict[str, int]:
        """Number of events of each particle, the most frequent first."""
        return self.index.particle_counts()

    @cached_property
    def table(self) -> QTable:
        """One row an event.

        - ``file`` (position in `files`), ``obs_id``, ``event_id``, ``tel_id`` (−1 for events of
          several telescopes);
        - ``shower``: a number that the reuses of one shower share, and its images;
        - ``true_energy`` (TeV), ``true_alt``, ``true_az`` (deg), ``true_core_x``, ``true_core_y``
          (m, ground frame), ``true_h_first_int`` (m), ``true_x_max`` (g/cm²), NaN where there is
          no truth, and ``particle``;
        - ``multiplicity`` (images), ``pointing_alt``, ``pointing_az`` (deg).
        """
        return event_table(self.index)

    @cached_property
    def images(self) -> QTable:
        """One row an image: ``event`` (row of `table`), ``tel_id``, ``camera`` (name),
        ``pointing_alt``, ``pointing_az`` (deg), and the parameters that were asked for."""
        images = self.index.images
        cameras = np.array([camera.name for camera in self.index.cameras], dtype=str)
        table = QTable(
            {
                "event": np.asarray(images["event"], dtype=np.int64),
                "tel_id": np.asarray(images["tel_id"], dtype=np.int64),
                "camera": cameras[images["camera"]],
                "pointing_alt": images["pointing_alt"] * u.deg,
                "pointing_az": images["pointing_az"] * u.deg,
            }
        )
        plumbing = {*table.colnames, "file", "row", "x", "y", "z"}
        for name in images.colnames:
            if name not in plumbing:
                table[name] = np.asarray(images[name], dtype=np.float64)
        return table

    @property
    def cut_flow(self) -> QTable:
        """What was left after each step: ``step``, ``events``, ``images``."""
        return QTable(rows=self.index.cut_flow or None, names=["step", "events", "images"])


def read_events(
    files: Files,
    cuts: CutSettings | Mapping[str, object] | None = None,
    *,
    telescopes: Sequence[int | str] | int | str | None = None,
    grouping: str = "stereo",
    min_multiplicity: int = 1,
    parameters: Sequence[str] = (),
    **settings: object,
) -> Events:
    """Find the events of DL1 files.

    Parameters
    ----------
    files : str, Path or sequence of these
        ctapipe or lstchain DL1, or sim_telarray's output; names or globs.
    cuts : CutSettings or dict, optional
        Which images and events count, e.g. ``{"image": "hillas_intensity > 50", "event":
        "multiplicity >= 2"}``.
    telescopes : list of int or str, optional
        Types, names or ids of the telescopes that count; by default all.
    grouping : {"stereo", "mono"}
        Whether an event is all images of a shower, or each image is one.
    min_multiplicity : int
        Least images of an event.
    parameters : sequence of str
        DL1 image parameters, by ctapipe's names, that the table of images is to have. What a file
        lacks is computed of its images.
    **settings
        Further settings of the data, by their names: ``on_error``, ``cache_directory``, …

    Returns
    -------
    Events

    Raises
    ------
    SettingsError
        If a setting is wrong.
    DataError
        If a file cannot be used, or the selection leaves nothing.
    """
    values = {
        "telescopes": telescopes,
        "grouping": grouping,
        "min_multiplicity": min_multiplicity,
        **settings,
    }
    if cuts is not None:
        values["cuts"] = cuts
    selection = settings_of(DataSettings, None, values, "gammalearn.read_events")
    paths = files_of(files, "files", MAKE_DL1)
    return Events(EventIndex.build(paths, selection, parameters=parameters), selection)


def event_table(index: EventIndex) -> QTable:
    """The events of an index as a table with units, see `Events.table`."""
    events = index.events
    table = QTable()
    for name in ("file", "obs_id", "event_id", "tel_id"):
        table[name] = np.asarray(events[name], dtype=np.int64)
    particle = np.asarray(events["particle"], dtype=str)
    # Gammas and protons of a merged file may have the same numbers.
    keys = [np.unique(particle, return_inverse=True)[1].reshape(-1)]
    keys += [np.asarray(events[name], dtype=np.int64) for name in ("file", "obs_id", "shower_id")]
    table["shower"] = np.unique(np.column_stack(keys), axis=0, return_inverse=True)[1].reshape(-1)
    for name in ("true_energy", "true_alt", "true_az"):
        table[name] = np.asarray(events[name]) * TRUTH_UNITS[name]
    table["particle"] = np.where(particle == "", UNKNOWN, particle)
    table["multiplicity"] = np.asarray(events["multiplicity"], dtype=np.int64)
    for name in ("pointing_alt", "pointing_az"):
        table[name] = np.asarray(events[name]) * u.deg
    for name, unit in TRUTH_UNITS.items():
        if name not in table.colnames:
            table[name] = np.asarray(events[name]) * unit
    return table
