"""ctapipe's own chain on our DL2 files: from merging to instrument response functions."""

import astropy.units as u
import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import QTable
from ctapipe.core import run_tool
from ctapipe.io import TableLoader
from ctapipe.tools.compute_irf import IrfTool
from ctapipe.tools.merge import MergeTool
from ctapipe.tools.optimize_event_selection import EventSelectionOptimizer
from gammapy.irf import load_irf_dict_from_file
from scipy.optimize import brentq

from gammalearn.checkpoint.trained import add_event_classes
from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict
from gammalearn.settings.reading import read_simulation
from gammalearn.simulation import simulate
from gammalearn.tasks import EventClasses

N_SHOWERS, REUSE, SCATTER = {"gamma": 20, "proton": 80}, 10, 200 * u.m
ENERGY = (0.1, 2.0) * u.TeV

#: Error of the direction (deg, each coordinate) of the two event classes, the worse first.
SIGMA = (0.2, 0.1)

#: Angle that contains 68 % of a normal distribution in two coordinates, and that of both classes
#: together.
CONTAINMENT = np.sqrt(-2 * np.log(1 - 0.68))
OF_BOTH = brentq(lambda r: sum(np.exp(-((r / s) ** 2) / 2) for s in SIGMA) / 2 - 0.32, 0.01, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory, checkpoint):
    """DL2 of simulated gammas from a point and of protons, by what a fair network would say."""
    folder = tmp_path_factory.mktemp("irf")
    dl1 = []
    for particle, spread in (("gamma", {"viewcone": 0, "offset": "0.4 deg"}), ("proton", {})):
        settings = {
            "particle": particle,
            "array": "lst4",
            "n_showers": N_SHOWERS[particle],
            "reuse": REUSE,
            "energy": [str(energy) for energy in ENERGY],
            "scatter": str(SCATTER),
            "run": len(dl1) + 1,
            "viewcone": "2 deg",
            "output": str(folder / f"{particle}.dl1.h5"),
            **spread,
        }
        dl1.append(simulate(read_simulation(settings, "test"), processes=1, progress=False))
    tasks = {
        "particle_type": {},
        "energy": {},
        "direction": {"uncertainty": True, "event_classes": 2},
        "impact": {},
    }
    data = {"grouping": "stereo", "min_multiplicity": 2}
    file = checkpoint(dl1[0], "GammaLearn", tasks=tasks, **data)
    error = np.sqrt(2) * np.repeat(SIGMA, 100)
    add_event_classes(file, EventClasses.fit(None, error, [0.5]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gammalearn.dl2.prediction.predict_outputs", fair_outputs)
        options = RunOptions(progress=False)
        gamma, proton = predict(file, [str(path) for path in dl1], folder / "dl2", options)
    return {"gamma": gamma, "proton": proton}


def fair_outputs(network, tasks, index, *_, **__):
    """The truth with Gaussian errors in place of what the network would say.

    Half of the directions are known to be worse than the others.
    """
    random = np.random.default_rng(0)
    sigma = {name: np.full((len(index), 1), 0.1) for name in tasks}
    sigma["direction"] = random.choice(SIGMA, (len(index), 1))
    outputs = {
        name: task.truth(index.events)
        + sigma[name] * random.normal(0, 1, (len(index), task.n_values))
        for name, task in tasks.items()
        if name != "particle_type"
    }
    outputs["direction"] = np.column_stack([outputs["direction"], np.log(sigma["direction"])])
    is_gamma = np.asarray(index.events["particle"]) == "gamma"
    score = np.where(is_gamma, 2, -2) + random.normal(0, 2, len(index))
    return {**outputs, "particle_type": score[:, None]}


def run(tool, *words):
    run_tool(tool, argv=[str(word) for word in words], raises=True)


@pytest.fixture(scope="module")
def tools(files, pytestconfig):
    """Functions that run ctapipe's two tools, for all events or for those of one event class."""
    config = pytestconfig.rootpath / "docs" / "irf" / "lst4.yaml"
    inputs = ["--gamma-file", files["gamma"], "--proton-file", files["proton"]]

    def words(folder, number):
        values = yaml.safe_load(config.read_text())
        # Bins as wide as so few events ask for; all else is what users have.
        values["DefaultRecoEnergyBins"]["reco_energy_n_bins_per_decade"] = 2
        if number is not None:
            query = values["DL2EventPreprocessor"]["DL2EventQualityQuery"]
            query["quality_criteria"].append(["event class", f"GammaLearn_event_class == {number}"])
        path = folder / f"{number}.yaml"
        path.write_text(yaml.safe_dump(values))
        return ["--config", path, *inputs]

    def optimise(folder, number=None):
        run(EventSelectionOptimizer(), *words(folder, number), "--output", folder / "cuts.fits")
        return folder / "cuts.fits"

    def compute(folder, cuts, number=None):
        output = ["--output", folder / "irf.fits.gz"]
        output += ["--benchmark-output", folder / "benchmarks.fits.gz"]
        run(IrfTool(), *words(folder, number), "--cuts", cuts, *output)

    return optimise, compute


@pytest.fixture(scope="module")
def responses(tools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("responses")
    optimise, compute = tools
    compute(folder, optimise(folder))
    return folder


@pytest.fixture(scope="module")
def by_class(tools, tmp_path_factory):
    """Responses of the two classes, each with its own cuts: these hold the criteria too."""
    optimise, compute = tools
    folders = [tmp_path_factory.mktemp(f"class{number}") for number in (0, 1)]
    for number, folder in enumerate(folders):
        compute(folder, optimise(folder, number), number)
    return folders


def test_merged_files_hold_images_results_and_truth(files, tmp_path):
    merged = tmp_path / "merged.dl2.h5"
    run(MergeTool(), *files.values(), "--output", merged)
    with TableLoader(merged) as loader:
        images = loader.read_telescope_events(dl1_parameters=True, dl2=True, simulated=True)
        events = loader.read_subarray_events(dl2=True, simulated=True)
    assert {"hillas_intensity", "GammaLearn_energy", "true_energy"} <= set(images.colnames)
    assert set(events["true_shower_primary_id"]) == {0, 101}
    known = np.isfinite(events["GammaLearn_energy"])
    error = np.log10(events["GammaLearn_energy"][known] / events["true_energy"][known])
    assert np.std(error) == pytest.approx(0.1, rel=0.2)
    # The logits are 2 ± 2 for gammas and -2 ± 2 for protons.
    for particle, low, high in ((0, 0.5, 1), (101, 0, 0.5)):
        gammaness = events["GammaLearn_prediction"][
            known & (events["true_shower_primary_id"] == particle)
        ]
        assert np.mean((gammaness > low) & (gammaness < high)) == pytest.approx(0.841, abs=0.08)


@pytest.mark.parametrize("number", [None, 0, 1], ids=["all", "class 0", "class 1"])
def test_the_effective_area_is_that_by_hand(files, responses, by_class, number):
    """Selected over simulated gammas, times the area that their cores fell on."""
    if number is not None:
        responses = by_class[number]
    area = QTable.read(responses / "irf.fits.gz", hdu="EFFECTIVE AREA")[0]
    low, high = area["ENERG_LO"], area["ENERG_HI"]
    cuts = QTable.read(responses / "cuts.fits", hdu="GH_CUTS")
    with TableLoader(files["gamma"]) as loader:
        events = loader.read_subarray_events(dl2=True, simulated=True)
        index = loader.read_simulation_configuration()["spectral_index"][0]
    true, reco = (
        events[f"{name}_energy"].quantity.to_value("TeV") for name in ("true", "GammaLearn")
    )
    place = np.clip(np.digitize(reco, cuts["low"].to_value("TeV")) - 1, 0, len(cuts) - 1)
    kept = events["GammaLearn_prediction"] >= cuts["cut"][place]
    if number is not None:
        kept &= events["GammaLearn_event_class"] == number
    with fits.open(responses / "cuts.fits") as hdus:
        # ctapipe 0.32 cuts on the number of telescopes too.
        has_more = "MULTIPLICITY_CUTS" in hdus
    if has_more:
        least = QTable.read(responses / "cuts.fits", hdu="MULTIPLICITY_CUTS")
        np.testing.assert_array_equal(least["low"], cuts["low"])
        kept &= np.count_nonzero(events["GammaLearn_telescopes"], axis=1) >= least["cut"][place]
    edges = np.append(low, high[-1:]).to_value("TeV")
    selected = np.histogram(true[kept], edges)[0]

    thrown = N_SHOWERS["gamma"] * REUSE
    ends = np.clip(edges, *ENERGY.value) ** (index + 1)
    share = np.diff(ends) / np.ptp(ENERGY.value ** (index + 1)) * np.sign(index + 1)
    expected = np.zeros(len(selected))
    filled = selected > 0
    expected[filled] = selected[filled] / (thrown * share[filled])
    expected *= np.pi * SCATTER.to_value("m") ** 2
    assert filled.sum() > 5
    np.testing.assert_allclose(area["EFFAREA"][0].to_value("m2")[filled], expected[filled])


def test_the_angular_resolution_is_what_was_put_in(responses):
    table = QTable.read(responses / "benchmarks.fits.gz", hdu="ANGULAR RESOLUTION")
    angle = float(np.nanmedian(table["ANGULAR_RESOLUTION_68"].filled(np.nan).to_value("deg")))
    assert angle == pytest.approx(OF_BOTH, rel=0.25)


def test_each_class_has_its_own_angular_resolution(by_class):
    for sigma, folder in zip(SIGMA, by_class, strict=True):
        table = QTable.read(folder / "benchmarks.fits.gz", hdu="ANGULAR RESOLUTION")
        angle = np.nanmedian(table["ANGULAR_RESOLUTION_68"].filled(np.nan).to_value("deg"))
        assert angle == pytest.approx(sigma * CONTAINMENT, rel=0.25)


def test_gammapy_opens_the_responses(responses):
    found = load_irf_dict_from_file(responses / "irf.fits.gz")
    assert set(found) == {"aeff", "edisp", "psf", "bkg"}
    at = {"energy_true": 0.3 * u.TeV, "offset": 0.4 * u.deg}
    assert found["aeff"].evaluate(**at).to_value("m2") > 1e4
    # Of the energies that events were simulated at, the angle is that which was put in.
    energy = found["psf"].axes["energy_true"].center
    angle = found["psf"].containment_radius(0.68, energy_true=energy, offset=at["offset"])
    filled = angle > found["psf"].axes["rad"].edges[1]
    assert filled.sum() > 5
    assert np.median(angle[filled]).to_value("deg") == pytest.approx(OF_BOTH, rel=0.25)
