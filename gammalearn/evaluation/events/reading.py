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

import astropy.units as u
import numpy as np
import tables
from astropy.table import QTable, Table, vstack
from ctapipe.containers import EventType

from ...errors import EvaluationError, GammaLearnError
from ...io.data_model import check_is_table
from ...io.files import open_hdf5, reading
from ...io.isolated import isolated
from ...io.lstchain_tables import DL2_EVENTS
from ...io.particles import are_showers, particle_names
from ..event_table import NO_TELESCOPE, SUBARRAY, TELESCOPE, EventTable
from ..quantities import MAIN_QUANTITIES
from . import lstchain
from .columns import add_further_quantities, add_quantity, units_of_some
from .contents import Contents, check_alike, find_contents, in_words, prefix_of
from .loading import SUBARRAY_KEYS, align, as_quantity, load_reconstructed, load_truth, pointing_of

log = logging.getLogger(__name__)

__all__ = [
    "UNKNOWN",
    "particles_by_file",
    "read_events",
]

PRIMARY_ID = "true_shower_primary_id"

#: The truth that all simulated files have, and its units.
TRUTH = {
    name: unit for quantity in MAIN_QUANTITIES.values() for name, unit in quantity.truth.items()
}

#: Particle of events without truth.
UNKNOWN = "unknown"

#: Tells showers of equal energy and direction apart; not all files have it.
FIRST_INTERACTION = "true_h_first_int"


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
        - ``energy_uncertainty`` (TeV), ``direction_uncertainty`` (deg), ``event_class`` (0 for the
          largest errors of the direction, NaN where invalid), ``reco_core_x``, ``_y``,
          ``core_x_uncertainty``, ``core_y_uncertainty`` and ``true_core_x``, ``_y`` (m), where a
          file has any; so ``reco_x_max`` and ``true_x_max`` (g/cm²), where it has both;
        - ``multiplicity`` (telescopes used; triggered ones where the file does not say);
        - ``pointing_alt``, ``pointing_az`` (deg), NaN where the file does not say;
        - the ``parameters``, NaN where an image has none.

        Its ``meta`` holds what `EventTable` has, in plain values.

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

    contents: list[Contents] = []
    events: list[QTable] = []
    models: list[tuple[Contents, Path]] = []
    used: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    read = partial(_read, wanted=wanted, parameters=parameters, observed=observed)
    for path, answer in zip(paths, isolated(read, paths), strict=True):
        if isinstance(answer, GammaLearnError):
            if not skip:
                raise answer
            log.warning("Skipped: %s", answer)
            skipped.append((path, str(answer)))
            continue
        found, table = answer
        for other, other_path in models:
            check_alike(other, found, other_path, path)
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
    return _combine(events, contents, used, skipped)


def particles_by_file(events: QTable) -> dict[int, list[str]]:
    """Names of the particles of each file that has events, by its position."""
    pairs = np.unique(Table(events["file", "particle"]).as_array())
    particles: dict[int, list[str]] = {}
    for file, particle in pairs.tolist():
        particles.setdefault(file, []).append(particle)
    return particles


def _read(
    path: Path, wanted: list[str] | None, parameters: Sequence[str], observed: bool
) -> tuple[Contents, QTable]:
    with open_hdf5(path) as h5file, reading(path, "its reconstructed events"):
        check_is_table(h5file, path, DL2_EVENTS)
        contents = find_contents(h5file, path, wanted, observed)
        return contents, _read_file(h5file, path, contents, parameters)


def _read_file(
    h5file: tables.File, path: Path, contents: Contents, parameters: Sequence[str]
) -> QTable:
    if contents.level == SUBARRAY:
        parameters = ()
    loaded, reconstructed = _load(h5file, path, contents, parameters)
    _complete(loaded, contents, parameters)
    _check_complete(loaded, path, parameters)
    events = _describe(loaded, contents)
    for name in parameters:
        events[name] = np.ma.filled(np.ma.asarray(loaded[name]).astype(float), np.nan)

    used_telescopes = None
    for quantity, table in reconstructed.items():
        aligned = align(table, loaded, contents.level, path)
        if contents.level == SUBARRAY and len(table) < len(loaded):
            contents.notes.append(
                f"{len(loaded) - len(table)} of {len(loaded)} events of {path.name} have no row in "
                f"the table of the {in_words(quantity)}; they count as not reconstructed."
            )
        prefix = prefix_of(contents.algorithms[quantity], contents.level)
        add_quantity(events, MAIN_QUANTITIES[quantity], aligned, prefix)
        telescopes = f"{prefix}_telescopes"
        if telescopes in aligned.colnames and aligned[telescopes].ndim == 2:
            mask = np.ma.filled(aligned[telescopes], False).astype(bool)
            used_telescopes = mask if used_telescopes is None else used_telescopes | mask
    add_further_quantities(events, h5file, contents, loaded, path)

    if contents.level == TELESCOPE:
        events["multiplicity"] = np.ones(len(loaded), dtype=np.int64)
    else:
        if used_telescopes is None:
            used_telescopes = np.asarray(loaded["tels_with_trigger"], dtype=bool)
        events["multiplicity"] = used_telescopes.sum(axis=1)
    events["pointing_alt"], events["pointing_az"] = pointing_of(loaded, contents.level)
    return _showers(events, loaded, contents, path)


