"""Depth of maximum: atmosphere that the shower has crossed where it has most electrons (x_max)."""

import astropy.units as u
import numpy as np
from astropy.table import Table
from torch import Tensor

from .base import Columns
from .regression import Regression

__all__ = ["DepthOfMaximumTask"]

#: The network learns the depth in units of this, in g/cm²: gammas of 10 GeV to 100 TeV have their
#: maxima at two to five of them on average.
SCALE = 100.0


class DepthOfMaximumTask(Regression):
    """Slant depth of the shower's maximum, from the top of the atmosphere along the axis."""

    name = "depth_of_maximum"
    n_values = 1
    kind = "depth_of_maximum"
    learns_from = ("gamma",)
    explained_as = "depth of maximum (g/cm²)"

    def explained(self, output: Tensor) -> Tensor:
        """Depth of maximum (g/cm²)."""
        return output[:, 0] * SCALE

    def truth(self, events: Table) -> np.ndarray:
        depth = np.asarray(events["true_x_max"], dtype=np.float64)
        # Showers without a fit of their profile have 0.
        return np.where(depth > 0, depth, np.nan)[:, None] / SCALE

    def decode(self, output: np.ndarray, events: Table) -> Columns:
        columns = {"x_max": output[:, 0].astype(np.float64) * SCALE * u.g / u.cm**2}
        if self.gives_uncertainty:
            columns["x_max_uncert"] = self.sigma(output) * SCALE * u.g / u.cm**2
        return columns

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Depth (g/cm²) that the error of 68 % of the events is below."""
        return {"x_max_resolution": self.resolution(output, target) * SCALE}
