"""lstchain DL1 in ctapipe's data model: what a DL2 file holds beside what was reconstructed.

lstchain keeps the telescopes of a file as ctapipe does, and everything else in two tables, a row
an image, where triggers, pointing and truth stand beside the parameters of the image.
"""

import inspect
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import (
    ConcentrationContainer,
    CoordinateFrameType,
    DL1CameraContainer,
    EventType,
    HillasParametersContainer,
    LeakageContainer,
    MorphologyContainer,
    ObservationBlockContainer,
    ObservationBlockState,
    PointingMode,
    SchedulingBlockContainer,
    SchedulingBlockType,
    SimulatedShowerContainer,
    TelescopeImpactParameterContainer,
    TelescopePointingContainer,
    TelescopeTriggerContainer,
    TelEventIndexContainer,
    TimingParametersContainer,
    TriggerContainer,
)
from ctapipe.core import Container
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import DataLevel, HDF5TableWriter, metadata, read_table, write_table
from ctapipe.io.datawriter import DATA_MODEL_VERSION

from ... import __version__
from ...camera import impact_distance
from ...errors import InputFileError
from ...io import lstchain_tables
from ...io.ctapipe_tables import (
    FIXED_POINTING,
    IMAGES,
    MONITORED_POINTING,
    OBSERVATION,
    PARAMETERS,
    RUNS,
    SCHEDULING,
    SHOWER,
    TEL_TRIGGER,
    THROWN,
    TRIGGER,
    TRUE_IMPACT,
    of_telescope,
)
from .lstchain_dl1 import LstchainDL1Reader
from .lstchain_parameters import CTAPIPE_PARAMETERS, ctapipe_names, focal_lengths
from .reader import KEYS, TRUTH_UNITS, event_keys, match_rows

__all__ = ["refuse_repeated", "write_ctapipe"]

#: The integers of ctapipe's tables.
INTEGERS = {"obs_id": np.int32, "event_id": np.int64, "tel_id": np.int16}

IMAGE_COLUMNS = ("image", "peak_time", "image_mask", "is_valid")

#: Images read at a time: some tens of MB of the largest cameras.
ROWS_AT_A_TIME = 1000

#: How ctapipe is told of times in blocks: by an argument, from 0.32 on by the containers' fields.
TIMES_IN_BLOCKS = (
    {"time_format": "mjd"}
    if "time_format" in inspect.signature(HDF5TableWriter.write).parameters
    else {}
)


def refuse_repeated(path: Path, events: Table, names: Sequence[str] = KEYS) -> None:
    """Refuse events that have the same ids, by which alone ctapipe's tables tell them apart.

    Parameters
    ----------
    path : Path
        Of their file.
    events : Table
    names : sequence of str
        Of the columns of ids.

    Raises
    ------
    InputFileError
        If two events have the same.
    """
    ids = np.column_stack([np.asarray(events[name], dtype=np.int64) for name in names])
    unique, count = np.unique(ids, axis=0, return_counts=True)
    if len(unique) < len(ids):
        obs_id, event_id = unique[count > 1][0][:2]
        raise InputFileError(
            f"'{path}' has several events {event_id} of observation {obs_id}, as files of several "
            f"pointings have ({len(ids) - len(unique)} repeat the ids of another), and DL2 of "
            "ctapipe cannot tell them apart: make lstchain's layout (--format lstchain of predict, "
            "output.dl2_format=lstchain of a run; for networks of single telescopes), or give the "
            "files of each pointing by themselves."
        )


def write_ctapipe(reader: LstchainDL1Reader, dl1: tables.File, target: Path, images: bool) -> None:
    """Write a ctapipe file with all that it has a place for, but nothing reconstructed.

    Parameters
    ----------
    reader : LstchainDL1Reader
    dl1 : tables.File
        The same file, open.
    target : Path
        Is replaced where it exists.
    images : bool
        Write the images too.

    Raises
    ------
    InputFileError
        If moving telescopes lack the times of their events, or several events have the same ids.
    """
    refuse_repeated(reader.path, reader.events)
    source, images = _Source(reader, dl1), images and reader.has_pixels
    with HDF5TableWriter(target, mode="w") as writer:
        _write_blocks(source, writer)
        file = writer.h5file
        source.subarray.to_hdf(file)
        _write_triggers(source, file)
        _write_pointing(source, file)
        _write_parameters(source, file)
        if images:
            _write_images(source, file)
        if source.simulated:
            _write_simulation(source, file)
        _write_metadata(source, file, images)


