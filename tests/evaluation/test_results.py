"""Numbers as files."""

import json

import numpy as np

from gammalearn.evaluation.report.results import write_numbers


def test_what_is_no_finite_number_is_null(tmp_path):
    """JSON has neither NaN nor infinities."""
    path = tmp_path / "metrics.json"
    written = write_numbers(
        {"a": 1.5, "b": [np.nan, np.inf, -np.inf], "c": {"d": np.float64("inf")}, "e": None}, path
    )
    assert written == {"a": 1.5, "b": [None] * 3, "c": {"d": None}, "e": None}
    assert json.loads(path.read_text(encoding="utf-8")) == written
