"""Reconstructed events with their truth, read from DL2 files.

A ctapipe HDF5 file keeps what was reconstructed per quantity, level and algorithm::

    dl2/event/subarray/energy/GammaLearn             one row a shower
    dl2/event/telescope/energy/GammaLearn/tel_001    one row an image of this telescope

Here they become one table with plain names, one row an event, whatever software wrote them.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import astropy.units as u
import numpy as np
import tables
from astropy.table import Column, QTable, Table, hstack, join, vstack
from ctapipe.containers import CoordinateFrameType, EventType
from ctapipe.io import TableLoader, read_table

from ...data_model import check_is_table
from ...errors import EvaluationError, GammaLearnError, InputFileError
from ...expendable import expendable
from ...files import open_hdf5, reading
from ...particles import are_showers, particle_names
from ...pointing import by_observation
from ..quantities import MAIN_QUANTITIES, QUANTITIES, Quantity
from . import lstchain

log = logging.getLogger(__name__)

__all__ = [
    "SUBARRAY",
    "TELESCOPE",
    "UNKNOWN",
    "read_events",
]

SUBARRAY = "subarray"
TELESCOPE = "telescope"

#: Value of ``tel_id`` in rows that describe the whole subarray.
NO_TELESCOPE = -1

SUBARRAY_KEYS = ["obs_id", "event_id"]
TELESCOPE_KEYS = ["obs_id", "event_id", "tel_id"]

SHOWER_TABLE = "/simulation/event/subarray/shower"
TRIGGER_TABLE = "/dl1/event/subarray/trigger"


PRIMARY_ID = "true_shower_primary_id"

#: The truth that all simulated files have, and its units.
TRUTH = {
    name: unit for quantity in MAIN_QUANTITIES.values() for name, unit in quantity.truth.items()
}

#: What is evaluated where files hold it beside the main quantities.
FURTHER = [quantity for quantity in QUANTITIES.values() if not quantity.is_main]

#: Particle of events without truth.
UNKNOWN = "unknown"

#: Tells showers of equal energy and direction apart; not all files have it.
FIRST_INTERACTION = "true_h_first_int"


class _Contents(NamedTuple):
    """What is evaluated of a file."""

    level: str
    groups: dict[str, str]
    """Quantity → path of its table (subarray) or of its group of tables (telescope)."""

    algorithms: dict[str, str]
    """Quantity → algorithm."""

    notes: list[str]

    simulated: bool
    """Whether there is truth."""


def read_events(
    paths: Sequence[Path],
    algorithm: str | None = None,
    parameters: Sequence[str] = (),
    observed: bool = False,
    skip: bool = False,
) -> QTable:
    """Read the reconstructed events of DL2 files, with their truth.

    Results at subarray level are taken where the file has them, else those of each telescope,
    where an event is one image.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        DL2 files in ctapipe's data model or lstchain's layout (whose algorithm is called
        ``lstchain``, or ``GammaLearn`` in files of ours).
    algorithm : str, optional
        Name of the algorithm, or several separated by commas where each quantity has its own
        (``"RandomForestRegressor, HillasReconstructor"``). Not needed where no quantity of the
        files was reconstructed by more than one.
    parameters : sequence of str
        Names of DL1 image parameters to read besides, at telescope level.
    observed : bool
        Take files without simulated truth too: it is NaN then, and particles are ``unknown``.
    skip : bool
        Leave out files that cannot be used.

    Returns
    -------
    events : astropy.table.QTable
        One row an event:

        - ``file`` (position in ``meta["paths"]``), ``obs_id``, ``event_id``, ``tel_id`` (−1 at
          subarray level);
        - ``shower``: a number that the reuses of one shower (at other core positions) share, as
          do its images: they are not independent of each other;
        - ``true_energy`` (TeV), ``true_alt``, ``true_az`` (deg), ``particle``;
        - ``reco_energy`` (TeV), ``reco_alt``, ``reco_az`` (deg), ``gammaness`` (0–1), NaN where
          invalid, and ``energy_is_valid``, ``direction_is_valid``,
          ``particle_type_is_valid``; the columns of a quantity that no file has are absent;
        - ``energy_uncertainty`` (TeV), ``direction_uncertainty`` (deg), ``reco_core_x``, ``_y``,
          ``core_x_uncertainty``, ``core_y_uncertainty`` and ``true_core_x``, ``_y`` (m), where a
          file has any; so ``reco_x_max`` and ``true_x_max`` (g/cm²), where it has both;
        - ``multiplicity`` (telescopes used; triggered ones where the file does not say);
        - ``pointing_alt``, ``pointing_az`` (deg), NaN where the file does not say;
        - the ``parameters``, NaN where an image has none.

        Its ``meta`` holds ``level``, ``simulated`` (whether there is truth), ``algorithms``
        (quantity → name), ``paths`` (files that were read), ``files`` (their names), ``skipped``
        (files that were left out, with the reason) and ``notes`` (sentences on what was left out).

    Raises
    ------
    InputFileError
        If a file is missing, damaged or has no DL2 events.
    EvaluationError
        If the algorithm is not there or not unique, there is no simulated truth (unless
        ``observed``), or the files differ in level, algorithm or in having truth.
    """
    paths = [Path(path) for path in paths]
    if not paths:
        raise EvaluationError("No DL2 file was given; give at least one to evaluate.")
    wanted = None if algorithm is None else [name.strip() for name in algorithm.split(",")]

    contents, events, models, used, skipped = [], [], [], [], []
    read = partial(_read, wanted=wanted, parameters=parameters, observed=observed)
    for path, answer in zip(paths, expendable(read, paths), strict=True):
        if isinstance(answer, GammaLearnError):
            if not skip:
                raise answer
            log.warning("Skipped: %s", answer)
            skipped.append((path, str(answer)))
            continue
        found, table = answer
        for other, other_path in models:
            _check_alike(other, found, other_path, path)
        # What the first file lacks, the second and the third may have by different algorithms.
        if not models or found.algorithms.keys() - set().union(*(m.algorithms for m, _ in models)):
            models.append((found, path))
        contents.append(found)
        table["file"] = np.full(len(table), len(used))
        events.append(table)
        used.append(path)
    if not used:
        raise EvaluationError(
            f"None of {len(skipped)} file(s) can be used. The first one: {skipped[0][1]}"
        )
    combined = _combine(events, contents, used)
    combined.meta |= {"paths": used, "skipped": skipped}
    return combined


def _read(
    path: Path, wanted: list[str] | None, parameters: Sequence[str], observed: bool
) -> tuple[_Contents, QTable]:
    with open_hdf5(path) as h5file, reading(path, "its reconstructed events"):
        check_is_table(h5file, path, lstchain.EVENTS)
        contents = _find_contents(h5file, path, wanted, observed)
        return contents, _read_file(h5file, path, contents, parameters)


def _find_contents(
    h5file: tables.File, path: Path, wanted: list[str] | None, observed: bool
) -> _Contents:
    """Choose the level and, for each quantity, the algorithm."""
    found = {level: _find_algorithms(h5file, level) for level in (SUBARRAY, TELESCOPE)}
    if not any(found.values()):
        raise InputFileError(
            f"The file '{path}' holds no DL2 energy, direction or particle type; reconstruct its "
            "events first."
        )
    simulated = _is_simulated(h5file, path)
    if not (simulated or observed):
        raise EvaluationError(
            f"The DL2 file '{path}' holds no simulated truth; only simulated events can be "
            "evaluated."
        )

    names = {
        quantity: sorted(set().union(*(found[level].get(quantity, {}) for level in found)))
        for quantity in MAIN_QUANTITIES
    }
    present = sorted(set().union(*names.values()))
    for name in wanted or []:
        if name not in present:
            raise EvaluationError(
                f"The DL2 file '{path}' holds nothing by the algorithm '{name}'; it has "
                f"{', '.join(present)}."
            )
    for quantity, candidates in names.items():
        chosen = [name for name in candidates if wanted is None or name in wanted]
        if len(chosen) > 1:
            raise EvaluationError(
                f"The DL2 file '{path}' holds the {_words(quantity)} by several algorithms "
                f"({', '.join(chosen)}); name the one to evaluate (evaluation.algorithm)."
            )
        names[quantity] = chosen

    for level in (SUBARRAY, TELESCOPE):
        groups = {
            quantity: found[level][quantity][name]
            for quantity, (name,) in ((q, n) for q, n in names.items() if n)
            if name in found[level].get(quantity, {})
        }
        if groups:
            break
    algorithms = {quantity: names[quantity][0] for quantity in groups}
    notes = [
        f"The {_words(quantity)} by {chosen[0]} is there for single telescopes only and was left "
        "out, because other quantities are there for whole events."
        for quantity, chosen in names.items()
        if chosen and quantity not in groups
    ]
    return _Contents(level, groups, algorithms, notes, simulated)


def _is_simulated(h5file: tables.File, path: Path) -> bool:
    if lstchain.EVENTS in h5file:
        return lstchain.is_simulated(h5file)
    if SHOWER_TABLE in h5file:
        return True
    # What is linked and missing looks like what was never there.
    if "simulation" in h5file.root._v_links:
        target = h5file.get_node("/simulation").target.rpartition(":")[0]
        raise InputFileError(
            f"The DL2 file '{path}' has its truth in '{target}', which is not there; put that file "
            "back, or reconstruct without --link-truth."
        )
    return False


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _find_algorithms(h5file: tables.File, level: str) -> dict[str, dict[str, str]]:
    """Quantity → algorithm → path, of all that the file holds at a level."""
    found = {}
    if lstchain.EVENTS in h5file:
        if level == TELESCOPE:
            name = lstchain.algorithm(h5file)
            found = {q: {name: lstchain.EVENTS} for q in lstchain.reconstructed(h5file)}
        return found
    for quantity, description in MAIN_QUANTITIES.items():
        for group in description.groups:
            path = f"/dl2/event/{level}/{group}"
            if path not in h5file:
                continue
            for name, node in h5file.get_node(path)._v_children.items():
                if _has_columns(node, name, level, description):
                    found.setdefault(quantity, {})[name] = node._v_pathname
    return found


def _has_columns(node, algorithm: str, level: str, quantity: Quantity) -> bool:
    """Whether a node has the quantity: a geometry, for one, may hold the impact point alone."""
    prefix = _prefix(algorithm, level)
    nodes = [node] if level == SUBARRAY else list(getattr(node, "_v_children", {}).values())
    return any(
        f"{prefix}_{suffix}" in getattr(table, "colnames", ())
        for table in nodes
        for suffix, _ in quantity.columns.values()
    )


def _prefix(algorithm: str, level: str) -> str:
    return algorithm if level == SUBARRAY else f"{algorithm}_tel"


def _check_alike(first: _Contents, this: _Contents, first_path: Path, path: Path) -> None:
    if this.level != first.level:
        raise EvaluationError(
            f"The DL2 files '{first_path}' and '{path}' differ in level: one holds results of "
            f"each {first.level}, the other of each {this.level}; evaluate them apart."
        )
    if this.simulated != first.simulated:
        known, unknown = (first_path, path) if first.simulated else (path, first_path)
        raise EvaluationError(
            f"The DL2 file '{known}' holds simulated truth and '{unknown}' does not; evaluate "
            "them apart."
        )
    for quantity in first.algorithms.keys() & this.algorithms.keys():
        ours, other = first.algorithms[quantity], this.algorithms[quantity]
        if ours != other:
            raise EvaluationError(
                f"The DL2 files '{first_path}' and '{path}' hold the {_words(quantity)} by "
                f"different algorithms ({ours}, {other}); evaluate them apart."
            )


def _read_file(
    h5file: tables.File, path: Path, contents: _Contents, parameters: Sequence[str]
) -> QTable:
    if contents.level == SUBARRAY:
        parameters = ()
    if lstchain.EVENTS in h5file:
        (name,) = set(contents.algorithms.values())
        loaded = lstchain.load(h5file, _prefix(name, contents.level))
        reconstructed = dict.fromkeys(contents.groups, loaded)
    else:
        loaded = _load_truth(h5file, path, contents, bool(parameters))
        reconstructed = {
            quantity: _load_reconstructed(h5file, group, contents.level)
            for quantity, group in contents.groups.items()
        }
    if not contents.simulated:
        for name, unit in TRUTH.items():
            loaded[name] = np.full(len(loaded), np.nan) * unit
        loaded[PRIMARY_ID] = np.zeros(len(loaded), dtype=int)
    if len(loaded) == 0:
        # Empty tables are not joined: what is missing in them is no fault of the file.
        for name in (*TRUTH, PRIMARY_ID, "tel_id", "tels_with_trigger"):
            loaded[name] = np.zeros((0, 1) if name == "tels_with_trigger" else 0)
        for name in parameters:
            loaded[name] = np.zeros(0)
    lacking = set(parameters).difference(loaded.colnames)
    if lacking:
        raise EvaluationError(
            f"The DL2 file '{path}' lacks the image parameters {', '.join(sorted(lacking))}, by "
            "which telescopes are to be weighted; compare without weights."
        )
    missing = {*TRUTH, PRIMARY_ID}.difference(loaded.colnames)
    if missing:
        raise EvaluationError(
            f"The simulated truth of '{path}' lacks {', '.join(sorted(missing))}; only simulated "
            "events can be evaluated."
        )

    events = QTable()
    events["obs_id"] = np.asarray(loaded["obs_id"], dtype=np.int64)
    events["event_id"] = np.asarray(loaded["event_id"], dtype=np.int64)
    if contents.level == TELESCOPE:
        events["tel_id"] = np.asarray(loaded["tel_id"], dtype=np.int64)
    else:
        events["tel_id"] = np.full(len(loaded), NO_TELESCOPE)
    for name, unit in TRUTH.items():
        events[name] = _quantity(loaded[name], unit)
    if contents.simulated:
        # What has no truth is left out further on.
        primary = np.ma.filled(np.ma.asarray(loaded[PRIMARY_ID]).astype(int), -1)
        events["particle"] = particle_names(primary)
        events["shower"] = _number_showers(events, loaded)
    else:
        events["particle"] = np.full(len(loaded), UNKNOWN, dtype="U16")
        keys = np.column_stack([events["obs_id"], events["event_id"]])
        events["shower"] = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)

    for name in parameters:
        events[name] = np.ma.filled(np.ma.asarray(loaded[name]).astype(float), np.nan)

    used_telescopes = None
    for quantity, table in reconstructed.items():
        algorithm = contents.algorithms[quantity]
        aligned = _align(table, loaded, contents.level, path)
        prefix = _prefix(algorithm, contents.level)
        _add_quantity(events, MAIN_QUANTITIES[quantity], aligned, prefix)
        telescopes = f"{prefix}_telescopes"
        if telescopes in aligned.colnames and aligned[telescopes].ndim == 2:
            mask = np.ma.filled(aligned[telescopes], False).astype(bool)
            used_telescopes = mask if used_telescopes is None else used_telescopes | mask

    for further in FURTHER:
        truth = {n: unit for n, unit in further.truth.items() if n in loaded.colnames}
        # In the table of another quantity it was read with that.
        if further.table_of is None and (
            len(truth) < len(further.truth)
            or not _add_further(events, further, h5file, contents, loaded, path)
        ):
            continue
        for name, unit in truth.items():
            events[name] = further.known_truth(_quantity(loaded[name], unit))

    if contents.level == TELESCOPE:
        events["multiplicity"] = np.ones(len(loaded), dtype=np.int64)
    else:
        if used_telescopes is None:
            used_telescopes = np.asarray(loaded["tels_with_trigger"], dtype=bool)
        events["multiplicity"] = used_telescopes.sum(axis=1)
    events["pointing_alt"], events["pointing_az"] = _pointing(loaded, contents.level)
    return _showers(events, loaded, contents, path)


def _showers(events: QTable, loaded: Table, contents: _Contents, path: Path) -> QTable:
    """The events that are showers, of simulations those with truth; others are counted."""
    event_type = np.full(len(events), EventType.UNKNOWN.value)
    if "event_type" in loaded.colnames:
        known = np.ma.asarray(loaded["event_type"]).astype(int)
        event_type = np.ma.filled(known, EventType.UNKNOWN.value)
    shower = are_showers(event_type, events["true_energy"].to_value(u.TeV))
    lacking = shower & np.isnan(events["true_energy"]) if contents.simulated else ~shower & shower
    for left_out, why in ((~shower, "are calibration, not showers"), (lacking, "lack their truth")):
        if np.any(left_out):
            unit = "events" if contents.level == SUBARRAY else "images"
            contents.notes.append(
                f"{np.sum(left_out)} of {len(events)} {unit} of {path.name} {why}; they were left "
                "out."
            )
    return events[shower & ~lacking]


def _add_further(
    events: QTable,
    quantity: Quantity,
    h5file: tables.File,
    contents: _Contents,
    loaded: Table,
    path: Path,
) -> bool:
    """Add a quantity by an algorithm that is evaluated, if the file holds any."""
    for algorithm in dict.fromkeys(contents.algorithms.values()):
        prefix = _prefix(algorithm, contents.level)
        for name in quantity.groups:
            group = f"/dl2/event/{contents.level}/{name}/{algorithm}"
            if group not in h5file:
                continue
            table = _load_reconstructed(h5file, group, contents.level)
            aligned = _align(table, loaded, contents.level, path)
            columns = {f"{prefix}_{suffix}" for suffix, _ in quantity.columns.values()}
            if columns <= set(aligned.colnames):
                _add_quantity(events, quantity, aligned, prefix)
                return True
    return False


def _number_showers(events: QTable, loaded: Table) -> np.ndarray:
    """Numbers from 0 on; events of one run with the same truth but for the core share one."""
    truth = [np.asarray(events["obs_id"], dtype=float)]
    truth += [events[name].value for name in TRUTH]
    if FIRST_INTERACTION in loaded.colnames:
        truth.append(_quantity(loaded[FIRST_INTERACTION], u.m).value)
    rows = np.nan_to_num(np.column_stack(truth))
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _load_truth(h5file: tables.File, path: Path, contents: _Contents, parameters: bool) -> Table:
    """All triggered events (or images) with trigger, truth and pointing."""
    # The focal length is not used here, and the effective one is NaN in some simulations.
    loader = TableLoader(h5file=h5file, focal_length_choice="EQUIVALENT")
    simulated = contents.simulated
    if simulated:
        rows = [h5file.get_node(path).nrows for path in (TRIGGER_TABLE, SHOWER_TABLE)]
        if rows[0] != rows[1]:
            # Where the truth of some events is missing, ctapipe reads none.
            loaded = _load_truth(h5file, path, contents._replace(simulated=False), parameters)
            showers = _align(read_table(h5file, SHOWER_TABLE), loaded, SUBARRAY, path)
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


def _load_reconstructed(h5file: tables.File, group: str, level: str) -> Table:
    if level == SUBARRAY:
        return read_table(h5file, group)
    by_telescope = h5file.get_node(group)._v_children
    found = [read_table(h5file, f"{group}/{name}") for name in sorted(by_telescope)]
    return vstack(found, metadata_conflicts="silent")


def _align(table: Table, loaded: Table, level: str, path: Path) -> Table:
    """The table's rows in the order of ``loaded``, masked where it has no such event."""
    keys = SUBARRAY_KEYS if level == SUBARRAY else TELESCOPE_KEYS
    if len(table) == len(loaded) and all(np.array_equal(table[k], loaded[k]) for k in keys):
        return table
    if len(np.unique(table[keys].as_array())) < len(table):
        raise InputFileError(
            f"The DL2 file '{path}' holds several results for one event ({', '.join(keys)}); "
            "write it anew."
        )
    # Integer types differ between writers; joined as they are they would become floats.
    left, right = Table(), table.copy(copy_data=False)
    for key in keys:
        left[key] = np.asarray(loaded[key], dtype=np.int64)
        right[key] = Column(np.asarray(table[key], dtype=np.int64))
    return join(left, right, keys, "left", keep_order=True, metadata_conflicts="silent")


