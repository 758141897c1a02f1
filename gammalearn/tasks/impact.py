"""Impact: where the shower axis meets the ground."""

import astropy.units as u
import numpy as np
import torch
from torch import Tensor

from .base import Task

__all__ = ["ImpactTask"]

#: The network learns the impact in units of this length, the size of the light pool.
SCALE_M = 100.0

#: Share of the events within the impact resolution.
CONTAINMENT = 0.68


class ImpactTask(Task):
    """Impact point from the event's ground reference, learnt with its distance.

    The ground reference is the mean position of the event's telescopes, which for mono is the
    telescope itself: the network sees positions relative to it, so that moving the array
    changes nothing.
    """

    name = "impact"
    n_outputs = 2
    kind = "geometry"
    learns_from = ("gamma",)

    def truth(self, events):
        return np.column_stack(
            [
                (np.asarray(events["true_core_x"]) - events["reference_x"]) / SCALE_M,
                (np.asarray(events["true_core_y"]) - events["reference_y"]) / SCALE_M,
            ]
        )

    def turned(self, target: Tensor, turn) -> Tensor:
        on_ground = torch.nn.functional.pad(target, (0, 1))
        return turn.ground(on_ground)[:, :2]

    def moved(self, target: Tensor, step: Tensor) -> Tensor:
        return target - step[:, :2] / SCALE_M

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return torch.linalg.vector_norm(output - target, dim=1)

    def decode(self, output, events):
        output = output.astype(np.float64) * SCALE_M
        return {
            "core_x": (output[:, 0] + np.asarray(events["reference_x"])) * u.m,
            "core_y": (output[:, 1] + np.asarray(events["reference_y"])) * u.m,
        }

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Distance (m) that holds 68 % of the events."""
        if len(output) == 0:
            return {"impact_resolution": np.nan}
        distance = self.loss(output, target).quantile(CONTAINMENT)
        return {"impact_resolution": float(distance) * SCALE_M}
