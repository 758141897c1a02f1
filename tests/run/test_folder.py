"""Which folder a run may go on in."""

import pytest
import yaml

from gammalearn.errors import OutputError
from gammalearn.run.folder import check_folder, write_settings
from gammalearn.settings import Experiment, TaskSettings


@pytest.fixture
def experiment():
    return Experiment(
        data={"train": ["gamma.dl1.h5"]}, tasks={"energy": TaskSettings(uncertainty=True)}
    )


@pytest.fixture
def folder(tmp_path, experiment):
    """An interrupted run."""
    write_settings(tmp_path, experiment)
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"weights")
    return tmp_path


def rewrite(folder, change):
    """Change the settings that are written in a folder, by a function."""
    path = folder / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    change(settings)
    path.write_text(yaml.safe_dump(settings))


def test_settings_that_an_earlier_version_did_not_know_are_at_their_defaults(folder, experiment):
    def forget(settings):
        del settings["network"]["condition"], settings["tasks"]["energy"]["classes"]
        del settings["data"]["unlabelled"]

    rewrite(folder, forget)
    check_folder(folder, resume=True, experiment=experiment)


def test_a_setting_that_was_at_its_default_is_compared(folder, experiment):
    rewrite(folder, lambda settings: settings["tasks"]["energy"].pop("uncertainty"))
    with pytest.raises(OutputError, match="tasks.energy.uncertainty was False and is now True"):
        check_folder(folder, resume=True, experiment=experiment)


def test_settings_that_are_no_longer_valid_are_named(folder, experiment):
    rewrite(folder, lambda settings: settings["network"].update(encoder="perceptron"))
    with pytest.raises(OutputError, match="network.encoder was 'perceptron' and is now"):
        check_folder(folder, resume=True, experiment=experiment)
