"""Tables of a DL2 file as they stand there, in the order of its events."""

from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.table import Column, Table, hstack, join, vstack
from ctapipe.containers import CoordinateFrameType
from ctapipe.io import TableLoader, read_table

from ...errors import InputFileError
from ...io.ctapipe_tables import SHOWER, TRIGGER
from ...io.pointing import by_observation
from ..event_table import SUBARRAY, TELESCOPE
from .contents import Contents

__all__ = ["align", "as_quantity", "load_reconstructed", "load_truth", "pointing_of"]

SUBARRAY_KEYS = ["obs_id", "event_id"]
TELESCOPE_KEYS = ["obs_id", "event_id", "tel_id"]


def load_truth(h5file: tables.File, path: Path, contents: Contents, parameters: bool) -> Table:
    """All triggered events (or images) with trigger, truth and pointing."""
    # The focal length is not used here, and the effective one is NaN in some simulations.
    loader = TableLoader(h5file=h5file, focal_length_choice="EQUIVALENT")
    simulated = contents.simulated
    if simulated:
        rows = [h5file.get_node(path).nrows for path in (TRIGGER, SHOWER)]
        if rows[0] != rows[1]:
            # Where the truth of some events is missing, ctapipe reads none.
            loaded = load_truth(h5file, path, replace(contents, simulated=False), parameters)
            showers = align(read_table(h5file, SHOWER), loaded, SUBARRAY, path)
            new = [name for name in showers.colnames if name not in loaded.colnames]
            return hstack([loaded, showers[new]], metadata_conflicts="silent")
    if contents.level == SUBARRAY:
        return loader.read_subarray_events(dl2=False, simulated=simulated, observation_info=True)
    loaded = loader.read_telescope_events(
        dl2=False,
        simulated=simulated,
        observation_info=False,
        dl1_images=False,
        dl1_parameters=parameters,
        dl1_muons=False,
        true_images=False,
        true_parameters=False,
        instrument=False,
        # ctapipe's is by time, where the file has such a table.
        pointing=not simulated,
    )
    if simulated:
        _add_simulated_pointing(h5file, loaded)
    return loaded


def _add_simulated_pointing(h5file: tables.File, loaded: Table) -> None:
    """Of each image; simulated telescopes have one pointing for an observation."""
    pointing = np.full((2, len(loaded)), np.nan)
    obs_id, tel_id = (np.asarray(loaded[name], dtype=np.int64) for name in ("obs_id", "tel_id"))
    for telescope in np.unique(tel_id):
        rows = tel_id == telescope
        pointing[:, rows] = by_observation(h5file, int(telescope), obs_id[rows])[:2]
    loaded["telescope_pointing_altitude"], loaded["telescope_pointing_azimuth"] = pointing * u.deg


def load_reconstructed(h5file: tables.File, group: str, level: str) -> Table:
    if level == SUBARRAY:
        return read_table(h5file, group)
    by_telescope = h5file.get_node(group)._v_children
    found = [read_table(h5file, f"{group}/{name}") for name in sorted(by_telescope)]
    return vstack(found, metadata_conflicts="silent")


def align(table: Table, loaded: Table, level: str, path: Path) -> Table:
    """The table's rows in the order of ``loaded``, masked where it has no such event."""
    keys = SUBARRAY_KEYS if level == SUBARRAY else TELESCOPE_KEYS
    if len(table) == len(loaded) and all(np.array_equal(table[k], loaded[k]) for k in keys):
        return table
    if len(np.unique(table[keys].as_array())) < len(table):
        raise InputFileError(
            f"The DL2 file '{path}' holds several results for one event ({', '.join(keys)}); "
            "write it again."
        )
    # Integer types differ between writers; joined as they are they would become floats.
    left, right = Table(), table.copy(copy_data=False)
    for key in keys:
        left[key] = np.asarray(loaded[key], dtype=np.int64)
        right[key] = Column(np.asarray(table[key], dtype=np.int64))
    return join(left, right, keys, "left", keep_order=True, metadata_conflicts="silent")


def as_quantity(column: Column, unit: u.UnitBase) -> u.Quantity:
    """Values of a column as a new array, NaN where masked; ``unit`` is taken if it has none."""
    values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    return u.Quantity(values, column.unit or unit).to(unit)


def pointing_of(loaded: Table, level: str) -> tuple[u.Quantity, u.Quantity]:
    if level == TELESCOPE:
        names = ("telescope_pointing_altitude", "telescope_pointing_azimuth")
        known = np.ones(len(loaded), dtype=bool)
    else:
        names = ("subarray_pointing_lat", "subarray_pointing_lon")
        known = np.zeros(len(loaded), dtype=bool)
        if "subarray_pointing_frame" in loaded.colnames:
            frame = np.ma.filled(
                loaded["subarray_pointing_frame"], CoordinateFrameType.UNKNOWN.value
            )
            known = np.asarray(frame) == CoordinateFrameType.ALTAZ.value
    pointing = []
    for name in names:
        angle = np.full(len(loaded), np.nan) * u.deg
        if name in loaded.colnames:
            angle = np.where(known, as_quantity(loaded[name], u.deg), np.nan * u.deg)
        pointing.append(angle)
    return pointing[0], pointing[1]
