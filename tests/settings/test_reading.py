"""Reading of settings: a Python or a YAML file, one object; mistakes are named by their path."""

import sys

import pytest
import yaml

from gammalearn.errors import SettingsError
from gammalearn.settings import Experiment, SimulationSettings
from gammalearn.settings.reading import load_experiment, load_simulation, override

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

GAMMAS = {"output": "gamma.dl1.h5", "particle": "gamma", "n_showers": 5, "energy": [0.05, 5]}


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
        ("network.widths=[4, 8]", "network.widths", [4, 8]),
        ("simulation=[]", "simulation", []),
        ("evaluation.energy_range=[0.1, 10]", "evaluation.energy_range", (0.1, 10.0)),
    ],
)
def test_overrides(assignment, path, value):
    node = override(Experiment(), [assignment])
    for part in path.split("."):
        node = node[part] if isinstance(node, dict) else getattr(node, part)
    assert node == value


def test_later_overrides_win_and_the_original_stays():
    experiment = Experiment()
    changed = override(experiment, ["training.epochs=2", "training.epochs=3", "tasks=[energy]"])
    assert changed.training.epochs == 3
    assert list(changed.tasks) == ["energy"]
    assert experiment == Experiment()


def test_a_simulation_of_an_experiment_can_be_overridden():
    experiment = override(
        Experiment(simulation=[GAMMAS]),
        ["simulation.0.n_showers=7", "simulation.0.energy=[30 GeV, 1 TeV]"],
    )
    (made,) = experiment.simulation
    assert made == SimulationSettings(**GAMMAS | {"n_showers": 7, "energy": [0.03, 1]})
    with pytest.raises(SettingsError, match=r"'simulation\.1' has no settings"):
        override(experiment, ["simulation.1.n_showers=7"])


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("training.epoch=7", "training.epoch: no such setting; did you mean 'epochs'?"),
        ("trainin.epochs=7", "trainin: no such setting; did you mean 'training'?"),
        ("training.lr=1", "training.lr: no such setting; did you mean 'learning_rate'?"),
        ("training.wd=1", "training.wd: no such setting; did you mean 'weight_decay'?"),
        ("training.xy=1", "training.xy: no such setting; known: "),
        ("data.cuts.imag=[]", "data.cuts.imag: no such setting; did you mean 'image'?"),
        ("tasks.energy.wight=1", "tasks.energy.wight: no such setting; did you mean 'weight'?"),
        ("training.epochs=many", "training.epochs: Input should be a valid integer"),
        ("training.epochs=0", "training.epochs: Input should be greater than or equal to 1, got 0"),
        ("data.grouping=triple", "data.grouping: Input should be 'mono' or 'stereo', got 'triple'"),
        ("data.channels=[charge, charge]", "data.channels: expected different"),
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
        override(Experiment(), [assignment])
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


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


def test_a_simulation_is_read_from_yaml(tmp_path):
    request = {name: value for name, value in GAMMAS.items() if name != "output"}
    path = write(tmp_path, "gamma.simulation.yaml", yaml.safe_dump(request))
    assert load_simulation(path) == SimulationSettings(
        **GAMMAS | {"output": tmp_path / "gamma.dl1.h5"}
    )
    path = write(tmp_path, "other.yaml", yaml.safe_dump(GAMMAS))
    assert load_simulation(path) == SimulationSettings(**GAMMAS)
    for text, sentence in (("[1]", "valid dictionary"), ("a: [", "not YAML"), ("", "is needed")):
        with pytest.raises(SettingsError, match=sentence):
            load_simulation(write(tmp_path, "bad.yaml", text))
    with pytest.raises(SettingsError, match="does not exist"):
        load_simulation(tmp_path / "none.yaml")
