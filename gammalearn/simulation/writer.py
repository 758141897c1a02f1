"""Fast writing of simulated events as ctapipe's DL1 files.

ctapipe writes an event in some milliseconds, column by column. Here its DataWriter makes the
file from two made-up events, one bright and one dark, that every telescope sees: all tables with
their columns, units, descriptions and compression, and what ctapipe puts where there is nothing
to say. Then the two are taken out and the simulated events put in, many rows at a time.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from ctapipe.core import Provenance
from ctapipe.image import ImageProcessor
from ctapipe.io import DataWriter, write_table
from ctapipe.io.datawriter import write_reference_metadata_headers
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms
from traitlets.config import Config

from ..image.parameters import NAMES, TIMES, UNITS
from ..image.processing import image_processing
from ..io.ctapipe_tables import (
    FIXED_POINTING,
    IMAGE_STATISTICS,
    IMAGES,
    PARAMETERS,
    TEL_TRIGGER,
    THROWN,
    TRIGGER,
    TRUE_IMAGES,
    TRUE_IMPACT,
    TRUE_PARAMETERS,
    of_telescope,
)
from ..io.ctapipe_tables import SHOWER as SHOWER_TABLE
from ..io.plain_path import with_plain_paths
from .block import DIGIT, EVENT, SHOWER, EventBlock, TelescopeImages
from .image_parameters import ImageParameters
from .record import write_record
from .run import SimulatedRun, distance_of_telescopes

__all__ = ["DL1Writer", "DescribedBlock"]

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

#: Bytes that HDF5 keeps of each table before it writes them: a few chunks.
CHUNK_CACHE = 2**20

#: Groups with a table a telescope.
BY_TELESCOPE = (IMAGES, PARAMETERS, TRUE_IMPACT, TRUE_IMAGES, TRUE_PARAMETERS)


@dataclass(frozen=True)
class DescribedBlock:
    """Events of a block with the parameters of their images."""

    block: EventBlock
    parameters: dict[str, ImageParameters]
    """By name of the telescope model, as in the block."""

    statistics: Table
    """How many images met the quality criteria, as ctapipe has it."""


class DL1Writer:
    """Writes one file of simulated events.

    To be used in a ``with`` statement; the file is complete after it.

    Parameters
    ----------
    path : Path
        Must not exist.
    run : SimulatedRun
    """

    def __init__(self, path: Path, run: SimulatedRun) -> None:
        self._path = Path(path)
        self._run = run
        self._statistics = None

    def __enter__(self) -> Self:
        Provenance().start_activity(ACTIVITY)
        try:
            self._header = self._write_template()
            self._file = tables.open_file(self._path, mode="a", chunk_cache_size=CHUNK_CACHE)
        except BaseException:
            Provenance().finish_activity("error", activity_name=ACTIVITY)
            raise
        nodes = [self._file.get_node(path) for path in (TRIGGER, TEL_TRIGGER, SHOWER_TABLE)]
        for group in BY_TELESCOPE:
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
        block = _template(self._run)
        writer = with_plain_paths(DataWriter, "output_path")(
            event_source=self._run,
            output_path=self._path,
            write_dl1_images=True,
            write_dl1_parameters=True,
            compression_level=COMPRESSION,
            **FIXED_POINT,
        )
        with writer:
            for event in self._run.events(block):
                process(event)
                writer(event)
            writer.write_simulated_shower_distributions(self._run.simulated_shower_distributions)
        return writer

    def write(self, described: DescribedBlock) -> None:
        """Append the events of a block."""
        block = described.block
        self._run.count(block)
        self._add_statistics(described.statistics)
        if len(block.events) == 0:
            return
        self._write_showers(block)
        self._write_triggers(block)
        for name, images in block.telescopes.items():
            parameters = described.parameters[name]
            for tel_id in np.unique(images.tel_id):
                rows = np.flatnonzero(images.tel_id == tel_id)
                self._write_images(block, tel_id, images, parameters, rows)

    def _keys(self, events: np.ndarray, **others: Any) -> dict[str, Any]:
        return {"obs_id": self._run.obs_id, "event_id": events["event_id"], **others}

    def _write_showers(self, block: EventBlock) -> None:
        events, showers = block.events, block.showers[block.events["row"]]
        columns = {
            "true_energy": showers["energy"] * u.TeV,
            "true_alt": showers["alt"] * u.rad,
            "true_az": showers["az"] * u.rad,
            "true_core_x": events["core_x"] * u.m,
            "true_core_y": events["core_y"] * u.m,
            "true_h_first_int": showers["h_first_int"] * u.m,
            "true_x_max": showers["x_max"] * u.g / u.cm**2,
            "true_starting_grammage": showers["starting_grammage"] * u.g / u.cm**2,
            "true_shower_primary_id": showers["shower_primary_id"],
        }
        self._tables[SHOWER_TABLE].append(self._keys(events), columns)

    def _write_triggers(self, block: EventBlock) -> None:
        events, telescopes = block.events, list(block.telescopes.values())
        event = np.concatenate([images.event for images in telescopes])
        tel_id = np.concatenate([images.tel_id for images in telescopes])
        after = np.concatenate([images.trigger_time for images in telescopes])
        has_triggered = np.zeros((len(events), len(self._run.subarray)), dtype=bool)
        has_triggered[event, self._run.subarray.tel_ids_to_indices(tel_id)] = True
        time = self._run.event_time(events["event_id"])
        columns = {"time": time, "tels_with_trigger": has_triggered}
        self._tables[TRIGGER].append(self._keys(events), columns)
        order = np.lexsort((tel_id, event))
        event, tel_id, after = event[order], tel_id[order], after[order]
        columns = {"time": time[event] + after * u.ns}
        self._tables[TEL_TRIGGER].append(self._keys(events[event], tel_id=tel_id), columns)

    def _write_images(
        self,
        block: EventBlock,
        tel_id: int,
        images: TelescopeImages,
        parameters: ImageParameters,
        rows: np.ndarray,
    ) -> None:
        events = block.events[images.event[rows]]
        showers = block.showers[events["row"]]
        position = self._run.array.positions[self._run.subarray.tel_index_array[tel_id]]
        distance = distance_of_telescopes(events, showers, position)
        true_image = images.true_image[rows]

        columns = {
            IMAGES: {
                "image": images.image[rows],
                "peak_time": images.peak_time[rows],
                "image_mask": parameters.image_mask[rows],
            },
            TRUE_IMAGES: {"true_image": true_image, "true_image_sum": true_image.sum(axis=1)},
            TRUE_IMPACT: {"true_impact_distance": distance * u.m},
            PARAMETERS: _columns(parameters.parameters[rows]),
            TRUE_PARAMETERS: _columns(parameters.true_parameters[rows], true=True),
        }
        described = {
            PARAMETERS: parameters.is_described[rows],
            TRUE_PARAMETERS: parameters.true_is_described[rows],
        }
        for group in BY_TELESCOPE:
            self._tables[of_telescope(group, tel_id)].append(
                self._keys(events, tel_id=tel_id),
                columns[group],
                where=described.get(group, slice(None)),
            )

    def _add_statistics(self, statistics: Table) -> None:
        if self._statistics is None:
            self._statistics = statistics.copy()
            return
        for name in ("counts", "cumulative_counts"):
            self._statistics[name] += statistics[name]

    def _finish(self) -> None:
        """What is known at the end only, and nothing of telescopes that saw nothing."""
        for tel_id in self._run.subarray.tel:
            paths = [of_telescope(group, tel_id) for group in (*BY_TELESCOPE, FIXED_POINTING)]
            if self._file.get_node(paths[0]).nrows == 0:
                for path in paths:
                    self._file.remove_node(path)
        thrown = _Table(self._file.get_node(THROWN))
        for distribution in self._run.simulated_shower_distributions.values():
            columns = {
                "n_entries": np.array([distribution.n_entries]),
                "histogram": distribution.histogram[np.newaxis],
            }
            thrown.append({"obs_id": self._run.obs_id}, columns)
        if self._statistics is not None:
            write_table(self._statistics, self._file, IMAGE_STATISTICS)
        write_record(self._file, self._run.settings)
        with warnings.catch_warnings():
            # Names with a space are ctapipe's way.
            warnings.simplefilter("ignore", tables.NaturalNameWarning)
            write_reference_metadata_headers(
                obs_ids=self._run.obs_ids,
                subarray=self._run.subarray,
                writer=SimpleNamespace(h5file=self._file),
                is_simulation=True,
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

    def append(self, keys: dict, columns: dict, where: np.ndarray | slice = slice(None)) -> None:
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


def _columns(parameters: np.ndarray, true: bool = False) -> dict:
    """Columns of parameters by their names, with their units; true images have no times."""
    columns = {}
    for name in NAMES:
        if true and name in TIMES:
            continue
        values = parameters[name]
        columns[f"true_{name}" if true else name] = values * UNITS.get(name, 1)
    return columns


def _template(run: SimulatedRun) -> EventBlock:
    """Two events that every telescope sees: a bright spot, whose every parameter is a number of
    the type it always has, and darkness, with none."""
    showers = np.ones(1, dtype=SHOWER)
    events = np.zeros(2, dtype=EVENT)
    events["event_id"] = 1, 2
    telescopes = {}
    for tel_id, tel in run.subarray.tel.items():
        geometry = tel.camera.geometry
        near = geometry.neighbor_matrix[np.argmin(np.hypot(geometry.pix_x, geometry.pix_y))]
        image = np.stack([near * np.linspace(100, 200, len(near)), np.zeros(len(near))])
        telescopes[str(tel_id)] = TelescopeImages(
            event=np.arange(2),
            tel_id=np.full(2, tel_id),
            image=image.astype(np.float32),
            peak_time=np.ones(image.shape, dtype=np.float32),
            true_image=image.astype(np.int32),
            trigger_time=np.zeros(2),
        )
    return EventBlock(showers, events, telescopes, core_distance=np.zeros((1, 1)))
