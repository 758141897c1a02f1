"""Boosted trees: hyper-parameters from cross-validation that splits no shower."""

import dataclasses

import numpy as np
import pytest

from gammalearn.baseline import boosting
from gammalearn.baseline.boosting import ENERGY, N_FOLDS, TYPE, boost, folds
from gammalearn.errors import DataError


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setitem(boosting.COMMON, "max_iter", 30)
    monkeypatch.setitem(boosting.COMMON, "learning_rate", 0.2)


@pytest.fixture
def sample():
    """Features, log10 of energies and showers of 5 reuses each."""
    random = np.random.default_rng(0)
    showers = np.repeat(np.arange(60), 5)
    energy = np.repeat(random.normal(0, 0.5, 60), 5)
    features = np.column_stack([energy + random.normal(0, 0.1, 300), random.normal(size=300)])
    features[::7, 1] = np.nan
    return features, energy, showers


@pytest.mark.parametrize("recipe", [ENERGY, TYPE], ids=lambda recipe: recipe.name)
def test_no_shower_is_on_both_sides(sample, recipe):
    _, energy, showers = sample
    target = (showers % 3 == 0).astype(float) if recipe.classifies else energy
    predicted = np.zeros(len(target), dtype=int)
    for others, part in folds(recipe, target, showers):
        assert not set(showers[others]) & set(showers[part])
        assert len(set(target[part])) > 1
        predicted[part] += 1
    assert (predicted == 1).all()


def test_they_learn(sample):
    features, energy, showers = sample
    trees = boost(ENERGY, features, energy, showers, np.ones(300), progress=False)
    assert 0.1 < trees.error < 0.4
    assert trees.n_showers == 60
    assert set(trees.chosen) == set(ENERGY.grid)
    assert np.abs(trees(features) - energy).mean() < np.abs(trees.out_of_fold - energy).mean()
    assert trees(features[:0]).shape == (0,)


def test_what_is_known_by_heart_is_no_merit(sample):
    """Where a feature only tells which shower it is, the other showers say nothing of it."""
    _, energy, showers = sample
    by_heart = np.random.default_rng(1).permutation(60)[showers].astype(float)[:, None]
    trees = boost(ENERGY, by_heart, energy, showers, np.ones(300), progress=False)
    known = np.corrcoef(trees(by_heart), energy)[0, 1]
    foreseen = np.corrcoef(trees.out_of_fold, energy)[0, 1]
    assert known > 0.5 > 0.3 > foreseen


def test_the_better_hyper_parameters_are_chosen(sample):
    features, energy, showers = sample
    recipe = dataclasses.replace(ENERGY, grid={"max_leaf_nodes": [2, 31], "max_iter": [1, 30]})
    trees = boost(recipe, features, energy, showers, np.ones(300), progress=False)
    assert trees.chosen["max_iter"] == 30
    assert "max_iter=30" in trees.describe()[2]


def test_weights_count(sample):
    features, energy, showers = sample
    target = energy + np.where(showers % 2, 1.0, 0.0)
    weights = np.where(showers % 2, 1e3, 1.0)
    plain = boost(ENERGY, features, target, showers, np.ones(300), progress=False)
    weighted = boost(ENERGY, features, target, showers, weights, progress=False)
    assert weighted(features).mean() > plain(features).mean() + 0.2


@pytest.mark.parametrize("recipe", [ENERGY, TYPE], ids=lambda recipe: recipe.name)
def test_too_few_showers_are_refused(sample, recipe):
    features, energy, showers = sample
    target = (showers < N_FOLDS - 1).astype(float) if recipe.classifies else energy
    few = slice(None) if recipe.classifies else showers < N_FOLDS - 1
    with pytest.raises(DataError, match=f"holds 2 shower.*learn the {recipe.name}.*data.train"):
        boost(recipe, features[few], target[few], showers[few], np.ones(300)[few], progress=False)
