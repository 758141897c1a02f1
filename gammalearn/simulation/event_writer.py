"""Fast writing of events as ctapipe's DL1 files.

ctapipe writes an event in some milliseconds, column by column. Here its DataWriter makes the
file from two made-up events, one bright and one dark, that every telescope sees: all tables with
their columns, units, descriptions and compression, and what ctapipe puts where there is nothing
to say. Then the two are taken out and the simulated events put in, many rows at a time.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import ArrayEventContainer
from ctapipe.core import Provenance
from ctapipe.image import ImageProcessor
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import DataWriter, write_table
from ctapipe.io.datawriter import write_reference_metadata_headers
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms
from traitlets.config import Config

from ..image.parameters import NAMES, TIMES, UNITS
from ..image.processing import image_processing
from ..io.ctapipe_tables import (
    IMAGE_STATISTICS,
    TEL_TRIGGER,
    TRIGGER,
    of_telescope,
)
from ..io.plain_path import with_plain_paths
from .block import DIGIT, EventBlock, ObservedBlock, TelescopeImages
from .image_parameters import ImageParameters
from .run import SimulatedRun

if TYPE_CHECKING:
    from .observed_run import ObservedRun

__all__ = [
    "FIXED_POINT",
    "DescribedBlock",
    "EventWriter",
    "parameter_columns",
    "template_images",
]

ACTIVITY = "gammalearn-simulate"

#: More than the lowest level of compression takes the noise of a camera no less room, but twice
#: the time.
COMPRESSION = 1

#: Charges and times are integers in the file, which ctapipe turns back into floats as it reads:
#: they take less room, and half the time to compress.
FIXED_POINT = {
    "transform_image": True,
    "image_dtype": "int32",
    "image_scale": 1 / DIGIT,
    "transform_peak_time": True,
    "peak_time_dtype": "int16",
    "peak_time_scale": 1 / DIGIT,
}

#: The same for the samples of waveforms.
FIXED_POINT_WAVEFORMS = {
    "transform_waveform": True,
    "waveform_dtype": "int32",
    "waveform_scale": 1 / DIGIT,
}

#: Bytes that HDF5 keeps of each table before it writes them: a few chunks.
CHUNK_CACHE = 2**20

AnyBlock = TypeVar("AnyBlock", EventBlock, ObservedBlock)


@dataclass(frozen=True)
class DescribedBlock(Generic[AnyBlock]):
    """Events of a block with the parameters of their images."""

    block: AnyBlock
    parameters: dict[str, ImageParameters]
    """By name of the telescope model, as in the block."""

    statistics: Table
    """How many images met the quality criteria, as ctapipe has it."""


class EventWriter:
    """Writes one file of events.

    To be used in a ``with`` statement; the file is complete after it.

    Parameters
    ----------
    path : Path
        Must not exist.
    run : SimulatedRun or ObservedRun
    """

    #: Tables that are filled, and the groups with a table a telescope.
    filled: tuple[str, ...] = (TRIGGER, TEL_TRIGGER)
    by_telescope: tuple[str, ...] = ()

    #: Whether the file has waveforms.
    waveforms = False

    def __init__(self, path: Path, run: "SimulatedRun | ObservedRun") -> None:
        self._path = Path(path)
        self._run = run
        self._statistics: Table | None = None

    def __enter__(self) -> Self:
        Provenance().start_activity(ACTIVITY)
        try:
            self._header = self._write_template()
            self._file = tables.open_file(self._path, mode="a", chunk_cache_size=CHUNK_CACHE)
        except BaseException:
            Provenance().finish_activity("error", activity_name=ACTIVITY)
            raise
        nodes = [self._file.get_node(path) for path in self.filled]
        for group in self.by_telescope:
            nodes += self._file.list_nodes(group)
        self._tables = {node._v_pathname: _Table(node) for node in nodes}
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._file.close()
            status = "error" if error else "completed"
            Provenance().finish_activity(status, activity_name=ACTIVITY)

    def _write_template(self) -> DataWriter:
        """Let ctapipe write two made-up events."""
        config = Config(image_processing(self._run.subarray))
        process = ImageProcessor(self._run.subarray, config=config)
        writer = with_plain_paths(DataWriter, "output_path")(
            event_source=self._run,
            output_path=self._path,
            write_dl1_images=True,
            write_dl1_parameters=True,
            write_r1_waveforms=self.waveforms,
            compression_level=COMPRESSION,
            **FIXED_POINT,
            **FIXED_POINT_WAVEFORMS,
        )
        with writer, _without_warnings_of_empty_columns(writer):
            for event in self._template():
                process(event)
                writer(event)
            self._end_template(writer)
        return writer

    def _template(self) -> Iterable[ArrayEventContainer]:
        """Two events that every telescope sees, see :func:`template_images`."""
        raise TypeError("a writer says which events ctapipe makes the tables of")

    def _end_template(self, writer: DataWriter) -> None:
        """Let ctapipe write what comes at the end."""

    def append(
        self,
        path: str,
        keys: dict[str, Any],
        columns: dict[str, Any],
        where: np.ndarray | slice = slice(None),
    ) -> None:
        """Append rows to a table of ctapipe's; parameters as those of the table."""
        self._tables[path].append(keys, columns, where)

    def _write_triggers(
        self,
        keys: dict[str, np.ndarray],
        time: Time,
        event: np.ndarray,
        tel_id: np.ndarray,
        after: np.ndarray,
    ) -> None:
        """Write events and the triggers of their telescopes.

        Parameters
        ----------
        keys : dict of str to ndarray, shape (n_events,)
            Columns of both tables that are written as they are.
        time : Time, shape (n_events,)
        event : ndarray of int, shape (n_triggers,)
            Row of the event.
        tel_id : ndarray of int, shape (n_triggers,)
        after : ndarray of float, shape (n_triggers,)
            Time after that of the event (ns).
        """
        subarray = self._run.subarray
        has_triggered = np.zeros((len(time), len(subarray)), dtype=bool)
        has_triggered[event, subarray.tel_ids_to_indices(tel_id)] = True
        own = {"obs_id": self._run.obs_id, **keys}
        self.append(TRIGGER, own, {"time": time, "tels_with_trigger": has_triggered})
        order = np.lexsort((tel_id, event))
        event, tel_id, after = event[order], tel_id[order], after[order]
        of_event = {name: values[event] for name, values in keys.items()}
        own = {"obs_id": self._run.obs_id, "tel_id": tel_id, **of_event}
        self.append(TEL_TRIGGER, own, {"time": time[event] + after * u.ns})

    def _add_statistics(self, statistics: Table) -> None:
        if self._statistics is None:
            self._statistics = statistics.copy()
            return
        for name in ("counts", "cumulative_counts"):
            self._statistics[name] += statistics[name]

    def _remove_unseen(self, groups: Iterable[str]) -> None:
        """Leave nothing of telescopes that saw nothing; the first group tells who did."""
        groups = list(groups)
        for tel_id in self._run.subarray.tel:
            paths = [of_telescope(group, tel_id) for group in groups]
            if self._file.get_node(paths[0]).nrows == 0:
                for path in paths:
                    if path in self._file:
                        self._file.remove_node(path)

    def _finish(self) -> None:
        """What is known at the end only."""
        if self._statistics is not None:
            write_table(self._statistics, self._file, IMAGE_STATISTICS)
        with warnings.catch_warnings():
            # Names with a space are ctapipe's way.
            warnings.simplefilter("ignore", tables.NaturalNameWarning)
            write_reference_metadata_headers(
                obs_ids=self._run.obs_ids,
                subarray=self._run.subarray,
                writer=SimpleNamespace(h5file=self._file),
                is_simulation=self._run.is_simulation,
                data_levels=self._header.datalevels,
                contact_info=self._header.contact_info,
                instrument_info=self._header.instrument_info,
            )


