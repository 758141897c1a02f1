"""Figures, features, network and selection of lenses, against hand values and scikit-learn."""

import numpy as np
import pytest
import tables
import torch
from astropy.table import Table
from numpy.lib.recfunctions import repack_fields
from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve

from gammalearn.checkpoint.trained import TrainedOn
from gammalearn.errors import EmptySelectionError, InputFileError
from gammalearn.settings.surveys import LensEvaluation, LensExperiment
from gammalearn.surveys.catalogue import Catalogue, read_catalogue, write_catalogue
from gammalearn.surveys.checkpoint import TrainedSurveyNetwork
from gammalearn.surveys.galaxies.views import VIEWS, Images
from gammalearn.surveys.lenses.colours import bluest, other_colours, reference_of_colours
from gammalearn.surveys.lenses.evaluation import (
    by_source,
    completeness,
    figures,
    taken_for_lenses,
    threshold_at,
    with_truth,
)
from gammalearn.surveys.lenses.features import LensTrees, features
from gammalearn.surveys.lenses.network import build_network
from gammalearn.surveys.lenses.selection import with_known_type
from gammalearn.surveys.predictions import read_predictions, write_predictions

BANDS = ("g", "r", "i", "z")


@pytest.fixture(scope="module")
def table():
    """300 lenses and 400 others, whose probabilities overlap."""
    rng = np.random.default_rng(1)
    lens = np.arange(700) < 300
    found = Table({"object_id": [f"a{n}" for n in range(700)]})
    found["probability_lens"] = 1 / (1 + np.exp(-rng.normal(np.where(lens, 2, -1.5), 1.2)))
    found["true_type"] = np.where(lens, "lens", np.where(np.arange(700) % 2, "ring", "spiral"))
    found["einstein_radius"] = np.where(lens, rng.uniform(0.8, 2.4, 700), np.nan)
    found["arc_signal_to_noise"] = np.where(lens, rng.uniform(12, 60, 700), np.nan)
    return found


SETTINGS = LensEvaluation(n_bootstrap=4)


def test_the_figures_are_those_of_scikit_learn(table):
    lens, chance = np.asarray(table["true_type"]) == "lens", np.asarray(table["probability_lens"])
    found = figures(table, SETTINGS)
    assert found["auc"].value == pytest.approx(roc_auc_score(lens, chance))
    assert found["accuracy"].value == pytest.approx(accuracy_score(lens, chance > 0.5))
    false, true, _ = roc_curve(lens, chance, drop_intermediate=False)
    for rate, name in ((0.01, "1"), (0.001, "0.1")):
        assert found[f"completeness_at_{name}"].value == true[false <= rate + 1e-12].max()
    # The clear lenses alone, against the same others.
    clear = (np.asarray(table["einstein_radius"]) > 1.4) & (table["arc_signal_to_noise"] > 20)
    taken = ~lens | clear
    false, true, _ = roc_curve(lens[taken], chance[taken], drop_intermediate=False)
    assert found["completeness_of_clear"].value == true[false <= 0.01 + 1e-12].max()
    assert all(figure.error > 0 for figure in found.values())


def test_completeness_by_hand():
    """Of four others one may be above the threshold, and then two of three lenses are."""
    lens = np.array([True, True, True, False, False, False, False])
    chance = np.array([0.9, 0.6, 0.3, 0.8, 0.5, 0.2, 0.1])
    assert threshold_at(lens, chance, 0.25) == 0.5
    assert completeness(lens, chance, 0.25) == pytest.approx(2 / 3)
    assert completeness(lens, chance, 0.1) == pytest.approx(1 / 3)
    assert completeness(lens, chance, 0.5) == 1
    assert np.isnan(completeness(lens[:3], chance[:3], 0.1))
    assert np.isnan(completeness(lens[3:], chance[3:], 0.1))


