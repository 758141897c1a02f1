"""Shipped networks go by their name wherever a checkpoint is taken."""

import shutil
import subprocess
import sys

import pytest
import tables
from ctapipe.core import ToolConfigurationError
from ctapipe.io import EventSource

from gammalearn.checkpoint import export
from gammalearn.checkpoint.trained import build_network, load_checkpoint
from gammalearn.cli import main
from gammalearn.dl2.reconstructor import GammaLearnReconstructor
from gammalearn.errors import CheckpointError
from gammalearn.io.origin import read_origin
from gammalearn.models import find_checkpoint, overview, registry, shipped_networks
from gammalearn.settings import Experiment
from gammalearn.settings.reading import override
from gammalearn.tasks import build_tasks
from gammalearn.training import check_initial
from gammalearn.training.fine_tuning import begin_with

NAME = "lst4-stereo"


def words(text):
    """Lines without the blanks that align them."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_name_stands_for_its_file(shipped, elsewhere):
    assert find_checkpoint(NAME) == shipped
    assert load_checkpoint(NAME).digest == load_checkpoint(shipped).digest


def test_a_file_comes_first(shipped, elsewhere):
    (elsewhere / NAME).mkdir()
    assert find_checkpoint(NAME) == shipped, "a folder of results is no checkpoint"
    (elsewhere / NAME).rmdir()
    (elsewhere / NAME).write_text("mine")
    assert str(find_checkpoint(NAME)) == NAME
    with pytest.raises(CheckpointError, match="damaged or of another kind"):
        load_checkpoint(NAME)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("best.ckpt", "does not exist; give a file such as best.ckpt or a shipped network "
         "(lst1-mono, lst4-stereo)."),
        ("lst4-sterio", "a shipped network (lst1-mono, lst4-stereo); did you mean 'lst4-stereo'?"),
        ("../models/lst4-stereo", "'../models/lst4-stereo' does not exist"),
        (".", "is a directory; give a file"),
        ("", "is a directory; give a file"),
    ],
)  # fmt: skip
def test_neither_file_nor_name(shipped, elsewhere, given, sentence):
    shutil.copy(shipped, shipped.with_name("lst1-mono.ckpt"))
    with pytest.raises(CheckpointError) as refused:
        find_checkpoint(given)
    assert sentence in str(refused.value)


def test_where_none_is_shipped(folder, elsewhere, capsys):
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("No network is shipped with this version")
    with pytest.raises(CheckpointError, match=r"give a file such as best\.ckpt\.$"):
        find_checkpoint(NAME)


# -- what the commands do with it ------------------------------------------------------------------


def test_models(shipped, capsys):
    assert main(["models"]) == 0
    size = f"{shipped.stat().st_size / 1e6:.1f} MB"
    assert words(capsys.readouterr().out) == [
        "network what it is size energy resolution angle of 68 %",
        f"lst4-stereo Stereo, four LSTs {size} 0.281 ± 0.011 0.18 ± 0.006 deg",
        "",
        "`gammalearn info NETWORK` has the model card.",
    ]


def test_models_with_a_wrong_card(shipped, capsys):
    shipped.with_suffix(".yaml").write_text("titel: x")
    assert main(["models"]) == 2
    error = capsys.readouterr().err
    assert "lst4-stereo.yaml" in error and "did you mean 'title'?" in error
    assert error.count("\n") == 1
    shipped.with_suffix(".yaml").unlink()
    with pytest.raises(CheckpointError, match=r"lst4-stereo\.yaml' does not exist"):
        overview()


def test_to_list_them_imports_nothing_slow():
    """A second and more each."""
    code = (
        "import sys; from gammalearn.cli import main; main(['models'])\n"
        "assert not {'torch', 'ctapipe', 'astropy', 'lightning', 'tables'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_info(shipped, elsewhere, capsys):
    assert main(["info", NAME]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for said in (
        "lst4-stereo: Stereo, four LSTs",
        "trained on 4 gamma events: gammas from a point source",
        "simulation 1 3 × gamma over lst4, n_showers=5, energy=[0.1, 1.0]; seeds 1-2, 4, runs 1",
        "training 0.5 h on one core, seed 3, 2025-01-31",
        "1: angular_resolution_68 0.18 ± 0.006 deg",
        "limit 2 It knows no other array.",
        "grouping stereo",
        "epochs 2",
        "lst4-stereo: checkpoint of GammaLearn",
    ):
        assert said in text


@pytest.mark.parametrize("command", [["info"], ["export"], ["slim", "-o", "x.ckpt"]])
def test_a_name_that_is_not_known(shipped, elsewhere, capsys, command):
    assert main([command[0], "lst4-sterio", *command[1:]]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gammalearn: The checkpoint 'lst4-sterio' does not exist")
    assert error.endswith("did you mean 'lst4-stereo'?\n") and error.count("\n") == 1
    assert not list(elsewhere.iterdir())


def test_predict(shipped, checkpoint, dl1, elsewhere):
    """What the training's own checkpoint predicts; a second call keeps what is there."""
    for network, output in ((NAME, "by-name"), (str(checkpoint), "whole")):
        assert main(["predict", network, str(dl1), "-o", output, "-q"]) == 0
    (path,), (whole,) = (elsewhere / "by-name").iterdir(), (elsewhere / "whole").iterdir()
    with tables.open_file(path) as one, tables.open_file(whole) as other:
        for kind in ("energy", "geometry", "particle_type"):
            node = f"/dl2/event/subarray/{kind}/GammaLearn"
            assert one.get_node(node)[:].tobytes() == other.get_node(node)[:].tobytes()
    assert load_checkpoint(shipped).digest == read_origin(path).checkpoint
    before = path.stat().st_mtime_ns
    assert main(["predict", NAME, str(dl1), "-o", "by-name", "-q"]) == 0
    assert path.stat().st_mtime_ns == before


