"""Cut-outs that are drawn when they are read."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..cutouts import Cutouts
from .images import Camera

__all__ = ["DrawnCutouts"]


@dataclass(frozen=True)
class DrawnCutouts(Cutouts):
    """Cut-outs of which each depends on the seed and its number alone.

    Attributes
    ----------
    rows : ndarray of int
        Their numbers.
    seed : int
    camera : Camera
    """

    rows: np.ndarray
    seed: int
    camera: Camera

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # what it has is known
        camera = self.camera
        return (len(self.rows), len(camera.bands), camera.n_pixels, camera.n_pixels)

    def read(self, rows: np.ndarray) -> np.ndarray:
        drawn = [
            self.draw(row, np.random.default_rng([self.seed, row]))
            for row in self.rows[rows].tolist()
        ]
        return np.stack(drawn)

    def __getitem__(self, rows: Any) -> Self:
        return replace(self, rows=self.rows[rows])

    @abstractmethod
    def draw(self, row: int, rng: np.random.Generator) -> np.ndarray:
        """The cut-out of a number, shape (n_bands, n_pixels, n_pixels)."""
