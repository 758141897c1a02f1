"""Packed images: a copy on disk that is read as fast as the disk is.

Half-precision numbers (float16), uncompressed, row after row. Their relative error is 2⁻¹¹ at the
most, 0.05 %: of a charge far less than its Poisson fluctuation, of a peak time 0.008 ns between 16
and 32 ns, 0.03 ns between 64 and 128 ns. NaN and infinity stay what they are.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from ...errors import DataError, OutputError
from ...io.files import exclusive, sha256
from ...io.printable import tell
from ...io.writing import whole_file
from ...settings import DataSettings
from ..images.channels import pixel_columns, without_impossible
from ..index.events import EventIndex
from ..readers.formats import open_reader
from ..readers.reader import KEYS, Reader, event_keys
from .cache import cache_entry, cache_folder

__all__ = ["PackedImages", "pack_images"]

log = logging.getLogger(__name__)

#: Changes when the files' format does.
FORMAT = 2

LAYOUT = "layout.json"

#: Checksums of the other files, written last.
DIGESTS = "digests.json"
KEYS_FILE = "keys"

DTYPES = {
    "charge": np.dtype("<f2"),
    "peak_time": np.dtype("<f2"),
    "cleaning_mask": np.dtype("?"),
    "waveform": np.dtype("<f2"),
    KEYS_FILE: np.dtype("<i8"),
}

#: Largest charge (p.e.) of a pixel that is kept as it is.
LARGEST_CHARGE = float(np.finfo(np.float16).max)

#: Peak times (ns) beyond lose more than 0.06 ns.
LATEST_TIME = 256.0

#: Rows that are packed at a time.
ROWS = 512

#: The same with waveforms, of which some ten times as much is in memory.
ROWS_OF_WAVEFORMS = 32

#: Rows between two wanted ones that are read along.
GAP = 16


def pack_images(
    index: EventIndex, settings: DataSettings, processes: int = 0, progress: bool = True
) -> list[Path]:
    """Pack the images of an index, as far as they are not packed yet.

    Parameters
    ----------
    index : EventIndex
    settings : gammalearn.settings.DataSettings
        Its ``channels`` and ``cleaning`` decide what is packed, its ``cache_directory`` where.
    processes : int
        Processes that pack; 0 packs in this one.
    progress : bool
        Say what is packed and show a progress bar.

    Returns
    -------
    list of Path
        The folder of each file's packed images.

    Raises
    ------
    DataError
        If a file cannot be read, or its times cannot be packed.
    OutputError
        If there is no room, or the cache folder cannot be written.
    """
    folder = cache_folder(settings.cache_directory)
    columns = pixel_columns(settings)
    file, tel_id = (np.asarray(index.images[name]) for name in ("file", "tel_id"))
    tasks = []
    for number, path in enumerate(index.files):
        tel_ids = np.unique(tel_id[file == number]).tolist()
        of_waveforms = ["waveforms"] if "waveform" in columns else []
        entry = cache_entry(folder, "images", path, [FORMAT, tel_ids, *of_waveforms])
        tasks.append((path, entry, tel_ids, columns, settings.cache_directory))
    missing = [task for task in tasks if _missing(task[1], columns)]
    if missing:
        needed = sum(_bytes_needed(*task) for task in missing)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise OutputError(
                f"The packed images of {len(missing)} file(s) need {needed / 1e9:.3g} GB in "
                f"'{folder}', where {free / 1e9:.3g} GB are free: set data.cache_directory to "
                "another folder, or data.packed_cache to false."
            )
        if progress:
            tell(
                f"Packing the images of {len(missing)} file(s) into '{folder}': "
                f"{needed / 1e9:.3g} GB.",
                sys.stderr,
            )
        bar = tqdm(total=len(missing), unit=" files", desc="Packing", disable=not progress)
        with bar:
            for n_clipped, (path, *_) in zip(_run(missing, processes), missing, strict=True):
                bar.update()
                if n_clipped:
                    log.warning(
                        "'%s': %d pixels of more than %g p.e. are packed as %g p.e.",
                        path, n_clipped, LARGEST_CHARGE, LARGEST_CHARGE,
                    )  # fmt: skip
    return [entry for _, entry, *_ in tasks]


def _run(tasks: Sequence[tuple], processes: int) -> Iterator[int]:
    if processes == 0 or len(tasks) == 1:
        yield from (_pack(*task) for task in tasks)
        return
    # A forked HDF5 library is not safe.
    with ProcessPoolExecutor(min(processes, len(tasks)), get_context("spawn")) as pool:
        yield from pool.map(_pack, *zip(*tasks, strict=True))


def _missing(entry: Path, columns: Sequence[str]) -> list[str]:
    """The files that are not there, or not as they were written."""
    digests = _digests(entry)
    return [
        name
        for name in (LAYOUT, KEYS_FILE, *columns)
        if not (entry / name).is_file() or digests.get(name) != sha256(entry / name)
    ]


def _digests(entry: Path) -> dict:
    try:
        digests = json.loads((entry / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return digests if isinstance(digests, dict) else {}


def _layout(reader: Reader, tel_ids: Iterable[int], waveforms: bool) -> dict[str, list[int]]:
    """Rows and pixels of each telescope's images, and samples where there are waveforms."""
    return {
        str(tel_id): [
            reader.n_images(tel_id),
            reader.subarray.tel[tel_id].camera.geometry.n_pixels,
            *([reader.n_samples(tel_id)] if waveforms else []),
        ]
        for tel_id in tel_ids
    }


