"""Densities, photometry, selection and cut-outs of galaxies, against closed formulas."""

from dataclasses import replace

import numpy as np
import pytest
import tables
from astropy.table import Table
from scipy.stats import kstest, norm

from gammalearn.errors import InputFileError
from gammalearn.settings.surveys import RedshiftEvaluation
from gammalearn.surveys.catalogue import (
    Catalogue,
    join_catalogues,
    read_catalogue,
    write_catalogue,
)
from gammalearn.surveys.cutouts import ArrayCutouts
from gammalearn.surveys.galaxies.photometry import asinh_magnitude, noise
from gammalearn.surveys.galaxies.selection import check_alike, check_cutouts, usable
from gammalearn.surveys.predictions import read_predictions, write_predictions
from gammalearn.surveys.redshifts.density import N_BINS, Bins
from gammalearn.surveys.redshifts.evaluation import by_source, edges_of, figures, ks_of
from gammalearn.surveys.redshifts.photometry import features, measure
from gammalearn.surveys.redshifts.selection import with_known_redshift
from gammalearn.surveys.redshifts.trees import TreesDensity

BINS = Bins(0.45)


def normal(mean, sigma):
    """Normal densities in bins."""
    edges = np.arange(N_BINS + 1) * BINS.width
    return np.diff(norm.cdf(edges, np.atleast_1d(mean)[:, None], sigma), axis=1)


def test_the_crps_of_a_normal_density_is_the_closed_formula():
    """Gneiting & Raftery (2007), eq. 21."""
    sigma, truth = 0.03, np.array([0.2, 0.215, 0.27])
    w = (truth - 0.2) / sigma
    expected = sigma * (w * (2 * norm.cdf(w) - 1) + 2 * norm.pdf(w) - np.pi**-0.5)
    found = BINS.crps(np.repeat(normal(0.2, sigma), 3, axis=0), truth)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_quantiles_and_pit_of_a_normal_density():
    density = normal(0.2, 0.03)
    assert BINS.quantile(density, 0.5)[0] == pytest.approx(0.2, abs=1e-4)
    assert BINS.quantile(density, norm.cdf(1))[0] == pytest.approx(0.23, abs=1e-4)
    assert BINS.below(density, np.array([0.23]))[0] == pytest.approx(norm.cdf(1), abs=1e-3)
    assert BINS.mean(density)[0] == pytest.approx(0.2, abs=1e-6)


def test_a_truth_beyond_the_bins_counts_its_distance():
    density = np.zeros((1, N_BINS))
    density[0, -1] = 1
    at_the_end, beyond = BINS.crps(np.repeat(density, 2, 0), np.array([0.45, 0.55]))
    assert beyond == pytest.approx(at_the_end + 0.1)


def test_the_statistic_is_that_of_scipy():
    pit = np.random.default_rng(1).beta(2, 2, 50)
    assert ks_of(pit) == pytest.approx(kstest(pit, "uniform").statistic)


@pytest.fixture
def table():
    """Errors of 0, 0.1 and -0.02 times 1 + z; two galaxies have a neighbour."""
    truth = np.array([0.1, 0.2, 0.3])
    redshift = truth + np.array([0, 0.1, -0.02]) * (1 + truth)
    found = Table({"object_id": ["a", "b", "c"], "redshift": redshift, "true_redshift": truth})
    found["density"] = normal(redshift, 0.03).astype(np.float32)
    found["density"] /= found["density"].sum(axis=1, keepdims=True)
    found["n_neighbours"] = [0.0, 1.0, 1.0]
    found.meta["zmax"] = BINS.largest
    return found


def test_figures_are_those_of_their_definitions(table):
    found = figures(table, RedshiftEvaluation(n_bootstrap=3))
    assert found["bias"].value == pytest.approx(0.08 / 3)
    # The median error is 0, and the deviations from it are 0, 0.1, 0.02.
    assert found["sigma_mad"].value == pytest.approx(1.4826 * 0.02)
    assert found["eta"].value == pytest.approx(1 / 3)


def test_figures_against_neighbours(table):
    edges = edges_of(np.asarray(table["n_neighbours"]), "n_neighbours")
    found = by_source(table, "n_neighbours", edges, RedshiftEvaluation(n_bootstrap=3))
    assert found["n_objects"].tolist() == [1, 2, 0, 0]
    np.testing.assert_allclose(found["bias"], [np.nan, 0.04, np.nan, np.nan])
    np.testing.assert_allclose(found["eta"], [np.nan, 0.5, np.nan, np.nan])


