"""An analyst's baseline: Hillas parameters, ctapipe's stereo geometry and boosted trees."""

from .analysis import QUANTITIES, Baseline, Geometry
from .features import PARAMETERS
from .hillas_stereo import hillas_geometry

__all__ = ["PARAMETERS", "QUANTITIES", "Baseline", "Geometry", "hillas_geometry"]
