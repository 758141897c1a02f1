"""Writer of DL2 HDF5 files, in ctapipe's data model; of lstchain DL1 in lstchain's layout too.

A DL2 file holds what its DL1 file does but for the images (instrument, triggers, truth, image
parameters) and, row by row beside the triggers, what the network says of each event.
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import astropy.units as u
import numpy as np
import tables
import yaml
from astropy.table import Table, hstack
from ctapipe.io import HDF5Merger, read_table, write_table
from ctapipe.reco.utils import add_defaults_and_meta

from .. import __version__
from ..data.index.events import EventIndex
from ..data.readers.formats import OTHER_HDF5, open_reader
from ..data.readers.lstchain_dl1 import LstchainDL1Reader
from ..data.readers.lstchain_to_ctapipe import refuse_repeated
from ..data.readers.reader import Reader, event_keys, match_rows
from ..errors import InputFileError
from ..io.ctapipe_tables import (
    DL2_EVENTS,
    EVENT_CLASS,
    FIXED_POINTING,
    RUN_SETTINGS,
    SIMULATION,
    TEL_TRIGGER,
    TRIGGER,
    of_telescope,
)
from ..io.files import open_hdf5, reading
from ..io.isolated import isolated, read_isolated
from ..io.origin import Origin
from ..io.plain_path import with_plain_paths
from ..io.writing import whole_file
from ..settings import DataSettings, Experiment, OutputSettings
from ..tasks import Columns, EventClasses, Task
from ..tasks.direction import UNCERTAINTY, DirectionTask
from ..tasks.energy import EnergyTask
from . import lstchain
from .containers import CONTAINERS, EVENT_CONTAINERS
from .rows import in_rows

__all__ = [
    "check_ids",
    "check_input",
    "decode_outputs",
    "dl2_file",
    "dl2_name",
    "energy_and_error",
    "write_dl2",
]

#: Attribute of a file that holds the limits of the event classes, as YAML.
CLASSES_ATTRIBUTE = "GAMMALEARN EVENT CLASSES"

#: Groups of what is known of simulations only.
OF_SIMULATIONS = (SIMULATION, RUN_SETTINGS)


def dl2_name(path: Path) -> str:
    """Name of the DL2 file made from a file: ``gamma.dl1.h5`` and ``gamma.simtel.zst`` give
    ``gamma.dl2.h5``."""
    name = Path(path).name
    for ending in (".gz", ".zst", ".h5", ".hdf5", ".hdf"):
        name = name.removesuffix(ending)
    return name.removesuffix(".dl1").removesuffix(".simtel") + ".dl2.h5"


def check_input(path: Path, experiment: Experiment) -> None:
    """Refuse a file of whose events no DL2 file can be made as it is asked for.

    Parameters
    ----------
    path : Path
    experiment : gammalearn.settings.Experiment

    Raises
    ------
    InputFileError
        If lstchain's layout is asked for, and the file is not lstchain's or whole events are
        reconstructed; or if truth is to be linked that no ctapipe DL1 has.
    """
    output = experiment.output
    if output.dl2_format == "ctapipe" and output.truth == "copy":
        return
    with _opened(path, experiment.data) as reader:
        is_lstchain = isinstance(reader, LstchainDL1Reader)
        is_ctapipe = reader.dl1_path == reader.path
    if output.truth == "link" and not (is_ctapipe and output.dl2_format == "ctapipe"):
        raise InputFileError(
            f"'{path}' is {reader.format}: truth is linked from ctapipe DL1 to ctapipe's DL2 only; "
            "leave out what asks for it (--link-truth, output.truth)."
        )
    if output.dl2_format == "lstchain" and not is_lstchain:
        raise InputFileError(
            f"'{path}' is {reader.format}, of which DL2 is made in ctapipe's data model only; "
            "leave out what asks for lstchain's layout (--format, output.dl2_format)."
        )
    if output.dl2_format == "lstchain" and experiment.data.grouping != "mono":
        raise InputFileError(
            f"'{path}' cannot become DL2 in lstchain's layout, which is of single telescopes: take "
            "a network that was trained with data.grouping=mono, or ctapipe's DL2."
        )


def check_ids(index: EventIndex, experiment: Experiment) -> None:
    """Refuse events that ctapipe's DL2 could not tell apart.

    Parameters
    ----------
    index : EventIndex
        Of one file.
    experiment : gammalearn.settings.Experiment

    Raises
    ------
    InputFileError
        If events have the same obs_id and event_id.
    """
    if experiment.output.dl2_format == "ctapipe":
        names = ["obs_id", "event_id", "tel_id"]
        refuse_repeated(index.files[0], index.events, names)


def write_dl2(
    index: EventIndex,
    tasks: Mapping[str, Task],
    outputs: Mapping[str, np.ndarray],
    path: Path,
    experiment: Experiment,
) -> None:
    """Write the DL2 file of one DL1 file, see :func:`dl2_file`."""
    with dl2_file(index, path, experiment) as write:
        write(decode_outputs(index, tasks, outputs))


@contextmanager
def dl2_file(
    index: EventIndex,
    path: Path,
    experiment: Experiment,
    origin: Origin | None = None,
    classes: EventClasses | None = None,
) -> Iterator[Callable[[Mapping[str, Columns]], None]]:
    """A DL2 file in the making; it appears under its name when it is complete.

    Parameters
    ----------
    index : EventIndex
        Of one file.
    path : Path
    experiment : gammalearn.settings.Experiment
        Its grouping says at which level the events stand, telescope (mono) or subarray.
    origin : Origin, optional
        What the file is made from. Without it the file tells no origin, and a repeated prediction
        does not keep it.
    classes : EventClasses, optional
        Of the network, whose limits the file tells.

    Yields
    ------
    callable
        Adds the reconstructed events: called with the columns of each kind of quantity, as
        `decode_outputs` gives them, shape (len(index),), NaN where there is nothing. What the file
        has of DL1 is copied meanwhile, by another process.

    Raises
    ------
    OutputError
        If the file cannot be written.
    InputFileError
        If the DL1 file is damaged where nothing was read so far.
    """
    source, output, data = index.files[0], experiment.output, experiment.data
    with whole_file(path) as part:
        copying = isolated(partial(_copy_dl1, part=part, output=output, data=data), [source])

        def write(columns: Mapping[str, Columns]) -> None:
            (error,) = copying
            if error is not None:
                raise error
            add = partial(_add_dl2, part, index, columns, experiment, origin, classes)
            read_isolated(add, source)
            # HDF5 does not tell that a disk was full at the very end; it opens no file that is cut.
            tables.open_file(part).close()

        try:
            yield write
        finally:
            copying.close()


def _opened(path: Path, data: DataSettings) -> Reader:
    """The reader that the network's images came from, so that DL1 is made of a file once."""
    return open_reader(path, data.cache_directory, data.input == "waveforms")


