"""Sensitivity with the best cuts, as pyirf finds them; and why there is none."""

import operator

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack
from pyirf.benchmarks import energy_bias_resolution
from pyirf.cut_optimization import optimize_gh_cut
from pyirf.spectral import CRAB_HEGRA

from gammalearn.evaluation import read_events
from gammalearn.evaluation.performance import sensitivity as module
from gammalearn.evaluation.performance.observation import Performance, evaluate_performance
from gammalearn.evaluation.performance.production import read_productions
from gammalearn.evaluation.performance.sensitivity import passes_cuts, sensitivity
from gammalearn.evaluation.performance.weighting import (
    choose_ring,
    weighted_background,
    weighted_gammas,
    why_no_sensitivity,
)
from gammalearn.evaluation.statistics.cuts import Cuts, add_after_cuts
from gammalearn.settings import EvaluationSettings

EDGES = np.geomspace(0.1, 10, 5) * u.TeV
OFFSET = 0.4 * u.deg


def pyirfs_resolution(events, edges):
    return energy_bias_resolution(events, edges, energy_type="true")


def from_a_point(truth):
    """All from 0.4 deg above the pointing."""
    truth["true_alt"], truth["true_az"] = 70.4 * u.deg, 180 * u.deg
    return truth


@pytest.fixture(scope="module")
def files(tmp_path_factory, make_truth, smear, write_dl2):
    """Function that writes gammas from a point and protons from a cone around the pointing."""
    folder = tmp_path_factory.mktemp("sensitivity")

    def make(n_gammas, n_protons, name="all"):
        gammas = smear(from_a_point(make_truth(n_gammas)))
        protons = smear(make_truth(n_protons, particle="proton"), seed=2)
        return [
            write_dl2(folder / f"{name}_gamma.h5", gammas, runs={"max_viewcone_radius": 0.0}),
            write_dl2(folder / f"{name}_proton.h5", protons, runs={}),
        ]

    return make


@pytest.fixture(scope="module")
def weighted(files):
    paths = files(6000, 8000)
    events = read_events(paths)
    found = read_productions(paths, events)
    productions, lacking = found.known, found.lacking
    assert why_no_sensitivity(events, productions, lacking) is None
    ring = choose_ring(events[events["particle"] == "gamma"], productions)
    gammas, background = (
        make(events, productions) for make in (weighted_gammas, weighted_background)
    )
    return gammas, background, ring, events


def test_weights_are_what_the_source_brings(weighted):
    """A shower of energy E stands for Φ(E) A t / (dN/dE) of the source's gammas."""
    gammas, _, _, events = weighted
    energy = events["true_energy"][events["particle"] == "gamma"][:50]
    # 10 000 showers of E⁻² between 0.05 and 20 TeV on a circle of 500 m.
    simulated = 10_000 / (1 / 0.05 - 1 / 20) / energy.value**2 / u.TeV
    expected = CRAB_HEGRA(energy) * 50 * u.h * np.pi * (500 * u.m) ** 2 / simulated
    np.testing.assert_allclose(gammas["weight"][:50], expected.to_value(u.one))


def test_the_ring_is_about_the_source(weighted):
    ring = weighted[2]
    assert ring.low == 0 * u.deg
    assert ring.high.to_value("deg") == pytest.approx(0.9)


def test_the_best_cuts_are_those_of_pyirf(weighted):
    gammas, background, ring, _ = weighted
    # Scores that no cut tells apart so well that no background is left.
    random = np.random.default_rng(0)
    gammas, background = gammas.copy(), background.copy()
    gammas["gh_score"] = np.sqrt(random.uniform(size=len(gammas)))
    background["gh_score"] = random.uniform(size=len(background))
    table = sensitivity(gammas, background, EDGES, ring).table
    best, cuts = optimize_gh_cut(
        gammas,
        background,
        EDGES,
        module.EFFICIENCIES,
        module._cut_on_angle(gammas, EDGES),
        op=operator.ge,
        fov_offset_min=ring.low,
        fov_offset_max=ring.high,
        alpha=module.ALPHA,
        progress=False,
    )
    np.testing.assert_allclose(table["gamma_efficiency"], cuts["efficiency"])
    np.testing.assert_allclose(table["gammaness_cut"], cuts["cut"])
    np.testing.assert_allclose(table["relative_sensitivity"], best["relative_sensitivity"])
    np.testing.assert_allclose(
        table["expected_background"],
        module.ALPHA * u.Quantity(best["n_background_weighted"]).value,
    )
    centre = table["reco_energy_center"]
    expected = table["relative_sensitivity"] * (centre**2 * CRAB_HEGRA(centre))
    np.testing.assert_allclose(table["flux_sensitivity"].value, expected.to_value("TeV / (cm2 s)"))


