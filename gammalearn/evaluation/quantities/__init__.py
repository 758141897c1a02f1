"""What an evaluation finds of each reconstructed quantity, one quantity a file.

A new quantity is one new file here and one name in `QUANTITIES`: tables, metrics, pictures and the
report follow.
"""

from .base import Quantity
from .depth_of_maximum import DepthOfMaximum
from .direction import Direction
from .energy import Energy
from .impact import Impact
from .particle_type import ParticleType
from .regression import Regression

__all__ = ["MAIN_QUANTITIES", "QUANTITIES", "Quantity", "Regression"]

#: All quantities by name, in the order of the report.
QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (Energy(), Direction(), Impact(), DepthOfMaximum(), ParticleType())
}

#: Those that an observation of a source needs.
MAIN_QUANTITIES: dict[str, Quantity] = {
    name: quantity for name, quantity in QUANTITIES.items() if quantity.is_main
}
