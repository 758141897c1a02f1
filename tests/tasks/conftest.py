"""Event tables and settings that tests of tasks share."""

import numpy as np
import pytest
from astropy.table import Table

from gammalearn.settings import TaskSettings

COLUMNS = (
    "true_energy", "true_alt", "true_az", "true_core_x", "true_core_y", "true_x_max",
    "pointing_alt", "pointing_az", "reference_x", "reference_y", "reference_z",
)  # fmt: skip


@pytest.fixture(scope="session")
def event_table():
    """Function that makes an event table from the columns that matter, the others being NaN."""

    def make(particle="gamma", **columns):
        size = max([1, *(np.size(value) for value in [particle, *columns.values()])])
        table = Table({name: np.full(size, np.nan) for name in COLUMNS})
        table["particle"] = np.broadcast_to(np.asarray(particle, dtype="U16"), size)
        for name, value in columns.items():
            assert name in COLUMNS, name
            table[name] = np.broadcast_to(np.asarray(value, dtype=float), size)
        return table

    return make


@pytest.fixture(scope="session")
def task_settings():
    return TaskSettings()
