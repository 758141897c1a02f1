"""Tasks and encoders of the user's own: they train, and run nowhere but where the user says so."""

import json
import sys

import pytest
import yaml

from gammalearn.cli import main
from gammalearn.run.sweep import Sweep, slurm_script
from gammalearn.settings import own_modules
from gammalearn.settings.reading import load_experiment
from gammalearn.tasks import available_tasks

from ..module_of_a_user import module_of_a_user

pytestmark = pytest.mark.usefixtures("blank_pictures")

EXPERIMENT = """
from gammalearn.settings import Experiment
{beside}

experiment = Experiment(
    imports={imports},
    data={{"train": [{file!r}], "test": [{file!r}]}},
    network={network},
    tasks=["energy", "interaction_height"],
    training={{"epochs": 1, "batch_size": 2, "accelerator": "cpu"}},
)
"""


def gammalearn(*words):
    return main([*map(str, words), "-q"])


@pytest.fixture(scope="module")
def file(data_dir):
    return str(data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, file):
    """An experiment with a task and an encoder in a module beside it, and its run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_module.py").write_text(module_of_a_user())
    (folder / "experiment.py").write_text(
        EXPERIMENT.format(
            beside="",
            imports=["my_module"],
            file=file,
            network={"encoder": "my_module:Brightness", "embedding": 8, "head": 8},
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_modules, "_named", {})
        assert gammalearn(folder / "experiment.py", "-o", folder / "run") == 0
    return folder


@pytest.fixture(autouse=True)
def _another_process(monkeypatch):
    """Nothing has been named yet, as where a command begins, and nothing is left at the end."""
    monkeypatch.setattr(own_modules, "_named", {})
    for name in ("my_module", "experiment"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    # Something may still refer to the classes of a test.
    while own := [t for t in available_tasks().values() if not t.__module__.startswith("gamma")]:
        for task in own:
            del task.name


@pytest.fixture
def checkpoint(folder):
    return folder / "run" / "checkpoints" / "best.ckpt"


def test_settings_and_dl2_have_what_is_the_users_own(folder):
    settings = yaml.safe_load((folder / "run" / "settings.yaml").read_text())
    assert settings["imports"] == ["my_module"]
    assert settings["network"]["encoder"] == "my_module:Brightness"
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["n_events_gamma"] > 0


def test_a_checkpoint_imports_nothing_by_itself(checkpoint, file, tmp_path, capsys, monkeypatch):
    """Not even where Python would find it."""
    monkeypatch.syspath_prepend(checkpoint.parents[2])
    assert gammalearn("predict", checkpoint, file, "-o", tmp_path / "dl2") == 2
    said = capsys.readouterr().err
    assert f"The checkpoint '{checkpoint}' needs your own module" in said
    assert "add --imports my_module" in said
    assert "my_module" not in sys.modules
    assert not (tmp_path / "dl2").exists()


def test_modules_in_use_are_not_the_users_word(checkpoint, tmp_path, capsys):
    """A checkpoint cannot call what is there anyway."""
    import torch

    state = torch.load(checkpoint, weights_only=True)
    settings = yaml.safe_load(state["gammalearn"]["settings"])
    settings["imports"], settings["network"]["encoder"] = ["subprocess"], "subprocess:Popen"
    state["gammalearn"]["settings"] = yaml.safe_dump(settings)
    torch.save(state, tmp_path / "other.ckpt")
    assert gammalearn("info", tmp_path / "other.ckpt") == 2
    assert "add --imports subprocess" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["name", "file"])
def test_a_checkpoint_predicts_with_modules_that_are_named(
    checkpoint, file, folder, tmp_path, monkeypatch, by
):
    if by == "name":
        monkeypatch.chdir(folder)
    word = {"name": "my_module", "file": folder / "my_module.py"}[by]
    words = ("predict", checkpoint, file, "-o", tmp_path / "dl2", "--imports", word)
    assert gammalearn(*words) == 0
    assert len(list((tmp_path / "dl2").iterdir())) == 1


@pytest.mark.parametrize("command", ["info", "slim"])
def test_commands_that_take_a_checkpoint_take_modules(checkpoint, folder, tmp_path, command):
    output = [] if command == "info" else ["-o", tmp_path / f"made.{command}"]
    assert gammalearn(command, checkpoint, *output) == 2
    named = ["--imports", folder / "my_module.py"]
    assert gammalearn(command, checkpoint, *output, *named) == 0


def test_the_settings_of_a_run_run_again_where_modules_are_named(folder, tmp_path, capsys):
    settings = folder / "run" / "settings.yaml"
    assert gammalearn(settings, "-o", tmp_path / "again") == 2
    said = capsys.readouterr().err
    assert f"The settings file '{settings}' needs your own module" in said
    assert "my_module" not in sys.modules
    named = ("--imports", folder / "my_module.py")
    assert gammalearn(settings, "-o", tmp_path / "again", "--fast-dev-run", *named) == 0
    assert (tmp_path / "again" / "settings.yaml").read_text() == settings.read_text()


def test_the_command_line_may_list_only_what_it_names(folder, tmp_path, capsys):
    words = ("--set", "imports=[my_module, this]", "-o", tmp_path / "out")
    assert gammalearn(folder / "experiment.py", *words) == 2
    assert "--set imports needs your own module 'this'" in capsys.readouterr().err


def test_a_class_in_the_experiment_itself_is_of_its_module(tmp_path, file):
    """The list is completed by what the tasks are of."""
    path = tmp_path / "my_experiment.py"
    network = {"encoder": "conv4", "widths": [2] * 4, "backend": "dense", "embedding": 8}
    path.write_text(
        EXPERIMENT.format(beside=module_of_a_user(), imports=[], file=file, network=network)
    )
    assert gammalearn(path, "-o", tmp_path / "out", "--fast-dev-run") == 0
    settings = tmp_path / "out" / "settings.yaml"
    assert yaml.safe_load(settings.read_text())["imports"] == ["my_experiment"]
    own_modules._named.clear()
    checkpoint = next((tmp_path / "out" / "checkpoints").iterdir())
    words = ("predict", checkpoint, file, "-o", tmp_path / "dl2")
    assert gammalearn(*words) == 2
    assert gammalearn(*words, "--imports", path) == 0


def test_a_sweep_hands_modules_on_to_its_runs(folder, tmp_path):
    settings, module = folder / "run" / "settings.yaml", str(folder / "my_module.py")
    sweep = Sweep(settings, ["training.epochs=1,2"], imports=[module])
    assert f"--imports {module}" in slurm_script(sweep, tmp_path)


def test_folders_may_have_modules_of_the_same_name(tmp_path):
    for epochs in (3, 4):
        folder = tmp_path / str(epochs)
        folder.mkdir()
        (folder / "mine.py").write_text(f"epochs = {epochs}")
        (folder / "e.py").write_text(
            "from gammalearn.settings import Experiment\nfrom mine import epochs\n"
            "experiment = Experiment(imports='mine', training={'epochs': epochs})\n"
        )
        assert load_experiment(folder / "e.py").training.epochs == epochs
        assert sys.modules["mine"].epochs == epochs


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        ("", "nothing_there", "there is no module 'nothing_there' in '{folder}'"),
        ("", "nothing_there.py", "the file 'nothing_there.py' does not exist"),
        ("x = 1\n1 / 0", "bad.py", "'bad' cannot be imported: bad.py, line 2: ZeroDivisionError"),
        ("x = 1\nx x", "bad", "cannot be imported: bad.py, line 2: SyntaxError"),
        ("import not_installed", "bad", "bad.py, line 1: ModuleNotFoundError"),
        ("", "yaml.py", "'yaml.py' has the name of another module"),
    ],
)
def test_modules_that_cannot_be_imported(tmp_path, monkeypatch, capsys, code, words, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(code)
    (tmp_path / "yaml.py").write_text("")
    assert gammalearn("info", "lst4-stereo", "--imports", words) == 2
    assert expected.format(folder=tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("imports=[my_module.py]", "expected names of modules, such as my_task"),
        ("imports=['../x']", "expected names of modules, such as my_task"),
        ("network.encoder=other:Net", "is of the module 'other': set imports to [other]"),
        ("network.encoder=my_module:Nothing", "the module 'my_module' has no class 'Nothing'"),
        ("network.encoder=my_module:u", "the module 'my_module' has no class 'u'"),
        ("network.encoder=my_module:InteractionHeight", "an encoder is a torch.nn.Module"),
        ("network.keypoints=2", "an encoder of your own, which decides on its layers"),
        ("network.encoder=gammaphysne", "network.encoder: Input should be 'none'"),
    ],
)
def test_what_cannot_be_an_encoder(folder, tmp_path, capsys, changes, expected):
    words = ("--set", changes, "-o", tmp_path / "out")
    assert gammalearn(folder / "experiment.py", *words) == 2
    assert expected in capsys.readouterr().err


def test_the_plug_in_of_ctapipe_imports_what_its_configuration_names(checkpoint, folder, file):
    from ctapipe.core import ToolConfigurationError
    from ctapipe.instrument import SubarrayDescription

    from gammalearn.dl2.reconstructor import GammaLearnReconstructor

    subarray = SubarrayDescription.from_hdf(file)
    with pytest.raises(ToolConfigurationError, match="needs your own module"):
        GammaLearnReconstructor(subarray, checkpoint=checkpoint)
    named = [str(folder / "my_module.py")]
    GammaLearnReconstructor(subarray, checkpoint=checkpoint, imports=named)
