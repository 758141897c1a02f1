"""Event classes: shares of the gammas by hand, for each energy, and limits that travel."""

import numpy as np
import pytest
from scipy.stats import rankdata

from gammalearn.errors import SettingsError
from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks
from gammalearn.tasks.event_classes import EventClasses

QUARTERS = (0.25, 0.5, 0.75)


@pytest.fixture(scope="module")
def gammas():
    """Energies (TeV) over three decades, and errors (deg) that fall with the energy."""
    random = np.random.default_rng(2)
    energy = 10 ** random.uniform(-1.5, 1.5, 8000)
    return energy, 0.1 * energy**-0.4 * random.lognormal(0, 0.5, len(energy))


def test_the_class_of_few_gammas_is_that_of_their_rank():
    error = np.random.default_rng(0).uniform(0.05, 0.5, 40)
    found = EventClasses.fit(None, error, QUARTERS).classify(None, error)
    from_the_largest = rankdata(-error, method="ordinal") - 1
    np.testing.assert_array_equal(found, from_the_largest * 4 // 40)


@pytest.mark.parametrize("quantiles", [QUARTERS, (0.5, 0.8)])
def test_shares_are_the_quantiles_at_each_energy(gammas, quantiles):
    """Other gammas than those of the fit: the share in each class, in each third of a decade."""
    energy, error = gammas
    classes = EventClasses.fit(energy[:6000], error[:6000], quantiles)
    assert classes.n_classes == len(quantiles) + 1
    energy, error = energy[6000:], error[6000:]
    found = classes.classify(energy, error)
    expected = np.diff([0, *quantiles, 1])
    shares = np.bincount(found, minlength=len(expected)) / len(found)
    np.testing.assert_allclose(shares, expected, atol=0.03)
    for low in (-1.5, -0.5, 0.5):
        inside = (np.log10(energy) >= low) & (np.log10(energy) < low + 1)
        shares = np.bincount(found[inside], minlength=len(expected)) / inside.sum()
        np.testing.assert_allclose(shares, expected, atol=0.06)


def test_class_0_has_the_largest_errors(gammas):
    energy, error = gammas
    found = EventClasses.fit(energy, error, QUARTERS).classify(energy, error)
    alike = (energy > 0.9) & (energy < 1.1)
    means = [error[alike & (found == number)].mean() for number in range(4)]
    assert np.all(np.diff(means) < 0)


def test_without_an_error_or_energy_there_is_no_class(gammas):
    classes = EventClasses.fit(*gammas, QUARTERS)
    energy, error = np.array([np.nan, 1, -1, 1e9, 1e-9]), np.array([0.1, np.nan, 0.1, 9, 0])
    np.testing.assert_array_equal(classes.classify(energy, error), [-1, -1, -1, 0, 3])


def test_gammas_of_one_energy_make_one_bin():
    error = np.linspace(0.1, 1, 5000)
    classes = EventClasses.fit(np.full(5000, 0.3), error, [0.5])
    assert classes.energy_edges == ()
    assert classes.limits[0][0] == pytest.approx(0.55, abs=1e-3)


def test_limits_travel_as_plain_values(gammas):
    classes = EventClasses.fit(*gammas, QUARTERS)
    again = EventClasses.from_dict(classes.to_dict())
    assert again == classes
    assert all(isinstance(value, list | int) for value in classes.to_dict().values())


@pytest.mark.parametrize(
    "changed",
    [{"limits": [[0.1]]}, {"energy_edges": [0.0] * 50}, {"quantiles": "many"}, {"n_gammas": None}],
)
def test_what_is_not_a_set_of_limits_is_refused(gammas, changed):
    values = EventClasses.fit(*gammas, QUARTERS).to_dict()
    with pytest.raises(ValueError):
        EventClasses.from_dict(values | changed)


def test_too_few_gammas_are_refused():
    error = np.where(np.arange(100) < 39, 0.1, np.nan)
    with pytest.raises(ValueError, match="39 gammas.*4 event classes.*need 40"):
        EventClasses.fit(None, error, QUARTERS)


def test_a_number_of_classes_is_that_of_equal_shares():
    settings = TaskSettings(uncertainty=True, event_classes=4)
    assert settings.event_classes == [0.25, 0.5, 0.75]
    assert build_tasks({"direction": settings})["direction"].gives_uncertainty


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"event_classes": 4}, "set uncertainty to true"),
        ({"event_classes": 1, "uncertainty": True}, "2 to 16"),
        ({"event_classes": [0.5, 0.5], "uncertainty": True}, "increasing quantiles"),
        ({"event_classes": [0, 0.5], "uncertainty": True}, "increasing quantiles"),
    ],
)
def test_settings_that_make_no_classes_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        TaskSettings(**values)


def test_only_the_direction_has_classes():
    settings = TaskSettings(uncertainty=True, event_classes=4)
    with pytest.raises(SettingsError, match="tasks.energy.event_classes"):
        build_tasks({"energy": settings})