@pytest.mark.parametrize("name", ["a.ecsv", "a.fits"])
def test_tables_are_read_as_they_were_written(table, tmp_path, name):
    write_predictions(table, tmp_path / name)
    survey, found = read_predictions(tmp_path / name)
    assert survey.name == "redshifts"
    np.testing.assert_array_equal(found["density"], table["density"])


@pytest.mark.parametrize("what", ["negative", "bins", "zmax"])
def test_impossible_densities_are_refused(table, tmp_path, what):
    if what == "negative":
        table["density"][0] *= -1
    if what == "bins":
        table["density"] = np.asarray(table["density"])[:, :90]
    if what == "zmax":
        del table.meta["zmax"]
    write_predictions(table, tmp_path / "a.ecsv")
    words = {"negative": "negative", "bins": "180 bins", "zmax": "does not say where"}[what]
    with pytest.raises(InputFileError, match=words):
        read_predictions(tmp_path / "a.ecsv")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("redshift", np.nan),
        ("redshift_low", -0.1),
        ("true_redshift", 1e9),
        ("signal_to_noise", -1e30),
        ("ellipticity", np.inf),
    ],
)
def test_an_impossible_number_is_named_with_its_galaxy(table, tmp_path, column, value):
    if column not in table.colnames:
        table[column] = 0.5
    table[column][1] = value
    write_predictions(table, tmp_path / "a.ecsv")
    found = f"{column} is {value:g}".replace("+", ".")
    with pytest.raises(InputFileError, match=f"{found} for the object 'b'"):
        read_predictions(tmp_path / "a.ecsv")


def test_a_table_without_redshifts_is_refused(table, tmp_path):
    del table["redshift"]
    write_predictions(table, tmp_path / "a.ecsv")
    with pytest.raises(InputFileError, match="has no column redshift"):
        read_predictions(tmp_path / "a.ecsv")


def test_galaxies_without_a_measurement_are_in_no_bin(table):
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    edges = edges_of(values, "signal_to_noise")
    assert edges[0] == 1
    assert edges[-1] == pytest.approx(4)
    assert np.isfinite(edges_of(np.array([np.nan]), "signal_to_noise")).all()


def picture(flux, sigma, axis_ratio=1.0, noise_of_pixel=0.0, place=(0.0, 0.0)):
    """A Gaussian of 64 x 64 pixels, long along the columns."""
    pixel = np.arange(64) - 31.5
    x, y = pixel - place[0], (pixel - place[1])[:, None] / axis_ratio
    light = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    rng = np.random.default_rng(1)
    return flux * light / light.sum() + rng.normal(0, noise_of_pixel, (64, 64))


def test_photometry_of_a_gaussian():
    """A Gaussian has 1 - exp(-r^2 / 2 s^2) of its light within r, and E = (1 - q^2) / (1 + q^2)."""
    round_one, long_one = picture(1e4, 3.0, 1.0, 1.0), picture(1e4, 3.0, 0.5, 1.0)
    images = np.stack([np.stack([round_one, 2 * round_one]), np.stack([long_one, long_one])])
    found = measure(images, 0)
    np.testing.assert_allclose(noise(images)[:, 0], 1, rtol=0.1)
    within = 1e4 * -np.expm1(-(np.array([2.0, 4.0, 7.0]) ** 2) / 18)
    np.testing.assert_allclose(found.flux[0, 0, :3], within, rtol=0.02)
    colours = features(found, ("g", "r"), np.array([0.0, 0.1]))[:, 0]
    assert colours[0] == pytest.approx(2.5 * np.log10(2), abs=0.01)
    # Reddening is taken away: 3.303 - 2.285 for E(B-V) = 1.
    assert colours[1] == pytest.approx(-0.1 * (3.303 - 2.285), abs=0.01)
    ellipticity = found.columns["ellipticity"]
    assert ellipticity[0] < 0.03
    # The weight of 5 pixels makes 1 / (1/9 + 1/25) and 1 / (4/9 + 1/25) of the variances.
    long, short = 1 / (1 / 9 + 1 / 25), 1 / (4 / 9 + 1 / 25)
    assert ellipticity[1] == pytest.approx((long - short) / (long + short), abs=0.03)


def test_neighbours_are_counted():
    alone = picture(1e4, 2.0, 1.0, 1.0)
    two = alone + picture(3e3, 2.0, 1.0, 0.0, (15, 3)) + picture(3e3, 2.0, 1.0, 0.0, (-10, -18))
    found = measure(np.stack([alone, two])[:, None], 0)
    assert found.columns["n_neighbours"].tolist() == [0, 2]


