"""Impact: where the shower axis meets the ground."""

import astropy.units as u
import numpy as np
import torch
from torch import Tensor

from .regression import Regression

__all__ = ["ImpactTask"]

#: The network learns the impact in units of this length, the size of the light pool.
SCALE_M = 100.0


class ImpactTask(Regression):
    """Impact point from the event's ground reference, learnt with its distance.

    The ground reference is the mean position of the event's telescopes, which for mono is the
    telescope itself: the network sees positions relative to it, so that moving the array
    changes nothing.
    """

    name = "impact"
    n_values = 2
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

    def decode(self, output, events):
        x, y = output[:, :2].astype(np.float64).T * SCALE_M
        columns = {
            "core_x": (x + np.asarray(events["reference_x"])) * u.m,
            "core_y": (y + np.asarray(events["reference_y"])) * u.m,
        }
        if self.gives_uncertainty:
            sigma = self.sigma(output) * SCALE_M * u.m
            columns |= {"core_uncert_x": sigma, "core_uncert_y": sigma}
        return columns

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Distance (m) that holds 68 % of the events."""
        return {"impact_resolution": self.resolution(output, target) * SCALE_M}
