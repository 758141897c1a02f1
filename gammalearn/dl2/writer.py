"""Writer of ctapipe DL2 HDF5 files.

A DL2 file holds what its DL1 file does but for the images (instrument, triggers, truth, image
parameters) and, row by row beside the triggers, what the network says of each event.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tables
from astropy.table import Table
from ctapipe.containers import (
    ParticleClassificationContainer,
    ReconstructedEnergyContainer,
    ReconstructedGeometryContainer,
)
from ctapipe.io import HDF5Merger, write_table
from ctapipe.reco.utils import add_defaults_and_meta

from .. import __version__
from ..data.ctapipe_dl1 import CtapipeDL1Reader, match_rows
from ..data.index import EventIndex
from ..errors import OutputError
from ..tasks import Task

__all__ = ["dl2_name", "write_dl2"]

#: ctapipe's container of each kind of quantity; other kinds have their own columns only.
CONTAINERS = {
    "energy": ReconstructedEnergyContainer,
    "geometry": ReconstructedGeometryContainer,
    "particle_type": ParticleClassificationContainer,
}


def dl2_name(path: Path) -> str:
    """Name of the DL2 file made from a DL1 file: ``gamma.dl1.h5`` gives ``gamma.dl2.h5``."""
    name = Path(path).name
    for ending in (".h5", ".hdf5", ".hdf"):
        name = name.removesuffix(ending)
    return name.removesuffix(".dl1") + ".dl2.h5"


def write_dl2(
    index: EventIndex,
    tasks: Mapping[str, Task],
    outputs: Mapping[str, np.ndarray],
    path: Path,
    settings,
    experiment_yaml: str = "",
) -> None:
    """Write the DL2 file of one DL1 file; it appears under its name when complete.

    Parameters
    ----------
    index : EventIndex
        Of one file.
    tasks : mapping of str to Task
    outputs : mapping of str to ndarray, shape (len(index), n_outputs)
        By task; NaN where there is none.
    path : Path
    settings : gammalearn.settings.OutputSettings
    experiment_yaml : str
        The settings of the network, for provenance.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with CtapipeDL1Reader(index.files[0]) as reader:
            _copy_dl1(index.files[0], part, settings.dl1_images)
            decoded = _decode(index, tasks, outputs)
            mono = len(index) > 0 and index.events["tel_id"][0] >= 0
            with tables.open_file(part, mode="a") as file:
                for kind, columns in decoded.items():
                    if mono:
                        _write_telescope_tables(file, reader, index, kind, columns, settings)
                    else:
                        _write_subarray_table(file, reader, index, kind, columns, settings)
                _write_provenance(file, settings, experiment_yaml)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _copy_dl1(source: Path, target: Path, images: bool) -> None:
    with HDF5Merger(
        target, overwrite=True, dl1_images=images, true_images=images, dl2_subarray=True
    ) as merger:
        merger(source)


def _decode(index, tasks, outputs) -> dict[str, dict]:
    """Columns of each kind for the events of the index."""
    decoded = defaultdict(dict)
    for name, task in tasks.items():
        decoded[task.kind].update(task.decode(outputs[name], index.events))
    return decoded


def _table(columns, row, kind, algorithm, tel) -> Table:
    """A DL2 table with one row for each of ``row``, the event's row in the index or −1."""
    prefix = f"{algorithm}_tel" if tel else algorithm
    table = Table()
    valid = row >= 0
    for name, values in columns.items():
        filled = np.full(len(row), np.nan) * getattr(values, "unit", 1)
        if valid.any():
            filled[valid] = values[row[valid]]
        valid = valid & np.isfinite(filled)
        table[f"{prefix}_{name}"] = filled
    table[f"{prefix}_is_valid"] = valid
    return table


def _finish(table, kind, algorithm, tel) -> None:
    if kind in CONTAINERS:
        add_defaults_and_meta(table, CONTAINERS[kind], prefix=algorithm, add_tel_prefix=tel)


def _event_keys(events) -> np.ndarray:
    return np.column_stack([events["obs_id"], events["event_id"]])


def _write_subarray_table(file, reader, index, kind, columns, settings) -> None:
    algorithm = settings.algorithm
    all_events = reader.events
    row = match_rows(_event_keys(all_events), _event_keys(index.events))
    table = _table(columns, row, kind, algorithm, tel=False)
    used = np.zeros((len(all_events), len(reader.subarray.tel)), dtype=bool)
    trigger_row = match_rows(_event_keys(index.events), _event_keys(all_events))
    place = reader.subarray.tel_ids_to_indices(np.asarray(index.images["tel_id"]))
    used[trigger_row[index.images["event"]], place] = True
    table[f"{algorithm}_telescopes"] = used & table[f"{algorithm}_is_valid"][:, None]
    _finish(table, kind, algorithm, tel=False)
    keys = {name: all_events[name] for name in ("obs_id", "event_id")}
    _write(file, Table(keys), table, f"/dl2/event/subarray/{kind}/{algorithm}")


def _write_telescope_tables(file, reader, index, kind, columns, settings) -> None:
    algorithm = settings.algorithm
    for tel_id in reader.telescopes_with_images():
        images = reader.images(tel_id)
        mine = np.flatnonzero(index.events["tel_id"] == tel_id)
        found = match_rows(_event_keys(images), _event_keys(index.events[mine]))
        row = np.where(found >= 0, mine[found] if len(mine) else -1, -1)
        table = _table(columns, row, kind, algorithm, tel=True)
        _finish(table, kind, algorithm, tel=True)
        keys = {name: images[name] for name in ("obs_id", "event_id")}
        keys["tel_id"] = np.full(len(images), tel_id)
        path = f"/dl2/event/telescope/{kind}/{algorithm}/tel_{tel_id:03d}"
        _write(file, Table(keys), table, path)


def _write(file, keys: Table, table: Table, path: str) -> None:
    trigger = file.get_node(
        "/dl1/event/telescope/trigger"
        if "tel_id" in keys.colnames
        else "/dl1/event/subarray/trigger"
    )
    for name in keys.colnames:
        # The integer types of the trigger table, so that joins keep them.
        keys[name] = np.asarray(keys[name]).astype(trigger.coldtypes[name])
    for name in table.colnames:
        keys[name] = table[name]
    write_table(keys, file, path, overwrite=True)


def _write_provenance(file, settings, experiment_yaml) -> None:
    attributes = file.root._v_attrs
    levels = (
        str(attributes["CTA PRODUCT DATA LEVELS"]).split(",")
        if ("CTA PRODUCT DATA LEVELS" in attributes)
        else []
    )
    if not settings.dl1_images:
        levels = [level for level in levels if level != "DL1_IMAGES"]
    attributes["CTA PRODUCT DATA LEVELS"] = ",".join(dict.fromkeys([*levels, "DL2"]))
    attributes["GAMMALEARN VERSION"] = __version__
    attributes["GAMMALEARN SETTINGS"] = experiment_yaml
