"""Turns: each event as it would look with everything turned about the axis of the telescopes.

Images turn exactly, by permutation of pixels, and telescopes, direction and impact turn with them.
What does not turn is the zenith and the magnetic field, so that a turned event is a little less
true than the event that was simulated, the more so the lower the array points. Mirrors are left
out: the cameras of one event need not be mirrored at one line.
"""

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn

from ..camera import CameraType
from .batch import Batch

__all__ = ["EventTurns", "Turn"]


@dataclass
class Turn:
    """Turns of events about their pointing, counterclockwise in the camera frame.

    Attributes
    ----------
    angle : Tensor, shape (n_events,)
        In deg.
    pointing : Tensor, shape (n_events, 2)
        Altitude and azimuth of each event's pointing, in deg.
    """

    angle: Tensor
    pointing: Tensor

    def of(self, event: Tensor) -> "Turn":
        """The turns of the events with these rows."""
        return Turn(self.angle[event], self.pointing[event])

    def sky(self, offset: Tensor) -> Tensor:
        """Turn offsets (fov_lon, fov_lat) from the pointing, shape (n_events, 2)."""
        # fov_lat is along the camera frame's x, fov_lon along its y.
        lon, lat = offset.unbind(dim=1)
        cos, sin = self._cos_sin(offset)
        return torch.stack([sin * lat + cos * lon, cos * lat - sin * lon], dim=1)

    def ground(self, position: Tensor) -> Tensor:
        """Turn positions relative to the centre, shape (n_events, 3) in the ground frame.

        Seen along the pointing they turn, and they slide along it to the height that they had.
        """
        alt, az = torch.deg2rad(self.pointing.to(torch.float64)).unbind(dim=1)
        up, north = torch.sin(alt), torch.cos(alt)
        # Ground frame: x to the North, y to the West; azimuth from the North to the East.
        axis = torch.stack([north * torch.cos(az), -north * torch.sin(az), up], dim=1)
        e_lat = torch.stack([-up * torch.cos(az), up * torch.sin(az), north], dim=1)
        e_lon = torch.linalg.cross(axis, e_lat)
        given = position.to(torch.float64)
        lat, lon, along = ((given * e).sum(dim=1, keepdim=True) for e in (e_lat, e_lon, axis))
        cos, sin = (part.unsqueeze(1) for part in self._cos_sin(given))
        turned = (cos * lat - sin * lon) * e_lat + (sin * lat + cos * lon) * e_lon + along * axis
        turned = turned - axis * ((turned[:, 2] - given[:, 2]) / up).unsqueeze(1)
        return turned.to(position.dtype)

    def _cos_sin(self, like: Tensor) -> tuple[Tensor, Tensor]:
        angle = torch.deg2rad(self.angle.to(torch.float64))
        return torch.cos(angle).to(like.dtype), torch.sin(angle).to(like.dtype)


class EventTurns(nn.Module):
    """Turns each event of a batch by a random angle that all its cameras allow.

    Parameters
    ----------
    cameras : sequence of CameraType
    pointing : array_like, shape (n_index, 2)
        Altitude and azimuth of the pointing of all events of the index, in deg.

    Attributes
    ----------
    angles : Tensor, shape (n_turns,)
        The angles, in deg: multiples of 60 for hexagonal pixels, of 90 for square ones.
    """

    def __init__(self, cameras: list[CameraType], pointing):
        super().__init__()
        turns = [
            {s.turn: s.pixels for s in camera.grid.symmetries if not s.mirrored}
            for camera in cameras
        ]
        angles = sorted(reduce(set.intersection, map(set, turns)))
        self.register_buffer("angles", torch.tensor(angles), persistent=False)
        self.register_buffer(
            "pointing", torch.as_tensor(np.asarray(pointing, dtype=np.float64)), persistent=False
        )
        self.tables = {camera.name: n for n, camera in enumerate(cameras)}
        for n, pixels in enumerate(turns):
            table = torch.from_numpy(np.stack([pixels[angle] for angle in angles]))
            # A pixel outside the turned camera takes the value behind the last, no light.
            table = torch.where(table < 0, table.shape[1], table)
            self.register_buffer(f"table_{n}", table, persistent=False)

    def forward(self, batch: Batch, tasks) -> Batch:
        """Turn a batch.

        Parameters
        ----------
        batch : Batch
        tasks : mapping of str to gammalearn.tasks.Task
            Know how their targets turn.
        """
        number = torch.randint(len(self.angles), (batch.n_events,), device=batch.index.device)
        turn = Turn(self.angles[number], self.pointing[batch.index])
        images = {}
        for name, camera in batch.images.items():
            mine = turn.of(camera.event)
            pixels = getattr(self, f"table_{self.tables[name]}")[number[camera.event]]
            images[name] = replace(
                camera,
                pixels=nn.functional.pad(camera.pixels, (0, 1)).gather(
                    2, pixels.unsqueeze(1).expand_as(camera.pixels)
                ),
                position=mine.ground(camera.position),
                pointing=mine.sky(camera.pointing),
            )
        targets = {name: tasks[name].turned(target, turn) for name, target in batch.targets.items()}
        return replace(batch, images=images, targets=targets)
