"""Where showers lie."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from gammalearn.evaluation.quantities.direction import pointing_offset
from gammalearn.evaluation.quantities.impact import core_distance


def test_offset_is_an_angle_on_the_sky():
    events = QTable({"pointing_alt": [60, 60, np.nan] * u.deg, "pointing_az": [359.5] * 3 * u.deg})
    events["true_alt"], events["true_az"] = [61, 60, 60] * u.deg, [359.5, 0.5, 0] * u.deg
    events["reco_alt"], events["reco_az"] = events["pointing_alt"], events["pointing_az"]
    offset = pointing_offset(events)
    # A degree of azimuth is half of one on the sky at 60 degrees.
    assert offset.to_value("deg")[:2] == pytest.approx([1, 0.5], rel=1e-3)
    assert np.isnan(offset[2])
    assert pointing_offset(events, "reco")[0] == 0 * u.deg


def test_distance_of_the_core_where_it_is_known():
    events = QTable({"true_core_x": [3, 0] * u.m, "true_core_y": [-4, 0.2] * u.km})
    assert core_distance(events).to_value("m") == pytest.approx([np.hypot(3, 4000), 200])
    assert np.all(np.isnan(core_distance(QTable({"true_alt": [1, 2] * u.deg}))))