def _copy_dl1(source: Path, part: Path, output: OutputSettings, data: DataSettings) -> None:
    """Copy what DL2 has of a file, and blame the file for what else goes wrong than writing."""
    try:
        _copy(source, part, output, data)
    except (OSError, tables.HDF5ExtError):
        raise
    except Exception:
        with reading(source, "what a DL2 file copies of it"):
            raise


def _copy(source: Path, part: Path, output: OutputSettings, data: DataSettings) -> None:
    images = output.dl1_images
    with _opened(source, data) as reader:
        if output.dl2_format == "lstchain":
            with open_hdf5(source) as dl1, tables.open_file(part, mode="w") as file:
                lstchain.copy_dl1(dl1, file, images)
        elif isinstance(reader, OTHER_HDF5):
            reader.write_ctapipe(part, images)
        else:
            copied = {"dl1_images": images, "true_images": images, "dl2_subarray": True}
            copied["simulation"] = output.truth == "copy"
            copied["r1_waveforms"] = False
            merge = with_plain_paths(HDF5Merger, "output_path")
            with merge(part, overwrite=True, **copied) as merger:
                merger(reader.dl1_path)
            if output.truth == "link" and reader.dl1_path is not None:
                _link_truth(reader.dl1_path, part)


def _link_truth(dl1_path: Path, part: Path) -> None:
    """Have groups point to those of the DL1 file: of tables, ctapipe follows no links."""
    with open_hdf5(dl1_path) as dl1, tables.open_file(part, mode="a") as file:
        for path in OF_SIMULATIONS:
            if path in dl1:
                where, name = path.rsplit("/", 1)
                target = f"{dl1_path.resolve()}:{path}"
                file.create_external_link(where or "/", name, target, createparents=True)
        # Where simulated telescopes pointed is no truth, but ctapipe 0.32 and later leave it
        # out with the truth.
        if FIXED_POINTING in dl1 and FIXED_POINTING not in file:
            for table in dl1.iter_nodes(FIXED_POINTING, "Table"):
                write_table(read_table(dl1, table._v_pathname), file, table._v_pathname)


