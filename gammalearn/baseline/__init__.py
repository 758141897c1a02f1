"""An analyst's baseline: Hillas parameters, ctapipe's stereo geometry and boosted trees."""

from .analysis import QUANTITIES, Baseline
from .features import PARAMETERS

__all__ = ["PARAMETERS", "QUANTITIES", "Baseline"]
