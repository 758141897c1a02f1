"""Events are the same by their ids and truth, whatever file they are in."""

import astropy.units as u
import numpy as np
from astropy.table import QTable

from gammalearn.evaluation.statistics.matching import IMAGE, number_alike, rows_in_common


def events(ids, energies, particle="gamma", obs_id=1, tel_ids=None):
    table = QTable({"obs_id": np.full(len(ids), obs_id), "event_id": ids})
    table["particle"] = np.full(len(ids), particle)
    table["true_energy"] = np.asarray(energies, dtype=float) * u.TeV
    if tel_ids is not None:
        table["tel_id"] = tel_ids
    return table


def matched(*tables, keys=("obs_id", "event_id", "particle", "true_energy")):
    return [rows.tolist() for rows in rows_in_common(number_alike(tables, keys))]


def test_order_does_not_matter_and_what_one_lacks_is_left_out():
    first = events([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])
    second = events([4, 9, 2, 1], [0.4, 0.9, 0.2, 0.1])
    rows = matched(first, second)
    assert first["event_id"][rows[0]].tolist() == second["event_id"][rows[1]].tolist() == [1, 2, 4]


def test_equal_ids_of_other_particles_and_showers_are_other_events():
    first = events([1, 2], [0.1, 0.2])
    assert matched(first, events([1, 2], [0.1, 0.2], "proton")) == [[], []]
    assert matched(first, events([1, 2], [0.1, 0.2], obs_id=2)) == [[], []]
    assert matched(first, events([1, 2], [0.1, 7.0])) == [[0], [0]]


def test_energies_in_single_precision_are_the_same():
    energies = np.array([0.123456789012, 1 / 3])
    first, second = events([1, 2], energies), events([1, 2], energies.astype(np.float32))
    assert matched(first, second) == [[0, 1], [0, 1]]


def test_images_are_told_apart_by_their_telescope():
    first = events([1, 1, 1], [0.1] * 3, tel_ids=[1, 2, 3])
    second = events([1, 1], [0.1] * 2, tel_ids=[3, 1])
    assert matched(first, second, keys=IMAGE) == [[0, 2], [1, 0]]


def test_nothing_in_common():
    assert matched(events([1], [0.1]), events([], [])) == [[], []]