def _add_dl2(
    part: Path,
    index: EventIndex,
    decoded: Mapping[str, Columns],
    experiment: Experiment,
    origin: Origin | None,
    classes: EventClasses | None,
    source: Path,
) -> None:
    mono = experiment.data.grouping == "mono"
    write_tables = _write_telescope_tables if mono else _write_subarray_table
    with (
        _opened(source, experiment.data) as reader,
        tables.open_file(part, mode="a") as file,
    ):
        if experiment.output.dl2_format == "lstchain":
            with open_hdf5(source) as dl1:
                lstchain.add_events(dl1, file, index, decoded)
        else:
            for kind, columns in decoded.items():
                write_tables(file, reader, index, kind, columns, experiment.output.algorithm)
            _write_levels(file, experiment.output.dl1_images)
        _write_provenance(file, experiment, origin, classes)


def decode_outputs(
    index: EventIndex,
    tasks: Mapping[str, Task],
    outputs: Mapping[str, np.ndarray],
    classes: EventClasses | None = None,
) -> dict[str, Columns]:
    """Columns of each kind of quantity for the events of the index.

    Parameters
    ----------
    index : EventIndex
    tasks : mapping of str to Task
    outputs : mapping of str to ndarray, shape (len(index), n_outputs)
        By task, NaN where there are none.
    classes : EventClasses, optional
        Of the network.

    Returns
    -------
    dict of str to Columns
        By kind, columns with unit, shape (len(index),), as :meth:`Task.decode` gives them, and the
        class of each event.
    """
    decoded: dict[str, Columns] = defaultdict(dict)
    for name, task in tasks.items():
        decoded[task.kind].update(task.decode(outputs[name], index.events))
    if classes is not None:
        energy, error = energy_and_error(decoded)
        decoded[DirectionTask.kind][EVENT_CLASS] = classes.classify(energy, error)
    return decoded


def energy_and_error(decoded: Mapping[str, Columns]) -> tuple[np.ndarray | None, np.ndarray]:
    """What event classes depend on: the energy (TeV), if it is reconstructed, and the predicted
    error of the direction (deg)."""
    energy = decoded.get(EnergyTask.kind, {}).get("energy")
    error = u.Quantity(decoded[DirectionTask.kind][UNCERTAINTY]).to_value(u.deg)
    return None if energy is None else u.Quantity(energy).to_value(u.TeV), error


def _stem(kind: str, prefix: str) -> str:
    """What the names of the columns begin with that tables of all kinds have.

    ctapipe's TableLoader joins the tables, and three columns of one name at the most: its own kinds
    have these names, others one of their own.
    """
    return prefix if kind in CONTAINERS else f"{prefix}_{kind}"


def _table(row: np.ndarray, kind: str, columns: Columns, algorithm: str, tel: bool) -> Table:
    """A DL2 table with one row for each of ``row``, the event's row in the index or −1."""
    prefix = f"{algorithm}_tel" if tel else algorithm
    table = Table()
    valid = row >= 0
    for name, values in columns.items():
        filled = in_rows(values, row)
        valid &= np.isfinite(filled)
        table[f"{prefix}_{name}"] = filled
    table[f"{_stem(kind, prefix)}_is_valid"] = valid
    return table