class _Source:
    """What the file holds, by image and by event."""

    def __init__(self, reader: LstchainDL1Reader, dl1: tables.File) -> None:
        self.path = reader.path
        self.dl1 = dl1
        self.subarray: SubarrayDescription = reader.subarray
        self.events: Table = reader.events
        # Of a job that was killed, one table may be longer than the other.
        parameters = read_table(dl1, lstchain_tables.PARAMETERS)
        self.images: Table = parameters[: reader.n_rows]
        self.event: np.ndarray = reader.event_of_row[: reader.n_rows]
        """Row of each image's event."""

        self.tel_id = np.asarray(self.images["tel_id"], dtype=np.int64)
        self.telescopes = reader.telescopes_with_images()
        self.simulated = "mc_energy" in self.images.colnames
        self.primary = np.zeros(len(self.events), dtype=np.int64)
        """Of each event."""

        if self.simulated:
            self.primary[reader.event_of_row] = np.asarray(parameters["mc_type"])
        self.pointing = {
            tel_id: reader.images(tel_id)["obs_id", "pointing_alt", "pointing_az"]
            for tel_id in self.telescopes
        }
        """Of each image, by telescope (deg)."""

        self.pointings = {
            tel_id: Table(np.unique(table[_is_known(table)].as_array()))
            for tel_id, table in self.pointing.items()
        }
        """The different ones of each run, by telescope."""

        times = self._find_times()
        self.has_times = times is not None
        # ctapipe has no missing times; it too writes 1970 for those that it does not know.
        epoch = Time(np.zeros(len(self.events)), format="unix_tai", scale="tai")
        self.time: Time = times if self.has_times else epoch
        """Of each event."""

    def _find_times(self) -> Time | None:
        if TRIGGER in self.dl1:
            trigger = read_table(self.dl1, TRIGGER)
            if {*KEYS, "time"} <= set(trigger.colnames) and isinstance(trigger["time"], Time):
                row = match_rows(event_keys(self.events), event_keys(trigger))
                if np.all(row >= 0):
                    return trigger["time"][row].tai
        first = np.zeros(len(self.events), dtype=np.int64)
        first[self.event[::-1]] = np.arange(len(self.event))[::-1]
        for name in lstchain_tables.TIMES:
            if name in self.images.colnames:
                seconds = np.asarray(self.images[name], dtype=np.float64)[first]
                if np.all(np.isfinite(seconds) & (seconds > 0)):
                    return Time(seconds, format="unix", scale="utc").tai
        return None

    def by_telescope(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each telescope with the rows of its images."""
        for tel_id in self.telescopes:
            yield tel_id, np.flatnonzero(self.tel_id == tel_id)

    def keys(self, rows: np.ndarray) -> Table:
        """obs_id, event_id and tel_id of images."""
        names = ("obs_id", "event_id", "tel_id")
        return Table({name: _integers(self.images, name)[rows] for name in names})

    def runs(self) -> np.ndarray:
        """The obs_id of each run."""
        return np.unique(np.asarray(self.events["obs_id"]))


def _is_known(pointing: Table) -> np.ndarray:
    return np.isfinite(pointing["pointing_alt"]) & np.isfinite(pointing["pointing_az"])


def _integers(table: Table, name: str) -> np.ndarray:
    return np.asarray(table[name]).astype(INTEGERS[name])


def _write(
    file: tables.File,
    path: str,
    table: Table,
    *containers: type[Container],
    prefix: str | None = None,
) -> None:
    """Write or append a table, its columns described as ctapipe's containers of them do.

    ``prefix`` stands before the containers' names of columns, in place of their own.
    """
    known = [("", TelEventIndexContainer)]
    known += [(c.default_prefix if prefix is None else prefix, c) for c in containers]
    for before, container in known:
        for name, field in container.fields.items():
            column = f"{before}_{name}" if before else name
            if column in table.colnames:
                info = table[column].info
                info.description = field.description
                # By which ctapipe fills its containers.
                info.meta = {**(info.meta or {}), "NAME": name}
    write_table(table, file, path, append=path in file)


def _add_event_type(table: Table, event_type: np.ndarray) -> None:
    table["event_type"] = np.asarray(event_type, dtype=np.int64)
    table["event_type"].meta = {"ENUM": EventType, "TRANSFORM": "enum"}


def _write_blocks(source: _Source, writer: HDF5TableWriter) -> None:
    """Each run is a scheduling block of one observation."""
    block, observation = {"producer_id": "unknown"}, {}
    if source.simulated:
        # What ctapipe says of any simulated run.
        block = {
            "producer_id": "simulation",
            "sb_type": SchedulingBlockType.OBSERVATION,
            "pointing_mode": PointingMode.DRIFT,
        }
        observation = {"state": ObservationBlockState.COMPLETED_SUCCEDED}
    pointings = defaultdict(set)
    for table in source.pointings.values():
        for obs_id, alt, az in table.iterrows():
            pointings[obs_id].add((alt, az))
    for obs_id in source.runs():
        pointing = {"subarray_pointing_frame": CoordinateFrameType.UNKNOWN}
        # Where telescopes move, or look apart, ctapipe has nothing to write of the array.
        if len(pointings[obs_id]) == 1:
            ((alt, az),) = pointings[obs_id]
            pointing = {
                "subarray_pointing_lat": alt * u.deg,
                "subarray_pointing_lon": az * u.deg,
                "subarray_pointing_frame": CoordinateFrameType.ALTAZ,
            }
        number = np.uint64(obs_id)
        # ctapipe's writer takes paths without the first slash.
        writer.write(
            SCHEDULING.lstrip("/"),
            SchedulingBlockContainer(sb_id=number, **block),
            **TIMES_IN_BLOCKS,
        )
        writer.write(
            OBSERVATION.lstrip("/"),
            ObservationBlockContainer(
                obs_id=number,
                sb_id=number,
                producer_id=block["producer_id"],
                **observation,
                **pointing,
            ),
            **TIMES_IN_BLOCKS,
        )


def _write_triggers(source: _Source, file: tables.File) -> None:
    """Telescopes that have an image count as those that triggered."""
    events = Table({name: _integers(source.events, name) for name in KEYS})
    events["time"] = source.time
    triggered = np.zeros((len(events), len(source.subarray)), dtype=bool)
    triggered[source.event, source.subarray.tel_ids_to_indices(source.tel_id)] = True
    events["tels_with_trigger"] = triggered
    events["tels_with_trigger"].meta = {"TRANSFORM": "tel_list_to_mask"}
    _add_event_type(events, source.events["event_type"])
    _write(file, TRIGGER, events, TriggerContainer)

    order = np.lexsort((source.tel_id, source.event))
    images = source.keys(order)
    images["time"] = source.time[source.event[order]]
    _add_event_type(images, source.events["event_type"][source.event[order]])
    # Unknown, in ctapipe's way.
    images["n_trigger_pixels"] = np.full(len(images), -1)
    _write(file, TEL_TRIGGER, images, TelescopeTriggerContainer)


def _write_pointing(source: _Source, file: tables.File) -> None:
    """Once a run where it is constant, as in simulations, else over time."""
    constant = all(len(set(t["obs_id"])) == len(t) for t in source.pointings.values())
    if constant:
        for tel_id, table in source.pointings.items():
            pointing = Table({"obs_id": _integers(table, "obs_id")})
            pointing["tel_id"] = np.full(len(table), tel_id)
            for name, angle in (("azimuth", "pointing_az"), ("altitude", "pointing_alt")):
                pointing[f"telescope_pointing_{name}"] = np.deg2rad(table[angle]) * u.rad
            path = of_telescope(FIXED_POINTING, tel_id)
            _write(file, path, pointing, TelescopePointingContainer)
        return
    if not source.has_times:
        columns = ", ".join(lstchain_tables.TIMES)
        raise InputFileError(
            f"'{source.path}': the telescopes move, and there are no times of events (in "
            f"{TRIGGER}, or {columns}) by which ctapipe could tell where they point; take --format "
            "lstchain."
        )
    for tel_id, rows in source.by_telescope():
        time = source.time[source.event[rows]]
        known = np.flatnonzero(_is_known(source.pointing[tel_id]))
        one_each = known[np.unique(time.mjd[known], return_index=True)[1]]
        pointing = Table({"time": time[one_each]})
        for name, angle in (("azimuth", "pointing_az"), ("altitude", "pointing_alt")):
            angles = np.asarray(source.pointing[tel_id][angle])[one_each]
            pointing[name] = np.deg2rad(angles) * u.rad
        path = of_telescope(MONITORED_POINTING[0], tel_id)
        _write(file, path, pointing, TelescopePointingContainer, prefix="")


def _write_parameters(source: _Source, file: tables.File) -> None:
    """Those that lstchain has, as ctapipe has them."""
    names = ctapipe_names(source.images.colnames)
    for tel_id, rows in source.by_telescope():
        table, of_images = source.keys(rows), source.images[rows]
        lengths = focal_lengths(source.subarray.tel[tel_id].optics)
        for name in names:
            parameter = CTAPIPE_PARAMETERS[name]
            table[name] = parameter.values(of_images, lengths)
            table[name].unit = parameter.unit
        path = of_telescope(PARAMETERS, tel_id)
        described = (
            HillasParametersContainer,
            TimingParametersContainer,
            LeakageContainer,
            ConcentrationContainer,
            MorphologyContainer,
        )
        _write(file, path, table, *described)


def _write_images(source: _Source, file: tables.File) -> None:
    for start in range(0, len(source.images), ROWS_AT_A_TIME):
        stop = min(start + ROWS_AT_A_TIME, len(source.images))
        found = read_table(source.dl1, lstchain_tables.IMAGES, start=start, stop=stop)
        for tel_id in np.unique(source.tel_id[start:stop]):
            mine = np.flatnonzero(source.tel_id[start:stop] == tel_id)
            table = source.keys(start + mine)
            for name in IMAGE_COLUMNS:
                if name in found.colnames:
                    table[name] = np.asarray(found[name])[mine]
            path = of_telescope(IMAGES, tel_id)
            _write(file, path, table, DL1CameraContainer)


def _write_simulation(source: _Source, file: tables.File) -> None:
    showers = Table({name: _integers(source.events, name) for name in KEYS})
    for name, unit in TRUTH_UNITS.items():
        showers[name] = np.asarray(source.events[name]) * unit
    # lstchain does not tell where in the atmosphere a particle began.
    showers["true_starting_grammage"] = np.full(len(showers), np.nan) * u.g / u.cm**2
    showers["true_shower_primary_id"] = source.primary
    _write(file, SHOWER, showers, SimulatedShowerContainer)

    for tel_id, rows in source.by_telescope():
        impact = source.keys(rows)
        seen = showers[source.event[rows]]
        position = source.subarray.positions[tel_id].to_value(u.m)
        core = (np.asarray(seen[f"true_core_{axis}"]) for axis in "xy")
        direction = (seen[f"true_{angle}"].quantity.to_value(u.deg) for angle in ("alt", "az"))
        impact["true_impact_distance"] = impact_distance(position, *core, *direction) * u.m
        impact["true_impact_distance_uncert"] = np.zeros(len(rows)) * u.m
        path = of_telescope(TRUE_IMPACT, tel_id)
        _write(file, path, impact, TelescopeImpactParameterContainer, prefix="true_impact")

    if lstchain_tables.RUNS in source.dl1:
        runs = read_table(source.dl1, lstchain_tables.RUNS)
        runs.meta.clear()
        write_table(runs, file, RUNS)
    if lstchain_tables.THROWN in source.dl1:
        thrown = read_table(source.dl1, lstchain_tables.THROWN)
        thrown.meta.clear()
        if "num_entries" in thrown.colnames:
            thrown.rename_column("num_entries", "n_entries")
        for name, unit in (("bins_energy", u.TeV), ("bins_core_dist", u.m)):
            thrown[name].unit = thrown[name].unit or unit
        write_table(thrown, file, THROWN)


def _write_metadata(source: _Source, file: tables.File, images: bool) -> None:
    """Of contact, product and process, as ctapipe asks for them."""
    attributes = source.dl1.root._v_attrs
    contact = str(attributes["CONTACT"]) if "CONTACT" in attributes else "unknown"
    levels = [*([DataLevel.DL1_IMAGES] if images else []), DataLevel.DL1_PARAMETERS]
    reference = metadata.Reference(
        contact=metadata.Contact(name="unknown", organization=contact),
        product=metadata.Product(
            description="Events of an lstchain DL1 file in ctapipe's data model",
            data_category="Sim" if source.simulated else "Other",
            data_levels=levels,
            data_association="Subarray",
            data_model_name="ASWG",
            data_model_version=DATA_MODEL_VERSION,
            data_model_url="",
            format="hdf5",
        ),
        process=metadata.Process(
            type_="Simulation" if source.simulated else "Observation",
            id_=",".join(map(str, source.runs())),
        ),
        activity=metadata.Activity(
            name="gammalearn-predict",
            id_=str(uuid.uuid4()),
            software_name="gammalearn",
            software_version=__version__,
        ),
        instrument=metadata.Instrument(id_=source.subarray.name),
    )
    metadata.write_to_hdf5(reference.to_dict(), file)
