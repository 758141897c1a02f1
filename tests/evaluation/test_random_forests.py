"""DL2 of ctapipe's random forests, from its own tools, is evaluated and compared as ours is."""

import numpy as np
import pytest
from astropy.table import vstack
from ctapipe.core import run_tool
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import TableLoader
from ctapipe.reco import EnergyRegressor, ParticleClassifier
from ctapipe.tools.apply_models import ApplyModels
from ctapipe.tools.process import ProcessorTool
from traitlets.config import Config

from gammalearn.data import EventIndex
from gammalearn.dl2 import write_dl2
from gammalearn.evaluation import compare, evaluate
from gammalearn.settings import EvaluationSettings, Experiment
from gammalearn.tasks import build_tasks

pytestmark = pytest.mark.usefixtures("blank_pictures")

FOREST = {"n_estimators": 10, "max_depth": 8, "random_state": 0}
FEATURES = ["hillas_intensity", "hillas_width", "hillas_length", "leakage_pixels_width_2"]


def train(model, files, path):
    """A forest for the one telescope type, of all images that have the features."""
    tables = []
    for file in files:
        with TableLoader(file) as loader:
            tables.append(loader.read_telescope_events(dl2=True, simulated=True))
    table = vstack(tables, metadata_conflicts="silent")
    table = table[np.all([np.isfinite(table[name]) for name in FEATURES], axis=0)]
    model.fit(next(iter(model.subarray.telescope_types)), table)
    model.write(path)


@pytest.fixture(scope="module")
def files(simulated_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forests")
    hillas = []
    for dl1 in simulated_files:
        hillas.append(folder / dl1.name.replace(".dl1.", ".hillas."))
        words = [f"--input={dl1}", f"--output={hillas[-1]}", "--write-showers"]
        words += ["--write-parameters", "--no-write-images"]
        run_tool(ProcessorTool(), argv=words, cwd=folder, raises=True)
    subarray = SubarrayDescription.from_hdf(hillas[0])
    config = Config({"QualityQuery": {"quality_criteria": []}})
    common = {"features": FEATURES, "model_config": FOREST, "subarray": subarray, "config": config}
    energy = EnergyRegressor(model_cls="ExtraTreesRegressor", log_target=True, **common)
    train(energy, hillas[:1], folder / "energy.pkl")
    particle_type = ParticleClassifier(model_cls="ExtraTreesClassifier", **common)
    train(particle_type, hillas, folder / "particle.pkl")
    done = []
    for path in hillas:
        done.append(path.with_suffix(".dl2.h5"))
        words = [f"--input={path}", f"--output={done[-1]}"]
        words += [f"--reconstructor={folder / name}.pkl" for name in ("energy", "particle")]
        run_tool(ApplyModels(), argv=words, cwd=folder, raises=True)
    return done


@pytest.fixture(scope="module")
def network(simulated_files, tmp_path_factory):
    """A DL2 file of the same gammas by a network that knows the truth to 20 % and 0.1 deg."""
    folder = tmp_path_factory.mktemp("network")
    experiment = Experiment.model_validate({"data": {"grouping": "stereo"}})
    tasks = build_tasks(experiment.tasks)
    index = EventIndex.build(simulated_files[:1], experiment.data)
    random = np.random.default_rng(0)
    outputs = {
        name: task.truth(index.events) + random.normal(0, 0.1, (len(index), task.n_outputs))
        for name, task in tasks.items()
    }
    path = folder / "gamma.dl2.h5"
    write_dl2(index, tasks, outputs, path, experiment)
    return path


def test_they_are_evaluated(files, tmp_path):
    metrics = evaluate(files, tmp_path, EvaluationSettings())
    assert metrics["algorithm_energy"] == "ExtraTreesRegressor"
    assert metrics["algorithm_direction"] == "HillasReconstructor"
    assert metrics["algorithm_particle_type"] == "ExtraTreesClassifier"
    assert metrics["n_simulated_signal"] == 40
    assert 0 < metrics["n_energy_reconstructed_signal"] <= metrics["n_signal"] <= 40
    # Trees remember what they learnt from.
    assert metrics["auc"] > 0.8
    assert 0 < metrics["energy_resolution"] < 0.4
    assert 0 < metrics["angular_resolution_68"] < 1
    # The mean of telescopes comes with the scatter among them.
    assert metrics["energy_pull_width"] > 0


def test_they_are_compared_with_a_network(files, network, tmp_path):
    found = compare([str(network), str(files[0])], tmp_path, EvaluationSettings(), ["net", "trees"])
    html = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "ExtraTreesRegressor" in html and "GammaLearn" in html
    net, trees = found["sets"]
    assert trees["algorithms"]["energy"] == "ExtraTreesRegressor"
    # The same showers, of which Hillas parameters have their own opinion.
    assert net["n_events"] == net["n_matched"] == trees["n_matched"] == trees["n_events"] > 10
    compared = found["results"]["direction"]["angular_resolution_68"]
    assert compared["net"]["n_events"] == compared["trees"]["n_events"] > 0
    # 0.1 deg in both coordinates, which the Rayleigh distribution's 68 % makes 0.15.
    assert compared["net"]["value"] == pytest.approx(0.151, rel=0.3)