def test_bins_share_the_threshold_of_all_others(table):
    edges = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    found = by_source(table, "einstein_radius", edges, SETTINGS)
    lens, chance = np.asarray(table["true_type"]) == "lens", np.asarray(table["probability_lens"])
    assert found["n_lenses"].sum() == 300
    cut = np.sort(chance[~lens])[-5]  # 4 of 400 are above it.
    inside = lens & (np.asarray(table["einstein_radius"]) >= 1) & (table["einstein_radius"] < 2)
    assert found["completeness_at_1"][1] == pytest.approx((chance[inside] > cut).mean())
    assert found["n_lenses"][3] == 0
    assert np.isnan(found["completeness_at_1"][3])
    whole = figures(table, SETTINGS)["completeness_at_1"].value
    some = found["n_lenses"] > 0
    mean = np.average(found["completeness_at_1"][some], weights=found["n_lenses"][some])
    assert mean == pytest.approx(whole)


def test_what_is_taken_for_lenses_is_counted_by_type(table):
    found = taken_for_lenses(table, SETTINGS)
    assert list(found) == ["lens", "ring", "spiral"]
    assert found["lens"][0] == 300
    assert found["ring"][1] + found["spiral"][1] == 4
    assert found["ring"][2] + found["spiral"][2] == 0


def test_objects_of_unknown_type_are_left_out(table):
    some = table.copy()
    some["true_type"][:7] = ""
    assert len(with_truth(some)) == 693
    assert len(with_truth(some["object_id", "probability_lens"])) == 0


@pytest.mark.parametrize(
    "column, value",
    [("probability_lens", 1.2), ("einstein_radius", -1), ("probability_lens", np.nan)],
)
def test_impossible_values_of_a_table_are_refused(table, tmp_path, column, value):
    some = table[:5].copy()
    some[column][2] = value
    write_predictions(some, tmp_path / "a.ecsv")
    with pytest.raises(InputFileError, match=f"{column} is .* for the object 'a2'"):
        read_predictions(tmp_path / "a.ecsv")


def galaxies(n=6, arc=0.0):
    """Red galaxies with noise; half of them with a blue spot 8 pixels to the right."""
    rng = np.random.default_rng(2)
    place = np.arange(48) - 23.5
    x, y = np.meshgrid(place, place)
    galaxy = np.exp(-np.hypot(x, y) / 4)
    spot = np.exp(-0.5 * ((x - 8) ** 2 + y**2) / 4)
    colour = np.array([1.0, 3.0, 6.0, 8.0])[:, None, None]
    blue = np.array([1.0, 1.0, 1.0, 1.0])[:, None, None]
    with_arc = (np.arange(n) < n // 2)[:, None, None, None]
    images = colour * galaxy + arc * with_arc * blue * spot
    return (images + 0.05 * rng.standard_normal((n, 4, 48, 48))).astype(np.float32)


def test_nothing_is_left_of_a_galaxy_of_one_colour():
    images = galaxies(arc=1.0)
    left = other_colours(images[:, 0], images[:, 2])
    # Noise of both images, that of i by its part of a sixth.
    expected = 0.05 * np.sqrt(1 + 1 / 36)
    assert left[3:].std() == pytest.approx(expected, rel=0.03)
    # Of the spot, five sixths are left.
    assert left[:3, 23:25, 31:33].mean() == pytest.approx(5 / 6, rel=0.1)


def test_reference_bands():
    assert (reference_of_colours(BANDS), bluest(BANDS)) == (2, 0)
    assert (reference_of_colours("ur"), bluest("ur")) == (1, 0)
    assert (reference_of_colours("iz"), bluest("iz")) == (0, 1)


def test_trees_tell_arcs_by_their_features():
    images = galaxies(60, arc=0.5)
    found = features(images, BANDS, np.zeros(60))
    assert np.isfinite(found).all()
    truth = np.arange(60) < 30
    odd = np.arange(60) % 2 == 1
    chance = LensTrees(found[odd], truth[odd], seed=1).chance(found[~odd])
    assert roc_auc_score(truth[~odd], chance) > 0.99
    with pytest.raises(EmptySelectionError, match="Trees need lenses and other galaxies"):
        LensTrees(found, np.ones(60, dtype=bool), seed=1)


def test_features_of_small_cutouts_are_finite():
    found = features(galaxies()[:, :, 16:-16, 16:-16], BANDS, np.zeros(6))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("n_pixels", [16, 48])
def test_the_network_has_one_output_for_any_size(n_pixels):
    experiment = LensExperiment(network={"width": 4, "blocks": 1})
    seen = {"bands": list(BANDS), "noise": [0.05] * 4, "n_pixels": n_pixels}
    network = build_network(experiment, seen).eval()
    flux = galaxies()[:, :, :n_pixels, :n_pixels]
    output = network({VIEWS: Images.of(flux, np.zeros(6))}, 6)
    assert output["lens"].shape == (6, 1)
    assert torch.isfinite(output["lens"]).all()


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
        ),
    ],
)
def test_outputs_come_back_from_the_device_of_the_network(device):
    torch.manual_seed(1)
    experiment = LensExperiment()
    seen = {"bands": list(BANDS), "n_pixels": 32, "noise": [1.0, 2.0, 3.0, 4.0]}
    network = build_network(experiment, seen).eval()
    flux = np.random.default_rng(1).normal(0, 5, (3, 4, 32, 32))
    images = Images.of(flux, np.array([0.0, 0.1, 0.2]))
    with torch.inference_mode():
        expected = network({VIEWS: images}, 3)
    on_device = network.to(device)
    trained = TrainedSurveyNetwork(on_device, seen, experiment, TrainedOn(), {}, 0, "")
    found = trained.outputs({VIEWS: images}, 3)
    assert found.keys() == expected.keys()
    for name, output in found.items():
        assert output.device.type == "cpu"
        np.testing.assert_allclose(output, expected[name], rtol=1e-3, atol=1e-3)


