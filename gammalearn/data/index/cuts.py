"""Cuts: conditions on the columns of a table, as text."""

import ast
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from ...errors import CutError

__all__ = ["names_in", "passes"]

#: Functions that an expression may call; others have no use in a cut.
FUNCTIONS = frozenset(
    {"abs", "arctan2", "cos", "exp", "isnan", "log", "log10", "sin", "sqrt", "tan", "where"}
)


#: What an expression may be made of.
NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Constant,
    ast.operator, ast.unaryop, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Load,
)  # fmt: skip


#: What an operator does, with columns and numbers.
OPERATORS = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Mod: np.fmod,
    ast.Pow: np.float_power,
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
    ast.Invert: np.invert,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}

#: Characters of a cut.
LONGEST = 1000


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
    """The tree of an expression of what a cut is made of."""
    if len(expression) > LONGEST:
        raise CutError(
            f"The cut '{expression[:40]} …' of {len(expression)} characters is too long; write it "
            "as several, which must all be met."
        )
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
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= _names(node) if node.func.id == "isnan" else set()
    return found


def passes(
    expressions: Sequence[str], columns: Table, source: str, others: Sequence[str] = ()
) -> np.ndarray:
    """Which rows meet all conditions.

    A NaN meets none, not even ``a != 1`` or ``~(a > 1)``, where the expression does not ask for
    it with ``isnan(a)``.

    Parameters
    ----------
    expressions : sequence of str
        Conditions, e.g. ``(hillas_intensity > 50) & (hillas_width < 1)``.
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
        # Text is text, whatever the file has it as.
        values = {k: v.astype("U") if v.dtype.kind == "S" else v for k, v in values.items()}
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(_value(tree.body, values))
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


def _value(node: ast.AST, columns: Mapping[str, np.ndarray]) -> Any:
    """What a part of an expression is, for each row."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bool() | int() | float() as number):
            return _number(number)
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=operator, operand=operand):
            return OPERATORS[type(operator)](_value(operand, columns))
        case ast.BinOp(op=operator, left=left, right=right):
            left, right = _value(left, columns), _value(right, columns)
            numbers = isinstance(left, np.generic) and isinstance(right, np.generic)
            with np.errstate(all="raise" if numbers else "ignore"):
                return OPERATORS[type(operator)](left, right)
        case ast.Compare(ops=[operator], left=left, comparators=[right]):
            return OPERATORS[type(operator)](_value(left, columns), _value(right, columns))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return getattr(np, name)(*(_value(argument, columns) for argument in arguments))
    raise ValueError(f"{ast.unparse(node)} is not known here")


def _number(value: bool | int | float) -> np.generic:
    """NumPy's, which is of bounded size and, by a text, of double precision."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return np.int64(value)
    return np.float64(value)
