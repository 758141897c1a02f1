"""Selection of events: the cuts that the instrument response was computed with.

ctapipe-optimize-event-selection writes them into a file of their own; lstchain and others keep
them beside the response.
"""

import ast
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable, Table
from ctapipe.core import QualityQuery
from pyirf.cuts import evaluate_binned_cut

from ..errors import CutError, InputFileError
from ..io.files import open_fits
from ..io.finding import check_file

__all__ = ["EventSelection", "read_selection"]

#: Extensions of ctapipe's cuts, each by its name.
GAMMANESS, CRITERIA, MULTIPLICITY = "GH_CUTS", "QUALITY_CUTS_EXPR", "MULTIPLICITY_CUTS"
RADIUS = "RAD_MAX"

#: Keyword of lstchain's responses for one cut at all energies.
ONE_CUT = "GH_CUT"

#: What a criterion may be made of. ctapipe evaluates it as Python, with numpy at hand.
NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Constant,
    ast.Attribute, ast.keyword, ast.unaryop, ast.cmpop, ast.Load, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.BitAnd, ast.BitOr, ast.BitXor,
)  # fmt: skip

#: Functions of numpy, and those that ctapipe has without ``np.``, that a criterion may call.
FUNCTIONS = frozenset(
    {"abs", "absolute", "all", "any", "arctan2", "cos", "count_nonzero", "exp", "isfinite", "isnan",
     "log", "log10", "logical_and", "logical_not", "logical_or", "sin", "sqrt", "sum", "tan"}
)  # fmt: skip


@dataclass(frozen=True)
class EventSelection:
    """Which events a response is of.

    Attributes
    ----------
    gammaness : QTable
        ``low`` and ``high`` ends of bins in reconstructed energy, and ``cut``: the smallest
        gammaness. Events outside of the bins are not selected.
    classifier : str
        By which algorithm the gammaness is, empty if the file does not tell.
    criteria : tuple of (str, str)
        Names and expressions that all must be true, of columns of ctapipe's table of events.
    multiplicity : QTable, optional
        As ``gammaness``, with the smallest number of telescopes.
    """

    gammaness: QTable
    classifier: str = ""
    criteria: tuple[tuple[str, str], ...] = ()
    multiplicity: QTable | None = None

    def passes(self, events: QTable) -> np.ndarray:
        """Which events pass the cuts by energy.

        Parameters
        ----------
        events : QTable
            With ``reco_energy``, ``gammaness`` and ``multiplicity``.

        Returns
        -------
        ndarray of bool, shape (n_events,)
        """
        energy = events["reco_energy"]
        passed = evaluate_binned_cut(
            np.asarray(events["gammaness"]), energy, self.gammaness, operator.ge
        )
        if self.multiplicity is not None:
            passed &= evaluate_binned_cut(
                np.asarray(events["multiplicity"]), energy, self.multiplicity, operator.ge
            )
        return passed

    def meets_criteria(self, table: Table, path: Path) -> np.ndarray:
        """Which rows of ctapipe's table of events meet the criteria.

        Parameters
        ----------
        table : Table
        path : Path
            Its file, for errors.

        Returns
        -------
        ndarray of bool, shape (n_rows,)

        Raises
        ------
        CutError
            If a criterion cannot be evaluated.
        """
        if not self.criteria or len(table) == 0:
            return np.ones(len(table), dtype=bool)
        try:
            return QualityQuery(quality_criteria=list(self.criteria)).get_table_mask(table)
        except Exception as error:
            raise CutError(
                f"The quality criteria of the cuts cannot be evaluated for '{path}' ({error}); "
                "give cuts that were made for this reconstruction."
            ) from error


def read_selection(irf: Path, cuts: Path | None) -> EventSelection:
    """The selection of a response, from the file of cuts or from the response itself.

    Parameters
    ----------
    irf : Path
        File of the response.
    cuts : Path, optional
        File of the cuts, as ctapipe-optimize-event-selection writes it.

    Returns
    -------
    EventSelection

    Raises
    ------
    InputFileError
        If no file has cuts, a file is damaged, or both have different cuts.
    CutError
        If a criterion is more than arithmetic and comparisons of columns.
    """
    own = _read(irf)
    if cuts is None:
        if own is None:
            raise InputFileError(
                f"'{irf}' does not have the gammaness cuts that it was computed with; give their "
                "file, which ctapipe-optimize-event-selection has written, with --cuts."
            )
        return own
    given = _read(cuts)
    if given is None:
        raise InputFileError(
            f"'{cuts}' has no gammaness cuts ({GAMMANESS}); give the file that "
            "ctapipe-optimize-event-selection has written."
        )
    if own is not None and not _same(own.gammaness, given.gammaness):
        raise InputFileError(
            f"The gammaness cuts in '{cuts}' are not those in '{irf}'; give the cuts that the "
            "response was computed with, or leave out --cuts."
        )
    _check_radius(irf, cuts)
    return given


