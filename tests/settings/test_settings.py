"""What settings may be: defaults, units, and what is refused by name."""

import re

import astropy.units as u
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.errors import SettingsError
from gammalearn.settings import CutSettings, DataSettings, Experiment
from gammalearn.settings.reading import override, read_simulation


@pytest.mark.parametrize("value", ["3.5", "{a: 1}", "5"])
def test_what_is_no_list_of_names(value):
    with pytest.raises(SettingsError, match=r"data\.train"):
        override(Experiment(), [f"data.train={value}"])


def test_a_name_stands_for_a_list_of_one():
    assert DataSettings(train="a.h5", telescopes="LST").telescopes == ["LST"]
    assert CutSettings(image="hillas_intensity > 50").image == ["hillas_intensity > 50"]
    assert list(Experiment(tasks=["energy"]).tasks) == ["energy"]


def test_combinations_that_cannot_work_are_refused():
    with pytest.raises(SettingsError, match="min_multiplicity=2 leaves no event"):
        override(Experiment(), ["data.grouping=mono", "data.min_multiplicity=2"])
    with pytest.raises(SettingsError, match="encoder='conv4' needs 4 values in widths, got 3"):
        override(Experiment(), ["network.encoder=conv4", "network.widths=[1, 2, 3]"])


@given(
    epochs=st.integers(1, 10**6),
    rate=st.floats(1e-12, 1e3, allow_nan=False),
    telescopes=st.none() | st.lists(st.integers(1, 500) | st.sampled_from(["LST", "MST"])),
    files=st.lists(st.text(min_size=1, max_size=20)),
)
def test_yaml_keeps_every_value(epochs, rate, telescopes, files):
    experiment = Experiment.model_validate(
        {
            "data": {"telescopes": telescopes, "train": files},
            "training": {"epochs": epochs, "learning_rate": rate},
        }
    )
    assert Experiment.model_validate(yaml.safe_load(experiment.to_yaml())) == experiment


# Simulations

GAMMAS = {"output": "gamma.dl1.h5", "particle": "gamma", "n_showers": 5, "energy": [0.05, 5]}


def simulated(**values):
    return read_simulation({**GAMMAS, **values}, "here")


@pytest.mark.parametrize(
    ("name", "given", "number"),
    [
        ("energy", ["20 GeV", "10 TeV"], (0.02, 10)),
        ("energy", ["20GeV", 10], (0.02, 10)),
        ("energy", ["0.02", "1e1"], (0.02, 10)),
        ("energy", [20 * u.GeV, 10 * u.TeV], (0.02, 10)),
        ("viewcone", "2deg", 2),
        ("viewcone", "30 arcmin", 0.5),
        ("viewcone", 2.5, 2.5),
        ("azimuth", " -90deg", -90),
        ("scatter", "300m", 300),
        ("scatter", "0.3 km", 300),
        ("scatter", 0.3 * u.km, 300),
    ],
)
def test_quantities_become_numbers_in_one_unit(name, given, number):
    value = getattr(simulated(**{name: given}), name)
    assert value == pytest.approx(number)
    assert type(value) in (float, tuple)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"energy": ["-1 TeV", "3 TeV"]}, "energy: expected two increasing energies between"),
        ({"energy": ["3 TeV", "20 GeV"]}, "got 3 and 0.02 TeV"),
        ({"energy": [0.1, 0.1]}, "energy: expected two increasing"),
        ({"energy": [1e-4, 1]}, "between 0.001 and 1000 TeV"),
        ({"energy": [1, 1e4]}, "between 0.001 and 1000 TeV"),
        ({"energy": [0.1, "inf"]}, "energy.1: Input should be a finite number"),
        ({"energy": 1}, "energy: Input should be a valid tuple, got 1"),
        (
            {"energy": ["3 m", 4]},
            "energy.0: expected a number (TeV) or a unit like it, got '3.0 m'",
        ),
        ({"energy": ["some", 4]}, "energy.0: expected a number (TeV) or a number with a unit"),
        ({"viewcone": "nan"}, "viewcone: Input should be"),
        ({"viewcone": 21}, "viewcone: Input should be less than or equal to 20, got 21"),
        ({"viewcone": "2 m"}, "viewcone: expected a number (deg) or a unit like it"),
        ({"viewcone": [1, 2] * u.deg}, "viewcone: Input should be a valid number"),
        ({"offset": 10}, "offset: Input should be less than 10"),
        ({"offset": 1, "viewcone": 1}, "set either offset or viewcone"),
        ({"zenith": 71}, "zenith: Input should be less than or equal to 70"),
        ({"zenith": 70, "viewcone": 6}, "zenith=70 deg with viewcone or offset"),
        ({"scatter": 0}, "scatter: Input should be greater than 0"),
        ({"reuse": 0}, "reuse: Input should be greater than or equal to 1"),
        ({"reuse": 101}, "reuse: Input should be less than or equal to 100"),
        ({"n_showers": 0}, "n_showers: Input should be greater than or equal to 1"),
        ({"spectral_index": 2}, "spectral_index: Input should be less than or equal to 0"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        (
            {"particle": "muon"},
            "particle: Input should be 'gamma', 'electron', 'proton' or 'helium'",
        ),
        ({"output": "gamma"}, "output: expected a name that ends in .h5, got 'gamma'"),
        ({"n_shower": 5}, "n_shower: no such setting; did you mean 'n_showers'?"),
    ],
)
def test_impossible_simulations_are_refused(values, sentence):
    with pytest.raises(SettingsError) as raised:
        simulated(**values)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith("Wrong settings (here): ")
    assert "\n" not in str(raised.value)
    assert "np." not in str(raised.value)


