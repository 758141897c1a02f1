"""Cuts: what an expression means, and which are refused."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data.index.cuts import names_in, passes
from gammalearn.errors import CutError

TABLE = Table(
    {
        "hillas_intensity": [10.0, 60.0, np.nan, 500.0],
        "hillas_width": [0.1, np.nan, 0.3, 2.0],
        "multiplicity": np.array([1, 2, 3, 4]),
        "particle": np.array(["gamma", "proton", "gamma", ""]),
    }
)


def kept(*expressions):
    return np.flatnonzero(passes(expressions, TABLE, "'events.h5'")).tolist()


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("hillas_intensity > 50", [1, 3]),
        ("  hillas_intensity > 50\n", [1, 3]),
        ("(hillas_intensity > 50) & (multiplicity >= 4)", [3]),
        ("(multiplicity < 2) | (multiplicity > 3)", [0, 3]),
        ("~(multiplicity == 2)", [0, 2, 3]),
        ("multiplicity != 2", [0, 2, 3]),
        ("multiplicity % 2 == 0", [1, 3]),
        ("log10(hillas_intensity) >= 1", [0, 1, 3]),
        ("abs(hillas_width - 1) < 0.95", [0, 2]),
        ("where(multiplicity > 2, 1, 0) == 1", [2, 3]),
        ("particle == 'gamma'", [0, 2]),
        ('particle != "gamma"', [1, 3]),
        ("particle == ''", [3]),
        ("multiplicity * 100 <= hillas_intensity", [3]),
        ("1 > 0", [0, 1, 2, 3]),
    ],
)
def test_keeps(expression, rows):
    assert kept(expression) == rows


def test_all_conditions_are_to_be_met():
    assert kept("multiplicity > 1", "multiplicity < 4") == [1, 2]
    assert kept() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "expression",
    [
        "hillas_intensity > 0",
        "hillas_intensity < 1e9",
        "hillas_intensity != 0",
        "~(hillas_intensity > 1e9)",
        "(hillas_intensity > 0) | (multiplicity > 0)",
        "where(hillas_intensity > 0, 1, 1) == 1",
    ],
)
def test_nan_meets_no_condition(expression):
    assert kept(expression) == [0, 1, 3]


def test_nan_may_be_asked_for():
    assert kept("isnan(hillas_width)") == [1]
    assert kept("isnan(hillas_width) | (hillas_width > 1)") == [1, 3]
    assert kept("isnan(hillas_width) | (hillas_intensity > 0)") == [0, 1, 3]


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=20),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(-10, 10),
)
def test_is_what_python_makes_of_it(values, operator, limit):
    expression = f"x {operator} {limit}"
    expected = [eval(expression, {"x": x}) for x in values]
    assert passes([expression], Table({"x": values}), "x").tolist() == expected


def test_no_rows():
    assert passes(["hillas_intensity > 50", "particle == 'gamma'"], TABLE[:0], "").shape == (0,)


def test_names():
    assert names_in(["log10(a) > b", "(c == 'd') & ~isnan(a)"]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch cut')",
        "hillas_intensity.__class__ == 1",
        "hillas_intensity.real > 1",
        "(lambda: 1)() == 1",
        "[x for x in (1, 2)]",
        "{1: 2}",
        "hillas_intensity[0] > 1",
        "f'{hillas_intensity}' == ''",
        "(hillas_intensity := 1) > 0",
        "open('cut', 'w')",
        "print(1)",
        "eval('1 > 0')",
        "hillas_intensity if 1 else 2",
        "particle in ('gamma', 'proton')",
        "hillas_intensity is 3",
        "sum(*[hillas_intensity]) > 1",
        "where(multiplicity > 2, 1, b=0) == 1",
        "import os",
        "a = 1",
        "",
        "hillas_intensity >",
        "hillas_intensity > 50)",
        "(" * 1000 + "1" + ")" * 1000,
        "particle == 3",
        "hillas_intensity == 'gamma'",
        "hillas_intensity & 3",
        "None",
        "exp() > 1",
        "multiplicity > 10 ** 400",
        "multiplicity @ multiplicity",
    ],
)
def test_refused(expression, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CutError, match="The cut "):
        kept(expression)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "expression",
    [
        "multiplicity > 1 and multiplicity < 3",
        "multiplicity > 1 or multiplicity < 3",
        "not multiplicity > 1",
    ],
)
def test_words_for_logic_are_refused_with_the_signs(expression):
    with pytest.raises(CutError, match=r"write \(a > 1\) & \(b < 2\), \| and ~"):
        kept(expression)


@pytest.mark.parametrize("expression", ["1 < multiplicity < 3", "multiplicity > 1 & 2 < 3"])
def test_chains_are_refused_with_the_parentheses(expression):
    with pytest.raises(CutError, match="with the parentheses"):
        kept(expression)


@pytest.mark.parametrize("expression", ["hillas_intensity", "multiplicity + 1", "3", "particle"])
def test_what_is_no_condition_is_refused(expression):
    with pytest.raises(CutError, match="is not a condition|cannot be evaluated"):
        kept(expression)


def test_an_unknown_column_is_refused_with_the_nearest_name():
    with pytest.raises(
        CutError, match="'hillas_intensty', by which 'events.h5' cannot be cut.*"
    ) as e:
        kept("hillas_intensty > 50")
    assert "did you mean hillas_intensity" in str(e.value)


def test_an_unknown_function_is_refused_with_the_known_ones():
    with pytest.raises(CutError, match="calls log2; the functions are abs, .*, log10, "):
        kept("log2(hillas_intensity) > 5")