def _read(path: Path) -> EventSelection | None:
    """The selection that a file has, None if it has none."""
    check_file(path)
    with open_fits(path, "its cuts") as hdus:
        if GAMMANESS not in hdus:
            return _one_cut(hdus)
        gammaness = QTable.read(hdus[GAMMANESS])
        criteria: list[tuple[str, str]] = []
        if CRITERIA in hdus:
            rows = Table.read(hdus[CRITERIA]).iterrows()
            criteria = [(str(name).strip(), str(expression).strip()) for name, expression in rows]
        multiplicity = QTable.read(hdus[MULTIPLICITY]) if MULTIPLICITY in hdus else None
        classifier = str(gammaness.meta.get("CLFNAME", ""))
        tables = [gammaness, *([] if multiplicity is None else [multiplicity])]
        for table in tables:
            _check_bins(table)
    # ctapipe writes one empty criterion if there is none.
    criteria = [criterion for criterion in criteria if criterion[1]]
    _check_criteria(path, [expression for _, expression in criteria])
    return EventSelection(gammaness, classifier, tuple(criteria), multiplicity)


def _one_cut(hdus: fits.HDUList) -> EventSelection | None:
    for hdu in hdus:
        if ONE_CUT in hdu.header:
            everywhere = {"low": [0.0] * u.TeV, "high": [np.inf] * u.TeV}
            return EventSelection(QTable({**everywhere, "cut": [float(hdu.header[ONE_CUT])]}))
    return None


def _check_bins(table: QTable) -> None:
    """Raise what blames the file if a table of cuts has no contiguous bins in energy."""
    low, high = (table[name].to_value(u.TeV) for name in ("low", "high"))
    if len(table) == 0 or np.any(high <= low) or not np.allclose(low[1:], high[:-1]):
        raise ValueError("bins that do not follow each other")
    np.asarray(table["cut"], dtype=np.float64)


def _same(ours: QTable, theirs: QTable) -> bool:
    return len(ours) == len(theirs) and all(
        np.allclose(
            u.Quantity(ours[name]).value, u.Quantity(theirs[name]).to_value(ours[name].unit)
        )
        if name != "cut"
        else np.allclose(np.asarray(ours[name]), np.asarray(theirs[name]))
        for name in ("low", "high", "cut")
    )


def _check_radius(irf: Path, cuts: Path) -> None:
    """Refuse a response with other cuts in direction than those in the file of cuts."""
    with open_fits(irf, RADIUS) as hdus:
        if RADIUS not in hdus:
            return
        radius = np.ravel(QTable.read(hdus[RADIUS])["RAD_MAX"].to_value(u.deg))
    with open_fits(cuts, RADIUS) as hdus:
        theirs = QTable.read(hdus[RADIUS])["cut"].to_value(u.deg) if RADIUS in hdus else None
    if theirs is None or len(theirs) != len(radius) or not np.allclose(radius, theirs):
        raise InputFileError(
            f"The cuts in direction (RAD_MAX) in '{cuts}' are not those in '{irf}'; give the cuts "
            "that the response was computed with."
        )


def _check_criteria(path: Path, expressions: Sequence[str]) -> None:
    """Refuse what is more than a condition: ctapipe runs these texts as Python.

    Raises
    ------
    CutError
        If an expression is anything else.
    """
    for expression in expressions:
        try:
            tree = ast.parse(expression, mode="eval")
            allowed = all(_is_allowed(node) for node in ast.walk(tree))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            allowed = False
        if not allowed:
            raise CutError(
                f"The criterion {expression[:80]!r} in '{path}' is more than arithmetic and "
                "comparisons of columns, and is not evaluated; remove it from the configuration "
                "of ctapipe's tools."
            )


def _is_allowed(node: ast.AST) -> bool:
    if not isinstance(node, NODES):
        return False
    if isinstance(node, ast.Attribute):
        is_numpy = isinstance(node.value, ast.Name) and node.value.id == "np"
        return is_numpy and node.attr in FUNCTIONS
    if isinstance(node, ast.Call):
        # Attributes are checked alone.
        of_numpy = isinstance(node.func, ast.Attribute)
        plain = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
        return (of_numpy or plain) and all(keyword.arg == "axis" for keyword in node.keywords)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float)
    return not (isinstance(node, ast.Name) and node.id.startswith("_"))