def test_the_home_directory_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert simulated(output="~/gamma.dl1.h5").output == str(tmp_path / "gamma.dl1.h5")


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"output": "./gamma.dl1.h5", "seed": 2}, "0 and 1 would both become 'gamma.dl1.h5'"),
        ({"output": "more.dl1.h5"}, "0 and 1 are both gamma with seed=1 and run=1"),
    ],
)
def test_simulations_of_an_experiment_differ(other, sentence):
    with pytest.raises(SettingsError, match="simulation: ") as raised:
        override(Experiment(), [f"simulation={[GAMMAS, GAMMAS | other]}"])
    assert sentence in str(raised.value)
    for different in ({"seed": 2}, {"run": 2}, {"particle": "proton"}):
        Experiment(simulation=[GAMMAS, GAMMAS | {"output": "more.dl1.h5"} | different])


def test_what_is_simulated_does_not_depend_on_where_it_goes():
    assert simulated().shower_settings() == simulated(output="b.h5").shower_settings()
    assert simulated().shower_settings() != simulated(seed=2).shower_settings()
    assert yaml.safe_load(yaml.safe_dump(simulated().shower_settings())) == (
        simulated().shower_settings()
    )


@given(
    n_showers=st.integers(1, 10**9),
    energy=st.lists(st.floats(0.001, 1000), min_size=2, max_size=2, unique=True).map(sorted),
    zenith=st.floats(0, 70),
    azimuth=st.floats(-360, 360),
    scatter=st.floats(1e-3, 10_000),
)
def test_yaml_keeps_every_simulation(**values):
    experiment = Experiment(simulation=[GAMMAS | values])
    assert Experiment.model_validate(yaml.safe_load(experiment.to_yaml())) == experiment


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("training.balancing=dwa tasks=[energy]", "weighs tasks against each other, and there is"),
        ("training.balancing=pcgrad tasks=[energy]", "one only (energy): set it to 'fixed'"),
        ("training.balancing=gradnorm training.precision=16-mixed", "set it to 'bf16-mixed'"),
    ],
)
def test_balancings_that_cannot_work(settings, words):
    with pytest.raises(SettingsError, match=re.escape(words)):
        override(Experiment(), settings.split())