def test_asinh_magnitudes_of_bright_sources_are_magnitudes():
    bright = asinh_magnitude(np.array([1e4]), np.array([1.0]))[0]
    assert bright == pytest.approx(27.5 - 10, abs=1e-6)
    assert np.isfinite(asinh_magnitude(np.array([-5.0]), np.array([1.0]))[0])


def test_trees_give_the_density_of_their_leaves():
    """Two kinds of galaxies that one feature tells apart."""
    rng = np.random.default_rng(1)
    kind = rng.integers(2, size=200)
    redshift = np.where(kind, 0.3, 0.1) + rng.normal(0, 0.002, 200)
    forest = TreesDensity(kind[:, None].astype(np.float32), redshift, BINS, 1)
    density = forest.density(np.array([[0.0], [1.0]], dtype=np.float32))
    np.testing.assert_allclose(density.sum(axis=1), 1)
    np.testing.assert_allclose(BINS.quantile(density, 0.5), [0.1, 0.3], atol=0.002)


def catalogue(names=("a", "b", "c"), bands=("g", "r"), size=16, **others):
    """Galaxies whose cut-outs hold the number of the galaxy and of the band."""
    none, n = np.empty(0), len(names)
    values = np.arange(n)[:, None] * 10.0 + np.arange(len(bands))
    cutouts = np.broadcast_to(values[..., None, None], (n, len(bands), size, size))
    return Catalogue.build(
        Table({"object_id": list(names), "redshift": [0.1, 0.2, 0.6][:n]}),
        bands,
        *(none.astype(int), none, none.astype(int), none, none),
        cutouts=np.array(cutouts, dtype=np.float32),
        pixel_scale=0.4,
        **others,
    )


def test_cutouts_are_read_object_by_object(tmp_path):
    write_catalogue(catalogue(), tmp_path / "a.h5")
    write_catalogue(catalogue(("d", "e")), tmp_path / "b.h5")
    with tables.open_file(tmp_path / "a.h5") as file:
        assert file.root.cutouts.chunkshape == (1, 2, 16, 16)
    joined = join_catalogues([read_catalogue(tmp_path / name) for name in ("a.h5", "b.h5")])
    assert joined.cutouts.shape == (5, 2, 16, 16)
    found = joined.select(np.array([4, 2])).cutouts.read(np.array([1, 0]))
    assert found[:, 1, 0, 0].tolist() == [21, 11]


def test_stored_cutouts_lose_less_than_a_thousandth(tmp_path):
    good = catalogue()
    values = np.random.default_rng(1).normal(0, 1e5, good.cutouts.shape).astype(np.float32)
    values[0, 0, 0, :2] = np.nan, np.inf
    write_catalogue(replace(good, cutouts=ArrayCutouts(values)), tmp_path / "a.h5")
    np.testing.assert_allclose(read_catalogue(tmp_path / "a.h5").cutouts, values, rtol=1e-3)


def test_missing_bands_and_redshifts_are_counted():
    some = catalogue()
    some.cutouts.values[1, 0] = np.nan
    some.objects["redshift"] = [np.nan, 0.2, 0.6]
    found = usable(some)
    assert list(found.objects["object_id"]) == ["a", "c"]
    assert found.faults == {"galaxies with a band or pixels that are missing (left out)": 1}
    found = with_known_redshift(found, 0.4)
    assert len(found) == 0
    assert list(found.faults.values()) == [1, 1, 1]


def test_bands_are_put_in_the_order_of_the_network():
    found = check_alike(catalogue(), ["r", "g"], 16, 0.4, "x")
    assert found.bands == ("r", "g")
    assert found.cutouts[[2]].read(np.array([0]))[0, :, 0, 0].tolist() == [21, 20]


@pytest.mark.parametrize(
    "some, words",
    [
        (catalogue(size=24), "has cut-outs of 24 x 24 pixels, and the network was made for 16"),
        (catalogue(bands=("g", "K")), "the band 'K' is one that the network does not have"),
        (catalogue(bands=("g", "r", "i")), "'i' is one that the network does not have"),
        (replace(catalogue(), pixel_scale=0.2), "has pixels of 0.2 arcsec"),
        (replace(catalogue(), cutouts=None), "has no cut-outs"),
    ],
)
def test_other_cutouts_than_those_of_the_network_are_refused(some, words):
    with pytest.raises(InputFileError, match=words):
        check_alike(some, ["g", "r"], 16, 0.4, "x")


@pytest.mark.parametrize(
    "some, words",
    [(catalogue(size=20), "a multiple of 8"), (catalogue(bands=("g",)), "colours need two")],
)
def test_cutouts_that_no_network_can_be_made_for_are_refused(some, words):
    with pytest.raises(InputFileError, match=words):
        check_cutouts(some, "x")
