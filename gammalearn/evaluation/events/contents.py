"""What a DL2 file holds: at which level, which quantities, by which algorithms."""

from dataclasses import dataclass
from pathlib import Path

import tables

from ...errors import EvaluationError, InputFileError
from ...io.ctapipe_tables import DL2_EVENTS, SHOWER, SIMULATION
from ...io.lstchain_tables import DL2_EVENTS as LSTCHAIN_EVENTS
from ..event_table import SUBARRAY, TELESCOPE
from ..quantities import MAIN_QUANTITIES, Quantity
from . import lstchain

__all__ = [
    "Contents",
    "check_alike",
    "find_contents",
    "in_words",
    "prefix_of",
]


@dataclass(frozen=True)
class Contents:
    """What is evaluated of a file."""

    level: str
    groups: dict[str, str]
    """Quantity → path of its table (subarray) or of its group of tables (telescope)."""

    algorithms: dict[str, str]
    """Quantity → algorithm."""

    notes: list[str]

    simulated: bool
    """Whether there is truth."""


def find_contents(
    h5file: tables.File, path: Path, wanted: list[str] | None, observed: bool
) -> Contents:
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
                f"The DL2 file '{path}' holds the {in_words(quantity)} by several algorithms "
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
        f"The {in_words(quantity)} by {chosen[0]} is there for single telescopes only and was left "
        "out, because other quantities are there for whole events."
        for quantity, chosen in names.items()
        if chosen and quantity not in groups
    ]
    return Contents(level, groups, algorithms, notes, simulated)


def _is_simulated(h5file: tables.File, path: Path) -> bool:
    if LSTCHAIN_EVENTS in h5file:
        return lstchain.is_simulated(h5file)
    if SHOWER in h5file:
        return True
    # What is linked and missing looks like what was never there.
    if SIMULATION.lstrip("/") in h5file.root._v_links:
        target = h5file.get_node(SIMULATION).target.rpartition(":")[0]
        raise InputFileError(
            f"The DL2 file '{path}' has its truth in '{target}', which is not there; put that file "
            "back, or reconstruct without --link-truth."
        )
    # A damaged group looks like an empty one.
    if SIMULATION in h5file:
        raise InputFileError(
            f"The DL2 file '{path}' is damaged: it is of simulated events, but has no "
            f"{SHOWER}; write it again."
        )
    return False


def in_words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _find_algorithms(h5file: tables.File, level: str) -> dict[str, dict[str, str]]:
    """Quantity → algorithm → path, of all that the file holds at a level."""
    found = {}
    if LSTCHAIN_EVENTS in h5file:
        if level == TELESCOPE:
            name = lstchain.algorithm(h5file)
            found = {q: {name: LSTCHAIN_EVENTS} for q in lstchain.reconstructed(h5file)}
        return found
    for quantity, description in MAIN_QUANTITIES.items():
        for group in description.groups:
            path = f"{DL2_EVENTS[level]}/{group}"
            if path not in h5file:
                continue
            for name, node in h5file.get_node(path)._v_children.items():
                if _has_columns(node, name, level, description):
                    found.setdefault(quantity, {})[name] = node._v_pathname
    return found


def _has_columns(node: tables.Node, algorithm: str, level: str, quantity: Quantity) -> bool:
    """Whether a node has the quantity: a geometry, for one, may hold the impact point alone."""
    prefix = prefix_of(algorithm, level)
    nodes = [node] if level == SUBARRAY else list(getattr(node, "_v_children", {}).values())
    return any(
        f"{prefix}_{suffix}" in getattr(table, "colnames", ())
        for table in nodes
        for suffix, _ in quantity.columns.values()
    )


def prefix_of(algorithm: str, level: str) -> str:
    return algorithm if level == SUBARRAY else f"{algorithm}_tel"


def check_alike(first: Contents, this: Contents, first_path: Path, path: Path) -> None:
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
                f"The DL2 files '{first_path}' and '{path}' hold the {in_words(quantity)} by "
                f"different algorithms ({ours}, {other}); evaluate them apart."
            )
