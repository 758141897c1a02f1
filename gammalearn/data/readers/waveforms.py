"""Waveforms (R1) of ctapipe's HDF5 files: the samples behind the images, image by image."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tables
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from ...errors import InputFileError
from ...io.ctapipe_tables import WAVEFORMS, of_telescope
from ...io.files import reading
from .chunks import TableChunks
from .reader import KEYS, Reader

__all__ = ["CtapipeWaveforms", "check_waveforms"]

COLUMN = "waveform"


def check_waveforms(reader: Reader, tel_id: int) -> None:
    """Refuse a file without the waveforms of a telescope.

    Raises
    ------
    InputFileError
        If it has none, or not those of its images.
    """
    if not reader.n_samples(tel_id):
        raise InputFileError(
            f"'{reader.path}' holds no waveforms (R1) of telescope {tel_id}: give a file made with "
            "gammalearn simulate --waveforms or ctapipe-process "
            "--DataWriter.write_r1_waveforms=True, or one of sim_telarray, or train a network of "
            "images alone (data.input=images)."
        )


class CtapipeWaveforms:
    """The waveforms of one file.

    Parameters
    ----------
    path : Path
        The file as the user gave it, for errors.
    file : tables.File
    """

    def __init__(self, path: Path, file: tables.File) -> None:
        self._path, self._file = path, file
        # How they are stored: finding out takes longer than reading some.
        self._tables: dict[int, tuple[TableChunks, dict]] = {}

    def n_samples(self, tel_id: int, n_images: int, n_pixels: int) -> int:
        """Samples of the waveforms of a telescope; 0 where the file has none.

        Parameters
        ----------
        tel_id : int
        n_images, n_pixels : int
            Of the telescope.

        Raises
        ------
        InputFileError
            If the waveforms are not those of the images, not of the camera, or of several gains.
        """
        path = of_telescope(WAVEFORMS, tel_id)
        with reading(self._path, path):
            if path not in self._file:
                return 0
            table = self._file.get_node(path)
            if COLUMN not in table.colnames:
                return 0
            column, n_rows = table.dtype[COLUMN], int(table.nrows)
        if n_rows != n_images:
            raise InputFileError(
                f"'{self._path}' has {n_images} images and {n_rows} waveforms of telescope "
                f"{tel_id}; make it again with both for each event."
            )
        # Before data model 6, there was no axis of gains.
        shape = column.shape[-2:]
        if column.shape not in (shape, (1, *shape)) or len(shape) < 2 or shape[0] != n_pixels:
            raise InputFileError(
                f"'{self._path}': the waveforms of telescope {tel_id} have the shape "
                f"{column.shape}, but must have one gain and {n_pixels} pixels; make the file "
                "again with ctapipe, which chooses a gain."
            )
        if column.base.kind not in "iuf":
            raise InputFileError(
                f"'{self._path}': the waveforms of telescope {tel_id} are no numbers, but of type "
                f"{column.base}."
            )
        return int(shape[1])

    def read(self, tel_id: int, rows: np.ndarray, keys: Mapping[str, np.ndarray]) -> np.ndarray:
        """The waveforms of some images.

        Parameters
        ----------
        tel_id : int
        rows : ndarray of int, shape (n,)
            In increasing order.
        keys : mapping of str to ndarray, shape (n,)
            obs_id and event_id of these images.

        Returns
        -------
        ndarray, shape (n, n_pixels, n_samples)
            In p.e. per sample.

        Raises
        ------
        InputFileError
            If they are of other events, or damaged.
        """
        path = of_telescope(WAVEFORMS, tel_id)
        with reading(self._path, path):
            if tel_id not in self._tables:
                table = self._file.get_node(path)
                transforms = get_column_transforms(get_column_attrs(table))
                self._tables[tel_id] = TableChunks(table), transforms
            chunks, transforms = self._tables[tel_id]
            data = chunks.read(np.asarray(rows))
            others = any(np.any(data[name] != keys[name]) for name in KEYS)
        if others:
            raise InputFileError(
                f"'{self._path}': the waveforms of telescope {tel_id} are not in the order of its "
                "images; make the file again."
            )
        values = data[COLUMN]
        if COLUMN in transforms:
            values = transforms[COLUMN].inverse(values)
        return values.reshape(len(values), *values.shape[-2:])