class _Table:
    """A table of ctapipe's making, emptied; its last row fills columns that are not given."""

    def __init__(self, node: tables.Table) -> None:
        self._node = node
        self._row = node[-1:]
        self._transforms = get_column_transforms(get_column_attrs(node))
        node.truncate(0)

    def append(
        self,
        keys: dict[str, Any],
        columns: dict[str, Any],
        where: np.ndarray | slice = slice(None),
    ) -> None:
        """Append rows; values with a unit, and times, are written in the column's own way.

        Parameters
        ----------
        keys : dict of str to ndarray of int, shape (n_rows,), or one value for all
        columns : dict of str to ndarray, Quantity or Time, shape (n_rows, ...)
        where : ndarray of bool, shape (n_rows,), optional
            The rows that the columns are for; the others have what ctapipe puts there.
        """
        n_rows = max(np.size(values) for values in keys.values())
        rows = np.repeat(self._row, n_rows)
        for name, values in keys.items():
            rows[name] = values
        for name, values in columns.items():
            if name in self._transforms:
                values = self._transforms[name](values)
            rows[name][where] = values[where]
        self._node.append(rows)


@contextmanager
def _without_warnings_of_empty_columns(writer: DataWriter) -> Iterator[None]:
    """ctapipe warns of each column without a value: simulated R1 has no clocks of modules."""

    def is_of_another_kind(record: logging.LogRecord) -> bool:
        return "not writable, skipping" not in record.getMessage()

    log = writer.log.getChild("HDF5TableWriter")
    log.addFilter(is_of_another_kind)
    try:
        yield
    finally:
        log.removeFilter(is_of_another_kind)


def parameter_columns(parameters: np.ndarray, true: bool = False) -> dict[str, np.ndarray]:
    """Columns of parameters by their names, with their units; true images have no times.

    Parameters
    ----------
    parameters : ndarray, shape (n,)
        Of type :data:`gammalearn.image.parameters.IMAGE_PARAMETERS`.
    true : bool
        Whether they are those of true images.
    """
    columns = {}
    for name in NAMES:
        if true and name in TIMES:
            continue
        values = parameters[name]
        columns[f"true_{name}" if true else name] = values * UNITS.get(name, 1)
    return columns


def template_images(
    subarray: SubarrayDescription, waveforms: bool = False
) -> dict[str, TelescopeImages]:
    """Images of two events that every telescope sees: a bright spot, whose every parameter is a
    number of the type it always has, and darkness, with none.

    Parameters
    ----------
    subarray : SubarrayDescription
    waveforms : bool
        Whether they have waveforms, which are dark.

    Returns
    -------
    dict of str to TelescopeImages
        One entry a telescope.
    """
    telescopes = {}
    for tel_id, tel in subarray.tel.items():
        geometry = tel.camera.geometry
        near = geometry.neighbor_matrix[np.argmin(np.hypot(geometry.pix_x, geometry.pix_y))]
        image = np.stack([near * np.linspace(100, 200, len(near)), np.zeros(len(near))])
        shape = (*image.shape, tel.camera.readout.n_samples)
        telescopes[str(tel_id)] = TelescopeImages(
            event=np.arange(2),
            tel_id=np.full(2, tel_id),
            image=image.astype(np.float32),
            peak_time=np.ones(image.shape, dtype=np.float32),
            true_image=image.astype(np.int32),
            trigger_time=np.zeros(2),
            waveform=np.zeros(shape, dtype=np.float32) if waveforms else None,
        )
    return telescopes