def _width(name: str, n_pixels: int, n_samples: int = 1) -> int:
    """Numbers in a row of a column."""
    if name == KEYS_FILE:
        return len(KEYS)
    return n_pixels * n_samples if name == "waveform" else n_pixels


def _bytes_needed(
    path: Path,
    entry: Path,
    tel_ids: Iterable[int],
    columns: Sequence[str],
    cache_directory: str | None,
) -> int:
    missing = [name for name in _missing(entry, columns) if name != LAYOUT]
    waveforms = "waveform" in columns
    with open_reader(path, cache_directory, waveforms) as reader:
        return sum(
            n_rows * _width(name, *shape) * DTYPES[name].itemsize
            for n_rows, *shape in _layout(reader, tel_ids, waveforms).values()
            for name in missing
        )


def _pack(
    path: Path,
    entry: Path,
    tel_ids: Iterable[int],
    columns: Sequence[str],
    cache_directory: str | None,
) -> int:
    """Pack what is missing of one file; returns the number of charges that were too large."""
    n_clipped = 0
    try:
        waveforms = "waveform" in columns
        with (
            exclusive(entry),
            open_reader(path, cache_directory, waveforms) as reader,
            ExitStack() as files,
        ):
            missing = _missing(entry, columns)
            parts = {name: files.enter_context(whole_file(entry / name)) for name in missing}
            written = dict(parts)
            layout = _layout(reader, tel_ids, waveforms)
            step = ROWS_OF_WAVEFORMS if waveforms else ROWS
            if LAYOUT in missing:
                parts.pop(LAYOUT).write_text(json.dumps(layout), encoding="utf-8")
            # Closed before they get their names.
            opened = {k: files.enter_context(part.open("wb")) for k, part in parts.items()}
            for tel_id, (n_rows, *_) in layout.items():
                for start in range(0, n_rows if opened else 0, step):
                    rows = np.arange(start, min(start + step, n_rows))
                    n_clipped += _pack_rows(reader, int(tel_id), rows, opened)
            for file in opened.values():
                file.close()
            new = {name: sha256(part) for name, part in written.items()}
            with whole_file(entry / DIGESTS) as part:
                part.write_text(json.dumps(_digests(entry) | new), encoding="utf-8")
    except (OSError, OutputError) as error:
        raise OutputError(f"The images of '{path}' cannot be packed: {error}.") from error
    return n_clipped