def test_the_network_subtracts_the_galaxy_as_the_trees_do():
    experiment = LensExperiment(network={"width": 4, "blocks": 1})
    seen = {"bands": list(BANDS), "noise": [0.05] * 4, "n_pixels": 48}
    encoder = build_network(experiment, seen).encoders[VIEWS]
    images = galaxies(arc=1.0)
    left = encoder._other_colours(torch.from_numpy(images))[:, 0] * 0.05
    expected = other_colours(images[:, 0], images[:, 2])
    np.testing.assert_allclose(left.numpy(), expected, atol=1e-4)


def catalogue(kinds, **truth):
    none = np.empty(0)
    names = [f"g{n}" for n in range(len(kinds))]
    return Catalogue.build(
        Table({"object_id": names, "type": kinds, **truth}),
        BANDS,
        *(none.astype(int), none, none.astype(int), none, none),
        cutouts=np.zeros((len(kinds), 4, 16, 16), dtype=np.float32),
        pixel_scale=0.2,
    )


def test_galaxies_without_a_type_are_not_learned_from():
    some = with_known_type(catalogue(["lens", "", "ring"]))
    assert list(some.objects["object_id"]) == ["g0", "g2"]
    assert some.faults == {"galaxies without a type (not learned from)": 1}


def test_catalogues_keep_the_truth_of_arcs_and_forget_what_cannot_be(tmp_path):
    radius, signal = [1.2, -3.0, np.nan], [30.0, np.inf, np.nan]
    some = catalogue(["lens", "lens", "ring"], einstein_radius=radius, arc_signal_to_noise=signal)
    assert some.faults == {"truths of arcs that cannot be (taken as unknown)": 2}
    write_catalogue(some, tmp_path / "a.h5")
    again = read_catalogue(tmp_path / "a.h5").objects
    np.testing.assert_array_equal(again["einstein_radius"], [1.2, np.nan, np.nan])
    np.testing.assert_array_equal(again["arc_signal_to_noise"], [30.0, np.nan, np.nan])


def test_catalogues_of_earlier_versions_have_no_truth_of_arcs(tmp_path):
    write_catalogue(catalogue(["lens", "ring"]), tmp_path / "a.h5")
    with tables.open_file(tmp_path / "a.h5", "a") as file:
        truth = file.root.truth.read()
        file.remove_node("/truth")
        file.create_table("/", "truth", repack_fields(truth[["type", "redshift"]]))
    again = read_catalogue(tmp_path / "a.h5").objects
    assert list(again["type"]) == ["lens", "ring"]
    assert np.isnan(again["einstein_radius"]).all()