def test_export(shipped, elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(export, "export_onnx", lambda trained, path, overwrite: path)
    assert main(["export", NAME]) == 0
    assert capsys.readouterr().out == "lst4-stereo.onnx\n"


def test_a_training_begins_with_it(shipped, trained, elsewhere):
    experiment = override(trained.experiment, [f"training.initial={NAME}"])
    again = Experiment.model_validate(experiment.model_dump(mode="json"))
    assert experiment.training.initial == again.training.initial == NAME
    tasks = build_tasks(experiment.tasks)
    check_initial(experiment, trained.cameras, tasks)
    network = build_network(experiment, trained.cameras, tasks)
    _, anew = begin_with(network, trained.cameras, experiment, NAME)
    assert anew == {}
    wrong = override(trained.experiment, ["training.initial=lst4-sterio"])
    with pytest.raises(CheckpointError, match="did you mean 'lst4-stereo'"):
        check_initial(wrong, trained.cameras, tasks)


def test_ctapipe_takes_it_by_name(shipped, dl1, elsewhere):
    with EventSource(dl1) as source:
        reconstruct = GammaLearnReconstructor(source.subarray, checkpoint=NAME)
        assert reconstruct.checkpoint == shipped
        event = next(iter(source))
        reconstruct(event)
        assert event.dl2.stereo.energy["GammaLearn"].is_valid
        with pytest.raises(ToolConfigurationError, match="did you mean 'lst4-stereo'"):
            GammaLearnReconstructor(source.subarray, checkpoint="lst4-sterio")


def test_the_shipped_networks_load_as_they_are():
    """Those of the package: of this version, and with their cards."""
    for name in shipped_networks():
        trained = load_checkpoint(name)
        assert trained.experiment.training.seed == registry.card_of(name).training.seed
        assert trained.trained_on.events == registry.card_of(name).events.n_events
