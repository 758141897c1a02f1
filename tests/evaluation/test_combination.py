"""The mean of an event's telescopes, by hand."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from gammalearn.evaluation import combine_telescopes
from gammalearn.evaluation.event_table import EventTable


@pytest.fixture
def images():
    """Images of three events, the first one's not side by side; ids repeat in another file."""
    table = QTable()
    table["file"] = [0, 0, 0, 1, 1]
    table["obs_id"], table["event_id"] = [1] * 5, [7, 8, 7, 7, 7]
    table["tel_id"] = [1, 1, 2, 1, 4]
    table["shower"] = [0, 1, 0, 2, 2]
    table["true_energy"] = [0.2, 0.3, 0.2, 1.0, 1.0] * u.TeV
    table["reco_energy"] = [0.1, 0.3, 0.4, np.nan, 2.0] * u.TeV
    table["energy_is_valid"] = [True, True, True, False, True]
    table["reco_alt"] = [70, 60, 70, np.nan, np.nan] * u.deg
    table["reco_az"] = [359, 10, 3, np.nan, np.nan] * u.deg
    table["direction_is_valid"] = [True, True, True, False, False]
    table["gammaness"] = [0.2, 0.5, 0.8, 1.0, 0.4]
    table["particle_type_is_valid"] = [True] * 5
    table["multiplicity"] = np.ones(5, dtype=int)
    table.meta = EventTable(
        level="telescope",
        simulated=True,
        algorithms=dict.fromkeys(("energy", "direction", "particle_type"), "A"),
        files=["a.h5", "b.h5"],
        paths=[Path("a.h5"), Path("b.h5")],
    ).to_meta()
    return table


def test_one_row_an_event_of_a_file(images):
    events = combine_telescopes(images)
    assert events["file"].tolist() == [0, 0, 1]
    assert events["event_id"].tolist() == [7, 8, 7]
    assert events["tel_id"].tolist() == [-1, -1, -1]
    assert events["shower"].tolist() == [0, 1, 2]
    assert events["true_energy"].to_value("TeV").tolist() == [0.2, 0.3, 1.0]
    assert events["multiplicity"].tolist() == [2, 1, 2]
    assert events.meta["level"] == "subarray"
    assert images.meta["level"] == "telescope"


def test_events_of_the_same_ids_are_told_apart(images):
    """By their truth, or by the pointing where a telescope would have two images of one event."""
    images["event_id"] = 7
    events = combine_telescopes(images)
    assert events["true_energy"].to_value("TeV").tolist() == [0.2, 0.3, 1.0]
    assert events["multiplicity"].tolist() == [2, 1, 2]
    images["shower"], images["tel_id"] = [0, 1, 0, 2, 2], [1, 1, 1, 1, 4]
    images["pointing_alt"], images["pointing_az"] = [70, 70, 71, 70, 70] * u.deg, np.ones(5) * u.deg
    events = combine_telescopes(images)
    assert events["reco_energy"].to_value("TeV").tolist() == pytest.approx([0.1, 0.3, 0.4, 2.0])


def test_the_energy_is_the_geometric_mean_of_what_is_valid(images):
    events = combine_telescopes(images)
    np.testing.assert_allclose(events["reco_energy"].to_value("TeV"), [0.2, 0.3, 2.0])
    assert events["energy_is_valid"].tolist() == [True] * 3


def test_the_direction_is_the_mean_on_the_sphere_across_north(images):
    events = combine_telescopes(images)
    assert events["reco_az"][0].to_value("deg") == pytest.approx(1)
    # Unit vectors at 70 deg, 4 deg of azimuth apart: tan(alt) = tan(70 deg) / cos(2 deg).
    altitude = np.degrees(np.arctan(np.tan(np.radians(70)) / np.cos(np.radians(2))))
    assert events["reco_alt"][0].to_value("deg") == pytest.approx(altitude)
    assert events["direction_is_valid"].tolist() == [True, True, False]
    assert np.isnan(events["reco_alt"][2])


def test_the_gammaness_is_the_plain_mean(images):
    np.testing.assert_allclose(combine_telescopes(images)["gammaness"], [0.5, 0.5, 0.7])


def test_telescopes_count_by_their_light_where_that_is_asked_for(images):
    images["hillas_intensity"] = [300.0, 50, 100, 200, np.nan]
    events = combine_telescopes(images, "intensity")
    assert float(events["gammaness"][0]) == pytest.approx((300 * 0.2 + 100 * 0.8) / 400)
    energy = np.exp((300 * np.log(0.1) + 100 * np.log(0.4)) / 400)
    assert events["reco_energy"][0].to_value("TeV") == pytest.approx(energy)
    # The last image has no weight.
    assert float(events["gammaness"][2]) == pytest.approx(1.0)
    assert not events["energy_is_valid"][2]


def test_nothing_valid_and_nothing_at_all(images):
    images["energy_is_valid"] = False
    assert not np.any(combine_telescopes(images)["energy_is_valid"])
    assert len(combine_telescopes(images[:0])) == 0