def _add_quantity(events: QTable, quantity: Quantity, table: Table, prefix: str) -> None:
    values = {
        name: _quantity(table[f"{prefix}_{suffix}"], unit)
        for name, (suffix, unit) in quantity.columns.items()
    }
    is_valid = np.all([np.isfinite(value) for value in values.values()], axis=0)
    valid = f"{prefix}_{quantity.validity}"
    if valid in table.colnames:
        is_valid &= np.ma.filled(table[valid], False).astype(bool)
    for name, value in values.items():
        # Some writers leave a default where the reconstruction failed.
        value[~is_valid] = np.nan
        events[name] = value
    if quantity.is_main:
        events[f"{quantity.name}_is_valid"] = is_valid
    for name, (suffix, unit) in _optional(quantity).items():
        if f"{prefix}_{suffix}" in table.colnames:
            value = _quantity(table[f"{prefix}_{suffix}"], unit)
            value[~is_valid] = np.nan
            # ctapipe's tables have the column whether or not it is filled.
            if np.any(np.isfinite(value)):
                events[name] = value


def _optional(quantity: Quantity) -> dict[str, tuple[str, u.UnitBase]]:
    """What only some of its tables hold: columns of its own, and quantities that stand there."""
    inside = [further for further in FURTHER if further.table_of == quantity.name]
    return quantity.optional | {
        name: column
        for further in inside
        for name, column in {**further.columns, **further.optional}.items()
    }