def _pack_rows(reader: Reader, tel_id: int, rows: np.ndarray, files: dict) -> int:
    """Append rows to the file of each column; returns the number of charges too large for it."""
    n_clipped = 0
    columns = reader.pixels(tel_id, rows, [name for name in files if name != KEYS_FILE])
    columns[KEYS_FILE] = event_keys(columns)
    columns, _ = without_impossible(columns)
    for name, file in files.items():
        values = columns[name]
        if name in ("charge", "waveform"):
            n_large = int(np.sum(np.abs(values) > LARGEST_CHARGE))
            n_clipped += n_large
            if n_large:
                values = np.clip(values, -LARGEST_CHARGE, LARGEST_CHARGE)
        if name == "peak_time":
            latest = np.abs(np.where(np.isfinite(values), values, 0)).max(initial=0)
            if latest > LATEST_TIME:
                raise DataError(
                    f"'{reader.path}': a peak time of telescope {tel_id} is {latest:.6g} ns, more "
                    f"than the {LATEST_TIME:g} ns that the packed cache can store; set "
                    "data.packed_cache to false."
                )
        values.astype(DTYPES[name]).tofile(file)
    return n_clipped


class PackedImages:
    """The packed images of one file, as its reader gives them.

    Rows are read, not mapped: mapped pages would count as this process's memory.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        layout = json.loads((self._folder / LAYOUT).read_text(encoding="utf-8"))
        self._tables: dict[int, tuple[int, int, int, int]] = {}
        self._shapes: dict[int, list[int]] = {}
        rows = pixels = samples = 0
        for tel_id, (n_rows, *shape) in layout.items():
            self._shapes[int(tel_id)] = shape
            self._tables[int(tel_id)] = rows, pixels, samples, shape[0]
            rows, pixels = rows + n_rows, pixels + n_rows * shape[0]
            samples += n_rows * int(np.prod(shape))
        self._files: dict[str, int] = {}

    def pixels(self, tel_id: int, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """See :meth:`gammalearn.data.readers.reader.Reader.pixels`."""
        rows_before, pixels_before, samples_before, n_pixels = self._tables[tel_id]
        keys = self._read(KEYS_FILE, rows_before * len(KEYS), len(KEYS), rows)
        pixels = {name: keys[:, number] for number, name in enumerate(KEYS)}
        for name in names:
            if name == "waveform":
                width = _width(name, *self._shapes[tel_id])
                values = self._read(name, samples_before, width, rows)
                values = values.reshape(len(values), n_pixels, -1)
            else:
                values = self._read(name, pixels_before, n_pixels, rows)
            if values.dtype == np.float16:
                # Several times as fast as numpy does it.
                values = torch.from_numpy(values).float().numpy()
            pixels[name] = values
        return pixels

    def _read(self, name: str, first: int, width: int, rows: np.ndarray) -> np.ndarray:
        """Some rows of a table that begins with this number of the file."""
        if name not in self._files:
            self._files[name] = os.open(self._folder / name, os.O_RDONLY)
        dtype = DTYPES[name]
        out = np.empty((len(rows), width), dtype=dtype)
        starts = np.flatnonzero(np.diff(rows, prepend=-GAP - 2) > GAP)
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            n_rows = int(rows[stop - 1] - rows[start]) + 1
            target = out[start:stop] if n_rows == stop - start else np.empty((n_rows, width), dtype)
            place = (first + int(rows[start]) * width) * dtype.itemsize
            n_read = os.preadv(self._files[name], [target.reshape(-1).view(np.uint8).data], place)
            if n_read < target.nbytes:
                raise DataError(
                    f"The packed images in '{self._folder}' are damaged; delete that folder."
                )
            if target.base is not out:
                out[start:stop] = target[rows[start:stop] - rows[start]]
        return out

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])
