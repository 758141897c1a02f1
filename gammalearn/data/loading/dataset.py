"""Dataset: whole batches of events, read from the files they lie in."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import AltAz
from astropy.table import Table
from ctapipe.coordinates import TelescopeFrame
from torch import Tensor
from torch.utils.data import Dataset

from ...camera import plane_axes, to_plane
from ...settings import DataSettings
from ..images.descriptors import describe_images
from ..images.reading import ImageReader
from ..index.events import EventIndex
from ..readers.pedestals import PEDESTAL_NOISE
from ..readers.reader import Reader
from .batch import Batch, CameraImages

__all__ = ["EventDataset"]

#: Cosine of the zenith angle below which the air mass of a flat atmosphere says nothing.
LEAST_COSINE = 0.05

#: Directions that are transformed at a time.
COORDINATES = 20_000


class EventDataset(Dataset):
    """Events of an index, with their images and targets.

    ``dataset[[3, 1, 4]]`` is a :class:`Batch` of three events: the images are read file by file
    and telescope by telescope, each in one go.

    Parameters
    ----------
    index : EventIndex
    settings : gammalearn.settings.DataSettings
    targets : mapping of str to ndarray, shape (len(index), n_targets), optional
        By task.
    rows : ndarray of int, optional
        The events of the index that make the data set; by default all.
    packed : sequence of Path, optional
        What :func:`gammalearn.data.loading.packed.pack_images` made of the files, to read instead.
    tasks : mapping of str to gammalearn.tasks.Task, optional
        Know how their targets move with the events' ground reference, for events that images are
        left out of.
    weights : mapping of str to ndarray, shape (len(index),), optional
        How much each event counts, by task.
    parameters : sequence of str
        Names of the images' descriptors that the network takes, see
        `gammalearn.data.images.descriptors`; the index has the DL1 parameters that they are made
        of.
    readers : sequence of Reader
        Of the index's files, where these are open already.
    """

    def __init__(
        self,
        index: EventIndex,
        settings: DataSettings,
        targets: Mapping[str, np.ndarray] | None = None,
        rows: np.ndarray | None = None,
        packed: Sequence[Path] | None = None,
        tasks: Mapping | None = None,
        weights: Mapping[str, np.ndarray] | None = None,
        parameters: Sequence[str] = (),
        readers: Sequence[Reader] = (),
    ) -> None:
        self.index = index
        self.tasks = tasks or {}
        self.settings = settings
        self.rows = np.asarray(np.arange(len(index)) if rows is None else rows, dtype=np.int32)
        self.targets = {k: torch.as_tensor(np.asarray(v)) for k, v in (targets or {}).items()}
        self.weights = {k: torch.as_tensor(np.asarray(v)) for k, v in (weights or {}).items()}
        self.reader = ImageReader(index, settings, packed, readers)
        images, events = index.images, index.events
        self.camera = np.asarray(images["camera"])
        self.multiplicity = np.asarray(events["multiplicity"])
        self._tel_id = np.asarray(images["tel_id"], dtype=np.int64)
        self._first = np.asarray(events["first_image"])
        self._position = _positions(images, events)
        self._pointing = _relative_pointing(images, events)
        # They are in the table anyway.
        self._altaz = [np.asarray(images[f"pointing_{angle}"]) for angle in ("alt", "az")]
        self._noise = None
        if PEDESTAL_NOISE in images.colnames:
            self._noise = np.asarray(images[PEDESTAL_NOISE], dtype=np.float32)
        self._scalars = self._vectors = None
        if parameters:
            self._scalars, self._vectors = describe_images(images, parameters)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int | np.ndarray) -> Batch:
        return self.__getitems__(np.atleast_1d(item))

    def __getitems__(self, items: Sequence[int] | np.ndarray) -> Batch:
        return self.batch(items, lambda camera, images: self.reader.read(images)[camera])

    def images(self, items: Sequence[int] | np.ndarray) -> np.ndarray:
        """Rows of the index's image table: the images of the events, one event after the other."""
        rows = self.rows[np.asarray(items)]
        count = self.multiplicity[rows]
        # The first image of each event and those that follow.
        return np.repeat(self._first[rows] - np.cumsum(count) + count, count) + np.arange(
            count.sum()
        )

    def batch(
        self,
        items: Sequence[int] | np.ndarray,
        pixels: Callable[[int, np.ndarray], Tensor],
        kept: np.ndarray | None = None,
        more_noise: bool = False,
    ) -> Batch:
        """Events with their images, whoever has read them.

        Parameters
        ----------
        items : sequence or ndarray of int
        pixels : callable
            Called with a camera's row in the index and the rows of its images there, returns
            their channels and samples, shape (n_images, n_values, n_pixels).
        kept : ndarray of bool, shape (n_images,), optional
            Which of :meth:`images` enter, one of each event at least; by default all. The events
            are then as if there were no others: their ground reference is the mean position of the
            telescopes that are left. Their pointing stays.
        more_noise : bool
            Whether the pixels have more noise than in the file, which pedestals do not tell then.
        """
        rows = self.rows[np.asarray(items)].astype(np.int64)
        image = self.images(items)
        event = np.repeat(np.arange(len(rows)), self.multiplicity[rows])
        targets = {name: target[torch.from_numpy(rows)] for name, target in self.targets.items()}
        position = self._position[image]
        if kept is not None:
            image, event, position = image[kept], event[kept], position[kept]
            step = _mean_of_events(position, event, len(rows))
            position = position - step[event]
            for name, task in self.tasks.items():
                targets[name] = task.moved(targets[name], torch.from_numpy(step))
        camera = self.camera[image]
        images = {}
        for number in np.unique(camera):
            mine = camera == number
            told = (self._scalars, self._vectors, None if more_noise else self._noise)
            scalars, vectors, noise = (
                None if values is None else torch.from_numpy(values[image[mine]]) for values in told
            )
            images[self.index.cameras[number].name] = CameraImages(
                pixels(int(number), image[mine]),
                torch.from_numpy(event[mine]),
                torch.from_numpy(position[mine]),
                torch.from_numpy(self._pointing[image[mine]]),
                torch.from_numpy(self._tel_id[image[mine]]),
                scalars,
                vectors,
                torch.from_numpy(_sky(*(angle[image[mine]] for angle in self._altaz))),
                noise,
            )
        rows = torch.from_numpy(rows)
        weights = {name: values[rows] for name, values in self.weights.items()}
        return Batch(images, rows, targets, weights)

    def close(self) -> None:
        """Close the files."""
        self.reader.close()