def _quantity(column, unit: u.UnitBase) -> u.Quantity:
    """Values of a column as a new array, NaN where masked; ``unit`` is taken if it has none."""
    values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    return u.Quantity(values, column.unit or unit).to(unit)


def _pointing(loaded: Table, level: str) -> tuple[u.Quantity, u.Quantity]:
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
            angle = np.where(known, _quantity(loaded[name], u.deg), np.nan * u.deg)
        pointing.append(angle)
    return pointing[0], pointing[1]


def _units_of_some() -> dict[str, u.UnitBase]:
    """Column → unit, of what only some files have."""
    units = {}
    for quantity in QUANTITIES.values():
        units |= {name: unit for name, (_, unit) in quantity.optional.items()}
        if not quantity.is_main:
            units |= {name: unit for name, (_, unit) in quantity.columns.items()} | quantity.truth
    return units


def _combine(events: list[QTable], contents: list[_Contents], paths: list[Path]) -> QTable:
    """Stack the files, with an invalid value where a file lacks a quantity that another has."""
    algorithms = {}
    for content in contents:
        algorithms.update(content.algorithms)
    notes = [note for content in contents for note in content.notes]
    for quantity in algorithms:
        for table, path in zip(events, paths, strict=True):
            if f"{quantity}_is_valid" in table.colnames:
                continue
            for name, (_, unit) in MAIN_QUANTITIES[quantity].columns.items():
                table[name] = np.full(len(table), np.nan) * unit
            table[f"{quantity}_is_valid"] = np.zeros(len(table), dtype=bool)
            notes.append(f"The file {path.name} holds no {_words(quantity)}.")

    for name, unit in _units_of_some().items():
        lacking = [table for table in events if name not in table.colnames]
        if len(lacking) < len(events):
            for table in lacking:
                table[name] = np.full(len(table), np.nan) * unit

    n_showers = 0
    for table in events:
        table["shower"] += n_showers
        n_showers = table["shower"].max(initial=n_showers - 1) + 1
    combined = vstack(events, metadata_conflicts="silent")
    ordered = ["file", *SUBARRAY_KEYS, "tel_id", "shower", *TRUTH, "particle"]
    for name, quantity in MAIN_QUANTITIES.items():
        if name in algorithms:
            ordered += [*quantity.columns, f"{name}_is_valid"]
    ordered += ["multiplicity", "pointing_alt", "pointing_az"]
    combined = combined[[*ordered, *(n for n in combined.colnames if n not in ordered)]]
    combined.meta = {
        "level": contents[0].level,
        "simulated": contents[0].simulated,
        "algorithms": {q: algorithms[q] for q in MAIN_QUANTITIES if q in algorithms},
        "files": [path.name for path in paths],
        "notes": list(dict.fromkeys(notes)),
    }
    return combined
