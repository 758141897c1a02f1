"""ctapipe's own chain on our DL2 files: from merging to instrument response functions."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from ctapipe.core import run_tool
from ctapipe.io import TableLoader
from ctapipe.tools.compute_irf import IrfTool
from ctapipe.tools.merge import MergeTool
from ctapipe.tools.optimize_event_selection import EventSelectionOptimizer
from gammapy.irf import load_irf_dict_from_file

from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict
from gammalearn.settings.reading import read_simulation
from gammalearn.simulation import simulate

N_SHOWERS, REUSE, SCATTER = {"gamma": 20, "proton": 80}, 10, 200 * u.m
ENERGY = (0.1, 2.0) * u.TeV


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
    file = checkpoint(dl1[0], "GammaLearn", grouping="stereo", min_multiplicity=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gammalearn.dl2.prediction.predict_outputs", fair_outputs)
        options = RunOptions(progress=False)
        gamma, proton = predict(file, [str(path) for path in dl1], folder / "dl2", options)
    return {"gamma": gamma, "proton": proton}


def fair_outputs(network, tasks, index, *_, **__):
    """The truth with Gaussian errors in place of what the network would say."""
    random = np.random.default_rng(0)
    outputs = {
        name: task.truth(index.events) + random.normal(0, 0.1, (len(index), task.n_outputs))
        for name, task in tasks.items()
    }
    is_gamma = np.asarray(index.events["particle"]) == "gamma"
    score = np.where(is_gamma, 2, -2) + random.normal(0, 2, len(index))
    return {**outputs, "particle_type": score[:, None]}


def run(tool, *words):
    run_tool(tool, argv=[str(word) for word in words], raises=True)


@pytest.fixture(scope="module")
def responses(files, tmp_path_factory, pytestconfig):
    folder = tmp_path_factory.mktemp("responses")
    inputs = ["--gamma-file", files["gamma"], "--proton-file", files["proton"]]
    # Bins as wide as so few events ask for; all else is what users have.
    shipped = ["--config", pytestconfig.rootpath / "docs" / "irf" / "lst4.yaml"]
    shipped += ["--DefaultRecoEnergyBins.reco_energy_n_bins_per_decade=2"]
    cuts, response = folder / "cuts.fits", folder / "irf.fits.gz"
    run(EventSelectionOptimizer(), *shipped, *inputs, "--output", cuts)
    output = ["--output", response, "--benchmark-output", folder / "benchmarks.fits.gz"]
    run(IrfTool(), *shipped, *inputs, "--cuts", cuts, *output)
    return folder


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


def test_the_effective_area_is_that_by_hand(files, responses):
    """Selected over simulated gammas, times the area that their cores fell on."""
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
    # 68 % of events with a Gaussian error of 0.1 deg in both directions.
    angle = float(np.nanmedian(table["ANGULAR_RESOLUTION_68"].filled(np.nan).to_value("deg")))
    assert angle == pytest.approx(0.151, rel=0.25)


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
    assert np.median(angle[filled]).to_value("deg") == pytest.approx(0.151, rel=0.25)
