"""How values are listed in lines."""

import pytest

from gammalearn.inspection.lines import number_ranges, titled_lines


@pytest.mark.parametrize(
    ("ids", "words"),
    [([], ""), ([4], "4"), ([1, 2, 3, 7], "1-3, 7"), ([7, 2, 1, 3], "1-3, 7"), ([5, 3], "3, 5")],
)
def test_numbers_as_ranges_in_their_order(ids, words):
    assert number_ranges(ids) == words


def test_values_stand_below_each_other():
    assert titled_lines("file", {"a": 1, "long": 2}) == ["file", "  a     1", "  long  2"]
