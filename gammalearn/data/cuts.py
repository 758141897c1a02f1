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


#: What an expression may be made of.
NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Constant,
    ast.operator, ast.unaryop, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Load,
)  # fmt: skip


def names_in(expressions: Iterable[str]) -> set[str]:
    """The columns that expressions name.

    Raises
    ------
    CutError
        If an expression cannot be read.
    """
    names = set()
    for expression in expressions:
        names |= _names(_parse(expression))
    return names


def _parse(expression: str) -> ast.Expression:
    """The tree of an expression that numexpr may have."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise CutError(
            f"The cut '{expression}' cannot be read; expected something like "
            "'hillas_intensity > 50'."
        ) from error
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp | ast.Not):
            raise CutError(
                f"The cut '{expression}' uses and, or, not; write (a > 1) & (b < 2), | and ~."
            )
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            raise CutError(
                f"The cut '{expression}' chains comparisons; write (1 < a) & (a < 2), with the "
                "parentheses."
            )
        if isinstance(node, ast.Call) and (
            not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords
        ):
            raise CutError(
                f"The cut '{expression}' calls {ast.unparse(node.func)}; the functions are "
                f"{', '.join(sorted(FUNCTIONS))}."
            )
        if not isinstance(node, NODES):
            raise CutError(
                f"The cut '{expression}' is more than arithmetic and comparisons of columns; "
                "expected something like 'hillas_intensity > 50'."
            )
    return tree


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - FUNCTIONS


def _names_tested_for_nan(tree: ast.AST) -> set[str]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return set().union(*(_names(call) for call in calls if call.func.id == "isnan"))


def passes(
    expressions: Sequence[str], columns: Table, source: str, others: Sequence[str] = ()
) -> np.ndarray:
    """Which rows meet all conditions.

    A NaN meets none, not even ``a != 1`` or ``~(a > 1)``, where the expression does not ask for
    it with ``isnan(a)``.

    Parameters
    ----------
    expressions : sequence of str
        Conditions in numexpr's syntax, e.g. ``(hillas_intensity > 50) & (hillas_width < 1)``.
    columns : Table
    source : str
        Where the table comes from, for the error.
    others : sequence of str
        Names that could have been asked for, for the error's hint.

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
        tree = _parse(expression)
        names = _names(tree)
        unknown = sorted(names - set(columns.colnames))
        if unknown:
            known = [*columns.colnames, *others]
            close = _alike(unknown[0], known)
            hint = f"; did you mean {' or '.join(close)}?" if close else "."
            raise CutError(
                f"The cut '{expression}' names '{unknown[0]}', by which {source} cannot be cut"
                f"{hint}"
            )
        values = {name: np.asarray(columns[name]) for name in names}
        # numexpr compares bytes, not text.
        values = {k: v.astype("S") if v.dtype.kind == "U" else v for k, v in values.items()}
        try:
            result = numexpr.evaluate(_with_bytes(tree), local_dict=values, global_dict={})
        except Exception as error:
            raise CutError(f"The cut '{expression}' cannot be evaluated: {error}.") from error
        if result.dtype != bool:
            raise CutError(
                f"The cut '{expression}' is not a condition; expected something like "
                "'hillas_intensity > 50'."
            )
        selected &= result
        for name in names - _names_tested_for_nan(tree):
            if values[name].dtype.kind == "f":
                selected &= ~np.isnan(values[name])
    return selected


def _alike(unknown: str, known: Sequence[str]) -> list[str]:
    """Up to three names that may be meant: those that only lack their prefix come first."""
    prefixed = [name for name in known if name.partition("_")[2] == unknown]
    # Of two, the one of the ellipse is meant: hillas_intensity, not peak_time_intensity.
    prefixed.sort(key=lambda name: not name.startswith("hillas_"))
    return list(dict.fromkeys([*prefixed, *difflib.get_close_matches(unknown, known, n=3)]))[:3]


def _with_bytes(tree: ast.Expression) -> str:
    """The expression with its text constants as bytes."""

    class Encode(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant(node.value.encode()) if isinstance(node.value, str) else node

    return ast.unparse(Encode().visit(tree))
