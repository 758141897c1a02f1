"""Networks that begin with what another one has learnt."""

import shutil
from pathlib import Path

import pytest
import torch

from gammalearn.checkpoint.trained import build_network
from gammalearn.data import EventIndex
from gammalearn.errors import CheckpointError, SettingsError
from gammalearn.settings import Experiment
from gammalearn.settings.reading import override
from gammalearn.tasks import build_tasks
from gammalearn.training import check_initial, load_checkpoint
from gammalearn.training.fine_tuning import begin_with, freeze


@pytest.fixture(scope="module")
def before(train, tmp_path_factory):
    """Mono, of LSTs, with the energy and the direction."""
    folder = tmp_path_factory.mktemp("before")
    return train(folder, tasks={"energy": {}, "direction": {}}, training={"epochs": 1})


@pytest.fixture(scope="module")
def build(files, experiment):
    """Function that builds a new network: itself, its cameras, tasks and settings."""

    def build(**sections):
        made = experiment(**sections)
        index = EventIndex.build(files, made.data)
        tasks = build_tasks(made.tasks)
        return build_network(made, index.cameras, tasks), index.cameras, tasks, made

    return build


def values(network, prefix=""):
    return {k: v.clone() for k, v in network.state_dict().items() if k.startswith(prefix)}


def test_another_array_with_a_new_camera_and_a_new_task(before, build):
    network, cameras, _, made = build(
        data={"telescopes": None, "grouping": "stereo"},
        tasks={"energy": {}, "impact": {}},
    )
    begun = values(network)
    learnt, anew = begin_with(network, cameras, made, before.last)
    assert learnt == [
        "encoders.LSTS-design",
        "place",
        "fusion",
        "heads.energy",
        "image_heads.energy",
    ]
    encoder = anew.pop("encoders.FlashCam")
    assert anew == dict.fromkeys(["heads.impact", "image_heads.impact"], "new")
    trained = load_checkpoint(before.last).network.state_dict()
    of_another_camera = 0
    for name, value in network.state_dict().items():
        known = name.replace("encoders.FlashCam", "encoders.LSTS-design")
        # A weight for each pixel of the last feature map is of no use to another camera.
        is_new = name.startswith(tuple(f"{part}." for part in anew))
        is_new |= name == "encoders.FlashCam.readout.linear.weight" or (
            name.startswith("encoders.FlashCam") and value.shape != trained[known].shape
        )
        assert torch.equal(value, begun[name] if is_new else trained[known]), name
        of_another_camera += name.startswith("encoders.FlashCam") and not is_new
    n_all = sum(name.startswith("encoders.FlashCam") for name in begun)
    assert encoder == f"new, with {of_another_camera} of {n_all} tensors from LSTS-design"
    assert of_another_camera == n_all - 1


def test_a_camera_goes_by_its_pixels(before, build):
    """Files call one camera by several names."""
    _, (camera,), _, made = build()
    other = camera.from_dict({**camera.to_dict(), "name": "LSTCam"})
    network = build_network(made, [other], build_tasks(made.tasks))
    learnt, _ = begin_with(network, [other], made, before.last)
    assert "encoders.LSTCam" in learnt
    trained = load_checkpoint(before.last).network.encoders[camera.name].state_dict()
    for name, value in network.encoders["LSTCam"].state_dict().items():
        assert torch.equal(value, trained[name]), name


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"network": {"widths": [4, 4, 4, 8]}}, "of another shape"),
        ({"data": {"channels": ["charge", "cleaning_mask"]}}, "other data.channels"),
        ({"data": {"charge_scale": "log"}}, "other data.charge_scale"),
    ],
)
def test_an_encoder_that_does_not_fit_begins_anew(before, build, sections, why):
    network, cameras, _, made = build(**sections)
    begun = values(network, "encoders.")
    learnt, anew = begin_with(network, cameras, made, before.last)
    assert anew["encoders.LSTS-design"] == why and "fusion" in learnt
    for name, value in values(network, "encoders.").items():
        assert torch.equal(value, begun[name])


def test_slots_of_other_telescopes_begin_anew(build, train, tmp_path):
    """Weights of a slot belong to its telescope, in whatever order the slots are."""
    network = {"fusion": "concatenation", "telescopes": [1, 2, 3, 4]}
    run = train(tmp_path, network=network, training={"epochs": 1})
    for telescopes, is_same in (([1, 2, 3, 4], True), ([2, 1, 3, 4], False)):
        network, cameras, _, made = build(
            network={"fusion": "concatenation", "telescopes": telescopes}
        )
        learnt, anew = begin_with(network, cameras, made, run.last)
        assert anew == ({} if is_same else {"fusion": "other network.telescopes"})
        assert ("fusion" in learnt) is is_same


