"""Settings: a Python or a YAML file, one object; mistakes are named by their path."""

import re
import sys

import astropy.units as u
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.errors import SettingsError
from gammalearn.settings import (
    CutSettings,
    DataSettings,
    Experiment,
    load_experiment,
    load_simulation,
    read_simulation,
)

PYTHON = """
from gammalearn.settings import DataSettings, Experiment, TrainingSettings

experiment = Experiment(
    data=DataSettings(train=["a.h5"], test=["b*.h5"], telescopes=["LST", 3], grouping="mono"),
    tasks={"energy": {"weight": 2}, "direction": {}},
    training=TrainingSettings(epochs=3),
)
"""

YAML = """
data:
  train: a.h5
  test: ["b*.h5"]
  telescopes: [LST, 3]
  grouping: mono
tasks:
  energy: {weight: 2}
  direction:
training: {epochs: 3}
"""


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_python_and_yaml_give_the_same_experiment(tmp_path):
    python = load_experiment(write(tmp_path, "e.py", PYTHON))
    assert load_experiment(write(tmp_path, "e.yaml", YAML)) == python
    assert python.tasks["energy"].weight == 2
    assert python.training.epochs == 3


def test_dumped_settings_load_to_the_same_experiment(tmp_path):
    experiment = load_experiment(write(tmp_path, "e.py", PYTHON))
    dumped = write(tmp_path, "dumped.yaml", experiment.to_yaml())
    assert load_experiment(dumped) == experiment
    assert yaml.safe_load(dumped.read_text())["training"]["learning_rate"] == 1e-3


@pytest.mark.parametrize("name", ["lst_mono", "lst_stereo", "lst_separation"])
def test_shipped_experiments_are_short_and_load(name, request):
    path = request.config.rootpath / "experiment_settings" / f"{name}.py"
    assert len(path.read_text().splitlines()) <= 50
    experiment = load_experiment(path)
    assert experiment == Experiment.model_validate(yaml.safe_load(experiment.to_yaml()))


def test_shipped_experiments_share_their_events(request):
    folder = request.config.rootpath / "experiment_settings"
    simulations = [
        load_experiment(folder / f"{name}.py").simulation
        for name in ("lst_mono", "lst_stereo", "lst_separation")
    ]
    assert simulations[0] == simulations[1] == simulations[2]
    assert {(made.output, made.particle) for made in simulations[0]} == {
        (f"data/{part}/{particle}.dl1.h5", particle)
        for part in ("train", "test")
        for particle in ("gamma", "proton")
    }
    assert len({made.seed for made in simulations[0]}) == 4
    assert len({made.run for made in simulations[0]}) == 4


@pytest.mark.parametrize("epochs", [3, 4])
def test_an_experiment_imports_the_files_beside_it(tmp_path, epochs):
    """Those of another folder of the same name are not mistaken for them."""
    path, modules = list(sys.path), set(sys.modules)
    write(tmp_path, "beside_it.py", f"epochs = {epochs}")
    experiment = write(
        tmp_path,
        "e.py",
        "from beside_it import epochs\n"
        "from gammalearn.settings import Experiment\n"
        "experiment = Experiment(training={'epochs': epochs})\n",
    )
    assert load_experiment(experiment).training.epochs == epochs
    assert sys.path == path
    assert "beside_it" not in set(sys.modules) - modules


@pytest.mark.parametrize("value", ["3.5", "{a: 1}", "5"])
def test_what_is_no_list_of_names(value):
    with pytest.raises(SettingsError, match=r"data\.train"):
        Experiment().override([f"data.train={value}"])


def test_a_name_stands_for_a_list_of_one():
    assert DataSettings(train="a.h5", telescopes="LST").telescopes == ["LST"]
    assert CutSettings(image="hillas_intensity > 50").image == ["hillas_intensity > 50"]
    assert list(Experiment(tasks=["energy"]).tasks) == ["energy"]


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("training.epochs=7", "training.epochs", 7),
        ("training.learning_rate=3e-4", "training.learning_rate", 3e-4),
        ("training.learning_rate=1e-3", "training.learning_rate", 1e-3),
        ('data.train=["x.h5","y.h5"]', "data.train", ["x.h5", "y.h5"]),
        ("data.train=one.h5", "data.train", ["one.h5"]),
        ("data.telescopes=null", "data.telescopes", None),
        ("data.cuts.image=hillas_intensity > 50", "data.cuts.image", ["hillas_intensity > 50"]),
        ("tasks.energy.weight=0.5", "tasks.energy.weight", 0.5),
        ("network.channels=[4, 8]", "network.channels", [4, 8]),
        ("simulation=[]", "simulation", []),
        ("evaluation.energy_range=[0.1, 10]", "evaluation.energy_range", (0.1, 10.0)),
    ],
)
def test_overrides(assignment, path, value):
    node = Experiment().override([assignment])
    for part in path.split("."):
        node = node[part] if isinstance(node, dict) else getattr(node, part)
    assert node == value


