"""Dataset: whole batches of events, read from the files they lie in."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import AltAz
from ctapipe.coordinates import TelescopeFrame
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from ..errors import InputFileError
from .batch import Batch, CameraImages
from .channels import image_channels, pixel_columns
from .ctapipe_dl1 import CtapipeDL1Reader, event_keys
from .index import EventIndex

__all__ = ["EventDataset", "event_loader"]

#: Files kept open at a time in each process.
MAX_OPEN_FILES = 32


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
    """

    def __init__(
        self,
        index: EventIndex,
        settings,
        targets: Mapping[str, np.ndarray] | None = None,
        rows: np.ndarray | None = None,
    ):
        self.index = index
        self.settings = settings
        self.rows = np.arange(len(index)) if rows is None else np.asarray(rows)
        self.targets = {k: torch.as_tensor(np.asarray(v)) for k, v in (targets or {}).items()}
        images, events = index.images, index.events
        # Plain arrays: indexing an astropy table row by row is slow.
        self._file = np.asarray(images["file"])
        self._tel_id = np.asarray(images["tel_id"])
        self._camera = np.asarray(images["camera"])
        self._row = np.asarray(images["row"])
        self._event = np.asarray(images["event"])
        self._first = np.asarray(events["first_image"])
        self._multiplicity = np.asarray(events["multiplicity"])
        self._keys = event_keys(events)
        position = np.column_stack([images[axis] for axis in "xyz"])
        reference = np.column_stack([events[f"reference_{axis}"] for axis in "xyz"])
        self._position = (position - reference[self._event]).astype(np.float32)
        self._pointing = _relative_pointing(images, events)
        self._readers: OrderedDict[int, CtapipeDL1Reader] = OrderedDict()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, item) -> Batch:
        return self.__getitems__(np.atleast_1d(item))

    def __getitems__(self, items: Sequence[int]) -> Batch:
        rows = self.rows[np.asarray(items)]
        count = self._multiplicity[rows]
        event = np.repeat(np.arange(len(rows)), count)
        # Images of each event: its first one and those that follow.
        image = np.repeat(self._first[rows] - np.cumsum(count) + count, count) + np.arange(
            len(event)
        )
        images = {}
        for number in np.unique(self._camera[image]):
            mine = self._camera[image] == number
            images[self.index.cameras[number].name] = CameraImages(
                torch.from_numpy(self._pixels(image[mine], self.index.cameras[number].n_pixels)),
                torch.from_numpy(event[mine]),
                torch.from_numpy(self._position[image[mine]]),
                torch.from_numpy(self._pointing[image[mine]]),
            )
        rows = torch.from_numpy(rows)
        return Batch(images, rows, {name: target[rows] for name, target in self.targets.items()})

    def _pixels(self, image: np.ndarray, n_pixels: int) -> np.ndarray:
        """Channels of images of one camera, shape (n, n_channels, n_pixels)."""
        channels = self.settings.channels
        columns = pixel_columns(channels)
        out = np.empty((len(image), len(channels), n_pixels), dtype=np.float32)
        place = np.column_stack([self._file[image], self._tel_id[image]])
        for (file, tel_id), which in _groups(place):
            which = which[np.argsort(self._row[image[which]], kind="stable")]
            rows = self._row[image[which]]
            pixels = self._reader(file).pixels(int(tel_id), rows, columns)
            if not np.array_equal(event_keys(pixels), self._keys[self._event[image[which]]]):
                raise InputFileError(
                    f"'{self.index.files[file]}': the images of telescope {tel_id} are not in the "
                    "order of its triggers, or the file has changed since it was indexed."
                )
            out[which] = image_channels(pixels, channels, self.settings.charge_scale)
        return out

    def _reader(self, file: int) -> CtapipeDL1Reader:
        if file in self._readers:
            self._readers.move_to_end(file)
            return self._readers[file]
        while len(self._readers) >= MAX_OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        self._readers[file] = CtapipeDL1Reader(self.index.files[file])
        return self._readers[file]

    def close(self):
        """Close the files."""
        while self._readers:
            self._readers.popitem()[1].close()

    def __getstate__(self):
        # Open files do not travel to worker processes; each opens its own.
        return {**self.__dict__, "_readers": OrderedDict()}


def _groups(keys: np.ndarray):
    """Pairs of a key and the rows that hold it."""
    unique, number = np.unique(keys, axis=0, return_inverse=True)
    number = number.reshape(-1)
    for i, key in enumerate(unique):
        yield key, np.flatnonzero(number == i)


def _relative_pointing(images, events) -> np.ndarray:
    """Pointing of each image relative to its event's, (fov_lon, fov_lat) in deg."""
    event = np.asarray(images["event"])

    def altaz(table, rows):
        alt, az = np.asarray(table["pointing_alt"])[rows], np.asarray(table["pointing_az"])[rows]
        return AltAz(alt=alt * u.deg, az=az * u.deg)

    frame = TelescopeFrame(telescope_pointing=altaz(events, event))
    offset = altaz(images, slice(None)).transform_to(frame)
    lon_lat = np.column_stack([offset.fov_lon.wrap_at(180 * u.deg).deg, offset.fov_lat.deg])
    return lon_lat.astype(np.float32)


def _same(batch: Batch) -> Batch:
    return batch


def event_loader(
    dataset: EventDataset,
    batch_size: int,
    workers: int = 0,
    shuffle_seed: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> DataLoader:
    """Batches of a data set.

    Parameters
    ----------
    dataset : EventDataset
    batch_size : int
        Events a batch; the last one may have fewer.
    workers : int
        Processes that read; 0 reads in this one.
    shuffle_seed : int, optional
        Shuffle, in an order that depends on this seed and the epoch alone.
    rank, world_size : int
        This process and the number of processes that share the events. Each has as many
        batches: where the events do not divide, some come twice.
    pin_memory : bool
        Page-locked memory, for fast copies to a GPU.
    """
    sampler = DistributedSampler(
        dataset,
        num_replicas=world_size,
        rank=rank,
        shuffle=shuffle_seed is not None,
        seed=shuffle_seed or 0,
    )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_same,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        # Files are opened in the worker; a forked HDF5 library is not safe.
        multiprocessing_context="spawn" if workers else None,
    )