def test_cuts_that_leave_too_little_are_not_taken(weighted):
    """The protons' gammaness is that of gammas turned around: the hardest cut would be the best."""
    gammas, background, ring, _ = weighted
    table = sensitivity(gammas, background, EDGES, ring).table
    known = np.isfinite(table["relative_sensitivity"])
    assert known.any()
    for name in ("n_events", "n_background"):
        assert np.all(table[name][known] >= 10)
        assert np.all(table[name][~known] == 0)
    assert np.all(table["flux_sensitivity_error"][known] > 0)
    few = sensitivity(gammas[:5], background[:5], EDGES, ring)
    assert np.all(np.isnan(few.table["relative_sensitivity"]))
    assert few.best is None and not few.is_known.any()


def test_errors_are_the_scatter_of_productions(weighted):
    """Of 12 halves, drawn at random, √2 times the error of the whole."""
    gammas, background, ring, _ = weighted
    random = np.random.default_rng(0)
    edges = [0.3, 3] * u.TeV
    found, errors = [], []
    for _ in range(12):
        halves = [
            table[random.permutation(len(table))[: len(table) // 2]] for table in weighted[:2]
        ]
        table = sensitivity(*halves, edges, ring).table
        found.append(table["flux_sensitivity"][0].value)
        errors.append(table["flux_sensitivity_error"][0].value)
    table = sensitivity(gammas, background, edges, ring).table
    whole = table["flux_sensitivity_error"][0].value
    assert np.median(errors) == pytest.approx(np.sqrt(2) * whole, rel=0.35)
    # Halves of one whole scatter as halves of the population do, less what they share.
    assert np.std(found) < 3 * np.median(errors)


def test_cuts_select_events(weighted):
    gammas, background, ring, events = weighted
    found = sensitivity(gammas, background, EDGES, ring)
    kept = events[passes_cuts(events, found.cuts) & (events["particle"] == "gamma")]
    assert len(kept) == found.table["n_events"].sum()
    best = np.nanmin(found.table["relative_sensitivity"])
    assert found.best == best and np.isfinite(best)


def test_cuts_are_those_of_the_bin_of_an_event():
    cuts = Cuts([0.1, 1, 10] * u.TeV, np.array([0.5, np.nan]), [0.1, np.nan] * u.deg)
    events = QTable(
        {
            "reco_energy": [0.05, 0.1, 0.5, 1, 10, np.nan] * u.TeV,
            "true_energy": [0.1, 0.2, 0.3, 2, 3, 4] * u.TeV,
            "gammaness": [0.9, 0.5, 0.4, 0.9, 0.9, 0.9],
        }
    )
    nan = np.nan
    np.testing.assert_array_equal(cuts.gammaness_at(events), [nan, 0.5, 0.5, nan, nan, nan])
    np.testing.assert_array_equal(
        cuts.theta_at(events).to_value("arcmin").round(9), [nan, 6, 6, nan, nan, nan]
    )
    assert cuts.pass_gammaness(events).tolist() == [False, True, False, False, False, False]
    # Of three events between 0.1 and 1 TeV one has no cut, of the others none has one.
    assert cuts.lacking(events, [0.01, 0.1, 1, 10] * u.TeV).tolist() == [False, True, True]
    assert cuts.lacking(events[1:3], [0.1, 1] * u.TeV).tolist() == [False]


def test_without_cuts_there_is_no_effective_area_by_them(files):
    """It is not 0 there, and not what the gammas that stray to energies with cuts leave of it."""
    paths = files(3000, 4000, "area")
    events = read_events(paths)
    findings = evaluate_performance(paths, events, "gamma", EvaluationSettings())
    area, cuts = (result.table for result in findings.results)
    limits = [
        (low.value, high.value)
        for low, high, cut in cuts["reco_energy_low", "reco_energy_high", "gammaness_cut"]
        if np.isfinite(cut)
    ]
    some = 0
    for row in area[area["n_reconstructed"] > 0]:
        gammas = events[
            (events["particle"] == "gamma")
            & (events["true_energy"] >= row["true_energy_low"])
            & (events["true_energy"] < row["true_energy_high"])
        ]
        energies = gammas["reco_energy"].value
        without = np.mean([not any(low <= e < high for low, high in limits) for e in energies])
        known = np.isfinite(row["effective_area_selected"])
        assert known == (without <= 0.1)
        some += without > 0.1
    assert 0 < some < np.sum(area["n_reconstructed"] > 0)
    assert "There is none by the cuts where more than 10 %" in findings.results[0].caption


@pytest.mark.parametrize("electrons", [False, True])
def test_spectra_and_conditions_stand_with_the_result(
    files, tmp_path, make_truth, smear, write_dl2, electrons
):
    """In the table and the caption, with what the background lacks."""
    paths = files(6000, 8000, f"spectra_{electrons}")
    if electrons:
        truth = make_truth(500, seed=9, particle="electron")
        paths.append(write_dl2(tmp_path / "electron.h5", smear(truth), runs={}))
    findings = evaluate_performance(paths, read_events(paths), "gamma", EvaluationSettings())
    result = next(result for result in findings.results if result.name == "sensitivity")
    result.table.write(tmp_path / "table.ecsv")
    meta = QTable.read(tmp_path / "table.ecsv").meta
    conditions = {
        "obs_time_h": 50,
        "min_significance": 5,
        "min_gammas": 10,
        "min_gammas_by_background": 0.05,
        "alpha": 0.2,
        "theta_limits_deg": [0.02, 0.4],
    }
    assert {name: meta[name] for name in conditions} == conditions
    assert "HEGRA" in meta["source_spectrum"]
    missing = [] if electrons else ["electrons"]
    assert sorted(meta["background_spectra"]) == ["electron"] * electrons + ["proton"]
    assert meta["background_missing"] == [*missing, "helium and heavier nuclei"]
    for words in (
        "in 50 h with 5 σ (Li & Ma, α = 0.2), 10 gammas and 5 % of the background",
        "contains 68 % of the gammas and lies between 0.02 and 0.4 deg",
        "gammas: Crab Nebula of HEGRA",
        f"Missing in the background: {', '.join([*missing, 'helium and heavier nuclei'])}.",
    ):
        assert words in result.caption


def test_resolutions_are_given_after_the_cuts_on_gammaness_too(weighted, files):
    """As if all events that these cuts do not leave had not been there."""
    gammas, background, ring, events = weighted
    edges = np.geomspace(0.1, 10, 9) * u.TeV
    found = sensitivity(gammas, background, edges, ring)
    mine = events[events["particle"] == "gamma"]
    measured = pyirfs_resolution(mine, edges)
    table = measured.copy()
    add_after_cuts(table, mine, found.cuts, edges, lambda kept: pyirfs_resolution(kept, edges))
    for name in measured.colnames:
        np.testing.assert_array_equal(table[name], measured[name])
    cut = np.full(len(mine), np.nan)
    for row in found.table:
        inside = (mine["reco_energy"] >= row["reco_energy_low"]) & (
            mine["reco_energy"] < row["reco_energy_high"]
        )
        cut[inside] = row["gammaness_cut"]
    expected = pyirfs_resolution(mine[mine["gammaness"] >= cut], edges)
    np.testing.assert_array_equal(table["n_selected"], expected["n_events"])
    known = np.isfinite(table["resolution_selected"])
    assert 0 < known.sum() < len(table)
    for name in ("bias", "resolution"):
        np.testing.assert_array_equal(table[f"{name}_selected"][known], expected[name][known])


def test_cuts_of_gammas_are_for_gammas_and_whole_events(weighted):
    gammas, background, ring, events = weighted
    found = Performance({}, sensitivity=sensitivity(gammas, background, EDGES, ring))
    assert found.gammaness_cuts(events, "gamma") is found.sensitivity.cuts
    assert found.gammaness_cuts(events, "proton") is None
    assert Performance({}).gammaness_cuts(events, "gamma") is None
    images = events[:1]
    images.meta = {**events.meta, "level": "telescope"}
    assert found.gammaness_cuts(images, "gamma") is None


def test_a_small_production_says_why_there_is_none(files):
    paths = files(12, 8, "small")
    findings = evaluate_performance(paths, read_events(paths), "gamma", EvaluationSettings())
    assert [result.name for result in findings.results] == ["effective_area"]
    assert findings.metrics == {"best_relative_sensitivity": None, "n_simulated_signal": 10_000}
    (warning,) = findings.warnings
    assert "no energy bin has 10 gammas and 10 background events left by cuts" in warning
    assert "of 12 reconstructed gammas" in warning and "simulate more" in warning


def test_a_source_beyond_the_background(tmp_path, make_truth, smear, write_dl2):
    """More showers of the same cone would not help."""
    truth = make_truth(50)
    truth["true_alt"], truth["true_az"] = 73 * u.deg, 180 * u.deg
    protons = smear(make_truth(50, particle="proton"))
    paths = [
        write_dl2(tmp_path / "gamma.h5", smear(truth), runs={"max_viewcone_radius": 0.0}),
        write_dl2(tmp_path / "proton.h5", protons, runs={}),
    ]
    findings = evaluate_performance(paths, read_events(paths), "gamma", EvaluationSettings())
    assert findings.warnings == [
        "There is no sensitivity: the gammas come from 3 deg from the pointing, and the cone of "
        "the background of 2 deg does not reach there."
    ]


def test_diffuse_gammas_are_a_source_everywhere_in_turn(tmp_path, make_truth, smear, write_dl2):
    gammas = smear(make_truth(3000))
    protons = smear(make_truth(3000, particle="proton"), seed=2)
    paths = [
        write_dl2(tmp_path / "gamma.h5", gammas, runs={"max_viewcone_radius": 2.0}),
        write_dl2(tmp_path / "proton.h5", protons, runs={"max_viewcone_radius": 2.0}),
    ]
    events = read_events(paths)
    productions = read_productions(paths, events).known
    ring = choose_ring(events[events["particle"] == "gamma"], productions)
    assert ring.low.value < 0.1 and ring.high.to_value("deg") == pytest.approx(2, abs=0.02)
    weights = weighted_gammas(events, productions)["weight"]
    # As those of a point with the same showers: directions do not matter to the number.
    paths[0] = write_dl2(
        tmp_path / "point.h5",
        smear(from_a_point(make_truth(3000))),
        runs={"max_viewcone_radius": 0},
    )
    events = read_events(paths)
    productions = read_productions(paths, events).known
    np.testing.assert_allclose(weighted_gammas(events, productions)["weight"], weights)


def test_images_of_an_event_count_once(tmp_path, make_truth, smear, write_dl2):
    """Mono results are the means of an event's telescopes."""
    images = smear(make_truth(20))
    for name in ("event_id", "true_energy", "true_alt", "true_az"):
        images[name] = np.repeat(images[name][::2], 2)
    images["tel_id"] = np.array([1, 2] * 10)
    path = write_dl2(tmp_path / "a.h5", images, level="telescope", runs={})
    events = read_events([path])
    assert len(events) == 20
    findings = evaluate_performance([path], events, "gamma", EvaluationSettings())
    (area,) = (result.table for result in findings.results)
    assert area["n_triggered"].sum() == area["n_reconstructed"].sum() == 10


@pytest.mark.parametrize(
    ("particles", "options", "why"),
    [
        (["gamma"], {"runs": {}}, "there are no protons to be the background"),
        (["proton"], {"runs": {}}, "there are no gammas"),
        (["gamma", "proton"], {}, "does not tell how its gammas were simulated"),
        (
            ["gamma", "proton"],
            {"runs": {"max_viewcone_radius": 0}},
            "the protons come from one direction",
        ),
        (
            ["gamma", "proton"],
            {"runs": {}, "quantities": ["energy", "particle_type"]},
            "there is no reconstructed direction",
        ),
    ],
)
def test_what_is_lacking_is_said(tmp_path, make_truth, smear, write_dl2, particles, options, why):
    truth = vstack([make_truth(20, particle=particle) for particle in particles])
    path = write_dl2(tmp_path / "a.h5", smear(truth), **options)
    findings = evaluate_performance([path], read_events([path]), "gamma", EvaluationSettings())
    assert any("There is no sensitivity: " in w and why in w for w in findings.warnings)
