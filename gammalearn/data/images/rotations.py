"""Rotations: each event as it would look with everything rotated about the axis of the telescopes.

Images turn exactly, by permutation of pixels, and telescopes, direction and impact turn with them.
What does not turn is the zenith and the magnetic field, so that a rotated event is a little less
true than the event that was simulated, the more so the lower the array points. Mirrors are left
out: the cameras of one event need not be mirrored at one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ...camera import CameraType
from ..loading.batch import Batch

__all__ = ["EventRotations", "Rotation"]

#: Angles (deg) that events are rotated by where there are no pixels to be kept in place.
FREE_ANGLES = tuple(range(0, 360, 5))


@dataclass
class Rotation:
    """Turns of events about their pointing, counterclockwise in the camera frame.

    Attributes
    ----------
    angle : Tensor, shape (n_events,)
        In deg.
    """

    angle: Tensor

    def of(self, event: Tensor) -> "Rotation":
        """The turns of the events with these rows."""
        return Rotation(self.angle[event])

    def __call__(self, vector: Tensor) -> Tensor:
        """Turn vectors along fov_lon and fov_lat: in the sky, or in the plane of the ground.

        Parameters
        ----------
        vector : Tensor, shape (n_events, ..., n)
            Whose first two components turn; others stay.
        """
        angle = torch.deg2rad(self.angle.to(torch.float64))
        angle = angle.reshape(-1, *[1] * (vector.ndim - 2))
        cos, sin = (part.to(vector.dtype) for part in (angle.cos(), angle.sin()))
        # fov_lat is along the camera frame's x, fov_lon along its y.
        lon, lat = vector[..., 0], vector[..., 1]
        rotated = torch.stack([cos * lon + sin * lat, cos * lat - sin * lon], dim=-1)
        return torch.cat([rotated, vector[..., 2:]], dim=-1)


class _Task(Protocol):
    """What knows how its targets turn."""

    def rotated(self, target: Tensor, turn: Rotation) -> Tensor: ...


class EventRotations(nn.Module):
    """Turns each event of a batch by a random angle that all its cameras allow.

    Parameters
    ----------
    cameras : sequence of CameraType
    with_pixels : bool
        Whether there are pixels to turn; without, the angles are many.

    Attributes
    ----------
    angles : Tensor, shape (n_turns,)
        The angles, in deg: multiples of 60 for hexagonal pixels, of 90 for square ones.
    """

    angles: Tensor

    def __init__(self, cameras: list[CameraType], with_pixels: bool = True) -> None:
        super().__init__()
        self.with_pixels = with_pixels
        turns = [
            {s.turn: s.pixels for s in camera.grid.symmetries if not s.mirrored}
            for camera in cameras
        ]
        angles = sorted(set(turns[0]).intersection(*turns)) if with_pixels else FREE_ANGLES
        self.register_buffer("angles", torch.tensor(angles), persistent=False)
        if not with_pixels:
            return
        self.tables = {camera.name: n for n, camera in enumerate(cameras)}
        for n, pixels in enumerate(turns):
            table = torch.from_numpy(np.stack([pixels[angle] for angle in angles]))
            # A pixel outside the rotated camera takes the value behind the last, no light.
            table = torch.where(table < 0, table.shape[1], table)
            self.register_buffer(f"table_{n}", table, persistent=False)

    def forward(self, batch: Batch, tasks: Mapping[str, _Task]) -> Batch:
        """Turn a batch at random.

        Parameters
        ----------
        batch : Batch
        tasks : mapping of str to gammalearn.tasks.Task
            Know how their targets turn.
        """
        number = torch.randint(len(self.angles), (batch.n_events,), device=batch.index.device)
        return self.rotated(batch, number, tasks)

    def rotated(self, batch: Batch, number: Tensor, tasks: Mapping[str, _Task]) -> Batch:
        """Turn each event by the angle of some number.

        Parameters
        ----------
        batch : Batch
        number : Tensor of int64, shape (n_events,)
            Of ``angles``.
        tasks : mapping of str to gammalearn.tasks.Task
        """
        turn = Rotation(self.angles[number])
        images = {}
        for name, camera in batch.images.items():
            mine = turn.of(camera.event)
            images[name] = replace(
                camera,
                pixels=self._rotated_pixels(name, camera.pixels, number[camera.event]),
                position=mine(camera.position),
                pointing=mine(camera.pointing),
                vectors=None if camera.vectors is None else mine(camera.vectors),
            )
        targets = {
            name: tasks[name].rotated(target, turn) for name, target in batch.targets.items()
        }
        return replace(batch, images=images, targets=targets)

    def _rotated_pixels(self, camera: str, pixels: Tensor, number: Tensor) -> Tensor:
        if not self.with_pixels:
            return pixels
        place = getattr(self, f"table_{self.tables[camera]}")[number]
        return nn.functional.pad(pixels, (0, 1)).gather(2, place.unsqueeze(1).expand_as(pixels))
