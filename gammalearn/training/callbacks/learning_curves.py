"""Learning curves: the losses and figures of each epoch, kept and drawn."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import OutputError
from ...io.writing import write_whole

__all__ = ["LearningCurves", "draw_learning_curves"]

log = logging.getLogger(__name__)

#: Least time between two drawings in a training.
DRAWING_INTERVAL_S = 20


class LearningCurves(lightning.Callback):
    """Keeps each epoch's figures (in the checkpoint too) and draws them.

    Parameters
    ----------
    path : Path
        Where the picture goes, renewed during the training and at its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.history: dict[str, list[tuple[int, float]]] = {}
        self._drawn_at = time.monotonic()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        # Lightning calls this after the epoch's validation.
        for name, value in trainer.callback_metrics.items():
            if "/" in name and math.isfinite(value):
                points = self.history.setdefault(name, [])
                points.append((trainer.current_epoch + 1, float(value)))
        # Drawing takes longer than a short epoch.
        if time.monotonic() - self._drawn_at > DRAWING_INTERVAL_S:
            self._draw(trainer)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._draw(trainer)

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        self._draw(trainer)

    def _draw(self, trainer: lightning.Trainer) -> None:
        # What called several processes knows nothing of their training.
        if trainer.is_global_zero and self.history:
            try:
                draw_learning_curves(self.history, self.path)
            except OutputError as error:
                # No picture is worth a training, nor the error of one that ends.
                log.warning("%s", error)
            self._drawn_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]


#: Panels side by side; the losses fill the first row.
MAX_COLUMNS = 5


def draw_learning_curves(history: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Draw losses of training and validation and the validation figures against the epoch.

    Parameters
    ----------
    history : mapping of str to list of (int, float)
        ``stage/name`` to (epoch, value).
    path : Path
        A PNG file.
    """
    names = list(dict.fromkeys(name.split("/", 1)[1] for name in history))
    losses = [n for n in names if f"train/{n}" in history]
    panels = sorted(losses, key=lambda n: n != "loss") + [n for n in names if n not in losses]
    n_columns = min(MAX_COLUMNS, max(1, len(losses)))
    n_rows = max(1, -(-len(panels) // n_columns))
    figure = Figure(figsize=(3.2 * n_columns, 2.6 * n_rows), layout="constrained", dpi=120)
    axes: list[Axes] = [*figure.subplots(n_rows, n_columns, squeeze=False).flat]
    for axis, name in zip(axes, panels, strict=False):
        for stage, color, marker in (("train", "#0072B2", "o"), ("validation", "#D55E00", "s")):
            if f"{stage}/{name}" in history:
                epoch, value = np.array(history[f"{stage}/{name}"]).T
                axis.plot(
                    epoch,
                    value,
                    marker,
                    linestyle="-",
                    color=color,
                    markersize=3,
                    linewidth=1.2,
                    label=stage,
                )
        axis.set_title(_title(name, name in losses), size=9)
        axis.tick_params(labelsize=8)
        axis.set_xlabel("epoch", size=8)
        axis.locator_params(axis="x", integer=True)
        axis.grid(alpha=0.3)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    if panels:
        axes[0].legend(fontsize=8)
    write_whole(path, figure.savefig)


def _title(name: str, is_loss: bool) -> str:
    if is_loss:
        return "total loss" if name == "loss" else f"{name.replace('_', ' ')} loss"
    if name == "measure":
        return "mean of the losses' logarithms"
    unit = {"angular_resolution": " (deg)", "impact_resolution": " (m)"}.get(name, "")
    known = {"auc": "AUC", "a_distance": "proxy A-distance"}
    return known.get(name, name.replace("_", " ")) + unit
