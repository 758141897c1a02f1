"""Pictures of an event: what each telescope saw."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from astropy.table import Row, Table
from ctapipe.instrument import TelescopeDescription
from ctapipe.visualization import CameraDisplay
from matplotlib.figure import Figure

from ..data.readers.formats import open_reader
from ..data.readers.reader import Reader, event_keys
from ..errors import DataError
from ..io.finding import check_file
from ..io.isolated import read_isolated
from .pictures import picture_path, write_picture

__all__ = ["observation_of", "plot_event", "show_event"]

#: Inches of one telescope's picture, and how many stand side by side.
PANEL, COLUMNS = 3.4, 4


def show_event(
    path: Path,
    event_id: int,
    output: Path,
    obs_id: int | None = None,
    overwrite: bool = False,
    cache_directory: str | None = None,
) -> Path:
    """Write a picture of an event, see `plot_event`.

    Parameters
    ----------
    path : Path
        DL1 file or one of sim_telarray.
    event_id : int
    output : Path
        Picture to make; its ending decides the format, PNG where it has none.
    obs_id : int, optional
        Needed where a file has several events of this id.
    overwrite : bool
        Replace a picture that exists.
    cache_directory : str, optional
        See ``data.cache_directory``.

    Returns
    -------
    Path
        Of the picture.

    Raises
    ------
    DataError
        If the file cannot be read or has no such event.
    OutputError
        If the picture exists or cannot be written.
    """
    output = picture_path(output, overwrite)
    write_picture(plot_event(path, event_id, obs_id, cache_directory), output)
    return output


def plot_event(
    path: str | Path,
    event_id: int,
    obs_id: int | None = None,
    cache_directory: str | None = None,
) -> Figure:
    """Draw the images of an event, one camera a telescope.

    Parameters
    ----------
    path : str or Path
        DL1 file or one of sim_telarray.
    event_id : int
    obs_id : int, optional
        Needed where a file has several events of this id.
    cache_directory : str, optional
        See ``data.cache_directory``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If the file cannot be read or has no such event.
    """
    check_file(path)
    read = partial(_read, event_id=int(event_id), obs_id=obs_id, cache_directory=cache_directory)
    return _draw(read_isolated(read, Path(path)))


@dataclass(frozen=True)
class _Panel:
    """The image of one telescope."""

    tel_id: int
    telescope: TelescopeDescription
    charge: np.ndarray


@dataclass(frozen=True)
class _View:
    """What is drawn of an event."""

    title: str
    panels: list[_Panel]


def _read(path: Path, event_id: int, obs_id: int | None, cache_directory: str | None) -> _View:
    with open_reader(path, cache_directory) as reader:
        key = _key(reader, event_id, obs_id)
        # Files of several pointings repeat ids: the first event is drawn, and the others are told.
        events = np.flatnonzero((event_keys(reader.events) == key).all(axis=1))
        panels = []
        for tel_id in reader.telescopes_with_images():
            rows = np.flatnonzero(np.asarray(reader.images(tel_id)["event"]) == events[0])
            if len(rows):
                charge = reader.pixels(tel_id, rows[:1], ["charge"])["charge"][0]
                panels.append(_Panel(tel_id, reader.subarray.tel[tel_id], charge))
        if not panels:
            raise DataError(f"'{path}' has no image of event {key[1]} of observation {key[0]}.")
        return _View(_title(reader.events[events[0]], len(events)), panels)


def _key(reader: Reader, event_id: int, obs_id: int | None) -> tuple[int, int]:
    of = "" if obs_id is None else f" of observation {obs_id}"
    missing = f"'{reader.path}' has no event {event_id}{of}; it has"
    return observation_of(reader.events, event_id, obs_id, reader.path, missing), event_id


def observation_of(
    events: Table, event_id: int, obs_id: int | None, path: Path, missing: str
) -> int:
    """The observation of the event that a user has named.

    Parameters
    ----------
    events : astropy.table.Table
        With ``obs_id`` and ``event_id``.
    event_id : int
    obs_id : int, optional
        Needed where several observations have such an event.
    path : Path
        Of the file of the events.
    missing : str
        What the error begins with if there is no such event; some that there are follow.

    Raises
    ------
    DataError
        If there is no such event, or one in several observations.
    """
    mine = np.asarray(events["event_id"]) == event_id
    if obs_id is not None:
        mine &= np.asarray(events["obs_id"]) == obs_id
    found = np.unique(np.asarray(events["obs_id"])[mine])
    if len(found) == 0:
        some = ", ".join(
            f"{event['event_id']} of observation {event['obs_id']}" for event in events[:5]
        )
        raise DataError(f"{missing} {some}{', …' if len(events) > 5 else ''}.")
    if len(found) > 1:
        raise DataError(
            f"'{path}' has event {event_id} in observations {', '.join(map(str, found.tolist()))}; "
            "choose with --obs-id."
        )
    return int(found[0])


def _draw(view: _View) -> Figure:
    panels = view.panels
    n_columns = min(len(panels), COLUMNS)
    n_rows = math.ceil(len(panels) / n_columns)
    figure = Figure(figsize=(PANEL * max(n_columns, 2), PANEL * n_rows + 0.6), layout="constrained")
    figure.suptitle(view.title)
    with matplotlib.rc_context({"font.size": 8}):
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(n_rows, n_columns, number)
            light = np.where(np.isfinite(panel.charge), panel.charge, 0)
            display = CameraDisplay(panel.telescope.camera.geometry, image=light, ax=axes)
            display.add_colorbar(label="p.e.")
            axes.set_title(f"{panel.telescope}, telescope {panel.tel_id}")
    return figure


def _title(event: Row, n_alike: int) -> str:
    truth = f" (the first of {n_alike} of these ids)" if n_alike > 1 else ""
    if event["particle"]:
        truth += f": {event['particle']}"
        if np.isfinite(event["true_energy"]):
            truth += f", {event['true_energy']:.3g} TeV"
    return f"Observation {event['obs_id']}, event {event['event_id']}{truth}"
