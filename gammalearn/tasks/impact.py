"""Impact: where the shower hits the ground, as the telescopes' axes see it."""

import astropy.units as u
import numpy as np
import torch
from astropy.table import Table
from torch import Tensor

from ..camera import from_plane, plane_axes, to_plane
from ..data import Rotation
from .base import Columns
from .regression import Regression

__all__ = ["ImpactTask"]

#: The network learns the impact in units of this length, the size of the light pool.
SCALE_M = 100.0


def _axes(events: Table) -> np.ndarray:
    return plane_axes(events["pointing_alt"], events["pointing_az"])


class ImpactTask(Regression):
    """Impact point from the event's ground reference, learnt with its distance.

    It is learnt in the plane perpendicular to the pointing, see `gammalearn.camera.to_plane`, where
    the images of a shower point to it, and written in the ground frame.

    The ground reference is the mean position of the event's telescopes, which for mono is the
    telescope itself: the network sees positions relative to it, so that moving the array
    changes nothing.
    """

    name = "impact"
    n_values = 2
    kind = "geometry"
    learns_from = ("gamma",)
    on_the_ground = True
    explained_as = "distance of the core from the mean of the telescopes (m)"

    def explained(self, output: Tensor) -> Tensor:
        """Distance (m) of the core from the ground reference, perpendicular to the pointing."""
        return torch.linalg.vector_norm(output[:, :2], dim=1) * SCALE_M

    def truth(self, events: Table) -> np.ndarray:
        # Cores are given at the height 0 of the ground frame.
        relative = np.column_stack(
            [
                np.asarray(events["true_core_x"]) - events["reference_x"],
                np.asarray(events["true_core_y"]) - events["reference_y"],
                -np.asarray(events["reference_z"]),
            ]
        )
        return to_plane(relative, _axes(events))[:, :2] / SCALE_M

    def rotated(self, target: Tensor, turn: Rotation) -> Tensor:
        return turn(target)

    def moved(self, target: Tensor, step: Tensor) -> Tensor:
        return target - step[:, :2] / SCALE_M

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        place = output[:, :2].astype(np.float64) * SCALE_M
        relative = from_plane(place, _axes(events), -np.asarray(events["reference_z"]))
        columns = {
            "core_x": (relative[:, 0] + np.asarray(events["reference_x"])) * u.m,
            "core_y": (relative[:, 1] + np.asarray(events["reference_y"])) * u.m,
        }
        if self.gives_uncertainty:
            sigma = self.sigma(output) * SCALE_M * u.m
            columns |= {"core_uncert_x": sigma, "core_uncert_y": sigma}
        return columns

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Distance (m) that holds 68 % of the events."""
        return {"impact_resolution": self.resolution(output, target) * SCALE_M}