def _mean_of_events(position: np.ndarray, event: np.ndarray, n_events: int) -> np.ndarray:
    """Mean of the positions of each event, shape (n_events, 3)."""
    count = np.bincount(event, minlength=n_events)
    total = [np.bincount(event, values, n_events) for values in position.T]
    return (np.stack(total, axis=1) / count[:, None]).astype(np.float32)


def _positions(images: Table, events: Table) -> np.ndarray:
    """Positions relative to the event's reference, see `CameraImages`; shape (n_images, 3)."""
    event = np.asarray(images["event"])
    relative = [
        np.asarray(images[axis]) - np.asarray(events[f"reference_{axis}"])[event] for axis in "xyz"
    ]
    positions = np.empty((len(images), 3), dtype=np.float32)
    # The axes of all images at once would be large.
    for start in range(0, len(images), COORDINATES):
        part = slice(start, start + COORDINATES)
        alt, az = (np.asarray(events[f"pointing_{angle}"])[event[part]] for angle in ("alt", "az"))
        positions[part] = to_plane(
            np.column_stack([values[part] for values in relative]), plane_axes(alt, az)
        )
    return positions


def _sky(alt: np.ndarray, az: np.ndarray) -> np.ndarray:
    """What images tell of their pointing, see `CameraImages`; of angles in deg."""
    zenith, az = np.radians(90 - alt.astype(float)), np.radians(az.astype(float))
    air_mass = 1 / np.cos(zenith).clip(min=LEAST_COSINE)
    across = np.sin(zenith)
    return np.column_stack([np.log(air_mass), across * np.cos(az), across * np.sin(az)]).astype(
        np.float32
    )


def _relative_pointing(images: Table, events: Table) -> np.ndarray:
    """Pointing of each image relative to its event's, (fov_lon, fov_lat) in deg."""
    offsets = np.empty((len(images), 2), dtype=np.float32)
    # astropy holds a frame many times over.
    for start in range(0, len(images), COORDINATES):
        part = slice(start, start + COORDINATES)
        event = np.asarray(images["event"])[part]
        frame = TelescopeFrame(telescope_pointing=_altaz(events, event))
        offset = _altaz(images, part).transform_to(frame)
        offsets[part, 0] = offset.fov_lon.wrap_at(180 * u.deg).deg
        offsets[part, 1] = offset.fov_lat.deg
    return offsets


def _altaz(table: Table, rows: np.ndarray | slice) -> AltAz:
    alt, az = (np.asarray(table[f"pointing_{angle}"])[rows] for angle in ("alt", "az"))
    return AltAz(alt=alt * u.deg, az=az * u.deg)
