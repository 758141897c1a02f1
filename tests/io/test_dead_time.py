"""Dead time of observations: where files have it, and what it comes to."""

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import QTable
from ctapipe.io import write_table

from gammalearn.io.ctapipe_tables import OBSERVATION, TRIGGER
from gammalearn.io.observed.dead_time import dead_time_fraction, write_dead_time


@pytest.fixture
def observed(tmp_path):
    """Observation 7 with 600 events in 2 min, 8 with 300 in 30 s, and 9 of unknown duration."""
    with tables.open_file(tmp_path / "run.dl1.h5", "w") as file:
        blocks = {"obs_id": np.array([7, 8, 9]), "actual_duration": [2, 0.5, np.nan] * u.min}
        write_table(QTable(blocks), file, OBSERVATION)
        write_table(QTable({"obs_id": np.repeat([7, 8, 9], [600, 300, 5])}), file, TRIGGER)
        yield file


def test_is_events_times_dead_time_over_duration(observed):
    write_dead_time(observed, 1e-3)
    assert dead_time_fraction(observed) == pytest.approx({7: 600e-3 / 120, 8: 300e-3 / 30})


def test_is_unknown_where_the_file_does_not_tell(observed):
    assert dead_time_fraction(observed) == {}
    write_dead_time(observed, 1e-3)
    observed.remove_node(TRIGGER)
    assert dead_time_fraction(observed) == {}