def _write_subarray_table(
    file: tables.File,
    reader: Reader,
    index: EventIndex,
    kind: str,
    columns: Columns,
    algorithm: str,
) -> None:
    all_events = reader.events
    row = match_rows(event_keys(all_events), event_keys(index.events))
    table = _table(row, kind, columns, algorithm, tel=False)
    stem = _stem(kind, algorithm)
    used = np.zeros((len(all_events), len(reader.subarray.tel)), dtype=bool)
    trigger_row = match_rows(event_keys(index.events), event_keys(all_events))
    place = reader.subarray.tel_ids_to_indices(np.asarray(index.images["tel_id"]))
    used[trigger_row[index.images["event"]], place] = True
    table[f"{stem}_telescopes"] = used & table[f"{stem}_is_valid"][:, None]
    if kind in CONTAINERS:
        table[f"{algorithm}_{kind}_telescopes"] = table[f"{stem}_telescopes"]
    keys = all_events["obs_id", "event_id"]
    _write(file, keys, table, kind, algorithm, f"{DL2_EVENTS['subarray']}/{kind}/{algorithm}")


def _write_telescope_tables(
    file: tables.File,
    reader: Reader,
    index: EventIndex,
    kind: str,
    columns: Columns,
    algorithm: str,
) -> None:
    all_triggers = reader.telescope_triggers()
    for tel_id in reader.telescopes_with_images():
        triggers = all_triggers[np.asarray(all_triggers["tel_id"]) == tel_id]
        mine = np.flatnonzero(index.events["tel_id"] == tel_id)
        found = match_rows(event_keys(triggers), event_keys(index.events[mine]))
        row = np.where(found >= 0, mine[found] if len(mine) else -1, -1)
        table = _table(row, kind, columns, algorithm, tel=True)
        keys = triggers["obs_id", "event_id"]
        keys["tel_id"] = tel_id
        path = of_telescope(f"{DL2_EVENTS['telescope']}/{kind}/{algorithm}", tel_id)
        _write(file, keys, table, kind, algorithm, path)


def _write(
    file: tables.File, keys: Table, table: Table, kind: str, algorithm: str, path: str
) -> None:
    tel = "tel_id" in keys.colnames
    if kind in CONTAINERS:
        container = (CONTAINERS if tel else EVENT_CONTAINERS)[kind]
        add_defaults_and_meta(table, container, prefix=algorithm, add_tel_prefix=tel)
    trigger = file.get_node(TEL_TRIGGER if tel else TRIGGER)
    for name in keys.colnames:
        # The integer types of the trigger table, so that joins keep them.
        keys[name] = np.asarray(keys[name]).astype(trigger.coldtypes[name])
    write_table(hstack([keys, table]), file, path, overwrite=True)


def _write_levels(file: tables.File, images: bool) -> None:
    """What ctapipe says that a file holds."""
    name = "CTA PRODUCT DATA LEVELS"
    levels = [level for level in str(file.root._v_attrs[name]).split(",") if level != "R1"]
    if not images:
        levels = [level for level in levels if level != "DL1_IMAGES"]
    with warnings.catch_warnings():
        # Names with a space are ctapipe's way.
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        file.root._v_attrs[name] = ",".join(dict.fromkeys([*levels, "DL2"]))


def _write_provenance(
    file: tables.File, experiment: Experiment, origin: Origin | None, classes: EventClasses | None
) -> None:
    attributes = file.root._v_attrs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        attributes["GAMMALEARN VERSION"] = __version__
        attributes["GAMMALEARN SETTINGS"] = experiment.to_yaml()
        if classes is not None:
            attributes[CLASSES_ATTRIBUTE] = yaml.safe_dump(classes.to_dict(), sort_keys=False)
    if origin is not None:
        origin.write(file)
