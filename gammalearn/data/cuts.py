"""Cuts: conditions on the columns of a table, as text."""

import ast
import difflib
from collections.abc import Iterable, Sequence

import numexpr
import numpy as np
from astropy.table import Table

from ..errors import CutError

__all__ = ["names_in", "passes"]

#: Functions that an expression may call; the others of numexpr have no use in a cut.
FUNCTIONS = frozenset(
    {"abs", "arctan2", "cos", "exp", "isnan", "log", "log10", "sin", "sqrt", "tan", "where"}
)


def names_in(expressions: Iterable[str]) -> set[str]:
    """The columns that expressions name.

    Raises
    ------
    CutError
        If an expression cannot be read.
    """
    names = set()
    for expression in expressions:
        try:
            tree = ast.parse(expression, mode="eval")
        except SyntaxError as error:
            raise CutError(
                f"The cut '{expression}' cannot be read; expected something like "
                "'hillas_intensity > 50'."
            ) from error
        if any(isinstance(node, ast.BoolOp | ast.Not) for node in ast.walk(tree)):
            raise CutError(
                f"The cut '{expression}' uses and, or, not; write (a > 1) & (b < 2), | and ~."
            )
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names - FUNCTIONS


def passes(expressions: Sequence[str], columns: Table, source: str) -> np.ndarray:
    """Which rows meet all conditions; a NaN meets none.

    Parameters
    ----------
    expressions : sequence of str
        Conditions in numexpr's syntax, e.g. ``(hillas_intensity > 50) & (hillas_width < 1)``.
    columns : Table
    source : str
        Where the table comes from, for the error.

    Returns
    -------
    ndarray of bool, shape (n_rows,)

    Raises
    ------
    CutError
        If an expression cannot be evaluated, names an unknown column or is not a condition.
    """
    selected = np.ones(len(columns), dtype=bool)
    for expression in expressions:
        names = names_in([expression])
        unknown = sorted(names - set(columns.colnames))
        if unknown:
            close = difflib.get_close_matches(unknown[0], columns.colnames, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else "."
            raise CutError(
                f"The cut '{expression}' names '{unknown[0]}', which {source} does not have{hint}"
            )
        values = {name: np.asarray(columns[name]) for name in names}
        # numexpr compares bytes, not text.
        values = {k: v.astype("S") if v.dtype.kind == "U" else v for k, v in values.items()}
        try:
            result = numexpr.evaluate(_with_bytes(expression), local_dict=values, global_dict={})
        except Exception as error:
            raise CutError(f"The cut '{expression}' cannot be evaluated: {error}.") from error
        if result.dtype != bool:
            raise CutError(
                f"The cut '{expression}' is not a condition; expected something like "
                "'hillas_intensity > 50'."
            )
        selected &= result
    return selected


def _with_bytes(expression: str) -> str:
    """The expression with its text constants as bytes."""

    class Encode(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant(node.value.encode()) if isinstance(node.value, str) else node

    return ast.unparse(Encode().visit(ast.parse(expression, mode="eval")))