def _load(
    h5file: tables.File, path: Path, contents: Contents, parameters: Sequence[str]
) -> tuple[Table, dict[str, Table]]:
    """All events with what is known of them, and the table of each main quantity."""
    if DL2_EVENTS in h5file:
        (name,) = set(contents.algorithms.values())
        loaded = lstchain.load(h5file, prefix_of(name, contents.level))
        return loaded, dict.fromkeys(contents.groups, loaded)
    loaded = load_truth(h5file, path, contents, bool(parameters))
    return loaded, {
        quantity: load_reconstructed(h5file, group, contents.level)
        for quantity, group in contents.groups.items()
    }


def _complete(loaded: Table, contents: Contents, parameters: Sequence[str]) -> None:
    """Add what observed events, and none at all, cannot have."""
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


def _check_complete(loaded: Table, path: Path, parameters: Sequence[str]) -> None:
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


def _describe(loaded: Table, contents: Contents) -> QTable:
    """The table of the events with their ids, their truth and their showers."""
    events = QTable()
    events["obs_id"] = np.asarray(loaded["obs_id"], dtype=np.int64)
    events["event_id"] = np.asarray(loaded["event_id"], dtype=np.int64)
    if contents.level == TELESCOPE:
        events["tel_id"] = np.asarray(loaded["tel_id"], dtype=np.int64)
    else:
        events["tel_id"] = np.full(len(loaded), NO_TELESCOPE)
    for name, unit in TRUTH.items():
        events[name] = as_quantity(loaded[name], unit)
    if contents.simulated:
        # What has no truth is left out further on.
        primary = np.ma.filled(np.ma.asarray(loaded[PRIMARY_ID]).astype(int), -1)
        events["particle"] = particle_names(primary)
        events["shower"] = _number_showers(events, loaded)
    else:
        events["particle"] = np.full(len(loaded), UNKNOWN, dtype="U16")
        keys = np.column_stack([events["obs_id"], events["event_id"]])
        events["shower"] = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return events


def _showers(events: QTable, loaded: Table, contents: Contents, path: Path) -> QTable:
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


def _number_showers(events: QTable, loaded: Table) -> np.ndarray:
    """Numbers from 0 on; events of one run with the same truth but for the core share one."""
    truth = [np.asarray(events["obs_id"], dtype=float)]
    truth += [events[name].value for name in TRUTH]
    if FIRST_INTERACTION in loaded.colnames:
        truth.append(as_quantity(loaded[FIRST_INTERACTION], u.m).value)
    rows = np.nan_to_num(np.column_stack(truth))
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _combine(
    events: list[QTable],
    contents: list[Contents],
    paths: list[Path],
    skipped: list[tuple[Path, str]],
) -> QTable:
    """Stack the files, with an invalid value where a file lacks a quantity that another has."""
    algorithms: dict[str, str] = {}
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
            notes.append(f"The file {path.name} holds no {in_words(quantity)}.")

    for name, unit in units_of_some().items():
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
    for name, main in MAIN_QUANTITIES.items():
        if name in algorithms:
            ordered += [*main.columns, f"{name}_is_valid"]
    ordered += ["multiplicity", "pointing_alt", "pointing_az"]
    combined = combined[[*ordered, *(n for n in combined.colnames if n not in ordered)]]
    combined.meta = EventTable(
        level=contents[0].level,
        simulated=contents[0].simulated,
        algorithms={q: algorithms[q] for q in MAIN_QUANTITIES if q in algorithms},
        files=[path.name for path in paths],
        paths=paths,
        skipped=skipped,
        notes=list(dict.fromkeys(notes)),
        particles=particles_by_file(combined),
    ).to_meta()
    return combined