def test_what_fits_is_told(before, build, caplog):
    network, cameras, _, made = build(tasks={"energy": {}, "impact": {}})
    with caplog.at_level("INFO", "gammalearn"):
        begin_with(network, cameras, made, before.last)
    (message,) = caplog.messages
    assert f"'{before.last}' gives encoders.LSTS-design, place, fusion, heads.energy" in message
    assert message.endswith("; random weights for heads.impact (new), image_heads.impact (new).")


def test_nothing_fits(before, build):
    network, cameras, _, made = build(network={"embedding": 24}, tasks={"impact": {}})
    with pytest.raises(CheckpointError, match=r"nothing of '.*' fits this network \(enc.* shape"):
        begin_with(network, cameras, made, before.last)


# -- frozen parts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(before, train, tmp_path_factory):
    """Encoders and a head stay, the rest learns a new task."""
    settings = {
        "tasks": {"energy": {}, "impact": {}},
        "network": {"dropout": 0.3},
        "training": {
            "initial": str(before.last),
            "frozen": ["encoders", "heads.energy"],
            "epochs": 2,
            "weight_decay": 0.1,
            "weight_averaging": 0.5,
        },
    }
    return train(tmp_path_factory.mktemp("tuned"), **settings), settings


def test_frozen_parts_stay_as_they_are(before, tuned):
    """Statistics of batch normalisations too, which each forward pass would change."""
    run, _ = tuned
    trained = load_checkpoint(before.last).network.state_dict()
    for path in (run.last, run.checkpoint):
        network = load_checkpoint(path).network.state_dict()
        frozen = [name for name in network if name.startswith(("encoders.", "heads.energy."))]
        assert any("running_var" in name for name in frozen)
        for name in frozen:
            assert torch.equal(network[name], trained[name]), name
        changed = {n.split(".")[0] for n in network if n in trained
                   and not torch.equal(network[n], trained[n])}  # fmt: skip
        assert changed == {"place", "fusion", "image_heads"}
    assert run.summary.network["frozen"] == "encoders, heads.energy"
    assert (
        run.summary.network["starts with random weights"]
        == "heads.impact (new), image_heads.impact (new)"
    )


def test_a_tuned_run_goes_on_without_the_checkpoint_it_began_with(
    before, tuned, train, tmp_path, assert_same_run
):
    whole, settings = tuned
    began_with = Path(shutil.copy(before.last, tmp_path / "before.ckpt"))
    training = {**settings["training"], "initial": str(began_with)}
    train(tmp_path, **{**settings, "training": {**training, "epochs": 1}})
    began_with.unlink()
    again = train(tmp_path, resume=True, **{**settings, "training": training})
    assert_same_run(again, whole)


#: All but the head of a new task.
ALL_BEFORE = ["encoders", "place", "fusion", "heads.energy", "image_heads.energy"]


@pytest.mark.parametrize("frozen", [["encoders"], ALL_BEFORE], ids=["shared", "one task"])
@pytest.mark.parametrize("balancing", ["gradnorm", "pcgrad"])
def test_balancings_of_what_is_left_to_learn(before, train, tmp_path, balancing, frozen):
    """Also where the loss of a task has no gradient any more."""
    training = {"initial": str(before.last), "frozen": frozen, "epochs": 1, "balancing": balancing}
    run = train(tmp_path, tasks={"energy": {}, "impact": {}}, training=training)
    assert run.summary.skipped_steps == 0
    network = load_checkpoint(run.last).network.state_dict()
    trained = load_checkpoint(before.last).network.state_dict()
    for name in trained:
        if name.startswith(tuple(f"{part}." for part in frozen)):
            assert torch.equal(network[name], trained[name]), name


@pytest.mark.parametrize(
    ("frozen", "words"),
    [
        ("encoder", "has no part 'encoder'; its parts are encoders.LSTS-design, place, fusion, "),
        (
            "heads",
            "training.frozen=heads would freeze heads.impact, which starts with random weights",
        ),
        ("heads.impact", "training.frozen=heads.impact would freeze heads.impact"),
    ],
)
def test_parts_that_cannot_be_frozen(before, build, frozen, words):
    sections = {"training": {"initial": str(before.last), "frozen": frozen}}
    _, cameras, tasks, made = build(tasks={"energy": {}, "impact": {}}, **sections)
    with pytest.raises(SettingsError, match=words):
        check_initial(made, cameras, tasks)


def test_something_must_be_left_to_learn(build):
    network, *_ = build(tasks={"energy": {}})
    with pytest.raises(SettingsError, match="leaves nothing to learn"):
        freeze(network, [name for name, _ in network.named_children()])


def test_frozen_parts_must_have_learnt_something():
    with pytest.raises(SettingsError, match="set initial to a checkpoint"):
        override(Experiment(), ["training.frozen=encoders"])
