"""Image reader: channels of images, wherever they lie."""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import GammaLearnError, InputFileError
from ...image.cleaning import cleanings
from ...settings import DataSettings
from ..index.events import EventIndex
from ..loading.packed import PackedImages
from ..readers.formats import open_reader
from ..readers.reader import KEYS, Reader
from .augmentation import augment
from .channels import image_channels, pixel_columns, without_impossible
from .waveforms import image_samples

__all__ = ["ImageReader", "groups"]

log = logging.getLogger(__name__)

#: Files kept open at a time in each process.
MAX_OPEN_FILES = 32


class ImageReader(Dataset):
    """Reads images of an index; all that a process needs to know that does nothing else.

    Parameters
    ----------
    index : EventIndex
    settings : gammalearn.settings.DataSettings
    packed : sequence of Path, optional
        Folders of the files' packed images, which are then read in their place.
    readers : sequence of Reader
        Of the files, where these are open already; closed with this one.
    """

    def __init__(
        self,
        index: EventIndex,
        settings: DataSettings,
        packed: Sequence[Path] | None = None,
        readers: Sequence[Reader] = (),
    ) -> None:
        images = index.images
        self.files = index.files
        self.packed = packed
        self.settings = settings
        self.columns = pixel_columns(settings)
        self.cleanings = cleanings(settings, index.cameras)
        self.pixel_orders = index.pixel_orders
        self.n_pixels = [camera.n_pixels for camera in index.cameras]
        # Plain arrays: indexing an astropy table row by row is slow.
        self.file = np.asarray(images["file"])
        self.tel_id = np.asarray(images["tel_id"])
        self.camera = np.asarray(images["camera"])
        self.row = np.asarray(images["row"])
        self.event = np.asarray(images["event"])
        self.keys = {name: np.asarray(index.events[name]) for name in KEYS}
        self._readers: OrderedDict[int, Reader | PackedImages] = OrderedDict(enumerate(readers))
        self._warned: set[int] = set()
        self._longer: set[int] = set()

    def read(
        self, images: np.ndarray, seed: int = 0, epoch: int | None = None
    ) -> dict[int, Tensor]:
        """Channels of images.

        Parameters
        ----------
        images : ndarray of int
            Rows of the index's image table.
        seed, epoch : int, optional
            Augment the images for this epoch.

        Returns
        -------
        dict of int to Tensor of float32, shape (n_images, n_values, n_pixels)
            By the camera's row in the index; the images of each in the order given. The values are
            the channels and, after them, the samples of waveforms.
        """
        camera = self.camera[images]
        return {
            int(number): self._read(images[camera == number], seed, epoch)
            for number in np.unique(camera)
        }

    def __getitems__(self, task: tuple) -> dict[int, Tensor] | GammaLearnError:
        """As :meth:`read` with these arguments, for a DataLoader.

        An error is an answer, for its words to stay as they are on their way from another process.
        """
        try:
            return self.read(*task)
        except GammaLearnError as error:
            return error

    def _read(self, image: np.ndarray, seed: int, epoch: int | None) -> Tensor:
        """Channels of images of one camera."""
        camera, n_channels = self.camera[image[0]], len(self.settings.channels)
        n_values = self.settings.values_per_pixel
        # Not of torch's memory, whose alignment would leave holes, see the loader.
        out = np.empty((len(image), n_values, self.n_pixels[camera]), dtype=np.float32)
        if n_channels == 0:
            return torch.from_numpy(out)
        for (file, tel_id), which in groups(
            np.column_stack([self.file[image], self.tel_id[image]])
        ):
            which = which[np.argsort(self.row[image[which]], kind="stable")]
            rows = self.row[image[which]]
            pixels = self._reader(file).pixels(int(tel_id), rows, self.columns)
            event = self.event[image[which]]
            if any(np.any(pixels[name] != self.keys[name][event]) for name in KEYS):
                raise InputFileError(
                    f"'{self.files[file]}': the images of telescope {tel_id} are not in the "
                    "order of its triggers, or the file has changed since it was indexed."
                )
            pixels, impossible = without_impossible(pixels)
            self._warn_of_impossible(int(file), int(tel_id), impossible)
            order = self.pixel_orders.get((int(file), int(tel_id)))
            if order is not None:
                pixels |= {name: pixels[name][:, order] for name in self.columns}
            if epoch is not None:
                pixels = augment(pixels, image[which], self.settings.augmentation, seed, epoch)
            if self.cleanings:
                pixels = {**pixels, "cleaning_mask": self.cleanings[camera](pixels)}
            out[which, :n_channels] = image_channels(pixels, self.settings)
            if self.settings.n_samples:
                self._warn_of_later_samples(int(file), int(tel_id), pixels["waveform"].shape[2])
                out[which, n_channels:] = image_samples(pixels, self.settings)
        return torch.from_numpy(out)

    def _warn_of_impossible(self, file: int, tel_id: int, counts: dict[str, int]) -> None:
        """Name values that are no measurement, once a file: such pixels count as missing."""
        if file in self._warned:
            return
        for name, count in counts.items():
            self._warned.add(file)
            log.warning(
                "'%s': %d pixels of telescope %d have an infinite or impossible %s, perhaps others "
                "too; they count as missing.",
                self.files[file], count, tel_id, name.replace("_", " "),
            )  # fmt: skip

    def _warn_of_later_samples(self, file: int, tel_id: int, n_samples: int) -> None:
        """Name samples that are left out, once a telescope."""
        if n_samples > self.settings.samples and tel_id not in self._longer:
            self._longer.add(tel_id)
            log.warning(
                "'%s': the first %d of %d samples of telescope %d enter, as data.samples says.",
                self.files[file], self.settings.samples, n_samples, tel_id,
            )  # fmt: skip

    def _reader(self, file: int) -> Reader | PackedImages:
        if file in self._readers:
            self._readers.move_to_end(file)
            return self._readers[file]
        while len(self._readers) >= MAX_OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        self._readers[file] = (
            PackedImages(self.packed[file])
            if self.packed
            else open_reader(
                self.files[file], self.settings.cache_directory, self.settings.n_samples > 0
            )
        )
        return self._readers[file]

    def close(self) -> None:
        """Close the files."""
        while self._readers:
            self._readers.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        # Open files do not travel to other processes; each opens its own.
        return {**self.__dict__, "_readers": OrderedDict()}


def groups(keys: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Pairs of a key and the rows that hold it."""
    unique, number = np.unique(keys, axis=0, return_inverse=True)
    number = number.reshape(-1)
    for i, key in enumerate(unique):
        yield key, np.flatnonzero(number == i)
