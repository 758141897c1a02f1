"""Columns of the quantities, from the tables of a DL2 file to that of its events."""

from collections.abc import Mapping
from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.table import QTable, Table

from ...io.ctapipe_tables import DL2_EVENTS
from ..quantities import MAIN_QUANTITIES, QUANTITIES, Quantity
from .contents import Contents, prefix_of
from .loading import align, as_quantity, load_reconstructed

__all__ = ["add_further_quantities", "add_quantity", "add_reconstructed", "units_of_some"]


#: What the names of reconstructed columns begin with.
RECO = "reco"


def _further() -> list[Quantity]:
    """What is evaluated where files hold it beside the main quantities."""
    return [quantity for quantity in QUANTITIES.values() if not quantity.is_main]


def add_quantity(events: QTable, quantity: Quantity, table: Table, prefix: str) -> None:
    values = {
        name: as_quantity(table[f"{prefix}_{suffix}"], unit)
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
            value = as_quantity(table[f"{prefix}_{suffix}"], unit)
            value[~is_valid] = np.nan
            # ctapipe's tables have the column whether or not it is filled.
            if np.any(np.isfinite(value)):
                events[name] = value


def _optional(quantity: Quantity) -> dict[str, tuple[str, u.UnitBase]]:
    """What only some of its tables hold: columns of its own, and quantities that stand there."""
    inside = [further for further in _further() if further.table_of == quantity.name]
    return quantity.optional | {
        name: column
        for further in inside
        for name, column in {**further.columns, **further.optional}.items()
    }


def add_reconstructed(
    events: QTable, reconstructed: Mapping[str, Mapping[str, np.ndarray]]
) -> list[str]:
    """Add what has just been reconstructed, under the names that `read_events` gives it.

    Parameters
    ----------
    events : astropy.table.QTable
        One row an event, with its truth; to be added to.
    reconstructed : mapping of str to mapping
        By kind of quantity (the group of a DL2 file), columns by their names in the file (behind
        the algorithm's), shape (n_events,), NaN where there is nothing. What no quantity knows
        goes by this name behind ``reco_``.

    Returns
    -------
    main : list of str
        The main quantities among them.
    """
    main, known = [], set()
    for quantity in QUANTITIES.values():
        kind = next((kind for kind in quantity.groups if kind in reconstructed), None)
        suffixes = [suffix for suffix, _ in quantity.columns.values()]
        if kind is None or not set(suffixes) <= set(reconstructed[kind]):
            continue
        table = Table({f"{RECO}_{name}": values for name, values in reconstructed[kind].items()})
        add_quantity(events, quantity, table, RECO)
        suffixes += [suffix for suffix, _ in _optional(quantity).values()]
        known |= {(kind, suffix) for suffix in suffixes}
        if quantity.is_main:
            main.append(quantity.name)
    for further in _further():
        for name in set(further.truth) & set(events.colnames):
            events[name] = further.known_truth(events[name])
    for kind, columns in reconstructed.items():
        for name, values in columns.items():
            if (kind, name) not in known:
                events[f"{RECO}_{name}"] = values
    return [name for name in MAIN_QUANTITIES if name in main]


def add_further_quantities(
    events: QTable, h5file: tables.File, contents: Contents, loaded: Table, path: Path
) -> None:
    """Add what stands beside the main quantities, with its truth.

    Parameters
    ----------
    events : astropy.table.QTable
        One row an event, to be added to.
    h5file : tables.File
    contents : Contents
        Of the file.
    loaded : astropy.table.Table
        From `load_truth`, row by row of the same events.
    path : pathlib.Path
        Of the file, for errors.
    """
    for further in _further():
        truth = {n: unit for n, unit in further.truth.items() if n in loaded.colnames}
        # In the table of another quantity it was read with that.
        if further.table_of is None and (
            len(truth) < len(further.truth)
            or not _add_further(events, further, h5file, contents, loaded, path)
        ):
            continue
        for name, unit in truth.items():
            events[name] = further.known_truth(as_quantity(loaded[name], unit))


def _add_further(
    events: QTable,
    quantity: Quantity,
    h5file: tables.File,
    contents: Contents,
    loaded: Table,
    path: Path,
) -> bool:
    """Add a quantity by an algorithm that is evaluated, if the file holds any."""
    for algorithm in dict.fromkeys(contents.algorithms.values()):
        prefix = prefix_of(algorithm, contents.level)
        for name in quantity.groups:
            group = f"{DL2_EVENTS[contents.level]}/{name}/{algorithm}"
            if group not in h5file:
                continue
            table = load_reconstructed(h5file, group, contents.level)
            aligned = align(table, loaded, contents.level, path)
            columns = {f"{prefix}_{suffix}" for suffix, _ in quantity.columns.values()}
            if columns <= set(aligned.colnames):
                add_quantity(events, quantity, aligned, prefix)
                return True
    return False


def units_of_some() -> dict[str, u.UnitBase]:
    """Column → unit, of what only some files have."""
    units: dict[str, u.UnitBase] = {}
    for quantity in QUANTITIES.values():
        units |= {name: unit for name, (_, unit) in quantity.optional.items()}
        if not quantity.is_main:
            units |= {name: unit for name, (_, unit) in quantity.columns.items()} | quantity.truth
    return units
