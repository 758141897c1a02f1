"""A network of the user's own parts: trained, kept, read again and used, from a notebook."""

import sys

import astropy.units as u
import numpy as np
import pytest

import gammalearn
from gammalearn.errors import OutputError, SettingsError, UnnamedModuleError
from gammalearn.settings import own_modules

from ..module_of_a_user import module_of_a_user


@pytest.fixture(autouse=True)
def _another_process(monkeypatch):
    """Nothing has been named yet, as where a notebook begins."""
    monkeypatch.setattr(own_modules, "_named", {})
    monkeypatch.delitem(sys.modules, "api_module", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "api_module.py").write_text(module_of_a_user("api_interaction_height"))
    return folder


@pytest.fixture(scope="module")
def experiment(data_dir):
    return gammalearn.Experiment(
        imports=["api_module"],
        data={"train": [str(data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5")]},
        network={"encoder": "api_module:Brightness", "embedding": 8, "head": 8},
        tasks=["energy", "api_interaction_height"],
        training={"epochs": 1, "batch_size": 2, "accelerator": "cpu"},
    )


@pytest.fixture(scope="module")
def trained(folder, experiment):
    """The network, as it comes from the training; its test files are not needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(own_modules, "_named", {})
        return gammalearn.train(experiment, folder / "run", progress=False)


def test_a_training_gives_a_network(trained, folder):
    assert set(trained.tasks) == {"energy", "api_interaction_height"}
    assert trained.path.parent == folder / "run" / "checkpoints"
    assert type(trained.module).__name__ == "ReconstructionNetwork"
    assert not (folder / "run" / "dl2").exists()


def test_what_is_the_users_own_is_read_again_and_used(trained, folder, data_dir):
    with pytest.raises(UnnamedModuleError, match="api_module"):
        gammalearn.load(trained.path)
    assert "api_module" not in sys.modules
    network = gammalearn.load(trained.path, imports=[folder / "api_module.py"])
    assert any(type(part).__name__ == "Brightness" for part in network.module.modules())
    path = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    events, again = (n.predict(path, progress=False) for n in (trained, network))
    assert events["reco_h_first_int"].unit == u.km
    assert np.all(np.isfinite(events["reco_h_first_int"])) and len(events) > 0
    for name in ("reco_energy", "reco_h_first_int"):
        np.testing.assert_array_equal(events[name], again[name])
    assert "reco_alt" not in events.colnames


def test_what_cannot_be_trained(experiment, folder, trained, monkeypatch):
    with pytest.raises(SettingsError, match="give output, such as"):
        gammalearn.train(experiment)
    with pytest.raises(SettingsError, match="expected an Experiment, got str"):
        gammalearn.train("experiment.py")
    monkeypatch.chdir(folder)
    with pytest.raises(OutputError, match="exists"):
        gammalearn.train(experiment, folder / "run")