def test_later_overrides_win_and_the_original_stays():
    experiment = Experiment()
    changed = experiment.override(["training.epochs=2", "training.epochs=3", "tasks=[energy]"])
    assert changed.training.epochs == 3
    assert list(changed.tasks) == ["energy"]
    assert experiment == Experiment()


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("training.epoch=7", "training.epoch: no such setting; did you mean 'epochs'?"),
        ("trainin.epochs=7", "trainin: no such setting; did you mean 'training'?"),
        ("data.cuts.imag=[]", "data.cuts.imag: no such setting; did you mean 'image'?"),
        ("tasks.energy.wight=1", "tasks.energy.wight: no such setting; did you mean 'weight'?"),
        ("training.epochs=many", "training.epochs: Input should be a valid integer"),
        ("training.epochs=0", "training.epochs: Input should be greater than or equal to 1, got 0"),
        ("data.grouping=triple", "data.grouping: Input should be 'mono' or 'stereo', got 'triple'"),
        ("data.channels=[charge, charge]", "data.channels: expected one or more different"),
        ("data.channels=[colour]", "data.channels.0: Input should be 'charge', 'peak_time'"),
        ("tasks=[]", "tasks: expected at least one task"),
        ("network.embedding=100", "network.embedding: Input should be a multiple of 8, got 100"),
        ("evaluation.energy_range=[10, 1]", "evaluation.energy_range: expected two increasing"),
        ("training.epochs", "expected a.b=value"),
        ("training.epochs.much=7", "'training.epochs' has no settings"),
        ("data.train=[a", "the value is not YAML"),
        ("output.algorithm=my net", "output.algorithm: String should match pattern"),
        ("simulation=[{output: a.h5}]", "simulation.0.particle: is needed"),
        ("simulation=[{outptu: a.h5}]", "simulation.0.outptu: no such setting; did you mean 'outp"),
        ("simulation.0.seed=7", "'simulation.0' has no settings"),
    ],
)
def test_mistakes_are_named_by_their_path(assignment, sentence):
    with pytest.raises(SettingsError) as raised:
        Experiment().override([assignment])
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_combinations_that_cannot_work_are_refused():
    with pytest.raises(SettingsError, match="min_multiplicity=2 leaves no event"):
        Experiment().override(["data.grouping=mono", "data.min_multiplicity=2"])
    with pytest.raises(SettingsError, match="backbone='conv4' needs 4 values in channels, got 3"):
        Experiment().override(["network.backbone=conv4", "network.channels=[1, 2, 3]"])


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("e.py", "x = 1", "must define `experiment = Experiment"),
        ("e.py", "experiment = 3", "must define `experiment = Experiment"),
        ("e.py", "x = 1\nraise ValueError('no')", "line 2: ValueError: no"),
        ("e.py", "x = (", "SyntaxError"),
        ("e.py", "import nothing_of_that_name", "line 1: ModuleNotFoundError"),
        (
            "e.py",
            "from gammalearn.settings import *\nexperiment = Experiment(training={'epochs': 0})",
            "training.epochs: Input should be greater than or equal to 1",
        ),
        (
            "e.py",
            "from gammalearn.settings import *\nTrainingSettings(epoch=2)",
            "epoch: no such setting; did you mean 'epochs'?",
        ),
        ("e.yaml", "data: [", "is not YAML (line 1)"),
        ("e.yaml", "just text", "valid dictionary"),
        ("e.yaml", "!!python/object/apply:os.system ['true']", "is not YAML"),
        ("e.toml", "", "must end in .py, .yaml or .yml"),
    ],
)
def test_files_that_are_not_settings(tmp_path, name, text, sentence):
    with pytest.raises(SettingsError) as raised:
        load_experiment(write(tmp_path, name, text))
    assert sentence in str(raised.value)


def test_missing_settings_file(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        load_experiment(tmp_path / "none.py")
    with pytest.raises(SettingsError, match="is a directory"):
        load_experiment(tmp_path)


def test_an_empty_yaml_is_all_defaults(tmp_path):
    assert load_experiment(write(tmp_path, "e.yaml", "")) == Experiment()


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
        ({"index": 2}, "index: Input should be less than or equal to 0"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"particle": "muon"}, "particle: Input should be 'gamma', 'electron' or 'proton'"),
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


def test_a_simulation_of_an_experiment_can_be_overridden():
    experiment = Experiment(simulation=[GAMMAS]).override(
        ["simulation.0.n_showers=7", "simulation.0.energy=[30 GeV, 1 TeV]"]
    )
    (made,) = experiment.simulation
    assert made == simulated(n_showers=7, energy=[0.03, 1])
    with pytest.raises(SettingsError, match=r"'simulation\.1' has no settings"):
        experiment.override(["simulation.1.n_showers=7"])


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"output": "./gamma.dl1.h5", "seed": 2}, "0 and 1 would both become 'gamma.dl1.h5'"),
        ({"output": "more.dl1.h5"}, "0 and 1 are both gamma with seed=1 and run=1"),
    ],
)
def test_simulations_of_an_experiment_differ(other, sentence):
    with pytest.raises(SettingsError, match="simulation: ") as raised:
        Experiment().override([f"simulation={[GAMMAS, GAMMAS | other]}"])
    assert sentence in str(raised.value)
    for different in ({"seed": 2}, {"run": 2}, {"particle": "proton"}):
        Experiment(simulation=[GAMMAS, GAMMAS | {"output": "more.dl1.h5"} | different])


def test_a_simulation_is_read_from_yaml(tmp_path):
    request = {name: value for name, value in GAMMAS.items() if name != "output"}
    path = write(tmp_path, "gamma.simulation.yaml", yaml.safe_dump(request))
    assert load_simulation(path) == simulated(output=tmp_path / "gamma.dl1.h5")
    path = write(tmp_path, "other.yaml", yaml.safe_dump(GAMMAS))
    assert load_simulation(path) == simulated()
    for text, sentence in (("[1]", "valid dictionary"), ("a: [", "not YAML"), ("", "is needed")):
        with pytest.raises(SettingsError, match=sentence):
            load_simulation(write(tmp_path, "bad.yaml", text))
    with pytest.raises(SettingsError, match="does not exist"):
        load_simulation(tmp_path / "none.yaml")


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
        Experiment().override(settings.split())
