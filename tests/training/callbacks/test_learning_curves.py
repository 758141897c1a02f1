"""The picture of the learning curves."""

import errno
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from gammalearn.training.callbacks.learning_curves import LearningCurves, draw_learning_curves

LOSSES = ["particle_type", "energy", "direction", "impact", "loss"]
FIGURES = ["auc", "energy_bias", "energy_resolution", "angular_resolution", "impact_resolution"]


def history(n_epochs, stages=("train", "validation")):
    names = [f"{stage}/{name}" for stage in stages for name in LOSSES]
    names += [f"validation/{name}" for name in FIGURES if "validation" in stages]
    return {name: [(epoch, 1 / epoch) for epoch in range(1, n_epochs + 1)] for name in names}


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Function that draws a history and returns the panels that show."""
    figures = []
    save = Figure.savefig

    def keep(self, *args, **kwargs):
        figures.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(history):
        path = tmp_path / "learning_curves.png"
        draw_learning_curves(history, path)
        assert [p.name for p in tmp_path.iterdir()] == [path.name], "nothing half-written"
        assert matplotlib.image.imread(path).std() > 0.01, "not blank"
        return [axis for axis in figures[-1].axes if axis.get_visible()]

    return draw


@pytest.mark.parametrize("n_epochs", [1, 2, 20])
def test_one_panel_a_loss_and_a_figure(drawn, n_epochs):
    panels = drawn(history(n_epochs))
    assert [panel.get_title() for panel in panels] == [
        "total loss", "particle type loss", "energy loss", "direction loss", "impact loss",
        "AUC", "energy bias", "energy resolution", "angular resolution (deg)",
        "impact resolution (m)",
    ]  # fmt: skip
    for panel in panels[:5]:
        assert [line.get_label() for line in panel.lines] == ["train", "validation"]
    for panel in panels[5:]:
        assert [line.get_label() for line in panel.lines] == ["validation"]
    epochs = np.arange(1, n_epochs + 1)
    for line in (line for panel in panels for line in panel.lines):
        np.testing.assert_array_equal(line.get_xdata(), epochs)
        np.testing.assert_allclose(line.get_ydata(), 1 / epochs)


def test_without_validation(drawn):
    panels = drawn(history(3, stages=["train"]))
    assert len(panels) == 5
    assert {line.get_label() for panel in panels for line in panel.lines} == {"train"}


def test_epochs_are_whole_numbers(drawn):
    for panel in drawn(history(2)):
        low, high = panel.get_xlim()
        ticks = [tick for tick in panel.get_xticks() if low <= tick <= high]
        assert all(tick == round(tick) for tick in ticks)


def test_no_epoch_yet(tmp_path):
    draw_learning_curves({}, tmp_path / "learning_curves.png")
    assert (tmp_path / "learning_curves.png").exists()


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch, caplog):
    """The picture before is kept; what ends a training is not hidden by another error."""
    curves = LearningCurves(tmp_path / "learning_curves.png")
    curves.path.write_bytes(b"the one before")
    curves.history = history(2)

    def full(self, path, **_):
        path.write_bytes(b"half of one")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    trainer = SimpleNamespace(is_global_zero=True)
    curves.on_exception(trainer, None, RuntimeError())
    curves.on_fit_end(trainer, None)
    assert "learning_curves.png' cannot be written (No space left on device)" in caplog.text
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the one before"]
