"""The range test of the step size."""

import itertools

import numpy as np
import pytest
import torch
from astropy.table import QTable
from torch import nn

from gammalearn.data import EventIndex
from gammalearn.errors import SettingsError
from gammalearn.nn import IndexedBatchNorm
from gammalearn.tasks import build_tasks
from gammalearn.training.module import DIVERGED_STEPS
from gammalearn.training.range_test import (
    draw_range_test,
    range_test,
    smoothed,
    suggest_learning_rate,
)


@pytest.fixture
def run(experiment, files):
    """Function that tests step sizes on the few images of the test data."""

    def run(n_processes=1, **options):
        made = experiment(**options.pop("sections", {}))
        index = EventIndex.build(files, made.data)
        return range_test(
            made, index, build_tasks(made.tasks), n_processes, progress=False, **options
        )

    return run


def test_mean_by_hand():
    means = smoothed([3.0, 1.0, 2.0])
    np.testing.assert_allclose(
        means, [3, (0.95 * 3 + 1) / 1.95, (0.95**2 * 3 + 0.95 + 2) / (0.95**2 + 1.95)]
    )


def test_the_steepest_place_is_suggested():
    """A loss that falls as a logistic function around 2e-3, and rises from 0.1 on."""
    sizes = np.geomspace(1e-6, 1, 200)
    fall = 1 / (1 + (sizes / 2e-3) ** 2)
    means = fall + np.where(sizes > 0.1, sizes * 100, 0)
    assert suggest_learning_rate(sizes, means) == pytest.approx(2e-3, rel=0.1)
    # What is no number is no minimum.
    means[sizes > 0.2] = np.nan
    assert suggest_learning_rate(sizes, means) == pytest.approx(2e-3, rel=0.1)


@pytest.mark.parametrize(("devices", "expected"), [([3, 1], [3]), (4, 1), ("auto", 1)])
def test_trains_on_one_of_the_devices(run, monkeypatch, devices, expected):
    asked = []

    def make_trainer(settings, **_):
        asked.append(settings.devices)
        raise SettingsError("as far as this looks")

    monkeypatch.setitem(range_test.__globals__, "make_trainer", make_trainer)
    with pytest.raises(SettingsError, match="as far"):
        run(sections={"training": {"devices": devices}})
    assert asked == [expected]


@pytest.mark.parametrize("means", [np.linspace(1, 2, 50), np.full(50, np.nan), [3.0, 2.0]])
def test_a_loss_that_does_not_fall_suggests_nothing(means):
    assert suggest_learning_rate(np.geomspace(1e-6, 1, len(means)), means) is None


def test_step_sizes_grow_at_equal_ratios(run):
    table = run(lowest=1e-5, highest=1e-3, n_steps=12)
    np.testing.assert_allclose(table["learning_rate"], np.geomspace(1e-5, 1e-3, 12))
    assert np.isfinite(table["loss"]).all()
    np.testing.assert_allclose(table["mean_loss"], smoothed(table["loss"]))


def test_ends_when_the_loss_has_risen(run):
    table = run(lowest=1e-5, highest=1e5, n_steps=60)
    assert 12 < len(table) < 60
    assert table["learning_rate"][-1] > 1e-2
    assert table["mean_loss"][-1] > 2 * table["mean_loss"].min()
    assert draw_range_test(table).axes


def test_schedules_and_validation_have_no_part(run):
    section = {"schedule": "one_cycle", "early_stopping": 1, "weight_averaging": 0.9}
    table = run(lowest=1e-5, highest=1e-4, n_steps=5, sections={"training": section})
    np.testing.assert_allclose(table["learning_rate"], np.geomspace(1e-5, 1e-4, 5))


def test_several_processes_are_several_batches(run, monkeypatch):
    """The loss of a step is that of all its events, here of the same in one batch or in two."""
    # Statistics of batch normalisations are of each batch.
    frozen = property(lambda self: False, lambda self, training: None)
    monkeypatch.setattr(IndexedBatchNorm, "training", frozen, raising=False)
    data = {"validation_fraction": 0.0, "telescopes": None, "grouping": "stereo"}
    sections = {"data": data, "tasks": {"particle_type": {}}}
    tiny = {"lowest": 1e-30, "highest": 1e-29, "n_steps": 2}
    one, two = (
        run(n, sections={**sections, "training": {"batch_size": size}}, **tiny)["loss"]
        for n, size in ((1, 10), (2, 5))
    )
    np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.parametrize(("precision", "n_steps"), [("16-mixed", 8), ("32-true", 3)])
def test_ends_where_it_diverges(run, monkeypatch, precision, n_steps):
    """Half precision leaves out steps, three here, while it looks for its scale; else it ends."""
    lengths = itertools.chain([np.inf] * 3, itertools.repeat(1.0))
    monkeypatch.setattr(
        nn.utils, "get_total_norm", lambda *_: torch.tensor(next(lengths), dtype=torch.float32)
    )
    # A CPU has no 16-mixed: what is tried here is when to stop.
    monkeypatch.setitem(DIVERGED_STEPS, "32-true", DIVERGED_STEPS.get(precision, 3))
    assert len(run(lowest=1e-6, highest=1e-5, n_steps=8)) == n_steps


def test_impossible_ranges(run):
    for options in ({"lowest": 1.0, "highest": 0.1}, {"lowest": 0.0}, {"n_steps": 1}):
        with pytest.raises(SettingsError, match="two increasing step sizes"):
            run(**options)


def test_picture_without_suggestion():
    table = QTable({"learning_rate": [1e-3, 1e-2], "loss": [1.0, np.nan]})
    table["mean_loss"] = table["loss"]
    table.meta["suggestion"] = None
    assert [line.get_label() for line in draw_range_test(table).axes[0].lines] == [
        "each step", "mean"
    ]  # fmt: skip
