"""What the package has for a notebook, and how it says what is wrong."""

import re

import pytest

import gammalearn
from gammalearn.errors import GammaLearnError, OutputError, SettingsError


def test_names_are_those_that_type_checkers_see(pytestconfig):
    stub = (pytestconfig.rootpath / "gammalearn" / "__init__.pyi").read_text(encoding="utf-8")
    seen = re.findall(r"^from \.([\w.]+) import (\w+) as \2$", stub, flags=re.MULTILINE)
    assert sorted(name for _, name in seen) == gammalearn.__all__ == dir(gammalearn)
    for module, name in seen:
        place = getattr(gammalearn, name).__module__
        assert f"{place}.".startswith(f"gammalearn.{module}."), name


def test_all_names_say_what_they_are():
    for name in gammalearn.__all__:
        assert getattr(gammalearn, name).__doc__, name


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        gammalearn.lod  # noqa: B018


def test_a_simulation_of_wrong_settings():
    with pytest.raises(SettingsError, match="did you mean 'n_showers'"):
        gammalearn.simulate(output="a.h5", particle="gamma", n_shower=1, energy=(1, 2))
    with pytest.raises(SettingsError, match="particle: is needed"):
        gammalearn.simulate(output="a.h5")


def test_a_simulation_does_not_replace_a_file(tmp_path):
    path = tmp_path / "gamma.dl1.h5"
    path.write_text("")
    settings = {"particle": "gamma", "n_showers": 1, "energy": ("1 TeV", "2 TeV")}
    given = gammalearn.SimulationSettings(output=path, **settings)
    with pytest.raises(OutputError, match="exists"):
        gammalearn.simulate(given, zenith=10)


def test_an_event_is_drawn(simulated_files):
    events = gammalearn.read_events(simulated_files[0])
    event = events.table[0]
    figure = gammalearn.plot_event(simulated_files[0], event["event_id"], event["obs_id"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == event["multiplicity"]
    assert f"event {event['event_id']}" in figure.get_suptitle()
    with pytest.raises(GammaLearnError, match="has no event -1"):
        gammalearn.plot_event(simulated_files[0], -1)
