"""Direction: offset in the sky (fov_lon, fov_lat) from the event's pointing, in deg."""

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import AltAz
from astropy.table import Table
from ctapipe.coordinates import TelescopeFrame
from torch import Tensor

from ..data import Rotation
from .base import Columns
from .regression import Regression

__all__ = ["UNCERTAINTY", "DirectionTask"]

#: Column of the predicted error: ctapipe's.
UNCERTAINTY = "ang_distance_uncert"


def _pointing(events: Table) -> AltAz:
    return AltAz(
        alt=np.asarray(events["pointing_alt"]) * u.deg, az=np.asarray(events["pointing_az"]) * u.deg
    )


def _on_the_sphere(offset: Tensor) -> Tensor:
    """Unit vectors at offsets (fov_lon, fov_lat) in deg, shape (n_events, 3)."""
    lon, lat = torch.deg2rad(offset).unbind(dim=1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)


class DirectionTask(Regression):
    """Offset from the pointing, learnt with the angle on the sphere."""

    name = "direction"
    n_values = 2
    kind = "geometry"
    learns_from = ("gamma",)
    in_the_sky = True
    options = (*Regression.options, "event_classes")
    explained_as = "distance of the direction from the pointing (deg)"

    def explained(self, output: Tensor) -> Tensor:
        """Distance (deg) of the direction from the pointing, in the plane of the offsets."""
        return torch.linalg.vector_norm(output[:, :2], dim=1)

    def truth(self, events: Table) -> np.ndarray:
        true = AltAz(
            alt=np.asarray(events["true_alt"]) * u.deg, az=np.asarray(events["true_az"]) * u.deg
        )
        offset = true.transform_to(TelescopeFrame(telescope_pointing=_pointing(events)))
        return np.column_stack([offset.fov_lon.wrap_at(180 * u.deg).deg, offset.fov_lat.deg])

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Angle between estimates and truth in deg, shape (n_events,).

        From the chord between the two, whose gradient is 0 and not NaN where they are the same.
        """
        chord = _on_the_sphere(output[:, :2].to(target.dtype)) - _on_the_sphere(target)
        half = torch.linalg.vector_norm(chord, dim=1) / 2
        # At the antipodes, which an estimate never comes near, the gradient has no end.
        return 2 * torch.rad2deg(torch.asin(half.clamp(max=1 - 1e-6)))

    def rotated(self, target: Tensor, turn: Rotation) -> Tensor:
        return turn(target)

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        fov_lon, fov_lat = output[:, :2].astype(np.float64).T * u.deg
        # A network that has not learnt yet may leave the sphere; the pole is its end.
        fov_lat = np.clip(fov_lat, -90 * u.deg, 90 * u.deg)
        direction = TelescopeFrame(
            fov_lon=fov_lon, fov_lat=fov_lat, telescope_pointing=_pointing(events)
        ).transform_to(AltAz())
        columns = {
            "alt": direction.alt.to(u.deg),
            "az": direction.az.wrap_at(360 * u.deg).to(u.deg),
        }
        if self.gives_uncertainty:
            # A radius, of two coordinates with σ each: the root mean square of the angle, as that
            # of ctapipe's StereoMeanCombiner is.
            columns[UNCERTAINTY] = np.sqrt(2) * self.sigma(output) * u.deg
        return columns

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Angle (deg) that holds 68 % of the events."""
        return {"angular_resolution": self.resolution(output, target)}
